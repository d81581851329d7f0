"""CATER's scenes (JSON) and split lists (text); positions become boxes by AG2Vid's rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.plain_files import PlainFileError, parse_json
from mutoscope.formats.sources import FileError, is_whole, vectors
from mutoscope.formats.text import TextError, read_text
from mutoscope.structures import CATER_VOCABULARY, ActionVocabulary

#: width and height of CATER's pictures in pixels
PICTURE = (320, 240)
#: frames of a CATER video, and how many there are per second
RAW_FRAMES, RAW_FPS = 301, 24.0
#: movements shorter than this many frames are no actions
SHORTEST_ACTION = 12

#: bytes of a scene at most; CATER's have 200 KB
_SCENE_LIMIT = 16 * 2**20
#: CATER's objects lie within 4 units of the middle; nothing that the camera sees lies beyond this
_FARTHEST = 1e3
#: no box lies or reaches farther from the picture than so many times its size
_FAR_BOX = 10.0
#: names become names of files
_LONGEST_NAME = 200

#: clip coordinates (X, Y, Z, W) of a point (x, y, z, 1) seen by CATER's camera
CAMERA = np.array(
    [
        [1.4503, 1.6376, 0.0000, -0.0251],
        [-1.0346, 0.9163, 2.5685, 0.0095],
        [-0.6606, 0.5850, -0.4748, 10.5666],
        [-0.6592, 0.5839, -0.4738, 10.7452],
    ]
)

#: (half width, above the centre, below it) in pixels by shape and size
_SQUARE = {"large": (35, 35, 35), "medium": (25, 25, 25), "small": (15, 15, 15)}
EXTENTS: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "cube": _SQUARE,
    "cylinder": _SQUARE,
    "spl": _SQUARE,
    "sphere": {"large": (35, 25, 40), "medium": (25, 25, 25), "small": (15, 15, 15)},
    "cone": {"large": (35, 25, 40), "medium": (25, 15, 30), "small": (20, 20, 20)},
}


class SceneError(FileError):
    """A scene that cannot be used.

    Args:
        path: its file.
        reason: in a few words, the same for all scenes with this defect.
        detail: what was found and what was expected.
    """

    def __init__(self, path: Path | str, reason: str, detail: str) -> None:
        super().__init__(path, detail)
        self.args, self.reason = (path, reason, detail), reason


class ListError(FileError):
    """A split list that cannot be used."""


@dataclass(frozen=True)
class CaterScene:
    """What is learned from a scene; the image node comes after the ``n - 1`` objects.

    Args:
        attributes: ``[n, 4]`` int64 ids of shape, color, material and size; 0 for the image.
        boxes: ``[f, n, 4]`` float32 (x0, y0, width, height) as fractions of the picture, not clipped; (0, 0, 1, 1) for
            the image. Objects that are hidden have boxes too.
        actions: ``[a, 5]`` int64 (subject, action, object, first raw frame, last raw frame).
    """

    attributes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    actions: NDArray[np.int64]


class WindowActions(NamedTuple):
    """The actions of a window, one row each: ids int64 ``[a]``, the rest float32 ``[a, 2]``."""

    subject: NDArray[np.int64]
    action: NDArray[np.int64]
    object: NDArray[np.int64]
    progress: NDArray[np.float32]
    destination: NDArray[np.float32]


def project(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Where CATER's camera sees points.

    Args:
        points: ``[..., 3]`` in the units of the scene.

    Returns:
        ``[..., 2]`` (u, v), both in [-1, 1] inside the picture, (-1, -1) its top-left corner; NaN for points that
        are not in front of the camera.
    """
    seen = np.asarray(points, dtype=np.float64) @ CAMERA[:, :3].T + CAMERA[:, 3]
    depth = np.where(seen[..., 3:] > 0, seen[..., 3:], np.nan)
    return seen[..., :2] / depth * (1.0, -1.0)


