"""Folders in the layout of Playable Video Generation, written without the package's own writer."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FRAMES = 14
SIZE = (32, 48)


def pictures(seed: int, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, *size, 3), dtype=np.uint8)


def labels(seed: int, frames: int = FRAMES) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    return {
        "global": rng.integers(0, 5, frames).tolist(),
        "local": rng.integers(0, 9, frames).tolist(),
        "shifts": [tuple(row) for row in rng.uniform(-0.3, 0.3, (frames, 2)).tolist()],
        "bg_shifts": [tuple(row) for row in rng.uniform(-0.2, 0.2, (frames, 2)).tolist()],
    }


def write_video(
    folder: Path,
    seed: int,
    annotations: Any = None,
    *,
    masks: bool = True,
    name: str = "glactions",
    frames: int = FRAMES,
) -> Path:
    """A video; what it is annotated with may be anything that can be pickled."""
    (folder / "masks").mkdir(parents=True)
    for number, one in enumerate(pictures(seed, frames)):
        Image.fromarray(one).save(folder / f"{number:05d}.png")
        if masks:
            Image.fromarray((one[..., 0] > 128).astype(np.uint8) * 255).save(folder / "masks" / f"{number:05d}.png")
    if not masks:
        (folder / "masks").rmdir()
    if annotations is not None:
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(annotations, protocol=2))
    return folder


def write_tree(root: Path, frames: int = FRAMES) -> Path:
    """Three videos of two characters for training, one of a third for validation, two for the test."""
    for number, (split, name) in enumerate(
        [
            ("train", "sprite_000003_video_000"),
            ("train", "sprite_000003_video_001"),
            ("train", "sprite_000004_video_000"),
            ("val", "sprite_000007_video_000"),
            ("test", "sprite_000009_video_000"),
            ("test", "sprite_000009_video_001"),
        ]
    ):
        write_video(root / split / name, number, labels(number, frames), frames=frames)
    return root
