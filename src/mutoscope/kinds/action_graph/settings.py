"""What models of video from action graphs can be asked for, and what their evaluation can be told."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutoscope.kinds.settings import Request
from mutoscope.runtime.errors import ConfigError

if TYPE_CHECKING:
    from mutoscope.kinds.action_graph.generated import GeneratedVideo  # noqa: F401  (names what is answered)
    from mutoscope.kinds.action_graph.pictures import Picture
    from mutoscope.structures import ActionGraph


@dataclass(frozen=True)
class ActionGraphRequest(Request["GeneratedVideo"]):
    """Video of action graphs from one first frame.

    Args:
        prompt: a graph (YAML or JSON) or several: prompt=[a.yaml,b.yaml], shown side by side
        first_frame: a picture; the boxes of its objects stand in the prompt
        clip: instead of a picture: number of a validation clip of the model's dataset
        shift: frames by which all actions are put off, one video for each: shift=[0,4,8]
        length: frames; what the prompt says by default
        dataset: settings of the model's dataset, for clip=...: dataset={root: ...}
    """

    prompt: "str | Path | ActionGraph | Sequence[str | Path | ActionGraph] | None" = None
    first_frame: "str | Path | Picture | None" = None
    clip: int | None = None
    shift: float | Sequence[float] | None = None
    length: int | None = None
    dataset: Mapping[str, Any] | None = None

    def check(self) -> None:
        for shift in self.shift if isinstance(self.shift, Sequence) else [0.0 if self.shift is None else self.shift]:
            if not math.isfinite(shift):
                raise ConfigError(
                    f"shift is {shift}, expected frames by which actions are put off: a number or several."
                )
        if self.length is not None and self.length < 1:
            raise ConfigError(f"length is {self.length}, expected a whole number of frames, at least 2.")


@dataclass(frozen=True)
class ActionGraphOptions:
    """What the evaluation of such models can be told: nothing but what all evaluations can."""


def prompt(
    graph: "str | Path | ActionGraph | Sequence[str | Path | ActionGraph]",
    first_frame: "str | Path | Picture | None" = None,
    *,
    clip: int | None = None,
    shift: float | Sequence[float] | None = None,
    length: int | None = None,
) -> ActionGraphRequest:
    """Ask for video of one or several action graphs.

    Args:
        graph: files, or graphs that were made in Python.
        first_frame: a file, a ``PIL`` image, an array ``[h, w, 3]`` or a tensor ``[3, h, w]``, uint8.
        clip: instead of a first frame, the number of a validation clip of the model's dataset.
        shift: frames by which all actions are put off, one video for each.
        length: frames; what the graph says by default.
    """
    return ActionGraphRequest(prompt=graph, first_frame=first_frame, clip=clip, shift=shift, length=length)
