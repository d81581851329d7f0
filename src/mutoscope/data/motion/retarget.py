"""The same person on another skeleton: every target joint is a weighted mean of source joints."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mutoscope.structures import Skeleton

Float = TypeVar("Float", np.float32, np.float64)
#: target joint -> source joint -> weight; the weights of a target joint are relative
Table = Mapping[str, Mapping[str, float]]


def _both_sides(table: dict[str, dict[str, float]], limbs: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Add limbs, given as target joint -> CMU joint without their side, for the left and the right."""
    for side in ("left", "right"):
        table |= {f"{side}_{target}": {side[0] + source: 1.0} for target, source in limbs.items()}
    return table


# CMU's hips lie some 10 cm below its root, its shoulder line between the ends of thorax and lowerneck. Kinect's spine
# base lies between hips and root; Human3.6M's hip lies right between the hips, its feet are the ankles.
_CMU31_NTU25 = _both_sides(
    {
        "base_spine": {"root": 2.0, "lhipjoint": 1.0, "rhipjoint": 1.0},
        "mid_spine": {"upperback": 1.0},
        "shoulder_spine": {"thorax": 1.0, "lowerneck": 1.0},
        "neck": {"lowerneck": 1.0, "upperneck": 1.0},
        "head": {"head": 1.0},
    },
    {
        "shoulder": "clavicle",
        "elbow": "humerus",
        "wrist": "wrist",
        "hand": "hand",
        "hand_tip": "fingers",
        "thumb": "thumb",
        "hip": "hipjoint",
        "knee": "femur",
        "ankle": "tibia",
        "foot": "foot",
    },
)
_CMU31_H36M16 = _both_sides(
    {
        "hip": {"lhipjoint": 1.0, "rhipjoint": 1.0},
        "spine": {"lowerback": 1.0, "upperback": 1.0},
        "thorax": {"thorax": 1.0, "lowerneck": 1.0},
        "head": {"head": 1.0},
    },
    {
        "hip": "hipjoint",
        "knee": "femur",
        "foot": "tibia",
        "shoulder": "clavicle",
        "elbow": "humerus",
        "wrist": "wrist",
    },
)

#: Known tables by names of (source, target) skeleton.
TABLES: dict[tuple[str, str], Table] = {
    ("cmu31", "ntu25"): _CMU31_NTU25,
    ("cmu31", "h36m16"): _CMU31_H36M16,
    ("cmu31", "h36m15"): {joint: weights for joint, weights in _CMU31_H36M16.items() if joint != "hip"},
}


def retarget_matrix(source: Skeleton, target: Skeleton, table: Table | None = None) -> NDArray[np.float64]:
    """The weights with which source joints make up target joints.

    Args:
        source, target: the layouts.
        table: target joint -> source joint -> weight; by default the known one for this pair, or the identity where
            both skeletons have the same name.

    Returns:
        ``[v_target, v_source]``, no entry negative, every row sums to one.

    Raises:
        ValueError: if there is no table for the pair, or it leaves out a target joint, names a joint that does not
            exist, or holds a weight that is not positive.
    """
    if table is None and source.name == target.name:
        return np.eye(source.num_joints)
    if table is None:
        if (source.name, target.name) not in TABLES:
            reachable = sorted({source.name, *(to for of, to in TABLES if of == source.name)})
            raise ValueError(
                f"There is no table from skeleton '{source.name}' to '{target.name}'; from '{source.name}' one can "
                f"go to {', '.join(reachable)}. Pass a table of your own."
            )
        table = TABLES[source.name, target.name]
    if missing := [joint for joint in target.joints if not table.get(joint)]:
        raise ValueError(f"The table to skeleton '{target.name}' says nothing about {', '.join(missing)}.")
    matrix = np.zeros((target.num_joints, source.num_joints))
    for joint, weights in table.items():
        for name, weight in weights.items():
            if not 0 < weight < np.inf:
                raise ValueError(f"'{joint}' takes '{name}' with weight {weight}; weights must be positive numbers.")
            matrix[target.index(joint), source.index(name)] = weight
    return matrix / matrix.sum(axis=1, keepdims=True)


def retarget(joints: NDArray[Float], matrix: NDArray[np.float64]) -> NDArray[Float]:
    """Apply a :func:`retarget_matrix`.

    Args:
        joints: ``[..., v_source, c]``.
        matrix: ``[v_target, v_source]``.

    Returns:
        ``[..., v_target, c]`` of the same type.

    Raises:
        ValueError: if the joints are not those of the matrix.
    """
    if joints.shape[-2] != matrix.shape[1]:
        raise ValueError(f"Got {joints.shape[-2]} joints to retarget, but the matrix takes {matrix.shape[1]}.")
    return (matrix @ joints).astype(joints.dtype)
