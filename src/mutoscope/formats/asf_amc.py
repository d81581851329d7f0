"""Acclaim motion capture: ASF skeletons, AMC motions, and the forward kinematics that turns both into positions.

The format is that of the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu). A joint is the far end of the
bone of that name; the root is a joint of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.sources import FileError
from mutoscope.formats.text import read_text

Array = NDArray[np.float64]
#: a line of a file: its number and its words
Line = tuple[int, list[str]]

_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
_METRES_PER_INCH = 0.0254
#: bytes of an ASF file at most; those of CMU have 10 KB
_ASF_LIMIT = 4 * 2**20
#: bytes of an AMC file at most; an hour at 120 frames per second has a quarter
_AMC_LIMIT = 2**31
#: no length, angle or place of a person has a number beyond this, in any unit
_LARGEST = 1e7
#: of a frame number
_DIGITS = 9
#: ``_GENERATORS[a] @ x`` is the cross product of the unit vector along axis ``a`` with ``x``
_GENERATORS = np.array(
    [
        [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
    ],
    dtype=np.float64,
)


class AcclaimError(FileError):
    """An ASF or AMC file that cannot be used."""


@dataclass(frozen=True)
class AsfSkeleton:
    """A skeleton at rest.

    Args:
        joints: names, the root first, then the bones in file order.
        parents: ``parents[j]`` is the parent of joint ``j``; -1 marks the root.
        offset: ``[v, 3]`` metres, from the parent to the joint at rest.
        axis: ``[v, 3, 3]`` rotation from a bone's own axes, about which its angles turn, to the world's.
        order: ``[v, 3]`` the axes (0 x, 1 y, 2 z) in the order in which rotations about them are applied.
        channels: per joint the numbers an AMC file lists for it, as indices into (tx, ty, tz, rx, ry, rz).
        metres: metres per length unit of the file.
        degrees: whether the file's angles are degrees; an AMC file that does not say inherits it.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offset: Array
    axis: Array
    order: NDArray[np.int64]
    channels: tuple[tuple[int, ...], ...]
    metres: float
    degrees: bool

    def levels(self) -> list[list[int]]:
        """Joints by distance from the root: ``[[root], its children, their children, ...]``."""
        levels = [[self.parents.index(-1)]]
        while below := [j for j, parent in enumerate(self.parents) if parent in levels[-1]]:
            levels.append(below)
        return levels


@dataclass(frozen=True)
class AmcMotion:
    """A motion of an :class:`AsfSkeleton`.

    Args:
        translation: ``[f, 3]`` metres, position of the root.
        angles: ``[f, v, 3]`` radians about the x, y and z axis of every bone; 0 where a bone has no such freedom.
        step: by how much the file's frame numbers grow; above 1 where frames were left out.
    """

    translation: Array
    angles: Array
    step: int = 1


