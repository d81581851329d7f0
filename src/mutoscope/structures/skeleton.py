"""Skeletons: one description per joint layout, read by graphs, pyramids, metrics, data and drawing alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mutoscope.structures.plain import entry, listed, text, texts, whole_between

#: of a layout that comes from a file
MAX_JOINTS = 500

Side = Literal["left", "right", "middle"]


@dataclass(frozen=True)
class Skeleton:
    """A joint layout.

    Args:
        name: how configs and checkpoints call it, e.g. ``"ntu25"``.
        joints: joint names; their order is the joint axis ``v`` of every tensor.
        parents: kinematic tree, ``parents[j]`` is the parent of joint ``j`` and ``-1`` marks the root.
        centre: the joint from which the spatial graph partition measures distance.
        mirror: pairs (left, right) that swap under reflection; joints in no pair lie in the middle.
        hips: the pair (left, right) that, with the up axis, defines which way the person faces.
        feet: joints that touch the ground.
        up_axis: index of the vertical coordinate in 3-D data.
        units: unit of the coordinates this layout is used with.
        extra_edges: graph edges that are no bones (e.g. a triangle standing in for a dropped joint).

    Raises:
        ValueError: if parents form no tree, or an index lies outside the layout.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    centre: int
    mirror: tuple[tuple[int, int], ...]
    hips: tuple[int, int]
    feet: tuple[int, ...]
    up_axis: int = 1
    units: str = "m"
    extra_edges: tuple[tuple[int, int], ...] = field(default=())

    def __post_init__(self) -> None:
        v = len(self.joints)
        if len(self.parents) != v:
            raise ValueError(f"Skeleton '{self.name}' has {v} joints but {len(self.parents)} parents.")
        if len(set(self.joints)) != v:
            raise ValueError(f"Skeleton '{self.name}' names a joint twice.")
        if sum(p == -1 for p in self.parents) != 1:
            raise ValueError(f"Skeleton '{self.name}' needs exactly one root (parent -1).")
        indices = [self.centre, *self.hips, *self.feet, *(j for pair in self.mirror + self.extra_edges for j in pair)]
        if bad := [j for j in [*indices, *(p for p in self.parents if p != -1)] if not 0 <= j < v]:
            raise ValueError(f"Skeleton '{self.name}' refers to joint {bad[0]}, but its joints are 0..{v - 1}.")
        for j in range(v):
            seen = {j}
            while (j := self.parents[j]) != -1:
                if j in seen:
                    raise ValueError(f"Skeleton '{self.name}': the parents of joint '{self.joints[j]}' form a cycle.")
                seen.add(j)

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def root(self) -> int:
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) for every joint but the root, ordered by child."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p != -1)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Undirected graph edges (low, high): the bones and the extra edges."""
        pairs = {(min(a, b), max(a, b)) for a, b in self.bones + self.extra_edges}
        return tuple(sorted(pairs))

    def index(self, joint: str) -> int:
        """Index of a joint name; raises ``ValueError`` naming the joints that exist."""
        if joint not in self.joints:
            raise ValueError(f"Skeleton '{self.name}' has no joint '{joint}'; its joints are {', '.join(self.joints)}.")
        return self.joints.index(joint)

    def side(self, joint: int) -> Side:
        """Which side of the body a joint lies on, for colouring."""
        for left, right in self.mirror:
            if joint == left:
                return "left"
            if joint == right:
                return "right"
        return "middle"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers (what checkpoints may hold)."""
        return {
            "name": self.name,
            "joints": list(self.joints),
            "parents": list(self.parents),
            "centre": self.centre,
            "mirror": [list(pair) for pair in self.mirror],
            "hips": list(self.hips),
            "feet": list(self.feet),
            "up_axis": self.up_axis,
            "units": self.units,
            "extra_edges": [list(pair) for pair in self.extra_edges],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Skeleton":
        """A layout from plain data, which may come from a stranger's file; raises ``ValueError`` for anything else."""

        def joint(value: object, key: str) -> int:
            return whole_between(value, f"skeleton.{key}", -1, MAX_JOINTS)

        def pairs(key: str) -> tuple[tuple[int, int], ...]:
            found = listed(entry(values, key, "skeleton"), f"skeleton.{key}")
            if len(found) > MAX_JOINTS * 4:
                raise ValueError(f"skeleton.{key} has {len(found):,} pairs, expected at most {MAX_JOINTS * 4:,}.")
            return tuple((joint(entry(pair, 0, key), key), joint(entry(pair, 1, key), key)) for pair in found)

        def joints(key: str) -> tuple[int, ...]:
            found = listed(entry(values, key, "skeleton"), f"skeleton.{key}")
            return tuple(joint(value, key) for value in found[: MAX_JOINTS + 1])

        hips = entry(values, "hips", "skeleton")
        return cls(
            name=text(entry(values, "name", "skeleton"), "skeleton.name"),
            joints=texts(entry(values, "joints", "skeleton"), "skeleton.joints", MAX_JOINTS),
            parents=joints("parents"),
            centre=joint(entry(values, "centre", "skeleton"), "centre"),
            mirror=pairs("mirror"),
            hips=(joint(entry(hips, 0, "skeleton.hips"), "hips"), joint(entry(hips, 1, "skeleton.hips"), "hips")),
            feet=joints("feet"),
            up_axis=whole_between(entry(values, "up_axis", "skeleton"), "skeleton.up_axis", 0, 2),
            units=text(entry(values, "units", "skeleton"), "skeleton.units"),
            extra_edges=pairs("extra_edges"),
        )


