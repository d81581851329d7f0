"""Training of the action recognisers whose features and labels the motion metrics use."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from mutoscope.models.base import IterationModule, TrainingSettings
from mutoscope.models.recognizer.clip_network import ClipRecognizerNet
from mutoscope.models.recognizer.network import Inputs, RecognizerNet
from mutoscope.structures import DatasetInfo, Kind, MotionBatch


class ActionClassifier(IterationModule):
    """A classifier of actions in training: cross-entropy on clips whose joints tremble a little.

    Subclasses build ``network``, from clips in dataset units to logits, and call ``ready``.

    Args:
        info: classes, skeleton and normaliser of the data.
        jitter: standard deviation of the noise added to joints in training, in dataset units.
        optimizers: one factory, named ``recognizer``.
        schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    takes: ClassVar[Kind] = "motion"
    #: what it is called in reports
    title: str
    network: nn.Module

    def __init__(
        self,
        info: DatasetInfo,
        *,
        jitter: float,
        **training: Unpack[TrainingSettings],
    ) -> None:
        super().__init__(info, **training)
        self.jitter = jitter

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


class Recognizer(ActionClassifier):
    """A small ST-GCN classifier of actions (Yan et al., AAAI 2018), for one dataset and skeleton.

    Args:
        info: classes, skeleton and normaliser of the data.
        width: channels of the first block.
        dropout: before the classifier.
        jitter: standard deviation of the noise added to joints in training, in dataset units.
        inputs: what it looks at: ``positions``, ``velocities`` or ``both``.
        optimizers: one factory, named ``recognizer``.
        schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    title = "ST-GCN recogniser"
    network: RecognizerNet

    def __init__(
        self,
        info: DatasetInfo,
        *,
        width: int = 32,
        dropout: float = 0.1,
        jitter: float = 0.05,
        inputs: Inputs = "both",
        **training: Unpack[TrainingSettings],
    ) -> None:
        super().__init__(info, jitter=jitter, **training)
        if inputs != "both":
            self.title = f"{type(self).title} of {inputs} alone"
        self.network = RecognizerNet(
            info.need_skeleton(),
            info.channels,
            info.num_classes,
            width=width,
            dropout=dropout,
            normaliser=info.need_normaliser(),
            inputs=inputs,
        )
        self.ready()


class ClipRecognizer(ActionClassifier):
    """The classifier of SA-GCN's table 2 (Yu et al., ECCV 2020), for one dataset, skeleton and clip length.

    Args:
        info: classes, skeleton, clip length and normaliser of the data.
        widths: of the four layers per frame.
        head_channels: channels before the head; the paper's network has one.
        jitter: standard deviation of the noise added to joints in training, in dataset units.
        optimizers: one factory, named ``recognizer``.
        schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    title = "recogniser with the clip critic's trunk"
    network: ClipRecognizerNet

    def __init__(
        self,
        info: DatasetInfo,
        *,
        widths: Sequence[int] = (1000, 1000, 1024, 128),
        head_channels: int = 1,
        jitter: float = 0.0,
        **training: Unpack[TrainingSettings],
    ) -> None:
        super().__init__(info, jitter=jitter, **training)
        if len(widths) != 4:
            raise ValueError(f"widths has {len(widths)} numbers, expected 4.")
        self.network = ClipRecognizerNet(
            info.need_skeleton().num_joints,
            info.channels,
            info.num_classes,
            length=info.length,
            widths=(widths[0], widths[1], widths[2], widths[3]),
            head_channels=head_channels,
            normaliser=info.need_normaliser(),
        )
        self.ready()
