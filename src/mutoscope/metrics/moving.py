"""Fidelity to the true frames where they change, as Playable Video Generation and GLASS measure it (spec section 9).

Every pixel counts by how much the real clip changes there, ``mean over colours of abs(x_t - x_{t-1})``: the still
background, most of a picture, is copied by every method.
"""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import pairs_of

#: side of SSIM's window
_WINDOW = 11


def motion_weights(real_frames: Tensor) -> Tensor:
    """``[b, t, 3, h, w]`` uint8 -> ``[b, t - 1, h, w]`` in [0, 1], about the frames from the second one on."""
    return real_frames.float().diff(dim=1).abs().mean(dim=2) / 255


class _WhereItMoves(RunningAverage):
    """A mean over a clip's pixels weighted by motion, then over the clips in which something moves."""

    def __init__(self) -> None:
        super().__init__("clip in which something moves")

    def _differences(self, fake: Tensor, real: Tensor) -> Tensor:
        """``[n, 3, h, w]`` in [0, 1] -> ``[n, h, w]``."""
        raise NotImplementedError

    def _of_clip(self, mean: Tensor) -> Tensor:
        """The value of clips by the weighted means ``[b]`` of their pixels."""
        return mean

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips.

        Args:
            fake_frames, real_frames: ``[b, t, 3, h, w]`` uint8 RGB, corresponding frame by frame.

        Raises:
            ValueError: for other types and shapes, or clips of one frame.
        """
        fake, real = pairs_of(type(self).__name__, fake_frames, real_frames, skip_first=True)
        weights = motion_weights(real_frames.to(fake.device))
        flat = (x.flatten(0, 1).float() / 255 for x in (fake, real))
        found = self._differences(*flat).unflatten(0, fake.shape[:2])
        total = weights.sum((1, 2, 3))
        mean = (found * weights).sum((1, 2, 3)) / total.clamp(min=1e-12)
        self._add(self._of_clip(mean), total > 0)


class MovingMSE(_WhereItMoves):
    """Squared error weighted by motion, of values in [0, 1]."""

    higher_is_better = False
    bounds = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.meaning = "squared difference to the real frames where they change; of values from 0 to 1"

    def _differences(self, fake: Tensor, real: Tensor) -> Tensor:
        return (fake - real).square().mean(dim=1)


class MovingPSNR(MovingMSE):
    """Peak signal-to-noise ratio of that error in decibels, clip by clip; 1e-8 inside the logarithm, as released."""

    higher_is_better = True
    bounds = (0.0, 80.0)

    def __init__(self) -> None:
        super().__init__()
        self.meaning = "peak signal-to-noise ratio where the real frames change; dB, 80 when alike"

    def _of_clip(self, mean: Tensor) -> Tensor:
        return -10 * torch.log10(mean + 1e-8)


class MovingSSIM(_WhereItMoves):
    """Structural similarity (torchmetrics, Gaussian window of 11 pixels) weighted by motion.

    Raises:
        ValueError: by ``update``, for frames smaller than the window.
    """

    higher_is_better = True
    bounds = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.meaning = "structural similarity where the real frames change; 1 when alike"

    def _differences(self, fake: Tensor, real: Tensor) -> Tensor:
        if min(fake.shape[-2:]) < _WINDOW:
            raise ValueError(f"MovingSSIM got frames of {list(fake.shape[-2:])} pixels, expected at least {_WINDOW}.")
        _, places = structural_similarity_index_measure(
            fake, real, data_range=1.0, reduction="none", return_full_image=True
        )
        return places.mean(dim=1)
