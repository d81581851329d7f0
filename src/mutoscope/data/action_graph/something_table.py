"""The boxes of many Something-Something videos as one table, and the windows cut from it (AG2Vid, supplement)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.clips import Clip, ClipSource
from mutoscope.formats.arrays import read_arrays
from mutoscope.formats.something_else import HAND, TEMPLATES, BoxTrack
from mutoscope.runtime.files import replacing
from mutoscope.structures import ActionVocabulary, something_vocabulary

Purpose = Literal["train", "val", "test"]

_PURPOSES: tuple[Purpose, ...] = ("train", "val", "test")
#: training clips have at least so many frames before the last is repeated, unless they are shorter altogether
_FEWEST = 8
_ARRAYS = ("names", "categories", "facts", "records", "category", "labels", "boxes")


@dataclass(frozen=True)
class SomethingVideo:
    """One usable video.

    Args:
        name: its id.
        purpose: which split it is in.
        action: number of its template.
        instances: how many there must be in a clip, the hand included.
        size: (width, height) of its pictures in pixels.
        track: its boxes.
    """

    name: str
    purpose: Purpose
    action: int
    instances: int
    size: tuple[int, int]
    track: BoxTrack


@dataclass(frozen=True)
class SomethingTable(ClipSource):
    """Videos end to end.

    Args:
        names: of the videos, ``v`` of them.
        categories: all that may be in a clip, the hand among them; sorted, they are ids from 1 on.
        facts: ``[v, 6]`` int64 (split, action, instances wanted, number of records, of instances, of labels).
        records: ``[r, 2]`` int64 (frame of the video, instances present), records of all videos.
        category: ``[i]`` int64 id of every instance.
        labels: ``[l, 2]`` int64 (record, instance), both numbered within their video.
        boxes: ``[l, 4]`` float32 (x0, y0, width, height) as fractions of the picture.
        stride: raw frames between two frames of a clip.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...]
    facts: NDArray[np.int64]
    records: NDArray[np.int64]
    category: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    stride: int = 1
    _starts: dict[tuple[int, int], NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, videos: Sequence[SomethingVideo], categories: Sequence[str], stride: int = 1) -> "SomethingTable":
        """A table of videos, at least one."""
        number = {name: i for i, name in enumerate(sorted(categories), start=1)}
        facts, boxes = [], []
        for video in videos:
            track = video.track
            size = (len(track.frames), len(track.category), len(track.box))
            facts.append([_PURPOSES.index(video.purpose), video.action, video.instances, *size])
            corners = track.box / np.array([*video.size, *video.size], dtype=np.float32)
            boxes.append(np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1))
        tracks = [video.track for video in videos]
        return cls(
            names=tuple(video.name for video in videos),
            categories=tuple(sorted(categories)),
            facts=np.array(facts, dtype=np.int64),
            records=np.concatenate([np.stack([track.frames, track.present], axis=1) for track in tracks]),
            category=np.array([number[name] for track in tracks for name in track.category], dtype=np.int64),
            labels=np.concatenate([np.stack([track.label_record, track.label_instance], axis=1) for track in tracks]),
            boxes=np.concatenate(boxes).astype(np.float32),
            stride=stride,
        )

    @classmethod
    def load(cls, path: Path, stride: int = 1) -> "SomethingTable":
        """Read a table.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged.
        """
        if not path.is_file():
            raise FileNotFoundError(f"There are no prepared boxes at {path}; call prepare_data() first.")
        try:
            arrays: dict[str, Any] = read_arrays(path, _ARRAYS)
            words = {name: tuple(arrays[name].tolist()) for name in ("names", "categories")}
            table = cls(**arrays | words, stride=stride)
            table._check()
        except ValueError as error:
            raise ValueError(
                f"The boxes at {path} are damaged ({error}); delete the file and prepare again."
            ) from error
        return table

    def save(self, path: Path) -> None:
        """Write the table, atomically."""
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def _check(self) -> None:
        """Whether the arrays fit together and mean something; a ``ValueError`` says what does not."""
        whole = (self.facts, self.records, self.category, self.labels)
        if any(array.dtype != np.int64 for array in whole) or self.boxes.dtype != np.float32:
            raise ValueError("its numbers are of another type than were written")
        shapes = [array.shape[1:] for array in (*whole, self.boxes)]
        if shapes != [(6,), (2,), (), (2,), (4,)] or len(self.facts) != len(self.names) or not len(self.names):
            raise ValueError("its arrays have other shapes than were written")
        counts = self.facts[:, 3:]
        if (self.facts < 0).any() or (counts < 1).any() or len(self.boxes) != len(self.labels):
            raise ValueError("its counts do not go with its names")
        if counts.sum(axis=0).tolist() != [len(self.records), len(self.category), len(self.labels)]:
            raise ValueError("its counts do not go with what they count")
        if (self.facts[:, :2] >= (len(_PURPOSES), len(TEMPLATES))).any() or (self.records < 0).any():
            raise ValueError("it holds splits, actions or frames that there cannot be")
        most = np.repeat(counts[:, :2], counts[:, 2], axis=0)
        if (self.labels < 0).any() or (self.labels >= most).any() or not np.isfinite(self.boxes).all():
            raise ValueError("it holds boxes of nothing, or that are no numbers")
        if (self.category < 1).any() or (self.category > len(self.categories)).any() or HAND not in self.categories:
            raise ValueError("it holds categories that there cannot be")

    @cached_property
    def vocabulary(self) -> ActionVocabulary:
        return something_vocabulary(self.categories)

    def purpose(self, video: int) -> Purpose:
        """The split of a video."""
        return _PURPOSES[int(self.facts[video, 0])]

    def span(self, video: int) -> tuple[int, int]:
        """First record with all instances, and one past the last; both 0 where there is none."""
        _, present = self._records(video).T
        whole = np.flatnonzero(present == self.facts[video, 2])
        return (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (0, 0)

    def starts(self, video: int, length: int) -> NDArray[np.int64]:
        """Records at which windows may begin: within the action, with the hand as the last of all instances in them.

        Where the action is shorter than the window there is one, from its first frame on; in training it is left out
        if less than eight frames remain.
        """
        if (video, length) not in self._starts:
            first, end = self.span(video)
            span = length * self.stride
            starts = np.arange(first, max(end - span, first + 1))
            stops = np.minimum(starts + span, end)
            fewest = min(length, _FEWEST) * self.stride if self.purpose(video) == "train" else 1
            kept = starts[(stops - starts >= fewest) & self._sound(video, starts, stops)]
            self._starts[video, length] = kept
        return self._starts[video, length]

    def test_start(self, video: int, length: int) -> int | None:
        """Where the action begins, unless the video ends before the window does."""
        first, end = self.span(video)
        stop = first + length * self.stride
        if not end or stop > len(self._records(video)):
            return None
        return first if self._sound(video, np.array([first]), np.array([stop]))[0] else None

    def cut(self, video: int, start: int, length: int) -> Clip:
        """``length`` frames from record ``start`` on; beyond the end of the action its last frame is repeated.

        Only in test splits may clips go beyond it.
        """
        first, end = self.span(video)
        stop = start + length * self.stride
        if self.purpose(video) != "test":
            stop = min(stop, end)
        order, boxes = self._window(video, start, stop)
        shown = np.minimum(start + self.stride * np.arange(length), stop - 1)
        hand = len(order) - 1
        # the hand acts on the first thing, that on the next
        chain = np.arange(-1, hand - 1) % len(order)
        things = np.arange(hand)
        progress = (np.array([start, stop]) - first + 1) / (end - first)
        return Clip(
            attributes=self.category[self._first[video, 1] + order][:, None],
            boxes=boxes[:, shown - start],
            relations=np.stack([things, np.full(hand, self.vocabulary.in_image), np.full(hand, hand)], axis=1),
            subject=chain,
            action=np.full(hand, self.facts[video, 1]),
            object=things,
            progress=np.tile(progress.astype(np.float32), (hand, 1)),
            destination=np.zeros((hand, 2), dtype=np.float32),
            raw=self._records(video)[shown, 0],
            name=f"{self.names[video]}_{start}-{stop}",
        )

    def _sound(self, video: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
        """In which windows ``[w]`` all instances wanted appear, the hand last and no other hand."""
        record, instance = self._labels(video).T
        instances, many = int(self.facts[video, 4]), len(record)
        # of every instance, its next label from every record on
        following = np.full((instances, int(self.facts[video, 3]) + 1), many)
        following[instance[::-1], record[::-1]] = np.arange(many)[::-1]
        following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
        appears = following[:, starts]
        inside = np.append(record, len(following[0]) + stops.max())[appears] < stops
        first = self._first[video, 1]
        hand = (self.category[first : first + instances] == self._hand)[:, None] & inside
        last = np.where(inside, appears, -1).max(axis=0)
        found = inside.sum(axis=0)
        hand_is_last = (np.where(hand, appears, -1).max(axis=0) == last) & (hand.sum(axis=0) == 1)
        return np.asarray((found == self.facts[video, 2]) & (found > 1) & hand_is_last)

    def _window(self, video: int, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Instances by first appearance in some records, and their boxes ``[i, stop - start, 4]``.

        An instance without a box in a record has that of the record before; all zero before its first.
        """
        record, instance = self._labels(video).T
        inside = (record >= start) & (record < stop)
        record, instance, boxes = record[inside] - start, instance[inside], self.boxes[self._rows(video)][inside]
        found, appeared, number = np.unique(instance, return_index=True, return_inverse=True)
        order = np.argsort(appeared)
        number = np.argsort(order)[number]
        track = np.zeros((len(found), stop - start, 4), dtype=np.float32)
        there = np.zeros(track.shape[:2], dtype=bool)
        track[number, record], there[number, record] = boxes, True
        latest = np.maximum.accumulate(np.where(there, np.arange(stop - start), 0), axis=1)
        return found[order], np.take_along_axis(track, latest[..., None], axis=1)

    def _records(self, video: int) -> NDArray[np.int64]:
        first = self._first[video, 0]
        return self.records[first : first + self.facts[video, 3]]

    def _labels(self, video: int) -> NDArray[np.int64]:
        return self.labels[self._rows(video)]

    def _rows(self, video: int) -> slice:
        first = self._first[video, 2]
        return slice(first, first + self.facts[video, 5])

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        """``[v, 3]``: where records, instances and labels of every video begin."""
        counts = self.facts[:, 3:]
        return np.asarray(np.cumsum(counts, axis=0) - counts)

    @cached_property
    def _hand(self) -> int:
        return self.categories.index(HAND) + 1


def action_of(template: str) -> int:
    """Number of an action's template; raises ``ValueError`` for one that is none of the eight."""
    return list(TEMPLATES).index(template)
