"""Convolutions that choose how they are computed: on CPUs the usual way is not always the quickest."""

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.nn import winograd
from mutoscope.nn.winograd import conv3x3, conv3x3_of, transformed_kernels

#: a kernel counts as large from so many times the numbers of its input on
LARGE = 20
#: and from here on bringing it into the order that channels-last inputs need costs more than bringing them into planes
HEAVY = 4
#: fewest channels on either side, and fewest blocks of 4x4 pixels, for which Winograd's method is the quicker one
MANY, BLOCKS = 64, 96
#: the same for the product of both sides, where direct convolutions have vectors of 16 numbers to work with
MANY_PAIRS = 2 * MANY * MANY if torch.backends.cpu.get_cpu_capability() == "AVX512" else MANY * MANY
#: fewest blocks where kernels were transformed before ...
FROZEN_BLOCKS = 20
#: ... and fewest blocks and products of channels for convolutions that are averaged over 2x2 pixels
POOLED_BLOCKS, POOLED_PAIRS = 256, 4 * MANY * MANY


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """``torch.nn.functional.conv2d``, on a CPU the way that suits the sizes.

    Where the kernel is much larger than its input, it is one matrix product: convolution routines bring a kernel into
    an order of their own, and its gradient out of it, at every call. At the coarsest scales of a generator
    (1024 x 1024 kernels on 2 x 2 pixels) this takes several times as long as the multiplications. A matrix product
    reads the kernel as it lies.

    Where there are many channels and pixels, 3x3 kernels go through :func:`mutoscope.nn.winograd.conv3x3`, in half
    the time at 256 channels. This does not happen under autocast to a lower precision or while compiling, and it
    cannot be differentiated twice.

    Args:
        x: ``[n, c, h, w]``.
        weight: ``[out, c, kh, kw]``.
        bias: ``[out]``.
        stride, padding: the same along both axes; zeros are padded.

    Returns:
        ``[n, out, h', w']``.
    """
    if weight.shape[2:] == (3, 3) and stride == padding == 1 and _pays(x, weight, BLOCKS, MANY_PAIRS):
        return conv3x3(x, weight, bias)
    if x.device.type != "cpu":
        return F.conv2d(x, weight, bias, stride, padding)
    if weight.numel() < LARGE * x.numel() or not weight.is_contiguous():
        planes = weight.numel() > HEAVY * x.numel()
        return F.conv2d(x.contiguous() if planes else x, weight, bias, stride, padding)
    kernel = (weight.shape[2], weight.shape[3])
    height, width = (
        (side + 2 * padding - extent) // stride + 1 for side, extent in zip(x.shape[2:], kernel, strict=True)
    )
    windows = F.unfold(x, kernel, padding=padding, stride=stride).transpose(1, 2)
    found = F.linear(windows.flatten(0, 1), weight.flatten(1), bias)
    return found.unflatten(0, (len(x), height, width)).permute(0, 3, 1, 2)


def pooled_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``avg_pool2d(conv2d(x, weight, bias, padding=1), 2)`` as one 4x4 convolution of stride 2.

    The mean of four neighbouring outputs is what a kernel gives that is the mean of four copies of ``weight``, each
    moved by a pixel: 2.25 times fewer multiplications, and no picture of full size in between. On a CPU it goes through
    :func:`mutoscope.nn.winograd.pooled_conv3x3` where there are many channels and pixels, as :func:`conv2d` does.

    Args:
        x: ``[n, c, h, w]``, sides even.
        weight: ``[out, c, 3, 3]``.
        bias: ``[out]``.

    Returns:
        ``[n, out, h / 2, w / 2]``.
    """
    if _pays(x, weight, 4 * POOLED_BLOCKS, POOLED_PAIRS):
        return winograd.pooled_conv3x3(x, weight, bias)
    kernel = F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)
    return F.conv2d(x, kernel, bias, stride=2, padding=1)


def _pays(x: Tensor, weight: Tensor, blocks: int, pairs: int) -> bool:
    """Whether Winograd's method is quicker: from so many blocks of 4x4 pixels and pairs of channels on."""
    c_out, c_in = weight.shape[:2]
    if x.device.type != "cpu" or min(c_out, c_in) < MANY or c_out * c_in < pairs:
        return False
    if len(x) * x.shape[2] * x.shape[3] < 16 * blocks:
        return False
    precise = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.float64)
    return precise and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


class Conv2d(torch.nn.Conv2d):
    """``torch.nn.Conv2d`` that goes through :func:`conv2d`; zeros are padded.

    Args:
        c_in, c_out: channels.
        kernel_size, padding: the same along both axes.
    """

    def __init__(self, c_in: int, c_out: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__(c_in, c_out, kernel_size, padding=padding)
        self.margin = padding

    def forward(self, x: Tensor) -> Tensor:
        """``[n, c_in, h, w]`` -> ``[n, c_out, h', w']``."""
        return conv2d(x, self.weight, self.bias, padding=self.margin)


class FrozenConv3x3(torch.nn.Conv2d):
    """A 3x3 convolution, padded by 1, whose weights stay as they are: a CPU transforms its kernels once.

    These kernels take four times the memory of the weights. They are in no checkpoint, copy or pickle, and are made
    again when weights have changed. While weights are trained this is :class:`Conv2d`.

    Args:
        c_in, c_out: channels.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, 3, padding=1)
        self._kernels: tuple[Tensor, int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``[n, c_in, h, w] -> [n, c_out, h, w]``."""
        if self.weight.requires_grad or not _pays(x, self.weight, FROZEN_BLOCKS, MANY_PAIRS):
            return conv2d(x, self.weight, self.bias, padding=1)
        return conv3x3_of(x, self.transformed(), self.bias)

    def transformed(self) -> Tensor:
        """The kernels ``[36, c_out, c_in]`` of :func:`mutoscope.nn.winograd.conv3x3_of`."""
        weight = self.weight
        if self._kernels is None or self._kernels[0] is not weight or self._kernels[1] != weight._version:
            # never tensors of inference, which training after a validation could not look through
            with torch.inference_mode(False), torch.no_grad():
                self._kernels = weight, weight._version, transformed_kernels(weight)
        return self._kernels[2]

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._kernels = None  # weights move to another device or precision without a new version
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kernels": None}
