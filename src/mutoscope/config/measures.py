"""How a model is measured: the parts of configs that ``train`` and ``evaluate`` share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from mutoscope.config.nodes import Node, check_config, plain, settings_from
from mutoscope.runtime.errors import ConfigError

#: the sides of an evaluation of clips
SIDES = ("real", "fake")
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


@dataclass(frozen=True, kw_only=True)
class SetSettings:
    """What is told of two sets of clips beside the numbers themselves.

    Args:
        foils: clips of the table of floors and foils at most; 0 for no such table
        curve: also show how the distances depend on the number of clips
    """

    foils: int = 64
    curve: bool = False

    def __post_init__(self) -> None:
        if self.foils < 0:
            raise ValueError(f"foils is {self.foils}, expected 0 or more clips.")


def check_seed(seed: int) -> None:
    """Whether random numbers can begin with it.

    Raises:
        ConfigError: if not.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed is {seed}, expected a whole number from 0 to {2**32 - 1}.")


@dataclass(frozen=True, kw_only=True)
class ClipSettings(SetSettings):
    """What is taken of the clips of both sides.

    Args:
        length: frames of every clip, from the first one on; null if all have as many
        stride: from one frame to the next
        size: pixels to which frames are resized, square; null if all are alike
        fps: rate at which frames are taken of videos, and that of arrays and folders; null if all have the same
        labels: CSV with the columns name and label, of both sides; sub-folders are classes otherwise
        skeleton: of motions, by name: ntu25, h36m16, h36m15, cmu31
        skip_broken: leave out what cannot be read, aloud, instead of ending
        foils, curve: see :class:`SetSettings`
    """

    length: int | None = None
    stride: int = 1
    size: int | None = None
    fps: float | None = None
    labels: str | None = None
    skeleton: str | None = None
    skip_broken: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("length", "stride", "size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1.")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"fps is {self.fps}, expected frames per second, above 0.")

    def typed(self) -> list[str]:
        """What somebody chose, as it is typed."""
        return [
            f"clips.{one.name}={value}" for one in fields(self) if (value := getattr(self, one.name)) != one.default
        ]


def require_both_sides(config: Mapping[str, Any]) -> None:
    """Whether an evaluation of clips was given both sides.

    Raises:
        ConfigError: for one alone.
    """
    if any(config.get(side) is None for side in SIDES):
        raise ConfigError("Clips are held against real ones: give both, real=<folder or file> fake=<folder or file>.")
