"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3) (Lavin and Gray, CVPR 2016).

The picture is cut into tiles of 4x4 outputs. Transformed tiles of 6x6 inputs and transformed kernels are multiplied
point by point, which for many channels is 36 matrix products, and what comes out is transformed back. All of it is
linear, so gradients go the same way in the opposite direction. Rounding errors are about four times those of a direct
convolution (2e-6 of the result in single precision).

Convolutions that are averaged over 2x2 pixels have kernels of 4x4 and a stride of 2. Taken apart into pixels of even
and odd rows and columns, they are kernels of 2x2 on four times the channels, and F(4x4, 2x2) takes 2.6 times fewer
multiplications.

oneDNN, which convolves on CPUs for PyTorch, only has the direct method; on GPUs cuDNN chooses this one by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

#: outputs along the side of a tile, and inputs they depend on
OUT, IN = 4, 6
#: numbers in a work space: transformed tiles should stay in the processor's last cache until they are multiplied ...
WORK = 2_500_000
#: ... and so many at a time are gathered, transformed and written, which then happens in the core's own
STRIP = 500_000

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

# the same for two taps and the points 0, 1, -1, 2 and infinity
INPUT_PAIRS = ((2, -1, -2, 1, 0), (0, -2, -1, 1, 0), (0, 2, -3, 1, 0), (0, -1, 0, 1, 0), (0, 2, -1, -2, 1))
OUTPUT_PAIRS = ((1, 1, 1, 1, 0), (0, 1, -1, 2, 0), (0, 1, 1, 4, 0), (0, 1, -1, 8, 1))
# three taps a, b, c, averaged with themselves moved by one, are a / 2, (a + b) / 2, (b + c) / 2, c / 2: for every point
# the transform of the first and third, which meet one pixel of two, and that of the second and fourth
KERNEL_PAIRS = (
    *((1 / 4, 0, 0), (1 / 4, 1 / 4, 0)),
    *((-1 / 4, -1 / 4, -1 / 4), (-1 / 4, -1 / 4, -1 / 4)),
    *((-1 / 12, 1 / 12, 1 / 12), (-1 / 12, -1 / 12, 1 / 12)),
    *((1 / 12, 1 / 6, 1 / 6), (1 / 12, 1 / 12, 1 / 6)),
    *((0, 1 / 2, 1 / 2), (0, 0, 1 / 2)),
)


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)`` for 3x3 kernels; cannot be differentiated twice.

    Args:
        x: ``[n, c, h, w]`` float32 or float64.
        weight: ``[out, c, 3, 3]`` of the same precision.
        bias: ``[out]``.

    Returns:
        ``[n, out, h, w]``, channels last in memory.
    """
    found: Tensor = _Winograd.apply(x, weight, None, bias, PLAIN)
    return found


def conv3x3_of(x: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
    """:func:`conv3x3` with kernels transformed once for many calls, into which no gradient flows.

    Args:
        x: ``[n, c, h, w]`` float32 or float64.
        kernels: ``[36, out, c]``, from :func:`transformed_kernels`.
        bias: ``[out]``.
    """
    found: Tensor = _Winograd.apply(x, None, kernels, bias, PLAIN)
    return found


def pooled_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``avg_pool2d(conv2d(x, weight, bias, padding=1), 2)`` for 3x3 kernels; cannot be differentiated twice.

    Args:
        x: ``[n, c, h, w]`` float32 or float64, sides even.
        weight: ``[out, c, 3, 3]`` of the same precision.
        bias: ``[out]``.

    Returns:
        ``[n, out, h / 2, w / 2]``, channels last in memory.
    """
    found: Tensor = _Winograd.apply(x, weight, None, bias, POOLED)
    return found


def transformed_kernels(weight: Tensor) -> Tensor:
    """``[out, c, 3, 3] -> [36, out, c]`` for :func:`conv3x3_of`."""
    return PLAIN.kernels(weight)


