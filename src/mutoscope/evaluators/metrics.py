"""Metrics from their config nodes, with what they look through."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.nodes import build, locate
from mutoscope.formats.backbones import MissingBackboneError
from mutoscope.runtime.console import say
from mutoscope.structures import DatasetInfo


def build_metrics(
    nodes: Mapping[str, Any],
    info: DatasetInfo,
    *,
    recognizer: Any = None,
    own: Mapping[str, Any] | None = None,
    track_classifier: Any = None,
    reference: Tensor | None = None,
) -> dict[str, Metric]:
    """The metrics of a config, each given what it asks for; those that make no sense here are left out, aloud.

    Args:
        nodes: by name.
        info: of the data.
        recognizer: a network that names actions of motion.
        own: by metric, a network that it asks in the place of ``recognizer``.
        track_classifier: a network that names actions of box tracks.
        reference: joints of all training clips.

    Raises:
        MissingBackboneError: if weights that a metric names are not there; where none are named and none are found, the
            metric is left out.
    """
    late: dict[str, Any] = {"info": info, "skeleton": info.skeleton}
    if recognizer is not None:
        late["recognizer"] = recognizer
    if track_classifier is not None:
        late["track_classifier"] = track_classifier
    if reference is not None:
        late["reference"] = reference
    metrics = {}
    for name, node in nodes.items():
        if node is None:
            continue
        if info.channels == 2 and getattr(locate(node["_target_"], f"metrics.{name}"), "spatial", False):
            say(f"The metric {name} is left out: it needs three dimensions, and '{info.name}' has two.")
            continue
        try:
            settings = {key: value for key, value in node.items() if key != "recognizer"}
            theirs = {"recognizer": own[name]} if own and name in own else {}
            metrics[name] = build(settings, f"metrics.{name}", **{**late, **theirs})
        except MissingBackboneError as absent:
            if absent.named:
                raise
            say(f"The metric {name} is left out: {absent}")
    return metrics
