"""A human body: proportions, controls and the kinematics that turn controls into joints.

Frames are right-handed with y up. A person facing +z has the left side at +x. Rotations are (yaw, pitch, roll) in
radians, applied as ``Ry Rx Rz``: positive yaw turns left, positive pitch bows forward (a foot: toes down), positive
roll raises the left side. Arrays over sides hold the left one first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.motion.toy_people.draws import Draws
from mutoscope.structures import NTU25

Array = NDArray[np.float64]

#: share of a leg's full length that a planted leg uses at most: the knee keeps about 10 degrees of flexion
PLANTED_REACH = 0.996
#: metres over which the limit that straight legs put on the pelvis is rounded off
_REACH_ROUNDING = 0.003
#: radians over which the pivot of a rolling foot passes from heel to toe
_ROLL_ROUNDING = 0.06
_SIDES = np.array([1.0, -1.0])
_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Body:
    """Bone lengths and offsets in metres, ``[n]`` each, of ``n`` people symmetric in left and right."""

    height: Array
    thigh: Array
    shank: Array
    ankle_height: Array
    toe_height: Array
    toe_ahead: Array
    heel_behind: Array
    hip_out: Array
    hip_drop: Array
    lumbar: Array
    thoracic: Array
    neck: Array
    head: Array
    shoulder_out: Array
    shoulder_drop: Array
    upper_arm: Array
    forearm: Array
    hand: Array
    fingers: Array
    thumb: Array

    @property
    def leg(self) -> Array:
        return self.thigh + self.shank

    @property
    def standing(self) -> Array:
        """Height of the pelvis above the floor with straight legs."""
        return self.ankle_height + self.leg + self.hip_drop


def draw_body(draws: Draws) -> Body:
    """People of 1.50 m to 1.95 m with segment lengths around the usual shares of body height (Winter, Biomechanics)."""
    # the mean of two uniforms favours people of middle height
    height = 0.5 * (draws.between(1.50, 1.95) + draws.between(1.50, 1.95))
    legs, arms, shoulders, hips = (draws.between(1.0 - s, 1.0 + s) for s in (0.035, 0.04, 0.08, 0.08))
    trunk = 1.0 - 0.53 / 0.29 * 0.6 * (legs - 1.0)
    return Body(
        height=height,
        thigh=0.243 * height * legs,
        shank=0.240 * height * legs,
        ankle_height=0.045 * height,
        toe_height=0.012 * height,
        toe_ahead=0.090 * height,
        heel_behind=0.030 * height,
        hip_out=0.050 * height * hips,
        hip_drop=0.030 * height,
        lumbar=0.125 * height * trunk,
        thoracic=0.140 * height * trunk,
        neck=0.045 * height,
        head=0.115 * height,
        shoulder_out=0.105 * height * shoulders,
        shoulder_drop=0.012 * height,
        upper_arm=0.175 * height * arms,
        forearm=0.148 * height * arms,
        hand=0.045 * height * arms,
        fingers=0.048 * height * arms,
        thumb=0.036 * height * arms,
    )


@dataclass
class Controls:
    """What an action program steers, for ``n`` clips of ``t`` frames.

    Args:
        pelvis: ``[n, t, 3]`` metres; the height is a wish that planted legs may lower.
        pelvis_turn: ``[n, t, 3]`` yaw, pitch, roll in the world.
        torso: ``[n, t, 3]`` twist, bow, side bend of the chest relative to the pelvis.
        nod: ``[n, t]`` how far the head is carried forward, as a tangent.
        arms: ``[n, t, 2, 2, 3]`` directions (side; upper arm, forearm; out, up, forward) in the chest's frame.
        curl: ``[n]`` of the fingers towards the palm: 0 stretched, about 2 a fist, negative bent back.
        foot: ``[n, t, 2, 3]`` metres; the point of the sole below the ankle.
        foot_yaw: ``[n, t, 2]`` in the world.
        foot_pitch: ``[n, t, 2]``; a planted foot rolls over its heel (negative) or its toe (positive).
        planted: ``[n, t, 2]`` in [0, 1]; how far a leg's reach limits the height of the pelvis.
    """

    pelvis: Array
    pelvis_turn: Array
    torso: Array
    nod: Array
    arms: Array
    curl: Array
    foot: Array
    foot_yaw: Array
    foot_pitch: Array
    planted: Array


def unit(x: Array) -> Array:
    """``[..., 3]`` scaled to length 1."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def rotation(yaw: Array, pitch: Array, roll: Array) -> Array:
    """``[..., 3, 3]`` matrices ``Ry(yaw) Rx(pitch) Rz(roll)``."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rows = [
        [cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp],
        [cp * sr, cp * cr, -sp],
        [cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp],
    ]
    return np.stack([np.stack(np.broadcast_arrays(*row), axis=-1) for row in rows], axis=-2)


def turned(matrix: Array, vector: Array) -> Array:
    """``[..., 3]`` vectors turned by ``[..., 3, 3]`` matrices."""
    return np.einsum("...ij,...j->...i", matrix, vector)


def two_bones(start: Array, target: Array, first: Array, second: Array, bend: Array) -> tuple[Array, Array]:
    """Two rigid bones from ``start`` towards ``target``, with the joint between them pushed out along ``bend``.

    A target out of reach is approached as far as the bones allow.

    Args:
        start, target: ``[..., 3]``.
        first, second: ``[...]`` bone lengths.
        bend: ``[..., 3]`` direction; only its part across the line from start to target counts.

    Returns:
        middle and end joint, ``[..., 3]`` each.
    """
    line = target - start
    distance = np.linalg.norm(line, axis=-1)
    along = line / np.maximum(distance, 1e-9)[..., None]
    reach = first + second
    # the last percent of the reach is approached slowly, since the knee angle runs away there
    near, room = 0.99 * reach, 0.0095 * reach
    beyond = np.maximum(distance - near, 0.0)
    distance = np.where(beyond > 0.0, near + room * (1.0 - np.exp(-beyond / room)), distance)
    distance = np.maximum(distance, 1.05 * np.abs(first - second) + 1e-3)
    foot = (distance**2 + first**2 - second**2) / (2.0 * distance)
    off = np.sqrt(np.maximum(first**2 - foot**2, 0.0))
    across = unit(bend - (bend * along).sum(-1, keepdims=True) * along)
    middle = start + foot[..., None] * along + off[..., None] * across
    return middle, start + distance[..., None] * along


def animate(body: Body, controls: Controls) -> Array:
    """Joints of ``n`` people over ``t`` frames.

    Returns:
        ``[n, t, 25, 3]`` metres, floor at height 0, joints in the order of :data:`mutoscope.structures.NTU25`.
        Every bone keeps its length.
    """
    joints: dict[str, Array] = {}
    pelvis_frame = rotation(*np.moveaxis(controls.pelvis_turn, -1, 0))
    ankle, foot_frame = _ankles(body, controls)
    pelvis, hips = _pelvis(body, controls, pelvis_frame, ankle)
    joints["base_spine"] = pelvis
    _legs(joints, body, controls, pelvis_frame, hips, ankle, foot_frame)
    chest_frame = _trunk(joints, body, controls, pelvis_frame)
    _arms(joints, body, controls, chest_frame)
    return np.stack([joints[name] for name in NTU25.joints], axis=2)


def _ankles(body: Body, controls: Controls) -> tuple[Array, Array]:
    """Where the rolling feet carry the ankles, ``[n, t, 2, 3]``, and the frames of the feet."""
    frame = rotation(controls.foot_yaw, controls.foot_pitch, np.zeros_like(controls.foot_yaw))
    level = rotation(controls.foot_yaw, np.zeros_like(controls.foot_yaw), np.zeros_like(controls.foot_yaw))
    on_toe = (1.0 / (1.0 + np.exp(-controls.foot_pitch / _ROLL_ROUNDING)))[..., None]
    toe, heel = _local(0.0, body.toe_height, body.toe_ahead), _local(0.0, 0.0, -body.heel_behind)
    pivot = on_toe * toe + (1.0 - on_toe) * heel
    ankle = turned(level, pivot) + turned(frame, _local(0.0, body.ankle_height, 0.0) - pivot)
    return controls.foot + ankle, frame


def _pelvis(body: Body, controls: Controls, frame: Array, ankle: Array) -> tuple[Array, Array]:
    """Pelvis ``[n, t, 3]``, no higher than the planted legs reach, and hips ``[n, t, 2, 3]``."""
    offset = turned(frame[:, :, None], _local(_SIDES * body.hip_out[:, None], -body.hip_drop[:, None], 0.0))
    away = ankle - controls.pelvis[:, :, None] - offset
    reach = (PLANTED_REACH * body.leg)[:, None, None]
    rise = np.sqrt(np.maximum(reach**2 - away[..., 0] ** 2 - away[..., 2] ** 2, (0.3 * reach) ** 2))
    ceiling = ankle[..., 1] - offset[..., 1] + rise + (1.0 - controls.planted)
    heights = np.concatenate([controls.pelvis[..., 1:2], ceiling], axis=-1)
    lowest = heights.min(axis=-1, keepdims=True)
    rounded = np.exp(-(heights - lowest) / _REACH_ROUNDING).sum(axis=-1)
    pelvis = controls.pelvis.copy()
    pelvis[..., 1] = lowest[..., 0] - _REACH_ROUNDING * np.log(rounded)
    return pelvis, pelvis[:, :, None] + offset


def _legs(
    joints: dict[str, Array],
    body: Body,
    controls: Controls,
    pelvis_frame: Array,
    hips: Array,
    ankle: Array,
    foot_frame: Array,
) -> None:
    # the knee is a hinge about the side axis, half way between pelvis and foot
    axis = pelvis_frame[:, :, None, :, 0] + foot_frame[..., 0]
    knee, ankle = two_bones(
        hips, ankle, body.thigh[:, None, None], body.shank[:, None, None], np.cross(ankle - hips, axis)
    )
    toe = ankle + turned(foot_frame, _local(0.0, body.toe_height - body.ankle_height, body.toe_ahead))
    for i, side in enumerate(("left", "right")):
        for name, value in (("hip", hips), ("knee", knee), ("ankle", ankle), ("foot", toe)):
            joints[f"{side}_{name}"] = value[:, :, i]


def _trunk(joints: dict[str, Array], body: Body, controls: Controls, pelvis_frame: Array) -> Array:
    """Places spine, neck and head; returns the frame of the chest ``[n, t, 3, 3]``."""
    half = rotation(*np.moveaxis(0.5 * controls.torso, -1, 0))
    lumbar_frame = pelvis_frame @ half
    chest_frame = lumbar_frame @ half
    mid = joints["base_spine"] + body.lumbar[:, None, None] * lumbar_frame[..., 1]
    top = mid + body.thoracic[:, None, None] * chest_frame[..., 1]
    # the neck takes half of the chest's lean back, which keeps the head steady
    ahead = np.cross(chest_frame[..., 0], _UP)
    up = unit(0.5 * (chest_frame[..., 1] + _UP) + controls.nod[..., None] * unit(ahead))
    ahead = unit(ahead - (ahead * up).sum(-1, keepdims=True) * up)
    joints["mid_spine"], joints["shoulder_spine"] = mid, top
    joints["neck"] = top + body.neck[:, None, None] * up
    joints["head"] = top + body.head[:, None, None] * (up + 0.12 * ahead)
    return chest_frame


def _arms(joints: dict[str, Array], body: Body, controls: Controls, chest_frame: Array) -> None:
    upper, fore = unit(controls.arms[..., 0, :]), unit(controls.arms[..., 1, :])
    out, drop = body.shoulder_out[:, None, None], body.shoulder_drop[:, None, None]
    # raised or reaching arms take the shoulder blade along
    lift, forward = 0.07 * (1.0 + upper[..., 1]) ** 2, 0.22 * upper[..., 2]
    width = out * np.cos(lift) + drop * np.sin(lift)
    blade = np.stack([width * np.cos(forward), out * np.sin(lift) - drop * np.cos(lift), width * np.sin(forward)], -1)
    # with a neutral forearm the thumb points where flexion takes the hand
    thumb = unit((upper * fore).sum(-1, keepdims=True) * fore - upper)
    palm = np.cross(fore, thumb)
    finger = unit(fore + controls.curl[:, None, None, None] * palm)
    side = {
        "shoulder": blade,
        "elbow": body.upper_arm[:, None, None, None] * upper,
        "wrist": body.forearm[:, None, None, None] * fore,
        "hand": body.hand[:, None, None, None] * fore,
        "hand_tip": body.fingers[:, None, None, None] * finger,
        "thumb": body.thumb[:, None, None, None] * unit(0.7 * fore + 0.7 * thumb + 0.3 * palm),
    }
    parent = {"shoulder": "shoulder_spine", "elbow": "left_shoulder", "wrist": "left_elbow", "hand": "left_wrist"}
    for name, offset in side.items():
        world = turned(chest_frame[:, :, None], offset * _SIDES[:, None] ** np.array([1, 0, 0]))
        for i, which in enumerate(("left", "right")):
            above = parent.get(name, "left_hand").replace("left", which)
            joints[f"{which}_{name}"] = joints[above] + world[:, :, i]


def _local(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """Points ``[n, 1, 1 or 2, 3]`` in a body's own frames from coordinates per clip, or per clip and side."""
    point = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
    return point[:, None, None] if point.ndim == 2 else point[:, None]
