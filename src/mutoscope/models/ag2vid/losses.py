"""What AG2Vid's frame generator and its discriminator minimise (paper, section 4.3; spec section 7).

All are computed in float32 at least, whatever the features' precision. The loss of the layouts stands beside their
generators, in ``layout.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

AdversarialKind = Literal["hinge", "least_squares", "cross_entropy"]

#: outputs of all layers of one scale's network, the last being its logits
ScaleFeatures = Sequence[Tensor]


@dataclass(frozen=True)
class LossWeights:
    """Of the terms of the total loss; the defaults are the paper's.

    Args:
        adversarial: lambda_A.
        feature_matching, perceptual: lambda_P, for the discriminator's features and for those of VGG.
        flow: lambda_F.
        layout: lambda_B.
        pixel: of the squared difference between frames, which neither paper nor original has; off by default.
    """

    adversarial: float = 1.0
    feature_matching: float = 10.0
    perceptual: float = 10.0
    flow: float = 10.0
    layout: float = 10.0
    pixel: float = 0.0

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0:
            raise ValueError(f"Weights of losses cannot be negative, got {self}.")


class FrameLosses(NamedTuple):
    """Terms of the frame generator's loss, scalars without their weights; ``None`` where left out."""

    adversarial: Tensor | None
    feature_matching: Tensor | None
    perceptual: Tensor | None
    flow: Tensor
    pixel: Tensor | None = None

    def total(self, weights: LossWeights) -> Tensor:
        """Weighted sum of the terms that are there."""
        terms = [getattr(weights, name) * term for name, term in self._asdict().items() if term is not None]
        return torch.stack(terms).sum()


class DiscriminatorLosses(NamedTuple):
    """What real and generated frames cost the discriminator, scalars."""

    real: Tensor
    fake: Tensor

    @property
    def total(self) -> Tensor:
        return self.real + self.fake


def generator_adversarial_loss(fake: Sequence[ScaleFeatures], kind: AdversarialKind = "hinge") -> Tensor:
    """How well generated frames pass for real, averaged over the scales: ``-mean(logits)`` for the hinge.

    Args:
        fake: features per scale, logits last.
        kind: ``hinge`` as released, ``cross_entropy`` as in the paper (equation 2), or ``least_squares``.

    Raises:
        ValueError: for an unknown kind.
    """
    _check(kind)
    logits = [_widen(scale[-1]) for scale in fake]
    if kind == "hinge":
        return torch.stack([-x.mean() for x in logits]).mean()
    return _towards(logits, 1.0, kind)


def discriminator_loss(
    real: Sequence[ScaleFeatures], fake: Sequence[ScaleFeatures], kind: AdversarialKind = "hinge"
) -> DiscriminatorLosses:
    """``mean(relu(1 - real))`` and ``mean(relu(1 + fake))`` for the hinge, each averaged over the scales.

    Args:
        real, fake: features per scale, logits last; the fake frames must not carry gradients.
        kind: see :func:`generator_adversarial_loss`.

    Raises:
        ValueError: for an unknown kind.
    """
    _check(kind)
    on_real, on_fake = ([_widen(scale[-1]) for scale in scales] for scales in (real, fake))
    if kind == "hinge":
        return DiscriminatorLosses(
            torch.stack([F.relu(1 - x).mean() for x in on_real]).mean(),
            torch.stack([F.relu(1 + x).mean() for x in on_fake]).mean(),
        )
    return DiscriminatorLosses(_towards(on_real, 1.0, kind), _towards(on_fake, 0.0, kind))


def feature_matching_loss(real: Sequence[ScaleFeatures], fake: Sequence[ScaleFeatures]) -> Tensor:
    """Mean absolute difference in every layer but the logits, summed over layers, averaged over scales.

    Args:
        real: features per scale; no gradient flows into them.
        fake: features of as many scales and layers, of the same shapes.
    """
    distances = [
        F.l1_loss(_widen(of_fake), _widen(of_real.detach()))
        for on_real, on_fake in zip(real, fake, strict=True)
        for of_real, of_fake in zip(on_real[:-1], on_fake[:-1], strict=True)
    ]
    return torch.stack(distances).sum() / len(real)


def flow_loss(warped: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference between real previous frames moved by the flow and the real frames.

    Args:
        warped, target: ``[b, t - 1, 3, h, w]``.
    """
    return F.l1_loss(_widen(warped), _widen(target))


def _towards(logits: Sequence[Tensor], goal: float, kind: AdversarialKind) -> Tensor:
    distance = F.mse_loss if kind == "least_squares" else F.binary_cross_entropy_with_logits
    return torch.stack([distance(x, torch.full_like(x, goal)) for x in logits]).mean()


def _check(kind: str) -> None:
    if kind not in get_args(AdversarialKind):
        raise ValueError(
            f"There is no adversarial loss '{kind}'; choose one of {', '.join(get_args(AdversarialKind))}."
        )


def _widen(x: Tensor) -> Tensor:
    """To float32 where a tensor is narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
