"""``pvg``, ``tennis`` and ``bair``: videos as Playable Video Generation lays them out, and GLASS's paper uses them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mutoscope.data.datamodule import Split
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.data.frame_cache import FrameCache, FrameSource, prepare_cache
from mutoscope.data.framing import Framing
from mutoscope.data.registry import register
from mutoscope.data.skipped import Skipped, by_reason
from mutoscope.data.video.recorded import Known, RecordedSettings, RecordedVideo, Take
from mutoscope.formats.frame_folders import FrameFolderError, probe_folder
from mutoscope.formats.pictures import PictureError
from mutoscope.formats.plain_pickles import PlainPickleError
from mutoscope.formats.pvg import MASKS, SPLITS, Annotations, read_annotations, sprite_of
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.files import replacing
from mutoscope.runtime.parallel import each

#: raise whenever other frames or labels are made of the same files
_PREPARATION = 1
#: where there is no label
_UNKNOWN = -1

Seen = tuple[int, bool, Annotations]


@register("pvg")
class PlayableVideo(RecordedVideo):
    """Videos in the layout of Playable Video Generation, see :mod:`mutoscope.formats.pvg`.

    Frames are read once, see :mod:`mutoscope.data.frame_cache`; annotations are read without running what is in them.
    What cannot be used is left out and listed in ``skipped.txt`` beside the prepared data.

    Args:
        root: the folder with ``train``, ``val`` and ``test``.
        size: (height, width) of the frames; pictures of another size are stretched to it.
        box: (left, top, right, bottom) pixels of the pictures to begin with; all of them by default.
        fps: frames a second.
        classes: names of the local actions; their numbers by default.
        max_videos: take so many of every split, for trying things out; all by default.
        length, skip, stride, val_length, val_skip, cache_dir, cache_workers, batch_size, num_workers, seed: see
            :class:`~mutoscope.data.video.recorded.RecordedVideo`.

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        size: Sequence[int] = (96, 128),
        box: Sequence[int] | None = None,
        fps: float = 10.0,
        classes: Sequence[str] | None = None,
        max_videos: int | None = None,
        **settings: Unpack[RecordedSettings],
    ) -> None:
        super().__init__(size=size, fps=fps, **settings)
        if box is not None and (len(box) != 4 or not (0 <= box[0] < box[2] and 0 <= box[1] < box[3])):
            raise ValueError(f"box is {list(box)}, expected [left, top, right, bottom] in pixels.")
        if max_videos is not None and max_videos < 1:
            raise ValueError(f"max_videos is {max_videos}, expected at least 1.")
        self.root, self.box, self.max_videos = root, None if box is None else tuple(box), max_videos
        self.named_classes = None if classes is None else tuple(classes)

    def prepare_data(self) -> None:
        """Look at all videos and read their frames, masks and annotations, unless that is done.

        Raises:
            FileNotFoundError: if the folder or one of its splits is missing.
            ValueError: if nothing can be used.
            OSError: if the disk has too little room for the frames.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            skipped = self._prepare_labels()
        labels = _Labels.load(self._labels_path)
        framing = Framing("stretch", cast("tuple[int, int, int, int] | None", self.box))
        masked = [name for name, masked in zip(labels.names, labels.masked, strict=True) if masked]
        for path, part, names, channels in (
            (self._frames_path, "", labels.names, 3),
            (self._masks_path, MASKS, masked, 1),
        ):
            sources = [
                FrameSource(name, self._root / name / part, labels.count(name), framing=framing) for name in names
            ]
            if sources:
                title = f"Reading {part or 'frames'} of {self.registered_name}"
                cache = prepare_cache(path, sources, self.size, self.cache_workers, title, channels=channels)
                skipped += cache.skipped
        self._tell(self._folder, skipped)

    def _prepare_labels(self) -> list[Skipped]:
        """Read all annotations into one table, unless it is there; answer what was left out, now or then."""
        notes = self._folder / "skipped.json"
        if not self._labels_path.exists():
            names, found, skipped = self._names, {}, []
            look = partial(_look, self._root, self.size)
            for i, one in each(look, names, self.cache_workers, f"Looking at {self.registered_name}"):
                if isinstance(one, Skipped):
                    skipped.append(one)
                else:
                    found[names[i]] = one
            if not found:
                raise ValueError(
                    f"None of the {len(names)} videos below {self._root} can be used: {by_reason(skipped)}. "
                    f"{skipped[-1].detail}"
                )
            with replacing(notes) as temporary:
                temporary.write_text(json.dumps([[s.name, s.reason, s.detail] for s in skipped]), encoding="utf-8")
            _Labels.of({name: found[name] for name in names if name in found}).save(self._labels_path)
        return [Skipped(*entry) for entry in json.loads(notes.read_text(encoding="utf-8"))]

    @property
    def cache(self) -> FrameCache:
        return self._cache

    @property
    def masks(self) -> FrameCache | None:
        return self._masks

    def takes(self) -> Mapping[Split, Sequence[Take]]:
        cache = self.cache
        usable = [(name, number) for name in cache.names if (number := cache.find(name)) is not None]
        takes: dict[Split, list[Take]] = {"train": [], "val": [], "test": []}
        for name, number in usable:
            takes[cast("Split", name.split("/")[0])].append(Take(number, 0, int(cache.frames[number])))
        return takes

    def known(self, name: str) -> Known:
        return self._labels.known(name)

    @property
    def classes(self) -> tuple[str, ...]:
        if self.named_classes is not None:
            return self.named_classes
        return tuple(map(str, range(int(self._labels.actions.max(initial=_UNKNOWN)) + 1)))

    @property
    def fingerprint(self) -> str:
        settings: list[Any] = [self._files, self.size, self.box, self.fps, self.named_classes]
        settings += [self.length, self.skip, self.stride, self.val_length, self.val_skip]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    @cached_property
    def _root(self) -> Path:
        folder = existing_folder(self.root, self.registered_name, WANTED[self.registered_name])
        for split in ("train", "val"):
            if not (folder / split).is_dir():
                raise FileNotFoundError(f"There is no folder {folder / split}; {WANTED[self.registered_name]}.")
        return folder

    @cached_property
    def _names(self) -> list[str]:
        """``<split>/<video>`` of every video."""
        names = []
        for split in SPLITS:
            folder = self._root / split
            found = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
            names += [f"{split}/{name}" for name in found if not name.startswith(".")][: self.max_videos]
        if not names:
            raise ValueError(f"There is no video in {self._root}; {WANTED[self.registered_name]}.")
        return names

    @cached_property
    def _files(self) -> str:
        settings = {"preparation": _PREPARATION, "names": self._names, "size": self.size, "box": self.box}
        folders = [self._root / name / part for name in self._names for part in ("", MASKS)]
        return fingerprint(settings, [folder for folder in folders if folder.is_dir()])

    @property
    def _folder(self) -> Path:
        return self.cache_dir / f"{self.registered_name}-{self._files}"

    @property
    def _labels_path(self) -> Path:
        return self._folder / "labels.npz"

    @property
    def _frames_path(self) -> Path:
        return self._folder / "frames"

    @property
    def _masks_path(self) -> Path:
        return self._folder / "masks"

    @cached_property
    def _cache(self) -> FrameCache:
        return FrameCache(self._frames_path)

    @cached_property
    def _masks(self) -> FrameCache | None:
        return FrameCache(self._masks_path) if self._masks_path.is_dir() else None

    @cached_property
    def _labels(self) -> "_Labels":
        return _Labels.load(self._labels_path)


@register("tennis")
class Tennis(PlayableVideo):
    """Tennis of Playable Video Generation: one player of two broadcast matches, 96x256 pixels.

    Training leaves out four frames between two; validation and test are thinned out already, in clips of 16.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        size: Sequence[int] = (96, 256),
        box: Sequence[int] | None = None,
        fps: float = 25.0,
        classes: Sequence[str] | None = None,
        max_videos: int | None = None,
        **settings: Unpack[RecordedSettings],
    ) -> None:
        chosen: RecordedSettings = {"skip": 4, "val_length": 16, "val_skip": 0}
        chosen |= settings
        super().__init__(root=root, size=size, box=box, fps=fps, classes=classes, max_videos=max_videos, **chosen)


