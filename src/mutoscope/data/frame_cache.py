"""Videos decoded once into one memory-mapped file of small uint8 frames, so that random clips cost no decoding.

A cache is a folder with ``frames.bin`` (``[frames of all videos, c, h, w]`` uint8) and ``index.json``. It comes into
being by one rename. Until then it is ``<cache>.parts``, where every video is written at its final place and then noted
in a journal, so that an interrupted preparation goes on where it stopped.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from mutoscope.data.framing import Framing
from mutoscope.data.skipped import Skipped
from mutoscope.formats.decoding import at_rate, timed_frames
from mutoscope.formats.frame_folders import FrameFolderError, folder_frames
from mutoscope.formats.plain_files import parse_json
from mutoscope.formats.text import read_text
from mutoscope.runtime.console import say
from mutoscope.runtime.parallel import each

#: what is written, and what can be read: the first had no gaps between videos, the second always three channels
_FORMAT, _FORMATS = 3, (1, 2, 3)
#: frames of a video that are written at once
_AT_ONCE = 512
#: in the index, with names, counts and what was left out
_MOST_VALUES = 20_000_000


@dataclass(frozen=True)
class FrameSource:
    """Where the frames of a video come from.

    Args:
        name: what to call it; no two are alike.
        path: a video file, or a folder of pictures, see
            :func:`~mutoscope.formats.frame_folders.frame_files`.
        frames: how many it must have, neither fewer nor more; with ``fps``, how many it may have at most.
        fps: frames a second to keep of a video, whatever its own rate or rates; all of them as they are stored where
            there is none. Of a folder all pictures are kept.
        framing: how frames of another shape come to that of the cache.
    """

    name: str
    path: Path
    frames: int
    fps: float | None = None
    framing: Framing = field(default_factory=Framing)


class FrameCache:
    """An open cache; the file is mapped at the first reading, in every process anew.

    Args:
        path: its folder.

    Raises:
        FileNotFoundError: if there is no cache.
        ValueError: if it is damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise FileNotFoundError(f"There is no frame cache at {path}; call prepare_data() first.")
        self.path = path
        advice = f"delete the folder {path} and prepare the data again"
        try:
            file = path / "index.json"
            index = parse_json(read_text(file), str(file), max_values=_MOST_VALUES)
            if index["format"] not in _FORMATS:
                raise ValueError(f"its format is {index['format']}, expected {_FORMAT}")
            self.names: tuple[str, ...] = tuple(index["names"])
            self.frames: NDArray[np.int64] = np.array(index["frames"], dtype=np.int64)
            self.size: tuple[int, int] = (index["height"], index["width"])
            if self.frames.shape != (len(self.names),) or (self.frames < 0).any() or min(self.size) < 1:
                raise ValueError("its numbers of frames do not go with its names")
            self.skipped = tuple(Skipped(**entry) for entry in index["skipped"])
            rooms = np.array(index.get("rooms", index["frames"]), dtype=np.int64)
            if rooms.shape != self.frames.shape or (rooms < self.frames).any():
                raise ValueError("it has no room for its frames")
            if (channels := index.get("channels", 3)) not in (1, 3):
                raise ValueError(f"its frames have {channels} channels, expected 1 or 3")
            self.shape = (int(rooms.sum()), channels, *self.size)
            if (found := (path / "frames.bin").stat().st_size) != int(np.prod(self.shape)):
                raise ValueError(f"frames.bin holds {found} bytes, expected {int(np.prod(self.shape))}")
        except KeyError as error:
            raise ValueError(f"The frame cache at {path} is damaged: no entry {error}; {advice}.") from error
        except (OSError, ValueError, TypeError, OverflowError, AttributeError) as error:
            raise ValueError(f"The frame cache at {path} cannot be used: {error}; {advice}.") from error
        self._start = np.cumsum(rooms) - rooms
        unusable = {skipped.name for skipped in self.skipped}
        self._number = {name: i for i, name in enumerate(self.names) if name not in unusable}
        self._map: NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}

    def number(self, name: str) -> int:
        """Position of a video, for :meth:`read`; raises ``KeyError`` where none of this name is usable."""
        return self._number[name]

    def find(self, name: str) -> int | None:
        """The same, or ``None`` where no video of this name is usable."""
        return self._number.get(name)

    def read(self, video: int, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some frames of a video as ``[t, 3, h, w]`` RGB, or ``[t, 1, h, w]`` where one channel is kept.

        Raises:
            IndexError: for a frame it has not.
        """
        if self._map is None:
            self._map = np.memmap(self.path / "frames.bin", dtype=np.uint8, mode="r", shape=self.shape)
        if len(frames) and not (frames.min() >= 0 and frames.max() < self.frames[video]):
            raise IndexError(f"'{self.names[video]}' has frames 0 to {self.frames[video] - 1}, asked for {frames}.")
        return np.asarray(self._map[self._start[video] + frames])


def prepare_cache(
    path: Path,
    sources: Sequence[FrameSource],
    size: tuple[int, int],
    workers: int,
    title: str = "Decoding videos",
    *,
    channels: int = 3,
) -> FrameCache:
    """Open the cache at ``path``, or make it first, after saying how large it gets.

    Several processes may call this at once: one works, the others wait. Sources that cannot be used are left out and
    listed in ``skipped``; their place in the file stays empty and takes no room on most disks.

    Args:
        path: folder of the cache; let its name carry a fingerprint of the sources.
        sources: the videos.
        size: (height, width) of the frames to keep.
        workers: processes.
        title: of the progress bar.
        channels: to keep: 3, or 1 (the first) of pictures without colour, such as masks. A cache that is there is read
            as it is.

    Raises:
        ValueError: if there are no sources, two of one name, or a damaged cache.
        OSError: if the disk has too little room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            _make(path, sources, size, workers, title, channels)
    return FrameCache(path)


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of one source: where to read and where to write."""

    source: FrameSource
    file: Path
    start: int
    size: tuple[int, int]
    channels: int = 3

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.size[0] * self.size[1]


def _make(
    path: Path, sources: Sequence[FrameSource], size: tuple[int, int], workers: int, title: str, channels: int
) -> None:
    if not sources:
        raise ValueError(f"There are no videos to decode for {path}.")
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise ValueError(f"Two videos for {path} have the same name; names must differ.")
    rooms = [source.frames for source in sources]
    starts = np.cumsum(rooms) - rooms
    parts = path.with_name(f"{path.name}.parts")
    parts.mkdir(exist_ok=True)
    file, journal = parts / "frames.bin", parts / "done.jsonl"
    whole_size = sum(rooms) * channels * size[0] * size[1]
    # one of another size was begun when three channels were kept of everything
    if not file.exists() or file.stat().st_size != whole_size:
        journal.unlink(missing_ok=True)
    done = _done(journal)
    tasks = [
        Task(source, file, int(start), size, channels)
        for source, start in zip(sources, starts, strict=True)
        if source.name not in done
    ]
    announce(path, sources, tasks, size, channels)
    with file.open("ab") as whole:
        whole.truncate(whole_size)
    with journal.open("a", encoding="utf-8") as notes:
        # after a kill the last note may lack its end
        notes.write("\n")
        try:
            for i, result in each(decode, tasks, workers, title):
                name = tasks[i].source.name
                done[name] = result
                notes.write(json.dumps([name, asdict(result) if isinstance(result, Skipped) else result]) + "\n")
                notes.flush()
                os.fsync(notes.fileno())
        except DiskError as error:
            raise OSError(str(error)) from error
    index = {
        "format": _FORMAT,
        "names": names,
        "frames": [_count(done[source.name], source) for source in sources],
        "rooms": rooms,
        "height": size[0],
        "width": size[1],
        "channels": channels,
        "skipped": [asdict(result) for name in names if isinstance(result := done[name], Skipped)],
    }
    (parts / "index.json").write_text(json.dumps(index), encoding="utf-8")
    journal.unlink()
    parts.rename(path)


def _count(result: Skipped | int, source: FrameSource) -> int:
    """Frames of a source that was worked on; the place of one that cannot be used is empty and all its own."""
    return source.frames if isinstance(result, Skipped) else result


def _done(journal: Path) -> dict[str, Skipped | int]:
    """What an interrupted preparation had finished: how many frames, or why there are none."""
    done: dict[str, Skipped | int] = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        try:
            name, result = json.loads(line)
        except (ValueError, TypeError):
            continue
        # before sources could have fewer frames than room, nothing was noted of good ones: they are read again
        if result is not None:
            done[name] = Skipped(**result) if isinstance(result, dict) else int(result)
    return done


def announce(
    path: Path, sources: Sequence[FrameSource], tasks: Sequence[Task], size: tuple[int, int], channels: int = 3
) -> None:
    """Say how large the cache gets, and refuse if the disk is too small for what is still to come."""
    gigabyte, per_frame = 1e9, channels * size[0] * size[1]
    whole = sum(source.frames for source in sources) * per_frame / gigabyte
    needed = sum(task.source.frames for task in tasks) * per_frame / gigabyte
    free = shutil.disk_usage(path.parent).free / gigabyte
    if needed > free:
        raise OSError(
            f"The frames of {len(tasks)} videos at {size[0]}x{size[1]} take {needed:.1f} GB, but {path.parent} has "
            f"room for {free:.1f} GB; make room, set cache_dir to another disk, or choose a smaller size or max_videos."
        )
    resumed = f", {len(sources) - len(tasks)} videos are done already" if len(tasks) < len(sources) else ""
    say(f"Decoding {len(sources)} videos once to {size[0]}x{size[1]}: {whole:.2g} GB in {path}{resumed}.")


def decode(task: Task) -> Skipped | int:
    """Write the frames of one source at their place and count them, or say why it cannot be used."""
    source = task.source
    if not source.path.exists():
        return Skipped(source.name, "no video", f"There is no video {source.path}.")
    found, waiting = 0, []
    try:
        for shown in source_frames(source):
            if found < source.frames:
                waiting.append(source.framing.of(Image.fromarray(shown), task.size)[: task.channels])
            found += 1
            if source.fps is not None and found > source.frames:
                break
            # long videos would take gigabytes; what is written of one that breaks off later is never read
            if len(waiting) == _AT_ONCE:
                _put(task, found - len(waiting), waiting)
                waiting = []
    except FrameFolderError as error:
        return Skipped(source.name, "folder of frames out of order", str(error))
    except (OSError, ValueError, MemoryError) as error:
        what = "it does not fit into memory" if isinstance(error, MemoryError) else error
        return Skipped(source.name, "video cannot be decoded", f"{source.path}, after {found} frames: {what}")
    if found != source.frames and (source.fps is None or not 0 < found < source.frames):
        many = f"more than {source.frames}" if found > source.frames else str(found)
        detail = f"{source.path} has {many} frames, expected {source.frames}; if it is cut off, fetch it again."
        return Skipped(source.name, "wrong number of frames", detail)
    _put(task, found - len(waiting), waiting)
    return found


class DiskError(Exception):
    """The disk does not take frames: no fault of a source."""


def _put(task: Task, first: int, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write some frames of a source, from number ``first`` on."""
    # plain writing tells of a full disk with an exception, a memory map by ending the process
    try:
        with task.file.open("r+b") as file:
            file.seek((task.start + first) * task.frame_bytes)
            file.write(np.ascontiguousarray(np.stack(frames)).data if frames else b"")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DiskError(
            f"Frames cannot be written to {task.file} ({error.strerror}). What is done is kept; make room and go on."
        ) from error


def source_frames(source: FrameSource) -> Iterator[NDArray[np.uint8]]:
    """The frames of a source one after the other, as large as they are.

    Raises:
        FileNotFoundError, VideoError, FrameFolderError, PictureError: for a source that cannot be read.
    """
    if source.path.is_dir():
        return folder_frames(source.path)
    if source.fps is not None:
        return at_rate(timed_frames(source.path, threads=1, square=True), source.fps, source.path)
    # frames as they are stored: boxes count them, however long each is shown
    return (shown for shown, _ in timed_frames(source.path, threads=1))
