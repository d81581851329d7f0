"""What flows from data to models (batches) and from models to metrics and pictures (samples)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from mutoscope.structures.clocked import ClockedGraph
from mutoscope.structures.info import DatasetInfo


@dataclass(frozen=True)
class MotionBatch:
    """Labelled skeleton clips in dataset units.

    Args:
        joints: ``[b, t, v, c]`` float32, units and root rule as ``DatasetInfo`` says.
        label: ``[b]`` int64 class index.
        mask: ``[b, t]`` bool, true on real frames and false on padding.
    """

    joints: Tensor
    label: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return self.joints.shape[0]

    def to(self, *args: object, **kwargs: object) -> Self:
        return type(self)(*(getattr(self, f.name).to(*args, **kwargs) for f in fields(self)))

    def pin_memory(self) -> Self:
        return type(self)(*(getattr(self, f.name).pin_memory() for f in fields(self)))

    @classmethod
    def cat(cls, batches: "list[MotionBatch]") -> "MotionBatch":
        return cls(*(torch.cat([getattr(b, f.name) for b in batches]) for f in fields(cls)))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a model generated, in dataset units, beside what it was asked for.

    Args:
        fake: ``[b, t, v, c]`` for motion, ``[b, t, 3, h, w]`` uint8 for video.
        info: the dataset's description (classes, skeleton, vocabulary, fps, units).
        real: the clips behind the conditions, same shape as ``fake``, or ``None``.
    """

    fake: Tensor
    info: DatasetInfo
    real: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class MotionSample(Sample):
    """Generated motion.

    Args:
        label: ``[b]`` class asked for.
    """

    label: Tensor


@dataclass(frozen=True)
class ActionGraphBatch:
    """Video clips with the action graphs that say what happens in them.

    Args:
        graph: objects and clocked edges of the ``b`` clips.
        boxes: ``[n, t, 4]`` float32 (x0, y0, width, height) as fractions of the frame, not clipped; (0, 0, 1, 1) for
            image nodes.
        frames: ``[b, t, 3, h, w]`` uint8 RGB, or ``None`` where only layouts are wanted.
        names: one per clip, ``<video>_<first>-<last raw frame>`` for clips of a dataset.
    """

    graph: ClockedGraph
    boxes: Tensor
    frames: Tensor | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return self.graph.num_clips

    @property
    def length(self) -> int:
        """Frames per clip ``t``."""
        return self.boxes.shape[1]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        frames = None if self.frames is None else self.frames.to(*args, **kwargs)
        boxes = self.boxes.to(*args, **kwargs)
        return replace(self, graph=self.graph.to(*args, **kwargs), boxes=boxes, frames=frames)

    def pin_memory(self) -> Self:
        frames = None if self.frames is None else self.frames.pin_memory()
        return replace(self, graph=self.graph.pin_memory(), boxes=self.boxes.pin_memory(), frames=frames)

    @classmethod
    def cat(cls, batches: "Sequence[ActionGraphBatch]") -> "ActionGraphBatch":
        frames = [b.frames for b in batches if b.frames is not None]
        return cls(
            graph=ClockedGraph.cat([b.graph for b in batches]),
            boxes=torch.cat([b.boxes for b in batches]),
            frames=torch.cat(frames) if len(frames) == len(batches) else None,
            names=tuple(name for b in batches for name in b.names),
        )

    def select(self, clips: Sequence[int]) -> "ActionGraphBatch":
        """Some of the clips, in the order given."""
        nodes = torch.cat([self.graph.nodes_of(clip) for clip in clips])
        return ActionGraphBatch(
            graph=self.graph.select(clips),
            boxes=self.boxes[nodes],
            frames=None if self.frames is None else self.frames[list(clips)],
            names=tuple(self.names[clip] for clip in clips),
        )


