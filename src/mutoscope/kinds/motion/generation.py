"""``generate`` for motion: classes or mixtures of them in, clips out."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mutoscope.kinds.motion.generated import GeneratedMotion, GeneratedSweep
from mutoscope.kinds.motion.request import motion_wish
from mutoscope.kinds.motion.settings import MotionRequest
from mutoscope.kinds.motion.wishes import Classes, Mixture, Sweep
from mutoscope.kinds.task import LoadedModel
from mutoscope.models.generative import Attentive, GenerativeModule
from mutoscope.render.motion_plots import mixture_positions
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import MotionSample


def generate_motion(model: LoadedModel, request: MotionRequest, seed: int) -> GeneratedMotion:
    """Generate what is asked for: classes, a mixture, or the way from one class to another.

    Args:
        model: of motion.
        request: what is asked for.
        seed: of latents and noise.

    Raises:
        ConfigError: see :func:`~mutoscope.kinds.motion.request.motion_wish`.
    """
    wish = motion_wish(request, model.module)
    how = {"seed": seed, "length": request.length, "truncation": request.truncation}
    if isinstance(wish, Sweep):
        return _sweep(model.module, wish, how)
    wanted = _wanted(wish, model.module)
    sample = _generated(model.module, wanted, how)
    attention = _attention(model.module, wanted, how) if request.attention else None
    return GeneratedMotion(sample=sample, wish=wish, attention=attention, trajectories=request.trajectories)


def _wanted(wish: Classes | Mixture, model: GenerativeModule) -> Tensor:
    """``[n]`` labels, or ``[n, classes]`` weights."""
    if isinstance(wish, Classes):
        return torch.tensor(wish.labels).repeat_interleave(torch.tensor(wish.counts))
    return torch.tensor([wish.row(model.info)]).repeat(wish.n, 1)


def _sweep(model: GenerativeModule, wish: Sweep, how: dict[str, Any]) -> GeneratedSweep:
    # the same seed for all: clip i has the same noise whatever the mixture
    samples = [_generated(model, _wanted(mixture, model), how) for mixture in wish.mixtures()]
    info = samples[0].info
    try:
        positions = mixture_positions(np.stack([sample.fake.numpy() for sample in samples]), info.need_skeleton())
    except ValueError as error:
        classes = info.classes[wish.first], info.classes[wish.second]
        raise ConfigError(
            f"The model makes the same motions of {classes[0]} and {classes[1]}; train it more."
        ) from error
    sample = MotionSample(
        fake=torch.cat([sample.fake for sample in samples]),
        label=torch.cat([sample.label for sample in samples]),
        info=info,
        real=None,
    )
    return GeneratedSweep(sample=sample, wish=wish, positions=positions)


def _generated(model: GenerativeModule, wanted: Tensor, how: dict[str, Any]) -> MotionSample:
    sample: MotionSample = model.generate(wanted, **how)
    return replace(sample, fake=sample.fake.cpu(), label=sample.label.cpu())


def _attention(model: GenerativeModule, wanted: Tensor, how: dict[str, Any]) -> "np.ndarray[Any, np.dtype[np.float32]]":
    try:
        return cast(Attentive, model).attention(wanted, **how).float().cpu().numpy()
    except ValueError as error:
        raise ConfigError(f"attention= cannot be shown. {error}") from error
