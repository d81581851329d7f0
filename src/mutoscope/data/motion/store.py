"""Prepared recordings on disk: one memory-mapped array of positions and an index, written once and never half.

A store is a folder with ``joints.npy`` (``[f, v, c]`` float32, all recordings end to end) and ``index.json``. It comes
into being by one rename of a finished folder. Until then every recording is kept, on its own, in ``<store>.parts``, so
that an interrupted preparation goes on where it stopped.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from mutoscope.data.motion.units import UnitError
from mutoscope.data.motion.windows import MotionClips
from mutoscope.data.skipped import Skipped, by_reason, tell_skipped
from mutoscope.formats.plain_files import parse_json
from mutoscope.formats.sources import is_number, is_whole
from mutoscope.formats.text import read_text
from mutoscope.runtime.console import progress_bar
from mutoscope.structures import Skeleton

_FORMAT = 1


@dataclass(frozen=True)
class Recording:
    """What a store knows of a recording beside its frames.

    Args:
        name: what to call it when speaking of it; no two are alike.
        label: class index.
        group: recordings of a group (cuts of one take, one performer ...) stay on one side of a split.
    """

    name: str
    label: int
    group: str


@dataclass(frozen=True)
class MotionStore:
    """An open store.

    Args:
        path: its folder.
        joints: ``[f, v, c]`` float32 in the skeleton's units, in space or a picture (``c`` 3 or 2), memory-mapped, all
            recordings end to end.
        start, frames: ``[n]`` first frame and number of frames of every recording.
        recordings: one per recording.
        classes: action names in label order.
        skeleton: joint layout.
        fps: frames per second.
        fingerprint: of the sources and settings it was made from.
        skipped: recordings that could not be used.
    """

    path: Path
    joints: NDArray[np.float32]
    start: NDArray[np.int64]
    frames: NDArray[np.int64]
    recordings: tuple[Recording, ...]
    classes: tuple[str, ...]
    skeleton: Skeleton
    fps: float
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()

    def clips(self, chosen: Sequence[int]) -> MotionClips:
        """The recordings with these indices."""
        at = np.array(chosen, dtype=np.int64)
        label = np.array([recording.label for recording in self.recordings], dtype=np.int64)
        names = [self.recordings[i].name for i in chosen]
        return MotionClips(self.joints, self.start[at], self.frames[at], label[at], names)


def prepare_store(
    path: Path,
    *,
    skeleton: Skeleton,
    fps: float,
    classes: Sequence[str],
    recordings: Sequence[Recording],
    read: Callable[[int], NDArray[np.floating[Any]]],
    fingerprint: str,
    channels: int = 3,
    title: str = "Preparing recordings",
) -> MotionStore:
    """Open the store at ``path``, or make it first.

    Several processes may call this at once: all end up with the same store. Recordings that cannot be used (reading
    raises a ``ValueError``, they have no frames, the wrong shape, or values that are no finite numbers) are left out,
    counted, and listed in ``skipped.txt`` in the store.

    Args:
        path: folder of the store; let its name carry the fingerprint.
        skeleton, fps, classes, recordings, fingerprint: see :class:`MotionStore`.
        read: positions ``[f, v, c]`` of the recording with a given index.
        channels: coordinates ``c`` of a position, 2 or 3.
        title: of the progress bar.

    Raises:
        FileNotFoundError: if reading does.
        ValueError: if no recording can be used; if two have the same name; if there are none; if the store at ``path``
            is damaged.
    """
    if path.exists():
        return _told(open_store(path, fingerprint), title)
    if not recordings:
        raise ValueError(f"There are no recordings to prepare for {path}.")
    if len({recording.name for recording in recordings}) != len(recordings):
        raise ValueError(f"Two recordings for {path} have the same name; names must differ.")
    parts = path.with_name(f"{path.name}.parts")
    try:
        frames, skipped = _write_parts(parts, recordings, read, (skeleton.num_joints, channels), title)
        if not frames:
            raise ValueError(
                f"None of the {len(recordings)} recordings can be used: {by_reason(skipped)}. {skipped[0].detail}"
            )
        description = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "fps": float(fps),
            "channels": channels,
            "classes": list(classes),
            "skeleton": skeleton.to_dict(),
            "recordings": [asdict(recordings[i]) | {"frames": count} for i, count in frames.items()],
            "skipped": [asdict(one) for one in skipped],
        }
        _assemble(path, parts, frames, (skeleton.num_joints, channels), description)
    except FileNotFoundError:
        # another process may have finished first and taken the parts away
        if not path.exists():
            raise
    shutil.rmtree(parts, ignore_errors=True)
    return _told(open_store(path, fingerprint), title)


def _told(store: MotionStore, title: str) -> MotionStore:
    """Say what was left out, now or when the store was made."""
    tell_skipped(store.skipped, title, store.path / "skipped.txt", "recordings")
    return store


def open_store(path: Path, fingerprint: str | None = None) -> MotionStore:
    """Open a finished store.

    Args:
        path: its folder.
        fingerprint: the one it must have, if given.

    Raises:
        FileNotFoundError: if there is no store.
        ValueError: if it is damaged, of another format, or not the one asked for.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"There are no prepared recordings at {path}; call prepare_data() first.")
    advice = f"delete the folder {path} and prepare the data again"
    try:
        file = path / "index.json"
        index = parse_json(read_text(file), str(file))
        joints = np.load(path / "joints.npy", mmap_mode="r", allow_pickle=False)
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']}, expected {_FORMAT}")
        if fingerprint is not None and index["fingerprint"] != fingerprint:
            raise ValueError(f"its fingerprint is {index['fingerprint']}, expected {fingerprint}")
        if not all(is_whole(entry["frames"]) and entry["frames"] > 0 for entry in index["recordings"]):
            raise ValueError("its recordings have numbers of frames that there cannot be")
        if not is_number(index["fps"]) or index["fps"] <= 0:
            raise ValueError(f"its frames per second are {index['fps']}")
        frames = np.array([entry["frames"] for entry in index["recordings"]], dtype=np.int64)
        skeleton = Skeleton.from_dict(index["skeleton"])
        # stores made before there was motion in two dimensions do not say
        expected = (int(frames.sum()), skeleton.num_joints, index.get("channels", 3))
        if joints.shape != expected or joints.dtype != np.float32:
            raise ValueError(f"joints.npy holds {joints.dtype} {joints.shape}, expected float32 {expected}")
        recordings = tuple(Recording(e["name"], e["label"], e["group"]) for e in index["recordings"])
        if any(not 0 <= recording.label < len(index["classes"]) for recording in recordings):
            raise ValueError(f"a label lies outside of its {len(index['classes'])} classes")
        return MotionStore(
            path=path,
            joints=joints,
            start=np.cumsum(frames) - frames,
            frames=frames,
            recordings=recordings,
            classes=tuple(index["classes"]),
            skeleton=skeleton,
            fps=index["fps"],
            fingerprint=index["fingerprint"],
            skipped=tuple(Skipped(**entry) for entry in index.get("skipped", ())),
        )
    except KeyError as error:
        raise ValueError(f"The prepared recordings at {path} are damaged: no entry {error}; {advice}.") from error
    # damaged headers of arrays raise nearly everything
    except Exception as error:
        raise ValueError(f"The prepared recordings at {path} cannot be used: {error}; {advice}.") from error


