"""Clips of videos that lie in files and are decoded once: the base of data sets of recorded video."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, TypedDict, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mutoscope.data.datamodule import DataModule, Split
from mutoscope.data.frame_cache import FrameCache
from mutoscope.data.frame_store import FrameStore
from mutoscope.data.skipped import Skipped, tell_skipped
from mutoscope.runtime.cache import default_cache
from mutoscope.runtime.parallel import usable_cores
from mutoscope.structures import DatasetInfo, Kind, VideoBatch


@dataclass(frozen=True)
class Known:
    """What is known of the agent in a video of ``t`` frames; entry ``i`` is about the way from frame i to i + 1.

    Args:
        actions: ``[t - 1]`` int64 local actions.
        shifts, background_shifts: ``[t - 1, 2]`` float32 pixels, right and down.
        sprite: who the agent is.
    """

    actions: NDArray[np.int64] | None = None
    shifts: NDArray[np.float32] | None = None
    background_shifts: NDArray[np.float32] | None = None
    sprite: int | None = None


class Take(NamedTuple):
    """Frames ``first`` to ``stop - 1`` of a video, between which nothing is cut."""

    video: int
    first: int
    stop: int


class RecordedClips(Dataset[VideoBatch]):
    """Windows of takes, in their order.

    Args:
        cache: where frames come from.
        takes: windows lie within one each; those that are too short have none.
        length: frames of a clip.
        skip: frames of the video that are left out between two of a clip.
        stride: frames of the video between the beginnings of two clips of a take.
        known: what is known of a video by its name.
        masks: of the same videos, by the same names; those that have none are left out there.
        worth: which clips of a video are kept, by their first frames ``[n]`` and how many frames each spans.
    """

    def __init__(
        self,
        cache: FrameCache | FrameStore,
        takes: Sequence[Take],
        length: int,
        skip: int,
        stride: int,
        known: Callable[[str], Known] = lambda name: Known(),
        masks: FrameCache | None = None,
        worth: Callable[[int, NDArray[np.int64], int], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.cache, self.masks, self._known = cache, masks, known
        self.length, self.step = length, skip + 1
        span = (length - 1) * self.step + 1
        first = [np.arange(take.first, max(take.first, take.stop - span + 1), stride) for take in takes]
        #: how many clips there would be if each was worth it
        self.all = sum(map(len, first))
        if worth is not None:
            first = [one[worth(take.video, one, span)] for take, one in zip(takes, first, strict=True)]
        #: ``[n]`` the video of every clip, and its first frame there
        self.of_video = np.repeat(np.array([take.video for take in takes], dtype=np.int64), [len(one) for one in first])
        self.first = np.concatenate([np.zeros(0, dtype=np.int64), *first])
        self.label: Tensor = torch.zeros(len(self.first), dtype=torch.int64)
        self._whole = sorted({take.video for take in takes})

    def __len__(self) -> int:
        return len(self.first)

    def __getitems__(self, indices: list[int]) -> VideoBatch:
        span = np.arange(self.length) * self.step
        return VideoBatch.cat([self._clip(int(self.of_video[i]), self.first[i] + span) for i in indices])

    @property
    def videos(self) -> int:
        """How many videos there are, for :meth:`video`."""
        return len(self._whole)

    def video(self, number: int) -> VideoBatch:
        """A video from its first to its last frame as one clip."""
        video = self._whole[number]
        return self._clip(video, np.arange(self.cache.frames[video]))

    def _clip(self, video: int, frames: NDArray[np.int64]) -> VideoBatch:
        name = self.cache.names[video]
        known, masks = self._known(name), None
        if self.masks is not None and (number := self.masks.find(name)) is not None:
            masks = torch.from_numpy(self.masks.read(number, frames)[:, :1].copy())[None]
        begin, between = int(frames[0]), np.diff(frames)
        return VideoBatch(
            frames=torch.from_numpy(self.cache.read(video, frames))[None],
            names=(f"{name}_{begin}-{frames[-1]}",),
            masks=masks,
            # the action that leads to the later frame: those before it were not seen
            actions=None if known.actions is None else torch.from_numpy(known.actions[frames[1:] - 1])[None],
            shifts=_summed(known.shifts, begin, between),
            background_shifts=_summed(known.background_shifts, begin, between),
            sprites=None if known.sprite is None else torch.tensor([known.sprite]),
        )


def _summed(shifts: NDArray[np.float32] | None, begin: int, between: NDArray[np.int64]) -> Tensor | None:
    """The way from each frame of a clip to the next, over the frames that it leaves out."""
    if shifts is None:
        return None
    ways = shifts[begin : begin + int(between.sum())]
    if not len(between):
        return torch.from_numpy(ways)[None]
    return torch.from_numpy(np.add.reduceat(ways, np.cumsum(between) - between, axis=0))[None]


class RecordedSettings(TypedDict, total=False):
    """What all data sets of recorded video let be set, handed on; :class:`RecordedVideo` says what it means."""

    length: int
    skip: int
    stride: int
    val_length: int | None
    val_skip: int | None
    cache_dir: str | None
    cache_workers: int | None
    batch_size: int
    num_workers: int
    seed: int


class RecordedVideo(DataModule):
    """Base of data sets of recorded video.

    A data set prepares frames in ``prepare_data()`` and answers ``cache``, ``takes`` and ``fingerprint``. Clips of
    training begin at every ``stride``-th frame; those of validation and test follow one another without overlap.

    Args:
        size: (height, width) of the frames, multiples of 16.
        fps: frames a second of the videos.
        length: frames of a clip.
        skip: frames of the video that are left out between two of a clip.
        stride: frames of the video between the beginnings of two clips of training.
        val_length, val_skip: the same of validation and test; as in training by default.
        cache_dir: where decoded frames go; ``default_cache()`` by default.
        cache_workers: processes that decode, once; one per core by default.
        batch_size, num_workers, seed: see :class:`~mutoscope.data.datamodule.DataModule`.

    Raises:
        ValueError: for numbers out of range.
    """

    kind: ClassVar[Kind] = "video"

    def __init__(
        self,
        *,
        size: Sequence[int],
        fps: float,
        length: int = 12,
        skip: int = 0,
        stride: int = 1,
        val_length: int | None = None,
        val_skip: int | None = None,
        cache_dir: str | None = None,
        cache_workers: int | None = None,
        batch_size: int = 4,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed)
        if len(size) != 2 or any(side < 16 or side % 16 for side in size):
            raise ValueError(f"size is {list(size)}, expected [height, width], multiples of 16 such as [96, 128].")
        if not 0 < fps <= 1000:
            raise ValueError(f"fps is {fps:g}, expected frames per second, above 0 and at most 1000.")
        least = {"length": (length, 2), "val_length": (val_length or 2, 2), "stride": (stride, 1)}
        least |= {"skip": (skip, 0), "val_skip": (val_skip or 0, 0), "cache_workers": (cache_workers or 1, 1)}
        for name, (value, lowest) in least.items():
            if value < lowest:
                raise ValueError(f"{name} is {value}, expected at least {lowest}.")
        self.size, self.fps = (size[0], size[1]), fps
        self.length, self.skip, self.stride = length, skip, stride
        self.val_length = length if val_length is None else val_length
        self.val_skip = skip if val_skip is None else val_skip
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir is not None else default_cache()
        self.cache_workers = cache_workers or usable_cores()
        self._splits: dict[Split, RecordedClips] = {}
        self._told: tuple[Skipped, ...] = ()

    @property
    @abstractmethod
    def cache(self) -> FrameCache | FrameStore:
        """The frames of all videos, after ``prepare_data()``."""

    @abstractmethod
    def takes(self) -> Mapping[Split, Sequence[Take]]:
        """What the splits are made of, after ``prepare_data()``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of local actions; none unless a data set says otherwise."""
        return ()

    def known(self, name: str) -> Known:
        """What is known of a video; nothing unless a data set says otherwise."""
        return Known()

    @property
    def masks(self) -> FrameCache | None:
        """Masks of the agent, if there are any."""
        return None

    def worth(self, video: int, first: NDArray[np.int64], span: int) -> NDArray[np.bool_]:
        """Which clips of a video are kept, by their first frames ``[n]``; all unless a data set says otherwise."""
        return np.ones(len(first), dtype=bool)

    def setup(self, stage: str | None = None) -> None:
        """Find the clips of all splits.

        Raises:
            FileNotFoundError: if ``prepare_data()`` was not called.
            ValueError: if there is no clip for training or validation.
        """
        if self._splits:
            return
        takes, span = self.takes(), (self.val_length - 1) * (self.val_skip + 1) + 1
        for split in get_args(Split):
            length, skip, stride = (
                (self.length, self.skip, self.stride) if split == "train" else (self.val_length, self.val_skip, span)
            )
            self._splits[split] = RecordedClips(
                self.cache, takes[split], length, skip, stride, self.known, self.masks, self.worth
            )
        needed: tuple[Split, ...] = ("train", "val")
        for split in needed:
            if not len(self._splits[split]):
                raise ValueError(self._nothing_left(split))

    def dataset(self, split: Split) -> RecordedClips:
        """The clips of a split.

        Raises:
            RuntimeError: before ``setup()``.
            ValueError: if there are none.
        """
        if split not in self._splits:
            raise RuntimeError(
                f"Dataset '{self.registered_name}' is not set up; call prepare_data() and setup() first."
            )
        if not len(self._splits[split]):
            raise ValueError(self._nothing_left(split))
        return self._splits[split]

    def _nothing_left(self, split: Split) -> str:
        length, skip = (self.length, self.skip) if split == "train" else (self.val_length, self.val_skip)
        span = f" with {skip} left out between two" if skip else ""
        videos = len({take.video for take in self.takes()[split]})
        return (
            f"The {split} split of '{self.registered_name}' has {videos} usable videos and in them no clip of {length} "
            f"frames{span} at {self.fps:g} per second; see what was left out, give more videos, or choose a shorter "
            "length."
        )

    def _tell(self, folder: Path, skipped: Sequence[Skipped]) -> None:
        """Write the videos that are left out into ``skipped.txt`` and say how many; once, however often prepared."""
        if skipped and tuple(skipped) != self._told:
            self._told = tuple(skipped)
            tell_skipped(skipped, self.registered_name, folder / "skipped.txt")

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.registered_name,
            kind=self.kind,
            classes=self.classes,
            fps=self.fps / (self.skip + 1),
            length=self.length,
            channels=3,
            frame_size=self.size,
            units="px",
        )

    def describe(self) -> str:
        train, val = self.dataset("train"), self.dataset("val")
        height, width = self.size
        return (
            f"{train.videos} videos for training and {val.videos} for validation, {len(train):,} and {len(val):,} "
            f"clips of {self.length} frames of {height}x{width} at {self.info.fps:g} per second"
        )
