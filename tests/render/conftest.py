"""A stick figure by hand: 16 joints, 1.7 m tall, facing +z, so that its left lies at +x."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mutoscope.structures import H36M16

#: x of the left side, y, z in metres
_PLACES = {
    "hip": (0.0, 0.95, 0.0),
    "spine": (0.0, 1.2, 0.0),
    "thorax": (0.0, 1.45, 0.0),
    "head": (0.0, 1.65, 0.0),
    "left_hip": (0.1, 0.93, 0.0),
    "left_knee": (0.1, 0.5, 0.02),
    "left_foot": (0.1, 0.0, 0.05),
    "left_shoulder": (0.18, 1.42, 0.0),
    "left_elbow": (0.4, 1.3, 0.0),
    "left_wrist": (0.6, 1.2, 0.05),
}


def _rest_pose() -> NDArray[np.float32]:
    """``[16, 3]`` in metres, joints as in ``H36M16``."""
    rows = []
    for name in H36M16.joints:
        x, y, z = _PLACES[name.replace("right_", "left_")]
        rows.append((-x if name.startswith("right_") else x, y, z))
    return np.array(rows, dtype=np.float32)


def _walk(frames: int = 12, travel: float = 0.0, phase: float = 0.0) -> NDArray[np.float32]:
    """``[frames, 16, 3]``: legs swing, the left hand waves, the whole moves ``travel`` metres along +z."""
    clip = np.repeat(_rest_pose()[None], frames, axis=0)
    angle = phase + np.linspace(0, 2 * np.pi, frames, endpoint=False)
    at = H36M16.index
    for side, sign in (("left", 1.0), ("right", -1.0)):
        clip[:, at(f"{side}_knee"), 2] += sign * 0.15 * np.sin(angle)
        clip[:, at(f"{side}_foot"), 2] += sign * 0.35 * np.sin(angle)
    clip[:, at("left_wrist"), 1] += 0.3 * np.cos(angle)
    clip[..., 2] += np.linspace(0, travel, frames)[:, None]
    return clip.astype(np.float32)


@pytest.fixture
def walk() -> Callable[..., NDArray[np.float32]]:
    """Makes a clip; see ``_walk`` for its arguments."""
    return _walk


@pytest.fixture
def rest_pose() -> NDArray[np.float32]:
    return _rest_pose()