def read_asf(path: str | Path, unit: float | None = None) -> AsfSkeleton:
    """Read a skeleton.

    Lengths become metres by CMU's rule: the ``length`` factor of the file is in inches, so ``metres = value * 0.0254 /
    length``. Line ends may be CRLF, LF or mixed; comments and the sections that hold no geometry are passed over. A
    bone of length 0 needs no direction.

    Args:
        path: the file.
        unit: metres per length unit of the file, if its own factor is not to be believed.

    Raises:
        FileNotFoundError: if there is no such file.
        AcclaimError: naming the line, if the file is no skeleton, or holds what has no agreed meaning (translations or
            lengths as freedoms of a bone, freedoms listed in another order than the axis, a root not resting at 0).
    """
    path = Path(path)
    sections = _sections(_lines(path, _ASF_LIMIT))
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in sections:
            raise AcclaimError(
                path, f"it has no section ':{needed}'; an ASF skeleton needs :root, :bonedata, :hierarchy."
            )
    units = {words[0].lower(): (number, words[1:]) for number, words in sections.get("units", [])}
    metres, degrees = _METRES_PER_INCH, True
    if "length" in units:
        number, words = units["length"]
        (length,) = _numbers(path, number, "length", words, 1)
        if length < 1e-6:
            _fail(path, number, f"the length unit is {length:g}, expected a positive number as 0.45 (CMU's).")
        metres = _METRES_PER_INCH / length
    if "angle" in units:
        number, words = units["angle"]
        if not words or words[0].lower() not in ("deg", "rad"):
            _fail(path, number, f"the angle unit is '{' '.join(words)}', expected deg or rad.")
        degrees = words[0].lower() == "deg"
    metres = metres if unit is None else unit

    root_order, root_channels = _root(path, sections["root"])
    joints, offsets, axes, orders, channels = ["root"], [np.zeros(3)], [np.zeros(3)], [root_order], [root_channels]
    for bone in _bones(path, sections["bonedata"]):
        begin = bone["begin"][0]
        for needed in ("name", "direction", "length", "axis"):
            if needed not in bone:
                _fail(path, begin, f"the bone that begins here has no '{needed}'.")
        number, words = bone["name"]
        if len(words) != 1 or words[0] in joints:
            _fail(path, number, f"'{' '.join(words)}' is no new bone name; every bone needs one word of its own.")
        number, values = bone["direction"]
        direction = np.array(_numbers(path, number, "direction", values, 3))
        at, values = bone["length"]
        (length,) = _numbers(path, at, "length", values, 1)
        if length < 0:
            _fail(path, at, f"the bone has length {length:g}, expected 0 or more.")
        # a bone of no length points nowhere
        if length and abs(np.linalg.norm(direction) - 1) > 0.01:
            _fail(path, number, f"the direction has length {np.linalg.norm(direction):.3g}, expected a unit vector.")
        number, values = bone["axis"]
        order = _axis_order(path, number, values[-1] if values else "")
        axes.append(np.array(_numbers(path, number, "axis", values[:-1], 3)))
        joints.append(words[0])
        offsets.append(direction * length * metres)
        orders.append(order)
        channels.append(_freedoms(path, *bone["dof"], order) if "dof" in bone else ())

    at_rest = np.stack(axes) * (math.pi / 180 if degrees else 1.0)
    order_array = np.array(orders, dtype=np.int64)
    return AsfSkeleton(
        joints=tuple(joints),
        parents=_parents(path, sections["hierarchy"], joints),
        offset=np.stack(offsets),
        axis=_rotations(at_rest[None], order_array)[0],
        order=order_array,
        channels=tuple(channels),
        metres=metres,
        degrees=degrees,
    )


def read_amc(path: str | Path, skeleton: AsfSkeleton) -> AmcMotion:
    """Read a motion of a skeleton.

    Angles follow ``:DEGREES`` or ``:RADIANS`` of the file, or else the skeleton's unit; translations have the
    skeleton's length unit. Frames may start at any number and count in any step, always the same (1, 5, 9 where three
    of four frames were left out). What follows a ``#`` is a comment.

    Raises:
        FileNotFoundError: if there is no such file.
        AcclaimError: naming the line, if a frame is cut short or out of turn, a bone is unknown, comes twice or has the
            wrong number of values, or a value is no finite number.
    """
    path = Path(path)
    # a value's column in the flat row of a frame; bones without freedoms are known, but need no line
    columns = {
        name: [6 * j + channel for channel in channels]
        for j, (name, channels) in enumerate(zip(skeleton.joints, skeleton.channels, strict=True))
    }
    moving = {name for name, column in columns.items() if column}
    width, degrees = 6 * len(columns), skeleton.degrees
    rows: list[list[float]] = []
    row: list[float] = []
    frame = opened = step = 0
    seen: set[str] = set()
    for number, words in _lines(path, _AMC_LIMIT):
        name = words[0]
        if name[0] == ":":
            if name.upper() in (":DEGREES", ":RADIANS"):
                degrees = name.upper() == ":DEGREES"
        elif len(words) == 1 and name.isdecimal():
            if rows and len(seen) != len(moving):
                _cut_short(path, opened, frame, moving - seen)
            if len(name) > _DIGITS or not name.isascii():
                _fail(path, number, f"'{name[:40]}' is no frame number.")
            if len(rows) == 1:
                step = int(name) - frame
            if rows and (step < 1 or int(name) != frame + step):
                expected = f"frame {frame + max(step, 1)}"
                _fail(path, number, f"frame {name} follows frame {frame}, expected {expected}; is a part missing?")
            frame, opened = int(name), number
            row = [0.0] * width
            rows.append(row)
            seen = set()
        else:
            if not rows:
                _fail(path, number, f"found '{name}' before any frame number.")
            if name not in columns:
                _fail(path, number, f"the skeleton has no bone '{name}'; its bones are {', '.join(columns)}.")
            if name in seen:
                _fail(path, number, f"bone '{name}' comes twice in frame {frame}.")
            column = columns[name]
            for at, value in zip(column, _numbers(path, number, name, words[1:], len(column)), strict=True):
                row[at] = value
            if column:
                seen.add(name)
    if not rows:
        raise AcclaimError(path, "it holds no frames; expected an AMC motion.")
    if len(seen) != len(moving):
        _cut_short(path, opened, frame, moving - seen)
    values = np.array(rows).reshape(len(rows), -1, 6)
    root = skeleton.parents.index(-1)
    return AmcMotion(
        translation=values[:, root, :3] * skeleton.metres,
        angles=values[:, :, 3:] * (math.pi / 180 if degrees else 1.0),
        step=max(step, 1),
    )