@register("bair")
class Bair(PlayableVideo):
    """BAIR robot pushing in the layout of Playable Video Generation, 256x256 pixels, clips of 30 frames."""

    def __init__(
        self,
        *,
        root: str | None = None,
        size: Sequence[int] = (256, 256),
        box: Sequence[int] | None = None,
        fps: float = 10.0,
        classes: Sequence[str] | None = None,
        max_videos: int | None = None,
        **settings: Unpack[RecordedSettings],
    ) -> None:
        chosen: RecordedSettings = {"val_length": 30, "batch_size": 2}
        chosen |= settings
        super().__init__(root=root, size=size, box=box, fps=fps, classes=classes, max_videos=max_videos, **chosen)


def _look(root: Path, size: tuple[int, int], name: str) -> Seen | Skipped:
    """How many frames a video has, whether there are masks, and what is known of it."""
    folder = root / name
    try:
        _, _, frames = probe_folder(folder)
        masked = (folder / MASKS).is_dir()
        if masked and (found := probe_folder(folder / MASKS)[2]) != frames:
            return Skipped(name, "masks missing", f"{folder} has {frames} frames and {found} masks.")
        if frames < 2:
            return Skipped(name, "one frame", f"{folder} holds a single picture.")
        return frames, masked, read_annotations(folder, frames, size)
    except (FrameFolderError, PictureError) as error:
        return Skipped(name, "folder of frames out of order", str(error))
    except PlainPickleError as error:
        return Skipped(name, "annotations cannot be read", str(error))


