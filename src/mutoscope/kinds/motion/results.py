"""What an evaluation of motion finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mutoscope.kinds.tables import Row, Table
from mutoscope.structures import MotionBatch


@dataclass(frozen=True)
class Evaluation:
    """Everything an evaluation found; what the report shows.

    Args:
        table: models, foils, floors.
        protocol: how all this was measured.
        caveats: by metric, what to bear in mind with its numbers.
        fake: clips of the trained model for the classes of ``real``.
        real: held-out clips.
        beside: clips of further models for the same classes, by the names of their rows.
    """

    table: Table
    protocol: dict[str, Any]
    caveats: dict[str, str]
    fake: torch.Tensor
    real: MotionBatch
    beside: dict[str, torch.Tensor]

    @property
    def rows(self) -> Sequence[Row]:
        return self.table.rows

    def by_caveat(self) -> dict[str, list[str]]:
        """The metrics that share each caveat."""
        texts = dict.fromkeys(self.caveats.values())
        return {text: [name for name, own in self.caveats.items() if own == text] for text in texts}
