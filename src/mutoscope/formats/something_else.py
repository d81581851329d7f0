"""Something-Something V2's labels and the boxes of Something-Else, which go with its videos."""

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.plain_files import PlainFileError, parse_json
from mutoscope.formats.sources import FileError, is_number, is_whole
from mutoscope.formats.text import TEXT_LIMIT, read_table, read_text

#: bytes of a file of boxes at most; the largest of Something-Else's four has 2 GB
_BOXES_LIMIT = 8 * 2**30
#: values in a file of labels at most; the 168,913 public training labels are about one million
_LABEL_VALUES = 20_000_000
#: characters of a cell with placeholders at most
_LONGEST_CELL = 2000
#: frames and instances of a video at most
_MOST_FRAMES, _MOST_INSTANCES = 100_000, 1000
#: no picture has so many pixels to a side
_FARTHEST = 1e5
#: ids become names of files
_ID = re.compile(r"(?!\.{1,2}$)[^/\\\x00-\x1f\ud800-\udfff]{1,200}")
_FRAME = re.compile(r"(?:[^/\\]*/)?0*([0-9]{1,7})\.\w+")
#: frames per second of the videos, and of the pictures taken from them
RAW_FPS = 12.0
HAND = "hand"
#: AG2Vid's eight actions, in the order of their ids, with the number of instances in them, the hand included
TEMPLATES: Mapping[str, int] = {
    "Putting [something] on a surface": 2,
    "Moving [something] up": 2,
    "Pushing [something] from left to right": 2,
    "Moving [something] down": 2,
    "Pushing [something] from right to left": 2,
    "Covering [something] with [something]": 3,
    "Uncovering [something]": 2,
    "Taking [one of many similar things on the table]": 2,
}
_WHITESPACE = re.compile(r"\s*")


class LabelError(FileError):
    """A file of labels or a mapping of categories that cannot be used."""


class BoxFileError(FileError):
    """A file of boxes that cannot be used."""


class BoxError(ValueError):
    """Boxes of a video that cannot be used.

    Args:
        name: of the video.
        reason: in a few words, the same for all videos with this defect.
        detail: what was found and what was expected.
    """

    def __init__(self, name: str, reason: str, detail: str) -> None:
        super().__init__(name, reason, detail)
        self.name, self.reason, self.detail = name, reason, detail

    def __str__(self) -> str:
        return f"Boxes of video {self.name}: {self.detail}"


@dataclass(frozen=True)
class Row:
    """What a file of labels says of a video.

    Args:
        name: id of the video.
        template: its action, as "Moving [something] up".
        placeholders: what the things in brackets are.
        instances: how many things there are, the hand included; ``None`` if the file does not say.
        error: why the video should not be used, or nothing.
    """

    name: str
    template: str
    placeholders: tuple[str, ...]
    instances: int | None = None
    error: str = ""


@dataclass(frozen=True)
class BoxTrack:
    """The boxes of a video, frame after frame.

    Args:
        frames: ``[r]`` int64, which frame of the video each record describes.
        present: ``[r]`` int64, how many instances it says there are.
        category: ``[i]`` canonical categories of the instances, in the order in which they appear.
        label_record, label_instance: ``[l]`` int64, where and whose each box is.
        box: ``[l, 4]`` float32 (x0, y0, x1, y1) in pixels.
    """

    frames: NDArray[np.int64]
    present: NDArray[np.int64]
    category: tuple[str, ...]
    label_record: NDArray[np.int64]
    label_instance: NDArray[np.int64]
    box: NDArray[np.float32]


def read_labels(path: Path) -> list[Row]:
    """Read labels: a table (``.csv``: id, template, placeholders, perhaps nr_instances and err) or the public JSON.

    Raises:
        FileNotFoundError: if there is no such file.
        LabelError: if it is neither, or a row lacks something.
    """
    missing = f"There is no file of labels {path}."
    entries: list[tuple[str, Any]]
    if path.suffix.lower() == ".csv":
        table = read_table(path, ("id", "template", "placeholders"), error=LabelError, missing=missing)
        entries = [(f"line {row.line}", row.cells) for row in table]
    else:
        found = _json(path, missing, "expected a .csv table or a .json list")
        entries = [(f"entry {i}", one) for i, one in enumerate(found, start=1)] if isinstance(found, list) else []
    if not entries:
        raise LabelError(path, "it holds no labels; expected a list with id, template and placeholders of every video.")
    rows = []
    for place, entry in entries:
        try:
            rows.append(_row(entry))
        except ValueError as error:
            raise LabelError(
                path,
                f"{error}; expected id, template and placeholders (a list, in a table written as ['a','b']).",
                place,
            ) from None
    return rows


