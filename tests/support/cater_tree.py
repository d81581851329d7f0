"""Small trees in CATER's format: real avi files, scenes and split lists, made up from a seed.

Tests find this folder on their path and import :func:`write_tree`.
"""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SHAPES, COLORS, SIZES = ("cone", "sphere", "cube", "spl", "cylinder"), ("gold", "red", "cyan"), ("large", "medium")
SPLITS: Mapping[str, Sequence[int]] = {"train": (0, 1, 2), "val": (3,), "test": (4,)}


def name_of(number: int) -> str:
    return f"CATER_new_{900000 + number:06d}"


def write_tree(
    folder: Path,
    splits: Mapping[str, Sequence[int]] = SPLITS,
    frames: int = 301,
    objects: int = 3,
    size: tuple[int, int] = (64, 48),
) -> Path:
    """Write videos, scenes and lists.

    Args:
        folder: the tree, made where it is missing.
        splits: numbers of the videos in every list; lists are only written for the splits named.
        frames: of every video.
        objects: of every scene.
        size: (width, height) of the videos.

    Returns:
        ``folder``
    """
    for sub in ("videos", "scenes", "lists"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for split, numbers in splits.items():
        lines = [f"{name_of(number)}.avi {number % 7},{number % 11}\n" for number in numbers]
        (folder / "lists" / f"{split}.txt").write_text("".join(lines))
    for number in sorted({number for numbers in splits.values() for number in numbers}):
        write_avi(folder / "videos" / f"{name_of(number)}.avi", pictures(number, frames, size))
        write_scene(folder / "scenes" / f"{name_of(number)}.json", scene(number, frames, objects))
    return folder


def pictures(number: int, frames: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """``[f, h, w, 3]``: the frame's number as brightness, the video's as colour of the upper half."""
    width, height = size
    shown = np.zeros((frames, height, width, 3), dtype=np.uint8)
    shown[:] = np.linspace(20, 230, frames).astype(np.uint8)[:, None, None, None]
    shown[:, : height // 2, :, number % 3] = 200
    return shown


def write_avi(path: Path, shown: NDArray[np.uint8]) -> None:
    """MPEG-4 at 24 frames per second, as CATER has it."""
    with av.open(str(path), "w", format="avi") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(24))
        stream.height, stream.width = shown.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 400_000
        for one in shown:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(one, format="rgb24")))
        out.mux(stream.encode())


def scene(number: int, frames: int, objects: int) -> dict[str, Any]:
    """Objects that slide one after the other, the first of which then covers the second."""
    generator = np.random.default_rng(number)
    names = [f"{SHAPES[i % len(SHAPES)]}_{i}" for i in range(objects)]
    span = (frames - 1) // (objects + 1)
    movements: dict[str, list[list[Any]]] = {}
    entries = []
    for i, name in enumerate(names):
        first, last = i * span + 1, (i + 1) * span
        start, stop = generator.uniform(-2, 2, (2, 3))
        start[2] = stop[2] = 0.5
        share = np.clip((np.arange(frames) - first) / (last - first), 0, 1)[:, None]
        places = start + share * (stop - start)
        movements[name] = [["_slide", None, first, last]]
        entries.append(
            {
                "instance": name,
                "shape": SHAPES[i % len(SHAPES)],
                "color": COLORS[i % len(COLORS)],
                "material": "metal" if i % 2 else "rubber",
                "size": SIZES[i % len(SIZES)],
                "locations": {str(frame): place.round(3).tolist() for frame, place in enumerate(places)},
            }
        )
    if objects > 1:
        movements[names[0]].append(["_contain", names[1], objects * span + 1, frames - 1])
    return {"objects": entries, "movements": movements}


def write_scene(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content))
