"""Foils of video: real clips with one thing broken, to be put in a generator's place and see which metric minds."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mutoscope.metrics.foils import frozen_first_frames

#: side of the window over which blurred clips are averaged
BLUR = 5
#: standard deviation of the noise of noisy clips, in grey levels
NOISE = 25.0


class FrameFoil(NamedTuple):
    """Clips with one thing broken.

    Args:
        name: e.g. ``frozen first frame``.
        what: it is, in a sentence.
        clips: ``[n, t, 3, h, w]`` uint8.
    """

    name: str
    what: str
    clips: Tensor


def frame_foils(clips: Tensor, seed: int = 0) -> Iterator[FrameFoil]:
    """Every foil of real clips, one after the other.

    Args:
        clips: ``[n, t, 3, h, w]`` uint8.
        seed: of what is drawn.
    """
    for name, (what, broken) in _FOILS.items():
        generator = torch.Generator().manual_seed(seed)
        yield FrameFoil(name, what, broken(clips, generator).contiguous())


def _shuffled(clips: Tensor, generator: torch.Generator) -> Tensor:
    n, t = clips.shape[:2]
    order = torch.rand(n, t, generator=generator).argsort(dim=1)
    return clips[torch.arange(n)[:, None], order]


def _dropped(clips: Tensor, _: torch.Generator) -> Tensor:
    t = clips.shape[1]
    return clips[:, torch.arange(t) // 2 * 2]


def _blurred(clips: Tensor, _: torch.Generator) -> Tensor:
    smooth = F.avg_pool2d(clips.flatten(0, 1).float(), BLUR, 1, BLUR // 2, count_include_pad=False)
    return smooth.round().to(torch.uint8).unflatten(0, clips.shape[:2])


def _noisy(clips: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(clips.shape, generator=generator) * NOISE
    return (clips + noise).round().clamp(0, 255).to(torch.uint8)


def _of_other_clips(clips: Tensor, generator: torch.Generator) -> Tensor:
    n, t = clips.shape[:2]
    others = torch.stack([torch.randperm(n, generator=generator) for _ in range(t)], dim=1)
    return clips[others, torch.arange(t)]


def _half_of_the_modes(clips: Tensor, _: torch.Generator) -> Tensor:
    n = len(clips)
    return clips[torch.arange(n) % max(1, n // 2)]


_FOILS: dict[str, tuple[str, Callable[[Tensor, torch.Generator], Tensor]]] = {
    "frozen first frame": ("Real clips that stand still as they begin.", lambda x, _: frozen_first_frames(x)),
    "shuffled frames": ("Their frames in disorder.", _shuffled),
    "reversed": ("They run backwards.", lambda x, _: x.flip(1)),
    "dropped frames": ("Every second frame in place of the one after it.", _dropped),
    "blurred": (f"A mean over {BLUR} x {BLUR} pixels.", _blurred),
    "noisy": (f"Noise of {NOISE:.0f} grey levels, standard deviation.", _noisy),
    "other clips' frames": ("Every frame from another clip.", _of_other_clips),
    "half of the modes": ("Half of them, each twice.", _half_of_the_modes),
}
