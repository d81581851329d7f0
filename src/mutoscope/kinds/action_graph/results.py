"""What an evaluation of video from action graphs finds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutoscope.kinds.action_graph.control import ControlRow
from mutoscope.kinds.action_graph.report import write_report
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.tables import Row, rows_json
from mutoscope.structures import ActionGraphBatch, ActionGraphSample


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionGraphEvaluation(Evaluation):
    """Layouts, frames and control, each in a table of its own where it has rows, with clips to look at.

    Args:
        task, protocol, tables, caveats: see :class:`~mutoscope.kinds.results.Evaluation`.
        control: questions whether what was asked for happens.
        sample: what the model generated for ``clips``.
        clips: held out.
    """

    control: Sequence[ControlRow]
    sample: ActionGraphSample
    clips: ActionGraphBatch

    @property
    def layouts(self) -> Sequence[Row]:
        """One row per layout generating function, all on the same clips."""
        return self.tables["layouts"].rows if "layouts" in self.tables else []

    @property
    def frames(self) -> Sequence[Row]:
        """One row per way to make frames, the real ones last; none for a model of layouts alone."""
        return self.tables["frames"].rows if "frames" in self.tables else []

    def content(self) -> dict[str, Any]:
        rows = {key: rows_json(self.tables[key]) if key in self.tables else [] for key in ("layouts", "frames")}
        measured = self.tables["control"].protocols if "control" in self.tables else {}
        control = [asdict(row) | {"protocol": measured[row.question].hash} for row in self.control]
        return {**super().content(), **rows, "control": control}

    def publish(self, out: Path) -> list[Path]:
        """``media/`` with generated clips beside true ones, and ``report.html``, which shows them."""
        return [out / "media", write_report(out, self, self.sample)]
