"""The configs of ``evaluate``, ``generate`` and ``export``, parsed once at their edge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from mutoscope.config.measures import ClipSettings, SetSettings, check_seed, require_both_sides
from mutoscope.config.names import check_known
from mutoscope.config.nodes import check_config, settings_from
from mutoscope.runtime.errors import ConfigError

_SPLITS = ("train", "val", "test")
Accelerator = Literal["auto", "cpu", "gpu"]
#: in which data sets of video are exported
LAYOUTS = ("pvg",)
#: the format of checkpoints that this program wrote
OWN_FORMAT = "mutoscope"


@dataclass(frozen=True)
class EvaluateConfig:
    """What an evaluation of any kind of data is asked for.

    Args:
        checkpoint: of the model, or several of one model; paths, or models that are loaded.
        dataset: a node with whatever was chosen of it; ``None`` for the model's own.
        metrics, recognizer: groups, with whatever was chosen of them; the model's kind may choose the rest.
        out: the folder to write; beside the checkpoints by default.
        split: that is held out.
        samples_per_class: that are generated and held against real clips.
        controllability: cases of every question whether the model does what is asked; 0 leaves them out.
        seed: of latents and of which real clips are drawn.
        seeds: of latents alone, several.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        weights: ``fetch``: published weights that are not here are fetched.
        debug: let errors of metrics through.
        real, fake: of an evaluation of clips without a model, see :class:`ClipsConfig`.
        clips: of what is told beside distances between sets of clips; a model's clips are those of its dataset.
        options: by name, what was chosen of the settings of single kinds.
    """

    checkpoint: Any
    dataset: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    recognizer: Mapping[str, Any] | None = None
    out: str | None = None
    split: str = "val"
    samples_per_class: int = 100
    controllability: int = 16
    seed: int = 1234
    seeds: Any = None
    accelerator: Accelerator = "auto"
    weights: Literal["fetch"] | None = None
    debug: bool = False
    real: str | None = None
    fake: str | None = None
    clips: ClipSettings = field(default_factory=ClipSettings)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, config: Mapping[str, Any], options: Sequence[str]) -> Self:
        """From a resolved config.

        Args:
            config: settings of all kinds, and those of single kinds that were chosen.
            options: names of the latter that there are; the model's kind says which of them it takes.

        Raises:
            ConfigError: for what is no setting, or of another kind than is asked for; metrics, which may be settings of
                choices that are still to be made, are left for later.
        """
        others = {key: value for key, value in config.items() if key != "metrics"}
        checked = check_config(others, [*_names(cls), *options])
        return cls.of({**checked, "metrics": config.get("metrics")})

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The same from a config of whose nodes nothing is known yet; it takes no torch.

        Raises:
            ConfigError: see :meth:`parse`.
        """
        shared, own = _divided(cls, config)
        asked = settings_from({**shared, "options": own}, cls, "")
        check_seed(asked.seed)
        if asked.samples_per_class < 1:
            raise ConfigError(f"samples_per_class is {asked.samples_per_class}, expected at least 1.")
        if asked.controllability < 0:
            raise ConfigError(f"controllability is {asked.controllability}, expected a number of cases, or 0 for none.")
        if asked.seeds is not None:
            _check_seeds(asked.seeds)
        told = {one.name for one in fields(SetSettings)}
        if further := [
            word for word in asked.clips.typed() if word.partition("=")[0].removeprefix("clips.") not in told
        ]:
            raise ConfigError(
                f"{further[0]} is for clips without a model (real=... fake=...); those of a checkpoint are cut as its "
                "dataset says: dataset.<name>=<value>."
            )
        return asked

    def listed_seeds(self) -> list[int] | None:
        """The several seeds; one may be typed without brackets."""
        return None if self.seeds is None else [self.seeds] if isinstance(self.seeds, int) else list(self.seeds)

    def settings(self) -> dict[str, Any]:
        """All that was chosen, by name."""
        own = {name: getattr(self, name) for name in _names(type(self))}
        return {**own, "clips": vars(self.clips), **self.options}


