"""Frames of every video in a file of its own, so that one more video costs no more than itself.

A :mod:`frame cache <mutoscope.data.frame_cache>` holds a set of videos that stays as it is; folders of somebody's own
videos grow. A store is a folder: every video has a key that its file and the settings decide, ``<key>.bin``
(``[t, 3, h, w]`` uint8), and a line in the journal ``done.jsonl``. Nothing is ever removed from it: frames of videos
that were changed or taken away stay until the folder is deleted, and come back into use with their videos.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mutoscope.data import frame_cache
from mutoscope.data.frame_cache import DiskError, FrameSource, Task
from mutoscope.data.framing import Framing
from mutoscope.data.skipped import Skipped
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.parallel import each

#: raise whenever other frames are made of the same files
_PREPARATION = 1
_JOURNAL = "done.jsonl"


@dataclass(frozen=True)
class Keeping:
    """How frames are kept; part of every key.

    Args:
        size: (height, width).
        fps: frames a second of videos; folders of frames are kept as they are.
        framing: how frames of another shape come to that size.
    """

    size: tuple[int, int]
    fps: float
    framing: Framing = field(default_factory=Framing)

    def key(self, path: Path) -> str:
        """Of a video: changes with its place, size and time, and with these settings.

        Raises:
            FileNotFoundError: if it is not there.
        """
        return fingerprint({"preparation": _PREPARATION, **asdict(self)}, [path])


class FrameStore:
    """Some videos of a store, to be read like a :class:`~mutoscope.data.frame_cache.FrameCache`.

    Args:
        folder: of the store.
        keys: of the videos by their names; those that were never prepared are passed over.
        size: (height, width) of the frames.

    Raises:
        FileNotFoundError: if there is no store.
        ValueError: if frames are missing that were there.
    """

    def __init__(self, folder: Path, keys: Mapping[str, str], size: tuple[int, int]) -> None:
        if not (folder / _JOURNAL).is_file():
            raise FileNotFoundError(f"There are no frames at {folder}; call prepare_data() first.")
        done = _read_journal(folder)
        known = {name: done[key] for name, key in keys.items() if key in done}
        self.folder, self.size = folder, size
        self.names: tuple[str, ...] = tuple(known)
        self.skipped = tuple(replace(one, name=name) for name, one in known.items() if isinstance(one, Skipped))
        self.frames: NDArray[np.int64] = np.array(
            [0 if isinstance(one, Skipped) else one for one in known.values()], dtype=np.int64
        )
        self._keys = [keys[name] for name in self.names]
        self._number = {name: i for i, name in enumerate(self.names) if not isinstance(known[name], Skipped)}
        for name, number in self._number.items():
            if not _is_whole(self.file(number), int(self.frames[number]), size):
                raise ValueError(
                    f"The frames of {name} in {self.file(number)} are not whole; call prepare_data(), which makes them "
                    "anew."
                )

    def number(self, name: str) -> int:
        """Position of a video, for :meth:`read`; raises ``KeyError`` where none of this name is usable."""
        return self._number[name]

    def find(self, name: str) -> int | None:
        """The same, or ``None`` where no video of this name is usable."""
        return self._number.get(name)

    def file(self, video: int, ending: str = ".bin") -> Path:
        """Where a video's frames are kept, or under another ending what is known of them."""
        return self.folder / f"{self._keys[video]}{ending}"

    def read(self, video: int, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some frames of a video as ``[t, 3, h, w]`` RGB.

        Raises:
            IndexError: for a frame it has not.
        """
        count = int(self.frames[video])
        if len(frames) and not (frames.min() >= 0 and frames.max() < count):
            raise IndexError(f"'{self.names[video]}' has frames 0 to {count - 1}, asked for {frames}.")
        # mapped for one reading: thousands of open files would be too many for most systems
        whole = np.memmap(self.file(video), dtype=np.uint8, mode="r", shape=(count, 3, *self.size))
        return np.asarray(whole[frames])


def prepare_store(
    folder: Path, sources: Sequence[FrameSource], keeping: Keeping, workers: int, title: str = "Decoding videos"
) -> FrameStore:
    """Open a store for some videos, after decoding those whose frames it has not.

    Several processes may call this at once: one works, the others wait. An interrupted preparation goes on where it
    stopped. Videos that cannot be used are noted in ``skipped`` and not tried again until their file changes.

    Args:
        folder: of the store.
        sources: the videos; no two of one name.
        keeping: how their frames are kept.
        workers: processes.
        title: of the progress bar.

    Raises:
        FileNotFoundError: if a source is not there.
        OSError: if the disk has too little room.
    """
    keys = {source.name: keeping.key(source.path) for source in sources}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        done = _read_journal(folder)
        todo = {
            keys[source.name]: source
            for source in sources
            if not _is_done(folder, keys[source.name], done, keeping.size)
        }
        if todo:
            _decode_all(folder, todo, sources, keeping, workers, title)
        (folder / _JOURNAL).touch()
    return FrameStore(folder, keys, keeping.size)


def _decode_all(
    folder: Path,
    todo: Mapping[str, FrameSource],
    sources: Sequence[FrameSource],
    keeping: Keeping,
    workers: int,
    title: str,
) -> None:
    tasks = [Task(source, folder / f"{key}.bin", 0, keeping.size) for key, source in todo.items()]
    frame_cache.announce(folder, sources, tasks, keeping.size)
    with (folder / _JOURNAL).open("a", encoding="utf-8") as notes:
        # after a kill the last note may lack its end
        notes.write("\n")
        try:
            for i, result in each(_decode_apart, tasks, workers, title):
                note = asdict(result) if isinstance(result, Skipped) else result
                notes.write(json.dumps([tasks[i].file.stem, note]) + "\n")
                notes.flush()
                os.fsync(notes.fileno())
        except DiskError as error:
            raise OSError(str(error)) from error


def _decode_apart(task: Task) -> Skipped | int:
    """Write the frames of one source into a file of their own, or say why it cannot be used."""
    # beside its place until it is whole; what a kill leaves there is written over
    begun = task.file.with_suffix(".part")
    begun.write_bytes(b"")
    result = frame_cache.decode(replace(task, file=begun))
    if isinstance(result, Skipped):
        begun.unlink()
    else:
        begun.replace(task.file)
    return result


def _is_done(folder: Path, key: str, done: Mapping[str, Skipped | int], size: tuple[int, int]) -> bool:
    found = done.get(key)
    return found is not None and (isinstance(found, Skipped) or _is_whole(folder / f"{key}.bin", found, size))


def _is_whole(file: Path, frames: int, size: tuple[int, int]) -> bool:
    return file.is_file() and file.stat().st_size == frames * 3 * size[0] * size[1]


def _read_journal(folder: Path) -> dict[str, Skipped | int]:
    """By key how many frames there are, or why there are none; later lines win."""
    path, done = folder / _JOURNAL, {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            key, result = json.loads(line)
            note: dict[str, Any] | int = result
            done[str(key)] = Skipped(**note) if isinstance(note, dict) else int(note)
        except (ValueError, TypeError):
            continue
    return done
