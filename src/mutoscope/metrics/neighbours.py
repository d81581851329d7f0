"""The nearest real clip of every generated one, as small pictures: 0 where a generator hands out what it was shown."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mutoscope.metrics.common import TooFewSamplesError, check_frames
from mutoscope.metrics.feature_tables import FeatureTables

#: frames of a clip, and pixels of their sides, that are compared
_FRAMES, _SIDE = 8, 16


def thumbnails(frames: Tensor) -> Tensor:
    """``[b, t, 3, h, w]`` uint8 -> ``[b, d]`` in grey levels: 8 frames, spread over the clip, of 16 x 16 pixels."""
    check_frames("thumbnails", frames)
    places = torch.linspace(0, frames.shape[1] - 1, min(_FRAMES, frames.shape[1])).round().long()
    some = frames[:, places.to(frames.device)]
    small = F.adaptive_avg_pool2d(some.flatten(0, 1).float(), _SIDE)
    return small.unflatten(0, some.shape[:2]).flatten(1)


class NearestRealClip(FeatureTables):
    """Mean difference, in grey levels, between a generated clip and the nearest real one.

    Protocol: 8 frames of 16 x 16 pixels, mean absolute difference. Near 0 where real clips are handed out again; what
    is usual tells the row of held-out real clips.
    """

    higher_is_better = None
    meaning = "difference of a clip to the nearest real one, as small pictures; grey levels, 0 where it is a copy"

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add videos ``[b, t, 3, h, w]`` uint8 of one side or both; other types and shapes are a ``ValueError``."""
        for frames, real in ((fake_frames, False), (real_frames, True)):
            if frames is not None:
                self._add(thumbnails(frames), real)

    def compute(self) -> Tensor:
        """The mean, a float64 scalar; raises ``TooFewSamplesError`` without a clip on either side."""
        real, fake = self.features(1)
        if real.shape[1] != fake.shape[1]:
            raise TooFewSamplesError("clips of the two sides have different numbers of frames.")
        nearest = [torch.cdist(part, real, p=1).amin(dim=1) for part in fake.split(64)]
        return (torch.cat(nearest).to(torch.float64) / real.shape[1]).mean()