def read_mapping(path: Path) -> dict[str, str]:
    """Read which canonical category each raw one belongs to.

    Raises:
        FileNotFoundError: if there is no such file.
        LabelError: if it is no JSON object of strings, or knows no hand.
    """
    expected = "expected an object {raw category: category}"
    mapping = _json(path, f"There is no mapping of categories {path}.", expected)
    if not isinstance(mapping, dict) or not all(isinstance(value, str) for value in mapping.values()):
        raise LabelError(path, f"it is no mapping of names to names; {expected}.")
    if mapping.get(HAND) != HAND:
        raise LabelError(path, "it does not map 'hand' to 'hand', but hands perform all actions; add it.")
    return mapping


def read_boxes(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Records of the videos wanted, one after the other: the whole file would not fit into memory as objects.

    Args:
        path: JSON object {id: list of records}.
        wanted: ids of videos.

    Raises:
        FileNotFoundError: if there is no such file.
        BoxFileError: if the file is no such object, or breaks off.
    """
    text, decoder, position = read_text(path, limit=_BOXES_LIMIT, error=BoxFileError), json.JSONDecoder(), 0

    def skip(position: int) -> int:
        match = _WHITESPACE.match(text, position)
        return match.end() if match else position

    def expect(position: int, characters: str) -> int:
        position = skip(position)
        if text[position : position + 1] not in tuple(characters):
            raise ValueError(f"expected one of '{characters}' at character {position}")
        return position + 1

    try:
        position = skip(expect(0, "{"))
        while text[position : position + 1] != "}":
            name, position = decoder.raw_decode(text, position)
            if not isinstance(name, str):
                raise ValueError(f"a name that is no text before character {position}")
            position = skip(expect(position, ":"))
            records, position = decoder.raw_decode(text, position)
            if name in wanted:
                yield name, records
            position = expect(position, ",}")
            if text[position - 1] == "}":
                break
            position = skip(position)
    except (ValueError, RecursionError) as error:
        what = "values in values in values" if isinstance(error, RecursionError) else error
        place = f"line {text.count(chr(10), 0, position) + 1}"
        raise BoxFileError(
            path, f"it is no JSON object of boxes by video ({what}); it may be cut off, fetch it again.", place
        ) from None


def parse_boxes(name: str, records: Any, mapping: Mapping[str, str] | None) -> BoxTrack:
    """Make arrays of a video's records; of several for the same frame, the first counts.

    Args:
        name: of the video.
        records: from :func:`read_boxes`.
        mapping: raw categories to canonical ones; ``None`` to keep them.

    Raises:
        BoxError: if something is lacking or malformed, or a category is not in the mapping.
    """
    instances: dict[tuple[str, str, str], int] = {}
    frames: dict[int, int] = {}
    present: list[int] = []
    label_record: list[int] = []
    label_instance: list[int] = []
    box: list[list[float]] = []
    for number, record in enumerate(_typed(name, records, list, "the boxes"), start=1):
        where = f"record {number}"
        frame, labels = _frame(name, _typed(name, record, dict, where), where), record.get("labels")
        if frame in frames:
            continue
        for label in _typed(name, labels, list, f"'labels' of {where}"):
            raw, identity = _identity(name, _typed(name, label, dict, f"a label of {where}"), where)
            if mapping is not None and raw not in mapping:
                raise BoxError(name, "category not in the mapping", f"'{raw[:80]}' is not in the mapping; add it.")
            category = raw if mapping is None else mapping[raw]
            label_instance.append(instances.setdefault((*identity, category), len(instances)))
            label_record.append(len(frames))
            box.append(_corners(name, label.get("box2d"), where))
        count = record.get("nr_instances")
        if not is_whole(count, _MOST_INSTANCES) or count < 0:
            raise _malformed(name, f"'nr_instances' of {where} is {_shown(count)}, expected a number of things")
        frames[frame] = len(frames)
        present.append(int(count))
    boxes = np.array(box, dtype=np.float32).reshape(-1, 4)
    if not frames or not len(boxes):
        raise BoxError(name, "no boxes", "there are none.")
    return BoxTrack(
        frames=np.array(list(frames), dtype=np.int64),
        present=np.array(present, dtype=np.int64),
        category=tuple(category for *_, category in instances),
        label_record=np.array(label_record, dtype=np.int64),
        label_instance=np.array(label_instance, dtype=np.int64),
        box=boxes,
    )


def _row(entry: Any) -> Row:
    if not isinstance(entry, Mapping):
        raise ValueError(f"found {_shown(entry)}")
    name, template = entry.get("id"), entry.get("template")
    # the public files write ids as text, tables may hold numbers
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(f"the id is {_shown(name)}, which cannot be the name of a video")
    if not isinstance(template, str) or not template:
        raise ValueError(f"the template is {_shown(template)}")
    placeholders = _placeholders(entry.get("placeholders"))
    instances, error = entry.get("nr_instances"), entry.get("err")
    instances = None if instances == "" else instances
    if isinstance(instances, str):
        try:
            instances = float(instances)
        except ValueError:
            raise ValueError(f"nr_instances is {_shown(instances)}, no number") from None
    if instances is not None and not (is_whole(instances, _MOST_INSTANCES) and instances >= 0):
        raise ValueError(f"nr_instances is {_shown(instances)}, which cannot be how many things there are")
    return Row(
        name=name,
        template=template,
        placeholders=placeholders,
        instances=None if instances is None else int(instances),
        error=str(error or "").strip(),
    )


def _placeholders(found: Any) -> tuple[str, ...]:
    if isinstance(found, str):
        try:
            if len(found) > _LONGEST_CELL:
                raise ValueError
            with warnings.catch_warnings():
                # of backslashes that Python gives no meaning
                warnings.simplefilter("ignore")
                found = ast.literal_eval(found)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError(f"the placeholders are {_shown(found)}, no list") from None
    if not isinstance(found, list) or not all(isinstance(one, str | int | float) for one in found):
        raise ValueError(f"the placeholders are {_shown(found)}, no list of words")
    return tuple(str(one) for one in found)


def _json(path: Path, missing: str, expected: str) -> Any:
    try:
        return parse_json(
            read_text(path, limit=TEXT_LIMIT, error=LabelError, missing=missing), "the text", max_values=_LABEL_VALUES
        )
    except PlainFileError as error:
        raise LabelError(path, f"it cannot be read as JSON; {error} Here is {expected}.") from None


def _typed(name: str, value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise _malformed(name, f"{what} is {_shown(value)}, expected {'a list' if kind is list else 'an object'}")
    return value


def _frame(name: str, record: Mapping[str, Any], where: str) -> int:
    """Number of a record's frame, from 0, by the name of its picture."""
    picture = record.get("name")
    match = _FRAME.fullmatch(picture) if isinstance(picture, str) else None
    if match is None or not 1 <= int(match[1]) <= _MOST_FRAMES:
        raise _malformed(name, f"'name' of {where} is {_shown(picture)}, expected <id>/<frame, from 1>.jpg")
    return int(match[1]) - 1


def _identity(name: str, label: Mapping[str, Any], where: str) -> tuple[str, tuple[str, str]]:
    """Raw category of a label, and what tells its instance from others of this category."""
    words = [label.get(key) for key in ("category", "standard_category", "gt_annotation")]
    if not isinstance(words[0], str) or not all(isinstance(word, str | int) for word in words):
        raise _malformed(name, f"a label of {where} has the categories {_shown(words)}, expected three words")
    return words[0], (str(words[1]), str(words[2]))


def _corners(name: str, box: Any, where: str) -> list[float]:
    sides = [box.get(side) for side in ("x1", "y1", "x2", "y2")] if isinstance(box, Mapping) else []
    found = [float(one) for one in sides if is_number(one, _FARTHEST)]
    if len(found) < 4:
        raise _malformed(name, f"a box of {where} is {_shown(box)}, expected pixels x1, y1, x2, y2")
    if found[2] < found[0] or found[3] < found[1]:
        raise _malformed(name, f"a box of {where} is {_shown(box)}, whose corners are the wrong way round")
    return found


def _malformed(name: str, detail: str) -> BoxError:
    return BoxError(name, "malformed boxes", f"{detail}; these are no records of Something-Else, or they are damaged.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
