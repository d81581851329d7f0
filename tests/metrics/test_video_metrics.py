"""Differences between frames, counted by hand."""

import pytest
import torch

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.video import FrameError


def clip(*values: int) -> torch.Tensor:
    """One clip of 2x2 frames, each of one grey level."""
    return torch.tensor(values, dtype=torch.uint8)[None, :, None, None, None].expand(1, -1, 3, 2, 2).contiguous()


def test_the_given_frame_does_not_count() -> None:
    metric = FrameError()
    metric.update(clip(0, 10, 20), clip(200, 13, 15))
    assert float(metric.compute()) == 4.0
    metric.update(clip(0, 250), clip(0, 0))
    # two frames at 4, one at 250
    assert float(metric.compute()) == pytest.approx((3 + 5 + 250) / 3)


def test_still_pixels_can_be_left_out() -> None:
    real, fake = clip(50, 50, 50), clip(50, 60, 60)
    real[0, 2, :, 0, 0] = 90
    metric = FrameError(moving_only=True)
    metric.update(fake, real)
    assert float(metric.compute()) == 30.0


def test_bad_input_gives_no_number() -> None:
    with pytest.raises(ValueError, match=r"float32 .*expected uint8"):
        FrameError().update(clip(0, 1).float(), clip(0, 1))
    with pytest.raises(ValueError, match=r"\[1, 3, 3, 2, 2\] uint8 and \[1, 2, 3, 2, 2\]"):
        FrameError().update(clip(0, 1, 2), clip(0, 1))
    with pytest.raises(ValueError, match="clips of one frame"):
        FrameError().update(clip(0), clip(0))
    metric = FrameError(moving_only=True)
    metric.update(clip(0, 0), clip(0, 0))
    with pytest.raises(TooFewSamplesError, match="no pixel that moves"):
        metric.compute()
