"""The metrics of one table, row by row."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torchmetrics import Metric

from mutoscope.metrics.common import AbsentMetric, MetricWarning, feed
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.runtime.console import say

#: what a metric has gathered, by the names of its states
_States = dict[str, Any]


class Measured(NamedTuple):
    """What the metrics say of one row.

    Args:
        values: by metric; ``None`` where there is none.
        per_class: ``[K]`` lists by metric, of those that can tell; NaN where a class was not seen.
        absent: by metric, why there is no value.
        intervals: by metric, within which the value lies with 95 %, of those that can tell.
    """

    values: dict[str, float | None]
    per_class: dict[str, Any]
    absent: dict[str, str]
    intervals: dict[str, tuple[float, float]]


class Measuring:
    """The metrics of one table; why a metric says nothing of its rows is said once.

    What metrics gather of the clips all rows are held against is gathered once and kept. A metric that fails, for
    whatever reason, leaves its value absent and the others alone.

    Args:
        metrics: by name.
        reference: the clips that all rows are held against, by the names that the metrics' ``update`` asks for.
        strict: let errors through that are no metric's way to say that there is no value; for finding their cause.
        advance: called whenever a metric has taken a part of a row.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        reference: Mapping[str, Any] | None = None,
        *,
        strict: bool = False,
        advance: Callable[[], object] = lambda: None,
    ) -> None:
        self.metrics, self._reference = metrics, reference
        self._strict, self._advance = strict, advance
        self._gathered: dict[str, _States] = {}
        # of metrics without a network it was said when they were made
        self._said = {(key, metric.reason) for key, metric in metrics.items() if isinstance(metric, AbsentMetric)}
        #: by metric, what it warned of
        self.notes: dict[str, str] = {}

    def row(self, name: str, parts: Iterable[Mapping[str, Any]]) -> Measured:
        """One row.

        Args:
            name: of the row.
            parts: its samples, by the names that the metrics' ``update`` asks for.
        """
        found = Measured({}, {}, {}, {})
        parts = list(parts)
        for key, metric in self.metrics.items():
            try:
                self._restart(key, metric)
                for part in parts:
                    feed(metric, part)
                    self._advance()
                found.values[key], interval, note = value_of(metric)
                if interval is not None:
                    found.intervals[key] = interval
                if note:
                    self.notes[key] = note
                if isinstance(metric, RecognitionAccuracy):
                    found.per_class[key] = metric.per_class().tolist()
            except Exception as error:
                if self._strict and not isinstance(error, ValueError):
                    raise
                found.values[key], found.absent[key] = None, reason_of(error)
                if (key, found.absent[key]) not in self._said:
                    say(f"{key} of '{name}' is left out: {found.absent[key]}")
                self._said.add((key, found.absent[key]))
            metric.reset()
        return found

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


def value_of(metric: Metric) -> tuple[float, tuple[float, float] | None, str]:
    """The value of a metric, its interval where it can tell one, and what it warns of.

    Raises:
        ValueError: if it has none, or one that is no number.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MetricWarning)
        value = float(metric.compute())
        interval = None
        if callable(told := getattr(metric, "interval", None)):
            with suppress(ValueError):
                interval = told()
    note = ""
    for warning in caught:
        if isinstance(warning.message, MetricWarning):
            note = str(warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if not math.isfinite(value):
        raise ValueError(f"it came out as {value}, which is no number.")
    return value, interval, note


def reason_of(error: Exception) -> str:
    """A sentence for why there is no value; errors that are not written for people are named."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__.strip('_')}{': ' + text if text else ''} (debug=true shows where)"


def _copied(states: Mapping[str, Any]) -> _States:
    """Lists are copied, since metrics append to them; the tensors inside are never changed in place."""
    return {name: value.clone() if isinstance(value, torch.Tensor) else list(value) for name, value in states.items()}