def split_by_group(
    recordings: Sequence[Recording], num_classes: int, val_fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of training and validation recordings; a group never lies on both sides.

    Class by class, about ``val_fraction`` of the groups go to validation, but at least one and not all of them; the
    only group of a class goes to training. Which ones depends on the seed and the groups' names alone.

    Raises:
        ValueError: if ``val_fraction`` is not in [0, 1).
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction is {val_fraction}, expected a number from 0 to below 1.")

    def draw(group: str) -> str:
        return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()

    val: set[str] = set()
    train: set[str] = set()
    for label in range(num_classes):
        groups = sorted({recording.group for recording in recordings if recording.label == label}, key=draw)
        wanted = min(max(1, round(val_fraction * len(groups))), len(groups) - 1) if val_fraction > 0 else 0
        # a group that another class has placed already stays there
        free = [group for group in groups if group not in val | train]
        take = max(0, wanted - len(val.intersection(groups)))
        val.update(free[:take])
        train.update(free[take:])
    sides: tuple[list[int], list[int]] = ([], [])
    for i, recording in enumerate(recordings):
        sides[recording.group in val].append(i)
    return sides


def _write_parts(
    parts: Path,
    recordings: Sequence[Recording],
    read: Callable[[int], NDArray[np.floating[Any]]],
    pose: tuple[int, int],
    title: str,
) -> tuple[dict[int, int], list[Skipped]]:
    """Write the recordings that are not there yet, each atomically; answer the frames of each, and what is no use."""
    parts.mkdir(parents=True, exist_ok=True)
    frames: dict[int, int] = {}
    skipped: list[Skipped] = []
    with progress_bar() as progress:
        for i in progress.track(range(len(recordings)), description=title):
            part = _part(parts, i)
            if not part.exists():
                try:
                    joints = _checked(read(i), recordings[i].name, pose)
                except ValueError as error:
                    skipped.append(Skipped(recordings[i].name, _reason(error), str(error)))
                    continue
                with tempfile.NamedTemporaryFile(dir=parts, suffix=".tmp", delete=False) as file:
                    np.save(file, joints, allow_pickle=False)
                Path(file.name).replace(part)
            frames[i] = len(np.load(part, mmap_mode="r", allow_pickle=False))
    return frames, skipped


def _assemble(
    path: Path, parts: Path, frames: Mapping[int, int], pose: tuple[int, int], description: dict[str, Any]
) -> None:
    """Build the store in a folder of its own, then rename it into place; a store that is there already stays."""
    building = Path(tempfile.mkdtemp(dir=parts, prefix="building-"))
    joints = open_memmap(building / "joints.npy", mode="w+", dtype=np.float32, shape=(sum(frames.values()), *pose))
    end = 0
    for i, count in frames.items():
        joints[end : end + count] = np.load(_part(parts, i), allow_pickle=False)
        end += count
    joints.flush()
    (building / "index.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    building.chmod(0o755)
    try:
        building.rename(path)
    except OSError:
        if not path.exists():
            raise


def _part(parts: Path, i: int) -> Path:
    return parts / f"{i:06d}.npy"


def _checked(joints: NDArray[np.floating[Any]], name: str, pose: tuple[int, int]) -> NDArray[np.float32]:
    # what is too large for float32 becomes infinite, and is refused
    with np.errstate(over="ignore"):
        joints = np.asarray(joints, dtype=np.float32)
    if joints.ndim != 3 or joints.shape[1:] != pose or len(joints) == 0:
        raise ValueError(f"Recording '{name}' has shape {joints.shape}, expected (frames, {pose[0]}, {pose[1]}).")
    if not np.isfinite(joints).all():
        raise ValueError(f"Recording '{name}' holds values that are no finite numbers.")
    return joints


def _reason(error: ValueError) -> str:
    return "unlikely people" if isinstance(error, UnitError) else "cannot be read"
