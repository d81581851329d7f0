"""From (action, seed, number of clips) to joints in the world."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.motion.toy_people.actions import ACTIONS, Scene
from mutoscope.data.motion.toy_people.body import animate, draw_body, rotation, turned
from mutoscope.data.motion.toy_people.draws import Draws
from mutoscope.structures import NTU25, Skeleton

#: raised whenever the same settings give other joints than before
WORLD_VERSION = 1

_H36M_IN_NTU = {
    "hip": "base_spine",
    "spine": "mid_spine",
    "thorax": "shoulder_spine",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
}


def joint_columns(skeleton: Skeleton) -> list[int]:
    """Where each joint of ``skeleton`` ("ntu25" or "h36m16") lies among the 25 of the world.

    Raises:
        ValueError: for a skeleton that the world cannot show.
    """
    if skeleton.name == "ntu25":
        return list(range(NTU25.num_joints))
    if skeleton.name == "h36m16":
        return [NTU25.index(_H36M_IN_NTU.get(joint, joint)) for joint in skeleton.joints]
    raise ValueError(f"The toy world has no people with skeleton '{skeleton.name}'; use ntu25 or h36m16.")


def perform(
    action: str, n: int, frames: int, fps: float, key: Sequence[int], *, heading: float = 180.0, variety: float = 1.0
) -> NDArray[np.float32]:
    """``n`` different people perform ``action`` in their own ways.

    Clip ``i`` depends on everything but ``n``.

    Args:
        action: a name in :data:`ACTIONS`.
        n: number of clips.
        frames: per clip ``t``.
        fps: frames per second.
        key: non-negative integers that name the random stream.
        heading: people face a random direction up to so many degrees left or right of +z.
        variety: spread of bodies and styles; 1 is natural, 0 makes everybody the same person.

    Returns:
        ``[n, t, 25, 3]`` float32 metres, joints as in :data:`mutoscope.structures.NTU25`, y up, floor at height 0,
        starting near the origin. Half of the people are left-handed.
    """
    draws = Draws(key, n, variety)
    body = draw_body(draws)
    left_handed = draws.coin()
    yaw = np.radians(heading) * (2.0 * draws.uniform() - 1.0)
    scene = Scene(body=body, draws=draws, time=np.arange(frames) / fps, seconds=frames / fps)
    joints = animate(body, ACTIONS[action](scene))
    joints = np.where(left_handed[:, None, None, None], _reflected(joints), joints)
    zero = np.zeros_like(yaw)
    return turned(rotation(yaw, zero, zero)[:, None, None], joints).astype(np.float32)


def _reflected(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same people with left and right exchanged."""
    order = np.arange(NTU25.num_joints)
    for left, right in NTU25.mirror:
        order[[left, right]] = right, left
    return joints[:, :, order] * np.array([-1.0, 1.0, 1.0])
