"""The same person on another skeleton."""

import numpy as np
import pytest

from mutoscope.data.motion.retarget import TABLES, retarget, retarget_matrix
from mutoscope.structures import CMU31, H36M15, H36M16, NTU25, SKELETONS, Skeleton

TARGETS = [NTU25, H36M16, H36M15]


def mirrored(skeleton: Skeleton) -> list[int]:
    """Joint order after left and right have changed places."""
    order = list(range(skeleton.num_joints))
    for left, right in skeleton.mirror:
        order[left], order[right] = right, left
    return order


def test_every_table_is_between_known_skeletons() -> None:
    for source, target in TABLES:
        matrix = retarget_matrix(SKELETONS[source], SKELETONS[target])
        assert matrix.shape == (SKELETONS[target].num_joints, SKELETONS[source].num_joints)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        assert (matrix >= 0).all()


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_left_and_right_are_treated_alike(target: Skeleton) -> None:
    matrix = retarget_matrix(CMU31, target)
    np.testing.assert_array_equal(matrix[mirrored(target)][:, mirrored(CMU31)], matrix)
    for joint, row in enumerate(matrix):
        sides = {CMU31.side(source) for source in np.flatnonzero(row)}
        if target.side(joint) != "middle":
            assert sides == {target.side(joint)}


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_moving_and_turning_the_person_commutes(target: Skeleton) -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(5, 31, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = retarget_matrix(CMU31, target)
    moved = retarget(joints @ turn + [1.0, 2.0, 3.0], matrix)
    np.testing.assert_allclose(moved, retarget(joints, matrix) @ turn + [1.0, 2.0, 3.0], atol=1e-12)


def test_hand_computed_joints() -> None:
    joints = np.random.default_rng(0).normal(size=(2, 31, 3)).astype(np.float32)
    found = retarget(joints, retarget_matrix(CMU31, NTU25))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, NTU25.index("left_knee")], joints[:, CMU31.index("lfemur")])
    np.testing.assert_array_equal(found[:, NTU25.index("right_elbow")], joints[:, CMU31.index("rhumerus")])
    root, left, right = (joints[:, CMU31.index(name)] for name in ("root", "lhipjoint", "rhipjoint"))
    np.testing.assert_allclose(found[:, 0], root / 2 + left / 4 + right / 4, atol=1e-6)


def test_identity_and_a_table_of_ones_own() -> None:
    np.testing.assert_array_equal(retarget_matrix(CMU31, CMU31), np.eye(31))
    pair = Skeleton("pair", ("a", "b"), (-1, 0), 0, (), (0, 1), (1,))
    matrix = retarget_matrix(pair, pair, {"a": {"a": 3.0, "b": 1.0}, "b": {"b": 0.1}})
    np.testing.assert_allclose(matrix, [[0.75, 0.25], [0, 1]])


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"no table from skeleton 'cmu31' to 'pair'.*cmu31, h36m15, h36m16, ntu25"):
        retarget_matrix(CMU31, Skeleton("pair", ("a", "b"), (-1, 0), 0, (), (0, 1), (1,)))
    one = Skeleton("one", ("a",), (-1,), 0, (), (0, 0), (0,))
    with pytest.raises(ValueError, match="says nothing about a"):
        retarget_matrix(CMU31, one, {})
    with pytest.raises(ValueError, match="has no joint 'elbow'"):
        retarget_matrix(CMU31, one, {"a": {"elbow": 1.0}})
    with pytest.raises(ValueError, match="has no joint 'z'"):
        retarget_matrix(CMU31, one, {"a": {"root": 1.0}, "z": {"root": 1.0}})
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weights must be positive"):
            retarget_matrix(CMU31, one, {"a": {"root": weight}})
    with pytest.raises(ValueError, match="Got 25 joints to retarget, but the matrix takes 31"):
        retarget(np.zeros((2, 25, 3)), retarget_matrix(CMU31, NTU25))
