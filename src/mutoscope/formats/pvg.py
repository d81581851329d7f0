"""Videos as Playable Video Generation lays them out: a folder of pictures each, with what is known in pickles.

``<root>/<split>/<video>/00000.png ...``, beside them ``masks/00000.png ...`` and ``glactions.pkl``, a dictionary of
lists with an entry for every frame: ``global`` and ``local`` whole numbers, ``shifts`` and ``bg_shifts`` pairs in
W-Sprites' unit, see :mod:`mutoscope.structures.label_units`. Entry i is about the way from frame i - 1 to frame i. Or
``actions.pkl``, a list of whole numbers.
"""

import os
import pickle
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mutoscope.formats.plain_files import shown
from mutoscope.formats.plain_pickles import PlainPickleError, read_plain_pickle
from mutoscope.formats.sources import is_whole, vectors
from mutoscope.structures.label_units import pixels_of_label

SPLITS = ("train", "val", "test")
MASKS = "masks"
_ANNOTATIONS, _ACTIONS = "glactions.pkl", "actions.pkl"
#: lists that nothing here reads, but whose absence programs of the layout do not bear
_FILLED = ("rewards.pkl", "dones.pkl", "metadata.pkl")
#: of whom nothing is known to move: which way counts as what
_LEFT, _RIGHT, _UP, _DOWN, _STAY = range(5)
_MOST_ACTIONS = 10_000
#: local actions of a video of which nothing is told
_NONE = 0


@dataclass(frozen=True)
class Annotations:
    """What is known of a video of ``t`` frames; entry ``i`` is about the way from frame i to i + 1.

    Args:
        actions: ``[t - 1]`` int64 local actions.
        shifts, background_shifts: ``[t - 1, 2]`` float32 pixels, right and down.
    """

    actions: NDArray[np.int64] | None = None
    shifts: NDArray[np.float32] | None = None
    background_shifts: NDArray[np.float32] | None = None

    @property
    def anything(self) -> bool:
        """Whether something is known."""
        return any(one is not None for one in (self.actions, self.shifts, self.background_shifts))


def read_annotations(folder: Path, frames: int, size: tuple[int, int]) -> Annotations:
    """What is known of a video; nothing where there are no annotations, or none that are whole numbers.

    Args:
        folder: of the video.
        frames: that it has.
        size: (height, width) in which shifts are wanted in pixels.

    Raises:
        PlainPickleError: for a file that is damaged, more than plain data, or not about this video.
    """
    path = folder / _ANNOTATIONS
    if path.is_file():
        found = read_plain_pickle(path)
        if not isinstance(found, dict):
            raise PlainPickleError(path, f"it is {shown(found)}, expected a dictionary of lists.")
        return Annotations(
            _actions(_list(found, "local", frames, path), path),
            _shifts(_list(found, "shifts", frames, path), path, pixels_of_label("foreground", size)),
            _shifts(_list(found, "bg_shifts", frames, path), path, pixels_of_label("background", size)),
        )
    path = folder / _ACTIONS
    if path.is_file():
        found = read_plain_pickle(path)
        if not isinstance(found, list) or len(found) != frames:
            raise PlainPickleError(path, f"it is {shown(found)}, expected a list of {frames} actions.")
        # of most videos there are none, and a robot's are vectors
        return Annotations(_actions(found, path)) if all(map(is_whole, found)) else Annotations()
    return Annotations()


def _list(found: dict[Any, Any], key: str, frames: int, path: Path) -> list[Any]:
    values = found.get(key)
    if not isinstance(values, list | tuple) or len(values) != frames:
        raise PlainPickleError(
            path, f"{key} is {shown(values)}, expected a list with an entry for each of {frames} frames."
        )
    return list(values)


def _actions(values: list[Any], path: Path) -> NDArray[np.int64]:
    for value in values:
        if not is_whole(value, _MOST_ACTIONS) or value < 0:
            raise PlainPickleError(path, f"an action is {shown(value)}, expected a whole number from 0 on.")
    return np.array(values[1:], dtype=np.int64)


def _shifts(values: list[Any], path: Path, scale: tuple[float, float]) -> NDArray[np.float32]:
    found = vectors(values, 2)
    if found is None:
        raise PlainPickleError(path, "a shift is no pair of numbers, expected (right, down).")
    return (found[1:] * scale).astype(np.float32)


def sprite_of(name: str) -> int | None:
    """Who the agent of a video is, where its folder's name says so: ``sprite_000012_video_003``."""
    match = re.match(r"sprite_(\d{1,9})_", name)
    return int(match[1]) if match else None


def write_playable(
    folder: Path, frames: NDArray[np.uint8], masks: NDArray[np.uint8] | None, known: Annotations
) -> Path:
    """Write a video; complete once its folder exists.

    What is not known of a video whose other labels are is written as rest and as action 0.

    Args:
        folder: to make.
        frames: ``[t, h, w, 3]`` RGB.
        masks: ``[t, h, w]``, 255 where the agent is.
        known: of the ``t - 1`` steps.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        _write_pictures(temporary, frames)
        if masks is not None:
            _write_pictures(temporary / MASKS, masks)
        count = len(frames)
        if known.anything:
            _write_pickle(temporary / _ANNOTATIONS, _lists(known, count, (frames.shape[1], frames.shape[2])))
        _write_pickle(temporary / _ACTIONS, [None] * count)
        for name in _FILLED:
            _write_pickle(temporary / name, [None] * count)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _lists(known: Annotations, frames: int, size: tuple[int, int]) -> dict[str, list[Any]]:
    rest = np.zeros((frames - 1, 2), dtype=np.float32)
    shifts = rest if known.shifts is None else known.shifts
    pans = rest if known.background_shifts is None else known.background_shifts
    actions = np.full(frames - 1, _NONE) if known.actions is None else known.actions
    # nobody knows how the first frame came about: somebody who rests, and does what they do next
    first = actions[:1] if len(actions) else np.full(1, _NONE)
    return {
        "global": [_STAY, *_directions(shifts)],
        "local": [int(action) for action in (*first, *actions)],
        "shifts": _labels(shifts, pixels_of_label("foreground", size)),
        "bg_shifts": _labels(pans, pixels_of_label("background", size)),
    }


def _labels(shifts: NDArray[np.float32], scale: tuple[float, float]) -> list[tuple[float, float]]:
    # by adding 0, no zero keeps the sign of the scale
    labels = shifts.astype(np.float64) / scale + 0.0
    return [(0.0, 0.0), *((float(x), float(y)) for x, y in labels)]


def _directions(shifts: NDArray[np.float32]) -> list[int]:
    """The nearest of the four ways, or that somebody stays."""
    found = []
    for x, y in shifts.tolist():
        if x == y == 0:
            found.append(_STAY)
        elif abs(x) >= abs(y):
            found.append(_LEFT if x < 0 else _RIGHT)
        else:
            found.append(_UP if y < 0 else _DOWN)
    return found


def _write_pictures(folder: Path, pictures: NDArray[np.uint8]) -> None:
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(pictures):
        Image.fromarray(one).save(folder / f"{number:05d}.png", compress_level=1)


def _write_pickle(path: Path, value: Any) -> None:
    # protocol 2, which programs of that time read
    path.write_bytes(pickle.dumps(value, protocol=2))