@dataclass(frozen=True)
class _Scheme:
    """A way to convolve by tiles of 4x4 outputs.

    Args:
        stride: pixels of the input for one of the output. So many rows and columns of neighbours become channels.
        input, output: transforms along one axis: ``[k, k]`` of what a tile sees, ``[4, k]`` of products to outputs.
        kernel: ``[k * stride, 3]``, of three taps.
    """

    stride: int
    input: Sequence[Sequence[float]]
    kernel: Sequence[Sequence[float]]
    output: Sequence[Sequence[float]]

    @property
    def seen(self) -> int:
        """Inputs along the side of a tile, in steps of ``stride`` pixels."""
        return len(self.input)

    @property
    def points(self) -> int:
        return self.seen * self.seen

    def kernels(self, weight: Tensor) -> Tensor:
        """``[out, c, 3, 3] -> [points, out, stride * stride * c]``, which needs no transposed copy of itself."""
        flat = for_both(self.kernel, weight) @ weight.reshape(-1, 9).T
        split = flat.view(self.seen, self.stride, self.seen, self.stride, *weight.shape[:2])
        return split.permute(0, 2, 4, 1, 3, 5).reshape(self.points, len(weight), -1)

    def of_weight(self, of_kernels: Tensor, weight: Tensor) -> Tensor:
        """The gradient of a weight, in memory as it lies, from that of its :meth:`kernels`."""
        split = of_kernels.view(self.seen, self.seen, len(weight), self.stride, self.stride, -1)
        flat = split.permute(0, 3, 1, 4, 2, 5).reshape(self.points * self.stride**2, -1)
        found = for_both(self.kernel, weight).T @ flat
        return torch.empty_like(weight).copy_(found.view(3, 3, *weight.shape[:2]).permute(2, 3, 0, 1))


