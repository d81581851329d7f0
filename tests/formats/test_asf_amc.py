"""Acclaim skeletons and motions, written here line by line."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mutoscope.formats.asf_amc import AcclaimError, AmcMotion, AsfSkeleton, forward_kinematics, read_amc, read_asf

ASF = """\
# a comment
:version 1.10
:name CHAIN
:units
  mass 1.0
  length 0.5
  angle deg
:documentation
   begin: words that look like keywords
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 2
     axis 10 20 30 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name lower
     direction 0 0.6 0.8
     length 1
     axis 0 0 -40 XYZ
    dof rx rz
  end
  begin
     id 3
     name tip
     direction 0 -1 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root upper tip
    upper lower
  end
"""
AMC = """\
#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
# a comment
1
root 1 2 3 10 20 30
upper 5 -15 25
lower 40 -50
2
root 1.5 2 3 -10 120 1e1
lower 0 90
upper 170 5 0
"""
UNIT = 0.0254 / 0.5


def skeleton_of(folder: Path, text: str = ASF) -> AsfSkeleton:
    (folder / "a.asf").write_text(text)
    return read_asf(folder / "a.asf")


def motion_of(folder: Path, skeleton: AsfSkeleton, text: str = AMC) -> AmcMotion:
    (folder / "a.amc").write_bytes(text.encode())
    return read_amc(folder / "a.amc", skeleton)


def euler(order: str, degrees: list[float]) -> Rotation:
    """Rotations about the world's axes, one after the other."""
    return Rotation.from_euler(order, degrees, degrees=True)


def test_positions_follow_the_chain_of_rotations(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path)
    positions = forward_kinematics(skeleton, motion_of(tmp_path, skeleton))
    assert skeleton.joints == ("root", "upper", "lower", "tip")
    assert skeleton.parents == (-1, 0, 1, 0)

    frames = [
        ([1, 2, 3], [10, 20, 30], [5, -15, 25], [40, 0, -50]),
        ([1.5, 2, 3], [-10, 120, 10], [170, 5, 0], [0, 0, 90]),
    ]
    axis_upper, axis_lower = euler("xyz", [10, 20, 30]), euler("xyz", [0, 0, -40])
    for position, (translation, root_angles, upper_angles, lower_angles) in zip(positions, frames, strict=True):
        root = euler("xyz", root_angles)
        upper = root * axis_upper * euler("xyz", upper_angles) * axis_upper.inv()
        lower = upper * axis_lower * euler("xyz", lower_angles) * axis_lower.inv()
        at_root = np.array(translation) * UNIT
        at_upper = at_root + upper.apply([2, 0, 0]) * UNIT
        at_lower = at_upper + lower.apply([0, 0.6, 0.8]) * UNIT
        at_tip = at_root + root.apply([0, -3, 0]) * UNIT
        np.testing.assert_allclose(position, [at_root, at_upper, at_lower, at_tip], atol=1e-12)


def test_a_quarter_turn_by_hand(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path, ASF.replace("10 20 30 XYZ", "0 0 0 XYZ"))
    motion = motion_of(tmp_path, skeleton, "7\nroot 0 0 0 0 0 90\nupper 0 0 0\nlower 0 0\n")
    np.testing.assert_allclose(
        forward_kinematics(skeleton, motion)[0] / UNIT, [[0, 0, 0], [0, 2, 0], [-0.6, 2, 0.8], [3, 0, 0]], atol=1e-12
    )


def test_angles_come_back_from_the_positions_of_a_planar_chain(tmp_path: Path) -> None:
    text = ASF.replace("10 20 30 XYZ", "0 0 0 XYZ").replace("0 0 -40", "0 0 0").replace("0 0.6 0.8", "1 0 0")
    skeleton = skeleton_of(tmp_path, text)
    rng = np.random.default_rng(0)
    angles = np.zeros((20, 4, 3))
    angles[:, :3, 2] = rng.uniform(-1, 1, (20, 3))
    positions = forward_kinematics(skeleton, AmcMotion(np.zeros((20, 3)), angles))
    upper, lower = positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 1]
    heading = np.stack([np.arctan2(bone[:, 1], bone[:, 0]) for bone in (upper, lower)])
    np.testing.assert_allclose(heading[0], angles[:, 0, 2] + angles[:, 1, 2], atol=1e-12)
    np.testing.assert_allclose(heading[1] - heading[0], angles[:, 2, 2], atol=1e-12)


def test_bones_keep_their_lengths(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path)
    rng = np.random.default_rng(1)
    motion = AmcMotion(rng.normal(size=(50, 3)), rng.uniform(-4, 4, (50, 4, 3)))
    positions = forward_kinematics(skeleton, motion)
    length = np.linalg.norm(positions[:, 1:] - positions[:, [0, 1, 0]], axis=-1)
    np.testing.assert_allclose(length, np.tile(np.array([2, 1, 3]) * UNIT, (50, 1)), rtol=1e-12)


