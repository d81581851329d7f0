"""``video_folder``: any folder of videos, or of folders with their frames."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Unpack, get_args

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mutoscope.data.datamodule import Split
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.data.frame_cache import FrameSource
from mutoscope.data.frame_store import FrameStore, Keeping, prepare_store
from mutoscope.data.framing import Fit, Framing
from mutoscope.data.registry import register
from mutoscope.data.skipped import Skipped, by_reason
from mutoscope.data.video.found_videos import FoundVideo, find_videos, look_at
from mutoscope.data.video.recorded import RecordedSettings, RecordedVideo, Take
from mutoscope.data.video.shots import changes_of, cuts, look_for_cuts, moving_of
from mutoscope.formats.text import read_text
from mutoscope.runtime.console import say
from mutoscope.structures.plain import unknown_name

#: of the only video, for validation
_END = 0.2
#: below so many videos what is held out says little
_FEW = 10


@register("video_folder")
class VideoFolder(RecordedVideo):
    """Videos of one's own, without labels: everything below a folder that can be decoded, or holds frames.

    Every video is decoded once, at a constant rate, turned as it asks for, see :mod:`mutoscope.data.frame_store`;
    another one among them is decoded alone. What cannot be used is left out and listed in ``skipped.txt`` beside the
    frames. Clips never go over a cut. Which videos
    are held out depends on their names alone; where there is only one, its end is.

    Args:
        root: the folder.
        size: (height, width) of the frames, multiples of 16.
        fit: how frames of another shape come to this one: ``crop`` (the middle), ``letterbox`` (black bars) or
            ``stretch``.
        fps: frames a second; folders of frames are taken to have as many.
        cut_threshold: grey levels by which the whole picture changes at a cut; ``None`` looks for none.
        least_motion: clips are left out in which a smaller share of pixels changes from frame to frame, on average. A
            fixed camera sees nobody for most of the time, and what no agent is in teaches nobody to find one.
        val_fraction, test_fraction: of the videos that are held out, about.
        train_list, val_list, test_list: text files with a video a line, as it is called below ``root``; given one of
            them, the others hold out nothing, and training takes what is left over unless it has a list.
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
        fit: Fit = "crop",
        fps: float = 10.0,
        cut_threshold: float | None = 18.0,
        least_motion: float = 0.0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.0,
        train_list: str | None = None,
        val_list: str | None = None,
        test_list: str | None = None,
        **settings: Unpack[RecordedSettings],
    ) -> None:
        super().__init__(size=size, fps=fps, **settings)
        if fit not in get_args(Fit):
            raise ValueError(f"fit is '{fit}', expected one of {', '.join(get_args(Fit))}.")
        if not 0 <= test_fraction < 1 or not 0 < val_fraction < 1 or val_fraction + test_fraction >= 1:
            raise ValueError(
                f"val_fraction is {val_fraction:g} and test_fraction {test_fraction:g}; expected shares of the videos "
                "that leave some for training, val_fraction above 0."
            )
        if cut_threshold is not None and not 0 < cut_threshold < 255:
            raise ValueError(f"cut_threshold is {cut_threshold:g}, expected grey levels between 0 and 255, or null.")
        if not 0 <= least_motion < 1:
            raise ValueError(f"least_motion is {least_motion:g}, expected a share of the pixels, from 0 to below 1.")
        self.root, self.fit, self.cut_threshold, self.least_motion = root, fit, cut_threshold, least_motion
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.lists: dict[Split, str | None] = {"train": train_list, "val": val_list, "test": test_list}

    # --- preparation --------------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Look at all videos and decode them, but for those that were; say what was left out.

        Raises:
            FileNotFoundError: if the folder or a list is missing.
            ValueError: if nothing can be used, or a list names what there is not.
            OSError: if the disk has too little room for the frames.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            found = look_at(self._root, self._names, self._folder / "looked.jsonl", self.cache_workers)
        usable, skipped = [], []
        for name, one in found.items():
            if isinstance(one, Skipped):
                skipped.append(one)
            elif (short := _too_short(name, one, self.fps)) is not None:
                skipped.append(short)
            else:
                usable.append(self._source(name, one))
        if not usable:
            raise ValueError(
                f"None of the {len(found)} videos below {self._root} can be used: {by_reason(skipped)}. "
                f"{skipped[-1].detail}"
            )
        title = f"Decoding {self.registered_name}"
        cache = prepare_store(self._store, usable, self._keeping, self.cache_workers, title)
        with FileLock(self._folder / "lock"):
            look_for_cuts(cache)
        self._tell(self._folder, [*skipped, *cache.skipped, *self._without_clip(cache)])
        if len(set(cache.names)) - len(cache.skipped) < 1:
            raise ValueError(f"None of the videos below {self._root} can be decoded: {by_reason(cache.skipped)}.")

    def _source(self, name: str, one: FoundVideo) -> FrameSource:
        path = self._root / name
        if one.seconds is None:
            return FrameSource(name, path, one.frames, None, Framing(self.fit))
        return FrameSource(name, path, one.room(self.fps), self.fps, Framing(self.fit))

    def _without_clip(self, cache: FrameStore) -> list[Skipped]:
        span = (min(self.length, self.val_length) - 1) * (min(self.skip, self.val_skip) + 1) + 1
        return [
            Skipped(name, "shorter than a clip", f"{self._root / name} has {frames} frames at {self.fps:g} a second.")
            for name, frames in zip(cache.names, cache.frames.tolist(), strict=True)
            if cache.find(name) is not None and frames < span
        ]

    # --- splits -------------------------------------------------------------------------------------------------------

    def takes(self) -> Mapping[Split, Sequence[Take]]:
        return self._takes

    @cached_property
    def _takes(self) -> dict[Split, list[Take]]:
        cache = self.cache
        whole = {name: self._uncut(number) for name in cache.names if (number := cache.find(name)) is not None}
        split = self._listed(list(whole)) if any(self.lists.values()) else self._drawn(list(whole))
        takes = {part: [take for name in names for take in whole[name]] for part, names in split.items()}
        if len(whole) == 1 and not any(self.lists.values()):
            (name,) = whole
            last = int(cache.frames[cache.number(name)] * (1 - _END))
            say(f"{self.registered_name}: there is one video, {name}; its last fifth is held out for validation.")
            takes["train"] = [take._replace(stop=min(take.stop, last)) for take in whole[name] if take.first < last]
            takes["val"] = [take._replace(first=max(take.first, last)) for take in whole[name] if take.stop > last]
        return takes

    def worth(self, video: int, first: NDArray[np.int64], span: int) -> NDArray[np.bool_]:
        if not self.least_motion:
            return super().worth(video, first, span)
        # what leads to the first frame is not in the clip
        so_far = moving_of(self.cache, video).astype(np.float64).cumsum()
        enough: NDArray[np.bool_] = so_far[first + span - 1] - so_far[first] >= self.least_motion * (span - 1)
        return enough

    def setup(self, stage: str | None = None) -> None:
        """See :meth:`RecordedVideo.setup`; says how many clips are left out since nothing moves."""
        ready = bool(self._splits)
        super().setup(stage)
        if self.least_motion and not ready:
            kept, whole = (sum(count(clips) for clips in self._splits.values()) for count in (len, lambda c: c.all))
            say(
                f"{self.registered_name}: {whole - kept:,} of {whole:,} clips are left out, in which less than "
                f"{100 * self.least_motion:g} % of the pixels change from frame to frame."
            )

    def _nothing_left(self, split: Split) -> str:
        text = super()._nothing_left(split)
        if not self.least_motion:
            return text
        percent = 100 * self.least_motion
        return f"{text} Clips in which less than {percent:g} % of the pixels change are left out; lower least_motion."

    def _uncut(self, video: int) -> list[Take]:
        at = [] if self.cut_threshold is None else cuts(changes_of(self.cache, video), self.cut_threshold)
        ends = [0, *at, int(self.cache.frames[video])]
        return [Take(video, first, stop) for first, stop in pairwise(ends)]

    def _drawn(self, names: Sequence[str]) -> dict[Split, list[str]]:
        """By a number that a video's name alone decides, so that others change nothing for it."""
        place = {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64 for name in names}
        val, test = self.fractions["val"], self.fractions["test"]
        split: dict[Split, list[str]] = {
            "val": [name for name in names if place[name] < val],
            "test": [name for name in names if val <= place[name] < val + test],
            "train": [name for name in names if place[name] >= val + test],
        }
        order = sorted(names, key=place.__getitem__)
        if len(names) > 1:
            lowest: list[tuple[Split, str]] = [("val", order[0]), ("train", order[-1])]
            for part, name in lowest:
                if not split[part]:
                    split = {other: [one for one in listed if one != name] for other, listed in split.items()}
                    split[part] = [name]
            if len(names) < _FEW:
                say(
                    f"{self.registered_name}: there are {len(names)} videos only, of which {', '.join(split['val'])} "
                    "is held out for validation; with so few, what is measured says little of others."
                )
        return split

    def _listed(self, names: Sequence[str]) -> dict[Split, list[str]]:
        lists: dict[Split, list[str]] = {
            split: self._read_list(split, path) for split, path in self.lists.items() if path is not None
        }
        held = {name for split in ("val", "test") for name in lists.get(split, ())}
        lists.setdefault("train", [name for name in names if name not in held])
        seen: dict[str, Split] = {}
        for split, listed in lists.items():
            for name in listed:
                if seen.setdefault(name, split) != split:
                    raise ValueError(
                        f"'{name}' stands in {split}_list and in {seen[name]}_list; a video has one split."
                    )
        return {
            split: [name for name in lists.get(split, ()) if name in set(names)] for split in ("train", "val", "test")
        }

    def _read_list(self, split: Split, path: str) -> list[str]:
        file = Path(path).expanduser()
        file = file if file.is_file() else self._root / file
        listed = list(dict.fromkeys(line.strip() for line in read_text(file).splitlines() if line.strip()))
        for name in listed:
            if name not in self._names:
                raise ValueError(f"{file} ({split}_list): {unknown_name('video', name, self._names[:20])}")
        return listed

    # --- files --------------------------------------------------------------------------------------------------------

    @property
    def cache(self) -> FrameStore:
        return self._cache

    @property
    def fingerprint(self) -> str:
        settings: list[Any] = [self._keys, self.size, self.fit, self.fps, self.cut_threshold, self.fractions]
        # settings that leave everything as it was do not change what was kept under this name
        settings += [self.least_motion] if self.least_motion else []
        settings += [self.lists, self.length, self.skip, self.val_length, self.val_skip]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    @cached_property
    def _root(self) -> Path:
        return existing_folder(self.root, self.registered_name, WANTED[self.registered_name])

    @cached_property
    def _names(self) -> list[str]:
        found = find_videos(self._root)
        if not found:
            raise ValueError(f"There is no video below {self._root}; {WANTED[self.registered_name]}.")
        return found

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {name: self._keeping.key(self._root / name) for name in self._names}

    @property
    def _keeping(self) -> Keeping:
        return Keeping(self.size, self.fps, Framing(self.fit))

    @property
    def _folder(self) -> Path:
        """Of all that is known of the folder, whatever videos are in it today."""
        place = hashlib.sha256(os.fspath(self._root.resolve()).encode()).hexdigest()[:16]
        return self.cache_dir / f"{self.registered_name}-{place}"

    @property
    def _store(self) -> Path:
        return self._folder / f"frames-{self.size[0]}x{self.size[1]}-{self.fit}-{self.fps:g}"

    @cached_property
    def _cache(self) -> FrameStore:
        return FrameStore(self._store, self._keys, self.size)


def _too_short(name: str, one: FoundVideo, fps: float) -> Skipped | None:
    if one.frames < 2:
        return Skipped(name, "one frame", "It holds a single picture; a video has two frames at least.")
    if one.seconds is not None and one.seconds * fps < 1.5:
        return Skipped(name, "one frame", f"It lasts {one.seconds:.3g} s, less than two frames at {fps:g} a second.")
    return None
