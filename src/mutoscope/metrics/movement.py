"""How people move, whatever they look like: spectra of joint velocities, without any network."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.motion import MotionMetric
from mutoscope.structures import Skeleton

#: equal parts of the frequencies from standing still to half the frame rate
_BANDS = 8


class MovementSpectrum(MotionMetric):
    """Distance between the velocity spectra of generated and real clips, relative to the real one.

    Every joint's velocity is taken apart into frequencies (a periodogram without window), and what lies in each of
    eight equal bands becomes one amplitude. With amplitudes averaged over clips, the value is
    ``sum |fake - real| / sum real`` over joints and bands: 0 for people who move as much, as slowly and as quickly as
    real ones, exactly 1 for people who stand still, and more for people who tremble.

    Clips that end early are left out. Streams sums in float64; processes add them up.

    Args:
        skeleton: of the clips.
    """

    higher_is_better = False
    meaning = "difference of velocity spectra, relative to the real one: 0 alike, 1 standing still; no unit"
    caveat = "movement looks at how much moves how quickly, not at poses, classes, or whether a clip runs backwards."

    fake: Tensor
    real: Tensor
    clips: Tensor

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        for side in ("fake", "real"):
            nothing = torch.zeros(_BANDS, skeleton.num_joints, dtype=torch.float64)
            self.add_state(side, nothing, dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        if joints.shape[1] < 3:
            raise ValueError(f"MovementSpectrum got clips of {joints.shape[1]} frames; expected at least 3.")
        whole = joints[mask.all(dim=1)].to(torch.float64)
        amplitude = spectrum(whole).sum(dim=0)
        if real:
            self.real += amplitude
        else:
            self.fake += amplitude
        self.clips[int(real)] += len(whole)

    def compute(self) -> Tensor:
        """The distance; ``TooFewSamplesError`` without whole clips on both sides, or where nothing real moves."""
        fakes, reals = self.clips
        if not fakes or not reals:
            raise TooFewSamplesError(
                f"MovementSpectrum has seen {int(fakes)} generated and {int(reals)} real clips that do not end early; "
                "it needs some of both."
            )
        fake, real = self.fake / fakes, self.real / reals
        if not real.sum() > 0:
            raise TooFewSamplesError("MovementSpectrum has seen no real clip in which anything moves.")
        return (fake - real).abs().sum() / real.sum()


def spectrum(joints: Tensor) -> Tensor:
    """Amplitudes of velocities ``[b, t, v, c] -> [b, bands, v]``, units of the joints per frame."""
    velocities = joints.diff(dim=1)
    if not len(velocities):
        # MKL refuses to transform nothing
        return velocities.new_zeros(0, _BANDS, joints.shape[2])
    power = torch.fft.rfft(velocities, dim=1, norm="ortho").abs().square().sum(dim=-1)
    return F.adaptive_avg_pool1d(power.transpose(1, 2), _BANDS).transpose(1, 2).sqrt()
