"""``generate`` for motion: classes or mixtures of them in; joints, videos and pictures out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mutoscope.kinds.motion.media import (
    mixture_file,
    mixture_title,
    save_attention,
    save_mixture,
    save_sweep,
    save_trajectories,
)
from mutoscope.kinds.motion.request import Classes, Mixture, Sweep, motion_wish
from mutoscope.models.generative import Attentive, GenerativeModule
from mutoscope.render.motion_plots import mixture_positions
from mutoscope.render.sheet import class_file, save_motion_gallery
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing
from mutoscope.structures import MotionSample
from mutoscope.training.trainer import place

#: clips of a class that its video and its sheet show
_SHOWN = 8


def generate_motion(config: Mapping[str, Any], model: GenerativeModule) -> MotionSample:
    """Generate what is asked for: classes, a mixture, or the way from one class to another.

    Always written to ``out``: ``joints.npy`` in dataset units and ``info.json`` (classes, skeleton, fps, units). Then,
    for classes, ``[n, t, v, c]``, ``labels.npy`` ``[n]``, one MP4 and one sheet per class and ``sheet.png``; for a
    mixture, ``[n, t, v, c]``, ``mix.json``, an MP4 and a sheet named after it; between two classes,
    ``[lambdas, n, t, v, c]``, ``between.json``, histograms, an MP4 and a sheet with one clip per mixture.
    ``attention`` adds ``attention.npy`` ``[n, t, t]`` and a picture per class; ``trajectories`` adds
    ``trajectories.png``.

    Args:
        config: resolved, plain.
        model: trained on motion.

    Returns:
        What was generated; that of a sweep holds its mixtures one after the other.

    Raises:
        ConfigError: see :func:`motion_wish`.
    """
    wish = motion_wish(config, model)
    model.to(place(config["accelerator"]))
    if isinstance(wish, Sweep):
        return _sweep(config, model, wish)
    return _clips(config, model, wish)


def _clips(config: Mapping[str, Any], model: GenerativeModule, wish: Classes | Mixture) -> MotionSample:
    if isinstance(wish, Classes):
        wanted = torch.tensor(wish.labels).repeat_interleave(wish.n)
    else:
        wanted = torch.tensor([wish.row(model.info)]).repeat(wish.n, 1)
    sample = _generated(config, model, wanted)
    attention = _attention(config, model, wanted)
    out, fake, info = Path(config["out"]), sample.fake.cpu().numpy(), sample.info
    paths = [_save(out / "joints.npy", fake)]
    if isinstance(wish, Classes):
        labels = wanted.numpy()
        paths += [_save(out / "labels.npy", labels), _write(out / "info.json", info.to_dict())]
        paths += save_motion_gallery(
            out, fake, labels, info, per_class=min(wish.n, _SHOWN), gif=config["gif"], sheets=True
        )
        first = {label: labels.tolist().index(label) for label in sorted(set(wish.labels))}
        shown = {class_file(info, label): (info.classes[label], number) for label, number in first.items()}
        if config["trajectories"]:
            paths.append(save_trajectories(out, fake, labels, info))
    else:
        shares = {info.classes[label]: weight for label, weight in wish.weights.items()}
        paths += [_write(out / "mix.json", shares), _write(out / "info.json", info.to_dict())]
        paths += save_mixture(out, fake[:_SHOWN], shares, info, gif=config["gif"])
        shown = {mixture_file(shares): (mixture_title(shares), 0)}
    if attention is not None:
        paths.append(_save(out / "attention.npy", attention))
        paths += save_attention(out, fake, attention, shown, info)
    _report(len(fake), fake.shape[1], out, paths)
    return sample


def _sweep(config: Mapping[str, Any], model: GenerativeModule, wish: Sweep) -> MotionSample:
    # the same seed for all: clip i has the same noise whatever the mixture
    rows = [torch.tensor([mixture.row(model.info)]).repeat(wish.n, 1) for mixture in wish.mixtures()]
    samples = [_generated(config, model, row) for row in rows]
    info, out = samples[0].info, Path(config["out"])
    fake = np.stack([sample.fake.cpu().numpy() for sample in samples])
    classes = (info.classes[wish.first], info.classes[wish.second])
    try:
        positions = mixture_positions(fake, info.need_skeleton())
    except ValueError as error:
        raise ConfigError(
            f"The model makes the same motions of {classes[0]} and {classes[1]}; train it more."
        ) from error
    facts = {
        "classes": list(classes),
        "lambdas": list(wish.lambdas),
        "position_mean": [round(float(value), 6) for value in positions.mean(axis=1)],
        "position_std": [round(float(value), 6) for value in positions.std(axis=1)],
    }
    paths = [_save(out / "joints.npy", fake), _write(out / "between.json", facts)]
    paths.append(_write(out / "info.json", info.to_dict()))
    paths += save_sweep(out, fake, positions, wish.lambdas, classes, info, gif=config["gif"])
    _report(fake.shape[0] * fake.shape[1], fake.shape[2], out, paths)
    return MotionSample(
        fake=torch.cat([sample.fake for sample in samples]),
        label=torch.cat([sample.label for sample in samples]),
        info=info,
        real=None,
    )


def _generated(config: Mapping[str, Any], model: GenerativeModule, wanted: Tensor) -> MotionSample:
    sample: MotionSample = model.generate(wanted, **_how(config))
    return sample


def _attention(
    config: Mapping[str, Any], model: GenerativeModule, wanted: Tensor
) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
    if not config["attention"]:
        return None
    try:
        return cast(Attentive, model).attention(wanted, **_how(config)).float().cpu().numpy()
    except ValueError as error:
        raise ConfigError(f"attention= cannot be shown. {error}") from error


def _how(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in ("seed", "length", "truncation")}


def _report(count: int, length: int, out: Path, paths: list[Path]) -> None:
    say(f"Wrote {count} sequences of {length} frames to {out}: {', '.join(path.name for path in paths)}.")


def _save(path: Path, array: "np.ndarray[Any, Any]") -> Path:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return path


def _write(path: Path, data: Mapping[str, Any]) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2), encoding="utf-8")
    return path