def boxes_of(points: NDArray[np.floating[Any]], extents: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Boxes of objects from the places of their centres.

    Args:
        points: ``[..., n, 3]`` in the units of the scene.
        extents: ``[n, 3]`` pixels: half the width, what lies above the centre, what lies below.

    Returns:
        ``[..., n, 4]`` (x0, y0, width, height) as fractions of the picture.
    """
    centre = (project(points) + 1) / 2 * PICTURE
    half, above, below = np.asarray(extents, dtype=np.float64).T
    width, height = np.broadcast_to(2 * half, centre.shape[:-1]), np.broadcast_to(above + below, centre.shape[:-1])
    boxes = np.stack([centre[..., 0] - half, centre[..., 1] - above, width, height], axis=-1)
    return (boxes / (*PICTURE, *PICTURE)).astype(np.float32)


def read_scene(path: Path, frames: int = RAW_FRAMES) -> CaterScene:
    """Read a scene.

    Args:
        path: JSON file.
        frames: how many places every object must have.

    Raises:
        SceneError: if it is absent, no JSON, lacks something or contradicts itself.
    """
    try:
        scene = parse_json(read_text(path, limit=_SCENE_LIMIT), "the text")
    except FileNotFoundError as error:
        raise SceneError(path, "no scene file", "there is no such scene; every video needs one.") from error
    except TextError as error:
        raise SceneError(
            path, "scene is no text", f"it cannot be read: {error.place}{' ' * bool(error.place)}{error.detail}"
        ) from error
    except PlainFileError as error:
        raise SceneError(path, "scene is no JSON", f"it cannot be read as JSON; {error} Fetch it again.") from error
    return parse_scene(scene, path, frames)


def parse_scene(scene: Any, path: Path | str, frames: int = RAW_FRAMES) -> CaterScene:
    """Make arrays of a scene.

    Args:
        scene: the decoded JSON; of its fields, ``objects`` and ``movements`` matter.
        path: to name in errors.
        frames: how many places every object must have.

    Raises:
        SceneError: if it lacks something or contradicts itself.
    """
    entries = scene.get("objects") if isinstance(scene, Mapping) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, Mapping) for entry in entries):
        raise SceneError(path, "no objects", "it has no list 'objects' of one object or more.")
    if not all(isinstance(entry.get("instance"), str) for entry in entries):
        raise SceneError(path, "object without a name", "every object needs a text 'instance', its name.")
    names = [entry["instance"] for entry in entries]
    if len(set(names)) < len(names):
        raise SceneError(path, "two objects of one name", f"objects need different names, found {', '.join(names)}.")
    attributes = [_attributes(entry, path) for entry in entries]
    places = np.stack([_places(entry, frames, path) for entry in entries], axis=1)
    extents = np.array([EXTENTS[entry["shape"]][entry["size"]] for entry in entries])
    boxes = boxes_of(places, extents)
    _check_boxes(boxes, names, path)
    image = np.broadcast_to(np.array([0, 0, 1, 1], dtype=np.float32), (frames, 1, 4))
    return CaterScene(
        attributes=np.array([*attributes, [0] * len(attributes[0])], dtype=np.int64),
        boxes=np.concatenate([boxes, image], axis=1),
        actions=_actions(scene.get("movements"), names, frames, path),
    )


def window_actions(
    actions: NDArray[np.int64],
    boxes: NDArray[np.float32],
    start: int,
    end: int,
    vocabulary: ActionVocabulary = CATER_VOCABULARY,
) -> WindowActions:
    """The actions that touch a window, with their progress at its borders and where their subjects end up.

    Progress is (frame - first) / (last - first + 1), which lies outside [0, 1] where an action begins before the
    window or ends after it.

    Args:
        actions: ``[a, 5]`` of the whole scene.
        boxes: ``[f, n, 4]`` of the whole scene.
        start, end: first raw frame of the window and one past the last.
        vocabulary: says which actions have a destination.
    """
    rows = actions[(actions[:, 3] <= end) & (actions[:, 4] >= start)]
    subject, action, other, first, last = rows.T
    progress = (np.array([start, end]) - first[:, None]) / (last - first + 1)[:, None]
    placed = np.array([vocabulary.takes_destination(i) for i in range(len(vocabulary.actions))])
    destination = np.where(placed[action][:, None], boxes[last, subject, :2], 0)
    return WindowActions(subject, action, other, progress.astype(np.float32), destination.astype(np.float32))


def read_list(path: Path) -> list[str]:
    """Names of the videos of a split list, whose lines are ``<name>.avi <class ids>``; the ids are ignored.

    Raises:
        FileNotFoundError: if there is no such list.
        ListError: if it is no text, a line names no avi file, or the list names one twice or none.
    """
    missing = f"There is no split list {path}; expected a file of lines '<name>.avi <class ids>'."
    names: dict[str, int] = {}
    for number, line in enumerate(read_text(path, error=ListError, missing=missing).split("\n"), start=1):
        if not line.strip():
            continue
        file = re.split(r"[\s,;]", line.strip(), maxsplit=1)[0]
        if not re.fullmatch(r"[^/\\]+\.avi", file) or len(file) > _LONGEST_NAME:
            raise ListError(path, f"found '{file[:80]}', expected '<name>.avi <class ids>'.", f"line {number}")
        if (first := names.setdefault(file.removesuffix(".avi"), number)) != number:
            raise ListError(path, f"it lists {file} twice, in line {first} too; remove one.", f"line {number}")
    if not names:
        raise ListError(path, "it lists no videos; expected one per line, '<name>.avi <class ids>'.")
    return list(names)


def _attributes(entry: Mapping[str, Any], path: Path | str) -> list[int]:
    ids = []
    for attribute in CATER_VOCABULARY.attribute_names:
        try:
            ids.append(CATER_VOCABULARY.value(attribute, str(entry.get(attribute))))
        except ValueError as error:
            raise SceneError(path, f"unknown {attribute}", f"object {entry.get('instance')}: {error}") from error
    return ids


def _places(entry: Mapping[str, Any], frames: int, path: Path | str) -> NDArray[np.float64]:
    """``[f, 3]`` by ascending frame, whatever their order in the file."""
    name, locations = entry.get("instance"), entry.get("locations")
    if not isinstance(locations, Mapping) or not locations:
        raise SceneError(path, "object without locations", f"object {name} has no locations.")
    if missing := [frame for frame in range(frames) if str(frame) not in locations]:
        raise SceneError(
            path,
            "locations missing",
            f"object {name} has locations in {len(locations)} frames and none in frame {missing[0]}; expected "
            f"frames 0 to {frames - 1}.",
        )
    places = vectors([locations[str(frame)] for frame in range(frames)], 3, _FARTHEST)
    if places is None:
        detail = f"object {name} has locations that are no three finite numbers, none beyond {_FARTHEST:g}."
        raise SceneError(path, "malformed locations", detail)
    return places


def _check_boxes(boxes: NDArray[np.float32], names: list[str], path: Path | str) -> None:
    x, y, width, height = np.moveaxis(boxes, -1, 0)
    # comparisons with the NaN of points behind the camera are false
    inside = (x < 1) & (y < 1) & (x + width > 0) & (y + height > 0)
    if len(never := np.flatnonzero(~inside.any(axis=0))) or len(never := np.flatnonzero(np.isnan(x).any(axis=0))):
        name, frame = names[never[0]], int(np.flatnonzero(~inside[:, never[0]])[0])
        raise SceneError(
            path, "object outside the picture", f"object {name} is never in the picture, or behind it in frame {frame}."
        )
    far = (np.abs(boxes) > _FAR_BOX).any(axis=-1)
    if far.any():
        frame, number = (int(at[0]) for at in np.nonzero(far))
        detail = f"object {names[number]} lies far outside the picture in frame {frame}; its locations cannot be right."
        raise SceneError(path, "object far outside the picture", detail)


def _actions(movements: Any, names: list[str], frames: int, path: Path | str) -> NDArray[np.int64]:
    if not isinstance(movements, Mapping) or not movements:
        raise SceneError(path, "no movements", "it has no 'movements', so nothing is known of what happens in it.")
    rows = []
    for subject, entries in movements.items():
        if not isinstance(entries, list):
            raise SceneError(path, "malformed movements", f"the movements of {subject} are no list.")
        for entry in entries:
            action, other, start, end = _movement(entry, subject, path)
            for name in (subject, other):
                if name not in names:
                    raise SceneError(
                        path, "movement of an unknown object", f"{name} moves or is moved to, but is no object."
                    )
            if not 0 <= start <= end < frames:
                raise SceneError(
                    path,
                    "movement outside the video",
                    f"{subject} moves from frame {start} to {end}; expected frames within 0 to {frames - 1}.",
                )
            if end - start >= SHORTEST_ACTION:
                rows.append((names.index(subject), action, names.index(other), start, end))
    if not rows:
        raise SceneError(path, "no action", f"none of its movements lasts {SHORTEST_ACTION} frames or longer.")
    return np.array(rows, dtype=np.int64)


def _movement(entry: Any, subject: str, path: Path | str) -> tuple[int, str, int, int]:
    """Action id, the other object (the subject itself where there is none), first and last frame."""
    if isinstance(entry, list) and len(entry) == 4:
        name, other, start, end = entry
        # files write some with an underscore before them
        known = isinstance(name, str) and name.removeprefix("_") in CATER_VOCABULARY.action_names
        if known and (other is None or isinstance(other, str)) and is_whole(start) and is_whole(end):
            return CATER_VOCABULARY.action(name), subject if other is None else other, int(start), int(end)
    shown = repr(entry)
    raise SceneError(
        path,
        "malformed movements",
        f"{subject} has the movement {shown if len(shown) <= 120 else shown[:117] + '...'}, expected [action, other "
        f"object or null, start, end] with an action of {', '.join(CATER_VOCABULARY.action_names)} and whole frames.",
    )
