"""Metrics of generated video that need no network. Frames are ``uint8 [b, t, 3, h, w]``, the first one given."""

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError, check_frames


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
    #: what the number is, and its unit, in one line for reports
    meaning: str

    total: Tensor
    count: Tensor

    def __init__(self, moving_only: bool = False, threshold: int = 20) -> None:
        super().__init__()
        self.moving_only, self.threshold = moving_only, threshold
        which = "pixels that change in the real clip" if moving_only else "the given frame left out"
        self.meaning = f"mean difference to the real frames, {which}; grey levels of 255"
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips, both ``[b, t, 3, h, w]`` uint8.

        Raises:
            ValueError: for other types and shapes, or without a second frame.
        """
        check_frames(type(self).__name__, fake_frames, real_frames)
        if fake_frames.shape[1] < 2:
            raise ValueError(
                f"{type(self).__name__} got clips of one frame, the given one; nothing is left to compare."
            )
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
