"""SA-GCN's attention over frames and the graph of a whole sequence that it leaves (paper section 3.2).

The graph has a node for every joint in every frame. Frames are tied joint by joint, weighted by attention; inside a
frame the skeleton's edges tie joints. Its matrix has a multiple of the skeleton's adjacency in the diagonal blocks and
multiples of the identity elsewhere, so it is never formed: a product over frames, one over joints and a division by the
degree do its work (:class:`SequenceGraph`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from mutoscope.structures import Skeleton

Prune = Literal["past", "row"]
Normalise = Literal["row", "column"]


def neighbours(skeleton: Skeleton) -> Tensor:
    """``[v, v]`` float32, symmetric: one where an edge of the skeleton joins two joints, zero on the diagonal."""
    adjacency = torch.zeros(skeleton.num_joints, skeleton.num_joints)
    ends = torch.tensor(skeleton.edges).view(-1, 2)
    adjacency[ends[:, 0], ends[:, 1]] = 1.0
    adjacency[ends[:, 1], ends[:, 0]] = 1.0
    return adjacency


def widen(x: Tensor) -> Tensor:
    """To float32 where a tensor is narrower; scores, degrees and losses are too coarse in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def causal_attention(query: Tensor, key: Tensor) -> Tensor:
    """``softmax(Q K^T / sqrt(d))`` over the frames up to the query's own (equation 4, scaled).

    Args:
        query, key: ``[..., t, d]``.

    Returns:
        ``[..., t, t]``, row = query frame; at least float32, rows sum to one, zero above the diagonal.
    """
    length = query.shape[-2]
    with torch.autocast(query.device.type, enabled=False):
        scores = widen(query) @ widen(key).mT * query.shape[-1] ** -0.5
        future = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
        return scores.masked_fill(future, -torch.inf).softmax(dim=-1)


class SelfAttention(nn.Module):
    """Causal multi-head attention over frames, added to its input with a learned weight: ``[b, t, w] -> [b, t, w]``.

    The weight starts at zero, so at first nothing but the map of attention acts, and only on the graph.

    Args:
        width: features per frame.
        heads: number of heads, each ``width // heads`` wide.

    Raises:
        ValueError: if there are more heads than features.
    """

    def __init__(self, width: int, heads: int = 3) -> None:
        super().__init__()
        if not 1 <= heads <= width:
            raise ValueError(f"Attention over {width} features cannot have {heads} heads, expected 1 to {width}.")
        self.heads = heads
        head_width = width // heads
        self.query, self.key, self.value = (nn.Linear(width, heads * head_width) for _ in range(3))
        for linear in (self.query, self.key, self.value):
            nn.init.normal_(linear.weight, std=(2 / (width + head_width)) ** 0.5)
        self.out = nn.Linear(heads * head_width, width)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self._project(x)
        heads = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return x + self.weight * self._merge(heads)

    def with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same, with the map of attention averaged over heads, ``[b, t, t]``."""
        query, key, value = self._project(x)
        attention = causal_attention(query, key)
        heads = attention.to(value.dtype) @ value
        return x + self.weight * self._merge(heads), attention.mean(dim=1)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, ``[b, h, t, d]`` each."""
        query, key, value = (
            rearrange(f(x), "b t (h d) -> b h t d", h=self.heads) for f in (self.query, self.key, self.value)
        )
        return query, key, value

    def _merge(self, heads: Tensor) -> Tensor:
        return self.out(rearrange(heads, "b h t d -> b t (h d)"))


def prune_past(attention: Tensor, kept: int) -> Tensor:
    """Keep each frame's own entry and its ``kept`` largest among the frames before it; zero the others.

    Args:
        attention: ``[b, t, t]``, row = query frame; the part above the diagonal is ignored.
        kept: past frames to keep; rows with fewer keep all.

    Returns:
        ``[b, t, t]``, differentiable with respect to the entries kept.
    """
    length = attention.shape[-1]
    past = torch.ones(length, length, dtype=torch.bool, device=attention.device).tril(-1)
    best = attention.detach().masked_fill(~past, -torch.inf).topk(min(kept, length - 1), dim=-1).indices
    mask = torch.zeros_like(attention, dtype=torch.bool).scatter_(-1, best, True) & past
    return attention * (mask | torch.eye(length, dtype=torch.bool, device=attention.device))


def prune_row(attention: Tensor, kept: int) -> Tensor:
    """Keep the ``kept`` largest entries of every row, in which the own frame may lose (as released)."""
    best = attention.detach().topk(min(kept, attention.shape[-1]), dim=-1).indices
    return attention * torch.zeros_like(attention, dtype=torch.bool).scatter_(-1, best, True)


