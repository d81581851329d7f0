"""Whether recorded people are as large and as fast as people are, and by what factor they are not."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.sources import FileError
from mutoscope.structures import Skeleton

#: metres
UNITS = {"mm": 1e-3, "cm": 1e-2, "dm": 0.1, "m": 1.0, "in": 0.0254, "ft": 0.3048}
#: metres from foot to head along the bones, the smallest and the tallest: from toddlers to giants, and what markers add
PEOPLE = (0.5, 3.0)
#: where units can only be wrong by powers of ten, doubt is due later
WITHIN_A_POWER_OF_TEN = (0.3, 10.0)
#: metres per second that half of all joints reach in one frame in ten; sprinters reach 12
FASTEST = 15.0
_USUAL = 1.75
#: metres; whoever is smaller or taller is worth a word
_USUAL_RANGE = (0.9, 2.6)
#: logarithm of by how much people of all sizes differ from the usual height
_NEAR = math.log(1.6)
_NAMES = {"mm": "millimetres", "cm": "centimetres", "m": "metres", "in": "inches", "ft": "feet"}


class UnitError(FileError):
    """A recording of people that are too large, small or fast to be any."""


def metres_per_unit(unit: str | float) -> float:
    """Metres of a unit: its name, or a number of metres.

    Raises:
        ValueError: for an unknown name, or a number that is not positive.
    """
    if isinstance(unit, str) and unit in UNITS:
        return UNITS[unit]
    if isinstance(unit, int | float) and not isinstance(unit, bool) and 0 < unit < math.inf:
        return float(unit)
    raise ValueError(f"unit is '{unit}', expected one of {', '.join(UNITS)}, or how many metres it has, as 0.01.")


def stature(joints: NDArray[np.floating], skeleton: Skeleton) -> float:
    """How tall somebody is along their bones, however they stand or lie.

    Args:
        joints: ``[f, v, 3]``.
        skeleton: their layout.

    Returns:
        The longest way along the bones from a foot to a joint in the middle of the body, in the unit of the joints,
        every bone being as long as in the median frame.
    """
    length = np.zeros(skeleton.num_joints)
    for parent, joint in skeleton.bones:
        length[joint] = np.median(np.linalg.norm(joints[:, joint] - joints[:, parent], axis=-1))

    def to_root(joint: int) -> dict[int, float]:
        """Joints on the way up, and how far they are."""
        way, far = {joint: 0.0}, 0.0
        while (parent := skeleton.parents[joint]) != -1:
            far += float(length[joint])
            joint = parent
            way[joint] = far
        return way

    middle = [to_root(joint) for joint in range(skeleton.num_joints) if skeleton.side(joint) == "middle"]
    feet = [to_root(joint) for joint in skeleton.feet]
    ways = [min(down[j] + up[j] for j in down.keys() & up.keys()) for down in feet for up in middle]
    return max(ways, default=math.nan)


def check_people(
    path: Path,
    joints: NDArray[np.floating],
    skeleton: Skeleton,
    fps: float,
    unit: float,
    *,
    allowed: tuple[float, float] = PEOPLE,
    option: str = "dataset.unit",
) -> None:
    """Make sure that a recording shows people.

    Args:
        path: of the recording, for the error.
        joints: ``[f, v, 3]`` in metres.
        skeleton: their layout.
        fps: frames per second.
        unit: metres that a unit of the file was taken for.
        allowed: metres, the smallest and the tallest people.
        option: the setting that says otherwise.

    Raises:
        UnitError: naming the factor by which they are too large or small, and how to say the right unit.
    """
    tall = stature(joints, skeleton)
    if not allowed[0] <= tall <= allowed[1]:
        raise UnitError(
            path,
            f"{_unlike(tall, allowed, unit)}. If the file has another unit, say it: {_advice(tall, unit, option)}.",
        )
    if len(joints) > 1:
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * fps
        fast = float(np.quantile(np.median(speed, axis=1), 0.9))
        if fast > FASTEST:
            raise UnitError(
                path,
                f"people move at {fast:.3g} m/s at {fps:g} frames per second, expected at most {FASTEST:g}; check the "
                f"frame rate, and the unit of places ({option}).",
            )


def doubt(joints: NDArray[np.floating], skeleton: Skeleton) -> str | None:
    """What is odd about people ``[f, v, 3]`` in metres, as the beginning of a sentence, if anything is."""
    tall = stature(joints, skeleton)
    return (
        None if _USUAL_RANGE[0] <= tall <= _USUAL_RANGE[1] or not math.isfinite(tall) else _unlike(tall, _USUAL_RANGE)
    )


def _unlike(tall: float, allowed: tuple[float, float], unit: float = 1.0) -> str:
    expected = f"expected {allowed[0]:g} to {allowed[1]:g} m"
    if not tall > 0 or not math.isfinite(tall):
        return f"people are {tall:g} m tall along their bones, {expected}"
    factor, mix_up = _mix_up(tall, unit)
    times = f"{max(factor, 1 / factor):.3g} times too {'large' if factor > 1 else 'small'}"
    return f"people are {_length(tall)} tall along their bones, {expected}: about {times}{mix_up}"


def _advice(tall: float, unit: float, option: str) -> str:
    if not tall > 0 or not math.isfinite(tall):
        return f"{option}=mm, {option}=cm ..."
    true = unit / _mix_up(tall, unit)[0]
    name = next((name for name, metres in UNITS.items() if abs(metres / true - 1) < 0.02), f"{true:.4g}")
    return f"{option}={name}"


def _mix_up(tall: float, unit: float) -> tuple[float, str]:
    """By how much lengths are likely too large, and which unit was likely taken for which."""
    taken = [name for name in _NAMES if UNITS[name] == unit]
    found = {
        UNITS[one] / UNITS[true]: f", as if {_NAMES[true]} were taken for {_NAMES[one]}" if taken else ""
        for one in taken or _NAMES
        for true in _NAMES
        if one != true
    }
    times = tall / _USUAL
    best = min(found, key=lambda factor: abs(math.log(times / factor)))
    # where no mix-up explains it, the usual height does
    return (best, found[best]) if abs(math.log(times / best)) < _NEAR else (times, "")


def _length(metres: float) -> str:
    unit, size = ("mm", 1e-3) if metres < 0.01 else ("cm", 1e-2) if metres < 1 else ("m", 1.0)
    return f"{metres / size:.3g} {unit}"
