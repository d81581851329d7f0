"""A small action recogniser on skeleton clips; metrics look at motion through its features."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from mutoscope.structures import Normaliser, Skeleton, partition_adjacency

#: what a recogniser looks at
Inputs = Literal["both", "positions", "velocities"]
#: frames that a temporal convolution sees
_TAPS = 3


class GraphTemporalBlock(nn.Module):
    """Temporal convolution per channel, then graph convolution, with a residual path (after Yan et al. 2018, ST-GCN).

    Convolving each channel by itself and subsampling first leave the graph convolution, which mixes channels, with a
    small tensor. Channels stay last, so that mixing is a matrix product and nothing is transposed.

    Args:
        adjacency: ``[3, v, v]`` partitions, row = source joint; each is multiplied by a learned mask.
        inputs: channels in.
        outputs: channels out.
        stride: of the temporal convolution.
    """

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.taps = nn.Parameter(torch.randn(_TAPS, inputs) / _TAPS**0.5)
        self.mix = nn.Linear(3 * inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.skip = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, t, v, inputs]`` -> ``[b, ceil(t / stride), v, outputs]``."""
        s, frames = self.stride, -(-x.shape[1] // self.stride)
        padded = F.pad(x, (0, 0, 0, 0, _TAPS // 2, _TAPS // 2 + s))
        y = sum_of_taps(padded, self.taps, s, frames)
        graph = rearrange(self.adjacency * self.importance, "a b w -> (w a) b")
        y = (graph @ y.flatten(0, 1)).view(*y.shape[:3], -1)
        return F.relu(_norm(self.norm, self.mix(y)) + self.skip(x[:, ::s]))


def sum_of_taps(padded: Tensor, taps: Tensor, stride: int, frames: int) -> Tensor:
    """``[b, t', v, c]`` -> ``[b, frames, v, c]``: channel-wise convolution over time as shifted slices."""
    y = padded[:, : stride * frames : stride] * taps[0]
    for k in range(1, len(taps)):
        y = torch.addcmul(y, padded[:, k : k + stride * frames : stride], taps[k])
    return y


class RecognizerNet(nn.Module):
    """ST-GCN on joints relative to the root, the path of the root, and velocities, or on either alone.

    Takes dataset units: the offset and scale of the dataset are buffers, so a state dict needs nothing beside it.
    In evaluation mode every clip is judged by itself, whatever the batch.

    Args:
        skeleton: joint layout.
        channels: coordinates per joint ``c``.
        classes: number of classes ``K``.
        width: channels of the first block.
        blocks: (width factor, temporal stride) of every block; pairs of frames are merged before the first.
        dropout: probability of dropping a feature before the classifier.
        normaliser: of the dataset; ``None`` keeps dataset units (until a state dict brings others). One that scales
            joints by themselves is pooled: the network takes differences of joints, which need one measure.
        inputs: ``positions`` or ``velocities`` alone, or ``both``. Without positions the network cannot tell a class
            by its poses: all clips that stand still look alike to it.
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        skeleton: Skeleton,
        channels: int,
        classes: int,
        width: int = 32,
        blocks: Sequence[tuple[int, int]] = ((1, 2), (2, 2), (2, 2)),
        dropout: float = 0.2,
        normaliser: Normaliser | None = None,
        inputs: Inputs = "both",
    ) -> None:
        super().__init__()
        if inputs not in get_args(Inputs):
            raise ValueError(f"inputs is '{inputs}', expected one of {', '.join(get_args(Inputs))}.")
        if min(channels, classes, width) < 1 or not blocks:
            raise ValueError(
                f"RecognizerNet got channels {channels}, classes {classes}, width {width} and {len(blocks)} blocks; "
                "all must be at least 1."
            )
        normaliser = (normaliser or Normaliser((0.0,) * channels, (1.0,) * channels)).pooled()
        if len(normaliser.scale) != channels:
            raise ValueError(f"The normaliser has {len(normaliser.scale)} coordinates, expected {channels}.")
        self.classes, self.channels, self.inputs = classes, channels, inputs
        seen = 2 * channels if inputs == "both" else channels
        self.num_features = width * blocks[-1][0]
        pooled = skeleton.num_joints * self.num_features
        self.root, self.num_joints = skeleton.root, skeleton.num_joints
        self.register_buffer("offset", torch.tensor(normaliser.offset, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(normaliser.scale, dtype=torch.float32))
        adjacency = partition_adjacency(skeleton.num_joints, skeleton.edges, skeleton.centre)
        self.input_norm = nn.BatchNorm1d(skeleton.num_joints * seen)
        sizes = [2 * seen, *(width * factor for factor, _ in blocks)]
        self.blocks = nn.Sequential(
            *(
                GraphTemporalBlock(adjacency, inputs, outputs, stride)
                for inputs, outputs, (_, stride) in zip(sizes[:-1], sizes[1:], blocks, strict=True)
            )
        )
        self.gather = nn.Linear(pooled, self.num_features)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.num_features, classes)

    def features(self, joints: Tensor) -> Tensor:
        """Features before dropout and classifier.

        Args:
            joints: ``[b, t, v, c]`` in dataset units, any ``t``.

        Returns:
            ``[b, d]`` with ``d = num_features``.

        Raises:
            ValueError: for another number of joints or coordinates, or no frame.
        """
        if joints.ndim != 4 or joints.shape[2:] != (self.num_joints, self.channels) or not joints.shape[1]:
            raise ValueError(
                f"RecognizerNet got joints {list(joints.shape)}, "
                f"expected [b, t, {self.num_joints}, {self.channels}] with t >= 1."
            )
        x = (joints - self.offset) / self.scale
        x = self._seen(x)
        x = self.input_norm(x.flatten(0, 1).flatten(1)).view_as(x)
        if x.shape[1] % 2:
            x = torch.cat([x, x[:, -1:]], dim=1)
        x = torch.cat([x[:, ::2], x[:, 1::2]], dim=-1)
        # joints are gathered by weight, not averaged: which limb moves is what tells actions apart
        return self.gather(self.blocks(x).mean(dim=1).flatten(1))

    def _seen(self, x: Tensor) -> Tensor:
        """``[b, t, v, c]`` in network units -> what the network looks at, ``[b, t, v, c or 2 c]``."""
        velocities = F.pad(x.diff(dim=1), (0, 0, 0, 0, 1, 0))
        if self.inputs == "velocities":
            return velocities
        # relative to itself the root would always be 0: its place holds where it is
        others = torch.arange(self.num_joints, device=x.device)[:, None] != self.root
        positions = x - x[:, :, self.root, None] * others
        return positions if self.inputs == "positions" else torch.cat([positions, velocities], dim=-1)

    def forward(self, joints: Tensor) -> Tensor:
        """``joints: [b, t, v, c]`` in dataset units -> logits ``[b, K]``."""
        return self.classifier(self.dropout(self.features(joints)))


def _norm(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return norm(x.reshape(-1, x.shape[-1])).view_as(x)
