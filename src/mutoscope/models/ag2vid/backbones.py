"""The networks behind AG2Vid's perceptual loss, and where their weights are found."""

from pathlib import Path

from mutoscope.formats.backbones import MissingBackboneError, backbone_weights, find_backbone
from mutoscope.models.ag2vid.settings import BACKBONES
from mutoscope.nn.perceptual import FrozenFeatures, SqueezeFeatures, Vgg19Features


def load_perceptual(name: str, path: str | None) -> FrozenFeatures:
    """The network of a perceptual loss with its published weights; raises as :func:`find_perceptual` does."""
    weights = backbone_weights(BACKBONES[name], find_perceptual(name, path))
    return Vgg19Features(weights) if name == "vgg19" else SqueezeFeatures(weights)


def find_perceptual(name: str, path: str | None) -> Path:
    """The file with the weights of the network of a perceptual loss.

    Args:
        name: ``vgg19`` or ``squeezenet``.
        path: of the file; torchvision's cache by default.

    Raises:
        MissingBackboneError: if it is neither at ``path`` nor in torchvision's cache.
    """
    try:
        return find_backbone(BACKBONES[name], path)
    except MissingBackboneError as error:
        raise MissingBackboneError(
            f"{error} The setting is model.frames.perceptual_weights=<file>; model.frames.perceptual=discriminator and "
            "model.frames.perceptual=none need no file.",
            error.named,
        ) from error
