"""The networks behind perceptual losses."""

from collections.abc import Sequence

from mutoscope.formats.backbones import backbone_weights
from mutoscope.models.perceptual_files import BACKBONES, Backbone, find_perceptual
from mutoscope.nn.perceptual import FrozenFeatures, SqueezeFeatures, Vgg19Features


def load_perceptual(
    name: Backbone, path: str | None, node: str = "model", without: Sequence[str] = ("none",)
) -> FrozenFeatures:
    """The network of a perceptual loss with its published weights; raises as :func:`find_perceptual` does."""
    weights = backbone_weights(BACKBONES[name], find_perceptual(name, path, node, without))
    return Vgg19Features(weights) if name == "vgg19" else SqueezeFeatures(weights)
