"""Recordings at another frame rate."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Float = TypeVar("Float", np.float32, np.float64)


def resample(joints: NDArray[Float], source_fps: float, target_fps: float) -> NDArray[Float]:
    """Read positions at another frame rate, from the first frame to the last one within the recording.

    Where the source rate is a multiple of the target rate frames are picked, not mixed (120 -> 30 fps keeps every
    fourth frame); otherwise a cubic spline through the positions is read, which leaves frames at shared times as they
    were. Nothing is low-pass filtered, as is usual for motion capture.

    Args:
        joints: ``[f, v, c]``.
        source_fps, target_fps: frames per second, before and after.

    Returns:
        ``[1 + floor((f - 1) * target_fps / source_fps), v, c]`` of the same type.

    Raises:
        ValueError: if a rate is not positive, or there is no frame.
    """
    if not (source_fps > 0 and target_fps > 0):
        raise ValueError(f"Cannot resample from {source_fps} to {target_fps} fps; both must be positive.")
    if len(joints) == 0:
        raise ValueError("Cannot resample a recording without frames.")
    step = source_fps / target_fps
    if abs(step - round(step)) < 1e-9:
        return joints[:: round(step)]
    if len(joints) == 1:
        return joints
    # the last frame stays in where rounding would put it just past the end
    at = np.arange(int((len(joints) - 1) / step + 1e-6) + 1) * step
    spline = CubicSpline(np.arange(len(joints)), joints, axis=0)
    return spline(np.minimum(at, len(joints) - 1)).astype(joints.dtype)
