"""What a critic sees beside positions."""

import pytest
import torch

from mutoscope.nn.motion_features import MotionFeatures
from mutoscope.structures import H36M16, NTU25


def test_joints_alone_are_the_motion_itself() -> None:
    joints = torch.randn(2, 8, 25, 3)
    assert torch.equal(MotionFeatures(NTU25)(joints), joints)


def test_bones_are_offsets_from_the_parent() -> None:
    joints = torch.randn(2, 8, 16, 3)
    features = MotionFeatures(H36M16, ("bones",), gain=2.0)(joints)
    for parent, child in H36M16.bones:
        elder = sum(p == parent and c < child for p, c in H36M16.bones)
        bone = joints[:, :, child] - joints[:, :, parent]
        torch.testing.assert_close(features[:, :, child], (2 + elder) * bone)
    assert not features[:, :, H36M16.root].any()


def test_twins_that_part_are_seen_in_the_sum_of_their_bones() -> None:
    tip, thumb = NTU25.index("right_hand_tip"), NTU25.index("right_thumb")
    apart = torch.zeros(1, 4, 25, 3)
    apart[:, :, tip], apart[:, :, thumb] = 1.0, -1.0
    features = MotionFeatures(NTU25, ("joints", "bones"))(apart)
    seen = features[:, :, tip] + features[:, :, thumb]
    assert not seen[..., :3].any()
    assert (seen[..., 3:].abs() > 1).all()


def test_velocities_are_frame_differences_and_begin_with_rest() -> None:
    joints = torch.randn(2, 8, 25, 2)
    features = MotionFeatures(NTU25, ("velocities",), gain=1.0)(joints)
    assert not features[:, 0].any()
    torch.testing.assert_close(features.cumsum(dim=1) + joints[:, :1], joints)


def test_streams_stand_side_by_side_and_moving_the_body_changes_positions_alone() -> None:
    joints = torch.randn(1, 6, 25, 3)
    features = MotionFeatures(NTU25, ("joints", "bones", "velocities"))
    seen, moved = features(joints), features(joints + torch.tensor([1.0, -2.0, 3.0]))
    assert seen.shape == (1, 6, 25, 9)
    torch.testing.assert_close(moved[..., 3:], seen[..., 3:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved[..., :3] - seen[..., :3], torch.tensor([1.0, -2.0, 3.0]).expand(1, 6, 25, 3))


def test_is_linear_so_that_penalties_pass_through() -> None:
    features = MotionFeatures(NTU25, ("joints", "bones", "velocities")).double()
    a, b = torch.randn(2, 1, 5, 25, 3, dtype=torch.float64)
    torch.testing.assert_close(features(2 * a - 3 * b), 2 * features(a) - 3 * features(b))


@pytest.mark.parametrize("streams", [(), ("joints", "bone")])
def test_refuses_other_streams_with_the_known_ones(streams: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="joints, bones, velocities"):
        MotionFeatures(NTU25, streams)  # type: ignore[arg-type]
