"""Something-Something V2's labels and the boxes of Something-Else, which go with its videos."""

import ast
import csv
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


class BoxError(ValueError):
    """Boxes of a video that cannot be used.

    Args:
        name: of the video.
        reason: in a few words, the same for all videos with this defect.
        detail: what was found and what was expected.
    """

    def __init__(self, name: str, reason: str, detail: str) -> None:
        super().__init__(f"Boxes of video {name}: {detail}")
        self.reason = reason


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
        ValueError: if it is neither, or a row lacks something.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of labels {path}.")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            entries = list(csv.DictReader(file)) if path.suffix.lower() == ".csv" else json.load(file)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read ({error}); expected a .csv table or a .json list.") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} holds no labels; expected a list with id, template and placeholders of every video.")
    rows = []
    for number, entry in enumerate(entries, start=1):
        try:
            rows.append(_row(entry))
        except (KeyError, TypeError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"{path}, entry {number}: {type(error).__name__} {error}; expected id, template and placeholders "
                "(a list, in a table written as ['a','b'])."
            ) from error
    return rows


def read_mapping(path: Path) -> dict[str, str]:
    """Read which canonical category each raw one belongs to.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no JSON object of strings, or knows no hand.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no mapping of categories {path}.")
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); expected an object {{raw category: category}}.") from error
    if not isinstance(mapping, dict) or not all(isinstance(value, str) for value in mapping.values()):
        raise ValueError(f"{path} is no mapping of names to names; expected an object {{raw category: category}}.")
    if mapping.get(HAND) != HAND:
        raise ValueError(f"{path} does not map 'hand' to 'hand', but hands perform all actions; add it.")
    return mapping


def read_boxes(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Records of the videos wanted, one after the other: the whole file would not fit into memory as objects.

    Args:
        path: JSON object {id: list of records}.
        wanted: ids of videos.

    Raises:
        ValueError: if the file is no such object, or breaks off.
    """
    text, decoder, position = path.read_text(encoding="utf-8"), json.JSONDecoder(), 0

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
            position = skip(expect(position, ":"))
            records, position = decoder.raw_decode(text, position)
            if name in wanted:
                yield name, records
            position = expect(position, ",}")
            if text[position - 1] == "}":
                break
            position = skip(position)
    except ValueError as error:
        raise ValueError(
            f"{path} is no JSON object of boxes by video ({error}); it may be cut off, fetch it again."
        ) from error


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
    present, label_record, label_instance, box = [], [], [], []
    try:
        for record in records:
            frame = int(Path(record["name"]).stem) - 1
            if frame in frames:
                continue
            for label in record["labels"]:
                raw, corner = label["category"], label["box2d"]
                if mapping is not None and raw not in mapping:
                    raise BoxError(name, "category not in the mapping", f"'{raw}' is not in the mapping; add it.")
                category = raw if mapping is None else mapping[raw]
                identity = (str(label["standard_category"]), str(label["gt_annotation"]), category)
                label_instance.append(instances.setdefault(identity, len(instances)))
                label_record.append(len(frames))
                box.append([float(corner[side]) for side in ("x1", "y1", "x2", "y2")])
            frames[frame] = len(frames)
            present.append(int(record["nr_instances"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BoxError):
            raise
        raise BoxError(
            name, "malformed boxes", f"{type(error).__name__} {error}; expected Something-Else's records of frames."
        ) from error
    boxes = np.array(box, dtype=np.float32).reshape(-1, 4)
    if not frames or not len(boxes):
        raise BoxError(name, "no boxes", "there are none.")
    if not np.isfinite(boxes).all():
        raise BoxError(name, "malformed boxes", "some are no finite numbers.")
    return BoxTrack(
        frames=np.array(list(frames), dtype=np.int64),
        present=np.array(present, dtype=np.int64),
        category=tuple(category for *_, category in instances),
        label_record=np.array(label_record, dtype=np.int64),
        label_instance=np.array(label_instance, dtype=np.int64),
        box=boxes,
    )


def _row(entry: Any) -> Row:
    placeholders: Sequence[Any] = entry["placeholders"]
    if isinstance(placeholders, str):
        placeholders = ast.literal_eval(placeholders)
    if not isinstance(placeholders, list) or not str(entry["id"]):
        raise TypeError("placeholders are no list, or the id is empty")
    instances = entry.get("nr_instances")
    return Row(
        name=str(entry["id"]),
        template=str(entry["template"]),
        placeholders=tuple(str(one) for one in placeholders),
        instances=None if instances in (None, "") else int(float(instances)),
        error=str(entry.get("err") or "").strip(),
    )
