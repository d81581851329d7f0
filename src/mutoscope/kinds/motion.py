"""Skeleton motion: labels in, clips out, measured against training clips and shown class by class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.assembly import build_metrics, clips_of
from mutoscope.callbacks.media import Gallery
from mutoscope.data.datamodule import DataModule
from mutoscope.kinds.base import CardText, EvaluationTask, Measurement
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.models.base import GenerativeModule
from mutoscope.recognition import TrainedRecognizer, recognizer_for
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import DatasetInfo, MotionBatch, MotionSample

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


class MotionGallery:
    """One video per class and a contact sheet.

    Args:
        info: of the data.
    """

    def __init__(self, info: DatasetInfo) -> None:
        self.info = info

    def conditions(self, count: int) -> Tensor:
        return class_labels(self.info.num_classes, count)

    def save(self, folder: Path, sample: MotionSample, count: int) -> list[Path]:
        return save_motion_gallery(folder, sample.fake.cpu(), sample.label.cpu(), sample.info, per_class=count)


class MotionTools:
    """See :class:`~mutoscope.kinds.base.KindTools`."""

    #: ``conf/evaluate.yaml`` names those of motion already
    groups: Mapping[str, str] = {}
    compares = True

    def measurement(self, datamodule: DataModule, config: Mapping[str, Any], samples: int) -> Measurement:
        metrics, _ = motion_metrics(datamodule, config, clips_of(datamodule, "train").joints)
        labels = class_labels(datamodule.info.num_classes, samples)
        reference = named_clips(clips_of(datamodule, "train", limit=REFERENCE_CLIPS))
        return Measurement(metrics, labels.split(CHUNK), named_sample, reference)

    def gallery(self, datamodule: DataModule) -> Gallery:
        return MotionGallery(datamodule.info)

    def evaluate(self, task: EvaluationTask) -> Any:
        from mutoscope.kinds.motion_evaluation import evaluate_motion

        return evaluate_motion(task)

    def generate(
        self, config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
    ) -> MotionSample:
        from mutoscope.kinds.motion_generation import generate_motion

        return generate_motion(config, model)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.motion_card import motion_card

        return motion_card(model.info, name, evaluate)
