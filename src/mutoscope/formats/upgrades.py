"""Configs of checkpoints, exports and runs that were made when parts of the house had other names."""

from collections.abc import Mapping
from typing import Any

#: modules that have moved, old name -> new name; a ``_target_`` inside one of them moves with it
MOVED = {
    "mutoscope.callbacks": "mutoscope.training.callbacks",
    "mutoscope.engine": "mutoscope.training.trainer",
    "mutoscope.loggers": "mutoscope.training.loggers",
    "mutoscope.sweeps": "mutoscope.cli.sweeps",
    "mutoscope.weights": "mutoscope.evaluators.published",
}


def upgraded(config: Any) -> Any:
    """A copy of a plain config, or of any part of one, in which every ``_target_`` has its name of today."""
    if isinstance(config, Mapping):
        return {key: _moved(value) if key == "_target_" else upgraded(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [upgraded(value) for value in config]
    return config


def _moved(target: Any) -> Any:
    if isinstance(target, str):
        for old, new in MOVED.items():
            if target.startswith(f"{old}."):
                return new + target.removeprefix(old)
    return target
