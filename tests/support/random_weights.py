"""Networks of published shapes with weights that were drawn: for comparing programs, never for measuring."""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from mutoscope.evaluators.i3d import I3D
from mutoscope.evaluators.inception_v3 import InceptionV3


def drawn(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """He-initialised convolutions and statistics of batch normalisation as a trained network might have them."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif key.endswith("running_mean") or (key.endswith("bias") and value.ndim == 1):
            value.normal_(0, 0.1, generator=generator)
        elif value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        else:
            value.fill_(1)
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@lru_cache
def _state(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        network = InceptionV3() if name == "inception" else I3D()
    return drawn(network.to_empty(device="cpu"))


def inception_file(folder: Path) -> Path:
    path = folder / "inception.pth"
    torch.save(_state("inception"), path)
    return path


def i3d_file(folder: Path) -> Path:
    path = folder / "i3d.pt"
    torch.save(_state("i3d"), path)
    return path
