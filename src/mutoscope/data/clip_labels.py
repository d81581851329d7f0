"""Classes of anybody's clips from a table, as a spreadsheet or a program writes it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mutoscope.data.anybody import ARRAYS, VIDEOS, Clip, ClipError, ClipSet, find_clips
from mutoscope.formats.text import read_table


def labelled_sides(real: str | Path, fake: str | Path, labels: str | Path | None = None) -> tuple[ClipSet, ClipSet]:
    """The clips of two sides; a table names their classes, or the folders in which they lie.

    Args:
        real, fake: folders or files, see :func:`~mutoscope.data.anybody.find_clips`.
        labels: a table with the columns ``name`` and ``label``, of the clips of both sides. A clip is named by its path
            below the folder, with or without its suffix, or by its file's name alone where no other has that.

    Raises:
        ConfigError: see :func:`~mutoscope.data.anybody.find_clips`.
        ClipError: for a table that lacks a clip or a label, that names what is in neither side, or says two things of
            one clip; with its line.
    """
    sides = find_clips(real), find_clips(fake)
    if labels is None:
        return sides
    path = Path(labels)
    known = _read(path)
    used: set[str] = set()
    made = tuple(_labelled(side, known, path, used) for side in sides)
    if unknown := [name for name in known if name not in used]:
        raise ClipError(
            path,
            f"it names '{unknown[0]}' ({len(unknown)} of {len(known)} names), but there is no such clip in "
            f"{sides[0].root} or {sides[1].root}.",
            f"line {known[unknown[0]][0]}",
        )
    return made[0], made[1]


def _read(path: Path) -> dict[str, tuple[int, str]]:
    """Line and label by name."""
    known: dict[str, tuple[int, str]] = {}
    for line, cells in read_table(path, ("name", "label"), error=ClipError):
        name, label = _plain(cells["name"]), cells["label"]
        for column, cell in (("name", name), ("label", label)):
            if not cell:
                raise ClipError(path, f"the cell of the column {column} is empty.", f"line {line}")
        if name in known and known[name][1] != label:
            raise ClipError(
                path, f"it calls '{name}' {label}, and {known[name][1]} in line {known[name][0]}.", f"line {line}"
            )
        known.setdefault(name, (line, label))
    if not known:
        raise ClipError(path, "it has no line below the names of its columns.")
    return known


def _plain(name: str) -> str:
    """A name as clips have it: slashes go forward, and suffixes of files that are clips are left out."""
    path = PurePosixPath(name.replace("\\", "/").removeprefix("./"))
    return (path.with_suffix("") if path.suffix.lower() in (*VIDEOS, *ARRAYS) else path).as_posix() if name else ""


def _labelled(side: ClipSet, known: Mapping[str, tuple[int, str]], path: Path, used: set[str]) -> ClipSet:
    short = Counter(_last(clip) for clip in side.clips)
    found, lacking = [], []
    for clip in side.clips:
        keys = [clip.name, *([_last(clip)] if short[_last(clip)] == 1 else [])]
        key = next((key for key in keys if key in known), None)
        if key is None:
            lacking.append(clip.name)
            continue
        used.add(key)
        found.append(replace(clip, label=known[key][1]))
    if lacking:
        raise ClipError(path, _lacks(lacking, side, known))
    return replace(side, clips=tuple(found))


def _last(clip: Clip) -> str:
    return clip.name.rpartition("/")[2]


def _lacks(lacking: Sequence[str], side: ClipSet, known: Mapping[str, tuple[int, str]]) -> str:
    text = f"it has no label for '{lacking[0]}' ({len(lacking)} of {len(side.clips)} clips of {side.root})"
    if lacking[0].rpartition("/")[2] in known:
        return f"{text}: several clips are called '{lacking[0].rpartition('/')[2]}', name them with their folders."
    return f"{text}."
