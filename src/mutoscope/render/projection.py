"""Motion in one or two numbers, for pictures: where a clip lies between two classes, and paths through pose space.

The paper of SA-GCN uses t-SNE for both. Straight lines are used here instead: they have a meaning and a unit, equal
clips lie at equal places, and nothing depends on chance.
"""

from dataclasses import dataclass

import numpy as np

from mutoscope.render.camera import Motion
from mutoscope.render.canvas import Array
from mutoscope.structures import Skeleton


def poses(clips: Motion, skeleton: Skeleton) -> Array:
    """Poses relative to the root's place on the ground: ``[..., v, c] -> [..., v * c]`` float64.

    Heights stay, so that sitting differs from standing; where a person goes makes no difference.
    """
    joints = np.array(clips, dtype=np.float64)
    up = 1 if joints.shape[-1] == 2 else skeleton.up_axis
    level = [axis for axis in range(joints.shape[-1]) if axis != up]
    joints[..., level] -= joints[..., [skeleton.root], :][..., level]
    return joints.reshape(*joints.shape[:-2], -1)


@dataclass(frozen=True)
class Axis:
    """The line from the mean of one set of points to that of another.

    Args:
        origin: ``[d]`` the first mean, which lies at 0.
        direction: ``[d]``, with which the second mean lies at 1.
    """

    origin: Array
    direction: Array

    @classmethod
    def between(cls, first: Array, second: Array) -> "Axis":
        """Fit to two sets ``[n, d]`` and ``[m, d]``.

        Raises:
            ValueError: where the means are the same but for rounding, so that there is no line.
        """
        start, end = first.mean(axis=0), second.mean(axis=0)
        square = float(((end - start) ** 2).sum())
        if square <= np.finfo(float).eps * float((start**2).sum()):
            raise ValueError("Both sets have the same mean, so nothing lies between them.")
        return cls(start, (end - start) / square)

    def positions(self, points: Array) -> Array:
        """``[..., d] -> [...]``: foot of the perpendicular on the line, 0 at the first mean and 1 at the second."""
        return (points - self.origin) @ self.direction


@dataclass(frozen=True)
class PrincipalPlane:
    """The plane in which points vary most.

    Args:
        mean: ``[d]``.
        directions: ``[2, d]``, orthonormal, of decreasing variance.
        shares: of all variance, along either direction.
    """

    mean: Array
    directions: Array
    shares: tuple[float, float]

    @classmethod
    def of(cls, points: Array) -> "PrincipalPlane":
        """Fit to ``[n, d]``; of either direction, the sense is that in which its largest entry is positive."""
        mean = points.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov(points - mean, rowvar=False, bias=True))
        two = axes[:, ::-1][:, :2].T
        two = two * np.sign(two[np.arange(2), np.abs(two).argmax(axis=1)])[:, None]
        total = max(float(variances.sum()), np.finfo(float).tiny)
        return cls(mean, two, (float(variances[-1]) / total, float(variances[-2]) / total))

    def project(self, points: Array) -> Array:
        """``[..., d] -> [..., 2]``."""
        return (points - self.mean) @ self.directions.T
