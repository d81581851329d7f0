"""The contract between the verbs and a kind of data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torchmetrics import Metric

from mutoscope.data.datamodule import DataModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import Sample
from mutoscope.training.callbacks.media import Gallery


@dataclass(frozen=True)
class Measurement:
    """How a model is measured while it trains.

    Args:
        metrics: by name.
        conditions: chunks of what ``generate`` is asked for; each is made from a seed of its own.
        named: the tensors of a sample by the names that metrics ask for.
        reference: the same for real clips, where metrics want a whole set of them; tensors have the clips first.
    """

    metrics: Mapping[str, Metric]
    conditions: Sequence[Any]
    named: Callable[[Any], Mapping[str, Any]]
    reference: Mapping[str, Any] | None


@dataclass(frozen=True)
class EvaluationTask:
    """Everything an evaluation is made from.

    Args:
        config: of ``evaluate``, resolved.
        model: trained, on ``device``, in evaluation mode.
        trained_config: the config the model was trained with.
        datamodule: set up.
        checkpoint: where the model comes from.
        out: the folder for results.
        beside: further models of the same data, one or several each, by the names of their rows.
        others: further checkpoints of the same model, which share its row.
        explicit: what the user typed, by group of settings.
    """

    config: Mapping[str, Any]
    model: GenerativeModule
    trained_config: Mapping[str, Any]
    datamodule: DataModule
    device: torch.device
    checkpoint: Path
    out: Path
    beside: Mapping[str, Sequence[GenerativeModule]] = field(default_factory=dict)
    others: Sequence[GenerativeModule] = ()
    explicit: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        """Of what is generated: those asked for, or the one of the evaluation."""
        return list(self.config.get("seeds") or [self.config["seed"]])


@dataclass(frozen=True)
class CardText:
    """What the card of an exported model says that depends on the kind of data.

    Args:
        tag: what such models are for.
        clips: their length and measures.
        facts: further lines of the card's table.
        body: Markdown below the table: what may be asked for, and how.
    """

    tag: str
    clips: str
    facts: Mapping[str, str]
    body: str


class KindTools(Protocol):
    """One implementation per kind of data."""

    #: choices of the groups ``metrics`` and ``recognizer`` for ``evaluate`` where the user makes none
    groups: Mapping[str, str]
    #: what samples and clips are called when they are handed to metrics
    measured: Sequence[str]
    #: whether an evaluation can measure further models beside the one asked for
    compares: bool

    def measurement(self, datamodule: DataModule, config: Mapping[str, Any], samples: int) -> Measurement:
        """How to measure models while they train.

        Args:
            datamodule: set up.
            config: of ``train``; the groups ``metrics`` and ``recognizer`` are read.
            samples: how many samples per class (motion) or clips per class in the vocabulary (video).
        """

    def gallery(self, datamodule: DataModule) -> Gallery:
        """How to show samples while a model trains."""

    def evaluate(self, task: EvaluationTask) -> Any:
        """Measure a model; write ``metrics.json``, media and ``report.html``; return what was found."""

    def generate(self, config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]) -> Sample:
        """What ``generate`` does with a model."""

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        """The card of ``model``, exported to the folder ``name``; ``evaluate`` is the command that measures it."""
