"""Where the weights of the networks behind perceptual losses lie. Imports no torch: their absence is told soon."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mutoscope.formats.backbones import find_backbone
from mutoscope.formats.weights import MissingWeightsError

Backbone = Literal["vgg19", "squeezenet"]
#: networks whose weights are files, as torchvision calls them
BACKBONES = {"vgg19": "vgg19", "squeezenet": "squeezenet1_1"}


def find_perceptual(name: Backbone, path: str | None, node: str = "model", without: Sequence[str] = ("none",)) -> Path:
    """The file with the weights of the network of a perceptual loss.

    Args:
        name: of the network.
        path: the file; torchvision's cache by default.
        node: of the settings ``perceptual`` and ``perceptual_weights``, for the message.
        without: values of the former that need no file.

    Raises:
        MissingWeightsError: if it is neither at ``path`` nor in torchvision's cache.
    """
    try:
        return find_backbone(BACKBONES[name], path)
    except MissingWeightsError as error:
        needless = " and ".join(f"{node}.perceptual={value}" for value in without)
        raise MissingWeightsError(
            f"{error} The setting is {node}.perceptual_weights=<file>; "
            f"{needless} need{'s' if len(without) == 1 else ''} no file.",
            error.named,
        ) from error
