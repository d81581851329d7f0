"""7x7x7 convolutions in steps of 2 with a quarter of the multiplications, pooled: the first layers of I3D.

Every other row and column of pictures are taken for channels of their own (polyphase), which leaves 4x4 taps in steps
of 1 over space, for Winograd's F(4x4, 4x4). Over time nothing is transformed: a clip's frames lie next to one another,
so that what 7 of them have in a tile is a row of a matrix, and rows of the next frame begin two frames further on. For
networks that are only looked through: there are no gradients. See :mod:`~mutoscope.nn.winograd` for the method.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.pooled_tiles import add_pooled
from mutoscope.nn.winograd import for_both

#: outputs along the side of a tile, inputs they depend on, taps of either phase, and of the layer
OUT, IN, TAPS, KERNEL = 4, 7, 4, 7
#: where polynomials are taken, beside infinity; of six that are near 0 those with the smallest rounding errors
POINTS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0)
#: the point 1 of both axes, which every output of a tile has as it is
ONES = IN + 1
#: numbers in transformed tiles, which should stay in the processor's cache until they are used
WORK = 1_000_000


def transforms() -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Matrices of inputs, of kernels, and of products to outputs for :data:`POINTS` (Toom and Cook)."""
    inputs, kernels = [], []
    for point in POINTS:
        others = [other for other in POINTS if other != point]
        scale = 1.0
        for other in others:
            scale *= point - other
        inputs.append([*_polynomial(others), 0.0])
        kernels.append([point**k / scale for k in range(TAPS)])
    inputs.append(_polynomial(POINTS))
    kernels.append([0.0] * (TAPS - 1) + [1.0])
    outputs = [[*(point**k for point in POINTS), float(k == OUT - 1)] for k in range(OUT)]
    return inputs, kernels, outputs


def _polynomial(roots: list[float] | tuple[float, ...]) -> list[float]:
    """Coefficients of the polynomial with these roots, the constant one first."""
    found = [1.0]
    for root in roots:
        found = [low - root * high for low, high in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


INPUTS, KERNELS, OUTPUTS = transforms()


class FrozenPooledConv7x7x7(nn.Module):
    """A convolution in steps of 2 and the largest of 3x3 pixels of what it gives, both padded as TensorFlow's SAME.

    ``forward`` takes ``[n, c, t, h, w]`` on a processor, height and width multiples of 8, and gives
    ``[n, t / 2, h / 4, w / 4, out]``, ``t / 2`` rounded up.

    Args:
        conv: with kernels of 7x7x7, steps of 2 and no padding.

    Raises:
        ValueError: for other layers, and in ``forward`` for other sizes.
    """

    kernels: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
        if plain != ((KERNEL,) * 3, (2, 2, 2), (0, 0, 0), (1, 1, 1), 1):
            raise ValueError(f"Expected a convolution of 7x7x7 in steps of 2 without padding, got {conv}.")
        weight = F.pad(conv.weight.detach(), (0, 1, 0, 1))
        taps = weight.unflatten(4, (TAPS, 2)).unflatten(3, (TAPS, 2)).permute(3, 5, 2, 4, 6, 1, 0)
        kernels = for_both(KERNELS, weight) @ taps.reshape(TAPS * TAPS, -1)
        self.inputs, outputs = conv.in_channels, conv.out_channels
        self.register_buffer("kernels", kernels.view(IN * IN, -1, outputs), persistent=False)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach(), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        frames, height, width = x.shape[2:]
        if height % (2 * OUT) or width % (2 * OUT):
            raise ValueError(f"Got {height}x{width} pixels, expected multiples of {2 * OUT}.")
        found = x.new_empty(len(x), -(-frames // 2), height // 4, width // 4, self.kernels.shape[2])
        for clip, into in zip(x, found, strict=True):
            self._convolve(self._phases(clip), into)
        return found

    def _phases(self, clip: Tensor) -> Tensor:
        """``[rows, columns, t, 4c]``: four neighbours are channels of one pixel; padded as one of the tiles' needs."""
        inputs, frames, height, width = clip.shape
        found = clip.new_zeros(height // 2 + IN - OUT, width // 2 + IN - OUT, frames, 2, 2, inputs)
        inside = found[1 : height // 2 + 1, 1 : width // 2 + 1]
        # channel by channel: a single copy has runs of three numbers, and takes twice as long
        for channel in range(inputs):
            for row in range(2):
                for column in range(2):
                    part = clip[channel, :, row::2, column::2]
                    inside[..., row, column, channel] = part.permute(1, 2, 0)
        return found.flatten(3)

    def _convolve(self, phases: Tensor, into: Tensor) -> None:
        rows, columns = ((size - IN + OUT) // OUT for size in phases.shape[:2])
        frames, channels = phases.shape[2:]
        outputs = self.kernels.shape[2]
        first = -(max(2 * (len(into) - 1) + KERNEL - frames, 0) // 2)
        forth, back = for_both(INPUTS, phases), for_both(OUTPUTS, phases)
        at_once = max(1, WORK // (IN * IN * columns * frames * channels))
        for top in range(0, rows, at_once):
            bottom = min(top + at_once, rows)
            strip = phases[OUT * top : OUT * bottom + IN - OUT]
            tiles = strip.unfold(0, IN, OUT).unfold(1, IN, OUT).permute(4, 5, 0, 1, 2, 3)
            seen = (forth @ tiles.reshape(IN * IN, -1)).view(IN * IN, (bottom - top) * columns, frames * channels)
            result = phases.new_empty(len(into), OUT * OUT, seen.shape[1] * outputs)
            for frame, of_frame in enumerate(result):
                # frames outside the clip are zero: neither transformed nor multiplied
                start = first + 2 * frame
                begin, end = max(start, 0), min(start + KERNEL, frames)
                taps = self.kernels[:, (begin - start) * channels : (end - start) * channels]
                product = torch.bmm(seen[:, :, begin * channels : end * channels], taps)
                if self.bias is not None:
                    product[ONES] += self.bias
                torch.mm(back, product.flatten(1), out=of_frame)
            by_tiles = result.view(len(into), OUT, OUT, bottom - top, columns, outputs)
            add_pooled(by_tiles.permute(1, 2, 0, 3, 4, 5), into, top)
