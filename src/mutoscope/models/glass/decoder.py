"""The decoder D: from the recurrent network's output to the agent's picture (paper section 3.2; spec section 4)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.glass.global_motion import translate
from mutoscope.models.glass.layers import Head, Residual, Same, Up, precise


@dataclass(frozen=True)
class DecoderSettings:
    """The decoder D.

    Args:
        quarter, half, full: widths at a quarter, a half and the whole of the resolution.
        carry: ours, not the paper's: the agent's first and last picture, moved by the shifts, are looked at, and every
            pixel is a mean of pixels near it in these two and of a new one; see :class:`CarryingDecoder`. What somebody
            wears then need not pass through the recurrent network's few channels, which takes many hours to learn.
        reach: how many pixels up, down and aside a pixel may come from.
    """

    quarter: int = 128
    half: int = 64
    full: int = 32
    carry: bool = False
    reach: int = 3


class Drawn(NamedTuple):
    """Foregrounds ``[n, 3, ...]`` in (-1, 1) at three scales, and their mask ``[n, 1, h, w]`` in (0, 1)."""

    full: Tensor
    half: Tensor
    quarter: Tensor
    mask: Tensor


class Carried(NamedTuple):
    """The agent's first and last picture, moved to where it is now: ``[n, 4, h, w]``, foreground and mask."""

    first: Tensor
    last: Tensor


def carry(first: Tensor, way: Tensor, last: Tensor, shift: Tensor) -> Carried:
    """The agent's first and last picture ``[n, 4, h, w]`` where it is after the next step.

    Args:
        first, last: foregrounds and masks.
        way: ``[n, 2]`` sum of all its shifts, this step's too, half extents.
        shift: ``[n, 2]`` this step's.
    """
    return Carried(translate(first, way, outside="zeros"), translate(last, shift, outside="zeros"))


def with_masks(foregrounds: Tensor, masks: Tensor | None) -> Tensor:
    """``[b, t, 3, h, w], [b, t, 1, h, w] -> [b, t, 4, h, w]``; raises ``ValueError`` without masks."""
    if masks is None:
        raise ValueError("A decoder that carries needs the masks of the foregrounds, and there are none.")
    return torch.cat([foregrounds, masks], dim=2)


class Decoder(nn.Module):
    """D: from the recurrent network's output ``[n, c, h / 8, w / 8]`` to foreground and mask."""

    carries = False

    def __init__(self, settings: DecoderSettings, width: int) -> None:
        super().__init__()
        a, b, c = settings.quarter, settings.half, settings.full
        self.to_quarter = nn.Sequential(Up(width, a), Residual(a, a))
        self.to_half = nn.Sequential(Up(a, b), Residual(b, b))
        self.to_full = Up(b, c)
        self.quarter_head, self.half_head, self.full_head = Head(a, 3, 3), Head(b, 3, 3), Head(c, 4, 7)

    def forward(self, x: Tensor, carried: Carried | None = None) -> Drawn:
        """All scales; ``x: [n, c, h / 8, w / 8]``, and nothing is carried."""
        quarter = self.to_quarter(x)
        half = self.to_half(quarter)
        full, mask = self._full(half)
        return Drawn(full, precise(self.half_head(half)), precise(self.quarter_head(quarter)), mask)

    def at_full_scale(self, x: Tensor, carried: Carried | None = None) -> tuple[Tensor, Tensor]:
        """Foreground and mask at full scale alone, for what nobody trains."""
        return self._full(self.to_half(self.to_quarter(x)))

    def _full(self, half: Tensor) -> tuple[Tensor, Tensor]:
        full = precise(self.full_head(self.to_full(half)))
        return full[:, :3], (full[:, 3:] + 1) / 2


