"""Both halves of GLASS together: analyse a clip, draw it again, and step from one picture."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mutoscope.models.glass.global_motion import (
    GlobalMotion,
    GlobalMotionOutput,
    GlobalMotionSettings,
    compose,
    panned,
)
from mutoscope.models.glass.local_motion import LocalMotion, LocalMotionOutput, LocalMotionSettings


@dataclass(frozen=True)
class Settings:
    """Settings of both halves."""

    global_motion: GlobalMotionSettings = field(default_factory=GlobalMotionSettings)
    local_motion: LocalMotionSettings = field(default_factory=LocalMotionSettings)


class GlassNetwork(nn.Module):
    """Global and local motion analysis; no gradient flows from one to the other.

    Args:
        settings: see there.
        frame_size: height and width, multiples of 16.
    """

    def __init__(self, settings: Settings, frame_size: tuple[int, int]) -> None:
        super().__init__()
        self.settings, self.frame_size = settings, frame_size
        self.global_motion = GlobalMotion(settings.global_motion)
        self.local_motion = LocalMotion(settings.local_motion, frame_size)
        # narrow convolutions take two thirds of the time so, on CPUs, and wide ones no more
        self.to(memory_format=torch.channels_last)

    def draw(
        self, found: GlobalMotionOutput, teacher_forced: int, temperature: float = 1.0, quantised: float = 1.0
    ) -> LocalMotionOutput:
        """What local motion analysis makes of what global motion analysis found, cut off from it."""
        return self.local_motion(
            found.foregrounds.detach(),
            found.moved_foregrounds.detach(),
            found.foreground_shifts.detach(),
            teacher_forced,
            temperature,
            found.masks.detach(),
            quantised,
        )

    def forward(self, frames: Tensor, teacher_forced: int) -> tuple[GlobalMotionOutput, LocalMotionOutput]:
        """``frames: [b, t, 3, h, w]`` in [-1, 1]."""
        found = self.global_motion(frames)
        return found, self.draw(found, teacher_forced)

    def generated(self, found: GlobalMotionOutput, drawn: LocalMotionOutput) -> Tensor:
        """Frames 1.. ``[b, t - 1, 3, h, w]``: drawn foregrounds over the first background, panned."""
        backgrounds = panned(found.backgrounds[:, 0], found.background_shifts)
        return compose(*self.local_motion.whole(drawn), backgrounds)
