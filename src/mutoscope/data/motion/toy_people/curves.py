"""Smooth curves through key frames, evaluated for all clips at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def smoothstep(x: Array) -> Array:
    """Minimum-jerk step from 0 (x <= 0) to 1 (x >= 1), with velocity and acceleration zero at both ends."""
    x = np.clip(x, 0.0, 1.0)
    # rounding must not carry it beyond 1, where callers take roots of what is left
    return np.minimum(x**3 * (10.0 + x * (6.0 * x - 15.0)), 1.0)


def keyed(time: Array, knots: ArrayLike, values: ArrayLike, slopes: ArrayLike | None = None) -> Array:
    """Cubic Hermite curve through key frames, at rest before the first and after the last.

    Without given slopes it is monotone between neighbouring keys (weighted harmonic mean of the secants, Fritsch and
    Butland 1984), so that it never overshoots a pose.

    Args:
        time: ``[n, t]``, held inside the range of the knots.
        knots: ``[k]`` or ``[n, k]``, rising.
        values: ``[k]`` for all clips alike, or ``[n, k, ...]``.
        slopes: of the curve at the knots, shaped like ``values``.

    Returns:
        ``[n, t, ...]``.
    """
    n, frames = time.shape
    x = np.asarray(knots, dtype=np.float64)
    x = np.broadcast_to(x, (n, x.shape[-1]))
    k = x.shape[1]
    y = np.asarray(values, dtype=np.float64)
    trailing = y.shape[2:]
    y = np.broadcast_to(y, (n, k, *trailing)).reshape(n, k, -1)
    step = np.diff(x, axis=1)[..., None]
    if slopes is None:
        m = _monotone_slopes(step, np.diff(y, axis=1) / step)
    else:
        m = np.broadcast_to(np.asarray(slopes, dtype=np.float64), (n, k, *trailing)).reshape(n, k, -1)
    time = np.clip(time, x[:, :1], x[:, -1:])
    left = (time[:, :, None] >= x[:, None, 1:-1]).sum(axis=2)
    clip = np.arange(n)[:, None]
    h = step[clip, left]
    u = (time - x[clip, left])[..., None] / h
    a, b = y[clip, left], y[clip, left + 1]
    da, db = m[clip, left] * h, m[clip, left + 1] * h
    curve = a + u * (da + u * (3.0 * (b - a) - 2.0 * da - db + u * (2.0 * (a - b) + da + db)))
    return curve.reshape(n, frames, *trailing)


def looped(phase: Array, knots: ArrayLike, values: ArrayLike) -> Array:
    """Closed curve through key frames of a cycle.

    Args:
        phase: ``[n, t]``, in cycles; any real number.
        knots: ``[k]``, rising, in [0, 1).
        values: ``[k]``.

    Returns:
        ``[n, t]``.
    """
    x, y = np.asarray(knots, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return keyed(phase % 1.0, np.concatenate([x - 1.0, x, x + 1.0]), np.concatenate([y, y, y]))


def _monotone_slopes(step: Array, secant: Array) -> Array:
    slope = np.zeros((secant.shape[0], secant.shape[1] + 1, secant.shape[2]))
    before, after = secant[:, :-1], secant[:, 1:]
    same = before * after > 0.0
    w1, w2 = 2.0 * step[:, 1:] + step[:, :-1], step[:, 1:] + 2.0 * step[:, :-1]
    numerator = (w1 + w2) * before * after
    denominator = w1 * after + w2 * before
    slope[:, 1:-1] = np.where(same, numerator / np.where(same, denominator, 1.0), 0.0)
    return slope
