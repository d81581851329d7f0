"""``export dataset=... format=pvg``: any data set of video as folders that other people's programs read."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
from torch import Tensor

from mutoscope.config.assembly import prepared
from mutoscope.config.nodes import build_dataset
from mutoscope.data.datamodule import Split
from mutoscope.data.registry import datamodule_class, datamodules
from mutoscope.formats.plain_files import PlainFileError, parse_json
from mutoscope.formats.pvg import Annotations, write_playable
from mutoscope.formats.text import read_text
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing
from mutoscope.runtime.parallel import each, usable_cores
from mutoscope.structures import VideoBatch

#: tells whose videos a folder holds, so that an interrupted export goes on and no other one is mixed in
_NOTE = "mutoscope.json"
#: below so many videos, starting other processes takes longer than writing them
_WORTHWHILE = 100


@runtime_checkable
class WholeVideos(Protocol):
    """A split of a data set that can show its videos from beginning to end."""

    @property
    def videos(self) -> int:
        """How many there are."""

    def video(self, number: int) -> VideoBatch:
        """One of them as one clip, named ``<video>_<first>-<last frame>``."""


def export_dataset(out: Path, dataset: Mapping[str, Any], splits: Sequence[str], videos: int | None) -> Path:
    """Write videos with all that is known of them in the layout of Playable Video Generation.

    A video is complete once its folder exists; the same command goes on where it was interrupted. All cores work on
    it: drawing and, four times as long, packing the pictures is a video's own affair.

    Args:
        out: the folder to make.
        dataset: node of a data set of kind ``video``.
        splits: which; those that hold no video are passed over.
        videos: so many of every split; all by default.

    Raises:
        ConfigError: for data of another kind, a split that does not exist, or a folder that holds something else.
    """
    if (kind := datamodule_class(dataset["name"]).kind) != "video":
        fitting = ", ".join(name for name, cls in datamodules().items() if cls.kind == "video")
        raise ConfigError(
            f"format=pvg is for data sets of video, but '{dataset['name']}' holds {kind} data; those that fit: "
            f"{fitting}."
        )
    datamodule = prepared(dataset)
    _claim(out, {"format": "pvg", "dataset": dataset["name"], "fingerprint": datamodule.fingerprint})
    todo: list[tuple[Split, int]] = []
    for split in get_args(Split):
        data = _videos_of(datamodule, split) if split in splits else None
        if data is not None:
            todo += [(split, number) for number in range(data.videos if videos is None else min(videos, data.videos))]
    workers, write = 1, partial(_write_of, datamodule, out)
    if len(todo) >= _WORTHWHILE:
        # other processes open the data themselves: all of it would travel with every video
        workers, write = usable_cores(), partial(_write_opened, json.dumps(dataset), out)
    made = [new for _, new in each(write, todo, workers, f"Writing {dataset['name']}")]
    written, there = sum(made), len(made) - sum(made)
    before = f"; {there:,} were there already" if there else ""
    say(f"Wrote {written:,} videos to {out} in the layout of Playable Video Generation{before}.")
    return out


def _videos_of(datamodule: Any, split: Split) -> WholeVideos | None:
    try:
        data = datamodule.dataset(split)
    except ValueError:
        # of the splits, only that of tests may be empty
        return None
    if not isinstance(data, WholeVideos):
        raise ConfigError(
            f"'{datamodule.info.name}' cannot show whole videos; its splits need 'videos' and 'video(number)'."
        )
    return data


def _claim(out: Path, note: Mapping[str, Any]) -> None:
    path = out / _NOTE
    if not out.exists() or not any(out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")
        return
    try:
        found = parse_json(read_text(path), str(path)) if path.is_file() else None
    except (PlainFileError, ValueError):
        found = None
    if found != note:
        raise ConfigError(
            f"{out} exists already and holds something else; remove it or choose another out=<folder>. An export goes "
            "on where it stopped only with the same data and settings."
        )


@cache
def _opened(dataset: str) -> Any:
    """What was prepared already, for this process; from JSON, which can be remembered."""
    datamodule = build_dataset(json.loads(dataset))
    datamodule.setup("fit")
    return datamodule


def _write_opened(dataset: str, out: Path, which: tuple[Split, int]) -> bool:
    return _write_of(_opened(dataset), out, which)


def _write_of(datamodule: Any, out: Path, which: tuple[Split, int]) -> bool:
    split, number = which
    return _write(out / split, datamodule.dataset(split), number)


def _write(folder: Path, data: WholeVideos, number: int) -> bool:
    """Whether there was something to do."""
    first = data.video(number)
    name = re.sub(r"_\d+-\d+$", "", first.names[0])
    target = folder / re.sub(r"[^\w.-]+", "_", name.removeprefix(f"{folder.name}/"))
    if target.is_dir():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    known = Annotations(_array(first.actions), _array(first.shifts), _array(first.background_shifts))
    frames = np.ascontiguousarray(first.frames[0].permute(0, 2, 3, 1).numpy())
    write_playable(target, frames, None if first.masks is None else first.masks[0, :, 0].numpy(), known)
    return True


def _array(known: Tensor | None) -> Any:
    return None if known is None else known[0].numpy()
