"""Whether generated tracks show the actions asked for, by a classifier trained on true tracks.

For what AG2Vid's paper had to ask people: recall of single actions (Table 7), accuracy of composed ones (Table 5).
"""

from typing import Protocol

import torch
from torch import Tensor

from mutoscope.metrics.average import ClassAverage, RunningAverage
from mutoscope.metrics.common import Side, check_finite, check_side
from mutoscope.structures import ClockedGraph, DatasetInfo


class TrackClassifier(Protocol):
    """What metrics ask of a classifier of box tracks (an ``nn.Module`` trained on true tracks of the same data)."""

    def judged(self, graph: ClockedGraph) -> Tensor:
        """``[a]`` bool: edges of which enough lies inside the clip to tell their action."""

    def __call__(self, graph: ClockedGraph, boxes: Tensor) -> Tensor:
        """Graph of ``a`` edges, boxes ``[n, t, 4]`` -> logits ``[a, actions]``; does not look at ``graph.action``."""

    def eval(self) -> object:
        """Switch to evaluation mode."""


def recognised(classifier: TrackClassifier, graph: ClockedGraph, boxes: Tensor) -> Tensor:
    """``[a]`` bool: edges whose tracks ``boxes: [n, t, 4]`` are taken for the action asked for.

    Raises:
        ValueError: for boxes or logits with NaN.
    """
    classifier.eval()
    check_finite("The classifier of tracks", boxes=boxes)
    with torch.no_grad(), torch.autocast(boxes.device.type, enabled=False):
        logits = classifier(graph, boxes.float())
    check_finite("The classifier of tracks", logits=logits)
    return logits.argmax(dim=1) == graph.action


class ActionRecall(ClassAverage):
    """Share of asked edges whose tracks are taken for the action asked for; see also ``per_class()``.

    Args:
        info: of the data.
        track_classifier: see :class:`TrackClassifier`; its hash belongs to the protocol.
        of: which side to look at; true tracks give the ceiling.
    """

    higher_is_better = True
    meaning = "asked actions that a classifier of tracks recognises; fraction from 0 to 1"

    def __init__(self, info: DatasetInfo, track_classifier: TrackClassifier, of: Side = "fake") -> None:
        super().__init__(len(info.need_vocabulary().actions), "edge")
        check_side(of)
        self.track_classifier, self.of = track_classifier, of

    def update(self, fake_boxes: Tensor, real_boxes: Tensor, graph: ClockedGraph) -> None:
        """Add clips: boxes ``[n, t, 4]``, fractions of the frame, with the graph that was asked for."""
        boxes = fake_boxes if self.of == "fake" else real_boxes
        right = recognised(self.track_classifier, graph, boxes)
        self._add(right, graph.action, self.track_classifier.judged(graph))


class ComposedAccuracy(RunningAverage):
    """Share of clips all of whose asked edges are recognised; for graphs that compose actions (Swap, Huddle, ...).

    Every edge that is active in at least two frames counts, also one that is under way when the clip begins: the edges
    of Huddle are.

    Args:
        track_classifier: see :class:`TrackClassifier`; its hash belongs to the protocol.
        of: which side to look at.
        single: count edges instead of clips. One edge of many that is not recognised spoils its clip; this says how
            many there are.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    #: what the number is, and its unit, in one line for reports
    meaning: str

    def __init__(self, track_classifier: TrackClassifier, of: Side = "fake", single: bool = False) -> None:
        super().__init__("active edge" if single else "clip with an active edge")
        check_side(of)
        self.track_classifier, self.of, self.single = track_classifier, of, single
        what = "asked actions that are recognised" if single else "clips in which every asked action is recognised"
        self.meaning = f"{what} from tracks; fraction from 0 to 1"

    def update(self, fake_boxes: Tensor, real_boxes: Tensor, graph: ClockedGraph) -> None:
        """Add clips: boxes ``[n, t, 4]``, fractions of the frame, with the graph that was asked for."""
        boxes = fake_boxes if self.of == "fake" else real_boxes
        right = recognised(self.track_classifier, graph, boxes)
        clock, clip = graph.clocks(boxes.shape[1]), graph.clip[graph.subject]
        active = ((clock >= 0) & (clock <= 1)).sum(dim=0) > 1
        if self.single:
            self._add(right.double(), active)
            return
        edges = clip.new_zeros(graph.num_clips)
        asked = edges.index_add(0, clip, active.long())
        shown = edges.index_add(0, clip, (active & right).long())
        self._add((shown == asked).double(), asked > 0)
