"""3x3x3 convolutions of clips with an eighth of the multiplications: Winograd's F(4x4x4, 3x3x3).

Over time tiles are transformed first, where they are fewest, then over space; what remains are 216 matrix products, one
for every point. For networks that are only looked through: there are no gradients, and kernels are transformed once.
See :mod:`~mutoscope.nn.winograd` for the method.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.pooled_tiles import add_pooled
from mutoscope.nn.winograd import IN, INPUT, KERNEL, OUT, OUTPUT, WORK, for_both

#: quicker from these channels and pixels on, measured; with less there are too few tiles for so many kernels
NARROWEST, SMALLEST = 16, 14
#: the point 1 of all three axes, which every output of a tile has as it is
ONES = IN * IN + IN + 1


def pays(inputs: int, height: int, width: int) -> bool:
    """Whether a processor is quicker this way for so many channels and rows and columns of the result."""
    return inputs >= NARROWEST and min(height, width) >= SMALLEST


@dataclass(frozen=True)
class Tiling:
    """How results of a convolution are cut into tiles of 4x4x4.

    Args:
        frames, height, width: of the results.
    """

    frames: int
    height: int
    width: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tiles along each axis."""
        return -(-self.frames // OUT), -(-self.height // OUT), -(-self.width // OUT)

    def room(self, like: Tensor, clips: int, channels: int) -> Tensor:
        """Zeros for all that the tiles see of clips: ``[n, frames, rows, columns, channels]``."""
        return like.new_zeros(clips, *(OUT * count + IN - OUT for count in self.counts), channels)

    def inside(self, room: Tensor) -> Tensor:
        """The part of it where inputs belong whose padding is 1."""
        return room[:, 1 : self.frames + 1, 1 : self.height + 1, 1 : self.width + 1]


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
        taps = self.weight.permute(3, 4, 2, 1, 0).reshape(27, -1)
        over_time = torch.tensor(KERNEL, dtype=taps.dtype, device=taps.device)
        kernels = torch.kron(for_both(KERNEL, taps), over_time) @ taps
        self.register_buffer("kernels", kernels.view(IN**3, conv.in_channels, conv.out_channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not pays(x.shape[1], x.shape[3] - 2, x.shape[4] - 2):
            return F.conv3d(x, self.weight, self.bias)
        return self.transformed(x)

    @torch.no_grad()
    def transformed(self, x: Tensor) -> Tensor:
        """The result by transformed tiles, whatever :func:`pays`; channels last in memory."""
        tiling = Tiling(*(size - 2 for size in x.shape[2:]))
        room = tiling.room(x, len(x), x.shape[1])
        room[:, : x.shape[2], : x.shape[3], : x.shape[4]] = x.permute(0, 2, 3, 4, 1)
        return self.in_room(room, tiling).permute(0, 4, 1, 2, 3)

    @torch.no_grad()
    def in_room(self, room: Tensor, tiling: Tiling) -> Tensor:
        """The result for what lies in a :meth:`room <Tiling.room>`, ``[n, t, h, w, out]``."""
        depth, rows, columns = tiling.counts
        found = room.new_empty(len(room), OUT * depth, OUT * rows, OUT * columns, self.kernels.shape[2])
        by_tiles = found.unflatten(3, (columns, OUT)).unflatten(2, (rows, OUT)).unflatten(1, (depth, OUT))
        by_tiles = by_tiles.permute(4, 6, 2, 0, 1, 3, 5, 7)
        for top, blocks in self._strips(room):
            by_tiles[:, :, :, :, :, top : top + blocks.shape[5]] = blocks
        return found[:, : tiling.frames, : tiling.height, : tiling.width]

    @torch.no_grad()
    def pooled_in_room(self, room: Tensor, tiling: Tiling) -> Tensor:
        """The largest of 3x3 results, every other row and column, as TensorFlow's SAME: ``[n, t, h / 2, w / 2, out]``.

        Raises:
            ValueError: for heights and widths that tiles do not fill.
        """
        if tiling.height % OUT or tiling.width % OUT:
            raise ValueError(f"Got {tiling.height}x{tiling.width} pixels, expected multiples of {OUT}.")
        depth, rows, columns = tiling.counts
        found = room.new_empty(len(room), OUT * depth, 2 * rows, 2 * columns, self.kernels.shape[2])
        by_tiles = found.unflatten(1, (depth, OUT)).permute(2, 0, 1, 3, 4, 5)
        for top, blocks in self._strips(room):
            add_pooled(blocks, by_tiles, top)
        return found[:, : tiling.frames]

    def _strips(self, room: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The first row of some tiles, and their results ``[y, x, t, n, tiles of t, rows, columns, out]``."""
        depth, rows, columns = ((size - IN + OUT) // OUT for size in room.shape[1:4])
        inputs, outputs = self.kernels.shape[1:]
        at_once = max(1, WORK // (IN**3 * len(room) * depth * columns * max(inputs, outputs)))
        over_time, back_over_time = (torch.tensor(table, dtype=room.dtype) for table in (INPUT, OUTPUT))
        forth, back = for_both(INPUT, room), for_both(OUTPUT, room)
        timed = room.new_empty(len(room), depth, IN, *room.shape[2:])
        for clip, of_clip in zip(room, timed, strict=True):
            for i, tiles in enumerate(of_clip):
                torch.mm(over_time, clip[OUT * i : OUT * i + IN].flatten(1), out=tiles.flatten(1))
        for top in range(0, rows, at_once):
            bottom = min(top + at_once, rows)
            strip = timed[:, :, :, OUT * top : OUT * bottom + IN - OUT]
            tiles = strip.unfold(3, IN, OUT).unfold(4, IN, OUT).permute(6, 7, 2, 0, 1, 3, 4, 5)
            seen = forth @ tiles.reshape(IN * IN, -1)
            product = torch.bmm(seen.view(IN**3, -1, inputs), self.kernels)
            if self.bias is not None:
                product[ONES] += self.bias
            product = torch.matmul(back_over_time, product.view(IN * IN, IN, -1))
            result = back @ product.flatten(1)
            yield top, result.view(OUT, OUT, OUT, len(room), depth, bottom - top, columns, outputs)
