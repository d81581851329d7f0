"""Metrics of generated video that need no network. Frames are ``uint8 [b, t, 3, h, w]``, the first one given."""

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError


def check_frames(name: str, fake: Tensor, real: Tensor) -> None:
    """Whether two clips can be compared.

    Raises:
        ValueError: frames that are no ``uint8 [b, t, 3, h, w]``, differ in shape, or are fewer than two.
    """
    for what, frames in (("generated", fake), ("real", real)):
        if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[2] != 3:
            raise ValueError(
                f"{name} got {what} frames of {frames.dtype} {list(frames.shape)}, expected uint8 [b, t, 3, h, w]."
            )
    if fake.shape != real.shape:
        raise ValueError(f"{name} got {list(fake.shape)} generated but {list(real.shape)} real frames.")
    if fake.shape[1] < 2:
        raise ValueError(f"{name} got clips of one frame; the first is given, so there is nothing to compare.")


class FrameError(Metric):
    """Mean absolute difference between generated and real frames in grey levels, without the given first frame.

    Args:
        moving_only: count only pixels that differ from the first frame in the real clip (by more than ``threshold``):
            the still background, most of a picture, is copied by every method.
        threshold: in grey levels.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    meaning: ClassVar[str] = "difference to the real frames, the given one left out; grey levels of 255"

    total: Tensor
    count: Tensor

    def __init__(self, moving_only: bool = False, threshold: int = 20) -> None:
        super().__init__()
        self.moving_only, self.threshold = moving_only, threshold
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips, both ``[b, t, 3, h, w]`` uint8."""
        check_frames(type(self).__name__, fake_frames, real_frames)
        real = real_frames.to(torch.int16)
        difference = (fake_frames[:, 1:].to(torch.int16) - real[:, 1:]).abs().sum(dim=2)
        if self.moving_only:
            changed = (real[:, 1:] - real[:, :1]).abs().amax(dim=2) > self.threshold
            self.total += (difference * changed).sum().to(torch.float64)
            self.count += 3 * changed.sum().to(torch.float64)
        else:
            self.total += difference.sum().to(torch.float64)
            self.count += 3 * difference.numel()

    def compute(self) -> Tensor:
        """The mean; raises ``TooFewSamplesError`` where there was no pixel to compare."""
        if self.count == 0:
            raise TooFewSamplesError(f"{type(self).__name__} has seen no pixel that moves; it needs some clips.")
        return self.total / self.count
