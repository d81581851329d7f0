"""3x3x3 convolutions of clips with a quarter of the multiplications: F(4x4, 3x3) over space, three taps over time.

Every frame's tiles are transformed once, and a frame of the result is the sum of three matrix products, with the
frames before, at and after it. For networks that are only looked through: there are no gradients, and kernels are
transformed once. See :mod:`~mutoscope.nn.winograd` for the method.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.winograd import IN, INPUT, KERNEL, OUT, OUTPUT, WORK, for_both

#: twice as fast from these channels and pixels on, measured; little is left to gain below
NARROWEST, SMALLEST = 32, 14


def pays(inputs: int, height: int, width: int) -> bool:
    """Whether a processor is quicker this way for so many channels and rows and columns of the result."""
    return inputs >= NARROWEST and min(height, width) >= SMALLEST


class FrozenConv3x3x3(nn.Module):
    """A convolution in three dimensions, without padding and with frozen weights, quicker on processors.

    ``forward`` takes ``[n, c, t, h, w]`` and gives ``[n, out, t - 2, h - 2, w - 2]``: up to rounding what the layer
    gives it is made from, by which it is computed on other devices and where it is :func:`not quicker <pays>`.

    Args:
        conv: with kernels of 3x3x3, no padding and a stride of 1.

    Raises:
        ValueError: for other layers.
    """

    kernels: Tensor

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
        if plain != ((3, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1):
            raise ValueError(f"Expected a convolution of 3x3x3 with neither padding nor strides, got {conv}.")
        self.kernel_size = conv.kernel_size
        self.weight = nn.Parameter(conv.weight.detach(), requires_grad=False)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach(), requires_grad=False)
        taps = self.weight.permute(2, 3, 4, 1, 0).reshape(3, 9, -1)
        kernels = (for_both(KERNEL, taps) @ taps).view(3, IN * IN, conv.in_channels, conv.out_channels)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not pays(x.shape[1], x.shape[3] - 2, x.shape[4] - 2):
            return F.conv3d(x, self.weight, self.bias)
        return self.transformed(x)

    @torch.no_grad()
    def transformed(self, x: Tensor) -> Tensor:
        """The result by transformed tiles, whatever :func:`pays`; channels last in memory."""
        frames, height, width = (size - 2 for size in x.shape[2:])
        rows, columns, out = -(-height // OUT), -(-width // OUT), self.kernels.shape[3]
        below, right = OUT * rows - height, OUT * columns - width
        found = x.new_empty(len(x), frames, OUT * rows, OUT * columns, out)
        forth, back = for_both(INPUT, x), for_both(OUTPUT, x)
        at_once = max(1, WORK // (IN * IN * columns * frames * max(x.shape[1], out)))
        for clip, into in zip(x, found, strict=True):
            seen = F.pad(clip.permute(1, 2, 3, 0).contiguous(), (0, 0, 0, right, 0, below))
            for top in range(0, rows, at_once):
                bottom = min(top + at_once, rows)
                strip = seen[:, OUT * top : OUT * bottom + IN - OUT]
                tiles = strip.unfold(1, IN, OUT).unfold(2, IN, OUT).permute(4, 5, 0, 1, 2, 3)
                inputs = (forth @ tiles.reshape(IN * IN, -1)).view(IN * IN, frames + 2, -1, x.shape[1])
                product = torch.bmm(inputs[:, :frames].flatten(1, 2), self.kernels[0])
                for tap in (1, 2):
                    product.baddbmm_(inputs[:, tap : tap + frames].flatten(1, 2), self.kernels[tap])
                result = back @ product.flatten(1)
                result = result.view(OUT, OUT, frames, bottom - top, columns, out)
                result = result if self.bias is None else result.add_(self.bias)
                part = into[:, OUT * top : OUT * bottom].unflatten(2, (columns, OUT)).unflatten(1, (-1, OUT))
                part.permute(2, 4, 0, 1, 3, 5).copy_(result)
        return found[:, :, :height, :width].permute(0, 4, 1, 2, 3)
