"""Drop-ins for the layout network: the paper's recurrent, rule-based and random layouts, and the trivial ones.

All are called as ``(graph, first_boxes, length, given=None)``. Networks take every step from ``given`` boxes and must
not see the data's when they generate; the ground truth returns them; the rest does not look at them.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from mutoscope.models.ag2vid.layout import Edges, Layout, LayoutNetwork, check_boxes
from mutoscope.structures.clocked import ClockedGraph
from mutoscope.structures.vocabulary import ActionVocabulary

#: (x, y) directions of Something-Something's actions on the object operated on; all others let it stay
DIRECTIONS = {"up": (0.0, -1.0), "right": (1.0, 0.0), "down": (0.0, 1.0), "left": (-1.0, 0.0)}


class LayoutRNN(LayoutNetwork):
    """The paper's recurrent baseline: every node reads its own edges one after the other.

    Node ``m`` reads ``[z_m, z_i, u_e, z_j]`` of its active edges ``e = (i, a, j)``; the last hidden state is its
    descriptor. So that it sees what the graph network sees, ``z`` holds attributes and boxes of the last frame and
    ``u`` destination and progress. The paper leaves the cell (here: gated recurrent units) and the order of the edges
    open: relations come first, actions follow in the order in which they begin.

    The host waits for the device at every step, since it must know the lengths of sequences.

    Args:
        sizes: number of values of every attribute.
        num_predicates, num_actions: vocabulary sizes, padding ids included.
        padding_action: id of action edges that are never active.
        width: of embeddings, hidden states and descriptors.
        hidden: of the box head.
        layers: stacked recurrent layers.
        clip_progress, only_actions, checkpoint_steps, truncate: see
            :class:`~mutoscope.models.ag2vid.layout.LayoutNetwork`.

    Raises:
        ValueError: if ``truncate`` is not positive or ``width`` less than 4.
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
            nodes=width,
            clip_progress=clip_progress,
            only_actions=only_actions,
            checkpoint_steps=checkpoint_steps,
            truncate=truncate,
        )
        self.reader = nn.GRU(4 * width, width, layers, batch_first=True)

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """See :meth:`LayoutNetwork.forward <mutoscope.models.ag2vid.layout.LayoutNetwork.forward>`."""
        return super().forward(_in_order_of_begin(graph), first_boxes, length, given)

    def describe(self, nodes: Tensor, edges: Edges) -> Tensor:
        features, subject, object, active, _ = edges
        reading, edge, lengths = incidences(subject, object, active, len(nodes))
        longest = int(lengths.max()) if len(nodes) else 0
        if longest == 0:
            return nodes.new_zeros(len(nodes), self.width)
        rank = torch.arange(len(reading), device=reading.device) - (lengths.cumsum(0) - lengths)[reading]
        row = reading * longest + rank
        sequences = torch.cat(
            [nodes[reading], nodes[subject[edge]], features[edge].to(nodes.dtype), nodes[object[edge]]], 1
        )
        table = sequences.new_zeros(len(nodes) * longest, sequences.shape[1]).index_copy(0, row, sequences)
        packed = pack_padded_sequence(
            table.view(len(nodes), longest, -1), lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.reader(packed)
        return last[-1] * (lengths > 0)[:, None]


def incidences(subject: Tensor, object: Tensor, active: Tensor | None, nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which active edges touch each node, sorted by node and, for one node, by edge; self-loops touch once.

    Returns:
        node and edge index of every touch, ``[i]`` each, and the number of touches ``[n]``.
    """
    ends = torch.stack([subject, object], dim=1)
    touches = torch.stack([torch.ones_like(subject, dtype=torch.bool), subject != object], dim=1)
    if active is not None:
        touches = touches & active.bool()[:, None]
    edge = torch.arange(len(subject), device=subject.device)[:, None].expand_as(ends)[touches]
    node, order = ends[touches].sort(stable=True)
    return node, edge[order], torch.bincount(node, minlength=nodes)


def _in_order_of_begin(graph: ClockedGraph) -> ClockedGraph:
    start, end = graph.progress.unbind(dim=1)
    order = (-start / (end - start + 1e-6)).argsort(stable=True)
    edges = ("subject", "action", "object", "progress", "destination")
    return replace(graph, **{name: getattr(graph, name)[order] for name in edges})


class LayoutRule(nn.Module):
    """Constant motion while an action runs (the paper's rule).

    Actions with a destination bring their subject there on a straight line, arriving when they end, from wherever it
    is at the first frame; when several run on one object, it goes the mean way. Something-Something's directions move
    the object operated on by a fixed step in every frame while they are active. Everything else stays.

    Args:
        vocabulary: of the graphs.
        alpha: length of that step as fraction of the frame; the paper's is 0.1.
    """

    def __init__(self, vocabulary: ActionVocabulary, alpha: float = 0.1) -> None:
        super().__init__()
        arrives = [vocabulary.takes_destination(action) for action in range(len(vocabulary.actions))]
        steps = [DIRECTIONS.get(name, (0.0, 0.0)) for name in vocabulary.actions]
        self.register_buffer("arrives", torch.tensor(arrives, dtype=torch.float32), persistent=False)
        self.register_buffer("steps", alpha * torch.tensor(steps), persistent=False)

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """Boxes ``[n, t, 4]``; widths and heights do not change. ``given`` is not looked at."""
        check_boxes(graph, first_boxes, length, given)
        clock = graph.clocks(length)
        before, after = clock[:-1].clamp(min=0), clock[1:].clamp(max=1)
        arriving = self.get_buffer("arrives")[graph.action] * (after > before)
        share = arriving * (after - before) / (1 - before).clamp(min=1e-6)
        several = share.new_zeros(length - 1, graph.num_nodes).index_add(1, graph.subject, arriving).clamp(min=1)
        active = ((clock >= 0) & (clock <= 1))[1:].to(first_boxes.dtype)
        pushed = active[..., None] * self.get_buffer("steps")[graph.action]
        pushed = first_boxes.new_zeros(length - 1, graph.num_nodes, 2).index_add(1, graph.object, pushed)
        corner, size = first_boxes.split(2, dim=1)
        boxes = [first_boxes]
        for step in range(length - 1):
            way = share[step][:, None] * (graph.destination - corner[graph.subject])
            way = torch.zeros_like(corner).index_add(0, graph.subject, way) / several[step][:, None]
            corner = corner + way + pushed[step]
            boxes.append(torch.cat([corner, size], dim=1))
        return Layout(torch.stack(boxes, dim=1), None)


class LayoutRandom(nn.Module):
    """Boxes between two points drawn uniformly in the frame, anew for every object and frame but the first.

    Image nodes keep their boxes. Draws come from torch's default generator.
    """

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """Boxes ``[n, t, 4]`` inside the frame. ``given`` is not looked at."""
        check_boxes(graph, first_boxes, length, given)
        points = torch.rand(len(first_boxes), length - 1, 2, 2, device=first_boxes.device, dtype=first_boxes.dtype)
        low, high = points.amin(dim=2), points.amax(dim=2)
        drawn = torch.cat([low, high - low], dim=2)
        drawn = torch.where(graph.real[:, None, None], drawn, first_boxes[:, None])
        return Layout(torch.cat([first_boxes[:, None], drawn], dim=1), None)


class LayoutCopy(nn.Module):
    """Nothing moves."""

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """The first boxes in every frame, ``[n, t, 4]``. ``given`` is not looked at."""
        check_boxes(graph, first_boxes, length, given)
        return Layout(first_boxes[:, None].repeat(1, length, 1), None)


class LayoutGroundTruth(nn.Module):
    """The real boxes (AG2Vid-GTL in the paper)."""

    def forward(self, graph: ClockedGraph, first_boxes: Tensor, length: int, given: Tensor | None = None) -> Layout:
        """``given`` up to ``length``.

        Raises:
            ValueError: if no boxes are given, or too few.
        """
        check_boxes(graph, first_boxes, length, given)
        if given is None:
            raise ValueError(
                "Layouts of the data were asked for, but none were given; choose another layout for graphs of your own."
            )
        return Layout(given[:, :length], None)
