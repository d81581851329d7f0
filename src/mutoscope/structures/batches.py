"""What flows from data to models (batches) and from models to metrics and pictures (samples)."""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Sample:
    """What a model generated, in dataset units, beside what it was asked for.

    Args:
        fake: ``[b, t, v, c]`` for motion (``[b, t, 3, h, w]`` for video).
        label: ``[b]`` class asked for.
        info: the dataset's description (classes, skeleton, fps, units).
        real: the clips behind the conditions, same shape as ``fake``, or ``None``.
    """

    fake: Tensor
    label: Tensor
    info: DatasetInfo
    real: Tensor | None = None
