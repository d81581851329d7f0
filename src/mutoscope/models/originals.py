"""Checkpoints of original codes: what a model makes of one, and what it asks for where the file does not say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import SKELETONS, ActionVocabulary, DatasetInfo, Normaliser, RootRule, Skeleton


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a person tells of an original, beside its file and its data set; ``None`` where they do not.

    Args:
        name: of the data.
        skeleton: name of the joint layout.
        classes: action names in the order of the labels.
        length: frames per clip.
        fps: frames per second.
        root: see :class:`~mutoscope.structures.DatasetInfo`.
        units: of the coordinates.
        normaliser: ``offset`` and ``scale``, each a number per coordinate: coordinates are offset + scale times what
            the network makes.
        kept: frames that pruning keeps, which leaves no trace in the weights; SA-GCN's own number by default.
        files: of further networks by name, where an original has a file for each, e.g. ``critic``.
    """

    name: str | None = None
    skeleton: str | None = None
    classes: tuple[str, ...] | None = None
    length: int | None = None
    fps: float | None = None
    root: RootRule | None = None
    units: str | None = None
    normaliser: Mapping[str, tuple[float, ...]] | None = None
    kept: int | None = None
    files: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """Whether anything was told at all."""
        others = {key: value for key, value in vars(self).items() if key != "files"}
        return any(value is not None for value in (*others.values(), *self.files.values()))


class OriginalData(Protocol):
    """The data that an original was trained on, as far as a person named them."""

    told: Told

    @property
    def name(self) -> str | None:
        """Of the data set; ``None`` where none was named."""

    def setting(self, key: str) -> Any:
        """A setting of the data set."""

    def settle(self, **settings: Any) -> None:
        """Settings that the original's file tells, for those that the data set has and nobody typed."""

    def vocabulary(self) -> ActionVocabulary | None:
        """The words of the data set; ``None`` where only data that are not there would tell them."""

    def info(self, vocabulary: ActionVocabulary | None = None) -> DatasetInfo | None:
        """The description of the data set, with ``vocabulary`` as its words; ``None`` where none was named."""


@dataclass(frozen=True)
class Original:
    """What a model makes of a checkpoint of its original.

    Args:
        info: description of the data it was trained on.
        settings: of the model's constructor, as far as they are not its defaults.
        weights: the model's, by name; networks that the files do not hold are left out, and stay as they begin.
        key_map: which tensor of the original became which, a line each; those that became nothing end in "nothing".
        iterations: mini-batches trained on, 0 where the file does not say.
        others: names of what is left aside whole.
        lacking: networks that no file holds.
    """

    info: DatasetInfo
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    key_map: str
    iterations: int = 0
    others: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def skeleton_told(data: OriginalData) -> Skeleton | None:
    """The joint layout that a person named, or that of the data set they named.

    Raises:
        ConfigError: for a skeleton that does not exist.
    """
    if (name := data.told.skeleton) is None:
        return None if (info := data.info()) is None else info.skeleton
    if name not in SKELETONS:
        raise ConfigError(f"original.skeleton is '{name}', expected one of {', '.join(SKELETONS)}.")
    return SKELETONS[name]


def motion_info(
    data: OriginalData, path: Any, *, skeleton: Skeleton, channels: int, classes: int, length: int | None = None
) -> DatasetInfo:
    """The description of motion data: what was typed, else the file's own, else what the data set says.

    Args:
        data: as far as a person named them.
        path: of the checkpoint, for messages.
        skeleton, channels: of the network.
        classes: how many it knows.
        length: of its clips, where the file tells.

    Raises:
        ConfigError: for what nobody says, naming the setting to type; for what contradicts the file.
    """
    told, known = data.told, data.info()
    found: dict[str, Any] = {
        "length": told.length or length or (known.length if known else None),
        "fps": told.fps or (known.fps if known else None),
        "classes": told.classes or (known.classes if known else None),
        "normaliser": _normaliser(told, path) or (known.normaliser if known else None),
    }
    for name, (what, how) in _ASKED.items():
        if found[name] is None:
            other = "the folder of its data, dataset.root" if known else "the data set it was trained on, dataset"
            raise ConfigError(f"{path} does not say {what}: type original.{name}={how}, or name {other}=...")
    names = found["classes"]
    if len(names) != classes:
        raise ConfigError(
            f"{path} knows {classes} classes, but {len(names)} are named; type original.classes=[...] in the order of "
            "its labels."
        )
    if length is not None and found["length"] != length:
        raise ConfigError(f"{path} makes {length} frames, but original.length is {found['length']}; leave it out.")
    if known is not None and (known.skeleton != skeleton or known.channels != channels):
        theirs = f"{known.need_skeleton().num_joints} joints of {known.channels} coordinates"
        raise ConfigError(
            f"{path} was trained on {skeleton.num_joints} joints of {channels} coordinates, the data set "
            f"'{known.name}' has {theirs}; set dataset.skeleton and dataset.channels, or name another."
        )
    return DatasetInfo(
        name=told.name or data.name or "original",
        kind="motion",
        classes=tuple(names),
        fps=found["fps"],
        length=found["length"],
        channels=channels,
        skeleton=skeleton,
        root=told.root or (known.root if known else "relative"),
        units=told.units or (known.units if known else skeleton.units),
        normaliser=found["normaliser"],
    )


_ASKED = {
    "length": ("how many frames its clips have", "<frames>"),
    "fps": ("how many frames a second they have", "<frames per second>"),
    "classes": ("what its classes are called", "[walk,...]"),
    "normaliser": (
        "how its coordinates are scaled",
        "'{offset: [0, 0, 0], scale: [1, 1, 1]}', numbers of the range or spread that its data were divided by",
    ),
}


def _normaliser(told: Told, path: Any) -> Normaliser | None:
    given = told.normaliser
    if given is None:
        return None
    if set(given) != {"offset", "scale"}:
        raise ConfigError(f"original.normaliser has {', '.join(given) or 'nothing'}, expected offset and scale.")
    try:
        return Normaliser(tuple(given["offset"]), tuple(given["scale"]))
    except ValueError as error:
        raise ConfigError(f"original.normaliser: {error}") from error
