"""Five solids: how large they are, and where rays meet them.

All solids are centred at the origin of their own frame; the axes of cylinder and cone are its z axis. CATER's boxes
are constant in pixels whatever the distance, so sizes are chosen such that solids fill their boxes at the middle of
the scene.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHAPES = ("cube", "sphere", "cylinder", "spl", "cone")
#: from the smallest
SIZES = ("small", "medium", "large")

_RADIUS = {
    "cube": (0.31, 0.53, 0.73),
    "sphere": (0.43, 0.70, 0.92),
    "cylinder": (0.38, 0.60, 0.82),
    "spl": (0.42, 0.68, 0.92),
    "cone": (0.54, 0.70, 0.95),
}
_HALF_HEIGHT = {"cone": (0.55, 0.56, 0.80)}

#: edges of cube and cylinder are rounded over this share of the half width
_BEVEL = 0.1
#: the spl is a hollow ball; its holes are round, seen from the middle under an angle with this cosine
_HOLE = 0.945
#: half way between two holes the angle has about this cosine
_ROD = 0.84
_HOLES = np.concatenate(
    [
        np.eye(3),
        -np.eye(3),
        np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3.0),
    ]
).astype(np.float32)


@dataclass(frozen=True)
class Solid:
    """A solid of some size.

    Args:
        shape: one of :data:`SHAPES`.
        radius: half the side of a cube, else the radius (a cone's at its base).
        half_height: from the centre to top and bottom.
    """

    shape: str
    radius: float
    half_height: float

    @classmethod
    def of(cls, shape: str, size: str) -> "Solid":
        """The solid of a shape and size by name."""
        number = SIZES.index(size)
        radius = _RADIUS[shape][number]
        return cls(shape, radius, _HALF_HEIGHT[shape][number] if shape in _HALF_HEIGHT else radius)

    @property
    def reach(self) -> float:
        """No point is further from the vertical through the centre, however the solid lies or turns."""
        return self.radius * (np.sqrt(2.0) if self.shape in ("cube", "cylinder") else 1.0)

    @property
    def reach_up(self) -> float:
        """No point is further above or below the centre, however the solid lies or turns."""
        return self.half_height if self.shape == "cone" else self.reach

    @property
    def ball(self) -> float:
        """Radius of a ball around the centre that holds the solid."""
        if self.shape == "cube":
            return self.radius * float(np.sqrt(3.0))
        return float(np.hypot(self.radius, self.half_height)) if self.shape in ("cylinder", "cone") else self.radius

    def height_above_ground(self, turn: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height of the centre of a solid that touches the ground.

        Args:
            turn: ``[..., 3, 3]`` from its own frame to the scene's.
        """
        up = np.abs(turn[..., 2, :])
        if self.shape == "cube":
            return np.asarray(self.radius * up.sum(-1))
        if self.shape == "cylinder":
            return np.asarray(self.radius * np.hypot(up[..., 0], up[..., 1]) + self.half_height * up[..., 2])
        return np.full(turn.shape[:-2], self.half_height)


class Hits(NamedTuple):
    """Where rays meet a solid first.

    Args:
        rays: ``[k]`` which rays.
        depth: ``[k]`` in ray lengths.
        normal: ``[3, k]`` of unit length, out of the solid, in its own frame.
        inner: ``[k]`` whether the inner side of a hollow solid is seen.
    """

    rays: NDArray[np.intp]
    depth: Floats
    normal: Floats
    inner: NDArray[np.bool_]


def intersect(solid: Solid, origin: Floats, rays: Floats) -> Hits:
    """Meet ``rays`` (``[3, k]``, from ``origin`` ``[3]`` outside, both in the solid's own frame) with a solid.

    Cones are open to rays that come from above at a flat angle, as from CATER's camera.
    """
    if solid.shape == "spl":
        return _ball_with_holes(solid, origin, rays)
    enter, leave = _interval(solid, origin, rays)
    index = np.flatnonzero(enter < leave)
    depth = enter[index]
    point = origin[:, None] + depth * rays[:, index]
    return Hits(index, depth, _normal(solid, point), np.zeros(len(index), dtype=np.bool_))


def _interval(solid: Solid, origin: Floats, rays: Floats) -> tuple[Floats, Floats]:
    """Between which depths rays are inside; a convex solid is the common part of a few simpler ones."""
    r, h = solid.radius, solid.half_height
    if solid.shape == "sphere":
        return _quadric(rays, origin, float(origin @ origin) - r * r, (1.0, 1.0, 1.0))
    if solid.shape == "cube":
        enter, leave = _slab(origin[0], rays[0], r)
        for axis in (1, 2):
            near, far = _slab(origin[axis], rays[axis], r)
            enter, leave = np.maximum(enter, near), np.minimum(leave, far)
        return enter, leave
    near, far = _slab(origin[2], rays[2], h)
    if solid.shape == "cylinder":
        enter, leave = _quadric(rays, origin, float(origin[0] ** 2 + origin[1] ** 2) - r * r, (1.0, 1.0, 0.0))
    else:
        slope = (r / (2 * h)) ** 2
        from_apex = origin - np.array([0, 0, h], dtype=np.float32)
        weight = (1.0, 1.0, -slope)
        enter, leave = _quadric(rays, from_apex, float((from_apex**2 * weight).sum()), weight)
    return np.maximum(enter, near), np.minimum(leave, far)


def _slab(origin: float, ray: Floats, half: float) -> tuple[Floats, Floats]:
    inverse: Floats = np.reciprocal(np.where(ray == 0, np.float32(1e-9), ray))
    middle: Floats = np.float32(-origin) * inverse
    reach: Floats = np.float32(half) * np.abs(inverse)
    return middle - reach, middle + reach


def _quadric(
    rays: Floats, origin: Floats, constant: float, weight: tuple[float, float, float]
) -> tuple[Floats, Floats]:
    """Depths between which ``weight . point**2 <= r**2``, ``constant`` being the left less the right at the origin."""
    a = np.zeros_like(rays[0])
    b = np.zeros_like(a)
    for axis, w in enumerate(weight):
        if w:
            a += np.float32(w) * rays[axis] ** 2
            b += np.float32(w * origin[axis]) * rays[axis]
    a = np.maximum(a, np.float32(1e-9))
    inside = b * b - a * np.float32(constant)
    root = np.sqrt(np.maximum(inside, 0.0))
    missed = np.where(inside > 0, np.float32(0), np.float32(np.inf))
    return (-b - root) / a + missed, (-b + root) / a


def _normal(solid: Solid, point: Floats) -> Floats:
    r, h = solid.radius, solid.half_height
    if solid.shape == "sphere":
        return np.asarray(point / np.float32(r))
    if solid.shape == "cone":
        normal = point.copy()
        normal[2] = np.hypot(point[0], point[1]) * np.float32(r / (2 * h))
    elif solid.shape == "cube":
        sides: Floats = np.divide(np.abs(point), r, dtype=np.float32)
        normal = np.sign(point) * _rounded(sides)
    else:
        across: Floats = np.hypot(point[0], point[1]) + np.float32(1e-6)
        share: Floats = np.divide(across, r, dtype=np.float32)
        normal = point / across * _rounded(share)
        normal[2] = np.sign(point[2]) * _rounded(np.abs(point[2]) / np.float32(h))
    return np.asarray(normal / (np.sqrt((normal**2).sum(0)) + np.float32(1e-6)))


def _rounded(share: Floats) -> Floats:
    """0 on most of a face, 1 at its edge: near edges the normals of both faces mix."""
    return np.asarray(np.clip((share - (1 - _BEVEL)) / _BEVEL, 0.0, 1.0) ** 2)


def _ball_with_holes(solid: Solid, origin: Floats, rays: Floats) -> Hits:
    r = np.float32(solid.radius)
    enter, leave = _quadric(rays, origin, float(origin @ origin) - float(r) ** 2, (1.0, 1.0, 1.0))
    index = np.flatnonzero(np.isfinite(enter))
    rays = rays[:, index]
    front: Floats = np.divide(origin[:, None] + enter[index] * rays, r, dtype=np.float32)
    back: Floats = np.divide(origin[:, None] + leave[index] * rays, r, dtype=np.float32)
    open_front, edge = _in_hole(front)
    open_back, edge_back = _in_hole(back)
    seen = ~(open_front & open_back)
    depth = np.where(open_front, leave[index], enter[index])
    normal = np.where(open_front, -back - edge_back, front + edge)
    normal /= np.sqrt((normal**2).sum(0)) + np.float32(1e-6)
    return Hits(index[seen], depth[seen], normal[:, seen], open_front[seen])


def _in_hole(normal: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Whether points of the unit ball lie in a hole; elsewhere how the rods between holes round their normals."""
    cosine = _HOLES @ normal
    nearest = cosine.argmax(0)
    largest = np.take_along_axis(cosine, nearest[None], 0)[0]
    axis = _HOLES.T[:, nearest]
    near_rim = np.clip((largest - _ROD) / (_HOLE - _ROD), 0.0, 1.0)
    return largest > _HOLE, np.asarray(axis * near_rim)
