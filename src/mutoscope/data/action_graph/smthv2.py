"""``smthv2``: Something-Something V2 videos of eight actions, with the boxes of Something-Else."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Unpack

import numpy as np
from filelock import FileLock

from mutoscope.data.action_graph.clips import ActionGraphDataModule, ClipSettings
from mutoscope.data.action_graph.something_table import SomethingTable, SomethingVideo, action_of
from mutoscope.data.datamodule import Split
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.data.frame_cache import FrameCache, FrameSource, prepare_cache
from mutoscope.data.registry import register
from mutoscope.data.skipped import Skipped, by_reason
from mutoscope.formats.decoding import probe_video
from mutoscope.formats.frame_folders import probe_folder
from mutoscope.formats.something_else import (
    HAND,
    RAW_FPS,
    TEMPLATES,
    BoxError,
    BoxFileError,
    BoxTrack,
    Row,
    parse_boxes,
    read_boxes,
    read_labels,
    read_mapping,
)
from mutoscope.formats.sources import FileError
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.files import replacing
from mutoscope.runtime.parallel import each
from mutoscope.structures import ActionVocabulary

_VIDEOS = ("frames/{}", "videos/{}.webm", "20bn-something-something-v2/{}.webm")
_LABELS: dict[Split, tuple[str, ...]] = {
    "train": ("train.csv", "something-something-v2-train.json", "labels/train.json"),
    "val": ("val.csv", "something-something-v2-validation.json", "labels/validation.json"),
    "test": ("test.csv",),
}
_BOXES = ("boxes/*.json", "bounding_box_smthsmth*.json", "boxes.json")
#: AG2Vid's validation and test rows are the public validation split divided so
_VAL_SHARE = 0.3
#: raise whenever reading makes something else of the same files
_PREPARATION = 1


@register("smthv2")
class SomethingV2(ActionGraphDataModule):
    """Something-Something V2 as AG2Vid takes it (its section 4 and supplement).

    Eight actions of one hand with one or two things; objects have one attribute, their category. The hand is the last
    object and takes the part of the image in the spatial relations. Videos that do not fit are left out, for reasons
    listed in ``skipped.txt`` beside the prepared data.

    Args:
        root: folder with the videos.
        train_labels, val_labels, test_labels: files below ``root``: tables (``.csv``) or the public ``.json``; found by
            their usual names by default. Without test labels those of validation are divided 30 to 70.
        boxes: file below ``root`` with Something-Else's boxes (JSON), or a folder of such files; found by the usual
            names by default.
        mapping: JSON file below ``root`` {raw category: category}, the hand among them; AG2Vid's own was not
            published. By default every category is its own.
        frame_stride: of 12 frames per second take every so many: 2 as in the paper, 1 as in the authors' code.
        size, length, frames_length, layout_batch_size, windows_per_video, max_videos, cache_dir, cache_workers,
            batch_size, num_workers, seed: see :class:`~mutoscope.data.action_graph.clips.ActionGraphDataModule`.

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        train_labels: str | None = None,
        val_labels: str | None = None,
        test_labels: str | None = None,
        boxes: str | None = None,
        mapping: str | None = None,
        frame_stride: int = 2,
        **clips: Unpack[ClipSettings],
    ) -> None:
        if frame_stride < 1:
            raise ValueError(f"frame_stride is {frame_stride}, expected 1 (12 frames per second), 2 (6) or more.")
        super().__init__(fps=RAW_FPS / frame_stride, **clips)
        self.root, self.boxes, self.mapping, self.frame_stride = root, boxes, mapping, frame_stride
        self.labels: dict[Split, str | None] = {"train": train_labels, "val": val_labels, "test": test_labels}

    @property
    def vocabulary(self) -> ActionVocabulary:
        return self._table.vocabulary

    @property
    def source(self) -> SomethingTable:
        return self._table

    @property
    def cache(self) -> FrameCache:
        return self._cache

    @property
    def fingerprint(self) -> str:
        settings = [self._sources, self.frame_stride, self.size, self.length, self.frames_length]
        return hashlib.sha256(json.dumps([*settings, self.windows_per_video]).encode()).hexdigest()[:16]

    def prepare_data(self) -> None:
        """Read labels and boxes and decode the videos, unless that is done; say what was left out.

        Raises:
            FileNotFoundError: if the folder, labels, boxes or the mapping are missing.
            ValueError: if one of them is malformed, or nothing usable is left.
            OSError: if the disk has too little room for the frames.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            skipped = self._prepare_boxes()
        prepared = json.loads(self._notes.read_text(encoding="utf-8"))
        videos = [FrameSource(name, Path(path), frames) for name, path, frames in prepared["videos"]]
        cache = prepare_cache(
            self._cache_path, videos, (self.size, self.size), self.cache_workers, f"Decoding {self.registered_name}"
        )
        self._tell(self._folder, [*skipped, *cache.skipped])

    def videos(self, split: Split) -> list[int]:
        unusable = {s.name for s in self._cache.skipped}
        table = self._table
        return [i for i, name in enumerate(table.names) if name not in unusable and table.purpose(i) == split]

    def _prepare_boxes(self) -> list[Skipped]:
        """Make the table of all usable videos, unless it is there; answer what was left out, now or then."""
        if not self._table_path.exists():
            rows, skipped = self._rows
            tracks, more = self._tracks(rows)
            skipped = skipped + more
            found = [(split, row) for split, row in rows if row.name in tracks]
            paths = [path for _, row in found if (path := self._video(row.name)) is not None]
            videos: list[SomethingVideo] = []
            listed: list[tuple[str, str, int]] = []
            for i, probed in each(_probe, paths, self.cache_workers, f"Looking through {self.registered_name}"):
                split, row = found[i]
                track = tracks[row.name]
                if isinstance(probed, str):
                    skipped.append(Skipped(row.name, "video cannot be decoded", probed))
                elif probed[2] <= track.frames.max():
                    detail = f"{paths[i]} has {probed[2]} frames, but boxes go to frame {track.frames.max() + 1}."
                    skipped.append(Skipped(row.name, "wrong number of frames", detail))
                elif not _near(track, probed[:2]):
                    detail = f"Boxes of video {row.name} lie far outside its {probed[0]}x{probed[1]} pixels."
                    skipped.append(Skipped(row.name, "boxes outside the picture", detail))
                else:
                    action = action_of(row.template)
                    videos.append(SomethingVideo(row.name, split, action, TEMPLATES[row.template], probed[:2], track))
                    listed.append((row.name, str(paths[i]), probed[2]))
            if not videos:
                raise ValueError(
                    f"None of the {len(skipped)} videos that the labels in {self._root} name can be used: "
                    f"{by_reason(skipped)}. {skipped[-1].detail if skipped else ''}"
                )
            order = sorted(range(len(videos)), key=lambda i: videos[i].name)
            notes = {
                "skipped": [[s.name, s.reason, s.detail] for s in skipped],
                "videos": [listed[i] for i in order],
            }
            with replacing(self._notes) as temporary:
                temporary.write_text(json.dumps(notes), encoding="utf-8")
            categories = set(self._mapping.values()) if self._mapping else {HAND}
            categories |= {category for video in videos for category in video.track.category}
            SomethingTable.of([videos[i] for i in order], sorted(categories)).save(self._table_path)
        return [Skipped(*entry) for entry in json.loads(self._notes.read_text(encoding="utf-8"))["skipped"]]

    @cached_property
    def _rows(self) -> tuple[list[tuple[Split, Row]], list[Skipped]]:
        """Rows that pass the filters that need labels only, in AG2Vid's order, and the others."""
        kept: list[tuple[Split, Row]] = []
        skipped: list[Skipped] = []
        names: set[str] = set()
        for split, rows in self._labelled.items():
            passed = 0
            for row in rows:
                if row.name in names:
                    raise ValueError(f"Video {row.name} is labelled twice in {self._root}; remove one of the rows.")
                names.add(row.name)
                if (reason := self._unfit(split, row)) is not None:
                    skipped.append(reason)
                elif self.max_videos is None or passed < self.max_videos:
                    kept.append((split, row))
                    passed += 1
        return kept, skipped

    def _unfit(self, split: Split, row: Row) -> Skipped | None:
        if split == "train" and row.error:
            return Skipped(row.name, "marked as bad", row.error)
        if row.template not in TEMPLATES:
            return Skipped(row.name, "other action", f"'{row.template}' is none of the eight actions.")
        wanted = TEMPLATES[row.template]
        if row.instances is not None and row.instances != wanted:
            detail = f"'{row.template}' has {row.instances} instances, expected {wanted}."
            return Skipped(row.name, "wrong number of instances", detail)
        if self._mapping is not None and (unknown := [one for one in row.placeholders if one not in self._mapping]):
            return Skipped(row.name, "category not in the mapping", f"'{unknown[0]}' is not in {self.mapping}.")
        if self._video(row.name) is None:
            places = " or ".join(place.format(row.name) for place in _VIDEOS)
            return Skipped(row.name, "no video", f"There is no {places} in {self._root}.")
        return None

    def _tracks(self, rows: Sequence[tuple[Split, Row]]) -> tuple[dict[str, BoxTrack], list[Skipped]]:
        """The boxes of videos by name, and the videos of which there are none that can be used."""
        wanted = {row.name: row for _, row in rows}
        tracks: dict[str, BoxTrack] = {}
        skipped: dict[str, Skipped] = {}
        damaged: list[Skipped] = []
        for file in self._box_files:
            try:
                for name, records in read_boxes(file, wanted):
                    try:
                        track = parse_boxes(name, records, self._mapping)
                        if (problem := _unfit_boxes(wanted[name], track)) is not None:
                            skipped[name] = problem
                        else:
                            tracks[name] = track
                    except BoxError as error:
                        skipped[name] = Skipped(name, error.reason, f"{file}: {error}")
            except BoxFileError as error:
                damaged.append(Skipped(file.name, "file of boxes cannot be read", str(error)))
        for name in wanted.keys() - tracks.keys() - skipped.keys():
            skipped[name] = Skipped(name, "no boxes", "It is in none of the files of boxes.")
        return tracks, [*(skipped[name] for name in wanted if name in skipped), *damaged]

    @cached_property
    def _labelled(self) -> dict[Split, list[Row]]:
        train, val = read_labels(self._label_file("train")), read_labels(self._label_file("val"))
        if (file := self._find(self.labels["test"], _LABELS["test"])) is not None:
            return {"train": train, "val": val, "test": read_labels(file)}
        drawn = sorted(val, key=lambda row: hashlib.sha256(row.name.encode()).digest())
        chosen = {row.name for row in drawn[: max(1, round(_VAL_SHARE * len(val)))]}
        parts = [row for row in val if row.name in chosen], [row for row in val if row.name not in chosen]
        return {"train": train, "val": parts[0], "test": parts[1]}

    def _label_file(self, split: Split) -> Path:
        if (file := self._find(self.labels[split], _LABELS[split])) is None:
            raise FileNotFoundError(
                f"There are no labels of the {split} split in {self._root} (looked for {', '.join(_LABELS[split])}). "
                f"Name yours: dataset.{split}_labels=<.csv or .json below the root>."
            )
        return file

    @cached_property
    def _box_files(self) -> list[Path]:
        if self.boxes is not None:
            given = self._root / Path(self.boxes).expanduser()
            files = sorted(given.glob("*.json")) if given.is_dir() else [given] if given.is_file() else []
        else:
            files = sorted(file for pattern in _BOXES for file in self._root.glob(pattern))
        if not files:
            raise FileNotFoundError(
                f"There are no boxes at {self.boxes or ' or '.join(_BOXES)} in {self._root}; fetch Something-Else's "
                "bounding_box_smthsmth_part1.json to part4.json, or set dataset.boxes=<file or folder below the root>."
            )
        return files

    @cached_property
    def _mapping(self) -> dict[str, str] | None:
        return None if self.mapping is None else read_mapping(self._root / Path(self.mapping).expanduser())

    @cached_property
    def _root(self) -> Path:
        return existing_folder(self.root, self.registered_name, WANTED["smthv2"])

    def _find(self, given: str | None, usual: Sequence[str]) -> Path | None:
        """The file that was named, there or not, or else the first of the usual ones that is there."""
        if given is not None:
            return self._root / Path(given).expanduser()
        return next((path for name in usual if (path := self._root / name).is_file()), None)

    def _video(self, name: str) -> Path | None:
        return next((path for place in _VIDEOS if (path := self._root / place.format(name)).exists()), None)

    @cached_property
    def _sources(self) -> str:
        files = [*self._box_files, self._label_file("train"), self._label_file("val")]
        files += [file for file in [self._find(self.labels["test"], _LABELS["test"])] if file is not None]
        if self.mapping is not None:
            files.append(self._root / Path(self.mapping).expanduser())
        videos = [self._video(row.name) for _, row in self._rows[0]]
        files += [video for video in videos if video is not None and (video.is_file() or video.is_dir())]
        names = [[split, row.name] for split, row in self._rows[0]]
        return fingerprint({"preparation": _PREPARATION, "names": names, "mapping": self.mapping}, files)

    @property
    def _folder(self) -> Path:
        return self.cache_dir / f"{self.registered_name}-{self._sources}"

    @property
    def _table_path(self) -> Path:
        return self._folder / "boxes.npz"

    @property
    def _notes(self) -> Path:
        return self._folder / "videos.json"

    @property
    def _cache_path(self) -> Path:
        return self._folder / f"frames-{self.size}"

    @cached_property
    def _table(self) -> SomethingTable:
        return SomethingTable.load(self._table_path, self.frame_stride)

    @cached_property
    def _cache(self) -> FrameCache:
        return FrameCache(self._cache_path)


def _unfit_boxes(row: Row, track: BoxTrack) -> Skipped | None:
    """Why a video's boxes do not go with its label, if they do not."""
    wanted, most = TEMPLATES[row.template], int(track.present.max())
    if row.instances is None and most != wanted:
        detail = f"'{row.template}' has up to {most} boxes in a frame, expected {wanted}."
        return Skipped(row.name, "wrong number of instances", detail)
    if not (track.present == wanted).any():
        return Skipped(row.name, "never all in view", f"No frame has {wanted} boxes.")
    if HAND not in track.category:
        return Skipped(row.name, "no hand", "None of its boxes is a hand's, but hands perform all actions.")
    return None


def _near(track: BoxTrack, size: tuple[int, int]) -> bool:
    """Whether all corners lie in the picture or no farther beside it than it is large."""
    corners = track.box.reshape(-1, 2) / np.array(size)
    return bool(((corners >= -1) & (corners <= 2)).all())


def _probe(path: Path) -> tuple[int, int, int] | str:
    """Width, height and number of frames of a video or a folder of pictures, or what is wrong with it."""
    try:
        return probe_folder(path) if path.is_dir() else probe_video(path)
    except (OSError, FileError) as error:
        return str(error)
