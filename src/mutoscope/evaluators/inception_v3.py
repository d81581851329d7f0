"""Inception-v3 as TensorFlow's archive of 2015-12-05 has it: what published FIDs and Inception scores look through.

It differs from torchvision's in three places, each of which changes the number: average pooling leaves the padding out
of its mean, the last block pools by maximum, and there are 1008 logits. Names of layers are torchvision's, so that the
conversions of pytorch-fid and torch-fidelity load as they are (Szegedy et al. 2016; Heusel et al. 2017).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: width and height of what the network sees
SIDE = 299
#: pictures that go through the first layers, and through those at 35 pixels, at once on a processor: what a layer gives
#: stays below 32 MB, from which on the C library asks the system for new memory every time, a tenth of all seconds
_STEM, _FINE = 4, 8


class _Unit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | str = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _mean_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _Block(nn.Module):
    """Branches of one input, most of which begin with a convolution of 1x1."""

    #: the layers they begin with; to ``branch_pool`` the mean over neighbours is given
    heads: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.merged: nn.Conv2d | None = None
        self._widths: list[int] = []

    def merge_heads(self) -> None:
        """Make one convolution of the :attr:`heads`, into which batch normalisation was folded before.

        The input is read once, and a processor multiplies the wider matrix faster. The mean over neighbours is taken of
        what comes out, where there are fewer channels: both are linear, and the mean leaves the padding out.
        """
        convs = [self.get_submodule(f"{name}.conv") for name in self.heads]
        weights, biases = (
            [value for conv in convs if isinstance(value := getattr(conv, name), Tensor)] for name in ("weight", "bias")
        )
        self._widths = [len(weight) for weight in weights]
        self.merged = nn.Conv2d(weights[0].shape[1], sum(self._widths), 1)
        self.merged.weight = nn.Parameter(torch.cat(weights).detach())
        self.merged.bias = nn.Parameter(torch.cat(biases).detach())
        for name in self.heads:
            delattr(self, name)

    def _begun(self, x: Tensor) -> list[Tensor]:
        if self.merged is None:
            return [getattr(self, name)(_mean_pool(x) if name == "branch_pool" else x) for name in self.heads]
        found = list(self.merged(x).split(self._widths, dim=1))
        if self.heads[-1] == "branch_pool":
            found[-1] = _mean_pool(found[-1])
        return [one.relu_() for one in found]


class _Fine(_Block):
    """Blocks at 35 pixels."""

    heads = ("branch1x1", "branch5x5_1", "branch3x3dbl_1", "branch_pool")

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Unit(inputs, 64, 1)
        self.branch5x5_1 = _Unit(inputs, 48, 1)
        self.branch5x5_2 = _Unit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Unit(inputs, 64, 1)
        self.branch3x3dbl_2 = _Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Unit(96, 96, 3, padding=1)
        self.branch_pool = _Unit(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        direct, five, double, pooled = self._begun(x)
        five = self.branch5x5_2(five)
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(double))
        return torch.cat([direct, five, double, pooled], dim=1)


class _FirstReduction(nn.Module):
    """From 35 to 17 pixels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = _Unit(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Unit(inputs, 64, 1)
        self.branch3x3dbl_2 = _Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Unit(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class _Middle(_Block):
    """Blocks at 17 pixels, whose kernels of 7 are split into rows and columns."""

    heads = ("branch1x1", "branch7x7_1", "branch7x7dbl_1", "branch_pool")

    def __init__(self, inputs: int, narrow: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = _Unit(inputs, 192, 1)
        self.branch7x7_1 = _Unit(inputs, narrow, 1)
        self.branch7x7_2 = _Unit(narrow, narrow, row, padding="same")
        self.branch7x7_3 = _Unit(narrow, 192, column, padding="same")
        self.branch7x7dbl_1 = _Unit(inputs, narrow, 1)
        self.branch7x7dbl_2 = _Unit(narrow, narrow, column, padding="same")
        self.branch7x7dbl_3 = _Unit(narrow, narrow, row, padding="same")
        self.branch7x7dbl_4 = _Unit(narrow, narrow, column, padding="same")
        self.branch7x7dbl_5 = _Unit(narrow, 192, row, padding="same")
        self.branch_pool = _Unit(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        direct, seven, double, pooled = self._begun(x)
        seven = self.branch7x7_3(self.branch7x7_2(seven))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(double))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([direct, seven, double, pooled], dim=1)


class _SecondReduction(_Block):
    """From 17 to 8 pixels."""

    heads = ("branch3x3_1", "branch7x7x3_1")

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Unit(inputs, 192, 1)
        self.branch3x3_2 = _Unit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Unit(inputs, 192, 1)
        self.branch7x7x3_2 = _Unit(192, 192, (1, 7), padding="same")
        self.branch7x7x3_3 = _Unit(192, 192, (7, 1), padding="same")
        self.branch7x7x3_4 = _Unit(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three, seven = self._begun(x)
        three = self.branch3x3_2(three)
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(seven)))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], dim=1)