def forward_kinematics(skeleton: AsfSkeleton, motion: AmcMotion) -> Array:
    """Positions of all joints in all frames.

    With ``C`` the axis of a bone and ``M`` its rotation in the frame, ``R(bone) = R(parent) C M C^-1`` and
    ``position(bone) = position(parent) + R(bone) offset(bone)``.

    Returns:
        ``[f, v, 3]`` metres, in the order of ``skeleton.joints``.

    Raises:
        ValueError: if the motion has another number of joints than the skeleton.
    """
    frames, v = motion.angles.shape[:2]
    if v != len(skeleton.joints):
        raise ValueError(f"The motion moves {v} joints, but the skeleton has {len(skeleton.joints)}.")
    turn = skeleton.axis @ _rotations(motion.angles, skeleton.order) @ skeleton.axis.swapaxes(-1, -2)
    rotation, position = np.empty_like(turn), np.empty((frames, v, 3))
    parents = np.array(skeleton.parents)
    (root,), *levels = skeleton.levels()
    rotation[:, root], position[:, root] = turn[:, root], motion.translation
    for level in levels:
        above = parents[level]
        rotation[:, level] = rotation[:, above] @ turn[:, level]
        step = rotation[:, level] @ skeleton.offset[level][:, :, None]
        position[:, level] = position[:, above] + step[..., 0]
    return position


def _rotations(angles: Array, order: NDArray[np.int64]) -> Array:
    """``angles: [f, v, 3]`` radians about x, y, z, applied in ``order: [v, 3]`` -> ``[f, v, 3, 3]``."""
    sin, cos = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    single = np.eye(3) + sin * _GENERATORS + (1 - cos) * (_GENERATORS @ _GENERATORS)
    ordered = single[:, np.arange(len(order))[:, None], order]
    return ordered[:, :, 2] @ ordered[:, :, 1] @ ordered[:, :, 0]


def _fail(path: Path, number: int, message: str) -> NoReturn:
    raise AcclaimError(path, message, f"line {number}")


def _cut_short(path: Path, number: int, frame: int, missing: set[str]) -> NoReturn:
    _fail(path, number, f"frame {frame} is cut short, it has no values for {', '.join(sorted(missing))}.")


def _lines(path: Path, limit: int) -> list[Line]:
    """Numbered lines as words, without blank lines and comments."""
    # bytes that are no UTF-8 occur in comments only; in a value they fail to be a number
    text = read_text(
        path,
        limit=limit,
        fallback="latin-1",
        error=AcclaimError,
        missing=f"There is no file {path}; expected an Acclaim file (.asf or .amc) there.",
    )
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        comment = next((i for i, word in enumerate(words) if word[0] == "#"), None)
        if words[:comment]:
            lines.append((number, words[:comment]))
    return lines


def _numbers(path: Path, number: int, what: str, words: Sequence[str], count: int) -> list[float]:
    if len(words) != count:
        _fail(path, number, f"'{what}' has {len(words)} values, expected {count}.")
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    # comparisons with NaN are false
    if not all(abs(value) <= _LARGEST for value in values):
        shown = " ".join(words)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        beyond = "" if not all(map(math.isfinite, values)) else f", none beyond {_LARGEST:g}"
        _fail(path, number, f"'{what}' has the values '{shown}', expected finite numbers{beyond}.")
    return values


