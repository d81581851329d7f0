"""Tables of metrics, filled row by row."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError, feed
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.runtime.console import say

#: what a metric has gathered, by the names of its states
_States = dict[str, Any]


class Measuring:
    """The metrics of one table; why a metric says nothing of its rows is said once.

    What metrics gather of the clips all rows are held against is gathered once and kept.

    Args:
        metrics: by name.
        reference: the clips that all rows are held against, by the names that the metrics' ``update`` asks for.
    """

    def __init__(self, metrics: Mapping[str, Metric], reference: Mapping[str, Any] | None = None) -> None:
        self.metrics, self._reference = metrics, reference
        self._gathered: dict[str, _States] = {}
        self._said: set[tuple[str, str]] = set()

    def row(self, name: str, parts: Iterable[Mapping[str, Any]]) -> tuple[dict[str, float | None], dict[str, Any]]:
        """One row: values by metric, and per class of data those of the metrics that can tell.

        Args:
            name: of the row.
            parts: its samples, by the names that the metrics' ``update`` asks for.

        Returns:
            Values, ``None`` where a metric saw too little; and ``[K]`` lists of values by metric, NaN where a class
            was not seen.
        """
        values: dict[str, float | None] = {}
        per_class: dict[str, Any] = {}
        parts = list(parts)
        for key, metric in self.metrics.items():
            try:
                self._restart(key, metric)
                for part in parts:
                    feed(metric, part)
                values[key] = float(metric.compute())
                if isinstance(metric, RecognitionAccuracy):
                    per_class[key] = metric.per_class().tolist()
            except TooFewSamplesError as error:
                values[key] = None
                if (key, str(error)) not in self._said:
                    say(f"{key} of '{name}' is left out: {error}")
                self._said.add((key, str(error)))
            metric.reset()
        return values, per_class

    def _restart(self, key: str, metric: Metric) -> None:
        """Leave in the metric what it gathered of the reference, and nothing else."""
        metric.cpu().reset()
        if self._reference is None:
            return
        if key not in self._gathered:
            feed(metric, self._reference)
            self._gathered[key] = _copied(metric.metric_state)
        else:
            for state, value in _copied(self._gathered[key]).items():
                setattr(metric, state, value)


def _copied(states: Mapping[str, Any]) -> _States:
    """Lists are copied, since metrics append to them; the tensors inside are never changed in place."""
    return {name: value.clone() if isinstance(value, torch.Tensor) else list(value) for name, value in states.items()}
