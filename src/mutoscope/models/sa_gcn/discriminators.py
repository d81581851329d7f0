"""SA-GCN's two critics: one judges whole clips, one a handful of frames (paper section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mutoscope.models.sa_gcn.generator import class_weights
from mutoscope.nn.clip_trunk import ClipTrunk, check_clips, conditioned, two_layers
from mutoscope.nn.motion_features import Stream


class Judgement(NamedTuple):
    """``score: [b]`` logits, higher for what looks real; ``classes: [b, classes]`` logits, or ``None``."""

    score: Tensor
    classes: Tensor | None


@dataclass(frozen=True, kw_only=True)
class ClipCriticSettings:
    """Of the critic of clips.

    Args:
        widths: of the two layers before the label is appended and of the two after it.
        streams: what it sees, see :class:`~mutoscope.nn.motion_features.MotionFeatures`; the paper's sees joints alone.
    """

    widths: tuple[int, int, int, int] = (1000, 1000, 1024, 128)
    streams: Sequence[Stream] = ("joints",)


@dataclass(frozen=True, kw_only=True)
class FrameCriticSettings:
    """Of the critic of frames.

    Args:
        widths: of the two layers before the label is appended and of the two after it.
        frames: how many it sees, drawn with replacement for each batch; the released program draws 21.
        in_order: show them in order of time.
    """

    widths: tuple[int, int, int, int] = (1024, 512, 1024, 128)
    frames: int = 20
    in_order: bool = False


class ClipCritic(ClipTrunk):
    """Judges a clip and its class.

    Args:
        joints: joints per frame.
        channels: coordinates per joint.
        classes: number of actions.
        length: frames of a clip.
        widths: of the two layers before the label is appended and of the two after it.
        classifier: also name the class of a clip, for the auxiliary loss.
    """

    def __init__(
        self,
        joints: int,
        channels: int,
        classes: int,
        *,
        length: int = 50,
        widths: tuple[int, int, int, int] = ClipCriticSettings.widths,
        classifier: bool = False,
    ) -> None:
        super().__init__(joints, channels, classes, length=length, widths=widths)
        self.classes = classes
        self.head = nn.Linear(length, 1)
        self.classifier = nn.Linear(length, classes) if classifier else None

    def forward(self, clips: Tensor, label: Tensor) -> Judgement:
        """Judge clips ``[b, t, v, c]`` in network units, labels as in :class:`Generator`.

        Raises:
            ValueError: where shapes do not fit.
        """
        frames = self.frames_of(clips, class_weights(label, self.classes)).squeeze(2)
        return Judgement(self.head(frames).squeeze(1), None if self.classifier is None else self.classifier(frames))


class FrameCritic(nn.Module):
    """Judges a set of frames of a clip and its class; it sees them in the order given.

    Args:
        joints: joints per frame.
        channels: coordinates per joint.
        classes: number of actions.
        frames: how many frames.
        widths: of the two layers before the label is appended and of the two after it.
    """

    def __init__(
        self,
        joints: int,
        channels: int,
        classes: int,
        *,
        frames: int = FrameCriticSettings.frames,
        widths: tuple[int, int, int, int] = FrameCriticSettings.widths,
    ) -> None:
        super().__init__()
        self.joints, self.channels, self.classes, self.frames = joints, channels, classes, frames
        self.before = two_layers(joints * channels, *widths[:2])
        self.shortcut = nn.Linear(joints * channels, widths[1])
        self.after = two_layers(widths[1] + classes, *widths[2:])
        self.each = nn.Linear(widths[3], 1)
        self.head = nn.Linear(frames, 1)

    def forward(self, frames: Tensor, label: Tensor) -> Judgement:
        """Judge frames ``[b, f, v, c]`` in network units, labels as in :class:`Generator`.

        Raises:
            ValueError: where shapes do not fit.
        """
        check_clips(frames, (self.frames, self.joints, self.channels))
        poses = frames.flatten(2)
        x = self.before(poses) + self.shortcut(poses)
        x = conditioned(self.after, x, class_weights(label, self.classes))
        return Judgement(self.head(self.each(x).squeeze(2)).squeeze(1), None)


def pick_frames(length: int, count: int, device: torch.device, *, in_order: bool = False) -> Tensor:
    """``[count]`` random frame numbers below ``length``, drawn with replacement, sorted if ``in_order``."""
    picks = torch.randint(length, (count,), device=device)
    return picks.sort().values if in_order else picks
