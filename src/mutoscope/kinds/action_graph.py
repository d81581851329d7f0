"""Video from action graphs: graphs and first frames in, clips out, measured against the true clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.assembly import build_metrics, clips_of
from mutoscope.callbacks.media import Gallery
from mutoscope.data.datamodule import DataModule
from mutoscope.kinds.action_graph_pictures import save_comparison
from mutoscope.kinds.base import CardText, EvaluationTask, Measurement
from mutoscope.metrics.layout import moving_objects
from mutoscope.models.base import GenerativeModule
from mutoscope.recognition import track_classifier_for
from mutoscope.structures import ActionGraphBatch, ActionGraphSample

#: clips generated at a time
CHUNK = 8


def named_layout(batch: ActionGraphBatch, boxes: Tensor) -> dict[str, Any]:
    """Boxes ``[n, t, 4]`` laid out for true clips, by the names that metrics ask for."""
    return {
        "fake_boxes": boxes,
        "real_boxes": batch.boxes,
        "real_nodes": batch.graph.real,
        "moving": moving_objects(batch.boxes) & batch.graph.real,
        "graph": batch.graph,
    }


def named_sample(sample: ActionGraphSample) -> dict[str, Any]:
    """Generated clips beside the true ones, by the names that metrics ask for."""
    frames = sample.fake if sample.drawn else None
    return {"fake_frames": frames, "real_frames": sample.real, **named_layout(sample.asked, sample.boxes)}


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
        from mutoscope.kinds.action_graph_evaluation import evaluate_action_graphs

        return evaluate_action_graphs(task)

    def generate(
        self, config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
    ) -> ActionGraphSample:
        from mutoscope.kinds.action_graph_generation import generate_video

        return generate_video(config, model, trained_config)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.action_graph_card import action_graph_card

        return action_graph_card(model.info, name, evaluate, drawn=getattr(model, "draws", True))


def chunks(clips: ActionGraphBatch) -> Sequence[ActionGraphBatch]:
    """The clips, a few at a time."""
    numbers = torch.arange(len(clips)).split(CHUNK)
    return [clips.select(part.tolist()) for part in numbers]
