"""What models of video that can be steered can be asked for, and what their evaluation can be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mutoscope.kinds.settings import Request
from mutoscope.runtime.errors import ConfigError

if TYPE_CHECKING:
    from mutoscope.kinds.results import Generated  # noqa: F401  (names what is answered)

#: figures of what a model can be told
Figure = Literal["grid", "gallery", "composed", "layers"]
#: steps of a figure at most
_MOST_STEPS = 100
#: whose camera moves when a motion goes to another picture
CameraOf = Literal["still", "source"]


@dataclass(frozen=True)
class VideoRequest(Request["Generated"]):
    """Frames that follow a picture, step by step; the steps in a video; or figures of what the model can be told.

    Args:
        actions: steps [pixels right, pixels down, local action], camera right and down after them: a list, or a file
        image: a picture to begin with, or a list of them
        clip: instead of a picture: number of a validation clip of the model's dataset, whose motion is taken where
            nothing else is asked
        decode: a video (or folder of frames) whose steps are written to actions.yaml, to be edited and played
        transfer: a video (or folder of frames) whose motion goes to the picture
        camera: of such a motion: still, or that of the source
        show: figures from the picture, a list of grid (the five shifts), gallery (every action again and again),
            composed (a jump and a round, which nobody showed the model), layers (mask, agent, what lies behind)
        steps: of the figures
        dataset: settings of the model's dataset, for clip=...: dataset={root: ...}
    """

    actions: "str | Path | Sequence[Any] | None" = None
    image: "str | Path | Sequence[str | Path] | None" = None
    clip: int | None = None
    decode: "str | Path | None" = None
    transfer: "str | Path | None" = None
    camera: CameraOf = "still"
    show: "Sequence[Figure] | Figure | None" = None
    steps: int = 8
    dataset: Mapping[str, Any] | None = None

    @property
    def asked(self) -> list[str]:
        """Names of the wishes about a picture."""
        return [name for name in ("actions", "transfer", "show") if getattr(self, name) is not None]

    def check(self) -> None:
        others = [*(name for name in ("image", "clip") if getattr(self, name) is not None), *self.asked]
        if self.decode is not None and others:
            raise ConfigError(
                f"decode= writes down the steps of a video and begins with nothing; leave out {', '.join(others)}, and "
                "play what it writes with actions=actions.yaml."
            )
        if len(self.asked) > 1:
            both = " and ".join(f"{name}=" for name in self.asked)
            raise ConfigError(f"{both} ask for different things; give one of them.")
        if self.camera != "still" and self.transfer is None and self.decode is None:
            raise ConfigError("camera= is about transfer=source.mp4; the steps of actions= have a camera of their own.")
        if not 1 <= self.steps <= _MOST_STEPS:
            raise ConfigError(f"steps is {self.steps}, expected 1 to {_MOST_STEPS}.")


@dataclass(frozen=True)
class VideoOptions:
    """What the evaluation of such models can be told: nothing but what all evaluations can."""
