"""Training of the classifier of box tracks that action recall and composed accuracy ask."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from mutoscope.models.base import IterationModule, TrainingSettings
from mutoscope.models.track_classifier.network import TrackClassifierNet, edge_loss
from mutoscope.structures import ActionGraphBatch, ActionGraphPair, DatasetInfo, Kind


class TrackClassifier(IterationModule):
    """Learns the actions of edges from true tracks (the layout clips of a batch).

    Args:
        info: vocabulary of the data.
        width: channels of the network.
        dropout: before the last layer.
        jitter: standard deviation of the noise added to boxes in training, fraction of the frame.
        optimizers: one factory, named ``track_classifier``.
        schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    takes: ClassVar[Kind] = "action_graph"
    #: what it is called in reports
    title: ClassVar[str] = "track classifier"

    def __init__(
        self,
        info: DatasetInfo,
        *,
        width: int = 64,
        dropout: float = 0.1,
        jitter: float = 0.005,
        **training: Unpack[TrainingSettings],
    ) -> None:
        super().__init__(info, **training)
        self.jitter = jitter
        self.network = TrackClassifierNet(info.need_vocabulary(), width=width, dropout=dropout)
        self.ready()

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        return {"track_classifier": [self.network]}

    def training_step(self, batch: ActionGraphPair, batch_idx: int) -> None:
        def loss(clips: ActionGraphBatch) -> Tensor:
            boxes = clips.boxes + self.jitter * torch.randn_like(clips.boxes)
            logits, counted = self.network(clips.graph, boxes), self.network.judged(clips.graph)
            right = (logits.detach().argmax(dim=1) == clips.graph.action) & counted
            self.latest["health/train_accuracy"] = right.sum() / counted.sum().clamp(min=1)
            return edge_loss(logits, clips.graph.action, counted)

        parts = [batch.layout]
        if self.micro_batches > 1:
            numbers = self.parts(torch.arange(len(batch.layout)))
            parts = [batch.layout.select(part.tolist()) for (part,) in numbers]
        self.latest["loss/track_classifier"] = self.update("track_classifier", [partial(loss, part) for part in parts])
