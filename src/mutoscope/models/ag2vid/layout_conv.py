"""The convolution that reads two pasted layouts and an image (paper, section 4.2), on factors or on maps."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.ag2vid.pasting import LayoutMasks, LayoutPart, conv_layouts
from mutoscope.nn.spectral import SpectralConv2d


@dataclass(frozen=True)
class LayoutPair:
    """What one frame is made from: the layouts before and after, and an image.

    Args:
        before, after: masks of ``f`` frames.
        vectors_before, vectors_after: ``[n, f, s]`` one vector per node and frame.
        image: ``[b*f, 3, h, w]``.
    """

    before: LayoutMasks
    after: LayoutMasks
    vectors_before: Tensor
    vectors_after: Tensor
    image: Tensor


class LayoutConv2d(SpectralConv2d):
    """3x3 convolution with spectral norm and without bias over two maps of ``s`` channels and an image.

    Args:
        vectors: ``s``.
        out: channels.
    """

    def __init__(self, vectors: int, out: int) -> None:
        super().__init__(2 * vectors + 3, out, 3, padding=1, bias=False)
        self.vectors = vectors

    def forward(self, x: Tensor | LayoutPair) -> Tensor:
        """The factors, or ``[m, 2s + 3, h, w]`` maps before, after and image -> ``[m, out, h, w]``."""
        if isinstance(x, Tensor):
            return super().forward(x)
        before, after, image = self.normalised().split([self.vectors, self.vectors, 3], dim=1)
        parts = [LayoutPart(x.before, x.vectors_before, before), LayoutPart(x.after, x.vectors_after, after)]
        pixels = x.image.contiguous(memory_format=torch.channels_last)
        return conv_layouts(parts, 1, 1, image=F.conv2d(pixels, image, padding=1))
