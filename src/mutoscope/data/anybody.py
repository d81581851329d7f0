"""Clips of anybody: videos, folders of frames and arrays, as any program leaves them, read for measuring."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mutoscope.formats.frame_folders import folder_frames
from mutoscope.formats.pictures import PICTURES
from mutoscope.formats.sources import FileError, reason
from mutoscope.formats.video import read_frames
from mutoscope.runtime.console import progress_bar
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.parallel import usable_cores

VIDEOS = (".mp4", ".webm", ".avi", ".mov", ".mkv", ".gif", ".m4v", ".mpg", ".mpeg", ".ogv", ".webp", ".apng")
ARRAYS = (".npy", ".npz")
#: rates that differ by less are written differently, not filmed differently
_SAME_RATE = 1e-3


class ClipError(FileError):
    """A clip that cannot be measured."""


@dataclass(frozen=True)
class Clip:
    """One clip, not read yet.

    Args:
        name: by which clips of two sets belong together: the path below the set's folder without its suffix, or the
            number in an array.
        source: a video, a folder of frames, or a file of arrays.
        row: in the array; ``None`` for a clip that is all of its source.
        label: its class, where there are some.
    """

    name: str
    source: Path
    row: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        return str(self.source) if self.row is None else f"{self.source}, clip {self.row}"


@dataclass(frozen=True)
class ClipSet:
    """Clips of one side.

    Args:
        root: where they lie.
        kind: of what they hold.
        clips: in order of their names.
    """

    root: Path
    kind: Literal["video", "motion"]
    clips: tuple[Clip, ...]

    @property
    def files(self) -> list[Path]:
        """All sources, for telling whether one has changed."""
        return sorted({clip.source for clip in self.clips})

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(sorted({clip.label for clip in self.clips if clip.label is not None}))

    @property
    def labelled(self) -> bool:
        """Whether every clip has a class."""
        return all(clip.label is not None for clip in self.clips)

    def chosen(self, index: Sequence[int]) -> "ClipSet":
        """Some of the clips."""
        return replace(self, clips=tuple(self.clips[i] for i in index))


@dataclass(frozen=True)
class Cut:
    """What is taken of every clip; part of the protocol.

    Args:
        length: frames, from the first one on; ``None`` if all clips have the same number.
        stride: from one to the next.
        size: height and width of frames, to which they are resized with antialiasing; ``None`` if all are alike.
        fps: at which frames are taken of videos; ``None`` if all have the same rate. Arrays and folders have none.
    """

    length: int | None = None
    stride: int = 1
    size: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for name in ("length", "stride", "size", "fps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"clips.{name} is {value}, expected more than 0.")

    def frames(self, clip: Clip, count: int, fps: float | None) -> NDArray[np.int64]:
        """Numbers of the frames that are taken of a clip of ``count``.

        Raises:
            ClipError: if it is too short.
        """
        step = float(self.stride)
        if self.fps is not None and fps is not None:
            if fps < self.fps * (1 - _SAME_RATE):
                raise ClipError(clip.source, f"it has {fps:g} frames a second, fewer than clips.fps={self.fps:g}.")
            step *= fps / self.fps
        there = int((count - 1) / step + 1e-6) + 1
        if self.length is not None and there < self.length:
            raise ClipError(
                clip.source,
                f"it has {count} frames, of which clips.stride={self.stride} leaves {there}; clips.length="
                f"{self.length} needs more. Lower clips.length, or leave the file out.",
            )
        return np.round(np.arange(self.length or there) * step).astype(np.int64)


def find_clips(root: str | Path) -> ClipSet:
    """The clips in a folder or file: videos, folders of frames, ``.npy`` or ``.npz``.

    A folder in the folder that holds clips is a class. Arrays of uint8 are videos,
    ``[n, t, h, w, 3]`` or one ``[t, h, w, 3]``; arrays of floats are motions, ``[n, t, v, c]`` or one ``[t, v, c]``,
    with 2 or 3 coordinates.

    Args:
        root: the folder or file.

    Raises:
        ConfigError: if there are no clips, or several kinds of them.
        ValueError: for a file that cannot be used, naming it.
    """
    path = Path(root)
    if not path.exists():
        raise ConfigError(f"There is no folder or file {path}.")
    if path.is_file():
        found = _of_file(path, path.parent, None)
    else:
        found = [clip for entry in _entries(path) for clip in _below(entry, path)]
        if not found and any(entry.suffix.lower() in PICTURES for entry in path.iterdir()):
            found = [Clip(path.name, path)]
    if not found:
        raise ConfigError(
            f"There are no clips in {path}; expected videos ({', '.join(VIDEOS[:4])} ...), folders of frames, or .npy "
            "and .npz arrays, in it or one folder below."
        )
    twice = [name for name, count in Counter(clip.name for clip in found).items() if count > 1]
    if twice:
        same = " and ".join(str(clip) for clip in found if clip.name == twice[0])
        raise ConfigError(f"{same} are the same clip in two forms; name the files of one form, or another folder.")
    found.sort(key=lambda clip: (clip.row if clip.row is not None else -1, clip.name))
    arrays = {clip.source for clip in found if clip.source.suffix.lower() in ARRAYS}
    if arrays and len({clip.source for clip in found}) > len(arrays):
        raise ConfigError(f"{path} holds videos and arrays; name the files of one form.")
    kinds = {_array(source).dtype.kind for source in arrays}
    if len(kinds) > 1:
        raise ConfigError(f"{path} holds arrays of videos and of motions; name one of them.")
    return ClipSet(path, "motion" if "f" in kinds else "video", tuple(found))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed: {reason(error)}.") from None


def _below(entry: Path, root: Path) -> Iterator[Clip]:
    if entry.is_file():
        yield from _of_file(entry, root, None)
        return
    inside = _entries(entry)
    if any(one.is_file() and one.suffix.lower() in PICTURES for one in inside) and not any(map(_is_clip, inside)):
        yield Clip(entry.name, entry)
        return
    for one in inside:
        if one.is_file():
            yield from _of_file(one, root, entry.name)
        elif any(frame.suffix.lower() in PICTURES for frame in _entries(one)):
            yield Clip(one.relative_to(root).as_posix(), one, label=entry.name)


def _is_clip(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (*VIDEOS, *ARRAYS) and path.suffix.lower() not in PICTURES


def _of_file(path: Path, root: Path, label: str | None) -> list[Clip]:
    suffix, name = path.suffix.lower(), path.relative_to(root).with_suffix("").as_posix()
    if suffix in ARRAYS:
        array = _array(path)
        whole = array.ndim == (4 if array.dtype == np.uint8 else 3)
        return (
            [Clip(name, path, None, label)]
            if whole
            else [Clip(f"{name}/{i}", path, i, label) for i in range(len(array))]
        )
    return [Clip(name, path, label=label)] if suffix in VIDEOS and suffix not in (".webp", ".apng") else []


def _array(path: Path) -> NDArray[Any]:
    """The array of a file, mapped where it can be, checked for what it may be."""
    return _checked_array(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _checked_array(path: Path, _changed: int) -> NDArray[Any]:
    try:
        loaded = np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                fitting = [key for key in loaded.files if loaded[key].ndim >= 3]
                if len(fitting) != 1:
                    raise ClipError(path, f"it holds {len(fitting)} arrays that could be clips, expected one.")
                loaded = loaded[fitting[0]]
    except ClipError:
        raise
    # damaged files raise nearly everything
    except Exception as error:
        raise ClipError(path, f"it cannot be read as an array ({reason(error)}).") from None
    array: NDArray[Any] = loaded
    video = array.dtype == np.uint8 and array.ndim in (4, 5) and array.shape[-1] == 3
    motion = array.dtype.kind == "f" and array.ndim in (3, 4) and array.shape[-1] in (2, 3)
    if (not video and not motion) or 0 in array.shape[1:]:
        raise ClipError(
            path,
            f"it is {array.dtype} {list(array.shape)}; expected videos as uint8 [n, t, h, w, 3], or motions as floats "
            "[n, t, v, 2 or 3].",
        )
    return array


def read_clip(clip: Clip, cut: Cut) -> tuple[Tensor, float | None]:
    """A clip as it is measured: ``[t, 3, h, w]`` uint8 of a video, ``[t, v, c]`` float32 of a motion; its frame rate.

    Raises:
        ValueError: if it cannot be read or is too short, or holds NaN; the message names it.
    """
    fps: float | None = None
    if clip.source.is_dir():
        values: NDArray[Any] = np.stack(list(folder_frames(clip.source)))
        taken = values[cut.frames(clip, len(values), None)]
    elif clip.source.suffix.lower() in ARRAYS:
        array = _array(clip.source)
        values = np.asarray(array if clip.row is None else array[clip.row])
        taken = values[cut.frames(clip, len(values), None)]
    else:
        taken, fps = read_frames(clip.source, partial(cut.frames, clip))
    if taken.dtype != np.uint8:
        if not np.isfinite(taken).all():
            raise ClipError(clip.source, f"{'it' if clip.row is None else f'clip {clip.row}'} holds NaN or infinities.")
        return torch.from_numpy(np.ascontiguousarray(taken, dtype=np.float32)), None
    frames = torch.from_numpy(np.ascontiguousarray(taken)).permute(0, 3, 1, 2).contiguous()
    if cut.size is not None and tuple(frames.shape[-2:]) != (cut.size, cut.size):
        resized = F.interpolate(frames.float(), (cut.size, cut.size), mode="bilinear", antialias=True)
        frames = resized.round().clamp(0, 255).to(torch.uint8)
    return frames, None if fps is None else fps if cut.fps is None else cut.fps


class Reader:
    """Reads sets in parallel and in order, and makes sure that all clips are of one form.

    Args:
        cut: what is taken of every clip.
        skip_broken: leave clips out that cannot be read, and list them as ``broken``, instead of ending.
    """

    def __init__(self, cut: Cut, *, skip_broken: bool = False) -> None:
        self.cut, self.skip_broken = cut, skip_broken
        self.broken: list[str] = []
        self.shape: tuple[int, ...] | None = None
        self.fps: float | None = None
        self._first = self._first_with_rate = ""

    def read(self, clips: ClipSet, title: str) -> Iterator[tuple[int, Tensor]]:
        """Number and content of every clip, in order, under a bar.

        Raises:
            ConfigError: if clips cannot be read, naming them, or differ in size, length or rate.
        """
        workers, broken = usable_cores() + 1, []
        with ThreadPoolExecutor(workers) as pool, progress_bar() as progress:
            task = progress.add_task(title, total=len(clips.clips))
            waiting: list[tuple[int, Future[tuple[Tensor, float | None]]]] = []
            todo = iter(enumerate(clips.clips))
            try:
                while True:
                    for number, clip in todo:
                        waiting.append((number, pool.submit(read_clip, clip, self.cut)))
                        if len(waiting) >= 2 * workers:
                            break
                    if not waiting:
                        break
                    number, future = waiting.pop(0)
                    progress.advance(task)
                    try:
                        values, fps = future.result()
                    except (ValueError, OSError) as error:
                        broken.append(str(error))
                        continue
                    if broken and not self.skip_broken:
                        # what is read now is for finding all that are broken
                        continue
                    self._compare(str(clips.clips[number]), values, fps)
                    yield number, values
            finally:
                pool.shutdown(cancel_futures=True)
        self.broken += broken
        if broken and not self.skip_broken:
            more = f" (and {len(broken) - 3} more)" if len(broken) > 3 else ""
            raise ConfigError(
                f"{len(broken)} of {len(clips.clips)} clips of {clips.root} cannot be measured: {' '.join(broken[:3])}"
                f"{more} Mend or remove them, or set clips.skip_broken=true to measure the others."
            )

    def _compare(self, name: str, values: Tensor, fps: float | None) -> None:
        shape = tuple(values.shape)
        if self.shape is None:
            self.shape, self._first = shape, name
        if shape[1:] != self.shape[1:]:
            what = "frames" if values.ndim == 4 else "joints and coordinates"
            remedy = " Set clips.size=<pixels> to resize all of them." if values.ndim == 4 else ""
            raise ConfigError(
                f"{name} has {what} of {list(shape[1:])}, {self._first} of {list(self.shape[1:])}; all clips of both "
                f"sides must have one size.{remedy}"
            )
        if shape[0] != self.shape[0]:
            raise ConfigError(
                f"{name} has {shape[0]} frames, {self._first} has {self.shape[0]}; set clips.length="
                f"{min(shape[0], self.shape[0])} to take as many of each."
            )
        if fps is None:
            return
        if self.fps is None:
            self.fps, self._first_with_rate = fps, name
        if abs(fps - self.fps) > _SAME_RATE * self.fps:
            raise ConfigError(
                f"{name} has {fps:g} frames a second, {self._first_with_rate} has {self.fps:g}: the same motion takes "
                f"other numbers of frames. Set clips.fps={min(fps, self.fps):g} to take frames at one rate."
            )
