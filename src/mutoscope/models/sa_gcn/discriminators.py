"""SA-GCN's two critics: one judges whole clips, one a handful of frames (paper section 3.1)."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.sa_gcn.generator import class_weights
from mutoscope.models.sa_gcn.temporal import NarrowConv

SLOPE = 0.2


class Judgement(NamedTuple):
    """``score: [b]`` logits, higher for what looks real; ``classes: [b, classes]`` logits, or ``None``."""

    score: Tensor
    classes: Tensor | None


def _twice(c_in: int, inner: int, c_out: int) -> nn.Sequential:
    first, second = nn.LeakyReLU(SLOPE, inplace=True), nn.LeakyReLU(SLOPE, inplace=True)
    return nn.Sequential(nn.Linear(c_in, inner), first, nn.Linear(inner, c_out), second)


def _with_classes(layers: nn.Sequential, features: Tensor, label: Tensor, classes: int) -> Tensor:
    """``layers`` of features ``[b, t, c]`` with the label appended in every frame.

    What the first layer makes of the label is the same in all frames and computed once.
    """
    first = cast(nn.Linear, layers[0])
    of_features, of_label = first.weight.split([features.shape[2], classes], dim=1)
    weights = class_weights(label, classes).to(features.dtype)
    x = F.linear(features, of_features).add_(F.linear(weights, of_label, first.bias)[:, None])
    return cast(Tensor, layers[1:](x))


class ClipCritic(nn.Module):
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
        widths: tuple[int, int, int, int] = (1000, 1000, 1024, 128),
        classifier: bool = False,
    ) -> None:
        super().__init__()
        self.joints, self.channels, self.classes, self.length = joints, channels, classes, length
        self.before = _twice(joints * channels, *widths[:2])
        self.after = _twice(widths[1] + classes, *widths[2:])
        self.over_time = NarrowConv(widths[3], 1)
        self.head = nn.Linear(length, 1)
        self.classifier = nn.Linear(length, classes) if classifier else None

    def forward(self, clips: Tensor, label: Tensor) -> Judgement:
        """Judge clips ``[b, t, v, c]`` in network units, labels as in :class:`Generator`.

        Raises:
            ValueError: where shapes do not fit.
        """
        _check(clips, (self.length, self.joints, self.channels))
        x = _with_classes(self.after, self.before(clips.flatten(2)), label, self.classes)
        frames = self.over_time(x).squeeze(2)
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
        frames: int = 20,
        widths: tuple[int, int, int, int] = (1024, 512, 1024, 128),
    ) -> None:
        super().__init__()
        self.joints, self.channels, self.classes, self.frames = joints, channels, classes, frames
        self.before = _twice(joints * channels, *widths[:2])
        self.shortcut = nn.Linear(joints * channels, widths[1])
        self.after = _twice(widths[1] + classes, *widths[2:])
        self.each = nn.Linear(widths[3], 1)
        self.head = nn.Linear(frames, 1)

    def forward(self, frames: Tensor, label: Tensor) -> Judgement:
        """Judge frames ``[b, f, v, c]`` in network units, labels as in :class:`Generator`.

        Raises:
            ValueError: where shapes do not fit.
        """
        _check(frames, (self.frames, self.joints, self.channels))
        poses = frames.flatten(2)
        x = _with_classes(self.after, self.before(poses) + self.shortcut(poses), label, self.classes)
        return Judgement(self.head(self.each(x).squeeze(2)).squeeze(1), None)


def pick_frames(length: int, count: int, device: torch.device, *, in_order: bool = False) -> Tensor:
    """``[count]`` random frame numbers below ``length``, drawn with replacement, sorted if ``in_order``."""
    picks = torch.randint(length, (count,), device=device)
    return picks.sort().values if in_order else picks


def _check(x: Tensor, expected: tuple[int, int, int]) -> None:
    if x.ndim != 4 or x.shape[1:] != expected:
        raise ValueError(f"Clips have shape {tuple(x.shape)}, expected [b, {', '.join(map(str, expected))}].")
