"""Distances between pictures in the features of networks trained on ImageNet (Johnson et al. 2016)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.nn.feature_tower import freeze, layers_of, stages

#: of the taps from fine to coarse (pix2pixHD; AG2Vid, section 4.3)
TAP_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


class FrozenFeatures(nn.Module):
    """The convolutional part of a classifier as far as its last tap: never trained, never in a checkpoint.

    Args:
        layers: built without storage (on the ``meta`` device).
        taps: numbers of the layers whose outputs are features, ascending.
        weights: ``features.<layer>.*``; entries of later layers are left out.
        name: of the network, for messages.

    Raises:
        ValueError: if weights are missing or have other shapes.
    """

    def __init__(
        self, layers: nn.Sequential, taps: Sequence[int], weights: Mapping[str, Tensor], name: str = "these layers"
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.features = layers[: self.taps[-1] + 1]
        freeze(self.features, weights, name)
        self.eval()
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_pre_hook(_put_back)

    def stages(self) -> Iterator[nn.Sequential]:
        """The layers from one tap to the next."""
        return stages(self.features, self.taps)

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[n, 3, h, w]`` normalised by ImageNet's mean and deviation -> one ``[n, c, h', w']`` per tap."""
        found = []
        for stage in self.stages():
            images = stage(images)
            found.append(images)
        return found


class Vgg19Features(FrozenFeatures):
    """VGG-19 after relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1; input at least 16 pixels wide."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__(layers_of("vgg19", 29, quick=True), (1, 6, 11, 20, 29), weights, "VGG-19")


class SqueezeFeatures(FrozenFeatures):
    """SqueezeNet 1.1 at the ends of its four resolutions and in the middle of the last; small and quick."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__(layers_of("squeezenet1_1", 12), (1, 4, 7, 10, 12), weights, "SqueezeNet 1.1")


def perceptual_loss(
    features: FrozenFeatures, fake: Tensor, real: Tensor, weights: Sequence[float] = TAP_WEIGHTS
) -> Tensor:
    """Weighted mean absolute differences at the taps (AG2Vid, section 4.3; GLASS, section 3.3).

    Args:
        features: where to compare.
        fake: ``[n, 3, h, w]`` as the network is to see it, for AG2Vid normalised by ImageNet's mean and deviation.
        real: the same shape; no gradient flows into it.
        weights: one per tap.

    Returns:
        scalar, at least float32, not yet multiplied by its weight among the losses.
    """
    precise = torch.promote_types(fake.dtype, torch.float32)
    total = fake.new_zeros((), dtype=precise)
    real = real.detach()
    for stage, weight in zip(features.stages(), weights, strict=True):
        fake = stage(fake)
        with torch.no_grad():
            real = stage(real)
        total = total + weight * F.l1_loss(fake.to(precise), real.to(precise))
    return total


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name, _parameter in module.named_parameters():
        state.pop(prefix + name, None)


def _put_back(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, parameter in module.named_parameters():
        state.setdefault(prefix + name, parameter)
