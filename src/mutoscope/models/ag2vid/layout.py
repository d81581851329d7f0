"""From action graphs to layouts: the layout generating function with its graph network (AG2Vid, section 4.1)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mutoscope.models.ag2vid.graph_layers import AttributeEmbedding, GraphConvolution
from mutoscope.structures.clocked import ClockedGraph


@dataclass(frozen=True)
class Layout:
    """Where the objects are in every frame.

    Args:
        boxes: ``[n, t, 4]`` (x0, y0, width, height) as fractions of the frame, not clipped; frame 0 is the given one.
        descriptors: ``[n, t, e]`` what the layout network knows about every object, zero in frame 0 (as in the
            original code), or ``None`` from baselines without a network.
    """

    boxes: Tensor
    descriptors: Tensor | None

    def need_descriptors(self) -> Tensor:
        """The descriptors, or a ``ValueError`` where this kind of layout has none."""
        if self.descriptors is None:
            raise ValueError(
                "This layout function has no object descriptors; use a graph network of its own for appearance."
            )
        return self.descriptors


#: features ``[e, width]``, subject and object ``[e]``, active ``[e]`` or ``None`` where all are, degree ``[n]``
Edges = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]


@dataclass(frozen=True)
class StepEdges:
    """The edges of ``s`` steps, relations first and action edges after them.

    Args:
        features: ``[s, e, width]``.
        subject, object: ``[s, e]`` node indices.
        active: ``[s, e]`` float, 1 where the edge sends messages.
        degree: ``[s, n]`` float, how often active edges touch a node; a self-loop touches it twice.
    """

    features: Tensor
    subject: Tensor
    object: Tensor
    active: Tensor
    degree: Tensor

    def at(self, step: int) -> Edges:
        """The edges of one step."""
        return _sending(
            self.features[step], self.subject[step], self.object[step], self.active[step], self.degree[step]
        )

    def joined(self) -> Edges:
        """All steps as one graph of ``s * n`` nodes, step by step."""
        steps, nodes = self.degree.shape
        offset = torch.arange(steps, device=self.subject.device)[:, None] * nodes
        subject, object = (self.subject + offset).flatten(), (self.object + offset).flatten()
        return _sending(self.features.flatten(0, 1), subject, object, self.active.flatten(), self.degree.flatten())


def _sending(features: Tensor, subject: Tensor, object: Tensor, active: Tensor, degree: Tensor) -> Edges:
    """Leave edges that are not active out, unless counting them would make the host wait for a device."""
    if active.device.type != "cpu":
        return features, subject, object, active, degree
    kept = active.nonzero()[:, 0]
    return features[kept], subject[kept], object[kept], None, degree


class EdgeEmbedding(nn.Module):
    """Features of spatial relations and clocked action edges for every frame but the first.

    A relation is its predicate's embedding. An action edge is its action's embedding whose last three components are
    replaced by the destination and the progress ``r_t`` (spec section 4).

    Args:
        num_predicates, num_actions: rows of the tables, padding ids included.
        padding_action: action edges with this id are never active.
        width: components of the features, more than 3.
        clip_progress: keep every action edge all the time and clip its progress to [0, 1], as the paper writes,
            instead of dropping edges whose progress is outside.
        only_actions: leave the relations out.

    Raises:
        ValueError: if ``width`` leaves no room for the embedding.
    """

    def __init__(
        self,
        num_predicates: int,
        num_actions: int,
        padding_action: int,
        width: int,
        *,
        clip_progress: bool = False,
        only_actions: bool = False,
    ) -> None:
        super().__init__()
        if width < 4:
            raise ValueError(f"The width of edges is {width}; destination and clock take three, so give 4 or more.")
        self.predicates = nn.Embedding(num_predicates, width)
        self.actions = nn.Embedding(num_actions, width)
        self.padding_action = padding_action
        self.clip_progress, self.only_actions = clip_progress, only_actions

    def forward(self, graph: ClockedGraph, length: int) -> StepEdges:
        """The edges of frames ``1..length-1``.

        Raises:
            ValueError: if relations are given frame by frame, but not for all frames.
        """
        clock = graph.clocks(length)[1:]
        steps, edges = clock.shape
        active = (graph.action != self.padding_action).expand(steps, edges)
        if self.clip_progress:
            clock = clock.clamp(0, 1)
        else:
            active = active & (clock >= 0) & (clock <= 1)
        embedded = self.actions(graph.action)[:, :-3].expand(steps, edges, -1)
        destination = graph.destination.expand(steps, edges, 2)
        features = torch.cat([embedded, destination.to(embedded), clock[..., None].to(embedded)], dim=2)
        subject, object = graph.subject.expand(steps, edges), graph.object.expand(steps, edges)
        weight = active.to(features.dtype)
        if not self.only_actions:
            relations = _relations(graph, length)
            # constant relations are looked up once
            known = self.predicates(relations[..., 1]).expand(steps, -1, -1)
            relations = relations.expand(steps, -1, -1)
            features = torch.cat([known, features], dim=1)
            subject = torch.cat([relations[..., 0], subject], dim=1)
            object = torch.cat([relations[..., 2], object], dim=1)
            weight = torch.cat([weight.new_ones(relations.shape[:2]), weight], dim=1)
        degree = weight.new_zeros(steps, graph.num_nodes)
        degree = degree.scatter_add(1, subject, weight).scatter_add(1, object, weight)
        return StepEdges(features, subject, object, weight, degree)


def _relations(graph: ClockedGraph, length: int) -> Tensor:
    """``[1 or t - 1, m, 3]`` for frames ``1..length-1``."""
    if graph.relations.ndim == 2:
        return graph.relations[None]
    if len(graph.relations) < length:
        raise ValueError(
            f"The graph has spatial relations for {len(graph.relations)} frames, but {length} frames are wanted; "
            "give constant relations or one set for every frame."
        )
    return graph.relations[1:length]


class LayoutNetwork(nn.Module, ABC):
    """Boxes of the next frame from those of the last one and the clocked edges (paper, section 4.1).

    Node features are made anew at every step from attributes and boxes; only the boxes are carried on. Attributes,
    clocks, edge features and degrees of all steps are computed before the first one.

    Args:
        sizes: number of values of every attribute.
        num_predicates, num_actions: vocabulary sizes, padding ids included.
        padding_action: id of action edges that are never active.
        width: of embeddings and descriptors.
        hidden: of the box head.
        nodes: width of the node features; that of the attributes if ``None``.
        clip_progress, only_actions: see :class:`EdgeEmbedding`.
        checkpoint_steps: keep only the boxes of every step for the backward pass and compute the rest again.
        truncate: gradients do not pass through the carried boxes at every so-many-th step; ``None`` = never cut.

    Raises:
        ValueError: if ``truncate`` is not positive or ``width`` less than 4.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        num_predicates: int,
        num_actions: int,
        padding_action: int,
        width: int,
        hidden: int,
        *,
        nodes: int | None,
        clip_progress: bool,
        only_actions: bool,
        checkpoint_steps: bool,
        truncate: int | None,
    ) -> None:
        super().__init__()
        if truncate is not None and truncate < 1:
            raise ValueError(f"truncate is {truncate}; give the number of steps between cuts, or none for no cuts.")
        self.attributes = AttributeEmbedding(sizes, width)
        self.edges = EdgeEmbedding(
            num_predicates, num_actions, padding_action, width, clip_progress=clip_progress, only_actions=only_actions
        )
        known = self.attributes.width
        self.nodes = nn.Sequential(
            nn.Linear(known + 4, known, bias=False), nn.ReLU(), nn.Linear(known, nodes or known, bias=False), nn.ReLU()
        )
        self.box = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 4))
        self.width = width
        self.checkpoint_steps, self.truncate = checkpoint_steps, truncate

    @abstractmethod
    def describe(self, nodes: Tensor, edges: Edges) -> Tensor:
        """Node features ``[n, nodes]`` and the edges of one step -> descriptors ``[n, width]``."""

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """Unroll ``length - 1`` steps.

        Args:
            graph: of all clips.
            first_boxes: ``[n, 4]`` float32.
            length: frames ``t``, the first one included; clocks run over the clip, however long it is.
            given: ``[n, t, 4]`` boxes to start every step from instead of those of the step before; all steps are then
                computed at once, and ``boxes[:, t]`` is one step away from ``given[:, t - 1]``. Leave it out to
                generate: the roll-out runs on its own predictions, in training as well.

        Raises:
            ValueError: if boxes or relations do not fit the graph.
        """
        check_boxes(graph, first_boxes, length, given)
        edges = self.edges(graph, length)
        attributes = self.attribute_part(graph)
        if given is None:
            boxes, descriptors = self._unroll(attributes, edges, first_boxes, length)
        else:
            boxes, descriptors = self._at_once(attributes, edges, first_boxes, given[:, : length - 1].transpose(0, 1))
        return Layout(boxes.transpose(0, 1), descriptors.transpose(0, 1))

    def _unroll(self, attributes: Tensor, edges: StepEdges, boxes: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Boxes ``[t, n, 4]`` and descriptors ``[t, n, width]``."""
        all_boxes, descriptors = [boxes], [attributes.new_zeros(len(boxes), self.width)]
        for step in range(length - 1):
            if self.truncate is not None and step > 0 and step % self.truncate == 0:
                boxes = boxes.detach()
            if self.checkpoint_steps and torch.is_grad_enabled():
                delta, known = checkpoint(self._step, attributes, boxes, edges.at(step), use_reentrant=False)
            else:
                delta, known = self._step(attributes, boxes, edges.at(step))
            boxes = boxes + delta
            all_boxes.append(boxes)
            descriptors.append(known)
        return torch.stack(all_boxes), torch.stack(descriptors)

    def _at_once(self, attributes: Tensor, edges: StepEdges, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """The same from known boxes ``last: [t - 1, n, 4]``."""
        repeated = attributes.expand(*last.shape[:2], -1).flatten(0, 1)
        delta, known = self._step(repeated, last.flatten(0, 1), edges.joined())
        boxes = torch.cat([first[None], last + delta.view(last.shape)])
        known = known.view(*last.shape[:2], self.width)
        return boxes, torch.cat([known.new_zeros(1, len(first), self.width), known])

    def attribute_part(self, graph: ClockedGraph) -> Tensor:
        """The first node layer's sum over attributes, the same in every frame."""
        return F.linear(self.attributes(graph.attributes), self.nodes.get_parameter("0.weight")[:, :-4])

    def node_features(self, attributes: Tensor, boxes: Tensor) -> Tensor:
        """``[n, nodes]`` from :meth:`attribute_part` and boxes ``[n, 4]``."""
        # half precision would round boxes to 1/256 of the frame
        with torch.autocast(boxes.device.type, enabled=False):
            position = F.linear(boxes, self.nodes.get_parameter("0.weight")[:, -4:])
        return self.nodes[1:](attributes + position)

    def _step(self, attributes: Tensor, boxes: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """How far the boxes go ``[n, 4]``, in their precision, and the descriptors ``[n, width]``."""
        known = self.describe(self.node_features(attributes, boxes), edges)
        return self.box(known).to(boxes.dtype), known


class LayoutGCN(LayoutNetwork):
    """The layout generating function: messages along the clocked edges (paper, section 4.1).

    Args:
        sizes: number of values of every attribute.
        num_predicates, num_actions: vocabulary sizes, padding ids included.
        padding_action: id of action edges that are never active.
        width: of embeddings and descriptors.
        hidden: of messages and of the box head.
        layers: graph convolutions.
        clip_progress, only_actions, checkpoint_steps, truncate: see :class:`LayoutNetwork`.

    Raises:
        ValueError: if there is no layer, ``truncate`` is not positive or ``width`` less than 4.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        num_predicates: int,
        num_actions: int,
        padding_action: int,
        width: int = 128,
        hidden: int = 512,
        layers: int = 3,
        *,
        clip_progress: bool = False,
        only_actions: bool = False,
        checkpoint_steps: bool = False,
        truncate: int | None = None,
    ) -> None:
        super().__init__(
            sizes,
            num_predicates,
            num_actions,
            padding_action,
            width,
            hidden,
            nodes=None,
            clip_progress=clip_progress,
            only_actions=only_actions,
            checkpoint_steps=checkpoint_steps,
            truncate=truncate,
        )
        if layers < 1:
            raise ValueError(f"A layout network of {layers} graph convolutions was asked for; it needs at least one.")
        self.convolutions = nn.ModuleList(
            GraphConvolution(width if layer else self.attributes.width, width, width, hidden) for layer in range(layers)
        )

    def describe(self, nodes: Tensor, edges: Edges) -> Tensor:
        features, *where = edges
        for convolution in self.convolutions:
            nodes, features = convolution(nodes, features, *where)
        return nodes


def check_boxes(graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None) -> None:
    """Raise ``ValueError`` unless boxes fit the graph and the number of frames."""
    if length < 1:
        raise ValueError(f"A layout of {length} frames was asked for; the first frame is given, so ask for 1 or more.")
    if first_boxes.shape != (graph.num_nodes, 4):
        raise ValueError(
            f"The boxes of the first frame have shape {list(first_boxes.shape)}; "
            f"the graph has {graph.num_nodes} nodes, so [{graph.num_nodes}, 4] is expected."
        )
    if given is not None and (given.shape[0] != graph.num_nodes or given.shape[1] < length):
        raise ValueError(
            f"The given boxes have shape {list(given.shape)}; "
            f"{graph.num_nodes} nodes and {length} frames need [{graph.num_nodes}, {length}, 4]."
        )


def layout_loss(
    predicted: Tensor, target: Tensor, real: Tensor, padded_count: int | None = None, beta: float = 1.0
) -> Tensor:
    """Smooth L1 between boxes of frames ``1..t-1``, without the weight (spec section 7).

    Args:
        predicted, target: ``[n, t, 4]``.
        real: ``[n]`` bool, nodes that count.
        padded_count: divide by that many nodes instead of the real ones: the original averages over all rows of its
            padded batch, clips times the largest number of nodes, so that its loss depends on the padding.
        beta: where squares turn into absolute differences; 0 is the plain L1 of the paper's equation 3.

    Returns:
        Scalar; 0 where no node is real.
    """
    error = F.smooth_l1_loss(predicted[:, 1:].float(), target[:, 1:].float(), reduction="none", beta=beta)
    total = (error * real[:, None, None]).sum()
    nodes = real.sum().clamp(min=1) if padded_count is None else padded_count
    return total / (nodes * 4 * max(error.shape[1], 1))
