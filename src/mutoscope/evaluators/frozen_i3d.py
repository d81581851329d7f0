"""I3D with weights that stay as they are, for processors: channels last, and larger convolutions by transformed tiles.

Numbers are those of :class:`~mutoscope.evaluators.i3d.I3D` up to rounding (1e-5 of the features).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.evaluators.i3d import BLOCKS, I3D, SHORTEST, SIDE, max_pool
from mutoscope.nn.winograd_strided import FrozenPooledConv7x7x7
from mutoscope.nn.winograd_volumes import FrozenConv3x3x3, Tiling, pays


class FrozenI3D(nn.Module):
    """What :class:`~mutoscope.evaluators.i3d.I3D` gives, in half the time on a processor; no gradients there.

    On other devices, where gradients are asked for, and for pictures of another size the network itself looks.

    Args:
        network: in evaluation, with batch normalisation folded into its convolutions.

    Raises:
        ValueError: if it is not folded.
    """

    num_features = I3D.num_features

    def __init__(self, network: I3D) -> None:
        super().__init__()
        if any(isinstance(part, nn.BatchNorm3d) for part in network.modules()):
            raise ValueError("Expected I3D with batch normalisation folded into its convolutions.")
        self.plain = network.requires_grad_(False)
        self.first = FrozenPooledConv7x7x7(_convolution(network.Conv3d_1a_7x7))
        self.second = _Pointwise(_convolution(network.Conv3d_2b_1x1))
        self.third = FrozenConv3x3x3(_convolution(network.Conv3d_2c_3x3))
        sides = {"3": SIDE // 8, "4": SIDE // 16, "5": SIDE // 32}
        self.blocks = nn.ModuleDict(
            {name: _Mixed(network.get_submodule(f"Mixed_{name}"), sides[name[0]]) for name in BLOCKS}
        )
        self.logits = _Pointwise(_convolution(network.logits))

    def forward(self, clips: Tensor) -> Tensor:
        learnt_from = torch.is_grad_enabled() and clips.requires_grad
        if clips.device.type != "cpu" or learnt_from or clips.shape[2] < SHORTEST or clips.shape[3:] != (SIDE, SIDE):
            found: Tensor = self.plain(clips)
            return found
        # large pictures of one clip at a time, which caches hold; later kernels are larger than a clip, and read once
        with torch.no_grad():
            return self._end(torch.cat([self._begin(clip) for clip in clips.split(1)]))

    def _begin(self, clip: Tensor) -> Tensor:
        """``[1, 3, t, 224, 224]`` -> ``[1, t / 4, 14, 14, 480]``."""
        x = self.first(clip).clamp_(min=0)
        tiling = Tiling(*x.shape[1:4])
        room = tiling.room(x, 1, x.shape[4])
        torch.clamp_min(self.second(x), 0, out=tiling.inside(room))
        x = self.third.pooled_in_room(room, tiling).clamp_(min=0)
        return _in_steps(self.blocks["3c"](self.blocks["3b"](x)), 3)

    def _end(self, x: Tensor) -> Tensor:
        for name in list(BLOCKS)[2:]:
            if name == "5b":
                x = _in_steps(x, 2)
            x = self.blocks[name](x)
        pairs = (x[:, :-1] + x[:, 1:]).mean(dim=(1, 2, 3)) / 2
        found: Tensor = self.logits(pairs)
        return found


class _Pointwise(nn.Module):
    """Convolutions of 1x1x1 with the same input, as one product of matrices: ``[..., c]`` to ``[..., all outputs]``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, *convs: nn.Conv3d) -> None:
        super().__init__()
        self.register_buffer("weight", torch.cat([conv.weight.flatten(1) for conv in convs]).T.contiguous(), False)
        biases = [conv.bias for conv in convs if conv.bias is not None]
        self.register_buffer("bias", torch.cat(biases), False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).unflatten(0, x.shape[:-1])


class _Mixed(nn.Module):
    """A block of I3D on ``[n, t, h, w, c]``; what comes in and goes out is no less than 0.

    Args:
        block: of the network.
        side: height and width of what comes in.
    """

    def __init__(self, block: nn.Module, side: int) -> None:
        super().__init__()
        names = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
        b0, b1a, b1b, b2a, b2b, b3b = (_convolution(block.get_submodule(name)) for name in names)
        self.entry = _Pointwise(b0, b1a, b2a)
        self.widths = [conv.out_channels for conv in (b0, b1a, b2a)]
        self.parts = [conv.out_channels for conv in (b0, b1b, b2b, b3b)]
        self.wide, self.narrow = (
            FrozenConv3x3x3(conv) if pays(conv.in_channels, side, side) else conv for conv in (b1b, b2b)
        )
        self.last = _Pointwise(b3b)

    def forward(self, x: Tensor) -> Tensor:
        found = x.new_empty(*x.shape[:-1], sum(self.parts))
        first, wide, narrow, last = found.split(self.parts, dim=-1)
        of_first, of_wide, of_narrow = self.entry(x).split(self.widths, dim=-1)
        torch.clamp_min(of_first, 0, out=first)
        _convolve(self.wide, of_wide, wide)
        _convolve(self.narrow, of_narrow, narrow)
        torch.clamp_min(self.last(max_of_neighbours(x)), 0, out=last)
        return found


def _convolution(unit: nn.Module) -> nn.Conv3d:
    conv = unit.conv3d
    assert isinstance(conv, nn.Conv3d)
    return conv


def _convolve(layer: nn.Module, x: Tensor, into: Tensor) -> None:
    """ReLU, zeros around, a 3x3x3 convolution and ReLU."""
    if isinstance(layer, FrozenConv3x3x3):
        tiling = Tiling(*x.shape[1:4])
        room = tiling.room(x, len(x), x.shape[4])
        torch.clamp_min(x, 0, out=tiling.inside(room))
        found = layer.in_room(room, tiling)
    else:
        padded = F.pad(x.clamp(min=0).permute(0, 4, 1, 2, 3), (1,) * 6)
        found = layer(padded).permute(0, 2, 3, 4, 1)
    torch.clamp_min(found, 0, out=into)


def _in_steps(x: Tensor, kernel: int) -> Tensor:
    """Max pooling of ``[n, t, h, w, c]`` in steps of 2 along all axes."""
    return max_pool(x.permute(0, 4, 1, 2, 3), (kernel,) * 3, (2, 2, 2)).permute(0, 2, 3, 4, 1)


def max_of_neighbours(x: Tensor) -> Tensor:
    """The largest of 3x3x3 neighbours in ``[n, t, h, w, c]``, axis by axis; neighbours outside do not count."""
    for dim in (1, 2, 3):
        if (size := x.shape[dim]) > 1:
            pairs = torch.maximum(x.narrow(dim, 0, size - 1), x.narrow(dim, 1, size - 1))
            x = torch.empty_like(x)
            x.select(dim, 0).copy_(pairs.select(dim, 0))
            x.select(dim, -1).copy_(pairs.select(dim, -1))
            inner = x.narrow(dim, 1, size - 2)
            torch.maximum(pairs.narrow(dim, 0, size - 2), pairs.narrow(dim, 1, size - 2), out=inner)
    return x
