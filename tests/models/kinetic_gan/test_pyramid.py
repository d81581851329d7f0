"""Graph pyramids: the released tables, the rule behind them, and what explicit tables must satisfy."""

import pytest
import torch

from mutoscope.models.kinetic_gan.pyramid import PYRAMIDS, GraphPyramid, _is_ring, derive_pyramid, pyramid_for
from mutoscope.structures import CMU31, H36M15, H36M16, NTU25, SKELETONS, Skeleton

CHAIN = [((0, 1), (1, 2)), ((0, 1),), ()]


def _edges(pyramid: GraphPyramid) -> list[set[frozenset[int]]]:
    return [{frozenset(edge) for edge in level.edges} for level in pyramid.levels]


@pytest.mark.parametrize(("skeleton", "spare"), [(NTU25, []), (H36M16, [H36M16.index("head")])], ids=["ntu", "h36m"])
def test_the_rule_gives_the_released_tables(skeleton: Skeleton, spare: list[int]) -> None:
    derived, table = derive_pyramid(skeleton, spare), PYRAMIDS[skeleton.name]
    assert [level.joints for level in derived.levels] == [level.joints for level in table.levels]
    assert [level.centre for level in derived.levels] == [level.centre for level in table.levels]
    assert _edges(derived) == _edges(table)


@pytest.mark.parametrize(
    ("name", "counts", "nonzeros"),
    [
        ("ntu25", [25, 11, 5, 1], [[25, 40, 8], [11, 12, 8], [5, 6, 4], [1, 0, 0]]),
        ("h36m16", [16, 7, 2, 1], [[16, 23, 7], [7, 6, 6], [2, 1, 1], [1, 0, 0]]),
    ],
)
def test_partitions_of_the_released_pyramids(name: str, counts: list[int], nonzeros: list[list[int]]) -> None:
    pyramid = PYRAMIDS[name]
    assert [level.num_joints for level in pyramid.levels] == counts
    for number, expected in enumerate(nonzeros):
        stack = pyramid.adjacency(number)
        assert stack.count_nonzero((1, 2)).tolist() == expected
        torch.testing.assert_close(stack.sum((0, 1)), torch.ones(counts[number]))


def test_upsampling_averages_survivors_and_halves_from_one_joint() -> None:
    pyramid = PYRAMIDS["ntu25"]
    wrist, shoulder = NTU25.index("left_wrist"), NTU25.index("left_shoulder")
    coarse = torch.tensor([float(joint) for joint in pyramid.levels[1].joints])
    fine = pyramid.upsampling(0) @ coarse
    assert fine[wrist] == (NTU25.index("left_elbow") + NTU25.index("left_hand")) / 2
    assert fine[shoulder] == (NTU25.index("left_elbow") + NTU25.index("shoulder_spine")) / 2
    assert fine[list(pyramid.levels[1].joints)].tolist() == coarse.tolist()
    assert pyramid.upsampling(2)[:, 0].tolist() == [0.5, 0.5, 0.5, 0.5, 1.0]
    assert PYRAMIDS["h36m16"].upsampling(2)[:, 0].tolist() == [0.5, 1.0]
    torch.testing.assert_close(pyramid.upsampling(1).sum(1), torch.ones(11))


@pytest.mark.parametrize("skeleton", [CMU31, H36M15], ids=lambda s: s.name)
def test_other_skeletons_get_a_pyramid_around_their_centre(skeleton: Skeleton) -> None:
    pyramid = pyramid_for(skeleton)
    counts = [level.num_joints for level in pyramid.levels]
    assert len(counts) == 4
    assert counts[0] == skeleton.num_joints
    assert counts == sorted(set(counts), reverse=True)
    assert all(level.joints[level.centre] == skeleton.centre for level in pyramid.levels)
    for level in range(3):
        rows = pyramid.upsampling(level).sum(1)
        assert bool((rows > 0).all())
        assert pyramid.upsampling(level)[list(pyramid.keep(level))].equal(torch.eye(counts[level + 1]))


def test_cmu_keeps_both_sides_alike() -> None:
    mirror = dict(CMU31.mirror) | {b: a for a, b in CMU31.mirror}
    for level in pyramid_for(CMU31).levels:
        assert {mirror.get(joint, joint) for joint in level.joints} == set(level.joints)


def test_known_pyramids_are_looked_up_by_graph_not_only_by_name() -> None:
    assert pyramid_for(NTU25) is PYRAMIDS["ntu25"]
    assert pyramid_for(PYRAMIDS["h36m16"]) is PYRAMIDS["h36m16"]
    stranger = Skeleton.from_dict(SKELETONS["cmu31"].to_dict() | {"name": "ntu25"})
    assert pyramid_for(stranger).num_joints == 31


def test_an_isolated_joint_cannot_be_dropped() -> None:
    tables = [(0, 1, 2), (0, 1), (0,)]
    with pytest.raises(ValueError, match="joint 2 is dropped after level 0 but touches no survivor"):
        GraphPyramid.from_tables("own", tables, [((0, 1),), ((0, 1),), ()], centre=0)


def test_explicit_tables_are_taken() -> None:
    pyramid = GraphPyramid.from_tables("own", [(0, 1, 2), (1, 2), (1,)], CHAIN, centre=1)
    assert pyramid.num_joints == 3
    assert pyramid.keep(0) == (1, 2)
    assert pyramid.levels[1].centre == 0
    assert pyramid.upsampling(0).tolist() == [[1, 0], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("joints", "edges", "centre", "message"),
    [
        ([(0, 1, 2), (1, 2), (2,)], CHAIN, 1, "the centre, joint 1, is not alive at level 2"),
        ([(0, 1, 2), (2, 1), (1,)], CHAIN, 1, "joints must increase"),
        ([(0, 1, 2), (1, 2), (1, 2)], CHAIN, 1, "must have exactly one"),
        ([(0, 1, 3), (1, 3), (1,)], CHAIN, 1, "level 0 must hold joints 0, 1"),
        ([(0, 1, 2), (1, 5), (1,)], CHAIN, 1, "holds joint 5, which is not alive at level 0"),
        ([(0, 1, 2), (1, 2), (1,)], [((0, 3), (1, 2)), ((0, 1),), ()], 1, "does not join two different joints"),
        ([(0, 1, 2), (1, 2), (1,)], CHAIN[:2], 1, "joints for 3 levels but edges for 2"),
        ([(0,)], [()], 0, "needs at least 2"),
    ],
)
def test_inconsistent_tables_are_refused(
    joints: list[tuple[int, ...]], edges: list[tuple[tuple[int, int], ...]], centre: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GraphPyramid.from_tables("own", joints, edges, centre)


def test_rings_are_told_from_other_graphs() -> None:
    triangle = {0: {1, 2}, 1: {0, 2}, 2: {0, 1}}
    assert _is_ring(triangle)
    assert not _is_ring({0: {1}, 1: {0, 2}, 2: {1}})
    assert not _is_ring(triangle | {joint + 3: {a + 3 for a in others} for joint, others in triangle.items()})
