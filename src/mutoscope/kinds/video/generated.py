"""Video that was steered, to be written as a clip, its frames, and the steps that made it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.kinds.results import Generated
from mutoscope.kinds.video.media import save_comparison
from mutoscope.render.people import for_people, frames_of
from mutoscope.render.sheet import save_png
from mutoscope.runtime.files import replacing
from mutoscope.structures import VideoSample


@dataclass(frozen=True, kw_only=True, eq=False)
class SteeredVideo(Generated):
    """A clip that begins with a picture.

    Args:
        sample: one clip.
        name: that its files begin with.
    """

    sample: VideoSample
    name: str

    def describe(self) -> str:
        return f"a clip of {self.sample.fake.shape[1]} frames"

    def steps(self) -> list[list[float]]:
        """(pixels right, pixels down, local action, camera right, camera down) of every step."""
        sample = self.sample
        rows = zip(
            sample.shifts[0].tolist(), sample.actions[0].tolist(), sample.background_shifts[0].tolist(), strict=True
        )
        return [[*(round(v, 3) for v in push), action, *(round(v, 3) for v in pan)] for push, action, pan in rows]

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """``<name>.mp4``, ``<name>_masks.mp4``, ``<name>.npy`` (frames), ``actions.yaml`` and the first frame."""
        out.mkdir(parents=True, exist_ok=True)
        frames = frames_of(self.sample.fake[0])
        save_png(out / "first_frame.png", frames[0])
        with replacing(out / f"{self.name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, frames, allow_pickle=False)
        with replacing(out / "actions.yaml") as temporary:
            temporary.write_text(yaml.safe_dump({"actions": self.steps()}, default_flow_style=None), encoding="utf-8")
        paths = [write_mp4(out / f"{self.name}.mp4", for_people(frames), self.sample.info.fps)]
        if gif:
            paths.append(write_gif(out / f"{self.name}.gif", for_people(frames), self.sample.info.fps))
        paths += save_comparison(out, self.sample, [f"{self.name}_masks"])
        return [*paths, out / f"{self.name}.npy", out / "actions.yaml", out / "first_frame.png"]
