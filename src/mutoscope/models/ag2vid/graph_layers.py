"""What layout generator and discriminator share: object embeddings and the graph convolution (paper, section 4.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AttributeEmbedding(nn.Module):
    """One table per attribute, concatenated; mixed by a linear layer where there is more than one.

    Args:
        sizes: number of values of every attribute.
        width: columns of every table.
    """

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.width = len(sizes) * width
        self.mix = nn.Linear(self.width, self.width) if len(sizes) > 1 else nn.Identity()

    def forward(self, attributes: Tensor) -> Tensor:
        """``[n, k]`` value ids -> ``[n, k * width]``."""
        return self.mix(torch.cat([table(attributes[:, i]) for i, table in enumerate(self.tables)], dim=1))


class GraphConvolution(nn.Module):
    """Messages along edges in both directions, averaged at the nodes (spec section 4, "GCN layer").

    Args:
        nodes, edges: widths of the input features.
        out: width of both outputs.
        hidden: width of the messages.
    """

    def __init__(self, nodes: int, edges: int, out: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.out = hidden, out
        self.message = nn.Sequential(
            nn.Linear(2 * nodes + edges, hidden), nn.ReLU(), nn.Linear(hidden, 2 * hidden + out), nn.ReLU()
        )
        self.update = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, out), nn.ReLU())
        for layer in (*self.message, *self.update):
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(
        self,
        nodes: Tensor,
        edges: Tensor,
        subject: Tensor,
        object: Tensor,
        active: Tensor | None,
        degree: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            nodes: ``[n, nodes]``.
            edges: ``[e, edges]``.
            subject, object: ``[e]`` node indices.
            active: ``[e]`` float, 1 where the edge sends messages and 0 where it does not; ``None`` = all do.
            degree: ``[n]`` float, how often active edges touch each node, self-loops twice, where the caller knows it
                already; several layers share it.

        Returns:
            nodes ``[n, out]`` and edges ``[e, out]``; rows of edges that are not active mean nothing.
        """
        message = self.message[1:](self._ends(nodes, edges.to(nodes.dtype), subject, object))
        to_subject, edges, to_object = message.split([self.hidden, self.out, self.hidden], dim=1)
        if active is not None:
            sent = active[:, None].to(message.dtype)
            to_subject, to_object = to_subject * sent, to_object * sent
        pooled = message.new_zeros(len(nodes), self.hidden)
        pooled = pooled.index_add(0, subject, to_subject).index_add(0, object, to_object)
        if degree is None:
            ends = torch.ones_like(subject, dtype=torch.float32) if active is None else active
            degree = ends.new_zeros(len(nodes)).index_add(0, subject, ends).index_add(0, object, ends)
        return self.update(pooled / degree.clamp(min=1)[:, None].to(pooled.dtype)), edges

    def _ends(self, nodes: Tensor, edges: Tensor, subject: Tensor, object: Tensor) -> Tensor:
        """``[e, hidden]``: the first message layer on [subject; edge; object], by linearity once per node."""
        first = self.message.get_submodule("0")
        weight, width = first.get_parameter("weight"), nodes.shape[1]
        of_subject, of_edge, of_object = weight.split([width, edges.shape[1], width], dim=1)
        as_subject, as_object = F.linear(nodes, of_subject), F.linear(nodes, of_object)
        between = F.linear(edges, of_edge, first.get_parameter("bias"))
        return between + as_subject.index_select(0, subject) + as_object.index_select(0, object)
