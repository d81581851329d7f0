"""Where from a skeleton is looked at, and how far it reaches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mutoscope.render.canvas import Array
from mutoscope.structures import Skeleton

Motion = Tensor | NDArray[np.floating]

#: radius of a head in statures
HEAD = 0.062


@dataclass(frozen=True)
class Camera:
    """Where a 3-D clip is seen from; 2-D clips are always seen as they are.

    Args:
        azimuth: degrees around the up axis; 0 stands before a person who faces +z, 90 at their left hand.
        elevation: degrees above the horizon.
        distance: of the eye, in radii of what it looks at; smaller is more perspective, infinity is orthographic.
        follow: travel along with the root over the floor instead of standing still.
    """

    azimuth: float = 35.0
    elevation: float = 14.0
    distance: float = 6.0
    follow: bool = False

    def __post_init__(self) -> None:
        if not self.distance > 1.5:
            raise ValueError(f"Camera.distance is {self.distance} radii, expected more than 1.5 (inf: orthographic).")

    @property
    def axes(self) -> Array:
        """``[3, 3]``: the rows point right, up and towards the eye, in world coordinates."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        return np.array(
            [
                [math.cos(a), 0.0, -math.sin(a)],
                [-math.sin(a) * math.sin(e), math.cos(e), -math.cos(a) * math.sin(e)],
                [math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)],
            ]
        )


#: three quarters from the front, a little from above: the person's left is at the right of the picture
THREE_QUARTER = Camera()


#: the same, travelling along, so that figures stay large however far they walk
FOLLOWING = Camera(follow=True)


#: straight from the front, without perspective: the only view of 2-D data
FRONT = Camera(azimuth=0.0, elevation=0.0, distance=math.inf)


@dataclass(frozen=True)
class Bounds:
    """What a camera must show; clips drawn with equal bounds and camera have equal scale.

    Args:
        points: the outermost places (x, y up, z) in some hundred directions, so that every camera can fit them tightly.
        floor: height of the ground.
        stature: height of a person standing upright, which sets bone width and head size.
    """

    points: tuple[tuple[float, float, float], ...]
    floor: float
    stature: float

    @property
    def low(self) -> Array:
        """Lower corner ``[3]`` of the box around everything."""
        return np.min(self.points, axis=0)

    @property
    def high(self) -> Array:
        """Upper corner ``[3]`` of the box around everything."""
        return np.max(self.points, axis=0)

    @classmethod
    def around(
        cls, clips: Sequence[Tensor | NDArray[np.floating]], skeleton: Skeleton, follow: bool = False
    ) -> "Bounds":
        """Bounds of several clips ``[t, v, c]`` (lengths may differ), as a camera with this ``follow`` sees them.

        The floor is the median over clips of their lowest point, so that one wild clip does not move it.
        """
        if not clips:
            raise ValueError("Bounds need at least one clip to fit around, got none.")
        worlds = [to_world(clip, skeleton) for clip in clips]
        stature = max(float(np.median([stature_of(world, skeleton) for world in worlds])), 1e-6)
        seen = [world - track(world, skeleton, follow)[:, None] for world in worlds]
        floor = float(np.median([places[..., 1].min() for places in seen]))
        head = head_joint(skeleton)
        disc = np.concatenate([np.eye(3), -np.eye(3)]) * HEAD * stature
        outermost = []
        for places in seen:
            around_head = np.zeros((0, 3)) if head is None else (places[:, head, None] + disc).reshape(-1, 3)
            outermost.append(outermost_of(np.concatenate([places.reshape(-1, 3), around_head])))
        points = outermost_of(np.concatenate(outermost))
        return cls(tuple((float(x), float(y), float(z)) for x, y, z in points), floor, stature)


