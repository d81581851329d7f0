"""Lamps, materials, and the ground with its shadows: how the studio of CLEVR and CATER looks."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.toy_blocks_world.camera import HEIGHT, WIDTH, ground_points, project
from mutoscope.data.action_graph.toy_blocks_world.solids import Solid

Floats = NDArray[np.float32]

_PALETTE = {
    "gray": (110, 110, 110),
    "red": (178, 42, 42),
    "blue": (48, 82, 205),
    "green": (38, 122, 34),
    "brown": (158, 98, 44),
    "purple": (136, 46, 186),
    "cyan": (44, 190, 190),
    "yellow": (228, 216, 62),
    "gold": (238, 202, 10),
}
#: the shadow is soft, so half the picture's size is enough for it
SHADOW_SCALE = 0.5
#: strength of the shadow of each lamp in the middle
_SHADOW = (0.13, 0.11, 0.12)
#: in units of the scene, from below the object
_LONGEST_SHADOW = 3.5
#: axes are drawn in gold on the ground, as long as this
_AXIS = 2.9
#: the ground far from all lamps
_DUSK = (105.0, 105.0, 99.0)


@dataclass(frozen=True)
class Lamps:
    """Three soft lamps.

    Args:
        places: ``[3, 3]``: key (right), fill (left), back.
        power: ``[3]``.
    """

    places: NDArray[np.float64]
    power: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Lamps":
        """CLEVR's lamps, each moved a little."""
        places = np.array([[6.4, -2.9, 4.3], [-4.7, -4.0, 3.0], [-1.2, 2.6, 5.8]])
        return cls(places + rng.uniform(-0.5, 0.5, (3, 3)), np.array([1.0, 0.55, 0.5]) * rng.uniform(0.9, 1.1, 3))


def color_of(name: str) -> Floats:
    """``[3]`` in 0..255."""
    return np.array(_PALETTE[name], dtype=np.float32)


def shade(
    color: Floats, metal: bool, lamps: Lamps, place: NDArray[np.float64], normal: Floats, ray: Floats, height: Floats
) -> Floats:
    """Colours of points of an object.

    Args:
        color: ``[3]``.
        metal: else rubber.
        lamps: that shine on it.
        place: ``[3]``, the object's centre.
        normal: ``[3, k]`` of unit length.
        ray: ``[3, k]``, from the eye to the points, of any length.
        height: ``[k]`` above the ground.

    Returns:
        ``[3, k]`` in 0..255.
    """
    toward = lamps.places - place
    distance = np.sqrt((toward**2).sum(1))
    toward = (toward / distance[:, None]).astype(np.float32)
    power = (lamps.power * np.minimum(40.0 / distance**2, 2.0)).astype(np.float32)
    facing = np.maximum(toward @ normal, 0.0)
    lit = power @ facing
    # little light gets to where an object meets the ground
    near_ground = np.clip(0.62 + height * 0.55, 0.0, 1.0)
    unit = ray / np.sqrt((ray**2).sum(0))
    mirrored = unit - 2 * (unit * normal).sum(0) * normal
    glint = np.maximum(toward @ mirrored, 0.0)
    broad = np.square(np.square(np.square(glint)))
    if not metal:
        base = (0.54 + 0.1 * normal[2] + 0.36 * lit) * near_ground
        return np.asarray(color[:, None] * base + 8 + 10 * (power @ broad))
    sharp = np.square(np.square(np.square(broad)))
    down = np.clip(0.55 - 2.2 * mirrored[2], 0.0, 1.0)
    world = 0.16 + 0.62 * down * down * (3 - 2 * down) * near_ground
    return np.asarray(
        color[:, None] * (world + 0.16 * lit + 0.55 * (power @ broad)) + 16 * down + 120 * (power @ sharp)
    )


