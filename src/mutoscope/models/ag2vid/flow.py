"""Flow network: where every pixel of the next frame comes from in the present one (paper, section 4.2)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.ag2vid.layout_conv import LayoutConv2d, LayoutPair
from mutoscope.nn.spectral import SpectralConv2d

SLOPE = 0.2
MAX_WIDTH = 1024


class ConvNorm(nn.Module):
    """Convolution with spectral norm and without bias, batch norm, LeakyReLU.

    Args:
        conv: the convolution.
    """

    def __init__(self, conv: SpectralConv2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor | LayoutPair) -> Tensor:
        return F.leaky_relu_(self.norm(self.conv(x)), SLOPE)


class ResidualBlock(nn.Module):
    """``x + conv(act(norm(conv(act(norm(x))))))`` at constant width.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_0, self.norm_1 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv_0, self.conv_1 = (SpectralConv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_0(F.leaky_relu_(self.norm_0(x), SLOPE))
        return x + self.conv_1(F.leaky_relu_(self.norm_1(y), SLOPE))


@dataclass(frozen=True)
class FlowSettings:
    """Of the flow network.

    Args:
        width: channels at full resolution, doubled with every halving of it.
        halvings: how often the resolution is halved.
        blocks: residual blocks at the lowest resolution.
        multiplier: the last layer's output times this is the flow in pixels.
    """

    width: int = 32
    halvings: int = 3
    blocks: int = 6
    multiplier: float = 20.0


class FlowNetwork(nn.Module):
    """Encoder, residual blocks, decoder (spec section 5.3).

    Args:
        vectors: channels of a pasted layout ``s``.
        settings: see there.
    """

    def __init__(self, vectors: int, settings: FlowSettings = FlowSettings()) -> None:
        super().__init__()
        self.multiplier = settings.multiplier
        widths = [min(MAX_WIDTH, settings.width * 2**i) for i in range(settings.halvings + 1)]
        self.first = ConvNorm(LayoutConv2d(vectors, widths[0]))
        self.down = nn.ModuleList(
            ConvNorm(SpectralConv2d(c_in, c_out, 3, stride=2, padding=1, bias=False))
            for c_in, c_out in pairwise(widths)
        )
        self.residual = nn.ModuleList(ResidualBlock(widths[-1]) for _ in range(settings.blocks))
        self.up = nn.ModuleList(
            ConvNorm(SpectralConv2d(c_in, c_out, 3, padding=1, bias=False))
            for c_in, c_out in pairwise(reversed(widths))
        )
        self.flow = nn.Conv2d(widths[0], 2, 3, padding=1)
        # Released checkpoints hold a head whose output nothing reads: it is kept beside the rest but never trained.
        self.weight = nn.Conv2d(widths[0], 1, 3, padding=1).requires_grad_(False)

    def encode(self, x: Tensor | LayoutPair) -> Tensor:
        """``[m, 2s + 3, h, w]`` or its factors -> ``[m, c, h / 2^halvings, w / 2^halvings]``."""
        y = self.first(x)
        for layer in self.down:
            y = layer(y)
        return y

    def refine(self, y: Tensor) -> Tensor:
        """Residual blocks, shape unchanged."""
        for block in self.residual:
            y = block(y)
        return y

    def decode(self, y: Tensor) -> Tensor:
        """Back to full resolution: ``[m, width, h, w]``."""
        for layer in self.up:
            y = layer(F.interpolate(y, scale_factor=2, mode="nearest"))
        return y

    def blend_weight(self, features: Tensor) -> Tensor:
        """The unused head on :meth:`decode`'s output: ``[m, 1, h, w]`` in (0, 1)."""
        return torch.sigmoid(self.weight(features))

    def forward(self, x: Tensor | LayoutPair) -> Tensor:
        """``[m, 2s + 3, h, w]`` or its factors -> ``[m, 2, h, w]`` float32 backward flow in pixels, x before y."""
        flow: Tensor = self.flow(self.decode(self.refine(self.encode(x))))
        return flow.to(torch.promote_types(flow.dtype, torch.float32)) * self.multiplier