def to_world(joints: Tensor | NDArray[np.floating], skeleton: Skeleton) -> Array:
    """Any clip as ``[t, v, 3]`` float64 with y up: 3-D data by the skeleton's up axis, 2-D data (x, y up) at z = 0.

    Raises:
        ValueError: wrong shape, no frames, or numbers that are not finite.
    """
    array = np.asarray(joints.detach().cpu() if isinstance(joints, Tensor) else joints, dtype=np.float64)
    v = skeleton.num_joints
    if array.ndim != 3 or array.shape[1] != v or array.shape[2] not in (2, 3) or not len(array):
        raise ValueError(
            f"A motion clip has shape {list(array.shape)}, expected [t, {v}, 2 or 3] for skeleton '{skeleton.name}'."
        )
    if not np.isfinite(array).all():
        frame = int(np.argmin(np.isfinite(array).all((1, 2))))
        raise ValueError(
            f"A motion clip holds numbers that are not finite (first in frame {frame}), expected coordinates only; "
            "the model that made it may have diverged."
        )
    if array.shape[2] == 2:
        return np.concatenate([array, np.zeros_like(array[..., :1])], axis=-1)
    if skeleton.up_axis == 1:
        return array
    a, b = (axis for axis in range(3) if axis != skeleton.up_axis)
    return np.stack([array[..., a], array[..., skeleton.up_axis], -array[..., b]], axis=-1)


def track(world: Array, skeleton: Skeleton, follow: bool = True) -> Array:
    """Where the camera goes: the root's smoothed ground position ``[t, 3]`` (zeros where it does not follow)."""
    path = np.zeros((len(world), 3))
    if follow:
        reach = min(4, len(world) - 1)
        padded = np.pad(world[:, skeleton.root], ((reach, reach), (0, 0)), mode="edge")
        path[:, [0, 2]] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).mean(-1)[:, [0, 2]]
    return path


def head_joint(skeleton: Skeleton) -> int | None:
    """The joint drawn as a disc: the one named head, if there is one."""
    return next((j for j, name in enumerate(skeleton.joints) if name.lower() == "head"), None)


def stature_of(world: Array, skeleton: Skeleton) -> float:
    """Length along the bones from the farthest foot over the root to the end of the trunk, whatever the pose."""
    lengths = {j: float(np.median(np.linalg.norm(world[:, j] - world[:, p], axis=-1))) for p, j in skeleton.bones}

    def to_root(joint: int) -> float:
        total = 0.0
        while (parent := skeleton.parents[joint]) != -1:
            total, joint = total + lengths[joint], parent
        return total

    trunk = [to_root(j) for j in range(skeleton.num_joints) if skeleton.side(j) == "middle"]
    return max((to_root(j) for j in skeleton.feet), default=0.0) + max(trunk)


def directions(count: int) -> Array:
    """``[count + 6, 3]``: the axes, both ways, and a spiral that covers the sphere evenly (golden angle)."""
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))
    y = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - y**2)
    spiral = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)
    return np.concatenate([np.eye(3), -np.eye(3), spiral])


def outermost_of(points: Array) -> Array:
    """Of ``[n, 3]``, those that lie farthest in one of many directions."""
    return points[np.unique((points @ directions(128).T).argmax(axis=0))]


@dataclass(frozen=True)
class View:
    """Camera, bounds and picture size put together: world -> pixels of the supersampled canvas."""

    axes: Array
    centre: Array
    eye: float
    scale: float
    shift: Array

    @classmethod
    def fit(cls, camera: Camera, bounds: Bounds, box: tuple[float, float, float, float]) -> "View":
        """The view whose box (left, top, right, bottom) in pixels just holds the bounds."""
        low, high = bounds.low, bounds.high
        centre = (low + high) / 2
        radius = max(float(np.linalg.norm(high - low)) / 2, bounds.stature / 2)
        raw = cls(camera.axes, centre, camera.distance * radius, 1.0, np.zeros(2))
        flat, _ = raw.project(np.array(bounds.points))
        extent = np.maximum(np.ptp(flat, axis=0), bounds.stature * 0.1)
        left, top, right, bottom = box
        scale = float(min((right - left) / extent[0], (bottom - top) / extent[1]))
        middle = (flat.min(0) + flat.max(0)) / 2
        return cls(
            raw.axes, centre, raw.eye, scale, np.array([(left + right) / 2, (top + bottom) / 2]) - scale * middle
        )

    def project(self, world: Array) -> tuple[Array, Array]:
        """``[..., 3]`` -> pixels ``[..., 2]`` (y down) and nearness ``[...]`` in world units."""
        seen = (world - self.centre) @ self.axes.T
        near = seen[..., 2]
        shrink = 1.0 / np.maximum(1.0 - near / self.eye, 0.05)
        flat = seen[..., :2] * shrink[..., None] * (1.0, -1.0)
        return flat * self.scale + self.shift, near
