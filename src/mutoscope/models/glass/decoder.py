"""The decoder D: from the recurrent network's output to the agent's picture (paper section 3.2; spec section 4)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mutoscope.models.glass.global_motion import translate, translate_clips
from mutoscope.models.glass.layers import Head, Residual, Up, precise


@dataclass(frozen=True)
class DecoderSettings:
    """The decoder D.

    Args:
        quarter, half, full: widths at a quarter, a half and the whole of the resolution.
        carry: ours, not the paper's: what is drawn is a change to the agent's first and last picture, moved by the
            shifts; for every pixel the decoder also chooses between the two. What somebody wears then need not pass
            through the recurrent network's few channels, which takes many hours to learn.
    """

    quarter: int = 128
    half: int = 64
    full: int = 32
    carry: bool = False


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


def carried_along(agents: Tensor, way: Tensor, shifts: Tensor, steps: int) -> Carried:
    """:func:`carry` for all steps of clips ``[b, t, 4, h, w]`` that see the real pictures."""
    first = translate_clips(agents[:, :1].expand(-1, steps, -1, -1, -1), way[:, :steps], outside="zeros")
    last = translate_clips(agents[:, :steps], shifts[:, :steps], outside="zeros")
    return Carried(first.flatten(0, 1), last.flatten(0, 1))


class Decoder(nn.Module):
    """D: from the recurrent network's output ``[n, c, h / 8, w / 8]`` to foreground and mask."""

    def __init__(self, settings: DecoderSettings, width: int) -> None:
        super().__init__()
        a, b, c = settings.quarter, settings.half, settings.full
        self.to_quarter = nn.Sequential(Up(width, a), Residual(a, a))
        self.to_half = nn.Sequential(Up(a, b), Residual(b, b))
        self.to_full = Up(b, c)
        self.carries = settings.carry
        self.quarter_head, self.half_head = Head(a, 3, 3), Head(b, 3, 3)
        # one more says which picture a pixel is carried from
        self.full_head = Head(c, 4 + settings.carry, 7)

    def forward(self, x: Tensor, carried: Carried | None = None) -> Drawn:
        """All scales.

        Args:
            x: ``[n, c, h / 8, w / 8]``.
            carried: for a decoder that carries.
        """
        quarter = self.to_quarter(x)
        half = self.to_half(quarter)
        full, mask = self._full(half, carried)
        return Drawn(full, precise(self.half_head(half)), precise(self.quarter_head(quarter)), mask)

    def at_full_scale(self, x: Tensor, carried: Carried | None = None) -> tuple[Tensor, Tensor]:
        """Foreground and mask at full scale alone, for what nobody trains."""
        return self._full(self.to_half(self.to_quarter(x)), carried)

    def _full(self, half: Tensor, carried: Carried | None) -> tuple[Tensor, Tensor]:
        full = precise(self.full_head(self.to_full(half)))
        if not self.carries:
            return full[:, :3], (full[:, 3:] + 1) / 2
        assert carried is not None
        share = (full[:, 4:] + 1) / 2
        changed = share * carried.first + (1 - share) * carried.last + full[:, :4]
        return changed[:, :3], changed[:, 3:].clamp(0, 1)
