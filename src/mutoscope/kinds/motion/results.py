"""What an evaluation of motion finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mutoscope.kinds.motion.report import write_report
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.tables import Table
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import MotionBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionEvaluation(Evaluation):
    """Models, foils and floors in one table, with clips to look at.

    Args:
        task, protocol, tables, caveats: see :class:`~mutoscope.kinds.results.Evaluation`; the table is ``rows``.
        fake: clips of the trained model for the classes of ``real``.
        real: held-out clips.
        beside: clips of further models for the same classes, by the names of their rows.
    """

    fake: torch.Tensor
    real: MotionBatch
    beside: Mapping[str, torch.Tensor]

    @property
    def table(self) -> Table:
        return self.tables["rows"]

    def publish(self, out: Path) -> list[Path]:
        """``report.html``, and ``media/`` with generated clips beside real ones."""
        report = write_report(out, self, self.fake, self.real, self.beside)
        media, info = out / "media", self.task.info
        save_motion_gallery(media, self.fake, self.real.label, info, real=self.real.joints, per_class=2)
        return [media, report]
