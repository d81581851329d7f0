"""What is told of a config within a second, before torch is imported; verbs check the same again, and all the rest."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import mutoscope
from mutoscope.cli.places import check_places
from mutoscope.config.commands import ClipsConfig, EvaluateConfig, ExportConfig, GenerateConfig
from mutoscope.config.measures import SIDES
from mutoscope.config.nodes import check_counts, check_groups
from mutoscope.config.static import check_pair_statically, check_statically
from mutoscope.config.training import TrainConfig
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.kinds.settings import check_chosen, names_of
from mutoscope.runtime.errors import ConfigError


@dataclass(frozen=True)
class Measured:
    """What an evaluation is of, as it was typed.

    Args:
        checkpoint: path of a model, or several.
        clips: whether clips of any program were named.
    """

    checkpoint: Any
    clips: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """From a composed config."""
        return cls(config.get("checkpoint"), any(config.get(side) is not None for side in SIDES))


def check_early(config: Mapping[str, Any], verb: str, typed: Mapping[str, Any] | None = None) -> None:
    """Refuse what cannot work as far as sources and the disk tell.

    Args:
        config: resolved, plain.
        verb: that it is for.
        typed: nested settings of the model that somebody typed one by one.

    Raises:
        ConfigError: for a mistyped setting or value, for a model and a dataset of different kinds, and for a setting of
            the model that means nothing because of another one.
        CheckpointError: for a model that is not there.
        FileNotFoundError: for any other file or folder that a setting names and that is not there.
    """
    check_counts(config)
    check_statically(config)
    measured = Measured.of(config)
    if verb == "evaluate" and measured.checkpoint is None and not measured.clips:
        raise ConfigError(
            "There is nothing to measure: add checkpoint=<path>, or real=<folder> fake=<folder> for clips of any "
            "program."
        )
    _check_told(config, verb, measured)
    check_places(config, verb)
    dataset, model = config.get("dataset"), config.get("model")
    if verb == "train" and isinstance(model, Mapping) and isinstance(dataset, Mapping):
        check_pair_statically(model, dataset)
        try:
            _check_conditions(model, list(_places(typed or {})))
        except MissingWeightsError as missing:
            # what can be fetched is, once nothing else is wrong
            if missing.named or config.get("weights") != "fetch":
                raise


def _check_told(config: Mapping[str, Any], verb: str, measured: Measured) -> None:
    """What verbs parse, as far as neither nodes nor the model matter."""
    if verb == "train":
        check_groups(config)
        TrainConfig.of(config)
    elif verb == "export":
        ExportConfig.of(config)
    elif verb == "evaluate" and measured.clips:
        if measured.checkpoint is not None:
            raise ConfigError("Give either a checkpoint to measure, or clips: real=<folder> fake=<folder>.")
        ClipsConfig.of(config)
    else:
        names = names_of(verb)
        own = EvaluateConfig.of(config).options if verb == "evaluate" else GenerateConfig.parse(config, names).wishes
        check_chosen(verb, own)


def _check_conditions(model: Mapping[str, Any], typed: list[str]) -> None:
    """Ask the module ``conditions`` beside a model of this package, which imports no torch, where there is one."""
    package, _, _ = str(model.get("_target_")).rpartition(".module.")
    *_, folder = package.split(".")
    if (
        package == f"mutoscope.models.{folder}"
        and (Path(mutoscope.__file__).parent / "models" / folder / "conditions.py").is_file()
    ):
        importlib.import_module(f"{package}.conditions").check(model, typed)


def _places(typed: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Dotted places of what was typed; a node that was typed whole is one of them, whatever is in it."""
    for key, value in typed.items():
        if not key:
            # the choice of the model itself
            continue
        place = f"{where}.{key}" if where else key
        if isinstance(value, dict) and value:
            yield from _places(value, place)
        else:
            yield place