class CarryingDecoder(nn.Module):
    """A decoder that sees pictures of the agent and moves their pixels (ours, not the paper's).

    The agent's first and last picture are looked at on the way down to a quarter of the resolution, and what was seen
    meets the recurrent network's output on the way up. For every pixel, a softmax over its neighbours in both pictures
    says where it comes from, and a share how much of it is painted anew.
    """

    carries = True

    def __init__(self, settings: DecoderSettings, width: int) -> None:
        super().__init__()
        a, b, c = settings.quarter, settings.half, settings.full
        self.across = 2 * settings.reach + 1
        self.look_full, self.look_half, self.look_quarter = Same(8, c), Same(c, b, 2), Same(b, a, 2)
        self.up_quarter, self.up_half, self.up_full = Up(width, a), Up(a, b), Up(b, c)
        self.at_quarter = nn.Sequential(Same(2 * a, a), Residual(a, a))
        self.at_half = nn.Sequential(Same(2 * b, b), Residual(b, b))
        self.at_full = Same(2 * c, c)
        self.quarter_head, self.half_head = Head(a, 3, 3), Head(b, 3, 3)
        neighbours = self.across**2
        # of the last picture, of the first, a new colour and mask, the share of the new
        self.full_head = nn.Conv2d(c, 2 * neighbours + 5, 3, padding=1)
        # it begins with pictures that are carried as they are, for the greater part the last
        bias = torch.zeros(2 * neighbours + 5)
        bias[neighbours // 2], bias[neighbours + neighbours // 2], bias[-1] = 5, 4, -2
        self.full_head.bias = nn.Parameter(bias)
        with torch.no_grad():
            self.full_head.weight.mul_(0.3)

    def forward(self, x: Tensor, carried: Carried | None = None) -> Drawn:
        """All scales.

        Args:
            x: ``[n, c, h / 8, w / 8]``.
            carried: the agent's first and last picture.
        """
        quarter, half, full, mask = self._scales(x, carried)
        return Drawn(full, precise(self.half_head(half)), precise(self.quarter_head(quarter)), mask)

    def at_full_scale(self, x: Tensor, carried: Carried | None = None) -> tuple[Tensor, Tensor]:
        """Foreground and mask at full scale alone, for what nobody trains."""
        return self._scales(x, carried)[2:]

    def _scales(self, x: Tensor, carried: Carried | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at a quarter and a half, foreground and mask."""
        assert carried is not None
        pictures = torch.cat([carried.first, carried.last], dim=1)
        seen_full = self.look_full(pictures)
        seen_half = self.look_half(seen_full)
        quarter = self.at_quarter(torch.cat([self.up_quarter(x), self.look_quarter(seen_half)], dim=1))
        half = self.at_half(torch.cat([self.up_half(quarter), seen_half], dim=1))
        full = precise(self.full_head(self.at_full(torch.cat([self.up_full(half), seen_full], dim=1))))
        neighbours = self.across**2
        drawn = self._gathered(carried, full[:, : 2 * neighbours].softmax(dim=1))
        new = full[:, 2 * neighbours : -1].tanh()
        new = torch.cat([new[:, :3], (new[:, 3:] + 1) / 2], dim=1)
        drawn = torch.lerp(drawn, new, full[:, -1:].sigmoid())
        return quarter, half, drawn[:, :3], drawn[:, 3:].clamp(0, 1)

    def _gathered(self, carried: Carried, shares: Tensor) -> Tensor:
        """``[n, 4, h, w]``: means of neighbours in the last and the first picture, by ``[n, 2 k, h, w]``."""
        height, width = shares.shape[-2:]
        margin = self.across // 2
        wide = [F.pad(precise(picture), 4 * (margin,)) for picture in (carried.last, carried.first)]
        # one neighbour after the other: a third of the time that all of them at once take, side by side in memory
        moved = [
            picture[..., top : top + height, left : left + width]
            for picture in wide
            for top in range(self.across)
            for left in range(self.across)
        ]
        drawn = torch.zeros_like(moved[0])
        for picture, share in zip(moved, shares.unsqueeze(2).unbind(1), strict=True):
            drawn = torch.addcmul(drawn, picture, share)
        return drawn
