"""Fidelity to the true frames, pair by pair: PSNR, and SSIM by torchmetrics."""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import check_frames, pairs_of

#: side of SSIM's window
_WINDOW = 11


class _FramePairs(RunningAverage):
    """A mean over the frames of a clip, then over clips.

    Args:
        skip_first: leave out the given first frame, which would count as perfect.
        chunk: frame pairs that are compared at once.
    """

    higher_is_better = True

    def __init__(self, skip_first: bool, chunk: int) -> None:
        super().__init__("video")
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}, expected at least 1.")
        self.skip_first, self.chunk = skip_first, chunk

    def _compared(self, fake: Tensor, real: Tensor) -> Tensor:
        """``[n, 3, h, w]`` float in 0..255 -> ``[n]``."""
        raise NotImplementedError

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        """Add clips.

        Args:
            fake_frames, real_frames: ``[b, t, 3, h, w]`` uint8 RGB, corresponding frame by frame.

        Raises:
            ValueError: for other types and shapes, or without a frame to compare.
        """
        fake, real = pairs_of(type(self).__name__, fake_frames, real_frames, skip_first=self.skip_first)
        sides = (x.flatten(0, 1).split(self.chunk) for x in (fake, real))
        values = [self._compared(x.float(), y.float()) for x, y in zip(*sides, strict=True)]
        video = self._of_clips(torch.cat(values).view(fake.shape[:2]))
        self._add(video, torch.ones_like(video, dtype=torch.bool))

    def _of_clips(self, frames: Tensor) -> Tensor:
        """Values of frames ``[b, t]`` -> of clips ``[b]``."""
        return frames.mean(dim=1)


class PSNR(_FramePairs):
    """Peak signal-to-noise ratio in decibels, range 255: ``10 log10(255^2 / mse)``, at most ``ceiling``.

    Protocol: the squared error is averaged over the frames of a clip before the logarithm, then the ratios over clips.
    Averaged frame by frame (``over="frame"``, as most programs of video prediction do) a few frames that equal the true
    ones, whose ratio has no bound, would outweigh all others: a clip with every second frame right and the others
    anyhow wrong would score above 50 dB. Pooling over a clip gives lower numbers; the two cannot be compared.

    Args:
        skip_first, chunk: see above.
        ceiling: of clips, or frames, that are equal, whose ratio has no bound; 100 dB by default.
        over: ``clip`` or ``frame``: of what the ratio is taken.
    """

    def __init__(
        self,
        skip_first: bool = False,
        chunk: int = 64,
        ceiling: float = 100.0,
        over: Literal["clip", "frame"] = "clip",
    ) -> None:
        super().__init__(skip_first, chunk)
        if over not in ("clip", "frame"):
            raise ValueError(f"over is '{over}', expected clip or frame.")
        self.ceiling, self.over = ceiling, over
        self.bounds = (0.0, ceiling)
        #: raised when values change: the first one pooled over frames alone
        self.version = 2 if over == "clip" else 1
        self.meaning = f"peak signal-to-noise ratio of {over}s to the true ones; dB, {ceiling:g} when alike"

    def _compared(self, fake: Tensor, real: Tensor) -> Tensor:
        return (fake - real).square().mean(dim=(1, 2, 3))

    def _of_clips(self, frames: Tensor) -> Tensor:
        error = frames.mean(dim=1, keepdim=True) if self.over == "clip" else frames
        ratio = 10 * torch.log10(255.0**2 / error.clamp(min=1e-12))
        return ratio.clamp(max=self.ceiling).mean(dim=1)


class SSIM(_FramePairs):
    """Structural similarity of every frame (Wang et al. 2004): Gaussian window of 11 pixels, deviation 1.5, RGB.

    Args:
        skip_first, chunk: see above.
    """

    bounds = (-1.0, 1.0)

    def __init__(self, skip_first: bool = False, chunk: int = 64) -> None:
        super().__init__(skip_first, chunk)
        self.meaning = "structural similarity of frames to the true ones; 1 when alike"

    def update(self, fake_frames: Tensor, real_frames: Tensor) -> None:
        check_frames(type(self).__name__, fake_frames, real_frames)
        if min(fake_frames.shape[-2:]) < _WINDOW:
            raise ValueError(f"SSIM got frames of {list(fake_frames.shape[-2:])} pixels, expected at least {_WINDOW}.")
        super().update(fake_frames, real_frames)

    def _compared(self, fake: Tensor, real: Tensor) -> Tensor:
        found = structural_similarity_index_measure(fake, real, data_range=255.0, reduction="none")
        assert isinstance(found, Tensor)
        return found
