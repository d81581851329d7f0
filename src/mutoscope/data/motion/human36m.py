"""Human3.6M as SA-GCN and Kinetic-GAN take it: ten actions, projected into one camera, or in space."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from mutoscope.data.datamodule import Split
from mutoscope.data.motion.human36m_files import find_recordings
from mutoscope.data.motion.scaling import fit_normaliser
from mutoscope.data.motion.store import Recording, prepare_store
from mutoscope.data.motion.stored import StoredMotionDataModule
from mutoscope.data.motion.units import WITHIN_A_POWER_OF_TEN, check_people, metres_per_unit
from mutoscope.data.motion.windows import MotionClips, MotionSettings, MotionWindows
from mutoscope.data.registry import register
from mutoscope.formats.human36m import (
    CAMERAS,
    FPS,
    JOINT_IDS,
    Camera,
    PositionFile,
    read_camera,
    read_positions,
)
from mutoscope.formats.sources import FileError
from mutoscope.runtime.cache import cache_folder, fingerprint
from mutoscope.structures import Normaliser
from mutoscope.structures import skeleton as named_skeleton

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SKELETONS = ("h36m15", "h36m16")
#: raise whenever reading or projecting changes what it makes of the same files
_PREPARATION = 2


def hip_relative(pixels: Array, depth: Array, mean_depth: float) -> Array:
    """Take out where people are and how large they appear: subtract the hip, multiply by its relative depth.

    Args:
        pixels: ``[f, 32, 2]`` of all joints.
        depth: ``[f, 32]`` millimetres before the camera.
        mean_depth: of the hip over all training frames.

    Returns:
        ``[f, 32, 2]`` pixels, y down; the hip is 0.
    """
    hip = JOINT_IDS["hip"]
    return (pixels - pixels[:, hip, None]) * (depth[:, hip] / mean_depth)[:, None, None]


@register("human36m")
class Human36m(StoredMotionDataModule):
    """Windows of Human3.6M's recordings (SA-GCN's preparation).

    In two dimensions joints are projected by the data set's own lens, taken relative to the hip of the same frame and
    brought to one distance: pixels, y up. With ``scaling=joint``, networks see the z-scores that SA-GCN's networks see
    (statistics over all training frames at 50 Hz; y down, as in images). The hip stays the origin where the skeleton
    leaves it out. In three dimensions positions are metres with y up, under the root rule.

    Recordings are read once and stored under ``cache_dir``, keyed by everything they were made from. Actions of which
    trials are absent are named in the log.

    Args:
        root: folder with ``cameras.h5`` (needed in two dimensions) and ``S<subject>/MyPoses/3D_positions``.
        train_subjects, val_subjects: nobody is in both.
        classes: actions in label order; SA-GCN's ten by default.
        camera: its serial number.
        skeleton: h36m15, or h36m16 with the hip, which Kinetic-GAN takes.
        frame_stride: every so many-th of 50 frames per second.
        skip: frames at the start of every recording that no window touches.
        window_stride: frames at 50 Hz between training windows; every pass moves all of them one frame on.
        val_window_stride: frames at 50 Hz between validation windows.
        unit: of the positions in the files: mm as they are published, cm, m, in, ft, or how many metres; that of the
            cameras is always mm.
        cache_dir: where prepared data go; ``default_cache()`` by default.
        channels: 2, people as the camera sees them, or 3, in space.
        root_rule, align_heading: where the origin is and whether windows start facing forward, in three dimensions; in
            two ``none`` and false.
        length, scaling, balance, batch_size, num_workers, seed: see
            :class:`~mutoscope.data.motion.windows.MotionDataModule`.

    Raises:
        FileNotFoundError: if the folder or a subject is missing.
        ValueError: for an unknown subject, camera, action or skeleton, or a number out of range.
    """

    own_defaults: ClassVar[MotionSettings] = {
        "length": 50,
        "root_rule": "none",
        "align_heading": False,
        "channels": 2,
        "scaling": "joint",
        "balance": True,
        "batch_size": 100,
    }

    def __init__(
        self,
        *,
        root: str | None = None,
        train_subjects: Sequence[int] = (1, 5, 7, 8, 9),
        val_subjects: Sequence[int] = (11,),
        classes: list[str] | None = None,
        camera: str = "55011271",
        skeleton: str = "h36m15",
        frame_stride: int = 3,
        skip: int = 300,
        window_stride: int = 10,
        val_window_stride: int = 25,
        unit: str | float = "mm",
        cache_dir: str | None = None,
        **motion: Unpack[MotionSettings],
    ) -> None:
        motion = self.own_defaults | motion
        flat, root_rule, align_heading = motion["channels"] == 2, motion["root_rule"], motion["align_heading"]
        if skeleton not in _SKELETONS:
            raise ValueError(f"skeleton is '{skeleton}', expected one of {', '.join(_SKELETONS)}.")
        if flat and (root_rule != "none" or align_heading):
            raise ValueError(
                f"root_rule is '{root_rule}' and align_heading {align_heading}, but pictures are taken relative to the "
                "hip and cannot be turned; use root_rule=none and align_heading=false, or channels=3."
            )
        if frame_stride < 1:
            raise ValueError(f"frame_stride is {frame_stride}, expected at least 1.")
        if skip < 0:
            raise ValueError(f"skip is {skip}, expected 0 or more.")
        super().__init__(
            skeleton=replace(named_skeleton(skeleton), units="px" if flat else "m"),
            fps=FPS / frame_stride,
            stride=window_stride,
            short="drop",
            frame_stride=frame_stride,
            shift=True,
            val_stride=val_window_stride,
            **motion,
        )
        self.unit = metres_per_unit(unit)
        self.skip, self.camera = skip, _checked_camera(camera)
        self.cache_dir = cache_folder(cache_dir)
        self.recordings = find_recordings(root, train_subjects, val_subjects, classes)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.recordings.classes

    @property
    def fingerprint(self) -> str:
        windows = [
            self.sources,
            self.length,
            self.frame_stride,
            self.skip,
            self.stride,
            self.val_stride,
            self.root_rule,
            self.align_heading,
            self.scaling,
        ]
        return hashlib.sha256(json.dumps(windows).encode()).hexdigest()[:16]

    def describe(self) -> str:
        taken = f"one frame in {self.frame_stride}" if self.frame_stride > 1 else "every frame"
        return f"{super().describe()} ({taken} of {FPS:g} per second, the first {self.skip} of a recording left out)"

    def prepare_data(self) -> None:
        """Read and project all recordings into the cache, unless they are there.

        Raises:
            FileNotFoundError: if a file is missing.
            ModuleNotFoundError: if h5py is missing.
            ValueError: naming the first file, if none can be used.
        """
        ids = [JOINT_IDS[joint] for joint in self.skeleton.joints]

        def read(i: int) -> Array:
            file = self.recordings.files[i]
            positions = self._positions(file)
            if self.channels == 3:
                # z up in millimetres -> y up in metres
                return positions[:, ids][..., [0, 2, 1]] * (1e-3, 1e-3, -1e-3)
            pixels, depth = self._projected(file, positions)
            return hip_relative(pixels, depth, self._mean_depth)[:, ids] * (1.0, -1.0)

        prepare_store(
            self.store_path,
            skeleton=self.skeleton,
            fps=FPS,
            classes=self.classes,
            recordings=[
                Recording(file.name, self.classes.index(file.action), f"S{file.subject}")
                for file in self.recordings.files
            ],
            read=read,
            fingerprint=self.sources,
            channels=self.channels,
            title=f"Preparing {self.registered_name}",
        )

    def clips(self, split: Split) -> MotionClips:
        whole = self._whole(split)
        # SA-GCN's last start is L - length * frame_stride - 1, short of what would fit by one frame of the window
        usable = (whole.frames - self.skip - self.frame_stride).clip(min=0)
        return replace(whole, start=whole.start + self.skip, frames=usable)

    def fit_normaliser(self, train: MotionWindows) -> Normaliser:
        """Statistics of pictures are over all training frames, not windows; networks see y down."""
        if self.channels == 3:
            return super().fit_normaliser(train)
        if self.scaling in ("joint", "joint_array"):
            whole = self._whole("train")
            frames = [
                torch.from_numpy(np.array(whole.joints[start : start + count]))[None]
                for start, count in zip(whole.start.tolist(), whole.frames.tolist(), strict=True)
            ]
            masks = [torch.ones(clip.shape[:2], dtype=torch.bool) for clip in frames]
            return fit_normaliser(frames, masks, self.scaling).mirrored(1)
        return super().fit_normaliser(train).mirrored(1)

    def report(self) -> None:
        if absent := self.recordings.absent():
            log.warning(
                "%d recordings of %s are used; absent trials: %s.",
                len(self.store.recordings),
                self.recordings.folder,
                ", ".join(absent),
            )
        if dropped := self.dropped():
            counts = ", ".join(f"{name} {n}" for name, n in dropped.items())
            log.warning(
                "Recordings too short for a window of %d frames after the first %d were dropped: %s.",
                self.length * self.frame_stride,
                self.skip,
                counts,
            )
        held_out = set(self.dataset("val").label.tolist())
        if lacking := [name for i, name in enumerate(self.classes) if i not in held_out]:
            log.warning("No validation window for %s.", ", ".join(lacking))

    def _positions(self, file: PositionFile) -> Array:
        """``[f, 32, 3]`` world millimetres of somebody who is as large as people are."""
        metres = read_positions(file.path) * self.unit
        body = named_skeleton("h36m16")
        joints = metres[:, [JOINT_IDS[joint] for joint in body.joints]]
        check_people(file.path, joints, body, FPS, self.unit, allowed=WITHIN_A_POWER_OF_TEN)
        return metres * 1000

    def _projected(self, file: PositionFile, positions: Array) -> tuple[Array, Array]:
        try:
            return self._cameras[file.subject].project(positions)
        except ValueError as error:
            raise ValueError(f"{file.path}: {error}") from error

    @cached_property
    def _cameras(self) -> dict[int, Camera]:
        return {
            subject: read_camera(self.recordings.folder / "cameras.h5", subject, self.camera)
            for subject in self.recordings.subjects
        }

    @cached_property
    def _mean_depth(self) -> float:
        """Of the hip over all training frames, in millimetres."""
        hip = JOINT_IDS["hip"]
        depths = []
        for file in self.recordings.files:
            if file.subject in self.recordings.train:
                try:
                    depths.append(self._cameras[file.subject].to_camera(self._positions(file)[:, hip])[:, 2])
                except FileError:
                    # left out where it is prepared, with its reason
                    continue
        return float(np.concatenate(depths).mean())

    @cached_property
    def sources(self) -> str:
        """Fingerprint of the prepared recordings, before they are cut."""
        settings = {
            "preparation": _PREPARATION,
            "files": [[file.name, file.action] for file in self.recordings.files],
            "classes": list(self.classes),
            # depths are relative to the training subjects' mean
            "train": sorted(self.recordings.train),
            "skeleton": self.skeleton.to_dict(),
            "channels": self.channels,
            "camera": self.camera if self.channels == 2 else None,
            "unit": self.unit,
        }
        files = [file.path for file in self.recordings.files]
        return fingerprint(settings, files if self.channels == 3 else [*files, self.recordings.folder / "cameras.h5"])

    def _whole(self, split: Split) -> MotionClips:
        """The recordings of a split from their first to their last frame."""
        subjects = self.recordings.train if split == "train" else self.recordings.val
        groups = {f"S{subject}" for subject in subjects}
        return self.store.clips([i for i, one in enumerate(self.store.recordings) if one.group in groups])


def _checked_camera(name: str) -> str:
    if str(name) not in CAMERAS:
        raise ValueError(f"There is no camera '{name}'; Human3.6M was filmed by {', '.join(CAMERAS)}.")
    return str(name)
