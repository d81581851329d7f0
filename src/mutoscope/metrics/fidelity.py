"""Fidelity to the true frames, pair by pair: PSNR and SSIM, by torchmetrics' formulas."""

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

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
        video = torch.cat(values).view(fake.shape[:2]).mean(dim=1)
        self._add(video, torch.ones_like(video, dtype=torch.bool))


class PSNR(_FramePairs):
    """Peak signal-to-noise ratio in decibels, range 255, of every frame; frames that are equal count as ``ceiling``.

    Protocol: mean over frames, then over clips, of ``10 log10(255^2 / mse)``. Other programs pool the squared error
    over a clip or a whole set first, which gives lower numbers.

    Args:
        skip_first, chunk: see above.
        ceiling: of equal frames, whose ratio has no bound; 100 dB by default.
    """

    def __init__(self, skip_first: bool = False, chunk: int = 64, ceiling: float = 100.0) -> None:
        super().__init__(skip_first, chunk)
        self.ceiling = ceiling
        self.meaning = "peak signal-to-noise ratio of frames to the true ones; dB, 100 when alike"

    def _compared(self, fake: Tensor, real: Tensor) -> Tensor:
        ratio = peak_signal_noise_ratio(fake, real, data_range=255.0, reduction="none", dim=(1, 2, 3))
        return ratio.clamp(max=self.ceiling)


class SSIM(_FramePairs):
    """Structural similarity of every frame (Wang et al. 2004): Gaussian window of 11 pixels, deviation 1.5, RGB.

    Args:
        skip_first, chunk: see above.
    """

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
