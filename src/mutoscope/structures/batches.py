"""What flows from data to models (batches) and from models to metrics and pictures (samples)."""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from mutoscope.structures.clocked import ActionGraphBatch
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