@dataclass(frozen=True)
class ClipsConfig:
    """What an evaluation of clips is asked for that no model of this house has made.

    Args:
        real, fake: folders or files.
        clips: what is taken of them.
        metrics: a group, with whatever was chosen of it; what the clips hold chooses the rest.
        out: the folder to write.
        seed: of draws.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        weights: ``fetch``: published weights that are not here are fetched.
        debug: let errors of metrics through.
    """

    real: str
    fake: str
    clips: ClipSettings = field(default_factory=ClipSettings)
    metrics: Mapping[str, Any] | None = None
    out: str | None = None
    seed: int = 1234
    accelerator: Accelerator = "auto"
    weights: Literal["fetch"] | None = None
    debug: bool = False

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Self:
        """From a resolved config of ``evaluate``; metrics are left for later.

        Raises:
            ConfigError: for one side alone, and for what is no setting, or one of models.
        """
        cls.of(config)
        own = {key: value for key, value in config.items() if key in _names(cls) and key != "metrics"}
        checked = check_config(own, _names(cls))
        return settings_from({**checked, "metrics": config.get("metrics")}, cls, "")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The same from a config of whose nodes nothing is known yet; it takes no torch.

        Raises:
            ConfigError: see :meth:`parse`.
        """
        require_both_sides(config)
        of_models = {one.name: one.default for one in fields(EvaluateConfig) if one.name not in _names(cls)}
        for name, default in of_models.items():
            # a dataset or recogniser that nobody chose is an empty group
            if name != "options" and (value := config.get(name)) != default and value:
                raise ConfigError(f"{name} is a setting of models that are measured; clips are measured as they lie.")
        own = {key: value for key, value in config.items() if key not in of_models}
        check_known(own, _names(cls), "", "a setting here")
        asked = settings_from(own, cls, "")
        check_seed(asked.seed)
        return asked


def _check_seeds(seeds: Any) -> None:
    """Raise ``ConfigError`` unless these are different whole numbers."""
    listed = [seeds] if isinstance(seeds, int) else seeds
    whole = isinstance(listed, list | tuple) and all(isinstance(s, int) and not isinstance(s, bool) for s in listed)
    if not whole or not listed or len(set(listed)) < len(listed) or min(listed) < 0:
        raise ConfigError(f"seeds is '{seeds}', expected different whole numbers, 0 or more: seeds=[0,1,2].")


@dataclass(frozen=True)
class GenerateConfig:
    """What generation of any kind of data is asked for.

    Args:
        checkpoint: of the model.
        out: the folder to write.
        seed: of latents and noise.
        gif: also a GIF beside each MP4.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        debug: show tracebacks.
        wishes: by name, what was chosen of the settings of single kinds.
    """

    checkpoint: str | Path
    out: str | Path = "samples"
    seed: int = 0
    gif: bool = False
    accelerator: Accelerator = "auto"
    debug: bool = False
    wishes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, config: Mapping[str, Any], wishes: Sequence[str]) -> Self:
        """From a resolved config; see :meth:`EvaluateConfig.parse`."""
        check_known(config, [*_names(cls), *wishes], "", "a setting here")
        shared, own = _divided(cls, config)
        asked = settings_from({**shared, "wishes": own}, cls, "")
        check_seed(asked.seed)
        return asked


@dataclass(frozen=True)
class ExportConfig:
    """What is exported, and where to.

    Args:
        out: the folder to make.
        dataset: that a checkpoint of original code was trained on, or that is written itself.
        checkpoint: of the model; ``None`` where a dataset is written.
        format: of the checkpoint: ``mutoscope``, or the name of a model of whose original code it is; or the layout in
            which the dataset is written.
        original: what neither a checkpoint of original code nor the dataset says, see
            :class:`~mutoscope.models.originals.Told`.
        part: of a model whose parts are trained apart: that alone.
        splits: of the dataset that are written.
        videos: so many of each; all by default.
        seed: of the dataset.
        debug: show tracebacks.
    """

    out: str | Path
    dataset: Mapping[str, Any]
    checkpoint: str | Path | None = None
    format: str = "mutoscope"
    original: Mapping[str, Any] = field(default_factory=dict)
    part: str | None = None
    splits: Sequence[str] = ("train", "val", "test")
    videos: int | None = None
    seed: int = 0
    debug: bool = False

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Self:
        """From a resolved config; see :meth:`EvaluateConfig.parse`."""
        return cls.of(check_config(config, _names(cls)))

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The same from a config of whose nodes nothing is known yet; it takes no torch.

        Raises:
            ConfigError: see :meth:`parse`; and for what cannot be exported together.
        """
        check_known(config, _names(cls), "", "a setting here")
        asked = settings_from(config, cls, "")
        check_seed(asked.seed)
        if unknown := [split for split in asked.splits if split not in _SPLITS]:
            raise ConfigError(f"splits names '{unknown[0]}', expected some of {', '.join(_SPLITS)}.")
        if asked.videos is not None and asked.videos < 1:
            raise ConfigError(f"videos is {asked.videos}, expected at least 1.")
        if asked.format in LAYOUTS:
            if asked.checkpoint is not None:
                raise ConfigError(f"format={asked.format} writes a data set, no model; leave out checkpoint=.")
        elif asked.checkpoint is None:
            raise ConfigError("checkpoint must be given: add checkpoint=<value>.")
        elif asked.format != OWN_FORMAT and asked.part is not None:
            raise ConfigError(
                "part= is for checkpoints of Mutoscope; leave it out, and export the part of what comes out."
            )
        return asked


def _names(cls: Any) -> list[str]:
    """Settings that all kinds share."""
    return [one.name for one in fields(cls) if one.name not in ("options", "wishes")]


def _divided(cls: Any, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that all kinds share, and the others."""
    names = _names(cls)
    return (
        {key: value for key, value in config.items() if key in names},
        {key: value for key, value in config.items() if key not in names},
    )
