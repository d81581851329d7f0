"""The contract between the verbs and a kind of data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.kinds.results import Evaluation, Generated
from mutoscope.kinds.task import EvaluationTask, LoadedModel
from mutoscope.models.generative import GenerativeModule
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
    """What a kind of data does; one implementation each."""

    #: choices of the groups ``metrics`` and ``recognizer`` for ``evaluate`` where the user makes none
    groups: Mapping[str, str]
    #: what samples and clips are called when they are handed to metrics
    measured: Sequence[str]

    def metrics(
        self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None
    ) -> Mapping[str, Metric]:
        """Metrics from their config nodes, each given what its constructor asks for by name.

        Args:
            datamodule: set up.
            nodes: by name.
            recognizer: how the network that metrics look through is trained, where the kind has one.
        """

    def measurement(
        self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None, samples: int
    ) -> Measurement:
        """How to measure models while they train.

        Args:
            datamodule: set up.
            nodes, recognizer: see :meth:`metrics`.
            samples: how many samples per class (motion) or clips per class in the vocabulary (video).
        """

    def gallery(self, datamodule: DataModule) -> Gallery:
        """How to show samples while a model trains."""

    def generate(self, model: LoadedModel, request: Any, *, seed: int) -> Generated:
        """Make what is asked for; nothing is written.

        Args:
            model: of this kind.
            request: of the kind's dataclass, its values of the types that stand there.
            seed: of latents and noise.

        Raises:
            ConfigError: for wishes that this model cannot meet.
        """

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure a model; nothing is written.

        Args:
            task: its options are of the kind's dataclass.
        """

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        """The card of ``model``, exported to the folder ``name``; ``evaluate`` is the command that measures it."""
