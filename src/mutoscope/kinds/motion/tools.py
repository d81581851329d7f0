"""Skeleton motion: labels in, clips out, measured against training clips and shown class by class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.base import CardText, Measurement
from mutoscope.kinds.motion.measure import (
    CHUNK,
    REFERENCE_CLIPS,
    Recognizers,
    class_labels,
    motion_metrics,
    named_clips,
    named_sample,
)
from mutoscope.kinds.task import EvaluationTask, LoadedModel
from mutoscope.models.generative import GenerativeModule
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import DatasetInfo, MotionSample
from mutoscope.training.callbacks.media import Gallery

if TYPE_CHECKING:
    from mutoscope.kinds.motion.generated import GeneratedMotion
    from mutoscope.kinds.motion.results import MotionEvaluation


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

    groups: Mapping[str, str] = {"metrics": "motion", "recognizer": "st_gcn"}
    measured: Sequence[str] = ("joints", "label", "mask", "real")

    def measurement(
        self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None, samples: int
    ) -> Measurement:
        metrics, _ = motion_metrics(nodes, Recognizers(datamodule, recognizer))
        labels = class_labels(datamodule.info.num_classes, samples)
        reference = named_clips(clips_of(datamodule, "train", limit=REFERENCE_CLIPS))
        return Measurement(metrics, labels.split(CHUNK), named_sample, reference)

    def gallery(self, datamodule: DataModule) -> Gallery:
        return MotionGallery(datamodule.info)

    def generate(self, model: LoadedModel, request: Any, *, seed: int) -> "GeneratedMotion":
        from mutoscope.kinds.motion.generation import generate_motion

        return generate_motion(model, request, seed)

    def evaluate(self, task: EvaluationTask) -> "MotionEvaluation":
        from mutoscope.kinds.motion.evaluation import evaluate_motion

        return evaluate_motion(task)

    def metrics(self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None) -> dict[str, Metric]:
        return motion_metrics(nodes, Recognizers(datamodule, recognizer))[0]

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.motion.card import motion_card

        return motion_card(model.info, name, evaluate)