@pytest.mark.parametrize("order", ["ZYX", "YXZ"])
def test_another_axis_order(tmp_path: Path, order: str) -> None:
    freedoms = " ".join(f"r{axis.lower()}" for axis in order)
    skeleton = skeleton_of(tmp_path, ASF.replace("30 XYZ\n    dof rx ry rz", f"30 {order}\n    dof {freedoms}"))
    values = {"X": 5.0, "Y": -15.0, "Z": 25.0}
    listed = " ".join(str(values[axis]) for axis in order)
    motion = motion_of(tmp_path, skeleton, f"1\nroot 0 0 0 0 0 0\nupper {listed}\nlower 0 0\n")
    rest = euler(order.lower(), [{"X": 10, "Y": 20, "Z": 30}[axis] for axis in order])
    turn = euler(order.lower(), [values[axis] for axis in order])
    expected = (rest * turn * rest.inv()).apply([2, 0, 0]) * UNIT
    np.testing.assert_allclose(forward_kinematics(skeleton, motion)[0, 1], expected, atol=1e-12)


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path)
    expected = motion_of(tmp_path, skeleton)
    mixed = "".join(line + ("\r\n" if i % 2 else "\n") for i, line in enumerate(AMC.splitlines()))
    for text in (AMC.replace("\n", "\r\n"), mixed, AMC.rstrip("\n"), AMC.replace("\n", "\n\n")):
        found = motion_of(tmp_path, skeleton, text)
        np.testing.assert_array_equal(found.angles, expected.angles)
        np.testing.assert_array_equal(found.translation, expected.translation)
    (tmp_path / "b.asf").write_bytes(ASF.replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(read_asf(tmp_path / "b.asf").offset, skeleton.offset)


def test_radians(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path)
    text = "1\nroot 0 0 0 0 0 0.5\nupper 0.25 0 0\nlower 0 0\n"
    np.testing.assert_allclose(motion_of(tmp_path, skeleton, ":RADIANS\n" + text).angles[0, 1], [0.25, 0, 0])
    # without a word of its own a motion has the skeleton's unit
    np.testing.assert_allclose(motion_of(tmp_path, skeleton, text).angles[0, 1, 0], 0.25 * math.pi / 180)
    radian = skeleton_of(tmp_path, ASF.replace("angle deg", "angle rad"))
    np.testing.assert_allclose(motion_of(tmp_path, radian, text).angles[0, 1, 0], 0.25)
    np.testing.assert_allclose(radian.axis[1], Rotation.from_euler("xyz", [10, 20, 30]).as_matrix(), atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lower 40 -50\n", "", r"a\.amc, line 5: frame 1 is cut short, it has no values for lower\."),
        ("upper 170 5 0\n", "", r"line 9: frame 2 is cut short, it has no values for upper\."),
        ("upper 170 5 0\n", "upper 170\n", r"line 12: 'upper' has 1 values, expected 3\."),
        ("lower 40 -50", "lower 40 -50 3", r"line 8: 'lower' has 3 values, expected 2\."),
        ("lower 40 -50", "elbow 40 -50", r"line 8: the skeleton has no bone 'elbow'; its bones are root, upper"),
        ("lower 40 -50", "lower 40 x", r"line 8: 'lower' has the values '40 x', expected finite numbers\."),
        ("lower 40 -50", "lower 40 nan", r"line 8: 'lower' has the values '40 nan', expected finite numbers\."),
        ("\n2\n", "\n1\n", r"line 9: frame 1 follows frame 1, expected frame 2; is a part missing\?"),
        (AMC, f"{AMC}5{AMC.split(chr(10) + '2')[1]}", r"line 13: frame 5 follows frame 2, expected frame 3"),
        ("lower 40 -50", "upper 1 2 3", r"line 8: bone 'upper' comes twice in frame 1\."),
        ("# a comment\n1\n", "", r"line 4: found 'root' before any frame number\."),
        (AMC, ":DEGREES\n", r"a\.amc: it holds no frames"),
    ],
)
def test_what_is_wrong_with_a_motion(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in AMC
    skeleton = skeleton_of(tmp_path)
    with pytest.raises(ValueError, match=message):
        motion_of(tmp_path, skeleton, AMC.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":hierarchy", ":hier", r"a\.asf: it has no section ':hierarchy'"),
        ("length 0.5", "length 0", r"line 6: the length unit is 0, expected a positive number"),
        ("angle deg", "angle gon", r"line 7: the angle unit is 'gon'"),
        ("position 0 0 0", "position 0 1 0", r"line 13: the root rests at position 0 1 0, expected 0 0 0"),
        ("   order TX TY TZ RX RY RZ\n", "", r"has no line 'order'"),
        ("name lower", "name upper", r"line 29: 'upper' is no new bone name"),
        ("direction 1 0 0", "direction 1 1 0", r"line 19: the direction has length 1\.41, expected a unit vector"),
        ("     length 2\n", "", r"line 16: the bone that begins here has no 'length'"),
        ("length 2", "length two", r"line 20: 'length' has the values 'two', expected finite numbers"),
        ("10 20 30 XYZ", "10 20 30", r"line 21: the axis order is '30'"),
        ("dof rx ry rz", "dof rx ry tz", r"line 22: 'tz' is no known freedom here"),
        ("dof rx ry rz", "dof rz ry rx", r"line 22: the freedoms 'rz ry rx' .* not in the order of the axis, XYZ"),
        ("  end\n:hierarchy", ":hierarchy", r"line 35: the bone that begins here never ends"),
        ("  end\n  begin\n     id 2", "  begin\n     id 2", r"line 26: a bone begins before the last one has ended"),
        (":bonedata\n", ":bonedata\n  id 1\n", r"line 16: found 'id' outside of a bone, expected 'begin'"),
        ("upper lower\n", "upper elbow\n", r"the hierarchy names 'elbow', but there is no such bone"),
        ("root upper tip\n", "root upper tip lower\n", r"'lower' gets a second parent, 'upper'"),
        ("    upper lower\n", "", r"the hierarchy does not connect lower to the root"),
        ("root upper tip\n    upper lower\n", "lower upper\n", r"'lower' gets children before it has a parent"),
    ],
)
def test_what_is_wrong_with_a_skeleton(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ASF
    with pytest.raises(ValueError, match=message):
        skeleton_of(tmp_path, ASF.replace(old, new, 1))


def test_missing_files_and_foreign_motions(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.asf"):
        read_asf(tmp_path / "none.asf")
    skeleton = skeleton_of(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.amc"):
        read_amc(tmp_path / "none.amc", skeleton)
    with pytest.raises(ValueError, match="The motion moves 5 joints, but the skeleton has 4"):
        forward_kinematics(skeleton, AmcMotion(np.zeros((2, 3)), np.zeros((2, 5, 3))))


def test_marks_comments_and_steps_of_other_programs(tmp_path: Path) -> None:
    skeleton = skeleton_of(tmp_path)
    plain = motion_of(tmp_path, skeleton)
    assert plain.step == 1
    for text, step in (
        ("\ufeff" + AMC, 1),
        (AMC.replace("\n2\n", "\n2 # second\n").replace("lower 0 90", "lower 0 90 #end"), 1),
        (AMC.replace("\n2\n", "\n5\n"), 4),
        (AMC.replace("\n", "\r"), 1),
    ):
        found = motion_of(tmp_path, skeleton, text)
        np.testing.assert_array_equal(found.translation, plain.translation)
        np.testing.assert_array_equal(found.angles, plain.angles)
        assert found.step == step
    (tmp_path / "a.amc").write_bytes(AMC.replace("# a comment", "# Bücken").encode("latin-1"))
    np.testing.assert_array_equal(read_amc(tmp_path / "a.amc", skeleton).angles, plain.angles)
    (tmp_path / "a.amc").write_bytes(AMC.encode("utf-16"))
    np.testing.assert_array_equal(read_amc(tmp_path / "a.amc", skeleton).angles, plain.angles)


def test_bones_without_length(tmp_path: Path) -> None:
    text = ASF.replace("direction 0 -1 0\n     length 3", "direction 0 0 0\n     length 0")
    skeleton = skeleton_of(tmp_path, text)
    positions = forward_kinematics(skeleton, motion_of(tmp_path, skeleton))
    np.testing.assert_array_equal(positions[:, 3], positions[:, 0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 3", "length -3", "line 39: the bone has length -3"),
        ("length 3", "length 1e300", "line 39: 'length' .* none beyond"),
        ("length 0.5", "length 1e-30", "line 6: the length unit is 1e-30"),
        ("direction 0 -1 0\n     length 3", "direction 0 0 0\n     length 1e-9", "line 38: the direction has length 0"),
    ],
)
def test_lengths_that_nobody_has(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(AcclaimError, match=message):
        skeleton_of(tmp_path, ASF.replace(old, new))


def test_another_unit_than_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "a.asf").write_text(ASF)
    np.testing.assert_allclose(
        read_asf(tmp_path / "a.asf", unit=0.01).offset, skeleton_of(tmp_path).offset * 0.01 / UNIT
    )
