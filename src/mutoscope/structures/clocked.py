"""Action graphs as tensors: the objects and clocked edges of several clips, concatenated."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClockedGraph:
    """The action graphs of ``b`` clips as one graph of ``n`` nodes, of which no two from different clips are joined.

    Ids are those of an :class:`~mutoscope.structures.vocabulary.ActionVocabulary`; nodes are numbered 0..n-1 over all
    clips. Where the vocabulary has an image node, it is the last node of its clip, with all attributes 0.

    Args:
        attributes: ``[n, k]`` int64 value ids.
        clip: ``[n]`` int64, the clip each node belongs to, ascending.
        relations: ``[m, 3]`` int64 spatial edges (subject node, predicate, object node), the same in every frame, or
            ``[t, m, 3]`` one set for every frame.
        subject, action, object: ``[a]`` int64 action edges; ``object`` is the subject itself for self-loops.
        progress: ``[a, 2]`` float, the edge's progress at the first frame and one past the last frame of the clip:
            0 where the action starts, 1 where it ends, any number before and after.
        destination: ``[a, 2]`` float, where the top-left corner of the subject's box ends up, as fraction of the
            frame; zero for actions without destination.
        num_clips: ``b``.
        most: objects in the clip that has most of them; counted here unless given, which on a GPU makes the host wait,
            so batches are put together before they are moved.
    """

    attributes: Tensor
    clip: Tensor
    relations: Tensor
    subject: Tensor
    action: Tensor
    object: Tensor
    progress: Tensor
    destination: Tensor
    num_clips: int
    most: int = -1

    def __post_init__(self) -> None:
        if self.most < 0:
            real = self.clip[self.real]
            most = int(torch.bincount(real, minlength=1).max()) if len(real) else 0
            object.__setattr__(self, "most", most)

    @property
    def num_nodes(self) -> int:
        return self.attributes.shape[0]

    @property
    def num_actions(self) -> int:
        return self.action.shape[0]

    @property
    def real(self) -> Tensor:
        """``[n]`` bool: nodes that are objects, not the image."""
        return self.attributes[:, 0] != 0

    def clocks(self, length: int) -> Tensor:
        """``[t, a]`` progress ``r_t`` of every action edge at frames ``0..length-1`` (paper, "clocked edges").

        An edge is active where ``0 <= r_t <= 1``.
        """
        start, end = self.progress.unbind(dim=1)
        time = torch.arange(length, device=start.device, dtype=start.dtype) / length
        return time[:, None] * (end - start + 1e-6) + start

    def lasting(self, ratio: float) -> Self:
        """The same graph for clips ``ratio`` times as long, every action at the pace it had."""
        start, end = self.progress.unbind(dim=1)
        return replace(self, progress=torch.stack([start, start + (end - start) * ratio], dim=1))

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self._each(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, function: Any) -> Self:
        tensors = (f.name for f in fields(self) if f.name not in ("num_clips", "most"))
        return replace(self, **{name: function(getattr(self, name)) for name in tensors})

    @classmethod
    def cat(cls, graphs: "Sequence[ClockedGraph]") -> "ClockedGraph":
        """Several graphs as one; nodes and clips are renumbered.

        Raises:
            ValueError: none given, or relations per frame beside constant ones.
        """
        if not graphs:
            raise ValueError("There are no action graphs to put together.")
        if len({g.relations.ndim for g in graphs}) > 1:
            raise ValueError("Spatial relations that change from frame to frame cannot be joined with constant ones.")
        nodes = _offsets([g.num_nodes for g in graphs])
        clips = _offsets([g.num_clips for g in graphs])
        shifted = [g.relations + g.relations.new_tensor([node, 0, node]) for g, node in zip(graphs, nodes, strict=True)]
        return cls(
            attributes=torch.cat([g.attributes for g in graphs]),
            clip=torch.cat([g.clip + clip for g, clip in zip(graphs, clips, strict=True)]),
            relations=torch.cat(shifted, dim=-2),
            subject=torch.cat([g.subject + node for g, node in zip(graphs, nodes, strict=True)]),
            action=torch.cat([g.action for g in graphs]),
            object=torch.cat([g.object + node for g, node in zip(graphs, nodes, strict=True)]),
            progress=torch.cat([g.progress for g in graphs]),
            destination=torch.cat([g.destination for g in graphs]),
            num_clips=sum(g.num_clips for g in graphs),
        )

    def select(self, clips: Sequence[int]) -> "ClockedGraph":
        """The graphs of some clips, in the order given."""
        return ClockedGraph.cat([self._one(clip) for clip in clips])

    def nodes_of(self, clip: int) -> Tensor:
        """Indices of one clip's nodes."""
        return (self.clip == clip).nonzero()[:, 0]

    def _one(self, clip: int) -> "ClockedGraph":
        if not 0 <= clip < self.num_clips:
            raise IndexError(f"There is no clip {clip}; the batch has {self.num_clips}.")
        nodes, edges = self.nodes_of(clip), self.clip[self.subject] == clip
        first = int(nodes[0]) if len(nodes) else 0
        sources = self.relations[..., 0] if self.relations.ndim == 2 else self.relations[0, :, 0]
        relations = self.relations[..., self.clip[sources] == clip, :]
        return ClockedGraph(
            attributes=self.attributes[nodes],
            clip=torch.zeros_like(nodes),
            relations=relations - relations.new_tensor([first, 0, first]),
            subject=self.subject[edges] - first,
            action=self.action[edges],
            object=self.object[edges] - first,
            progress=self.progress[edges],
            destination=self.destination[edges],
            num_clips=1,
        )


def _offsets(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]
