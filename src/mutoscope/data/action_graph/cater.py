"""``cater``: videos of moving, rotating, covered and lifted solids, in the tree that CATER is distributed in."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Unpack

from filelock import FileLock

from mutoscope.data.action_graph.cater_scenes import STRIDE, SceneTable
from mutoscope.data.action_graph.clips import ActionGraphDataModule, ClipSettings
from mutoscope.data.datamodule import Split
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.data.frame_cache import FrameCache, FrameSource, prepare_cache
from mutoscope.data.registry import register
from mutoscope.data.skipped import Skipped, by_reason
from mutoscope.formats.cater import RAW_FPS, RAW_FRAMES, CaterScene, SceneError, read_list, read_scene
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.files import replacing
from mutoscope.runtime.parallel import each
from mutoscope.structures import CATER_VOCABULARY, ActionVocabulary

#: where the lists may lie, best first; AG2Vid's name 301 classes, which are those of CATER's "actions_order_uniq"
_LIST_FOLDERS = ("lists", "lists/actions_order_uniq", "lists/actions_present", ".")
#: unusable according to AG2Vid's authors
_ALWAYS_SKIPPED = frozenset(f"CATER_new_{n}" for n in ("004798", "006532", "001175", "000434", "000346"))
#: AG2Vid divides CATER's validation list 30 to 70 into validation and test
_VAL_SHARE = 0.3
#: raise whenever reading makes something else of the same scenes
_PREPARATION = 1


@register("cater")
class Cater(ActionGraphDataModule):
    """CATER as AG2Vid takes it (its section 4 and supplement).

    Scenes are parsed and videos decoded once, see :mod:`mutoscope.data.frame_cache`; at 64x64 all 5500 videos take
    20 GB, at 256x256 325 GB. What cannot be used is left out and listed in ``skipped.txt`` beside the prepared data.

    Args:
        root: folder ``max2action`` of CATER.
        train_list, val_list, test_list: split lists below ``root`` (lines ``<name>.avi <class ids>``). By default
            ``train.txt``, ``val.txt`` and ``test.txt`` of ``lists/`` or of a folder of CATER's lists in it; where
            there is no test list, the validation list is divided 30 to 70 by names, as large as AG2Vid's splits.
        size, length, frames_length, layout_batch_size, windows_per_video, max_videos, cache_dir, cache_workers,
            batch_size, num_workers, seed: see :class:`~mutoscope.data.action_graph.clips.ActionGraphDataModule`.

    Raises:
        ValueError: for a number out of its range.
    """

    #: of every video
    raw_frames = RAW_FRAMES

    def __init__(
        self,
        *,
        root: str | None = None,
        train_list: str | None = None,
        val_list: str | None = None,
        test_list: str | None = None,
        **clips: Unpack[ClipSettings],
    ) -> None:
        super().__init__(fps=RAW_FPS / STRIDE, **clips)
        for name, frames in (("length", self.length), ("frames_length", self.frames_length)):
            if frames * STRIDE >= self.raw_frames:
                raise ValueError(
                    f"{name} is {frames}, which spans {frames * STRIDE} raw frames, but videos have {self.raw_frames}."
                )
        self.root = root
        self.lists: dict[Split, str | None] = {"train": train_list, "val": val_list, "test": test_list}

    @property
    def vocabulary(self) -> ActionVocabulary:
        return CATER_VOCABULARY

    @property
    def source(self) -> SceneTable:
        return self._table

    @property
    def cache(self) -> FrameCache:
        return self._cache

    @property
    def fingerprint(self) -> str:
        settings = [self._sources, self._names, self.size, self.length, self.frames_length]
        return hashlib.sha256(json.dumps([*settings, self.windows_per_video]).encode()).hexdigest()[:16]

    def prepare_data(self) -> None:
        """Parse the scenes and decode the videos, unless that is done; say what was left out.

        Raises:
            FileNotFoundError: if the folder or a split list is missing.
            ValueError: if a list is malformed, or nothing usable is left.
            OSError: if the disk has too little room for the frames.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            skipped = self._prepare_scenes()
        videos = [FrameSource(name, self._video(name), self.raw_frames) for name in self._table.names]
        cache = prepare_cache(
            self._cache_path, videos, (self.size, self.size), self.cache_workers, f"Decoding {self.registered_name}"
        )
        self._tell(self._folder, [*skipped, *cache.skipped])

    def videos(self, split: Split) -> list[int]:
        unusable = {s.name for s in self._cache.skipped}
        number = {name: i for i, name in enumerate(self._table.names) if name not in unusable}
        return [number[name] for name in self._names[split] if name in number]

    def _prepare_scenes(self) -> list[Skipped]:
        """Parse all scenes into the table, unless it is there; answer what was left out, now or then."""
        notes = self._folder / "skipped_scenes.json"
        if not self._scenes_path.exists():
            usable, skipped = self._listed()
            parse = partial(_scene, self._root / "scenes", self.raw_frames)
            scenes: dict[str, CaterScene] = {}
            for i, result in each(parse, usable, self.cache_workers, f"Parsing {self.registered_name}"):
                if isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    scenes[usable[i]] = result
            if not scenes:
                raise ValueError(
                    f"None of the {len(skipped)} videos that the lists of {self._root} name can be used: "
                    f"{by_reason(skipped)}. {skipped[-1].detail}"
                )
            with replacing(notes) as temporary:
                temporary.write_text(json.dumps([[s.name, s.reason, s.detail] for s in skipped]), encoding="utf-8")
            SceneTable.of([(name, scenes[name]) for name in usable if name in scenes]).save(self._scenes_path)
        return [Skipped(*entry) for entry in json.loads(notes.read_text(encoding="utf-8"))]

    def _listed(self) -> tuple[list[str], list[Skipped]]:
        """Names in the lists that have a video, and those which have none or are known to be unusable."""
        usable, skipped = [], []
        for name in self._all_names:
            if name in _ALWAYS_SKIPPED:
                skipped.append(Skipped(name, "known to be bad", "AG2Vid's authors left it out."))
            elif not self._video(name).is_file():
                skipped.append(Skipped(name, "no video", f"A list names it, but there is no {self._video(name)}."))
            else:
                usable.append(name)
        return usable, skipped

    def _video(self, name: str) -> Path:
        return self._root / "videos" / f"{name}.avi"

    @cached_property
    def _root(self) -> Path:
        folder = existing_folder(self.root, self.registered_name, WANTED["cater"])
        for needed in (folder / "videos", folder / "scenes"):
            if not needed.is_dir():
                raise FileNotFoundError(f"There is no folder {needed}; {WANTED['cater']}.")
        return folder

    @cached_property
    def _names(self) -> dict[Split, list[str]]:
        """Names of every split as its list has them, cut to ``max_videos``."""
        train, val = read_list(self._list("train")), read_list(self._list("val"))
        if (test_list := self._find("test")) is not None:
            test = read_list(test_list)
        else:
            val, test = _divided(val)
        return {"train": train[: self.max_videos], "val": val[: self.max_videos], "test": test[: self.max_videos]}

    @cached_property
    def _all_names(self) -> list[str]:
        return list(dict.fromkeys(name for names in self._names.values() for name in names))

    def _list(self, split: Split) -> Path:
        if (path := self._find(split)) is None:
            looked = ", ".join(str(Path(folder, f"{split}.txt")) for folder in _LIST_FOLDERS)
            others = sorted(path.name for path in (self._root / "lists").glob("*.txt"))
            there = f"; lists/ holds {', '.join(others[:6])}" if others else ""
            raise FileNotFoundError(
                f"There is no list of the {split} split below {self._root} (looked for {looked}{there}). Put CATER's "
                f"lists there, or name yours: dataset.{split}_list=<text file with lines '<name>.avi <class ids>'>."
            )
        return path

    def _find(self, split: Split) -> Path | None:
        """The list that was named, there or not, or else the first that is there."""
        if (given := self.lists[split]) is not None:
            return self._root / Path(given).expanduser()
        candidates = (self._root / folder / f"{split}.txt" for folder in _LIST_FOLDERS)
        return next((path for path in candidates if path.is_file()), None)

    @cached_property
    def _sources(self) -> str:
        """Fingerprint of the files, before they are split and cut."""
        files = [self._root / "scenes" / f"{name}.json" for name in self._all_names]
        files += [self._video(name) for name in self._all_names]
        settings = {"preparation": _PREPARATION, "names": self._all_names, "frames": self.raw_frames}
        return fingerprint(settings, [file for file in files if file.is_file()])

    @property
    def _folder(self) -> Path:
        return self.cache_dir / f"{self.registered_name}-{self._sources}"

    @property
    def _scenes_path(self) -> Path:
        return self._folder / "scenes.npz"

    @property
    def _cache_path(self) -> Path:
        return self._folder / f"frames-{self.size}"

    @cached_property
    def _table(self) -> SceneTable:
        return SceneTable.load(self._scenes_path)

    @cached_property
    def _cache(self) -> FrameCache:
        return FrameCache(self._cache_path)


def _scene(folder: Path, frames: int, name: str) -> CaterScene | Skipped:
    try:
        return read_scene(folder / f"{name}.json", frames)
    except SceneError as error:
        return Skipped(name, error.reason, str(error))


def _divided(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Validation and test names of a list, each in its order; which is which depends on the names alone."""
    drawn = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    val = set(drawn[: max(1, round(_VAL_SHARE * len(names)))])
    return [name for name in names if name in val], [name for name in names if name not in val]
