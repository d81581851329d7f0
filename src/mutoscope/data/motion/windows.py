"""Motion data: recordings end to end in one array, windows of T frames gathered from it without any parsing."""

import logging
from abc import abstractmethod
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal, Unpack, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mutoscope.data.datamodule import DataModule, LoaderSettings, Split
from mutoscope.data.motion.scaling import Scaling, fit_normaliser
from mutoscope.data.motion.units import doubt
from mutoscope.structures import DatasetInfo, Kind, MotionBatch, Normaliser, RootRule, Skeleton

log = logging.getLogger(__name__)

ShortRule = Literal["drop", "loop", "pad"]


@dataclass(frozen=True)
class MotionClips:
    """Recordings of one split, one after the other.

    Args:
        joints: ``[f, v, 3]`` float32 in metres, all recordings end to end; may be memory-mapped. Motion that was
            filmed, not measured, has ``[f, v, 2]``, in the units of the dataset, y up.
        start: ``[n]`` first frame of every recording.
        frames: ``[n]`` frames of every recording.
        label: ``[n]`` class of every recording.
        names: what to call a recording when speaking of it.
        takes: what each recording was cut from, where several are parts of one take; themselves by default.
    """

    joints: NDArray[np.float32]
    start: NDArray[np.int64]
    frames: NDArray[np.int64]
    label: NDArray[np.int64]
    names: list[str]
    takes: list[str] | None = None


def canonicalise(joints: Tensor, skeleton: Skeleton, root_rule: RootRule, align_heading: bool) -> Tensor:
    """Apply the root rule and turn every clip so that the person faces forward in the first frame.

    Forward means: the left hip lies on the positive side of the first ground axis, so in a y-up world the person
    looks along +z.

    Args:
        joints: ``[b, t, v, 3]``.
        skeleton: names the root, the hips and the up axis.
        root_rule: as in ``DatasetInfo``.
        align_heading: whether to turn.

    Returns:
        ``[b, t, v, 3]``.
    """
    ground = [axis for axis in range(3) if axis != skeleton.up_axis]
    if align_heading:
        left, right = skeleton.hips
        across = (joints[:, 0, left] - joints[:, 0, right])[:, ground]
        across = across / across.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        cos, sin = across[:, 0, None, None], across[:, 1, None, None]
        a, b = joints[..., ground[0]], joints[..., ground[1]]
        turned = torch.empty_like(joints)
        turned[..., ground[0]] = cos * a + sin * b
        turned[..., ground[1]] = cos * b - sin * a
        turned[..., skeleton.up_axis] = joints[..., skeleton.up_axis]
        joints = turned
    if root_rule == "none":
        return joints - joints[:, :, skeleton.root, None]
    if root_rule in ("in_place", "relative"):
        frames = slice(None) if root_rule == "in_place" else slice(1)
        origin = joints[:, frames, skeleton.root, None].clone()
        origin[..., skeleton.up_axis] = 0.0
        return joints - origin
    return joints