def ground(lamps: Lamps) -> Floats:
    """The empty stage, ``[h, w, 3]`` in 0..255: pools of light on a grey floor that fades away, and golden axes."""
    points = ground_points()
    picture = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    picture[:] = _DUSK
    tints = np.array([[1.0, 0.98, 0.95], [0.92, 0.97, 1.12], [1.0, 1.0, 0.97]], dtype=np.float32)
    for place, power, tint in zip(lamps.places, lamps.power, tints, strict=True):
        apart = ((points - place[:2, None, None].astype(np.float32)) ** 2).sum(0)
        fall = (1 + apart / float(place[2] ** 2)) ** -1.5
        picture += (54 * power * fall)[..., None] * tint
    gold = np.array([196, 178, 92], dtype=np.float32)
    share = _axes()[..., None] * 0.6
    return np.asarray(picture * (1 - share) + gold * share)


@cache
def _axes() -> Floats:
    """Share of every pixel covered by the golden axes, ``[h, w]``."""
    fine = 3
    x, y = ground_points(fine)
    width = 0.014
    line = ((abs(y) < width) & (x > -0.7) & (x < _AXIS)) | ((abs(x) < width) & (y < 0.7) & (y > -_AXIS))
    ends = (abs(x - _AXIS) < width) & (abs(y) < 0.1) | (abs(y + _AXIS) < width) & (abs(x) < 0.1)
    return np.asarray((line | ends).reshape(HEIGHT, fine, WIDTH, fine).mean((1, 3)), dtype=np.float32)


@cache
def _floor() -> Floats:
    return ground_points(SHADOW_SCALE)


def darken(light: Floats, solid: Solid, place: NDArray[np.float64], lamps: Lamps) -> slice:
    """Take the shadow of an object off ``light`` ``[h, w]``, the light left on the ground at half the picture's size.

    Returns:
        the rows of ``light`` that may have changed.
    """
    r, lift = solid.radius, max(float(place[2]) - solid.half_height, 0.0)
    # from where the light past the object's foot meets the ground to where that past its top does
    heights = np.stack([np.full(3, lift), np.minimum(lift + 1.5 * solid.half_height, lamps.places[:, 2] - 1.2)])
    away = (place[:2] - lamps.places[:, :2]) * (heights / (lamps.places[:, 2] - heights))[..., None]
    away *= np.minimum(1.0, _LONGEST_SHADOW / (np.hypot(away[..., 0], away[..., 1]) + 1e-9))[..., None]
    near, far = place[:2] + away
    corners = np.concatenate([near, far])[:, None] + (2.0 * r + 0.6 * lift) * _SIGNS
    pixels = project(np.concatenate([corners.reshape(-1, 2), np.zeros((24, 1))], axis=1)) * SHADOW_SCALE
    rows, columns = (_span(pixels[:, axis], light.shape[1 - axis]) for axis in (1, 0))
    points, part = _floor()[:, rows, columns], light[rows, columns]
    soft = np.float32(0.6 * r + 0.5 * lift)
    for k, strength in enumerate(_SHADOW):
        along = (far[k] - near[k]).astype(np.float32)
        apart = points - near[k].astype(np.float32)[:, None, None]
        share = np.clip(
            (apart[0] * along[0] + apart[1] * along[1]) / np.float32(along @ along + 1e-6), np.float32(0), np.float32(1)
        )
        distance = np.hypot(apart[0] - share * along[0], apart[1] - share * along[1])
        # the further from the object the softer; the tip of a cone throws next to nothing
        wide = np.float32(r) * (1 - np.float32(0.8 if solid.shape == "cone" else 0.25) * share)
        edge = np.clip(
            (wide + soft * (0.3 + share) - distance) / (soft * (0.8 + 2 * share)), np.float32(0), np.float32(1)
        )
        part *= 1 - np.float32(strength) * edge * edge * (3 - 2 * edge) * (1 - np.float32(0.6) * share)
    below = points - place[:2].astype(np.float32)[:, None, None]
    near_foot = (below[0] ** 2 + below[1] ** 2) / np.float32((r * 1.1 + 0.3 * lift) ** 2)
    part *= 1 - np.float32(0.42 / (1 + (0.6 * lift / r) ** 2)) * np.exp(-near_foot * near_foot)
    return rows


def _span(pixels: NDArray[np.float64], size: int) -> slice:
    """Pixels around all those given, or all there are where some are behind the camera (not a number)."""
    if np.isnan(pixels).any():
        return slice(0, size)
    return slice(*np.clip([int(pixels.min()), int(pixels.max()) + 2], 0, size).tolist())


_SIGNS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
