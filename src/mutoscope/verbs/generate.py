"""``generate``: a checkpoint and what is asked of it in; arrays, videos and pictures out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.config.assembly import load_model
from mutoscope.config.nodes import check_config
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import Sample

KEYS = (
    "checkpoint",
    "out",
    "label",
    "n",
    "mix",
    "between",
    "lambdas",
    "attention",
    "trajectories",
    "prompt",
    "first_frame",
    "clip",
    "dataset",
    "shift",
    "length",
    "truncation",
    "seed",
    "gif",
    "accelerator",
    "debug",
)


def generate(config: Mapping[str, Any]) -> Sample:
    """Generate what the config asks for; what that is depends on the model's kind.

    Args:
        config: resolved, plain.

    Returns:
        What was generated; also written to ``out``.

    Raises:
        ConfigError: for wishes that the model cannot meet.
    """
    check_config(config, KEYS)
    if not isinstance(config["seed"], int) or isinstance(config["seed"], bool):
        raise ConfigError(f"seed is {config['seed']}, expected a whole number.")
    model, trained_config = load_model(Path(config["checkpoint"]))
    return kinds.tools(model.takes).generate(config, model, trained_config)
