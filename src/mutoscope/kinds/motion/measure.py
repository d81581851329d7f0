"""Clips and samples by the names that metrics of motion ask for, and those metrics."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.data.datamodule import DataModule
from mutoscope.evaluators.metrics import build_metrics
from mutoscope.evaluators.trained import TrainedRecognizer, recognizer_for
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.structures import MotionBatch, MotionSample

#: samples generated from one seed
CHUNK = 32


#: real clips that samples are held against while training runs
REFERENCE_CLIPS = 2000


def class_labels(classes: int, per_class: int) -> Tensor:
    """``[classes * per_class]``: 0..K-1, then 0..K-1 again, so that any prefix is nearly balanced."""
    return torch.arange(classes).repeat(per_class)


def named_sample(sample: MotionSample) -> dict[str, Any]:
    """A sample by the names that motion metrics ask for."""
    return {"joints": sample.fake, "label": sample.label, "real": False}


def named_clips(batch: MotionBatch) -> dict[str, Any]:
    """Real clips by the names that motion metrics ask for."""
    return {"joints": batch.joints, "label": batch.label, "mask": batch.mask, "real": True}


def motion_metrics(
    datamodule: DataModule, config: Mapping[str, Any], training: Tensor
) -> tuple[dict[str, Metric], dict[str, TrainedRecognizer]]:
    """The metrics of a config with the recognisers they look through.

    Args:
        datamodule: set up.
        config: of ``train`` or ``evaluate``; the groups ``metrics`` and ``recognizer`` are read. A metric may say in
            ``recognizer`` how one of its own is trained.
        training: joints of all training clips.

    Returns:
        Metrics by name, and by the same names the recognisers of those that count what is recognised.
    """
    shared = recognizer_for(datamodule, config["recognizer"])
    own = {
        name: recognizer_for(datamodule, node["recognizer"])
        for name, node in config["metrics"].items()
        if node is not None and node.get("recognizer") is not None
    }
    metrics = build_metrics(
        config["metrics"],
        datamodule.info,
        recognizer=shared.network,
        own={name: trained.network for name, trained in own.items()},
        reference=training,
    )
    counting = [name for name, metric in metrics.items() if isinstance(metric, RecognitionAccuracy)]
    return metrics, {name: own.get(name, shared) for name in counting}
