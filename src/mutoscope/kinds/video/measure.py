"""Clips and samples by the names that metrics of video that can be steered ask for, and those metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torchmetrics import Metric

from mutoscope.data.datamodule import DataModule
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.structures import VideoBatch, VideoSample

#: clips generated at a time
CHUNK = 4
#: by these names samples and what is known of the clips are handed to metrics
MEASURED = (
    "fake_frames",
    "real_frames",
    "masks",
    "real_masks",
    "drawn_masks",
    "actions",
    "real_actions",
    "shifts",
    "real_shifts",
    "background_shifts",
    "real_pans",
    "sprites",
)


def named_sample(sample: VideoSample) -> dict[str, Any]:
    """Generated clips beside the real ones; what a dataset does not know is ``None``."""
    asked = sample.asked
    return {
        "fake_frames": sample.fake,
        "real_frames": sample.real,
        "masks": sample.masks.cpu(),
        "real_masks": asked.masks,
        "drawn_masks": None if sample.drawn_masks is None else sample.drawn_masks.cpu(),
        "actions": sample.actions.cpu(),
        "real_actions": asked.actions,
        "shifts": sample.shifts.cpu(),
        "real_shifts": asked.shifts,
        "background_shifts": sample.background_shifts.cpu(),
        "real_pans": asked.background_shifts,
        "sprites": asked.sprites,
    }


def video_metrics(datamodule: DataModule, nodes: Mapping[str, Any], codes: int | None = None) -> dict[str, Metric]:
    """The metrics of a config; they look through no trained network.

    Args:
        datamodule: set up.
        nodes: by name.
        codes: how many local actions the model knows.
    """
    return build_metrics(nodes, Provided(datamodule.info, {} if codes is None else {"codes": lambda: codes}))


def chunks(clips: VideoBatch) -> Sequence[VideoBatch]:
    """The clips, a few at a time."""
    return [clips.select(part.tolist()) for part in torch.arange(len(clips)).split(CHUNK)]
