"""Skeleton motion: labels in, clips out, measured against training clips and shown class by class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.base import CardText, EvaluationTask, Measurement
from mutoscope.kinds.motion.measure import (
    CHUNK,
    REFERENCE_CLIPS,
    class_labels,
    motion_metrics,
    named_clips,
    named_sample,
)
from mutoscope.models.generative import GenerativeModule
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import DatasetInfo, MotionSample
from mutoscope.training.callbacks.media import Gallery


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
        from mutoscope.kinds.motion.evaluation import evaluate_motion

        return evaluate_motion(task)

    def generate(
        self, config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
    ) -> MotionSample:
        from mutoscope.kinds.motion.generation import generate_motion

        return generate_motion(config, model)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.motion.card import motion_card

        return motion_card(model.info, name, evaluate)
