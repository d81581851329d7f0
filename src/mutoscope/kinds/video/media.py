"""Videos of what a model makes beside what it was made from, for people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.render.canvas import Frames, grid
from mutoscope.render.people import for_people, frames_of
from mutoscope.render.steps import under_steps
from mutoscope.structures import VideoSample


def compared(sample: VideoSample, clip: int) -> Frames:
    """The real clip, the generated one and the mask side by side, over the steps that were carried out."""
    fake = frames_of(sample.fake[clip])
    mask = (sample.masks[clip].float() * 255).round().to(sample.fake.dtype).expand(-1, 3, -1, -1)
    videos, titles = [fake, frames_of(mask)], ["generated", "mask"]
    if sample.real is not None:
        videos, titles = [frames_of(sample.real[clip]), *videos], ["real", *titles]
    shown = grid([for_people(video) for video in videos], titles, columns=len(videos))
    return under_steps(shown, sample.shifts[clip].cpu().numpy(), sample.actions[clip].cpu().numpy())


def save_comparison(folder: Path, sample: VideoSample, names: Sequence[str], *, gif: bool = False) -> list[Path]:
    """``<name>.mp4`` of every clip, see :func:`compared`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for clip, name in enumerate(names):
        shown = np.ascontiguousarray(compared(sample, clip))
        paths.append(write_mp4(folder / f"{name}.mp4", shown, sample.info.fps))
        if gif:
            paths.append(write_gif(folder / f"{name}.gif", shown, sample.info.fps))
    return paths
