"""Convolution over frames where few channels come out."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NarrowConv(nn.Conv1d):
    """A convolution over time that keeps the length, ``[b, t, c_in] -> [b, t, c_out]``.

    One product for all taps, whose narrow results are then shifted and added: the wide input is neither transposed nor
    copied for each tap.

    Args:
        c_in: input channels.
        c_out: output channels, few.
        kernel: odd number of frames.

    Raises:
        ValueError: if it is even.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"The kernel over time is {kernel}, expected an odd number of frames.")
        super().__init__(c_in, c_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        taps, length = self.kernel_size[0], x.shape[1]
        products = F.linear(x, self.weight.permute(2, 0, 1).flatten(0, 1)).unflatten(2, (taps, -1))
        padded = F.pad(products, (0, 0, 0, 0, taps // 2, taps // 2))
        shifted = torch.stack([padded[:, tap : tap + length, tap] for tap in range(taps)])
        assert self.bias is not None
        return shifted.sum(dim=0) + self.bias
