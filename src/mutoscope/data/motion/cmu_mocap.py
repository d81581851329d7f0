"""Real motion capture: labelled recordings of the CMU Graphics Lab Motion Capture Database, or any ASF/AMC tree."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.datamodule import Split
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.data.motion.resample import resample
from mutoscope.data.motion.retarget import retarget, retarget_matrix
from mutoscope.data.motion.store import Recording, prepare_store, split_by_group
from mutoscope.data.motion.stored import StoredMotionDataModule
from mutoscope.data.motion.units import check_people, metres_per_unit
from mutoscope.data.motion.windows import MotionClips, MotionSettings, ShortRule
from mutoscope.data.registry import register
from mutoscope.formats.asf_amc import AsfSkeleton, forward_kinematics, read_amc, read_asf
from mutoscope.formats.sources import FileError
from mutoscope.formats.text import read_table
from mutoscope.runtime.cache import cache_folder, fingerprint
from mutoscope.structures import CMU31
from mutoscope.structures import skeleton as named_skeleton

log = logging.getLogger(__name__)

_COLUMNS = ("file", "label", "subject", "trial", "asf", "fps")
#: raise whenever reading, retargeting or resampling changes what it makes of the same files
_PREPARATION = 2
#: frames per second of any motion capture
_SLOWEST, _FASTEST = 0.1, 10_000.0


class RecordingsError(FileError):
    """An index of recordings that cannot be used."""


@dataclass(frozen=True)
class _Row:
    """A row of the index."""

    file: str
    label: str
    take: str
    asf: str
    fps: float
    frames: int | None


@register("cmu_mocap")
class CmuMocap(StoredMotionDataModule):
    """Labelled windows of real motion.

    Recordings are read once, mapped to the skeleton asked for, brought to one frame rate and stored under
    ``cache_dir``, keyed by everything they were made from. All clips cut from one take (same subject and trial) lie on
    the same side of the split. Heights stay as recorded: CMU's floor is at 0 up to a few centimetres.

    Args:
        root: folder of the tree.
        index: CSV file below ``root`` with the columns file, label, subject, trial, asf, fps (of the file) and,
            if there, frames, which must then be right.
        skeleton: cmu31, or one that :mod:`mutoscope.data.motion.retarget` reaches from it: ntu25, h36m16, h36m15.
        classes: labels to use, in this order; all, sorted, by default.
        fps: frames per second to bring all recordings to.
        stride, short: see :class:`~mutoscope.data.motion.windows.MotionDataModule`.
        val_fraction: share of each class's takes held out for validation; a class with one take has none.
        unit: of the ASF and AMC files, where the ``length`` that an ASF file states is not to be believed: mm, cm, m,
            in, ft, or how many metres. By default ``0.0254 / length`` metres, as CMU's files have it.
        cache_dir: where prepared data go; ``default_cache()`` by default.
        split_seed: of the split; ``seed`` is that of the order of batches.
        length, root_rule, align_heading, channels, scaling, balance, batch_size, num_workers, seed: see
            :class:`~mutoscope.data.motion.windows.MotionDataModule`.

    Raises:
        FileNotFoundError: if the folder or the index is missing.
        ValueError: if the index is malformed, a class is unknown or the skeleton cannot be reached.
    """

    own_defaults: ClassVar[MotionSettings] = {"balance": True}

    def __init__(
        self,
        *,
        root: str | None = None,
        index: str = "index.csv",
        skeleton: str = "ntu25",
        classes: list[str] | None = None,
        fps: float = 30.0,
        stride: int = 4,
        short: ShortRule = "drop",
        val_fraction: float = 0.2,
        unit: str | float | None = None,
        cache_dir: str | None = None,
        split_seed: int = 0,
        **motion: Unpack[MotionSettings],
    ) -> None:
        motion = self.own_defaults | motion
        super().__init__(skeleton=named_skeleton(skeleton), fps=fps, stride=stride, short=short, **motion)
        if not fps > 0:
            raise ValueError(f"fps is {fps}, expected a positive number.")
        if not 0 <= val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction}, expected a number from 0 to below 1.")
        self.folder = existing_folder(root, "cmu_mocap", WANTED["cmu_mocap"])
        self.unit = None if unit is None else metres_per_unit(unit)
        self.val_fraction, self.split_seed = val_fraction, split_seed
        self.cache_dir = cache_folder(cache_dir)
        self._matrix = retarget_matrix(CMU31, self.skeleton)
        rows = _read_index(self.folder / index)
        self._classes = _chosen(classes, sorted({row.label for row in rows}))
        self._rows = [row for row in rows if row.label in self._classes]

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def fingerprint(self) -> str:
        windows = [
            self.sources,
            self.length,
            self.stride,
            self.short,
            self.root_rule,
            self.align_heading,
            self.channels,
            self.val_fraction,
            self.split_seed,
            self.scaling,
        ]
        return hashlib.sha256(json.dumps(windows).encode()).hexdigest()[:16]

    def prepare_data(self) -> None:
        """Read all recordings into the cache, unless they are there.

        Raises:
            FileNotFoundError: if a file that the index names is missing.
            ValueError: naming file and line of the first, if none can be used.
        """
        skeletons: dict[str, AsfSkeleton] = {}
        #: of recordings whose frame numbers do not count one by one
        steps: dict[str, int] = {}

        def read(i: int) -> NDArray[np.float64]:
            row = self._rows[i]
            if row.asf not in skeletons:
                skeletons[row.asf] = read_asf(self.folder / row.asf, self.unit)
            joints, step = _positions(self.folder / row.file, skeletons[row.asf], row.frames)
            check_people(self.folder / row.file, joints, CMU31, row.fps, skeletons[row.asf].metres)
            if step > 1:
                steps[row.file] = step
            return resample(retarget(joints, self._matrix), row.fps, self.fps)

        prepare_store(
            self.store_path,
            skeleton=self.skeleton,
            fps=self.fps,
            classes=self._classes,
            recordings=[Recording(row.file, self._classes.index(row.label), row.take) for row in self._rows],
            read=read,
            fingerprint=self.sources,
            title=f"Preparing {self.registered_name}",
        )
        if steps:
            name, step = next(iter(steps.items()))
            log.warning(
                "%d recordings number their frames in steps (%s: %d); fps in the index is taken as that of the frames "
                "in the file, not of their numbers.",
                len(steps),
                name,
                step,
            )

    def clips(self, split: Split) -> MotionClips:
        train, val = self._split
        chosen = train if split == "train" else val
        return replace(self.store.clips(chosen), takes=[self.store.recordings[i].group for i in chosen])

    def report(self) -> None:
        train, val = self.dataset("train"), self.dataset("val")
        log.info(
            "%s: %d recordings, %d training and %d validation windows of %d frames at %g fps",
            self.registered_name,
            len(self.store.recordings),
            len(train),
            len(val),
            self.length,
            self.fps,
        )
        if dropped := self.dropped():
            counts = ", ".join(f"{name} {n}" for name, n in dropped.items())
            log.warning("Recordings shorter than %d frames were dropped: %s.", self.length, counts)
        held_out = set(val.label.tolist())
        lacking = [name for i, name in enumerate(self._classes) if i not in held_out]
        if lacking and self.val_fraction > 0:
            log.warning(
                "No validation window for %s: only one take, or the takes held out are shorter than %d frames.",
                ", ".join(lacking),
                self.length,
            )

    @cached_property
    def sources(self) -> str:
        """Fingerprint of the recordings, before they are split and cut."""
        settings = {
            "preparation": _PREPARATION,
            "rows": [[row.file, row.label, row.take, row.asf, row.fps] for row in self._rows],
            "classes": list(self._classes),
            "skeleton": self.skeleton.to_dict(),
            "matrix": self._matrix.tolist(),
            "fps": float(self.fps),
            "unit": self.unit,
        }
        return fingerprint(settings, [self.folder / name for row in self._rows for name in (row.file, row.asf)])

    @cached_property
    def _split(self) -> tuple[list[int], list[int]]:
        return split_by_group(self.store.recordings, len(self._classes), self.val_fraction, self.split_seed)


def _read_index(path: Path) -> list[_Row]:
    missing = f"There is no index {path}; {WANTED['cmu_mocap']}."
    table = read_table(path, _COLUMNS, error=RecordingsError, missing=missing)
    rows = [_row(path, row.line, row.cells) for row in table]
    if not rows:
        raise RecordingsError(path, "it lists no recordings.")
    name, times = Counter(row.file for row in rows).most_common(1)[0]
    if times > 1:
        raise RecordingsError(path, f"it lists {name} more than once; a recording has one label.")
    return rows


def _row(path: Path, line: int, cells: Mapping[str, str]) -> _Row:
    if empty := [column for column in _COLUMNS if not cells[column]]:
        raise RecordingsError(path, f"no value for {', '.join(empty)}.", f"line {line}")
    frames = cells.get("frames", "")
    try:
        fps, count = float(cells["fps"]), int(frames) if frames else None
    except ValueError:
        fps, count = 0.0, None
    if not _SLOWEST <= fps <= _FASTEST or (count is not None and count < 1):
        raise RecordingsError(
            path,
            f"fps is '{cells['fps'][:40]}' and frames '{frames[:40]}', expected a number from {_SLOWEST:g} to "
            f"{_FASTEST:g} (with a point, not a comma) and a whole number or nothing.",
            f"line {line}",
        )
    take = f"{cells['subject']}_{cells['trial']}"
    return _Row(cells["file"], cells["label"], take, cells["asf"], fps, count)


def _chosen(classes: list[str] | None, known: list[str]) -> tuple[str, ...]:
    if classes is None:
        return tuple(known)
    if unknown := [name for name in classes if name not in known]:
        raise ValueError(f"There is no class '{unknown[0]}' in the index; its classes are {', '.join(known)}.")
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"classes is {list(classes)}, expected one or more names, none of them twice.")
    return tuple(classes)


def _positions(file: Path, skeleton: AsfSkeleton, frames: int | None) -> tuple[NDArray[np.float64], int]:
    """``[f, 31, 3]`` metres in the order of ``CMU31``, and the step of the frame numbers."""
    if missing := [joint for joint in CMU31.joints if joint not in skeleton.joints]:
        raise ValueError(f"The skeleton of {file} lacks the bones {', '.join(missing)} of the CMU layout.")
    motion = read_amc(file, skeleton)
    if frames is not None and len(motion.angles) != frames:
        raise ValueError(f"{file} holds {len(motion.angles)} frames, but the index says {frames}; is it cut short?")
    order = [skeleton.joints.index(joint) for joint in CMU31.joints]
    return forward_kinematics(skeleton, motion)[:, order], motion.step
