"""What a critic may look at beside joint positions."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.structures import DatasetInfo, Skeleton

Stream = Literal["joints", "bones", "velocities"]


class MotionFeatures(nn.Module):
    """Positions, bone vectors and velocities of a motion, side by side as channels.

    A linear map: gradients with respect to joints pass through it, so gradient penalties keep their meaning. Bones and
    velocities are small beside positions; the gain brings them to a like size (two-stream networks, Shi et al. 2019).

    Siblings' bones get different gains. A graph convolution adds neighbours up; finger tip and thumb, which hang on the
    hand alone, could otherwise fly apart in opposite directions without a critic noticing.

    Args:
        skeleton: names the parents.
        streams: which features, in this order.
        gain: factor on bones and velocities; on the bones of second, third ... siblings half of it more each.
    """

    parents: Tensor
    bone_gain: Tensor

    def __init__(self, skeleton: Skeleton, streams: Sequence[Stream] = ("joints",), gain: float = 4.0) -> None:
        super().__init__()
        if not streams or not set(streams) <= set(get_args(Stream)):
            raise ValueError(f"Motion features are {list(streams)}, expected some of {', '.join(get_args(Stream))}.")
        self.streams, self.gain = tuple(streams), gain
        # the root is its own parent: its bone is zero
        parents = [j if p == -1 else p for j, p in enumerate(skeleton.parents)]
        self.register_buffer("parents", torch.tensor(parents), persistent=False)
        rank = [skeleton.parents[:j].count(p) for j, p in enumerate(skeleton.parents)]
        self.register_buffer("bone_gain", gain * (1 + torch.tensor(rank)[:, None] / 2), persistent=False)

    @classmethod
    def of(cls, info: DatasetInfo, streams: Sequence[Stream]) -> "MotionFeatures":
        """Features of a dataset's motion in network units.

        Raises:
            ValueError: for bones of joints that are each scaled by themselves.
        """
        if "bones" in streams and info.normaliser is not None and info.normaliser.joints is not None:
            raise ValueError(
                f"critic_streams holds bones, but '{info.name}' scales every joint by itself, so that differences of "
                "joints are no bones; use dataset.scaling=array or coordinate, or leave bones out."
            )
        return cls(info.need_skeleton(), streams)

    def forward(self, joints: Tensor) -> Tensor:
        """``[b, t, v, c] -> [b, t, v, c * streams]``."""
        features = {
            "joints": lambda: joints,
            "bones": lambda: self.bone_gain * (joints - joints.index_select(2, self.parents)),
            "velocities": lambda: self.gain * F.pad(joints.diff(dim=1), (0, 0, 0, 0, 1, 0)),
        }
        return torch.cat([features[stream]() for stream in self.streams], dim=-1)
