"""How a model is measured: the parts of configs that ``train`` and ``evaluate`` share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mutoscope.config.nodes import Node, check_config, plain, settings_from

#: metrics by name; one that is ``None`` is left out
Metrics = Mapping[str, Node | None]


@dataclass(frozen=True)
class MeasureConfig:
    """How metrics are taken during training.

    Args:
        every_n_steps: iterations between measurements.
        samples_per_class: that are generated for each.
        seed: of their latents, the same every time.
    """

    every_n_steps: int
    samples_per_class: int
    seed: int


@dataclass(frozen=True)
class RecognizerConfig:
    """How a network that metrics look through is trained.

    Args:
        max_steps: iterations.
        batch_size: clips in each.
        model: what is trained.
    """

    max_steps: int
    batch_size: int
    model: Node

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Self:
        """From a node ``recognizer``.

        Raises:
            ConfigError: for a setting that is none, one that is missing, or a model that cannot be built.
        """
        return settings_from(check_config({"recognizer": node}, ["recognizer"])["recognizer"], cls, "recognizer")

    def plain(self) -> dict[str, Any]:
        """As it stands in a config; trained networks are kept by it."""
        settings: dict[str, Any] = plain(vars(self))
        return settings