def _sections(lines: Sequence[Line]) -> dict[str, list[Line]]:
    sections: dict[str, list[Line]] = {}
    current: list[Line] = []
    for number, words in lines:
        if words[0][0] == ":":
            current = sections.setdefault(words[0][1:].lower(), [])
        else:
            current.append((number, words))
    return sections


def _root(path: Path, lines: Sequence[Line]) -> tuple[list[int], tuple[int, ...]]:
    """Rotation order and channels of the root."""
    entries = {words[0].lower(): (number, words[1:]) for number, words in lines}
    if "order" not in entries:
        raise AcclaimError(path, "the section ':root' has no line 'order', e.g. 'order TX TY TZ RX RY RZ'.")
    for rest in ("position", "orientation"):
        if rest in entries:
            number, words = entries[rest]
            if any(_numbers(path, number, rest, words, 3)):
                _fail(path, number, f"the root rests at {rest} {' '.join(words)}, expected 0 0 0.")
    order = _axis_order(path, entries["axis"][0], "".join(entries["axis"][1])) if "axis" in entries else [0, 1, 2]
    return order, _freedoms(path, *entries["order"], order, translates=True)


def _bones(path: Path, lines: Sequence[Line]) -> list[dict[str, Line]]:
    """One mapping from keyword to values per ``begin ... end`` block."""
    bones: list[dict[str, Line]] = []
    bone: dict[str, Line] | None = None
    for number, words in lines:
        keyword = words[0].lower()
        if keyword == "begin":
            if bone is not None:
                _fail(path, number, "a bone begins before the last one has ended.")
            bone = {"begin": (number, [])}
        elif bone is None:
            _fail(path, number, f"found '{words[0]}' outside of a bone, expected 'begin'.")
        elif keyword == "end":
            bones.append(bone)
            bone = None
        else:
            bone[keyword] = (number, words[1:])
    if bone is not None:
        _fail(path, bone["begin"][0], "the bone that begins here never ends; the file is cut short.")
    return bones


def _axis_order(path: Path, number: int, letters: str) -> list[int]:
    if sorted(letters.upper()) != ["X", "Y", "Z"]:
        _fail(path, number, f"the axis order is '{letters}', expected an order of the letters XYZ.")
    return ["XYZ".index(letter) for letter in letters.upper()]


def _freedoms(
    path: Path, number: int, words: Sequence[str], order: Sequence[int], translates: bool = False
) -> tuple[int, ...]:
    """Channels a joint lists, as indices into ``_CHANNELS``."""
    known = _CHANNELS if translates else _CHANNELS[3:]
    names = [word.lower() for word in words]
    if bad := [name for name in names if name not in known]:
        _fail(path, number, f"'{bad[0]}' is no known freedom here, expected some of {', '.join(known)}.")
    channels = tuple(_CHANNELS.index(name) for name in names)
    # a list in another order than the axis could mean either order of rotation, so it must not be guessed
    turns = [channel - 3 for channel in channels if channel >= 3]
    if len(set(channels)) != len(channels) or turns != [a for a in order if a in turns]:
        axis = "".join("XYZ"[a] for a in order)
        _fail(path, number, f"the freedoms '{' '.join(words)}' repeat or are not in the order of the axis, {axis}.")
    return channels


def _parents(path: Path, lines: Sequence[Line], joints: Sequence[str]) -> tuple[int, ...]:
    at: Mapping[str, int] = {name: j for j, name in enumerate(joints)}
    parents: dict[int, int] = {0: -1}
    for number, words in lines:
        if len(words) == 1 and words[0].lower() in ("begin", "end"):
            continue
        if unknown := [word for word in words if word not in at]:
            _fail(path, number, f"the hierarchy names '{unknown[0]}', but there is no such bone in :bonedata.")
        # parents come first, so that nothing can hang on itself
        if at[words[0]] not in parents:
            _fail(path, number, f"'{words[0]}' gets children before it has a parent; list the hierarchy root first.")
        for child in words[1:]:
            if at[child] in parents:
                _fail(path, number, f"'{child}' gets a second parent, '{words[0]}'.")
            parents[at[child]] = at[words[0]]
    if loose := [name for name in joints if at[name] not in parents]:
        raise AcclaimError(path, f"the hierarchy does not connect {', '.join(loose)} to the root.")
    return tuple(parents[j] for j in range(len(joints)))