PLAIN = _Scheme(1, INPUT, KERNEL, OUTPUT)
POOLED = _Scheme(2, INPUT_PAIRS, KERNEL_PAIRS, OUTPUT_PAIRS)


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor | None, kernels: Tensor | None, bias: Tensor | None, scheme: _Scheme
    ) -> Tensor:
        ctx.save_for_backward(x if weight is not None else None, weight, kernels)  # type: ignore[arg-type]
        ctx.scheme, ctx.shape = scheme, x.shape  # type: ignore[attr-defined]
        if kernels is None:
            assert weight is not None
            kernels = scheme.kernels(weight)
        out = kernels.shape[1]
        tiling = _Tiling.of(x.shape, out, scheme)
        kernels, back = kernels.transpose(1, 2), for_both(scheme.output, x)
        height, width = (side // scheme.stride for side in x.shape[2:])
        found = channels_last(x, (len(x), out, OUT * tiling.rows, OUT * tiling.columns))
        tiles, products = tiling.workspace(x, kernels.shape[1]), tiling.workspace(x, out)
        pictures = found.permute(0, 2, 3, 1)
        for part in tiling.parts():
            product = torch.bmm(part.transformed(x, tiles), kernels, out=part.view(products, out))
            for strip, of_strip in part.strips(out):
                result = (back @ product[:, of_strip].flatten(1)).view(OUT, OUT, -1, out)
                strip.blocks(pictures).copy_(strip.grid(result if bias is None else result.add_(bias)))
        # never a view, which could not be changed in place
        return found if found.shape[2:] == (height, width) else found[..., :height, :width].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, kernels = ctx.saved_tensors  # type: ignore[attr-defined]
        scheme, shape = ctx.scheme, ctx.shape  # type: ignore[attr-defined]
        for_x, for_weight, _, for_bias, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        tiling = _Tiling.of(shape, gradient.shape[1], scheme)
        forth, back = for_both(scheme.output, gradient).T, for_both(scheme.input, gradient).T
        if for_x and kernels is None:
            kernels = scheme.kernels(weight)
        total: Tensor | None = None
        of_x = channels_last(gradient, shape) if for_x else None
        out, depth = gradient.shape[1], scheme.stride**2 * shape[1]
        tiles, products = tiling.workspace(gradient, depth), tiling.workspace(gradient, out)
        given = gradient.permute(0, 2, 3, 1)
        below, right = -gradient.shape[2] % OUT, -gradient.shape[3] % OUT
        if below or right:
            given = F.pad(given, (0, 0, 0, right, 0, below))
        for part in tiling.parts():
            product = part.view(products, out)
            for strip, of_strip in part.strips(out):
                blocks = strip.blocks(given).reshape(OUT * OUT, -1)
                torch.mm(forth, blocks, out=product[:, of_strip].flatten(1))
            if for_weight:
                pair = product.transpose(1, 2), part.transformed(x, tiles)
                total = torch.bmm(*pair) if total is None else total.baddbmm_(*pair)
            if of_x is not None:
                if part.rows.start == 0:
                    spread = part.canvas(gradient, tiling.rows, shape[1])
                seen = torch.bmm(product, kernels, out=part.view(tiles, depth))
                for strip, of_strip in part.strips(depth):
                    canvas = spread[strip.pictures.start - part.pictures.start :][: strip.grid_size[0]]
                    strip.add_tiles(canvas, back @ seen[:, of_strip].flatten(1))
                if part.rows.stop == tiling.rows:
                    inside = spread[:, 1 : shape[2] + 1, 1 : shape[3] + 1]
                    of_x[part.pictures].copy_(inside.permute(0, 3, 1, 2))
        of_weight = None if total is None else scheme.of_weight(total, weight)
        return of_x, of_weight, None, gradient.sum((0, 2, 3)) if for_bias else None, None


def channels_last(like: Tensor, shape: Sequence[int]) -> Tensor:
    """An empty ``[n, c, h, w]`` of another's precision and device, channels last in memory."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def for_both(rows: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """A transform along one axis ``[m, k]`` as one along two, ``[m * m, k * k]``.

    One product with the larger matrix takes more multiplications than two with the small one, and a third of the time:
    it reads and writes everything once.
    """
    matrix = torch.tensor(rows, dtype=like.dtype, device=like.device)
    return torch.kron(matrix, matrix)


@dataclass(frozen=True)
class _Tiling:
    """How pictures are cut: rows and columns of tiles, and how many of them are worked off at a time.

    Args:
        scheme: by which.
        count: pictures.
        rows, columns: of tiles in a picture.
        pictures: worked off together, ...
        height: ... and rows of tiles of each.
    """

    scheme: _Scheme
    count: int
    rows: int
    columns: int
    pictures: int
    height: int

    @classmethod
    def of(cls, shape: Sequence[int], out: int, scheme: _Scheme) -> "_Tiling":
        count, channels = shape[0], scheme.stride**2 * shape[1]
        rows, columns = (ceil(side / (scheme.stride * OUT)) for side in shape[2:])
        fitting = max(1, WORK // (scheme.points * columns * max(channels, out)))
        # equal parts: a small one at the end multiplies more slowly
        pictures = ceil(count / ceil(count / max(1, fitting // rows)))
        return cls(scheme, count, rows, columns, pictures, ceil(rows / ceil(rows / fitting)))

    def parts(self) -> "Iterator[_Part]":
        for first in range(0, self.count, self.pictures):
            for top in range(0, self.rows, self.height):
                yield _Part(
                    self.scheme,
                    slice(first, min(first + self.pictures, self.count)),
                    slice(top, min(top + self.height, self.rows)),
                    self.columns,
                )

    def workspace(self, like: Tensor, channels: int) -> Tensor:
        return like.new_empty(self.scheme.points * self.pictures * self.height * self.columns * channels)


@dataclass(frozen=True)
class _Part:
    """Tiles that are worked off together: all columns of some rows of some pictures.

    Args:
        scheme: by which.
        pictures, rows: which.
        columns: of tiles.
    """

    scheme: _Scheme
    pictures: slice
    rows: slice
    columns: int

    @property
    def grid_size(self) -> tuple[int, int, int]:
        return self.pictures.stop - self.pictures.start, self.rows.stop - self.rows.start, self.columns

    def strips(self, channels: int) -> "Iterator[tuple[_Part, slice]]":
        """Smaller parts, whole pictures or rows of one, and which of this part's tiles they are."""
        fitting = max(1, STRIP // (self.scheme.points * self.columns * channels))
        _, height, _ = self.grid_size
        count, height = max(1, fitting // height), min(fitting, height)
        done = 0
        for first in range(self.pictures.start, self.pictures.stop, count):
            for top in range(self.rows.start, self.rows.stop, height):
                strip = replace(
                    self,
                    pictures=slice(first, min(first + count, self.pictures.stop)),
                    rows=slice(top, min(top + height, self.rows.stop)),
                )
                tiles = prod(strip.grid_size)
                yield strip, slice(done, done + tiles)
                done += tiles

    def view(self, workspace: Tensor, channels: int) -> Tensor:
        """``[points, tiles, channels]`` at the beginning of a work space."""
        tiles = prod(self.grid_size)
        return workspace[: self.scheme.points * tiles * channels].view(self.scheme.points, tiles, channels)

    def grid(self, tiles: Tensor) -> Tensor:
        """``[k, k, tiles, c]`` -> ``[k, k, pictures, rows, columns, c]``."""
        return tiles.unflatten(2, self.grid_size)

    def blocks(self, pictures: Tensor) -> Tensor:
        """The part's 4x4 blocks in ``[n, h, w, c]`` as a view ``[4, 4, pictures, rows, columns, c]``."""
        strip = pictures[self.pictures, OUT * self.rows.start : OUT * self.rows.stop]
        return strip.unflatten(2, (self.columns, OUT)).unflatten(1, (-1, OUT)).permute(2, 4, 0, 1, 3, 5)

    def transformed(self, x: Tensor, workspace: Tensor) -> Tensor:
        """``[points, tiles, stride * stride * c]``: what the tiles see of ``x [n, c, h, w]``, zero outside."""
        found = self.view(workspace, self.scheme.stride**2 * x.shape[1])
        transform = for_both(self.scheme.input, x)
        for strip, of_strip in self.strips(found.shape[2]):
            torch.mm(transform, strip.inputs(x), out=found[:, of_strip].flatten(1))
        return found

    def inputs(self, x: Tensor) -> Tensor:
        """``[points, tiles * stride * stride * c]``, not transformed."""
        stride, seen = self.scheme.stride, self.scheme.seen
        over = stride * (seen - OUT) - 1
        top, bottom = stride * OUT * self.rows.start - 1, stride * OUT * self.rows.stop + over
        strip = x.permute(0, 2, 3, 1)[self.pictures, max(top, 0) : bottom]
        below = bottom - max(top, 0) - strip.shape[1]
        strip = F.pad(strip, (0, 0, 1, stride * OUT * self.columns + over - x.shape[3], max(-top, 0), below))
        tiles = strip.unfold(1, stride * seen, stride * OUT).unfold(2, stride * seen, stride * OUT)
        # [pictures, rows, columns, c, seen, stride, seen, stride], channels to the end
        tiles = tiles.unflatten(5, (seen, stride)).unflatten(4, (seen, stride)).permute(4, 6, 0, 1, 2, 5, 7, 3)
        return tiles.reshape(self.scheme.points, -1)

    def canvas(self, like: Tensor, rows: int, channels: int) -> Tensor:
        """Zeros for the part's pictures, a row and a column of tiles larger: inputs reach into the next tile."""
        count, side = self.pictures.stop - self.pictures.start, self.scheme.stride * OUT
        return like.new_zeros(count, side * (rows + 1), side * (self.columns + 1), channels)

    def add_tiles(self, canvas: Tensor, tiles: Tensor) -> None:
        """Add ``[points, tiles * stride * stride * c]`` where they lie in a :meth:`canvas` of this part's pictures.

        Neighbours overlap.
        """
        stride, over = self.scheme.stride, self.scheme.seen - OUT
        strip = canvas[:, stride * OUT * self.rows.start : stride * OUT * (self.rows.stop + 1)]
        blocks = strip.unflatten(2, (self.columns + 1, OUT, stride)).unflatten(1, (-1, OUT, stride))
        blocks = blocks.permute(2, 5, 0, 1, 4, 3, 6, 7)  # [4, 4, pictures, rows, columns, stride, stride, c]
        given = tiles.view(-1, self.scheme.seen, *self.grid_size, stride, stride, canvas.shape[3])
        blocks[:, :, :, :-1, :-1] += given[:OUT, :OUT]
        blocks[:over, :, :, 1:, :-1] += given[OUT:, :OUT]
        blocks[:, :over, :, :-1, 1:] += given[:OUT, OUT:]
        blocks[:over, :over, :, 1:, 1:] += given[OUT:, OUT:]