class _Coarse(_Block):
    """Blocks at 8 pixels, which spread into rows and columns; the last one pools by maximum."""

    heads: tuple[str, ...] = ("branch1x1", "branch3x3_1", "branch3x3dbl_1", "branch_pool")

    def __init__(self, inputs: int, by_maximum: bool) -> None:
        super().__init__()
        if by_maximum:
            self.heads = self.heads[:-1]
        self.branch1x1 = _Unit(inputs, 320, 1)
        self.branch3x3_1 = _Unit(inputs, 384, 1)
        self.branch3x3_2a = _Unit(384, 384, (1, 3), padding="same")
        self.branch3x3_2b = _Unit(384, 384, (3, 1), padding="same")
        self.branch3x3dbl_1 = _Unit(inputs, 448, 1)
        self.branch3x3dbl_2 = _Unit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Unit(384, 384, (1, 3), padding="same")
        self.branch3x3dbl_3b = _Unit(384, 384, (3, 1), padding="same")
        self.branch_pool = _Unit(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        direct, three, double, *means = self._begun(x)
        double = self.branch3x3dbl_2(double)
        spread = [self.branch3x3_2a(three), self.branch3x3_2b(three)]
        spread += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pooled = means or [self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))]
        return torch.cat([direct, *spread, *pooled], dim=1)


class InceptionV3(nn.Module):
    """The network; weights as ``pt_inception-2015-12-05-6726825d.pth`` holds them.

    ``forward`` takes ``[n, 3, 299, 299]``, resized and scaled, and gives the pooled features ``[n, 2048]`` and the
    logits ``[n, 1008]`` without their bias, from which the original Inception score is computed.
    """

    num_features = 2048
    num_classes = 1008

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = _Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = _Unit(80, 192, 3)
        self.Mixed_5b = _Fine(192, 32)
        self.Mixed_5c = _Fine(256, 64)
        self.Mixed_5d = _Fine(288, 64)
        self.Mixed_6a = _FirstReduction(288)
        self.Mixed_6b = _Middle(768, 128)
        self.Mixed_6c = _Middle(768, 160)
        self.Mixed_6d = _Middle(768, 160)
        self.Mixed_6e = _Middle(768, 192)
        self.Mixed_7a = _SecondReduction(768)
        self.Mixed_7b = _Coarse(1280, by_maximum=False)
        self.Mixed_7c = _Coarse(2048, by_maximum=True)
        self.fc = nn.Linear(2048, 1008)

    def merge_heads(self) -> None:
        """Join layers of one input, for a network that is only looked through, see :meth:`_Block.merge_heads`."""
        for block in self.children():
            if isinstance(block, _Block):
                block.merge_heads()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = _in_parts(self._stem, x, _STEM)
        x = _in_parts(self._fine, x, _FINE)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        features = x.mean(dim=(2, 3))
        return features, features @ self.fc.weight.T

    def _stem(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        return F.max_pool2d(x, 3, stride=2)

    def _fine(self, x: Tensor) -> Tensor:
        found: Tensor = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        return found


def _in_parts(layers: Callable[[Tensor], Tensor], x: Tensor, at_once: int) -> Tensor:
    if x.device.type != "cpu" or len(x) <= at_once:
        return layers(x)
    return torch.cat([layers(part) for part in x.split(at_once)])


def resize_as_tensorflow1(images: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing by the rule of TensorFlow 1: pixel ``i`` looks at ``i * old / new``, without antialiasing.

    Other libraries look at ``(i + 0.5) * old / new - 0.5``: half a pixel of the result away.

    Args:
        images: ``[n, c, h, w]`` float or uint8.
        size: new height and width.

    Returns:
        ``[n, c, *size]`` float, channels last in memory.
    """
    images = images.permute(0, 2, 3, 1).contiguous()
    steps = [(1, size[0]), (2, size[1])]
    # what makes the picture smaller, or less large, comes first: there is less to do for the other one
    for dim, new in sorted(steps, key=lambda step: step[1] / images.shape[step[0]]):
        old = images.shape[dim]
        if new == old:
            continue
        # positions in float32, as TensorFlow has them
        place = torch.arange(new, dtype=torch.float32, device=images.device) * (old / new)
        low = place.floor().long().clamp(max=old - 1)
        high = (low + 1).clamp(max=old - 1)
        first, second = (_as_float(images.index_select(dim, index)) for index in (low, high))
        images = first.lerp_(second, (place - low).to(first.dtype).view(-1, *[1] * (3 - dim)))
    return _as_float(images).permute(0, 3, 1, 2)


def _as_float(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.float()
