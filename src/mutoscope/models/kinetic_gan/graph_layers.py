"""Spatio-temporal layers of Kinetic-GAN on channels-last features ``[b, t, v, c]``.

Everything is a matrix product: convolution kernels are slow to differentiate twice, which the critic's gradient penalty
needs. Joint up-sampling (generator) and joint selection (critic) are folded into the graph matrices, and frames that a
later decimation would drop are never computed.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

#: Slope of every LeakyReLU in both networks.
SLOPE = 0.2


def frame_index(source: int, target: int, device: torch.device) -> Tensor:
    """Nearest-neighbour frames: ``floor(i source / target)`` for ``i`` in ``0..target - 1``, ``[target]`` int64."""
    return torch.arange(target, device=device) * source // target


def resize_time(x: Tensor, length: int) -> Tensor:
    """Nearest-neighbour resampling over time, up or down: ``[b, t, v, c] -> [b, length, v, c]``."""
    source = x.shape[1]
    if source == length:
        return x
    if source % length == 0:
        return x[:, :: source // length]
    if length % source == 0:
        return x.repeat_interleave(length // source, dim=1)
    return x.index_select(1, frame_index(source, length, x.device))


def interpolate_time(x: Tensor, length: int) -> Tensor:
    """Linear interpolation over time: ``[b, t, v, c] -> [b, length, v, c]``.

    Frames stand for the middles of equal parts of the clip. Where nearest neighbours (:func:`resize_time`) stand still
    and jump, motion is steady.
    """
    source = x.shape[1]
    if source == 1 or source == length:
        return resize_time(x, length)
    frame = torch.arange(length, device=x.device, dtype=x.dtype)
    place = ((frame + 0.5) * (source / length) - 0.5).clamp(0, source - 1)
    weights = (1 - (place[:, None] - torch.arange(source, device=x.device)).abs()).clamp(min=0)
    return (weights @ x.flatten(2)).unflatten(2, x.shape[2:])


def mix_joints(matrix: Tensor, x: Tensor) -> Tensor:
    """``[o, v]`` times ``[b, t, v, c]`` over joints: ``[b, t, o, c]``.

    As a batch of small products in place: broadcasting ``matmul`` would transpose the features first.
    """
    b, t, v, c = x.shape
    return torch.bmm(matrix.expand(b * t, -1, -1), x.reshape(b * t, v, c)).unflatten(0, (b, t))


class PiecewiseLeakyReLU(torch.autograd.Function):
    """LeakyReLU whose backward pass treats the sign pattern as a constant.

    That is exact almost everywhere. The built-in function returns a tensor of zeros as its second derivative, and
    autograd then carries these zeros through the whole forward graph, a third of the gradient penalty's cost.
    """

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return torch.ops.aten.leaky_relu_backward(gradient, output.detach(), SLOPE, True)


def piecewise_leaky_relu(x: Tensor) -> Tensor:
    """LeakyReLU for networks that are differentiated twice.

    The built-in one under ``torch.compile``, which removes the zeros by itself but loses the parameters' gradients when
    ``torch.func.grad`` meets a custom function.
    """
    return F.leaky_relu(x, SLOPE) if torch.compiler.is_compiling() else PiecewiseLeakyReLU.apply(x)


class GraphConv(nn.Module):
    """Graph convolution over three partitions, ``y_i = sum_{k,j} (A_k * M_k)[j, i] W_k x_j`` (equation 2, as released).

    ``A`` is the constant partition stack and ``M`` a learned mask, one for each of the three parts. Trailing parts that
    are void for all joints computed (a single joint has no neighbours, the centre none nearer) are left out; their
    parameters are kept for the sake of released checkpoints and get zero gradients.

    Args:
        c_in: input channels.
        c_out: output channels.
        adjacency: ``[3, v, v]``, row = source joint.
        keep: joints to compute, or ``None`` for all.
    """

    adjacency: Tensor

    def __init__(self, c_in: int, c_out: int, adjacency: Tensor, keep: Sequence[int] | None = None) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.ones_like(adjacency))
        self.register_buffer("adjacency", adjacency, persistent=False)
        kept = adjacency if keep is None else adjacency[:, :, list(keep)]
        self.parts = 1 + int(kept.flatten(1).any(1).nonzero().max())

    def matrices(self) -> Tensor:
        """``(A_k * M_k)[j, i]`` of the parts that are not void, ``[k, v, v]``."""
        return (self.adjacency * self.mask)[: self.parts]


class SpreadingGraphConv(GraphConv):
    """Graph convolution after joint up-sampling: ``[b, t, coarse, c_in] -> [b, t, v, c_out]``.

    Mixing channels and mixing joints commute, so channels are mixed on the coarse graph and the up-sampling matrix
    ``U`` becomes part of the adjacency, ``B_k = U^T (A_k * M_k)``. Good where channels shrink.

    Args:
        c_in: input channels.
        c_out: output channels.
        adjacency: ``[3, v, v]`` of the finer graph.
        upsampling: ``[v, coarse]``, or ``None`` to stay on the graph.
    """

    upsampling: Tensor | None

    def __init__(self, c_in: int, c_out: int, adjacency: Tensor, upsampling: Tensor | None = None) -> None:
        super().__init__(c_in, c_out, adjacency)
        self.weight = nn.Parameter(torch.empty(3, c_out, c_in).uniform_(-1, 1) / sqrt(c_in))
        self.register_buffer("upsampling", upsampling, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        parts, (_, c_out, c_in) = self.parts, self.weight.shape
        channels = F.linear(x, self.weight[:parts].reshape(parts * c_out, c_in))
        matrices = self.matrices()
        if self.upsampling is not None:
            matrices = self.upsampling.T @ matrices
        mixing = rearrange(matrices, "part source target -> target (source part)")
        return mix_joints(mixing, rearrange(channels, "b t v (part c) -> b t (v part) c", part=parts))


class GatheringGraphConv(GraphConv):
    """Graph convolution that computes only the joints kept: ``[b, t, v, c_in] -> [b, t, kept, c_out]``.

    Joints are mixed first, for those destinations alone that survive. Good where channels grow.

    Args:
        c_in: input channels, those of ``constant`` included.
        c_out: output channels.
        adjacency: ``[3, v, v]``.
        keep: joints to compute, or ``None`` for all.
    """

    kept: Tensor

    def __init__(self, c_in: int, c_out: int, adjacency: Tensor, keep: Sequence[int] | None = None) -> None:
        super().__init__(c_in, c_out, adjacency, keep)
        self.weight = nn.Parameter(torch.empty(c_out, 3, c_in).uniform_(-1, 1) / sqrt(c_in))
        joints = range(adjacency.shape[-1]) if keep is None else keep
        self.register_buffer("kept", torch.tensor(joints), persistent=False)

    def forward(self, x: Tensor, constant: Tensor | None = None) -> Tensor:
        """``constant: [b, k]`` stands for ``k`` leading input channels that are equal in all frames and joints."""
        parts, (c_out, _, _) = self.parts, self.weight.shape
        mixing = self.matrices().index_select(2, self.kept).permute(2, 0, 1)
        weight = self.weight[:, :parts]
        gathered = mix_joints(mixing.flatten(0, 1), x).unflatten(2, (-1, parts)).flatten(3)
        if constant is None:
            return F.linear(gathered, weight.flatten(1))
        width = constant.shape[1]
        sums = mixing.sum(2)
        label = torch.einsum("vk,bc->bvkc", sums, constant).flatten(2)
        bias = F.linear(label, weight[:, :, :width].reshape(c_out, parts * width))
        return F.linear(gathered, weight[:, :, width:].reshape(c_out, -1)) + bias[:, None]


class TemporalConv(nn.Module):
    """Convolution over three frames, zero-padded: ``[b, t, v, c] -> [b, length, v, c]``.

    Args:
        channels: input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bound = 1 / sqrt(3 * channels)
        self.weight = nn.Parameter(torch.empty(channels, 3, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:
        """``length`` decimates by nearest neighbours; only the frames kept are computed."""
        source = x.shape[1]
        length = source if length is None else length
        if source == 1:
            return F.linear(x, self.weight[:, 1], self.bias)
        padded = F.pad(x, (0, 0, 0, 0, 1, 1))
        if source % length == 0:
            stride = source // length
            taps = [padded[:, tap : tap + source : stride] for tap in range(3)]
        else:
            index = frame_index(source, length, x.device)
            taps = [padded.index_select(1, index + tap) for tap in range(3)]
        return F.linear(torch.cat(taps, dim=3), self.weight.flatten(1), self.bias)


class ChannelNorm(nn.BatchNorm1d):
    """Batch normalisation of channels-last features ``[..., c]``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)