def _by_names(
    name: str,
    tree: Sequence[tuple[str, str | None]],
    *,
    centre: str,
    mirror: Sequence[tuple[str, str]],
    hips: tuple[str, str],
    feet: Sequence[str],
    extra_edges: Sequence[tuple[str, str]] = (),
) -> Skeleton:
    joints = [joint for joint, _ in tree]
    at = joints.index
    return Skeleton(
        name=name,
        joints=tuple(joints),
        parents=tuple(-1 if parent is None else at(parent) for _, parent in tree),
        centre=at(centre),
        mirror=tuple((at(a), at(b)) for a, b in mirror),
        hips=(at(hips[0]), at(hips[1])),
        feet=tuple(at(foot) for foot in feet),
        extra_edges=tuple((at(a), at(b)) for a, b in extra_edges),
    )


def _sides(names: Sequence[str], left: str, right: str) -> list[tuple[str, str]]:
    return [(name, right + name[len(left) :]) for name in names if name.startswith(left)]


_NTU25_TREE: list[tuple[str, str | None]] = [
    ("base_spine", None),
    ("mid_spine", "base_spine"),
    ("neck", "shoulder_spine"),
    ("head", "neck"),
    ("left_shoulder", "shoulder_spine"),
    ("left_elbow", "left_shoulder"),
    ("left_wrist", "left_elbow"),
    ("left_hand", "left_wrist"),
    ("right_shoulder", "shoulder_spine"),
    ("right_elbow", "right_shoulder"),
    ("right_wrist", "right_elbow"),
    ("right_hand", "right_wrist"),
    ("left_hip", "base_spine"),
    ("left_knee", "left_hip"),
    ("left_ankle", "left_knee"),
    ("left_foot", "left_ankle"),
    ("right_hip", "base_spine"),
    ("right_knee", "right_hip"),
    ("right_ankle", "right_knee"),
    ("right_foot", "right_ankle"),
    ("shoulder_spine", "mid_spine"),
    ("left_hand_tip", "left_hand"),
    ("left_thumb", "left_hand"),
    ("right_hand_tip", "right_hand"),
    ("right_thumb", "right_hand"),
]

#: NTU RGB+D, Kinect v2 order; finger tip and thumb both attach to the hand (Kinetic-GAN's bone list).
NTU25 = _by_names(
    "ntu25",
    _NTU25_TREE,
    centre="shoulder_spine",
    mirror=_sides([joint for joint, _ in _NTU25_TREE], "left_", "right_"),
    hips=("left_hip", "right_hip"),
    feet=("left_foot", "right_foot"),
)

