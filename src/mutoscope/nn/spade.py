"""Generator with spatially-adaptive normalisation (SPADE: Park, Liu, Wang, Zhu, CVPR 2019)."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from mutoscope.nn.convolution import Conv2d
from mutoscope.nn.spectral import SpectralConv2d, recompute

SLOPE = 0.2
Upsampling = Literal["normal", "more", "most"]


class _Modulation(torch.autograd.Function):
    """``x * (1 + gamma) + beta``, keeping ``x`` and ``gamma`` for the backward pass but not ``beta``."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale_and_shift: Tensor) -> Tensor:
        gamma, beta = scale_and_shift.chunk(2, dim=1)
        gamma = gamma.clone()
        ctx.save_for_backward(x, gamma)
        return torch.addcmul(x + beta, x, gamma)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, gamma = ctx.saved_tensors  # type: ignore[attr-defined]
        return torch.addcmul(gradient, gradient, gamma), torch.cat([gradient * x, gradient], dim=1)


class SpadeNorm(nn.Module):
    """Batch norm whose scale and shift are predicted at every pixel: ``BN(x) * (1 + gamma) + beta``.

    Args:
        channels: of ``x``.
        hidden: channels of the features that scale and shift are predicted from.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulation = Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """``x [b, channels, h, w]``, ``features [b, hidden, h, w]`` -> like ``x``."""
        modulated: Tensor = _Modulation.apply(self.norm(x), self.modulation(features))
        return modulated


class SpadeBlock(nn.Module):
    """Residual block of two modulated convolutions, with a modulated 1x1 shortcut where the width changes.

    The first convolutions of all its modulations read the same segmentation map and are stored as one.

    Args:
        c_in, c_out: channels.
        segmap: channels of the segmentation map.
        hidden: width of the modulations.
    """

    def __init__(self, c_in: int, c_out: int, segmap: int, hidden: int) -> None:
        super().__init__()
        middle = min(c_in, c_out)
        self.norm_0 = SpadeNorm(c_in, hidden)
        self.norm_1 = SpadeNorm(middle, hidden)
        self.conv_0 = SpectralConv2d(c_in, middle, 3, padding=1)
        self.conv_1 = SpectralConv2d(middle, c_out, 3, padding=1)
        self.norm_skip = SpadeNorm(c_in, hidden) if c_in != c_out else None
        self.conv_skip = SpectralConv2d(c_in, c_out, 1, bias=False) if c_in != c_out else None
        self.hidden = hidden
        self.shared = Conv2d(segmap, hidden * (2 if self.norm_skip is None else 3), 3, padding=1)

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        """``x [b, c_in, h, w]``, ``segmap [b, segmap, h, w]`` -> ``[b, c_out, h, w]``."""
        features = F.relu_(self.shared(segmap)).split(self.hidden, dim=1)
        y = self.conv_0(F.leaky_relu_(self.norm_0(x, features[0]), SLOPE))
        y = self.conv_1(F.leaky_relu_(self.norm_1(y, features[1]), SLOPE))
        if self.norm_skip is not None and self.conv_skip is not None:
            x = self.conv_skip(self.norm_skip(x, features[2]))
        return x + y


@dataclass(frozen=True)
class SpadeSettings:
    """Of a generator with spatially-adaptive normalisation.

    Args:
        width: channels at full resolution; 16 times as many at the coarsest.
        hidden: width of the modulations.
        upsampling: ``normal`` begins at 1/32 of the resolution, ``more`` at 1/64 and ``most`` at 1/128.

    Raises:
        ValueError: for an unknown ``upsampling``.
    """

    width: int = 64
    hidden: int = 128
    upsampling: Upsampling = "normal"

    def __post_init__(self) -> None:
        if self.upsampling not in get_args(Upsampling):
            raise ValueError(f"upsampling is '{self.upsampling}', expected one of {', '.join(get_args(Upsampling))}.")


class SpadeGenerator(nn.Module):
    """From a segmentation map (any feature map) to an image, coarse to fine, the map modulating every scale.

    Args:
        segmap: channels of the map.
        settings: see there.
        recomputed: how many of the last (largest) blocks compute their activations again in the backward pass
            instead of keeping them.
    """

    def __init__(self, segmap: int, settings: SpadeSettings = SpadeSettings(), recomputed: int = 0) -> None:
        super().__init__()
        ngf, hidden, upsampling = settings.width, settings.hidden, settings.upsampling
        widths = [16 * ngf, 16 * ngf, 16 * ngf, 16 * ngf, 8 * ngf, 4 * ngf, 2 * ngf, ngf]
        scales = [1, 2, 1 if upsampling == "normal" else 2, 2, 2, 2, 2]
        if upsampling == "most":
            widths, scales = [*widths, ngf // 2], [*scales, 2]
        self.scales = tuple(scales)
        self.hidden, self.recomputed = hidden, recomputed
        self.first = Conv2d(segmap, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(SpadeBlock(c_in, c_out, segmap, hidden) for c_in, c_out in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    @property
    def reduction(self) -> int:
        """How many times smaller than the image the coarsest scale is."""
        return prod(self.scales)

    def forward(self, segmap: Tensor) -> Tensor:
        """``[b, segmap, h, w]`` -> ``[b, 3, h, w]`` in [-1, 1].

        Raises:
            ValueError: if height or width is no multiple of :attr:`reduction`.
        """
        height, width = segmap.shape[-2:]
        if height % self.reduction or width % self.reduction:
            raise ValueError(
                f"This generator makes images whose sides are multiples of {self.reduction}, not {height}x{width}."
            )
        maps = self._pyramid(segmap)
        x = self.first(maps[0])
        for i, (block, scale) in enumerate(zip(self.blocks, self.scales, strict=True)):
            x = F.interpolate(x, scale_factor=scale, mode="nearest") if scale > 1 else x
            if self.recomputed > len(self.blocks) - 1 - i and torch.is_grad_enabled():
                x = recompute(block, block, x, maps[i])
            else:
                x = block(x, maps[i])
        return torch.tanh(self.last(F.leaky_relu(x, SLOPE)))

    def _pyramid(self, segmap: Tensor) -> list[Tensor]:
        """The map at the scale of every block (nearest neighbour), each scale made once."""
        maps = [segmap]
        for scale in reversed(self.scales[1:]):
            maps.append(maps[-1] if scale == 1 else maps[-1][..., ::scale, ::scale])
        return maps[::-1]
