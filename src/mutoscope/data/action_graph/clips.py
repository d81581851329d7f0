"""Random windows of videos with action graphs: the base of all data sets for AG2Vid."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mutoscope.data.datamodule import DataModule, LoaderSettings, Split
from mutoscope.data.frame_cache import FrameCache
from mutoscope.data.skipped import Skipped, tell_skipped
from mutoscope.runtime.cache import cache_folder
from mutoscope.runtime.console import say
from mutoscope.runtime.parallel import usable_cores
from mutoscope.structures import (
    ActionGraphBatch,
    ActionGraphPair,
    ActionVocabulary,
    ClockedGraph,
    DatasetInfo,
    Normaliser,
)

#: mean and spread of ImageNet's colours, for frames in 0..255
IMAGENET = Normaliser(
    offset=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    scale=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)


@dataclass(frozen=True)
class Clip:
    """One window of one video as arrays; fields as in :class:`~mutoscope.structures.clocked.ClockedGraph`.

    Args:
        attributes: ``[n, k]`` int64.
        boxes: ``[n, t, 4]`` float32.
        relations: ``[m, 3]`` int64.
        subject, action, object: ``[a]`` int64.
        progress, destination: ``[a, 2]`` float32.
        raw: ``[t]`` int64, the frames of the video.
        name: ``<video>_<first raw frame>-<one past the window's last>``.
    """

    attributes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    relations: NDArray[np.int64]
    subject: NDArray[np.int64]
    action: NDArray[np.int64]
    object: NDArray[np.int64]
    progress: NDArray[np.float32]
    destination: NDArray[np.float32]
    raw: NDArray[np.int64]
    name: str


class ClipSource(ABC):
    """Videos of which a data set knows objects, boxes and actions, and how windows are cut from them.

    Videos are numbered; ``names`` are theirs, by which the frame cache knows them too.
    """

    names: tuple[str, ...]

    @abstractmethod
    def starts(self, video: int, length: int) -> NDArray[np.int64]:
        """First raw frames of all windows of ``length`` frames that may be drawn, each as likely as any other."""

    @abstractmethod
    def test_start(self, video: int, length: int) -> int | None:
        """First raw frame of the one window to test with, or ``None`` where there is none."""

    @abstractmethod
    def cut(self, video: int, start: int, length: int) -> Clip:
        """The window of ``length`` frames that begins at raw frame ``start``."""


def collate(clips: Sequence[Clip], frames: Tensor | None = None) -> ActionGraphBatch:
    """Put clips of one length together, node after node and edge after edge.

    Args:
        clips: at least one.
        frames: ``[b, t, 3, h, w]`` uint8, if they are wanted.
    """
    sizes = np.array([len(clip.attributes) for clip in clips])
    shift = np.cumsum(sizes) - sizes

    def cat(name: str, offset: Sequence[int] | None = None) -> Tensor:
        parts = [getattr(clip, name) for clip in clips]
        if offset is not None:
            parts = [part + first * np.array(offset) for part, first in zip(parts, shift, strict=True)]
        return torch.from_numpy(np.concatenate(parts))

    graph = ClockedGraph(
        attributes=cat("attributes"),
        clip=torch.from_numpy(np.repeat(np.arange(len(clips)), sizes)),
        relations=cat("relations", (1, 0, 1)),
        subject=cat("subject", (1,)),
        action=cat("action"),
        object=cat("object", (1,)),
        progress=cat("progress"),
        destination=cat("destination"),
        num_clips=len(clips),
    )
    return ActionGraphBatch(graph, cat("boxes"), frames, tuple(clip.name for clip in clips))


class ActionClips(Dataset[ActionGraphBatch]):
    """Clips of a fixed window each, for validation and test.

    Args:
        source, cache: where clips and their frames come from.
        windows: (video, first raw frame) of every item.
        length: frames per clip ``t``.
    """

    def __init__(self, source: ClipSource, cache: FrameCache, windows: Sequence[tuple[int, int]], length: int) -> None:
        self.source, self.cache, self.windows, self.length = source, cache, tuple(windows), length
        self.label = torch.zeros(len(self.windows), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> ActionGraphBatch:
        """Items by index as one batch."""
        clips = [self.source.cut(*self.windows[i], self.length) for i in indices]
        return collate(clips, read_frames(self.source, self.cache, [self.windows[i][0] for i in indices], clips))


class RandomActionClips(Dataset[ActionGraphPair]):
    """Training items: a new random window in every pass, and layout clips of other videos beside each batch.

    What is drawn depends on (seed, video, pass) alone, so that a resumed run sees what it would have seen.

    Args:
        source, cache: where clips and their frames come from.
        videos: videos of the split.
        frames_length: frames of the clips with frames.
        length: frames of the layout clips, which have boxes only.
        layout_batch_size: layout clips per batch; as many as clips with frames if ``None``.
        seed: of all windows.
    """

    #: indices are ``item + n * pass``
    repeats = True

    def __init__(
        self,
        source: ClipSource,
        cache: FrameCache,
        videos: Sequence[int],
        frames_length: int,
        length: int,
        layout_batch_size: int | None,
        seed: int,
    ) -> None:
        self.source, self.cache = source, cache
        self.frames_length, self.length = frames_length, length
        self.layout_batch_size, self.seed = layout_batch_size, seed
        self.videos = tuple(v for v in videos if len(source.starts(v, frames_length)))
        self.layout_videos = tuple(v for v in videos if len(source.starts(v, length)))
        self.label = torch.zeros(len(self.videos), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitems__(self, indices: list[int]) -> ActionGraphPair:
        """A batch of windows, and layout clips drawn beside them."""
        n = len(self.videos)
        videos = [self.videos[i % n] for i in indices]
        clips = [
            self._draw(video, self.frames_length, np.random.default_rng([self.seed, 0, i % n, i // n]))
            for video, i in zip(videos, indices, strict=True)
        ]
        frames = collate(clips, read_frames(self.source, self.cache, videos, clips))
        generator = np.random.default_rng([self.seed, 1, *indices])
        wanted, there = self.layout_batch_size or len(indices), len(self.layout_videos)
        chosen = generator.choice(there, size=wanted, replace=wanted > there)
        layout = collate([self._draw(self.layout_videos[i], self.length, generator) for i in chosen])
        return ActionGraphPair(frames=frames, layout=layout)

    def _draw(self, video: int, length: int, generator: np.random.Generator) -> Clip:
        return self.source.cut(video, int(generator.choice(self.source.starts(video, length))), length)


def read_frames(source: ClipSource, cache: FrameCache, videos: Sequence[int], clips: Sequence[Clip]) -> Tensor:
    """Frames of one clip of each of some videos, ``[b, t, 3, h, w]`` uint8."""
    read = [cache.read(cache.number(source.names[video]), clip.raw) for video, clip in zip(videos, clips, strict=True)]
    return torch.from_numpy(np.stack(read))


class ClipSettings(LoaderSettings, total=False):
    """What all data sets of action graphs let be set, handed on; :class:`ActionGraphDataModule` says what it means."""

    size: int
    length: int
    frames_length: int
    layout_batch_size: int | None
    windows_per_video: int
    max_videos: int | None
    cache_dir: str | None
    cache_workers: int | None


class ActionGraphDataModule(DataModule):
    """Base of data sets whose items are windows of videos with action graphs.

    A data set prepares its scenes and frames in ``prepare_data()`` and answers ``source``, ``cache`` and ``videos``.
    Training batches are :class:`~mutoscope.structures.clocked.ActionGraphPair`: short clips with frames and long ones
    with boxes only. Validation and test batches are :class:`~mutoscope.structures.clocked.ActionGraphBatch` of long
    clips with frames: validation windows are drawn by the video's name alone, test windows begin with the first action.

    Args:
        fps: of the clips, frames per second.
        size: side of the frames in pixels, a multiple of 32.
        length: frames of validation, test and layout clips ``t``.
        frames_length: frames of training clips with frames.
        layout_batch_size: layout clips per training batch; as many as clips with frames if ``None``.
        windows_per_video: validation clips of every video.
        max_videos: take so many videos of every split, for trying things out; all if ``None``.
        cache_dir: where prepared data go; ``default_cache()`` by default.
        cache_workers: processes that prepare them; one per core if ``None``.
        batch_size, num_workers, seed: see :class:`~mutoscope.data.datamodule.DataModule`.

    Raises:
        ValueError: for a number out of its range.
    """

    kind = "action_graph"
    own_defaults: ClassVar[LoaderSettings] = {"batch_size": 2}

    def __init__(
        self,
        *,
        fps: float,
        size: int = 64,
        length: int = 16,
        frames_length: int = 4,
        layout_batch_size: int | None = None,
        windows_per_video: int = 1,
        max_videos: int | None = None,
        cache_dir: str | None = None,
        cache_workers: int | None = None,
        **loader: Unpack[LoaderSettings],
    ) -> None:
        loader = self.own_defaults | loader
        super().__init__(**loader)
        if size < 32 or size % 32:
            raise ValueError(f"size is {size}, expected a multiple of 32 such as 64, 128 or 256.")
        for name, frames in (("length", length), ("frames_length", frames_length)):
            if frames < 2:
                raise ValueError(f"{name} is {frames}, expected at least 2: a first frame and one to generate.")
        for name, count in (
            ("layout_batch_size", layout_batch_size),
            ("windows_per_video", windows_per_video),
            ("max_videos", max_videos),
            ("cache_workers", cache_workers),
        ):
            if count is not None and count < 1:
                raise ValueError(f"{name} is {count}, expected at least 1.")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more.")
        self._fps = fps
        self.size, self.length, self.frames_length = size, length, frames_length
        self.layout_batch_size, self.windows_per_video = layout_batch_size, windows_per_video
        self.max_videos = max_videos
        self.cache_dir = cache_folder(cache_dir)
        self.cache_workers = cache_workers or usable_cores()
        self._datasets: dict[Split, ActionClips | RandomActionClips] = {}
        self._told: list[Skipped] = []

    @property
    @abstractmethod
    def vocabulary(self) -> ActionVocabulary:
        """Of objects and actions; it may not be known before ``prepare_data()``."""

    @property
    @abstractmethod
    def source(self) -> ClipSource:
        """All videos, after ``prepare_data()``."""

    @property
    @abstractmethod
    def cache(self) -> FrameCache:
        """Their frames, after ``prepare_data()``."""

    @abstractmethod
    def videos(self, split: Split) -> list[int]:
        """Numbers of the usable videos of a split, after ``prepare_data()``."""

    def _tell(self, folder: Path, skipped: list[Skipped]) -> None:
        """Write the videos that are left out into ``skipped.txt`` and say how many; once, however often prepared."""
        if not skipped or skipped == self._told:
            return
        self._told = skipped
        tell_skipped(skipped, self.registered_name, folder / "skipped.txt")

    @property
    def info(self) -> DatasetInfo:
        return self.info_with(self.vocabulary)

    def info_with(self, vocabulary: ActionVocabulary) -> DatasetInfo:
        """The description with the words of a model that was trained elsewhere."""
        return DatasetInfo(
            name=self.registered_name,
            kind=self.kind,
            classes=vocabulary.action_names,
            fps=self._fps,
            length=self.length,
            channels=3,
            units="frame",
            normaliser=IMAGENET,
            frame_size=(self.size, self.size),
            vocabulary=vocabulary,
        )

    def setup(self, stage: str | None = None) -> None:
        """Find the windows of all splits; say which videos have none.

        Raises:
            FileNotFoundError: if ``prepare_data()`` was not called.
            ValueError: if no window is left for training or validation.
        """
        if self._datasets:
            return
        train = RandomActionClips(
            self.source,
            self.cache,
            self.videos("train"),
            self.frames_length,
            self.length,
            self.layout_batch_size,
            self.seed,
        )
        if not train.videos or not train.layout_videos:
            raise ValueError(self._nothing_left("train"))
        val = [window for video in self.videos("val") for window in self._val_windows(video)]
        if not val:
            raise ValueError(self._nothing_left("val"))
        test = [
            (video, start)
            for video in self.videos("test")
            if (start := self.source.test_start(video, self.length)) is not None
        ]
        self._report(
            {
                f"training clip of {self.frames_length} frames": len(self.videos("train")) - len(train.videos),
                f"training layout of {self.length} frames": len(self.videos("train")) - len(train.layout_videos),
                f"validation clip of {self.length} frames": len(self.videos("val")) - len({video for video, _ in val}),
                f"test clip of {self.length} frames": len(self.videos("test")) - len(test),
            }
        )
        self._datasets = {
            "train": train,
            "val": ActionClips(self.source, self.cache, val, self.length),
            "test": ActionClips(self.source, self.cache, test, self.length),
        }

    def dataset(self, split: Split) -> ActionClips | RandomActionClips:
        """The items of a split.

        Raises:
            RuntimeError: before ``setup()``.
            ValueError: if the split is empty.
        """
        if split not in self._datasets:
            raise RuntimeError(
                f"Dataset '{self.registered_name}' is not set up; call prepare_data() and setup() first."
            )
        if not len(self._datasets[split]):
            raise ValueError(self._nothing_left(split))
        return self._datasets[split]

    def _report(self, lost: Mapping[str, int]) -> None:
        if missing := [f"{count} no {clip}" for clip, count in lost.items() if count]:
            say(f"{self.registered_name}: some videos have no window with an action: {', '.join(missing)}.")

    def _val_windows(self, video: int) -> list[tuple[int, int]]:
        """The same windows in every run, whatever its seed and whichever other videos there are."""
        starts = self.source.starts(video, self.length)
        generator = np.random.default_rng(zlib.crc32(self.source.names[video].encode()))
        count = min(self.windows_per_video, len(starts))
        return [(video, int(start)) for start in generator.choice(starts, size=count, replace=False)] if count else []

    def _nothing_left(self, split: Split) -> str:
        return (
            f"The {split} split of '{self.registered_name}' has {len(self.videos(split))} usable videos and in them no "
            f"window of {self.length} frames with an action; see what was left out, or choose a shorter length."
        )