class MotionWindows(Dataset[MotionBatch]):
    """All windows of ``length`` frames of some recordings, fetched batch-wise as ``MotionBatch``.

    Args:
        clips: the recordings.
        skeleton: their layout.
        length: frames per window ``t``.
        stride: frames of the recording between the starts of neighbouring windows.
        short: what becomes of recordings shorter than ``length``: ``drop`` them (counted in ``dropped``), ``loop``
            them from the start, or ``pad`` them with their last frame and a false mask.
        root_rule, align_heading: see :func:`canonicalise`; recordings in two dimensions stay as they are.
        channels: 3, or 2 for the orthographic front view (first ground axis and height).
        frame_stride: a window takes every so many-th frame of the recording.
        shift: training passes see other windows: in pass ``p``, every window starts ``p`` frames later, modulo
            ``stride``, so that in ``stride`` passes every possible start comes once. Item ``i + n * p`` is window ``i``
            in pass ``p``.
    """

    def __init__(
        self,
        clips: MotionClips,
        skeleton: Skeleton,
        length: int,
        stride: int,
        short: ShortRule,
        root_rule: RootRule,
        align_heading: bool,
        channels: int = 3,
        frame_stride: int = 1,
        shift: bool = False,
    ) -> None:
        self.clips, self.skeleton, self.length, self.short = clips, skeleton, length, short
        self.root_rule, self.align_heading, self.channels = root_rule, align_heading, channels
        self.stride, self.frame_stride, self.repeats = stride, frame_stride, shift
        span = (length - 1) * frame_stride + 1
        recording, first, last = [], [], []
        #: recordings left out for being shorter than a window, per class label
        self.dropped: dict[int, int] = {}
        for i, frames in enumerate(clips.frames.tolist()):
            if frames < span and short == "drop":
                label = int(clips.label[i])
                self.dropped[label] = self.dropped.get(label, 0) + 1
                continue
            starts = list(range(0, max(frames - span, 0) + 1, stride))
            recording += [i] * len(starts)
            first += starts
            last += [max(frames - span, 0)] * len(starts)
        self.recording = torch.tensor(recording, dtype=torch.long)
        self.first, self.last = torch.tensor(first, dtype=torch.long), torch.tensor(last, dtype=torch.long)
        self.label = torch.from_numpy(clips.label)[self.recording]

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def takes(self) -> list[str]:
        """Takes that the recordings were cut from, each once; windows of different takes share no moment."""
        return list(dict.fromkeys(self.clips.takes or self.clips.names))

    def spans(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where windows lie in the first pass.

        Returns:
            ``[n]`` int64 three times: the index of a window's take in ``takes``, its first frame, and one past its
            last frame. Frames are counted through all recordings of a take, one after the other.
        """
        number = {name: i for i, name in enumerate(self.takes)}
        take = [number[name] for name in self.clips.takes or self.clips.names]
        before, frames = [0] * len(number), self.clips.frames.tolist()
        start = []
        for one, count in zip(take, frames, strict=True):
            start.append(before[one])
            before[one] += count
        span = (self.length - 1) * self.frame_stride + 1
        last = torch.minimum(self.first + span, torch.tensor(frames)[self.recording])
        offset = torch.tensor(start)[self.recording]
        return torch.tensor(take)[self.recording], self.first + offset, last + offset

    def __getitem__(self, index: int) -> MotionBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> MotionBatch:
        chosen = torch.tensor(indices, dtype=torch.long)
        later = torch.zeros_like(chosen)
        if self.repeats:
            later, chosen = chosen // len(self) % self.stride, chosen % len(self)
        recording = self.recording[chosen]
        frames = torch.from_numpy(self.clips.frames)[recording][:, None]
        first = torch.minimum(self.first[chosen] + later, self.last[chosen])
        offset = first[:, None] + self.frame_stride * torch.arange(self.length)
        mask = offset < frames
        if self.short == "loop":
            offset, mask = offset % frames, torch.ones_like(mask)
        else:
            offset = torch.minimum(offset, frames - 1)
        at = torch.from_numpy(self.clips.start)[recording][:, None] + offset
        joints = torch.from_numpy(np.ascontiguousarray(self.clips.joints[at.numpy()]))
        if joints.shape[-1] == 3:
            joints = canonicalise(joints, self.skeleton, self.root_rule, self.align_heading)
            if self.channels == 2:
                ground = 1 if self.skeleton.up_axis == 0 else 0
                joints = joints[..., [ground, self.skeleton.up_axis]]
        return MotionBatch(joints, self.label[chosen], mask)


class MotionSettings(LoaderSettings, total=False):
    """What all data sets of motion let be set, handed on; :class:`MotionDataModule` says what it means."""

    length: int
    root_rule: RootRule
    align_heading: bool
    channels: int
    scaling: Scaling
    balance: bool


class MotionDataModule(DataModule):
    """Base of skeleton datasets: a subclass prepares recordings, this class cuts and scales windows.

    Args:
        skeleton: layout of the recordings.
        fps: frames per second of the windows.
        stride: frames between window starts in training; by default windows do not overlap.
        short: see :class:`MotionWindows`.
        length: frames per window.
        root_rule: see ``DatasetInfo``.
        align_heading: whether every window starts facing forward.
        channels: 3, or 2 for the front view.
        scaling: see :func:`~mutoscope.data.motion.scaling.fit_normaliser`.
        balance, batch_size, num_workers, seed: see :class:`~mutoscope.data.datamodule.DataModule`.
        frame_stride, shift: see :class:`MotionWindows`; only training windows shift.
        val_stride: frames between window starts in validation; by default windows do not overlap.

    Raises:
        ValueError: for a setting outside its choices.
    """

    kind: ClassVar[Kind] = "motion"

    def __init__(
        self,
        *,
        skeleton: Skeleton,
        fps: float,
        stride: int | None = None,
        short: ShortRule = "drop",
        length: int = 32,
        root_rule: RootRule = "relative",
        align_heading: bool = True,
        channels: int = 3,
        scaling: Scaling = "array",
        balance: bool = False,
        frame_stride: int = 1,
        shift: bool = False,
        val_stride: int | None = None,
        **loader: Unpack[LoaderSettings],
    ) -> None:
        for name, value, choices in (
            ("short", short, get_args(ShortRule)),
            ("root_rule", root_rule, get_args(RootRule)),
            ("scaling", scaling, get_args(Scaling)),
            ("channels", channels, (2, 3)),
        ):
            if value not in choices:
                raise ValueError(f"{name} is '{value}', expected one of {', '.join(map(str, choices))}.")
        span = length * frame_stride
        stride, val_stride = (span if given is None else given for given in (stride, val_stride))
        if min(length, stride, frame_stride, val_stride) < 1:
            raise ValueError(
                f"length ({length}), the strides between windows ({stride}; in validation {val_stride}) and that "
                f"between frames ({frame_stride}) must be at least 1."
            )
        super().__init__(balance=balance, **loader)
        self.skeleton, self.fps, self.length, self.stride, self.short = skeleton, fps, length, stride, short
        self.root_rule, self.align_heading, self.channels = root_rule, align_heading, channels
        self.scaling, self.frame_stride, self.shift = scaling, frame_stride, shift
        self.val_stride = val_stride
        self._windows: dict[Split, MotionWindows] = {}
        self._normaliser: Normaliser | None = None

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Action names in label order."""

    @abstractmethod
    def clips(self, split: Split) -> MotionClips:
        """The prepared recordings of a split (after ``prepare_data``)."""

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.registered_name,
            kind="motion",
            classes=self.classes,
            fps=self.fps,
            length=self.length,
            channels=self.channels,
            skeleton=self.skeleton,
            root=self.root_rule,
            units=self.skeleton.units,
            normaliser=self._normaliser,
        )

    def setup(self, stage: str | None = None) -> None:
        """Cut windows, count what was dropped, take the normaliser from the training windows.

        Raises:
            ValueError: if a class has no training window left.
        """
        if self._windows:
            return
        for split in ("train", "val"):
            training = split == "train"
            self._windows[split] = MotionWindows(
                self.clips(split),
                self.skeleton,
                self.length,
                self.stride if training else self.val_stride,
                self.short,
                self.root_rule,
                self.align_heading,
                self.channels,
                self.frame_stride,
                self.shift and training,
            )
        self._doubt_units()
        train = self._windows["train"]
        present = set(train.label.tolist())
        if missing := [name for i, name in enumerate(self.classes) if i not in present]:
            raise ValueError(
                f"No training window of {self.length} frames is left for "
                f"{', '.join(missing)} in '{self.registered_name}'; "
                f"use a smaller dataset.length or dataset.short=loop.{self.left_out}"
            )
        self._normaliser = self.fit_normaliser(train)

    def _doubt_units(self) -> None:
        """Say where people in metres are not as large as people are, whatever files they come from."""
        clips = self._windows["train"].clips
        if self.skeleton.units != "m" or clips.joints.shape[-1] != 3 or self._rank()[0] != 0:
            return
        chosen = zip(clips.start.tolist(), clips.frames.tolist(), clips.names, strict=True)
        for start, frames, name in islice(chosen, 32):
            odd = doubt(np.asarray(clips.joints[start : start + min(frames, 64)]), self.skeleton)
            if odd is not None:
                log.warning("%s, '%s': %s.", self.registered_name, name, odd)
                return

    def fit_normaliser(self, train: MotionWindows) -> Normaliser:
        """The scaling asked for, from the training windows."""
        parts = [train.__getitems__(list(range(i, min(i + 1024, len(train))))) for i in range(0, len(train), 1024)]
        return fit_normaliser([part.joints for part in parts], [part.mask for part in parts], self.scaling)

    @property
    def left_out(self) -> str:
        """A sentence on recordings that could not be used, after a blank, or nothing."""
        return ""

    def dropped(self) -> dict[str, int]:
        """Recordings too short for one window, per class name, over both splits."""
        counts: dict[str, int] = {}
        for windows in self._windows.values():
            for label, n in windows.dropped.items():
                counts[self.classes[label]] = counts.get(self.classes[label], 0) + n
        return counts

    def dataset(self, split: Split) -> MotionWindows:
        if split not in self._windows:
            raise RuntimeError(
                f"Dataset '{self.registered_name}' is not set up; call prepare_data() and setup() first."
            )
        return self._windows[split]
