"""What changes from frame to frame of a video: all at once where a shot ends, a little where something moves."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.frame_store import FrameStore
from mutoscope.runtime.console import progress_bar
from mutoscope.runtime.files import replacing

#: frames are compared by the means of so many cells each way: what moves within a cell does not count
_CELLS = 12
#: a cut changes a picture so many times as much as any of its neighbours does, which tells it from a fast pan
_SUDDEN = 2.5
#: frames to either side that are neighbours
_BESIDE = 2
#: grey levels by which a pixel changes that shows something move: noise of cameras and codecs stays below
_MOVED = 20


def changes(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much every frame differs from the one before, coarsely: ``[t, 3, h, w]`` -> ``[t]`` grey levels, 0 first."""
    t, _, height, width = frames.shape
    rows, columns = (np.linspace(0, side, min(_CELLS, side) + 1).astype(int)[:-1] for side in (height, width))
    grey = frames.mean(axis=1, dtype=np.float32)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
    sizes = np.diff([*rows, height])[:, None] * np.diff([*columns, width])
    cells = sums / sizes
    found = np.zeros(t, dtype=np.float32)
    found[1:] = np.abs(np.diff(cells, axis=0)).mean(axis=(1, 2))
    return found


def moving(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much moves: ``[t, 3, h, w]`` -> ``[t]`` shares of pixels that differ from the frame before, 0 first."""
    found = np.zeros(len(frames), dtype=np.float32)
    grey = frames.mean(axis=1, dtype=np.float32)
    found[1:] = (np.abs(np.diff(grey, axis=0)) > _MOVED).mean(axis=(1, 2))
    return found


def cuts(change: NDArray[np.float32], threshold: float) -> list[int]:
    """First frames of new shots.

    A flash is no cut, since the picture changes twice; a dissolve is none either, since it takes its time.

    Args:
        change: of :func:`changes`.
        threshold: grey levels by which a picture changes at a cut, at least.
    """
    found = []
    for at in np.flatnonzero(change > threshold):
        beside = np.concatenate([change[max(1, at - _BESIDE) : at], change[at + 1 : at + 1 + _BESIDE]])
        if not len(beside) or change[at] > _SUDDEN * beside.max():
            found.append(int(at))
    return found


def changes_of(store: FrameStore, video: int) -> NDArray[np.float32]:
    """:func:`changes` of a video of a store; found once and kept beside its frames."""
    return _kept(store, video, ".changes.npy", changes)


def moving_of(store: FrameStore, video: int) -> NDArray[np.float32]:
    """:func:`moving` of a video of a store; found once and kept beside its frames."""
    return _kept(store, video, ".moving.npy", moving)


def look_for_cuts(store: FrameStore) -> None:
    """Find the changes of all videos under a bar, but for those that were looked at before."""
    usable = [video for name in store.names if (video := store.find(name)) is not None]
    todo = [video for video in usable if not store.file(video, ".changes.npy").is_file()]
    if todo:
        with progress_bar() as progress:
            task = progress.add_task("Looking for cuts", total=len(todo))
            for video in todo:
                changes_of(store, video)
                progress.advance(task)


def _kept(
    store: FrameStore, video: int, ending: str, look: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    path = store.file(video, ending)
    if not path.is_file():
        found = _of_video(store, video, look)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, found, allow_pickle=False)
    kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
    return kept


def _of_video(
    store: FrameStore, video: int, look: Callable[[NDArray[np.uint8]], NDArray[np.float32]], part: int = 500
) -> NDArray[np.float32]:
    """A part at a time: long videos take gigabytes."""
    count = int(store.frames[video])
    found = [np.zeros(1, dtype=np.float32)]
    for first in range(0, count - 1, part):
        found.append(look(store.read(video, np.arange(first, min(first + part + 1, count))))[1:])
    return np.concatenate(found)
