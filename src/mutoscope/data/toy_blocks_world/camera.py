"""The camera of CATER: where points are seen, and which ray belongs to a pixel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: width and height of the pictures in pixels
WIDTH, HEIGHT = 320, 240
#: rows X, Y and W of CATER's camera: a point is seen at u = X/W, v = -Y/W, both in [-1, 1], at depth W
CAMERA = np.array(
    [
        [1.4503, 1.6376, 0.0000, -0.0251],
        [-1.0346, 0.9163, 2.5685, 0.0095],
        [-0.6592, 0.5839, -0.4738, 10.7452],
    ]
)
#: where all rays begin
EYE = -np.linalg.solve(CAMERA[:, :3], CAMERA[:, 3])


def project(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Where points ``[..., 3]`` of the scene are seen: pixels ``[..., 2]``, (0, 0) the top-left corner."""
    seen = np.asarray(points, dtype=np.float64) @ CAMERA[:, :3].T + CAMERA[:, 3]
    across, down = seen[..., 0] / seen[..., 2], -seen[..., 1] / seen[..., 2]
    return np.stack([(across + 1) * WIDTH / 2, (down + 1) * HEIGHT / 2], axis=-1)


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
    return np.tensordot(np.linalg.inv(CAMERA[:, :3]), seen, axes=1).astype(np.float32)


def ground_points(scale: float = 1.0) -> Floats:
    """Where the rays meet the ground, ``[2, h, w]`` (x, y); far away where they do not."""
    ray = rays(scale)
    depth = -EYE[2] / np.minimum(ray[2], -1e-3)
    points = np.asarray(EYE)[:2, None, None] + depth * ray[:2]
    return points.astype(np.float32)
