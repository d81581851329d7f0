"""Clips and samples by the names that metrics of video from action graphs ask for."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.trained import track_classifier_for
from mutoscope.metrics.layout import moving_objects
from mutoscope.models.track_classifier.network import TrackClassifierNet
from mutoscope.runtime.errors import ConfigError
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


def chunks(clips: ActionGraphBatch) -> Sequence[ActionGraphBatch]:
    """The clips, a few at a time."""
    numbers = torch.arange(len(clips)).split(CHUNK)
    return [clips.select(part.tolist()) for part in numbers]


def need_recognizer(recognizer: RecognizerConfig | None) -> RecognizerConfig:
    """How the classifier of box tracks is trained.

    Raises:
        ConfigError: if that was left out.
    """
    if recognizer is None:
        raise ConfigError("Box tracks are named by a classifier, but recognizer is null; choose recognizer=tracks.")
    return recognizer


def action_graph_metrics(
    datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None
) -> dict[str, Metric]:
    """The metrics of a config; the classifier of box tracks is trained only if a metric asks for it."""

    def classifier() -> TrackClassifierNet:
        return track_classifier_for(datamodule, need_recognizer(recognizer)).network

    return build_metrics(nodes, Provided(datamodule.info, {"track_classifier": classifier}))
