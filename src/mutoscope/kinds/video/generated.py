"""Video that was steered, steps that were found, and figures, to be written for people and programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.kinds.results import Generated
from mutoscope.kinds.video.figures import Figure, save_figures
from mutoscope.kinds.video.media import save_comparison
from mutoscope.kinds.video.steps import Steps
from mutoscope.render.canvas import grid
from mutoscope.render.people import for_people, frames_of
from mutoscope.render.sheet import save_png
from mutoscope.render.steps import under_steps
from mutoscope.runtime.files import replacing
from mutoscope.structures import VideoSample


@dataclass(frozen=True, kw_only=True, eq=False)
class SteeredVideo(Generated):
    """Clips that begin with pictures.

    Args:
        sample: the clips, named as their pictures.
    """

    sample: VideoSample

    def describe(self) -> str:
        clips = len(self.sample.fake)
        return f"{'a clip' if clips == 1 else f'{clips} clips'} of {self.sample.fake.shape[1]} frames"

    @property
    def steps(self) -> Steps:
        """Of the first clip."""
        sample = self.sample
        return Steps(sample.shifts[0], sample.actions[0], sample.background_shifts[0])

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``<name>.mp4``, ``<name>_masks.mp4`` (masks and steps), ``<name>.npy`` (frames) of every clip, and
        ``actions.yaml``; of a single one the first frame too.
        """
        out.mkdir(parents=True, exist_ok=True)
        paths, fps = [], self.sample.info.fps
        names = [safe(name) for name in self.sample.asked.names]
        for clip, name in enumerate(names):
            frames = frames_of(self.sample.fake[clip])
            with replacing(out / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, frames, allow_pickle=False)
            paths += [write_mp4(out / f"{name}.mp4", for_people(frames), fps), out / f"{name}.npy"]
            if gif:
                paths.append(write_gif(out / f"{name}.gif", for_people(frames), fps))
        paths += save_comparison(out, self.sample, [f"{name}_masks" for name in names])
        if len(names) == 1:
            paths.append(save_png(out / "first_frame.png", frames_of(self.sample.fake[0])[0]))
        return [*paths, self.steps.write(out / "actions.yaml")]


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedVideo(Generated):
    """The steps of a video.

    Args:
        sample: what the model makes of its first frame and the steps.
        steps: that were found.
    """

    sample: VideoSample
    steps: Steps

    def describe(self) -> str:
        return f"{len(self.steps)} steps"

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``actions.yaml``, and ``<name>_decoded.mp4``: the video with its steps beside what they make of its first
        frame.
        """
        out.mkdir(parents=True, exist_ok=True)
        told = self.steps.shifts.numpy(), self.steps.actions.numpy()
        both = {"given": self.sample.asked.frames[0], "played": self.sample.fake[0]}
        videos = [under_steps(for_people(frames_of(one)), *told) for one in both.values()]
        shown, fps = grid(videos, list(both), columns=2), self.sample.info.fps
        name = f"{safe(self.sample.asked.names[0])}_decoded"
        paths = [self.steps.write(out / "actions.yaml"), write_mp4(out / f"{name}.mp4", shown, fps)]
        return [*paths, write_gif(out / f"{name}.gif", shown, fps)] if gif else paths


@dataclass(frozen=True, kw_only=True, eq=False)
class SteeringFigures(Generated):
    """Figures of what a model can be told.

    Args:
        figures: by name.
    """

    sample: VideoSample
    figures: Mapping[str, Figure]

    def describe(self) -> str:
        return f"{len(self.figures)} figure{'' if len(self.figures) == 1 else 's'}"

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``<figure>.png``, and ``<figure>.mp4`` where something moves."""
        return save_figures(out, self.figures, self.sample.info.fps, gif=gif)


def safe(name: str) -> str:
    """A name for files."""
    return re.sub(r"[^\w.-]+", "_", name)
