"""What models of video that can be steered can be asked for, and what their evaluation can be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutoscope.kinds.settings import Request

if TYPE_CHECKING:
    from mutoscope.kinds.video.generated import SteeredVideo  # noqa: F401  (names what is answered)


@dataclass(frozen=True)
class VideoRequest(Request["SteeredVideo"]):
    """Frames that follow a picture, step by step.

    Args:
        actions: steps [pixels right, pixels down, local action], camera right and down after them: a list, or a file
        image: a picture to begin with
        clip: instead of a picture: number of a validation clip of the model's dataset, whose motion is taken where no
            actions are given
        dataset: settings of the model's dataset, for clip=...: dataset={root: ...}
    """

    actions: "str | Path | Sequence[Sequence[float]] | None" = None
    image: "str | Path | None" = None
    clip: int | None = None
    dataset: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class VideoOptions:
    """What the evaluation of such models can be told: nothing but what all evaluations can."""
