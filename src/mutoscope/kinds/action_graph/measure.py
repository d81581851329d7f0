"""Clips and samples by the names that metrics of video from action graphs ask for."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mutoscope.metrics.layout import moving_objects
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
