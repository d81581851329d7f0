"""What checkpoints and exports say of themselves beside weights, with types."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from mutoscope.formats.missing import CheckpointError
from mutoscope.formats.plain_files import shown

#: value of ``format`` in the ``config.json`` of an export
EXPORT_FORMAT = "mutoscope-1"


@dataclass(frozen=True)
class TrainedConfig:
    """The config of a training as its file has it; nothing in it was compared with the code.

    Args:
        model, dataset: nodes.
        settings: all there are, these two included.
    """

    model: Mapping[str, Any]
    dataset: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From a config that holds both nodes."""
        return cls(settings["model"], settings["dataset"], settings)


@dataclass(frozen=True)
class About:
    """What a checkpoint says of itself, after :func:`~mutoscope.formats.checkpoints.read_checkpoint`.

    Args:
        config: of the training.
        iterations: that were made.
        samples_seen: in them.
        samples_before: by the trainings that it went on from under other settings.
        world_size: processes that trained; ``None`` where nobody wrote it down.
        started_from: where its weights came from at iteration 0; ``None`` for a run that began at random.
        part: of an export of a part of a model alone; ``None`` for a whole one.
    """

    config: TrainedConfig
    iterations: int
    samples_seen: int
    samples_before: int = 0
    world_size: int | None = None
    started_from: Mapping[str, Any] | None = None
    part: str | None = None

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> Self:
        """From a checkpoint in memory, or an export in the layout of one."""
        own = checkpoint["mutoscope"]
        known = {one.name: own[one.name] for one in fields(cls) if one.name in own}
        return cls(**{**known, "config": TrainedConfig.of(own["config"])})


@dataclass(frozen=True)
class ExportedConfig:
    """Content of an export's ``config.json``; nothing in it was compared with the code.

    Args:
        model, dataset: nodes.
        info: description of the data.
        iterations, samples_seen: of the training.
        sha256: digest of the weights; ``None`` in what was written before there were any.
        versions: of packages, by name, when it was written.
        part: of a model whose parts are trained apart: that alone.
        origin: where the weights come from, if not from a training with this package.
    """

    model: Any
    dataset: Any
    info: Any
    iterations: Any
    samples_seen: Any
    sha256: Any = None
    versions: Any = None
    part: str | None = None
    origin: str | None = None

    @classmethod
    def parse(cls, content: Any, whose: str) -> Self:
        """From the file's plain content.

        Raises:
            CheckpointError: if it is none, or lacks anything.
        """
        found = content.get("format") if isinstance(content, Mapping) else None
        if not isinstance(content, Mapping) or found != EXPORT_FORMAT:
            raise CheckpointError(
                f"{whose} has the format '{shown(found)}', expected '{EXPORT_FORMAT}'; export the model anew."
            )
        needed = ("model", "dataset", "info", "iterations", "samples_seen")
        if lacking := [key for key in needed if key not in content]:
            raise CheckpointError(f"{whose} lacks '{lacking[0]}'; export the model anew.")
        known = {one.name: content[one.name] for one in fields(cls) if one.name in content}
        texts = {key: shown(known[key]) for key in ("part", "origin") if known.get(key) is not None}
        return cls(**{**known, **texts})

    def content(self) -> dict[str, Any]:
        """For the file."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"format": EXPORT_FORMAT, **{key: value for key, value in said.items() if value is not None}}
