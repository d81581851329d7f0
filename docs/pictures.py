"""The moving pictures of the README, from what the quickstarts left, and ``glass_local_hours``: ``make pictures``.

Each is a WebP below 1 MB. A model that was not trained keeps its picture, aloud.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import mutoscope as ms
from mutoscope.config.assembly import load_model
from mutoscope.formats.video import read_video
from mutoscope.render import FOLLOWING, draw_motion, grid
from mutoscope.runtime.files import replacing

ROOT = Path(__file__).parents[1]
MEDIA = ROOT / "docs" / "media"
ACTIONS = ("walk", "jump", "wave", "kick", "sit_down", "clap")
_LIMIT = 1_000_000
#: validation clips: one to follow, those that begin where the others follow it, and for how many frames
_CLIPS, _FOLLOWED = (1482, 169, 715, 975, 1222, 1950), 24

Frames = NDArray[np.uint8]


def people(checkpoint: Path) -> tuple[Frames, float]:
    """A clip of each of six classes, in two rows."""
    model, _ = load_model(checkpoint)
    info = model.info
    label = torch.tensor([info.classes.index(action) for action in ACTIONS])
    clips = model.generate(label, seed=1, truncation=0.95).fake.numpy()
    skeleton = info.need_skeleton()
    videos = [draw_motion(clip, skeleton, size=(200, 170), camera=FOLLOWING) for clip in clips]
    return grid(videos, [action.replace("_", " ") for action in ACTIONS], columns=3), info.fps


def blocks(checkpoint: Path) -> tuple[Frames, float]:
    """A true clip beside the one that is generated from its first frame and its graph."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"checkpoint={json.dumps(str(checkpoint))}", "clip=0", f"out={folder}/samples"]
        subprocess.run([sys.executable, str(ROOT / "generate.py"), *words], check=True)
        return read_video(Path(folder) / "samples" / "clip0_compared.mp4")


def sprites(checkpoint: Path) -> tuple[Frames, float]:
    """A clip, and its motion as it is found there, played from pictures of five others; none was ever seen."""
    model = ms.load(checkpoint)
    clips = model.dataset(length=_FOLLOWED).dataset("val")
    source, *others = (clips.__getitems__([i]) for i in _CLIPS)
    found = model.module.decode(source.frames)
    session = model.module.start(torch.cat([other.frames[:, 0] for other in others]))
    shown = [session.frame]
    for (dx, dy), action in zip(found.shifts[0].tolist(), found.actions[0].tolist(), strict=True):
        shown.append(session.step(dx, dy, action))
    drawn = torch.cat([source.frames, torch.stack(shown, dim=1)])
    frames = drawn.movedim(2, -1).numpy().repeat(4, axis=2).repeat(4, axis=3)
    return grid(list(frames), ["a clip", *("the same steps" for _ in others)], columns=3, gap=4), model.info.fps


PICTURES = {
    "kinetic_gan": ("quickstart", people),
    "sa_gcn": ("quickstart_sa_gcn", people),
    "ag2vid": ("quickstart_ag2vid", blocks),
    "glass": ("glass_local_hours", sprites),
}


def webp(frames: Frames, fps: float) -> bytes:
    """An endless WebP of at most a megabyte; quality gives way until it fits."""
    first, *rest = [Image.fromarray(frame) for frame in frames]
    for quality in (85, 70, 55, 40):
        file = io.BytesIO()
        first.save(
            file,
            "WEBP",
            save_all=True,
            append_images=rest,
            duration=round(1000 / fps),
            loop=0,
            quality=quality,
            method=6,
        )
        if file.tell() < _LIMIT:
            return file.getvalue()
    raise ValueError(f"{len(frames)} frames of {frames.shape[2]} x {frames.shape[1]} pixels take more than a megabyte.")


def main(runs: Path) -> None:
    """Write what there is a run for."""
    for name, (run, draw) in PICTURES.items():
        checkpoint = runs / run / "checkpoints" / "last.ckpt"
        if not checkpoint.is_file():
            remedy = f"python train.py experiment={run} writes it"
            sys.stdout.write(f"{name}.webp stays as it is: there is no {checkpoint}; {remedy}.\n")
            continue
        data = webp(*draw(checkpoint))
        with replacing(MEDIA / f"{name}.webp") as temporary:
            temporary.write_bytes(data)
        sys.stdout.write(f"Wrote {MEDIA / name}.webp, {len(data) / 1000:.0f} kB.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "outputs"))
