"""Names actions from box tracks alone: metrics ask it whether generated layouts show what was asked for."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutoscope.structures import ActionVocabulary, ClockedGraph
from mutoscope.structures.boxes import centres

#: an edge is judged if at least this part of it lies inside the clip
_SEEN = 0.5
#: how often the tracks of an edge are sampled while it is active
_POINTS = 16
_FEATURES = 12


class TrackClassifierNet(nn.Module):
    """Temporal convolutions over the tracks of an edge's subject and of its companion, while it is active.

    Tracks are resampled to a fixed number of points, so that neither the length of a clip nor the pace matters, and an
    edge that was under way when the clip began is judged by what there is to see.

    The companion is the object of the edge; for self-loops, which have none, it is the other object nearest to the
    subject at the end (in training, as often one at random): that there is a companion must not give the action away,
    nor how far it is from a cone that was put elsewhere. Neither attributes nor the asked action nor the place in the
    frame are looked at.
    ``rotate`` moves no box: in tracks it looks like standing still.

    Args:
        vocabulary: names the actions; logits are in its order.
        width: channels of the convolutions.
        dropout: before the last layer.
    """

    def __init__(self, vocabulary: ActionVocabulary, width: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is {width}, expected at least 1.")
        self.input_norm = nn.BatchNorm1d(_FEATURES)
        self.convolutions = nn.Sequential(
            nn.Conv1d(_FEATURES, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(width * (_POINTS // 4), width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, len(vocabulary.actions)),
        )

    def judged(self, graph: ClockedGraph) -> Tensor:
        """``[a]`` bool: edges at least half of which lies inside the clip."""
        start, end = graph.progress.unbind(dim=1)
        return end.clamp(max=1) - start.clamp(min=0) >= _SEEN

    def forward(self, graph: ClockedGraph, boxes: Tensor) -> Tensor:
        """Logits of all edges.

        Args:
            graph: ``a`` edges over ``n`` nodes.
            boxes: ``[n, t, 4]`` (x0, y0, width, height), fractions of the frame.

        Returns:
            ``[a, actions]``; meaningless for edges that are not :meth:`judged`.

        Raises:
            ValueError: for boxes of other nodes.
        """
        if boxes.ndim != 3 or len(boxes) != graph.num_nodes or boxes.shape[2] != 4 or not boxes.shape[1]:
            raise ValueError(f"The track classifier got boxes {list(boxes.shape)}, expected [{graph.num_nodes}, t, 4].")
        frame = _sampling(graph, boxes.shape[1])
        subject = _sampled(boxes, graph.subject, frame)
        companion = _sampled(boxes, self._companions(graph, boxes, frame[:, -1]), frame)
        place, other = centres(subject), centres(companion)
        features = torch.cat(
            [
                place - place[:, :1],
                subject[..., 2:],
                subject[..., 2:] - subject[:, :1, 2:],
                other - place,
                (other - place).norm(dim=-1, keepdim=True),
                _covered(companion, subject)[..., None],
                other - other[:, :1],
            ],
            dim=-1,
        )
        hidden = self.convolutions(self.input_norm(features.transpose(1, 2)))
        logits: Tensor = self.classifier(hidden.flatten(1))
        return logits

    def _companions(self, graph: ClockedGraph, boxes: Tensor, end: Tensor) -> Tensor:
        """``[a]`` node of each edge's companion, given the (fractional) frame ``[a]`` at which the edge ends."""
        node = torch.arange(graph.num_nodes, device=boxes.device)
        other = (graph.clip[graph.subject][:, None] == graph.clip) & graph.real & (node != graph.subject[:, None])
        place = centres(boxes)[:, end.round().long()].transpose(0, 1)
        acting = torch.arange(len(graph.subject), device=boxes.device)
        score = -(place - place[acting, graph.subject][:, None]).norm(dim=-1)
        if self.training:
            random = torch.rand(other.shape, device=boxes.device)
            score = torch.where(random[:, :1] < 0.5, random, score)
        chosen = score.masked_fill(~other, -torch.inf).argmax(dim=1)
        chosen = torch.where(other.any(dim=1), chosen, graph.subject)
        return torch.where(graph.object == graph.subject, chosen, graph.object)


def _sampling(graph: ClockedGraph, length: int) -> Tensor:
    """``[a, points]`` frames (fractional), evenly from where an edge starts or the clip does to where either ends."""
    start, end = graph.progress.unbind(dim=1)
    seen = torch.stack([start.clamp(min=0), end.clamp(max=1)], dim=1)
    borders = (seen - start[:, None]) / (end - start).clamp(min=1e-6)[:, None] * length
    first, last = borders.clamp(0, length - 1).unbind(dim=1)
    share = torch.linspace(0, 1, _POINTS, device=start.device, dtype=start.dtype)
    return first[:, None] + share * (last - first)[:, None]


def _sampled(boxes: Tensor, node: Tensor, frame: Tensor) -> Tensor:
    """``[a, points, 4]`` boxes of ``node: [a]`` at fractional frames ``[a, points]``, linear in between."""
    below = frame.floor().clamp(max=max(0, boxes.shape[1] - 2))
    weight = (frame - below)[..., None].to(boxes)
    index = below.long()
    after = (index + 1).clamp(max=boxes.shape[1] - 1)
    return torch.lerp(boxes[node[:, None], index], boxes[node[:, None], after], weight)


def _covered(boxes: Tensor, by: Tensor) -> Tensor:
    """``[..., 4]`` boxes twice -> ``[...]`` share of each box that lies under the other, 0..1."""
    low, high = torch.maximum(boxes[..., :2], by[..., :2]), torch.minimum(_ends(boxes), _ends(by))
    return (high - low).clamp(min=0).prod(dim=-1) / boxes[..., 2:].prod(dim=-1).clamp(min=1e-6)


def _ends(boxes: Tensor) -> Tensor:
    return boxes[..., :2] + boxes[..., 2:]


def edge_loss(logits: Tensor, action: Tensor, counted: Tensor) -> Tensor:
    """Mean cross-entropy of ``logits: [a, actions]`` over the edges that count, ``[a]`` bool; 0 where none does."""
    loss = F.cross_entropy(logits, action, reduction="none") * counted
    return loss.sum() / counted.sum().clamp(min=1)
