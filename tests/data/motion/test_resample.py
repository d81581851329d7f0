"""Recordings at another frame rate."""

import numpy as np
import pytest

from mutoscope.data.motion.resample import resample


def wave(times: np.ndarray) -> np.ndarray:
    """``[f, 2, 3]`` positions on a path that is known at all times: half a metre to and fro, once a second."""
    phase = np.arange(6).reshape(2, 3)
    return 0.5 * np.sin(2 * np.pi * times[:, None, None] + phase)


def test_a_multiple_picks_frames() -> None:
    joints = np.random.default_rng(0).normal(size=(41, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(resample(joints, 120, 30), joints[::4])
    np.testing.assert_array_equal(resample(joints, 30.0, 30.0), joints)


@pytest.mark.parametrize(("source", "target"), [(120, 25), (30, 20), (30, 60), (30, 24), (59.94, 29.97)])
def test_a_known_motion_is_read_at_the_new_times(source: float, target: float) -> None:
    frames = int(3 * source)
    found = resample(wave(np.arange(frames) / source), source, target)
    assert len(found) == 1 + int((frames - 1) * target / source + 1e-9)
    np.testing.assert_allclose(found, wave(np.arange(len(found)) / target), atol=2e-4)


def test_shared_times_are_left_as_they_were() -> None:
    joints = np.random.default_rng(0).normal(size=(31, 2, 3)).astype(np.float32)
    found = resample(joints, 30, 45)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[::3], joints[::2], atol=1e-6)


def test_the_last_frame_stays() -> None:
    joints = np.arange(10, dtype=np.float64)[:, None, None] * np.ones((1, 2, 3))
    for target in (60.0, 90.0, 40.0):
        assert resample(joints, 30, target)[-1, 0, 0] == pytest.approx(9)


def test_one_frame_and_wrong_arguments() -> None:
    one = np.ones((1, 2, 3))
    np.testing.assert_array_equal(resample(one, 30, 25), one)
    with pytest.raises(ValueError, match="both must be positive"):
        resample(one, 0, 30)
    with pytest.raises(ValueError, match="both must be positive"):
        resample(one, 30, float("nan"))
    with pytest.raises(ValueError, match="without frames"):
        resample(one[:0], 30, 30)
