"""Clips as one or two numbers."""

import numpy as np
import pytest

from mutoscope.render.projection import Axis, PrincipalPlane, poses
from mutoscope.structures import H36M16


def test_poses_do_not_tell_where_somebody_stands_but_how_high(walk) -> None:
    clip = walk(8)
    for axis, moves in ((0, False), (1, True), (2, False)):
        elsewhere = clip.copy()
        elsewhere[..., axis] += 3.0
        assert np.allclose(poses(clip, H36M16), poses(elsewhere, H36M16), atol=1e-5) != moves
    flat, aside, above = (clip[..., :2] + np.array(shift, np.float32) for shift in ((0, 0), (3, 0), (0, 3)))
    np.testing.assert_allclose(poses(flat, H36M16), poses(aside, H36M16), atol=1e-5)
    assert not np.allclose(poses(flat, H36M16), poses(above, H36M16))
    assert poses(np.stack([clip, clip])[None], H36M16).shape == (1, 2, 8, 48)


def test_an_axis_goes_from_one_mean_to_the_other() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(30, 5)), draw.normal(size=(40, 5)) + 2
    axis = Axis.between(first, second)
    assert axis.positions(first).mean() == pytest.approx(0)
    assert axis.positions(second).mean() == pytest.approx(1)
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    assert axis.positions(middle) == pytest.approx(0.5)
    # across the line nothing changes
    across = np.linalg.svd(axis.direction[None])[2][1]
    assert axis.positions(middle + 7 * across) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="same mean"):
        Axis.between(first, first[::-1])


def test_the_plane_is_that_of_the_largest_singular_values() -> None:
    points = np.random.default_rng(1).normal(size=(200, 6)) @ np.diag([0.1, 4, 0.2, 2, 0.3, 0.1])
    plane = PrincipalPlane.of(points)
    centred = points - points.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(plane.directions), np.abs(axes[:2]), atol=1e-9)
    np.testing.assert_allclose(plane.shares, (values**2 / (values**2).sum())[:2])
    np.testing.assert_allclose(np.abs(plane.project(points)), np.abs(centred @ axes[:2].T), atol=1e-9)
    # the sense does not depend on the order of points
    np.testing.assert_allclose(PrincipalPlane.of(points[::-1]).directions, plane.directions)
