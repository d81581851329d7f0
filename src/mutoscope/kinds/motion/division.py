"""Real clips in two sets that share no moment of a recording: what stands in a row, and what it is held against.

Windows of one recording overlap, or lie a moment apart; a real clip held against its own recording looks better than
any other can. So recordings go to one side as a whole. The only recording of a class is divided in time, and the clips
that begin less than a window after the last one of the row are left out.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """Where clips are cut from.

    Args:
        take: ``[n]`` int64, which recording each is from.
        first: ``[n]`` int64, its first frame there.
        end: ``[n]`` int64, one past its last frame.
        names: of the recordings, where the data know them.
    """

    take: Tensor
    first: Tensor
    end: Tensor
    names: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the data say from which recordings clips are; else each counts as a recording of its own."""
        return bool(self.names)


@dataclass(frozen=True)
class Division:
    """Two sides that share no recording, or parts of one with a gap between them.

    Args:
        row: ``[n]`` bool, clips that may stand in a row.
        taken: ``[takes]`` bool, recordings of the row's side.
        border: ``[takes]`` int64, the frame up to which a recording that is divided is the row's; -1 for all others.
        gap: frames left out behind the border.
    """

    row: Tensor
    taken: Tensor
    border: Tensor
    gap: int

    def reference(self, spans: Spans, row: Tensor) -> Tensor:
        """``[n]`` bool: clips that may be held against those at ``row: [m]``, whose recordings are left out."""
        used = torch.zeros_like(self.taken)
        used[spans.take[row]] = True
        border = self.border[spans.take]
        return ~used[spans.take] | ((border >= 0) & (spans.first >= border + self.gap))


def spans_of(data: Any) -> Spans:
    """Where the clips of a split are cut from; data that do not say have recordings of one clip each."""
    if hasattr(data, "spans"):
        take, first, end = data.spans()
        return Spans(take, first, end, tuple(data.takes))
    number = torch.arange(len(data))
    return Spans(number, torch.zeros_like(number), torch.ones_like(number))


def in_halves(spans: Spans, label: Tensor, seed: int) -> Division:
    """Half of every class on either side, as nearly as whole recordings allow; the larger one is the reference.

    Args:
        spans: of ``n`` clips.
        label: ``[n]`` their classes.
        seed: of the order in which recordings of one size are placed.
    """
    count = _counts(spans, label)
    border, gap = _borders(spans, label, count)
    weight = count * (border < 0)[:, None]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(count), generator=generator)
    order = order[weight.sum(dim=1)[order].argsort(descending=True, stable=True)]
    taken = torch.zeros(len(count), dtype=torch.bool)
    lead = torch.zeros(count.shape[1], dtype=torch.long)
    for take in order.tolist():
        # to the side where its classes have fewer clips so far
        taken[take] = int((lead * weight[take].clamp(max=1)).sum()) > 0
        lead += weight[take] * (-1 if taken[take] else 1)
    taken = _mended(taken, weight)
    return _division(spans, taken, border, gap)


def enough(spans: Spans, label: Tensor, needed: Tensor, share: float, seed: int) -> Division:
    """Recordings for a row: as many as it needs, and at least a share of every class; the rest is the reference.

    Args:
        spans: of ``n`` clips.
        label: ``[n]`` their classes.
        needed: ``[k]`` clips wanted of every class.
        share: of the recordings of a class.
        seed: of the draw.
    """
    count = _counts(spans, label, len(needed))
    border, gap = _borders(spans, label, count)
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    taken = torch.zeros(len(count), dtype=torch.bool)
    whole = count * (border < 0)[:, None]
    for k in needed.nonzero()[:, 0].tolist():
        takes = list(dict.fromkeys(spans.take[order[label[order] == k]].tolist()))
        takes = [take for take in takes if border[take] < 0]
        for take in takes:
            if whole[taken, k].sum() >= needed[k] and (whole[taken, k] > 0).sum() >= share * len(takes):
                break
            taken[take] = True
    return _division(spans, taken, border, gap)


def _division(spans: Spans, taken: Tensor, border: Tensor, gap: int) -> Division:
    row = taken[spans.take] | (spans.end <= border[spans.take])
    return Division(row, taken, border, gap)


def _counts(spans: Spans, label: Tensor, classes: int | None = None) -> Tensor:
    """``[takes, k]`` clips by recording and class."""
    takes = int(spans.take.max()) + 1 if len(spans.take) else 0
    classes = classes or (int(label.max()) + 1 if len(label) else 0)
    flat = torch.bincount(spans.take * classes + label, minlength=takes * classes)
    return flat.view(takes, classes)


def _borders(spans: Spans, label: Tensor, count: Tensor) -> tuple[Tensor, int]:
    """Where recordings that alone have a class are divided, -1 for those that are not; and the gap, one window."""
    border = torch.full((len(count),), -1, dtype=torch.long)
    gap = int((spans.end - spans.first).max()) if len(spans.take) else 0
    alone = (count > 0).sum(dim=0) == 1
    for take in (count[:, alone] > 0).any(dim=1).nonzero()[:, 0].tolist():
        here = spans.take == take
        first, end, own = spans.first[here], spans.end[here], label[here]
        classes = (alone & (count[take] > 0)).nonzero()[:, 0]
        places = end.unique()
        # [places, windows] on either side of a place, times [windows, classes]
        member = (own[:, None] == classes).long()
        before, after = end[None] <= places[:, None], first[None] >= places[:, None] + gap
        less = torch.minimum(before.long() @ member, after.long() @ member).sum(dim=1)
        if less.max() > 0:
            border[take] = places[int(less.argmax())]
    return border, gap


def _mended(taken: Tensor, weight: Tensor) -> Tensor:
    """Swap single recordings to the other side as long as that gives a class clips on both sides."""
    several = (weight > 0).sum(dim=0) > 1

    def badness(row: Tensor) -> Tensor:
        """``[..., takes]`` -> ``[...]``: classes that lack a side first, then how uneven the sides are."""
        ours = row.long() @ weight
        theirs = weight.sum(dim=0) - ours
        lacking = (((ours == 0) | (theirs == 0)) & several).sum(dim=-1)
        return lacking * (2 * weight.sum() + 1) + (ours - theirs).abs().sum(dim=-1)

    while len(taken) and (((taken.long() @ weight == 0) | ((~taken).long() @ weight == 0)) & several).any():
        swapped = taken[None] ^ torch.eye(len(taken), dtype=torch.bool)
        cost = badness(swapped)
        if cost.min() >= badness(taken):
            break
        taken = swapped[int(cost.argmin())]
    return taken