class _Labels:
    """What is known of all videos, end to end; -1 and NaN where nothing is.

    Args:
        names: of the videos.
        masked: ``[n]`` whether there are masks.
        frames: ``[n]`` of every video.
        actions: ``[sum of frames - 1]``.
        shifts, pans: ``[sum of frames - 1, 2]`` of agent and background.
    """

    def __init__(
        self,
        names: Sequence[str],
        masked: NDArray[np.bool_],
        frames: NDArray[np.int64],
        actions: NDArray[np.int64],
        shifts: NDArray[np.float32],
        pans: NDArray[np.float32],
    ) -> None:
        self.names, self.masked, self.frames = tuple(names), masked, frames
        self.actions, self.shifts, self.pans = actions, shifts, pans
        self._number = {name: i for i, name in enumerate(self.names)}
        self._stop = np.cumsum(frames - 1)

    @classmethod
    def of(cls, found: Mapping[str, Seen]) -> "_Labels":
        def whole(values: NDArray[Any] | None, shape: tuple[int, ...], nothing: float, kind: type[Any]) -> NDArray[Any]:
            return np.full(shape, nothing, dtype=kind) if values is None else values

        counts = [frames for frames, _, _ in found.values()]
        known = [(frames - 1, annotations) for frames, _, annotations in found.values()]
        return cls(
            list(found),
            np.array([masked for _, masked, _ in found.values()]),
            np.array(counts, dtype=np.int64),
            np.concatenate([whole(k.actions, (n,), _UNKNOWN, np.int64) for n, k in known]),
            np.concatenate([whole(k.shifts, (n, 2), np.nan, np.float32) for n, k in known]),
            np.concatenate([whole(k.background_shifts, (n, 2), np.nan, np.float32) for n, k in known]),
        )

    def save(self, path: Path) -> None:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                names=np.array(self.names),
                masked=self.masked,
                frames=self.frames,
                actions=self.actions,
                shifts=self.shifts,
                pans=self.pans,
            )

    @classmethod
    def load(cls, path: Path) -> "_Labels":
        if not path.is_file():
            raise FileNotFoundError(f"There is no {path}; call prepare_data() first.")
        with np.load(path, allow_pickle=False) as file:
            names = [str(name) for name in file["names"]]
            return cls(names, *(file[key] for key in ("masked", "frames", "actions", "shifts", "pans")))

    def count(self, name: str) -> int:
        return int(self.frames[self._number[name]])

    def known(self, name: str) -> Known:
        number = self._number[name]
        part = slice(int(self._stop[number] - self.frames[number] + 1), int(self._stop[number]))
        actions, shifts, pans = self.actions[part], self.shifts[part], self.pans[part]
        return Known(
            actions if (actions != _UNKNOWN).all() else None,
            shifts if np.isfinite(shifts).all() else None,
            pans if np.isfinite(pans).all() else None,
            sprite_of(name.split("/")[-1]),
        )
