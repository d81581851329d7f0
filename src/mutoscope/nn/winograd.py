"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3) (Lavin and Gray, CVPR 2016).

The picture is cut into tiles of 4x4 outputs. Transformed tiles of 6x6 inputs and transformed kernels are multiplied
point by point, which for many channels is 36 matrix products, and what comes out is transformed back. All of it is
linear, so gradients go the same way in the opposite direction. Rounding errors are about four times those of a direct
convolution (2e-6 of the result in single precision).

oneDNN, which convolves on CPUs for PyTorch, only has the direct method; on GPUs cuDNN chooses this one by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

#: outputs along the side of a tile, and inputs they depend on
OUT, IN = 4, 6
#: numbers in a work space: transformed tiles should stay in the processor's cache until they are used
WORK = 5_000_000

# transforms for the points 0, 1, -1, 2, -2 and infinity: of inputs, of kernels, and of products to outputs
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)`` for 3x3 kernels; cannot be differentiated twice.

    Args:
        x: ``[n, c, h, w]`` float32 or float64.
        weight: ``[out, c, 3, 3]`` of the same precision.
        bias: ``[out]``.

    Returns:
        ``[n, out, h, w]``, channels last in memory.
    """
    found: Tensor = _Winograd.apply(x, weight, bias)
    return found


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        tiling = _Tiling.of(x, len(weight))
        kernels = _along_both(_matrix(_KERNEL, x), weight.permute(2, 3, 1, 0)).flatten(0, 1)
        back = _matrix(_OUTPUT, x)
        size = (len(x), len(weight), OUT * tiling.rows, OUT * tiling.columns)
        found = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        tiles, products = tiling.workspace(x, x.shape[1]), tiling.workspace(x, len(weight))
        for part in tiling.parts():
            seen = part.transformed(x, tiles)
            product = torch.bmm(seen, kernels, out=part.view(products, len(weight)))
            result = _along_both(back, product.unflatten(0, (IN, IN)))
            part.blocks(found.permute(0, 2, 3, 1)).copy_(part.grid(result if bias is None else result.add_(bias)))
        # never a view, which could not be changed in place
        return found if found.shape[2:] == x.shape[2:] else found[..., : x.shape[2], : x.shape[3]].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        for_x, for_weight, for_bias = ctx.needs_input_grad  # type: ignore[attr-defined]
        tiling = _Tiling.of(x, len(weight))
        forth, back = _matrix(_OUTPUT, x).T, _matrix(_INPUT, x).T
        kernels = _along_both(_matrix(_KERNEL, x), weight.permute(2, 3, 0, 1)).flatten(0, 1) if for_x else None
        total = x.new_zeros(IN * IN, x.shape[1], len(weight)) if for_weight else None
        # one row and one column of tiles more than there are, since inputs reach into the next tile
        spread = x.new_zeros(len(x), OUT * tiling.rows + OUT, OUT * tiling.columns + OUT, x.shape[1]) if for_x else None
        tiles, products = tiling.workspace(x, x.shape[1]), tiling.workspace(x, len(weight))
        given = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, -x.shape[3] % OUT, 0, -x.shape[2] % OUT))
        for part in tiling.parts():
            blocks = part.blocks(given).reshape(OUT, OUT, -1, len(weight))
            product = part.view(products, len(weight)).copy_(_along_both(forth, blocks).flatten(0, 1))
            if total is not None:
                total.baddbmm_(part.transformed(x, tiles).transpose(1, 2), product)
            if kernels is not None and spread is not None:
                seen = torch.bmm(product, kernels, out=part.view(tiles, x.shape[1]))
                part.add_tiles(spread, _along_both(back, seen.unflatten(0, (IN, IN))))
        of_x = of_weight = None
        if spread is not None:
            of_x = spread[:, 1 : x.shape[2] + 1, 1 : x.shape[3] + 1].permute(0, 3, 1, 2)
        if total is not None:
            kernel = _along_both(_matrix(_KERNEL, x).T, total.unflatten(0, (IN, IN)))
            of_weight = kernel.permute(3, 2, 0, 1).contiguous()
        return of_x, of_weight, gradient.sum((0, 2, 3)) if for_bias else None


def _matrix(rows: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _along_both(matrix: Tensor, x: Tensor) -> Tensor:
    """``[k, k, ..., c]`` -> ``[m, m, ..., c]``: the matrix ``[m, k]`` applied along the first two axes."""
    rows = (matrix @ x.flatten(1)).view(len(matrix), x.shape[1], -1)
    return torch.matmul(matrix, rows).view(len(matrix), len(matrix), *x.shape[2:])


@dataclass(frozen=True)
class _Tiling:
    """How pictures are cut: rows and columns of tiles, and how many of them are worked off at a time.

    Args:
        count: pictures.
        rows, columns: of tiles in a picture.
        pictures: worked off together, ...
        height: ... and rows of tiles of each.
    """

    count: int
    rows: int
    columns: int
    pictures: int
    height: int

    @classmethod
    def of(cls, x: Tensor, out: int) -> "_Tiling":
        rows, columns = -(-x.shape[2] // OUT), -(-x.shape[3] // OUT)
        fitting = max(1, WORK // (IN * IN * columns * max(x.shape[1], out)))
        return cls(len(x), rows, columns, max(1, min(fitting // rows, len(x))), min(fitting, rows))

    def parts(self) -> "Iterator[_Part]":
        for first in range(0, self.count, self.pictures):
            for top in range(0, self.rows, self.height):
                yield _Part(
                    slice(first, min(first + self.pictures, self.count)),
                    slice(top, min(top + self.height, self.rows)),
                    self.columns,
                )

    def workspace(self, like: Tensor, channels: int) -> Tensor:
        return like.new_empty(IN * IN * self.pictures * self.height * self.columns * channels)


@dataclass(frozen=True)
class _Part:
    """Tiles that are worked off together: all columns of some rows of some pictures.

    Args:
        pictures, rows: which.
        columns: of tiles.
    """

    pictures: slice
    rows: slice
    columns: int

    @property
    def grid_size(self) -> tuple[int, int, int]:
        return self.pictures.stop - self.pictures.start, self.rows.stop - self.rows.start, self.columns

    def view(self, workspace: Tensor, channels: int) -> Tensor:
        """``[36, tiles, channels]`` at the beginning of a work space."""
        tiles = prod(self.grid_size)
        return workspace[: IN * IN * tiles * channels].view(IN * IN, tiles, channels)

    def grid(self, tiles: Tensor) -> Tensor:
        """``[k, k, tiles, c]`` -> ``[k, k, pictures, rows, columns, c]``."""
        return tiles.unflatten(2, self.grid_size)

    def blocks(self, pictures: Tensor) -> Tensor:
        """The part's 4x4 blocks in ``[n, h, w, c]`` as a view ``[4, 4, pictures, rows, columns, c]``."""
        strip = pictures[self.pictures, OUT * self.rows.start : OUT * self.rows.stop]
        return strip.unflatten(2, (self.columns, OUT)).unflatten(1, (-1, OUT)).permute(2, 4, 0, 1, 3, 5)

    def transformed(self, x: Tensor, workspace: Tensor) -> Tensor:
        """``[36, tiles, c]``: what the tiles see of ``x [n, c, h, w]``, zero outside, transformed."""
        top, bottom = OUT * self.rows.start - 1, OUT * self.rows.stop + 1
        strip = x.permute(0, 2, 3, 1)[self.pictures, max(top, 0) : bottom]
        below = bottom - max(top, 0) - strip.shape[1]
        strip = F.pad(strip, (0, 0, 1, OUT * self.columns + 1 - x.shape[3], max(-top, 0), below))
        tiles = strip.unfold(1, IN, OUT).unfold(2, IN, OUT).permute(4, 5, 0, 1, 2, 3)
        seen = self.view(workspace, x.shape[1]).unflatten(0, (IN, IN))
        self.grid(seen).copy_(tiles)
        return _along_both(_matrix(_INPUT, x), seen).flatten(0, 1)

    def add_tiles(self, pictures: Tensor, tiles: Tensor) -> None:
        """Add tiles ``[6, 6, tiles, c]`` where they lie in ``[n, h + 4, w + 4, c]``; neighbours overlap."""
        strip = pictures[self.pictures, OUT * self.rows.start : OUT * (self.rows.stop + 1)]
        blocks = strip.unflatten(2, (self.columns + 1, OUT)).unflatten(1, (-1, OUT)).permute(2, 4, 0, 1, 3, 5)
        given = self.grid(tiles)
        over = IN - OUT
        blocks[:, :, :, :-1, :-1] += given[:OUT, :OUT]
        blocks[:over, :, :, 1:, :-1] += given[OUT:, :OUT]
        blocks[:, :over, :, :-1, 1:] += given[:OUT, OUT:]
        blocks[:over, :over, :, 1:, 1:] += given[OUT:, OUT:]
