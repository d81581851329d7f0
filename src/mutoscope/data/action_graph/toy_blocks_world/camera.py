"""The camera of CATER: where points are seen, and which ray belongs to a pixel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats import cater
from mutoscope.formats.cater import CAMERA, PICTURE

Floats = NDArray[np.float32]

#: of the pictures in pixels
WIDTH, HEIGHT = PICTURE
#: rows X, Y and W of the camera: depth is W
VIEW = CAMERA[[0, 1, 3]]
#: where all rays begin
EYE = -np.linalg.solve(VIEW[:, :3], VIEW[:, 3])


def project(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Where points ``[..., 3]`` of the scene are seen: pixels ``[..., 2]``, (0, 0) the top-left corner."""
    return np.asarray((cater.project(points) + 1) / 2 * PICTURE)


def rays(scale: float = 1.0) -> Floats:
    """Directions of the rays through all pixel centres, as long as it takes to get one unit of depth further.

    Args:
        scale: picture size as a multiple of 320x240.

    Returns:
        ``[3, h, w]``; the point at depth ``s`` is ``EYE + s * ray``.
    """
    width, height = round(WIDTH * scale), round(HEIGHT * scale)
    u = (np.arange(width) + 0.5) * 2 / width - 1
    v = (np.arange(height) + 0.5) * 2 / height - 1
    seen = np.stack([np.broadcast_to(u, (height, width)), np.broadcast_to(-v[:, None], (height, width))])
    seen = np.concatenate([seen, np.ones((1, height, width))])
    return np.tensordot(np.linalg.inv(VIEW[:, :3]), seen, axes=1).astype(np.float32)


def ground_points(scale: float = 1.0) -> Floats:
    """Where the rays meet the ground, ``[2, h, w]`` (x, y); far away where they do not."""
    ray = rays(scale)
    depth = -EYE[2] / np.minimum(ray[2], -1e-3)
    points = np.asarray(EYE)[:2, None, None] + depth * ray[:2]
    return points.astype(np.float32)
