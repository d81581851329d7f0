"""GLASS's twelve losses (paper section 3.3; spec section 5). All reductions are means."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.glass.global_motion import GlobalMotionOutput
from mutoscope.models.glass.local_motion import LocalMotionOutput
from mutoscope.nn.perceptual import FrozenFeatures, perceptual_loss

#: of all five taps of VGG-19
EQUAL_TAPS = (1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class GlobalMotionWeights:
    """Weights of the losses of global motion analysis.

    Args:
        recj: frames composed of what was moved against the next frames, where something moves.
        recf: moved foregrounds against the next ones.
        recb_l1, recb_vgg: moved backgrounds against the next ones, in pixels and in VGG's features.
        binary: masks are 0 or 1.
        size: masks cover a share of the frame.
        size_target: that share, theta.
    """

    recj: float = 1.0
    recf: float = 1.0
    recb_l1: float = 2.0
    recb_vgg: float = 0.02
    binary: float = 0.5
    size: float = 0.1
    size_target: float = 0.06


@dataclass(frozen=True)
class LocalMotionWeights:
    """Weights of the losses of local motion analysis.

    Args:
        recu: drawn foregrounds against real ones, where something moves.
        recs: the same, where moving the last one by its shift does not do.
        vgg: the same in VGG's features.
        cycle: states of drawn foregrounds against states of real ones.
        vq: of the quantiser.
        mask: drawn masks against those of global motion analysis.
    """

    recu: float = 1.0
    recs: float = 1.0
    vgg: float = 1.0
    cycle: float = 0.2
    vq: float = 0.1
    mask: float = 0.2


def perceptual(features: FrozenFeatures, target: Tensor, fake: Tensor) -> Tensor:
    """Sum over the taps of mean absolute differences of pictures ``[..., 3, h, w]`` that go in as they are, in [-1, 1].

    No gradient flows into ``target``.
    """
    return perceptual_loss(features, fake.flatten(0, -4), target.flatten(0, -4), weights=EQUAL_TAPS)


def _motion(first: Tensor, second: Tensor) -> Tensor:
    """``[b, t, 1, h, w]``: differences summed over the colours, without gradients."""
    return (second - first).detach().abs().sum(dim=2, keepdim=True)


def composition_weights(frames: Tensor, composed: Tensor) -> Tensor:
    """Where frames or what was composed for them change: ``[b, t - 1, 1, h, w]``."""
    before = torch.cat([frames[:, :1], composed[:, :-1]], dim=1)
    return _motion(frames[:, :-1], frames[:, 1:]) + _motion(before, composed) + 0.001


def update_weights(foregrounds: Tensor, drawn: Tensor) -> Tensor:
    """Where foregrounds or drawn ones change: ``[b, t - 1, 1, h, w]``."""
    before = torch.cat([foregrounds[:, :1], drawn[:, :-1]], dim=1)
    return _motion(foregrounds[:, :-1], foregrounds[:, 1:]) + _motion(before, drawn)


def residual_weights(foregrounds: Tensor, moved: Tensor, drawn: Tensor) -> Tensor:
    """Where moving the last foreground, or what was drawn, misses the next one: ``[b, t - 1, 1, h, w]``."""
    return _motion(moved, foregrounds[:, 1:]) + _motion(drawn, foregrounds[:, 1:])


def global_motion_losses(
    found: GlobalMotionOutput, weights: GlobalMotionWeights, features: FrozenFeatures | None
) -> dict[str, Tensor]:
    """The six losses of global motion analysis by name, unweighted; what needs features is left out without them."""
    frames, masks = found.frames, found.masks
    composed, backgrounds = found.composed, found.backgrounds[:, 1:]
    where = composition_weights(frames, composed)
    losses = {
        "recj": (where * (frames[:, 1:] - composed).abs()).mean(),
        "recf": F.mse_loss(found.moved_foregrounds, found.foregrounds[:, 1:]),
        "recb_l1": F.l1_loss(found.moved_backgrounds, backgrounds),
        "binary": torch.minimum(masks, 1 - masks).mean(),
        "size": (masks.mean((2, 3, 4)) - weights.size_target).abs().mean(),
    }
    if features is not None and weights.recb_vgg:
        losses["recb_vgg"] = perceptual(features, backgrounds, found.moved_backgrounds)
    return losses


def local_motion_losses(
    drawn: LocalMotionOutput, weights: LocalMotionWeights, features: FrozenFeatures | None
) -> dict[str, Tensor]:
    """The six losses of local motion analysis by name, unweighted, where it sees; nothing flows back into what it saw.

    Raises:
        ValueError: if it saw no masks.
    """
    seen = drawn.seen
    if seen.masks is None:
        raise ValueError("Drawn masks are compared with those of global motion analysis, and there are none.")
    foregrounds = seen.foregrounds.detach()
    target = foregrounds[:, 1:]
    full = drawn.drawn.full
    update = update_weights(foregrounds, full)
    residual = residual_weights(foregrounds, seen.moved_foregrounds, full)
    scales = (drawn.drawn.full, drawn.drawn.half, drawn.drawn.quarter)
    sums: dict[str, list[Tensor]] = {"recu": [], "recs": [], "vgg": []}
    for fake in scales:
        real = _resized(target, fake)
        apart = (real - fake).abs()
        sums["recu"].append((_resized(update, fake) * apart).mean())
        sums["recs"].append((_resized(residual, fake) * apart).mean())
        if features is not None and weights.vgg:
            sums["vgg"].append(perceptual(features, real, fake))
    losses = {name: torch.stack(values).mean() for name, values in sums.items() if values}
    return losses | {
        "cycle": F.l1_loss(drawn.drawn_states, drawn.states[:, 1:].detach()),
        "vq": drawn.actions.loss,
        "mask": F.l1_loss(drawn.drawn.mask, seen.masks[:, 1:].detach()),
    }


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    size = (like.shape[-2], like.shape[-1])
    flat = F.interpolate(x.flatten(0, 1), size=size, mode="bilinear", align_corners=False)
    return flat.unflatten(0, x.shape[:2])


def weighted(losses: Mapping[str, Tensor], weights: GlobalMotionWeights | LocalMotionWeights) -> Tensor:
    """The sum of all losses with their weights."""
    factors = {field.name: getattr(weights, field.name) for field in fields(weights)}
    return torch.stack([factors[name] * loss for name, loss in losses.items()]).sum()
