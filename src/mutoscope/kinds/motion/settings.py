"""What models of motion can be asked for, and what their evaluation can be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mutoscope.kinds.beside import named
from mutoscope.kinds.settings import Request
from mutoscope.runtime.errors import ConfigError

if TYPE_CHECKING:
    from mutoscope.kinds.motion.generated import GeneratedMotion  # noqa: F401  (names what is answered)
    from mutoscope.kinds.task import LoadedModel


@dataclass(frozen=True)
class MotionRequest(Request["GeneratedMotion"]):
    """Motion of classes, of one mixture of classes, or of all mixtures between two classes.

    Args:
        label: all, a class by name or index, a list: label=[walk,wave], or how many of each: label='{walk: 4, wave: 2}'
        mix: instead of label: weights of classes that sum to 1, mix='{walk: 0.5, wave: 0.5}'
        between: instead of label: all the way between two classes, between='[walk,wave]'
        lambdas: mixtures of between=, both pure classes included
        n: clips per class or mixture; 4 by default, 100 with between=
        length: frames; the training length by default
        truncation: psi; null is off (more varied, less tidy)
        attention: also a picture of which past frames each frame attends to
        trajectories: also a picture of the paths of all classes through poses
    """

    label: str | int | Sequence[str | int] | Mapping[Any, int] = "all"
    mix: Mapping[Any, float] | None = None
    between: str | int | Sequence[str | int] | None = None
    lambdas: int = 11
    n: int | None = None
    length: int | None = None
    truncation: float | None = 0.95
    attention: bool = False
    trajectories: bool = False

    @property
    def way(self) -> str:
        """Which of ``label``, ``mix`` and ``between`` says what is wanted."""
        return next((name for name in ("mix", "between") if getattr(self, name) is not None), "label")

    def check(self) -> None:
        named = self.label not in ("all", -1)
        ways = [*(["label"] if named else []), *(n for n in ("mix", "between") if getattr(self, n) is not None)]
        if len(ways) > 1:
            raise ConfigError(
                f"{ways[0]}= and {ways[1]}= exclude each other; each says alone which classes are wanted."
            )
        if self.n is not None and self.n < 1:
            per = {"label": "sequences per class", "mix": "sequences", "between": "sequences per lambda"}[self.way]
            raise ConfigError(f"n is {self.n}, expected the number of {per}, at least 1.")
        if self.length is not None and self.length < 1:
            raise ConfigError(f"length is {self.length}, expected a whole number of frames, at least 1.")
        if self.trajectories and self.way != "label":
            raise ConfigError(f"trajectories= shows paths of classes, but {self.way}= asks for mixtures; use label=.")
        if self.attention and self.way == "between":
            raise ConfigError("attention= shows single clips, but between= asks for many mixtures; use label= or mix=.")
        if self.lambdas < 2:
            raise ConfigError(
                f"lambdas is {self.lambdas}, expected the number of mixtures, both pure classes included: >= 2."
            )


@dataclass(frozen=True)
class MotionOptions:
    """What the evaluation of a model of motion can be told.

    Args:
        beside: further checkpoints of the same motion as rows of the same table: '{name: path, name: path}' or
            '[path, path]'; a name may have a list of paths, which share a row; a path that holds = is put in double
            quotes, and = in a name is typed \\=
        reference: rows are held against training clips (train), as in the papers, or clips of the split (held_out)
        truncation: psi of what is generated; the papers' tables are without
    """

    beside: "Mapping[str, str | Path | LoadedModel | Sequence[str | Path | LoadedModel]] | Sequence[str | Path | LoadedModel] | None" = None  # noqa: E501
    reference: Literal["train", "held_out"] = "train"
    truncation: float | None = None

    def __post_init__(self) -> None:
        named(self.beside)


def classes(*names: str | int | Mapping[str, int], n: int | None = None, **counts: int) -> MotionRequest:
    """Ask for clips of classes: ``classes("walk", "wave", n=4)``, ``classes(walk=4, wave=2)``, ``classes()`` for all.

    Args:
        names: of classes, or a mapping of names to numbers of clips, for names that are no Python words.
        n: clips of each named class; 4 by default.
        counts: clips by class.

    Raises:
        ValueError: for names and counts at once.
    """
    given = {key: count for one in names if isinstance(one, Mapping) for key, count in one.items()} | counts
    listed = [one for one in names if not isinstance(one, Mapping)]
    if given and (listed or n is not None):
        raise ValueError("classes() got names and counts; say either classes('walk', 'wave', n=4) or classes(walk=4).")
    return MotionRequest(label=given or listed or "all", n=n)


def mixture(weights: Mapping[str, float] | None = None, /, *, n: int | None = None, **shares: float) -> MotionRequest:
    """Ask for clips of one mixture of classes: ``mixture(walk=0.5, wave=0.5, n=4)``; the weights sum to 1."""
    return MotionRequest(mix={**(weights or {}), **shares}, n=n)


def between(first: str | int, second: str | int, *, lambdas: int = 11, n: int | None = None) -> MotionRequest:
    """Ask for all the way between two classes: ``lambdas`` mixtures, ``n`` clips of each from the same noise."""
    return MotionRequest(between=[first, second], lambdas=lambdas, n=n)
