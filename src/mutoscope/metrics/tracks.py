"""Whether things happen when and where an action graph asks for it, read from box tracks and pixels.

For what AG2Vid's paper had to ask people (Table 6): in a pair of clips whose graphs differ in when something starts,
the acting object should start earlier where it was asked to. The error of destinations is an addition.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mutoscope.metrics.average import ClassAverage, RunningAverage
from mutoscope.metrics.common import check_finite, check_frames
from mutoscope.metrics.layout import MOVING
from mutoscope.structures import ClockedGraph, DatasetInfo
from mutoscope.structures.boxes import centres

#: pixels of an object tell of an action if at its height they change by so many times their noise ...
_ABOVE_NOISE = 2.0
#: ... and by at least this much (of 255)
_LEAST_CHANGE = 2.0
#: the action starts where the change has risen so far from noise to height
_RISE = 0.25
#: the noise is this quantile of the changes over the clip
_QUIET = 0.25


def onsets_of_tracks(boxes: Tensor, threshold: float = MOVING) -> Tensor:
    """When objects start to move.

    Args:
        boxes: ``[n, t, 4]`` (x0, y0, width, height), fractions of the frame.
        threshold: distance of the box centre from its first place that counts as moving, fraction of the frame.

    Returns:
        ``[n]`` float, the first frame at which the object has moved; infinity where it never does.

    Example:
        >>> track = torch.tensor([0.2, 0.2, 0.1, 0.1]).repeat(1, 4, 1)
        >>> track[0, 2:, 0] = 0.5
        >>> onsets_of_tracks(track)
        tensor([2.])
    """
    centre = centres(boxes)
    return _first((centre - centre[:, :1]).norm(dim=-1) > threshold)


def onsets_of_pixels(frames: Tensor, boxes: Tensor, clip: Tensor) -> Tensor:
    """When the pixels of objects start to change: for actions that move no box, as ``rotate``.

    The change at frame ``k`` is the mean absolute difference to frame ``k - 1`` over the smallest rectangle around
    both boxes. Its lower quartile over the clip is the clip's own noise (an action must therefore take less than three
    quarters of the clip). The onset is where the change has risen a quarter of the way from noise to its height,
    provided that the height is at least twice the noise and 2/255.

    Args:
        frames: ``[b, t, 3, h, w]`` uint8 RGB.
        boxes: ``[n, t, 4]`` fractions of the frame.
        clip: ``[n]`` int64, the clip each object is in.

    Returns:
        ``[n]`` float, the first frame that changes; infinity where none does or the object is outside the frame.

    Raises:
        ValueError: for frames of another type or shape.
    """
    change = pixel_change(frames, boxes, clip)
    if not change.shape[1]:
        return change.new_full((len(change),), torch.inf)
    noise, height = change.quantile(_QUIET, dim=1, keepdim=True), change.amax(dim=1, keepdim=True)
    happens = height > (_ABOVE_NOISE * noise).clamp(min=_LEAST_CHANGE)
    return _first(happens & (change > noise + _RISE * (height - noise))) + 1


def pixel_change(frames: Tensor, boxes: Tensor, clip: Tensor) -> Tensor:
    """``[n, t - 1]`` float, how much the pixels of each object change from one frame to the next, 0..255.

    Sums over rectangles come from one table of running sums per frame. Arguments: see :func:`onsets_of_pixels`.
    """
    check_frames("onsets_of_pixels", frames)
    b, t, _, h, w = frames.shape
    difference = (frames[:, 1:].int() - frames[:, :-1].int()).abs().sum(dim=2)
    table = torch.zeros(b, t - 1, h + 1, w + 1, dtype=torch.int64, device=frames.device)
    table[:, :, 1:, 1:] = difference.cumsum(dim=2).cumsum(dim=3)

    size = boxes.new_tensor([w, h])
    low = (torch.minimum(boxes[:, 1:, :2], boxes[:, :-1, :2]) * size).floor()
    ends = boxes[..., :2] + boxes[..., 2:]
    high = (torch.maximum(ends[:, 1:], ends[:, :-1]) * size).ceil()
    x0, y0 = torch.minimum(low.clamp(min=0), size).long().unbind(dim=-1)
    x1, y1 = torch.minimum(high.clamp(min=0), size).long().unbind(dim=-1)
    where = clip[:, None], torch.arange(t - 1, device=clip.device)[None]

    total = table[(*where, y1, x1)] - table[(*where, y0, x1)] - table[(*where, y1, x0)] + table[(*where, y0, x0)]
    area = (x1 - x0).clamp(min=0) * (y1 - y0).clamp(min=0)
    return torch.where(area > 0, total / (3 * area.clamp(min=1)), 0.0)


def _first(true: Tensor) -> Tensor:
    """``[n, t]`` bool -> ``[n]`` float, the first true column, infinity without one."""
    index = true.long().argmax(dim=1).to(torch.get_default_dtype())
    return torch.where(true.any(dim=1), index, torch.inf)


def timing_accuracy(early: Tensor, late: Tensor) -> Tensor:
    """Share of pairs in which the early onset comes first; ties are wrong, and so is what never starts.

    Args:
        early, late: ``[p]`` onsets in the two clips of each pair, infinity for never.

    Returns:
        Scalar from 0 to 1; NaN without a pair.

    Example:
        >>> timing_accuracy(torch.tensor([1.0, 4.0, 2.0]), torch.tensor([9.0, 4.0, float("inf")]))
        tensor(0.3333)
    """
    return in_order(early, late).float().mean()


def in_order(early: Tensor, late: Tensor) -> Tensor:
    """``[p]`` bool: both start, and the early one first; arguments as of :func:`timing_accuracy`."""
    return (early < late) & late.isfinite()


class TimingAccuracy(ClassAverage):
    """Share of pairs of clips in which the acting objects start in the order the two graphs ask for.

    Of every pair, those edges count whose clock differs between the two graphs. The onset of a clip is the earliest
    onset of their subjects, from their tracks, or from the pixels inside their boxes for actions that move no box.

    Args:
        info: of the data; its vocabulary names the actions.
        still: actions that move no box, as people write them; those the vocabulary does not have are ignored.
        threshold: see :func:`onsets_of_tracks`.
    """

    higher_is_better = True
    meaning = "pairs in which the acting object starts earlier where asked to; fraction from 0 to 1 (chance: up to 0.5)"

    def __init__(self, info: DatasetInfo, still: Sequence[str] = ("rotate",), threshold: float = MOVING) -> None:
        vocabulary = info.need_vocabulary()
        super().__init__(len(vocabulary.actions), "pair of clips")
        known = [vocabulary.action(name) for name in still if name in vocabulary.action_names]
        self.still, self.threshold = tuple(known), threshold

    def update(
        self,
        early: ClockedGraph,
        late: ClockedGraph,
        early_boxes: Tensor,
        late_boxes: Tensor,
        early_frames: Tensor | None = None,
        late_frames: Tensor | None = None,
    ) -> None:
        """Add ``b`` pairs of clips.

        Args:
            early, late: graphs with the same nodes and edges, which differ in clocks only.
            early_boxes, late_boxes: ``[n, t, 4]`` generated boxes, fractions of the frame.
            early_frames, late_frames: ``[b, t, 3, h, w]`` uint8 generated frames; without them, edges of actions that
                move no box are left out.

        Raises:
            ValueError: for graphs whose edges are not the same, or boxes with NaN.
        """
        check_finite(type(self).__name__, early_boxes=early_boxes, late_boxes=late_boxes)
        same = early.num_nodes == late.num_nodes and early.num_clips == late.num_clips
        if not (same and torch.equal(early.subject, late.subject) and torch.equal(early.action, late.action)):
            raise ValueError(
                "The two graphs of a timing pair must have the same objects and edges; only clocks differ."
            )
        changed = (early.progress != late.progress).any(dim=1)
        still = torch.isin(early.action, early.action.new_tensor(self.still))
        if early_frames is None or late_frames is None:
            changed = changed & ~still
        onsets = []
        for boxes, frames in ((early_boxes, early_frames), (late_boxes, late_frames)):
            onset = onsets_of_tracks(boxes, self.threshold)[early.subject]
            if frames is not None:
                by_pixels = onsets_of_pixels(frames, boxes, early.clip)[early.subject]
                onset = torch.where(still, by_pixels, onset)
            onset = torch.where(changed, onset, torch.inf)
            first = onset.new_full((early.num_clips,), torch.inf)
            onsets.append(first.scatter_reduce(0, early.clip[early.subject], onset, "amin"))
        # a pair is booked under its first changed edge
        edge = torch.arange(early.num_actions, device=changed.device)
        edge = torch.where(changed, edge, early.num_actions)
        first_edge = edge.new_full((early.num_clips,), early.num_actions)
        first_edge = first_edge.scatter_reduce(0, early.clip[early.subject], edge, "amin")
        counted = first_edge < early.num_actions
        action = torch.cat([early.action, early.action.new_zeros(1)])[first_edge]
        self._add(in_order(*onsets), action, counted)


class DestinationError(RunningAverage):
    """Distance between where an object was asked to go and where it is when the edge says it has arrived.

    Counted are edges of actions with a destination which end inside the clip, at the first frame at which their
    progress has reached 1; measured is the top-left corner of the subject's box.

    Args:
        info: of the data; its vocabulary says which actions have destinations.
        of: generated boxes (``fake``), true ones (``real``: what sampling of the frames leaves), or true first ones
            (``first``: as if nothing had moved).
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(self, info: DatasetInfo, of: Literal["fake", "real", "first"] = "fake") -> None:
        super().__init__("edge with a destination that ends inside its clip")
        if of not in ("fake", "real", "first"):
            raise ValueError(f"of is '{of}', expected fake, real or first.")
        vocabulary = info.need_vocabulary()
        self.of = of
        self.actions = tuple(i for i in range(len(vocabulary.actions)) if vocabulary.takes_destination(i))
        self.meaning = f"distance of boxes from their destination on arrival ({of}); fraction of the frame"

    def update(self, fake_boxes: Tensor, real_boxes: Tensor, graph: ClockedGraph) -> None:
        """Add clips: boxes ``[n, t, 4]``, fractions of the frame, with the graph that was asked for."""
        boxes = {"fake": fake_boxes, "real": real_boxes, "first": real_boxes[:, :1].expand_as(real_boxes)}[self.of]
        if boxes.ndim != 3 or len(boxes) != graph.num_nodes or boxes.shape[2] != 4:
            raise ValueError(f"DestinationError got boxes {list(boxes.shape)}, expected [{graph.num_nodes}, t, 4].")
        check_finite(type(self).__name__, boxes=boxes)
        arrived = (graph.clocks(boxes.shape[1]) >= 1).T
        frame = arrived.long().argmax(dim=1)
        corner = boxes[graph.subject, frame, :2]
        asked = torch.isin(graph.action, graph.action.new_tensor(self.actions))
        self._add((corner - graph.destination).norm(dim=1), asked & arrived.any(dim=1) & ~arrived[:, 0])
