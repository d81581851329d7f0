"""What a dataset tells everybody else about itself."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mutoscope.structures.normaliser import Normaliser
from mutoscope.structures.plain import entry, mapped, number, text, texts, whole_between
from mutoscope.structures.skeleton import Skeleton
from mutoscope.structures.vocabulary import ActionVocabulary

#: name of a kind of data, see :mod:`mutoscope.kinds`
Kind = str
RootRule = Literal["none", "in_place", "relative", "absolute"]

#: what a description in a file may say; tensors of these sizes are made of it, or none can tell that they are wrong
_MAX_FRAMES, _MAX_CHANNELS, _MAX_CLASSES, _MAX_SIDE, _MAX_FPS = 10_000, 64, 10_000, 8192, 100_000.0


@dataclass(frozen=True)
class DatasetInfo:
    """Everything a model, metric or renderer must know about a dataset; nobody types it twice in a config.

    Args:
        name: registry name of the dataset.
        kind: which batches it yields.
        classes: action names; their order is the label.
        fps: frames per second.
        length: frames per clip ``t``.
        channels: coordinates per joint ``c`` (2 or 3), or colour channels.
        skeleton: joint layout of motion data.
        root: ``none`` = root joint at the origin in every frame; ``in_place`` = its ground position is the origin in
            every frame, heights are kept (people walk on the spot); ``relative`` = the root's ground position starts at
            the origin in the first frame and then moves; ``absolute`` = as recorded.
        units: of the coordinates.
        normaliser: from the training split; ``None`` while unknown.
        frame_size: (height, width) of video.
        vocabulary: objects, actions and relations of action graphs.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    fps: float
    length: int
    channels: int
    skeleton: Skeleton | None = None
    root: RootRule = "relative"
    units: str = "m"
    normaliser: Normaliser | None = None
    frame_size: tuple[int, int] | None = None
    vocabulary: ActionVocabulary | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", self.kind):
            raise ValueError(f"DatasetInfo.kind is '{self.kind}', expected a name in small letters, such as motion.")
        if self.root not in get_args(RootRule):
            raise ValueError(f"DatasetInfo.root is '{self.root}', expected one of {', '.join(get_args(RootRule))}.")
        if self.kind == "motion" and self.normaliser is not None and self.normaliser.channels != self.channels:
            raise ValueError(
                f"The normaliser of '{self.name}' scales {self.normaliser.channels} coordinates, but its joints have "
                f"{self.channels}."
            )
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"Dataset '{self.name}' names a class twice: {', '.join(self.classes)}.")
        scaled = self.normaliser.joints if self.normaliser else None
        if scaled is not None and (self.skeleton is None or self.skeleton.num_joints != scaled):
            there = "no skeleton" if self.skeleton is None else f"{self.skeleton.num_joints} joints"
            raise ValueError(f"The normaliser of '{self.name}' scales {scaled} joints, but it has {there}.")

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def need_skeleton(self) -> Skeleton:
        """The skeleton, or a ``ValueError`` where the dataset has none."""
        if self.skeleton is None:
            raise ValueError(f"Dataset '{self.name}' ({self.kind}) has no skeleton, but one is needed here.")
        return self.skeleton

    def need_normaliser(self) -> Normaliser:
        """The normaliser, or a ``ValueError`` where the dataset was not set up."""
        if self.normaliser is None:
            raise ValueError(f"Dataset '{self.name}' has no normaliser yet; call setup() first.")
        return self.normaliser

    def need_vocabulary(self) -> ActionVocabulary:
        """The vocabulary, or a ``ValueError`` where the dataset has none."""
        if self.vocabulary is None:
            raise ValueError(f"Dataset '{self.name}' ({self.kind}) has no action graphs, but they are needed here.")
        return self.vocabulary

    def need_frame_size(self) -> tuple[int, int]:
        """(height, width) of frames, or a ``ValueError`` where the dataset has no video."""
        if self.frame_size is None:
            raise ValueError(f"Dataset '{self.name}' ({self.kind}) has no frames, but they are needed here.")
        return self.frame_size

    def with_length(self, length: int) -> "DatasetInfo":
        return replace(self, length=length)

    def label(self, name_or_index: str | int) -> int:
        """Label of a class given by name or index; raises ``ValueError`` naming the classes that exist."""
        text = str(name_or_index)
        if text in self.classes:
            return self.classes.index(text)
        if text.isdigit() and int(text) < self.num_classes:
            return int(text)
        raise ValueError(
            f"There is no class '{text}' in '{self.name}'; "
            f"its classes are {', '.join(f'{i} {c}' for i, c in enumerate(self.classes))}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers (what checkpoints may hold)."""
        return {
            "name": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "fps": float(self.fps),
            "length": int(self.length),
            "channels": int(self.channels),
            "skeleton": self.skeleton.to_dict() if self.skeleton else None,
            "root": self.root,
            "units": self.units,
            "normaliser": self.normaliser.to_dict() if self.normaliser else None,
            "frame_size": list(self.frame_size) if self.frame_size else None,
            "vocabulary": self.vocabulary.to_dict() if self.vocabulary else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DatasetInfo":
        """A description from plain data, which may come from a stranger's file.

        Raises:
            ValueError: for fields that are missing, of another kind, or larger than any data are.
        """
        values = mapped(values, "info")
        normaliser, size, skeleton = (entry(values, key, "info") for key in ("normaliser", "frame_size", "skeleton"))
        # checkpoints made before there were action graphs have none
        vocabulary = values.get("vocabulary")
        fps = number(entry(values, "fps", "info"), "info.fps")
        if not (math.isfinite(fps) and 0 < fps <= _MAX_FPS):
            raise ValueError(f"info.fps is {fps:g}, expected frames per second, above 0 and at most {_MAX_FPS:g}.")
        if size:
            size = (
                whole_between(entry(size, 0, "info.frame_size"), "info.frame_size", 1, _MAX_SIDE),
                whole_between(entry(size, 1, "info.frame_size"), "info.frame_size", 1, _MAX_SIDE),
            )
        return cls(
            name=text(entry(values, "name", "info"), "info.name"),
            kind=text(entry(values, "kind", "info"), "info.kind"),
            classes=texts(entry(values, "classes", "info"), "info.classes", _MAX_CLASSES),
            fps=fps,
            length=whole_between(entry(values, "length", "info"), "info.length", 1, _MAX_FRAMES),
            channels=whole_between(entry(values, "channels", "info"), "info.channels", 1, _MAX_CHANNELS),
            skeleton=Skeleton.from_dict(skeleton) if skeleton else None,
            root=text(entry(values, "root", "info"), "info.root"),  # type: ignore[arg-type]
            units=text(entry(values, "units", "info"), "info.units"),
            normaliser=Normaliser.from_dict(normaliser) if normaliser else None,
            frame_size=size or None,
            vocabulary=ActionVocabulary.from_dict(vocabulary) if vocabulary else None,
        )
