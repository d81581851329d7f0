"""Where a detector finds the person: average detection distance and missed detections (GLASS, Table 5)."""

from typing import Literal, Protocol

import torch
from torch import Tensor

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import check_frames


class PersonDetector(Protocol):
    """Finds the one person in pictures that matters; any callable will do."""

    def __call__(self, frames: Tensor) -> Tensor:
        """``[n, 3, h, w]`` uint8 -> ``[n, 4]`` (left, top, right, bottom) pixels, NaN where nobody is found."""


class _Detections(RunningAverage):
    """Base of metrics that look for the person in real and generated frames.

    Args:
        detector: see :class:`PersonDetector`.
        chunk: frames that it sees at once.
    """

    higher_is_better = False
    bounds: tuple[float | None, float | None] = (0.0, None)

    def __init__(self, seen: str, detector: PersonDetector, chunk: int = 16) -> None:
        super().__init__(seen)
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}, expected at least 1.")
        self.detector, self.chunk = detector, chunk

    def _centres(self, frames: Tensor) -> Tensor:
        """``[b, t, 3, h, w]`` -> ``[b, t, 2]`` pixels, NaN where nobody is found."""
        check_frames(type(self).__name__, frames)
        with torch.no_grad():
            boxes = torch.cat([self.detector(part) for part in frames.flatten(0, 1).split(self.chunk)])
        if boxes.shape != (frames.shape[0] * frames.shape[1], 4):
            raise ValueError(
                f"{type(self).__name__}: the detector gave boxes of {list(boxes.shape)} for {len(boxes)} frames, "
                "expected [n, 4], NaN where nobody is found."
            )
        return ((boxes[:, :2] + boxes[:, 2:]) / 2).double().cpu().unflatten(0, frames.shape[:2])


class DetectionDistance(_Detections):
    """ADD: distance between the persons found in the real and in the generated frame, where both are found.

    Args:
        detector, chunk: see above.
    """

    def __init__(self, detector: PersonDetector, chunk: int = 16) -> None:
        super().__init__("frame in which the person is found in both clips", detector, chunk)
        self.meaning = "distance between the person found in generated and in real frames; pixels"

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips ``[b, t, 3, h, w]`` uint8 RGB, corresponding frame by frame."""
        check_frames(type(self).__name__, fake_frames, real_frames)
        way = self._centres(fake_frames) - self._centres(real_frames)
        distance = way.norm(dim=-1)
        self._add(distance, distance.isfinite())


class MissedDetections(_Detections):
    """MDR: share of the frames with a person in the real clip in which none is found in the generated one.

    Args:
        detector, chunk: see above.
        unit: ``percent`` as in the paper, or ``fraction``.
    """

    def __init__(
        self, detector: PersonDetector, chunk: int = 16, unit: Literal["percent", "fraction"] = "percent"
    ) -> None:
        super().__init__("frame in which the person is found in the real clip", detector, chunk)
        if unit not in ("percent", "fraction"):
            raise ValueError(f"unit is '{unit}', expected percent or fraction.")
        self.scale = 100.0 if unit == "percent" else 1.0
        self.bounds = (0.0, self.scale)
        self.meaning = f"frames whose person is lost, of those that have one in the real clip; {unit}"

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips ``[b, t, 3, h, w]`` uint8 RGB, corresponding frame by frame."""
        check_frames(type(self).__name__, fake_frames, real_frames)
        found, there = (self._centres(x).isfinite().all(-1) for x in (fake_frames, real_frames))
        self._add(self.scale * (~found).double(), there)
