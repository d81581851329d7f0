"""What an evaluation of motion finds."""

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from mutoscope.kinds.motion.baselines import Role
from mutoscope.structures import MotionBatch


@dataclass(frozen=True)
class Row:
    """One line of the table: what stood in the generator's place and what the metrics say of it.

    Args:
        name: e.g. ``trained``.
        role: a model, a foil or a floor.
        what: it is, in a sentence.
        count: clips measured.
        values: by metric name; ``None`` where a metric saw too little.
        per_class: recognition accuracy by metric name and class name.
    """

    name: str
    role: Role
    what: str
    count: int
    values: dict[str, float | None]
    per_class: dict[str, dict[str, float]]

    def mean_over_classes(self) -> dict[str, float]:
        """By metric, the mean of its values per class, each class counting alike."""
        return {name: fmean(values.values()) for name, values in self.per_class.items() if values}


@dataclass(frozen=True)
class Evaluation:
    """Everything an evaluation found; what the report shows.

    Args:
        rows: models, foils, floors.
        protocol: how all this was measured.
        caveats: by metric, what to bear in mind with its numbers.
        fake: clips of the trained model for the classes of ``real``.
        real: held-out clips.
        beside: clips of further models for the same classes, by the names of their rows.
    """

    rows: list[Row]
    protocol: dict[str, Any]
    caveats: dict[str, str]
    fake: torch.Tensor
    real: MotionBatch
    beside: dict[str, torch.Tensor]

    def by_caveat(self) -> dict[str, list[str]]:
        """The metrics that share each caveat."""
        texts = dict.fromkeys(self.caveats.values())
        return {text: [name for name, own in self.caveats.items() if own == text] for text in texts}
