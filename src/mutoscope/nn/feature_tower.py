"""The convolutional part of torchvision's classifiers, frozen: what perceptual losses and LPIPS look through."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mutoscope.nn.convolution import FrozenConv3x3

#: in front of a layer's name in the state dictionaries of torchvision's classifiers
PREFIX = "features."


def layers_of(architecture: str, last: int, *, quick: bool = False) -> nn.Sequential:
    """Layers of a classifier's convolutional part, without storage (on the ``meta`` device).

    Args:
        architecture: as torchvision calls it, e.g. ``vgg19``.
        last: number of the last layer wanted.
        quick: for VGGs, all of whose convolutions are 3x3: take those of :mod:`~mutoscope.nn.convolution`, whose
            results differ by rounding.
    """
    # slow to load, and most runs look through no such network
    from torchvision import models

    with torch.device("meta"):
        # without weights VGGs would draw random ones
        untouched = {"init_weights": False} if architecture.startswith("vgg") else {}
        layers: nn.Sequential = models.get_model(architecture, weights=None, **untouched).features[: last + 1]
        for i, layer in enumerate(layers):
            if quick and isinstance(layer, nn.Conv2d):
                layers[i] = FrozenConv3x3(layer.in_channels, layer.out_channels)
    return layers


def freeze(layers: nn.Sequential, weights: Mapping[str, Tensor], name: str) -> None:
    """Give layers their weights, for good: they are never trained.

    Args:
        layers: without storage.
        weights: ``features.<layer>.*``; other entries are left out.
        name: of the network, for messages.

    Raises:
        ValueError: if weights are missing or have other shapes.
    """
    wanted = {key: tuple(x.shape) for key, x in layers.state_dict().items()}
    for key, shape in wanted.items():
        found = weights.get(PREFIX + key)
        if found is None or tuple(found.shape) != shape:
            here = "is missing" if found is None else f"has shape {list(found.shape)}"
            raise ValueError(f"The weights do not fit {name}: '{PREFIX}{key}' {here}, expected {list(shape)}.")
    layers.load_state_dict({key: weights[PREFIX + key].detach().float() for key in wanted}, assign=True)
    layers.requires_grad_(False).eval()


def stages(layers: nn.Sequential, taps: Sequence[int]) -> Iterator[nn.Sequential]:
    """The layers from one tap (the number of a layer whose output is wanted, ascending) to the next."""
    for first, last in pairwise((-1, *taps)):
        yield layers[first + 1 : last + 1]
