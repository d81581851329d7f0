"""Training of the action recogniser whose features and labels the motion metrics use."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mutoscope.models.base import IterationModule, OptimizerFactory, SchedulerFactory
from mutoscope.models.recognizer.network import RecognizerNet
from mutoscope.structures import DatasetInfo, Kind, MotionBatch


class Recognizer(IterationModule):
    """A small ST-GCN classifier of actions (Yan et al., AAAI 2018), for one dataset and skeleton.

    Args:
        info: classes, skeleton and normaliser of the data.
        width: channels of the first block.
        dropout: before the classifier.
        jitter: standard deviation of the noise added to joints in training, in dataset units.
        optimizers: one factory, named ``recognizer``.
        schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    takes: ClassVar[Kind] = "motion"

    def __init__(
        self,
        info: DatasetInfo,
        *,
        optimizers: Mapping[str, OptimizerFactory],
        width: int = 32,
        dropout: float = 0.1,
        jitter: float = 0.05,
        schedulers: Mapping[str, SchedulerFactory] | None = None,
        micro_batches: int = 1,
        clip_norm: float | None = None,
        compile_networks: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            info,
            optimizers=optimizers,
            schedulers=schedulers,
            micro_batches=micro_batches,
            clip_norm=clip_norm,
            compile_networks=compile_networks,
            seed=seed,
        )
        self.jitter = jitter
        self.network = RecognizerNet(
            info.need_skeleton(),
            info.channels,
            info.num_classes,
            width=width,
            dropout=dropout,
            normaliser=info.need_normaliser(),
        )
        self.ready()

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        return {"recognizer": [self.network]}

    def training_step(self, batch: MotionBatch, batch_idx: int) -> None:
        joints = batch.joints + self.jitter * torch.randn_like(batch.joints)
        parts = self.parts(joints, batch.label)

        def loss(x: Tensor, label: Tensor) -> Tensor:
            logits = self.network(x)
            self.latest["health/train_accuracy"] = (logits.detach().argmax(dim=1) == label).float().mean()
            return functional.cross_entropy(logits, label)

        self.latest["loss/recognizer"] = self.update("recognizer", [partial(loss, *part) for part in parts])
