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
WORK = 2_500_000

# transforms for the points 0, 1, -1, 2, -2 and infinity: of inputs, of kernels, and of products to outputs
INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


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
        kernels, back = _transformed_kernels(weight).transpose(1, 2), for_both(OUTPUT, x)
        size = (len(x), len(weight), OUT * tiling.rows, OUT * tiling.columns)
        found = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        tiles, products = tiling.workspace(x, x.shape[1]), tiling.workspace(x, len(weight))
        for part in tiling.parts():
            seen = part.transformed(x, tiles)
            product = torch.bmm(seen, kernels, out=part.view(products, len(weight)))
            result = (back @ product.flatten(1)).view(OUT, OUT, -1, len(weight))
            part.blocks(found.permute(0, 2, 3, 1)).copy_(part.grid(result if bias is None else result.add_(bias)))
        # never a view, which could not be changed in place
        return found if found.shape[2:] == x.shape[2:] else found[..., : x.shape[2], : x.shape[3]].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        for_x, for_weight, for_bias = ctx.needs_input_grad  # type: ignore[attr-defined]
        tiling = _Tiling.of(x, len(weight))
        forth, back = for_both(OUTPUT, x).T, for_both(INPUT, x).T
        kernels = _transformed_kernels(weight) if for_x else None
        total: Tensor | None = None
        of_x = torch.empty_like(x, memory_format=torch.channels_last) if for_x else None
        tiles, products = tiling.workspace(x, x.shape[1]), tiling.workspace(x, len(weight))
        given = gradient.permute(0, 2, 3, 1)
        if x.shape[2] % OUT or x.shape[3] % OUT:
            given = F.pad(given, (0, 0, 0, -x.shape[3] % OUT, 0, -x.shape[2] % OUT))
        for part in tiling.parts():
            blocks = part.blocks(given).reshape(OUT * OUT, -1)
            product = part.view(products, len(weight))
            torch.mm(forth, blocks, out=product.flatten(1))
            if for_weight:
                pair = product.transpose(1, 2), part.transformed(x, tiles)
                total = torch.bmm(*pair) if total is None else total.baddbmm_(*pair)
            if kernels is not None and of_x is not None:
                if part.rows.start == 0:
                    spread = part.canvas(x, tiling.rows)
                seen = torch.bmm(product, kernels, out=part.view(tiles, x.shape[1]))
                part.add_tiles(spread, (back @ seen.flatten(1)).view(IN, IN, -1, x.shape[1]))
                if part.rows.stop == tiling.rows:
                    inside = spread[:, 1 : x.shape[2] + 1, 1 : x.shape[3] + 1]
                    of_x[part.pictures].copy_(inside.permute(0, 3, 1, 2))
        of_weight = None
        if total is not None:
            of_weight = (total.flatten(1).T @ for_both(KERNEL, x)).view(weight.shape)
        return of_x, of_weight, gradient.sum((0, 2, 3)) if for_bias else None


def for_both(rows: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """A transform along one axis ``[m, k]`` as one along two, ``[m * m, k * k]``.

    One product with the larger matrix takes more multiplications than two with the small one, and a third of the time:
    it reads and writes everything once.
    """
    matrix = torch.tensor(rows, dtype=like.dtype, device=like.device)
    return torch.kron(matrix, matrix)


def _transformed_kernels(weight: Tensor) -> Tensor:
    """``[out, c, 3, 3]`` -> ``[36, out, c]``, which needs no transposed copy, neither of the one nor of the other."""
    flat = weight.reshape(-1, weight.shape[2] * weight.shape[3])
    return (for_both(KERNEL, weight) @ flat.T).view(IN * IN, *weight.shape[:2])


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
        seen = self.view(workspace, x.shape[1])
        self.grid(seen.unflatten(0, (IN, IN))).copy_(tiles)
        return (for_both(INPUT, x) @ seen.flatten(1)).view_as(seen)

    def canvas(self, x: Tensor, rows: int) -> Tensor:
        """Zeros for the part's pictures, a row and a column of tiles larger: inputs reach into the next tile."""
        count = self.pictures.stop - self.pictures.start
        return x.new_zeros(count, OUT * (rows + 1), OUT * (self.columns + 1), x.shape[1])

    def add_tiles(self, canvas: Tensor, tiles: Tensor) -> None:
        """Add tiles ``[6, 6, tiles, c]`` where they lie in the :meth:`canvas`; neighbours overlap."""
        strip = canvas[:, OUT * self.rows.start : OUT * (self.rows.stop + 1)]
        blocks = strip.unflatten(2, (self.columns + 1, OUT)).unflatten(1, (-1, OUT)).permute(2, 4, 0, 1, 3, 5)
        given = self.grid(tiles)
        over = IN - OUT
        blocks[:, :, :, :-1, :-1] += given[:OUT, :OUT]
        blocks[:over, :, :, 1:, :-1] += given[OUT:, :OUT]
        blocks[:, :over, :, :-1, 1:] += given[:OUT, OUT:]
        blocks[:over, :over, :, 1:, 1:] += given[OUT:, OUT:]
