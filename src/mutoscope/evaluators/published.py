"""Metrics that look through published weights, which lie in files: nothing is downloaded, nothing left random."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from mutoscope.evaluators.smoke import drawn_weights, smoke_digest
from mutoscope.formats.backbones import backbone_weights
from mutoscope.formats.weights import SMOKE
from mutoscope.metrics.lpips import LPIPS, TOWERS, Backbone, LPIPSNetwork
from mutoscope.nn.feature_tower import PREFIX, layers_of


class PretrainedLPIPS(LPIPS):
    """LPIPS with torchvision's backbone from a file and the channel weights (version 0.1) of the package ``lpips``.

    Args:
        net: ``alex`` (the paper's), ``squeeze`` or ``vgg``; values of different backbones cannot be compared.
        weights: file of the backbone; ``None`` looks where torchvision keeps downloads; ``smoke`` draws them.
        skip_first, chunk: see :class:`~mutoscope.metrics.lpips.LPIPS`.

    Raises:
        MissingWeightsError: if there is no such file; the sentence says where one is looked for.
        ValueError: for another backbone, or a file of something else.
    """

    def __init__(
        self, net: Backbone = "alex", weights: str | None = None, skip_first: bool = False, chunk: int = 64
    ) -> None:
        super().__init__(lpips_network(net, weights), skip_first, chunk)


def lpips_network(net: Backbone, weights: str | Path | None = None) -> LPIPSNetwork:
    """The network of :class:`PretrainedLPIPS`, which see."""
    if net not in TOWERS:
        raise ValueError(f"net is '{net}', expected one of {', '.join(TOWERS)}.")
    if weights == SMOKE:
        tower = TOWERS[net]
        state = drawn_weights(partial(layers_of, tower.model, tower.taps[-1]))
        network = LPIPSNetwork(net, {f"{PREFIX}{key}": value for key, value in state.items()}, _channel_weights(net))
        network.digest = smoke_digest(state)
        return network
    return LPIPSNetwork(net, backbone_weights(TOWERS[net].model, weights), _channel_weights(net))


def _channel_weights(net: Backbone) -> dict[str, Tensor]:
    # importing the package would import torchvision's whole model zoo; only its files are wanted
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "LPIPS needs the channel weights of the package lpips; install it: pip install lpips."
        )
    path = Path(spec.origin).parent / "weights" / "v0.1" / f"{net}.pth"
    # the published files were saved on a GPU, with gradients
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.detach() for name, value in state.items()}