_H36M16_TREE: list[tuple[str, str | None]] = [
    ("hip", None),
    ("right_hip", "hip"),
    ("right_knee", "right_hip"),
    ("right_foot", "right_knee"),
    ("left_hip", "hip"),
    ("left_knee", "left_hip"),
    ("left_foot", "left_knee"),
    ("spine", "hip"),
    ("thorax", "spine"),
    ("head", "thorax"),
    ("left_shoulder", "thorax"),
    ("left_elbow", "left_shoulder"),
    ("left_wrist", "left_elbow"),
    ("right_shoulder", "thorax"),
    ("right_elbow", "right_shoulder"),
    ("right_wrist", "right_elbow"),
]

#: Human3.6M in the 16-joint order of Kinetic-GAN's published arrays.
H36M16 = _by_names(
    "h36m16",
    _H36M16_TREE,
    centre="thorax",
    mirror=_sides([joint for joint, _ in _H36M16_TREE], "left_", "right_"),
    hips=("left_hip", "right_hip"),
    feet=("left_foot", "right_foot"),
)

_H36M15_PARENTS: dict[str, str | None] = {"spine": None, "right_hip": "spine", "left_hip": "spine"}
_H36M15_TREE = [(joint, _H36M15_PARENTS.get(joint, parent)) for joint, parent in _H36M16_TREE if joint != "hip"]

#: Human3.6M without the hip, as SA-GCN keeps it; the triangle of hips and spine stands in for the dropped joint.
H36M15 = _by_names(
    "h36m15",
    _H36M15_TREE,
    centre="thorax",
    mirror=_sides([joint for joint, _ in _H36M15_TREE], "left_", "right_"),
    hips=("left_hip", "right_hip"),
    feet=("left_foot", "right_foot"),
    extra_edges=(("right_hip", "left_hip"),),
)

_CMU31_TREE: list[tuple[str, str | None]] = [
    ("root", None),
    ("lhipjoint", "root"),
    ("lfemur", "lhipjoint"),
    ("ltibia", "lfemur"),
    ("lfoot", "ltibia"),
    ("ltoes", "lfoot"),
    ("rhipjoint", "root"),
    ("rfemur", "rhipjoint"),
    ("rtibia", "rfemur"),
    ("rfoot", "rtibia"),
    ("rtoes", "rfoot"),
    ("lowerback", "root"),
    ("upperback", "lowerback"),
    ("thorax", "upperback"),
    ("lowerneck", "thorax"),
    ("upperneck", "lowerneck"),
    ("head", "upperneck"),
    ("lclavicle", "thorax"),
    ("lhumerus", "lclavicle"),
    ("lradius", "lhumerus"),
    ("lwrist", "lradius"),
    ("lhand", "lwrist"),
    ("lfingers", "lhand"),
    ("lthumb", "lwrist"),
    ("rclavicle", "thorax"),
    ("rhumerus", "rclavicle"),
    ("rradius", "rhumerus"),
    ("rwrist", "rradius"),
    ("rhand", "rwrist"),
    ("rfingers", "rhand"),
    ("rthumb", "rwrist"),
]

#: CMU motion capture (Acclaim): the root and the far ends of 30 bones.
CMU31 = _by_names(
    "cmu31",
    _CMU31_TREE,
    centre="thorax",
    mirror=[(joint, "r" + joint[1:]) for joint, _ in _CMU31_TREE if joint[0] == "l" and joint[1:2] != "o"],
    hips=("lhipjoint", "rhipjoint"),
    feet=("ltoes", "rtoes"),
)

SKELETONS: dict[str, Skeleton] = {s.name: s for s in (NTU25, H36M16, H36M15, CMU31)}


def skeleton(name: str) -> Skeleton:
    """A named skeleton; raises ``ValueError`` listing the known ones."""
    if name not in SKELETONS:
        raise ValueError(f"There is no skeleton '{name}'; known skeletons: {', '.join(sorted(SKELETONS))}.")
    return SKELETONS[name]
