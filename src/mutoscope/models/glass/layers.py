"""Blocks that GLASS's networks are built from (spec section 2).

Convolutions are 3x3 with padding 1 and have no bias where a batch norm follows; every activation is a leaky ReLU.
Halving is average pooling between convolution and norm, which one strided convolution does at once.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.nn.convolution import conv2d, pooled_conv3x3

#: of every leaky ReLU
SLOPE = 0.2


def precise(x: Tensor) -> Tensor:
    """At least float32: for shifts, heads, codes and norms, which half precision cannot hold."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU, in place: what comes out of a norm or a sum is needed by nobody else, gradients neither."""
    return F.leaky_relu(x, SLOPE, inplace=True)


class Conv3x3(nn.Conv2d):
    """3x3 convolution, averaged over 2x2 pixels on request: ``[n, c_in, h, w] -> [n, c_out, h / pool, w / pool]``.

    Args:
        c_in, c_out: channels.
        pool: 1 or 2.
        bias: with a bias.
    """

    def __init__(self, c_in: int, c_out: int, pool: int = 1, *, bias: bool = False) -> None:
        super().__init__(c_in, c_out, 3, padding=1, bias=bias)
        if pool not in (1, 2):
            raise ValueError(f"pool is {pool}, expected 1 or 2.")
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        if self.pool == 2:
            return pooled_conv3x3(x, self.weight, self.bias)
        return conv2d(x, self.weight, self.bias, padding=1)


class Same(nn.Module):
    """Convolution, pooling, norm, activation.

    Args:
        c_in, c_out: channels.
        pool: 2 halves both sides.
    """

    def __init__(self, c_in: int, c_out: int, pool: int = 1) -> None:
        super().__init__()
        self.conv = Conv3x3(c_in, c_out, pool)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return activate(self.norm(self.conv(x)))


class Residual(nn.Module):
    """Two convolutions with a skip branch, which is the identity where sizes stay.

    Args:
        c_in, c_out: channels.
        pool: 2 halves both sides.
    """

    def __init__(self, c_in: int, c_out: int, pool: int = 1) -> None:
        super().__init__()
        self.first = Conv3x3(c_in, c_out, pool)
        self.first_norm = nn.BatchNorm2d(c_out)
        self.second = Conv3x3(c_out, c_out)
        self.second_norm = nn.BatchNorm2d(c_out)
        changes = pool > 1 or c_in != c_out
        self.skip = nn.Conv2d(c_in, c_out, 1, bias=False) if changes else None
        self.skip_norm = nn.BatchNorm2d(c_out) if changes else None
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.skip is None or self.skip_norm is None:
            return activate(y.add_(x))
        # a 1x1 convolution and an average commute; this order costs a quarter
        short = F.avg_pool2d(x, self.pool) if self.pool > 1 else x
        return activate(y.add_(self.skip_norm(self.skip(short))))


class Up(nn.Module):
    """Twice the size (bilinear, corners aligned), convolution, norm, activation.

    Args:
        c_in, c_out: channels.
        late: enlarge after the activation instead.
    """

    def __init__(self, c_in: int, c_out: int, *, late: bool = False) -> None:
        super().__init__()
        self.conv = Conv3x3(c_in, c_out)
        self.norm = nn.BatchNorm2d(c_out)
        self.late = late

    def forward(self, x: Tensor) -> Tensor:
        if not self.late:
            x = enlarge(x)
        x = activate(self.norm(self.conv(x)))
        return enlarge(x) if self.late else x


def enlarge(x: Tensor) -> Tensor:
    """Twice the size, bilinear with aligned corners."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Head(nn.Conv2d):
    """Convolution of any odd size with bias, and a tanh: ``[n, c_in, h, w] -> [n, c_out, h, w]`` in (-1, 1)."""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__(c_in, c_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).tanh()


class ModulatedConv(nn.Module):
    """Style-modulated 3x3 convolution (as StyleGAN2): ``[n, c_in, h, w] -> [n, c_out, h / pool, w / pool]``.

    Scaling the kernels of every sample equals scaling what goes in and what comes out, so that all samples share one
    convolution.

    Args:
        c_in, c_out: channels.
        style: size of the condition.
        pool: 2 halves both sides.
    """

    def __init__(self, c_in: int, c_out: int, style: int, pool: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, 3, 3))
        self.style = nn.Linear(style, c_in)
        self.pool = pool

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``condition: [n, style]``."""
        weight = precise(self.weight)
        weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        style = precise(self.style(condition))
        style = style * style.square().mean().rsqrt()
        energy = weight.square().sum((2, 3))
        strength = (style.square() @ energy.T + 1e-8).rsqrt()
        scaled, kernel = x * style[:, :, None, None].to(x.dtype), weight.to(x.dtype)
        y = pooled_conv3x3(scaled, kernel) if self.pool == 2 else conv2d(scaled, kernel, padding=1)
        return y * strength[:, :, None, None].to(y.dtype)


class Modulated(nn.Module):
    """Modulated convolution, pooling, norm, activation.

    Args:
        c_in, c_out: channels.
        style: size of the condition.
        pool: 2 halves both sides.
    """

    def __init__(self, c_in: int, c_out: int, style: int, pool: int = 1) -> None:
        super().__init__()
        self.conv = ModulatedConv(c_in, c_out, style, pool)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``condition: [n, style]``."""
        return activate(self.norm(self.conv(x, condition)))


class ConvLSTM(nn.Module):
    """Convolutional LSTM cell with learned initial states and all four gates in one convolution.

    Args:
        c_in: channels of what comes in, conditions included.
        c_out: channels of hidden and cell state.
        size: height and width of the states.
    """

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int]) -> None:
        super().__init__()
        #: input, forget, output and candidate gate, in this order
        self.gates = Conv3x3(c_in + c_out, 4 * c_out, bias=True)
        self.initial_hidden = nn.Parameter(torch.zeros(c_out, *size))
        self.initial_cell = nn.Parameter(torch.zeros(c_out, *size))

    def initial(self, n: int) -> tuple[Tensor, Tensor]:
        """Hidden and cell state ``[n, c_out, h, w]`` at the start of a sequence."""
        return self.initial_hidden.expand(n, -1, -1, -1), self.initial_cell.expand(n, -1, -1, -1)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """One step on ``[n, c_in, h, w]``: the new hidden and cell state."""
        hidden, cell = state
        let_in, forget, output, candidate = self.gates(torch.cat([x, hidden.to(x.dtype)], dim=1)).chunk(4, dim=1)
        cell = forget.sigmoid() * cell + let_in.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell

    def along(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """All steps of ``[n, t, c_in, h, w]``: hidden states ``[n, t, c_out, h, w]``, and the last hidden and cell."""
        hidden = []
        for now in x.unbind(1):
            state = self(now, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state
