"""``generate``: a model and what is asked of it in; arrays, videos and pictures out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.config.commands import GenerateConfig
from mutoscope.kinds.results import Generated
from mutoscope.kinds.settings import fill, names_of
from mutoscope.kinds.task import LoadedModel
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import Sample


def generate(config: Mapping[str, Any]) -> Sample:
    """Generate what the config asks for, and write it.

    Args:
        config: resolved, plain: the settings of all kinds, and those of the model's kind that somebody chose.

    Returns:
        What was generated; also written to ``out``.

    Raises:
        ConfigError: for settings of other kinds, and for wishes that the model cannot meet.
    """
    # what nobody has is told before a model is read
    asked = GenerateConfig.parse(config, names_of("generate"))
    model = LoadedModel.open(asked.checkpoint, asked.accelerator)
    request = fill(kinds.find(model.kind), "generate", asked.wishes, str(model.path))
    generated = generated_by(model, request, asked.seed)
    generated.save(Path(asked.out), gif=asked.gif)
    return generated.sample


def generated_by(model: LoadedModel, request: Any, seed: int) -> Generated:
    """What a model makes of a request of its kind.

    Raises:
        ConfigError: for wishes that the model cannot meet.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"seed is {seed}, expected a whole number.")
    return kinds.tools(model.kind).generate(model, request, seed=seed)
