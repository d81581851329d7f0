"""What an evaluation of video from action graphs finds."""

from dataclasses import dataclass
from typing import Any

from mutoscope.kinds.action_graph.control import ControlRow
from mutoscope.kinds.tables import Row, Table
from mutoscope.structures import ActionGraphBatch, ActionGraphSample


@dataclass(frozen=True)
class ActionGraphEvaluation:
    """Everything an evaluation found; what the report shows.

    Args:
        layouts: one row per layout generating function, all on the same clips.
        frames: one row per way to make frames, the real ones last; none for a model of layouts alone.
        control: questions whether what was asked for happens.
        tables: all of these, as they are printed.
        protocol: how all this was measured.
        sample: what the model generated for ``clips``.
        clips: held out.
    """

    layouts: list[Row]
    frames: list[Row]
    control: list[ControlRow]
    tables: dict[str, Table]
    protocol: dict[str, Any]
    sample: ActionGraphSample
    clips: ActionGraphBatch
