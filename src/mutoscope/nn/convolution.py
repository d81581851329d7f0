"""Convolutions that choose how they are computed: on CPUs the usual way is not always the quickest."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.nn.winograd import conv3x3

#: a kernel counts as large from so many times the numbers of its input on
LARGE = 20
#: and from here on bringing it into the order that channels-last inputs need costs more than bringing them into planes
HEAVY = 4
#: fewest channels on either side, and fewest blocks of 4x4 pixels, for which Winograd's method is the quicker one
MANY, BLOCKS = 64, 96
#: the same for the product of both sides, where direct convolutions have vectors of 16 numbers to work with
MANY_PAIRS = 2 * MANY * MANY if torch.backends.cpu.get_cpu_capability() == "AVX512" else MANY * MANY


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
    if _suits_winograd(x, weight, stride, padding):
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
    moved by a pixel: 2.25 times fewer multiplications, and no picture of full size in between.

    Args:
        x: ``[n, c, h, w]``, sides even.
        weight: ``[out, c, 3, 3]``.
        bias: ``[out]``.

    Returns:
        ``[n, out, h / 2, w / 2]``.
    """
    kernel = F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)
    return F.conv2d(x, kernel, bias, stride=2, padding=1)


def _suits_winograd(x: Tensor, weight: Tensor, stride: int, padding: int) -> bool:
    if x.device.type != "cpu" or weight.shape[2:] != (3, 3) or stride != 1 or padding != 1:
        return False
    c_out, c_in = weight.shape[:2]
    if min(c_out, c_in) < MANY or c_out * c_in < MANY_PAIRS or len(x) * x.shape[2] * x.shape[3] < 16 * BLOCKS:
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