@dataclass(frozen=True)
class SequenceGraph:
    """A normalised graph over all joints of all frames, in factors.

    Of the pruned attention ``S`` (row = query frame) the graph before normalisation has, in block (t, s), ``S_ts I``
    for ``t != s`` and ``(S_tt + e) (A + I) + e I`` for ``t = s``, where ``e`` is the self-loop. Make one with
    :meth:`by_rows`, :meth:`by_columns` or :meth:`of_frames`.

    Args:
        frames: ``[b, t, t]`` weights between frames, row = destination; ``None`` where every frame stands alone.
        bones: ``[b, t]`` weight of a joint's neighbours in its own frame.
        degree: ``[b, t, v]`` positive.
        adjacency: ``[v, v]``, symmetric, without self-loops.
        divide_first: divide the features of the source by its degree, instead of the sum at the destination.
    """

    frames: Tensor | None
    bones: Tensor
    degree: Tensor
    adjacency: Tensor
    divide_first: bool = False

    @classmethod
    def by_rows(cls, pruned: Tensor, adjacency: Tensor, self_loop: float = 0.0) -> "SequenceGraph":
        """``D^-1 A_s`` with row degrees (equation 7): frames hear from their past, weights at each node sum to one."""
        return cls._of(pruned, pruned.sum(dim=2), adjacency, self_loop, divide_first=False)

    @classmethod
    def by_columns(cls, pruned: Tensor, adjacency: Tensor, self_loop: float = 0.1) -> "SequenceGraph":
        """``(diag(1 / column sum) A_s)^T`` as released: frames hear from their future."""
        return cls._of(pruned.mT, pruned.sum(dim=1), adjacency, self_loop, divide_first=True)

    @classmethod
    def of_frames(cls, batch: int, length: int, adjacency: Tensor) -> "SequenceGraph":
        """``D^-1 (A + I)`` in every frame: what :meth:`by_rows` comes to if each frame keeps itself alone."""
        bones = adjacency.new_ones(batch, length)
        return cls(None, bones, (adjacency.sum(dim=0) + 1).expand(batch, length, -1), adjacency)

    @classmethod
    def _of(
        cls, frames: Tensor, total: Tensor, adjacency: Tensor, self_loop: float, *, divide_first: bool
    ) -> "SequenceGraph":
        own = frames.diagonal(dim1=1, dim2=2)
        adjacency = adjacency.to(frames.dtype)
        bones = own + self_loop
        degree = (total + 2 * self_loop)[..., None] + bones[..., None] * adjacency.sum(dim=0)
        if self_loop:
            frames = frames + 2 * self_loop * torch.eye(frames.shape[1], dtype=frames.dtype, device=frames.device)
        return cls(frames, bones, degree, adjacency, divide_first)

    def spread(self, x: Tensor) -> Tensor:
        """Every node takes the weighted sum over its neighbours: ``[b, t, v, c] -> [b, t, v, c]``."""
        scale = self.degree.reciprocal().to(x.dtype)[..., None]
        if self.divide_first:
            x = x * scale
        bones, adjacency = self.bones.to(x.dtype), self.adjacency.to(x.dtype)
        if self.frames is None:
            total = x + bones[..., None, None] * (adjacency @ x)
        else:
            total = _FramesAndBones.apply(self.frames.to(x.dtype), bones, adjacency, x)
        return total if self.divide_first else total * scale


class _FramesAndBones(torch.autograd.Function):
    """``frames @ x`` over frames plus ``bones * (adjacency @ x)`` over joints.

    By hand because the products can add into each other and, the adjacency being symmetric, the backward pass gets all
    gradients from the input alone: a third of the memory and half of the passes over it.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, frames: Tensor, bones: Tensor, adjacency: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(frames, bones, adjacency, x)
        with torch.autocast(x.device.type, enabled=False):
            return _add_up(frames, bones[..., None, None], adjacency @ x, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, Tensor | None]:
        frames, bones, adjacency, x = ctx.saved_tensors
        of_frames, of_bones, _, of_x = ctx.needs_input_grad
        with torch.autocast(x.device.type, enabled=False):
            gradient = gradient.contiguous()
            near = adjacency @ gradient
            return (
                gradient.flatten(2) @ x.flatten(2).mT if of_frames else None,
                (near * x).sum(dim=(2, 3)) if of_bones else None,
                None,
                _add_up(frames.mT, bones[..., None, None], near, gradient) if of_x else None,
            )


def _add_up(frames: Tensor, bones: Tensor, near: Tensor, x: Tensor) -> Tensor:
    """``near * bones + frames @ x``, in the memory of ``near``."""
    near *= bones
    return near.flatten(2).baddbmm_(frames, x.flatten(2)).view_as(x)
