"""Video from action graphs: graphs and first frames in, clips out, measured against the true clips."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.evaluators.metrics import build_metrics
from mutoscope.evaluators.trained import track_classifier_for
from mutoscope.kinds.action_graph.measure import chunks, named_sample
from mutoscope.kinds.action_graph.media import save_comparison
from mutoscope.kinds.base import CardText, EvaluationTask, Measurement
from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import ActionGraphBatch, ActionGraphSample
from mutoscope.training.callbacks.media import Gallery


class VideoGallery:
    """True and generated clips of the validation split side by side.

    Args:
        datamodule: set up.
    """

    def __init__(self, datamodule: DataModule) -> None:
        self.datamodule = datamodule

    def conditions(self, count: int) -> ActionGraphBatch:
        batch: ActionGraphBatch = clips_of(self.datamodule, "val", limit=count)
        return batch

    def save(self, folder: Path, sample: ActionGraphSample, count: int) -> list[Path]:
        return save_comparison(folder, sample)


class ActionGraphTools:
    """See :class:`~mutoscope.kinds.base.KindTools`."""

    groups: Mapping[str, str] = {"metrics": "action_graph", "recognizer": "tracks"}
    compares = False

    def measurement(self, datamodule: DataModule, config: Mapping[str, Any], samples: int) -> Measurement:
        classifier = track_classifier_for(datamodule, config["recognizer"]).network
        metrics = build_metrics(config["metrics"], datamodule.info, track_classifier=classifier)
        wanted = samples * datamodule.info.num_classes
        clips: ActionGraphBatch = clips_of(datamodule, "val", limit=wanted)
        return Measurement(metrics, chunks(clips), named_sample, None)

    def gallery(self, datamodule: DataModule) -> Gallery:
        return VideoGallery(datamodule)

    def evaluate(self, task: EvaluationTask) -> Any:
        from mutoscope.kinds.action_graph.evaluation import evaluate_action_graphs

        return evaluate_action_graphs(task)

    def generate(
        self, config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
    ) -> ActionGraphSample:
        from mutoscope.kinds.action_graph.generation import generate_video

        return generate_video(config, model, trained_config)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.action_graph.card import action_graph_card

        return action_graph_card(model.info, name, evaluate, drawn=getattr(model, "draws", True))