@dataclass(frozen=True)
class ActionGraphPair:
    """One training mini-batch of AG2Vid: short clips with frames for the frame generator, long ones for layouts."""

    frames: ActionGraphBatch
    layout: ActionGraphBatch

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return replace(self, frames=self.frames.to(*args, **kwargs), layout=self.layout.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        return replace(self, frames=self.frames.pin_memory(), layout=self.layout.pin_memory())


@dataclass(frozen=True, kw_only=True)
class ActionGraphSample(Sample):
    """Video generated from action graphs; frame 0 is the given one.

    Args:
        asked: the graphs, first frames and first boxes, and the real clip where there is one.
        boxes: ``[n, t, 4]`` the layout the frames were made from.
        drawn: whether there are frames to look at; without, by a model of layouts alone, ``fake`` is the given frame
            all the time, for boxes to be shown on.
    """

    asked: ActionGraphBatch
    boxes: Tensor
    drawn: bool = True


@dataclass(frozen=True, kw_only=True)
class VideoBatch:
    """Clips of video, with what is known of the agent that moves in them.

    What lies between two frames stands at the earlier one: entry ``i`` is about the way from frame ``i`` to ``i + 1``.

    Args:
        frames: ``[b, t, 3, h, w]`` uint8 RGB.
        names: one per clip, ``<video>_<first>-<last frame>``.
        masks: ``[b, t, 1, h, w]`` uint8, 255 where the agent is.
        actions: ``[b, t - 1]`` int64 the local action, an index of the dataset's classes.
        shifts: ``[b, t - 1, 2]`` float32 pixels by which the agent moves, right and down.
        background_shifts: the same of the background's content.
        sprites: ``[b]`` int64 who the agent is.
    """

    frames: Tensor
    names: tuple[str, ...]
    masks: Tensor | None = None
    actions: Tensor | None = None
    shifts: Tensor | None = None
    background_shifts: Tensor | None = None
    sprites: Tensor | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def length(self) -> int:
        """Frames per clip ``t``."""
        return self.frames.shape[1]

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "names"}
        changed: dict[str, Any] = {name: change(x) for name, x in tensors.items() if x is not None}
        return replace(self, **changed)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self._each(lambda x: x.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        return self._each(lambda x: x.pin_memory())

    @classmethod
    def cat(cls, batches: "Sequence[VideoBatch]") -> "VideoBatch":
        """All clips of the batches; what one of them does not know, the result does not."""
        kept = {
            f.name: torch.cat([getattr(b, f.name) for b in batches])
            for f in fields(cls)
            if f.name != "names" and all(getattr(b, f.name) is not None for b in batches)
        }
        return cls(names=tuple(name for b in batches for name in b.names), **kept)

    def select(self, clips: Sequence[int]) -> Self:
        """Some of the clips, in the order given."""
        return replace(self._each(lambda x: x[list(clips)]), names=tuple(self.names[clip] for clip in clips))

    def first(self, length: int) -> Self:
        """The first frames of every clip, at most ``length`` of them."""
        parts: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[:, : length - between]
            for name, between in (("frames", 0), ("masks", 0), ("actions", 1), ("shifts", 1), ("background_shifts", 1))
        }
        return replace(self, **parts)


@dataclass(frozen=True, kw_only=True)
class VideoSample(Sample):
    """Video generated from a first frame and what happens from then on; frame 0 is the given one.

    Args:
        asked: the clips it was made from.
        masks: ``[b, t, 1, h, w]`` float32 in [0, 1], where the model sees the agent in the real clip, or drew it
            where there is none.
        actions: ``[b, t - 1]`` int64 the model's own local actions that were carried out.
        shifts, background_shifts: ``[b, t - 1, 2]`` float32 pixels, right and down, that were carried out.
        drawn_masks: ``[b, t, 1, h, w]`` float32 in [0, 1], where the model sees the agent in what it drew, if somebody
            looked.
    """

    asked: VideoBatch
    masks: Tensor
    actions: Tensor
    shifts: Tensor
    background_shifts: Tensor
    drawn_masks: Tensor | None = None
