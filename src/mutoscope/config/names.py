"""Names that were mistyped, and what was meant."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from mutoscope.runtime.errors import ConfigError


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like ``name``."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def check_known(keys: Iterable[Any], known: Sequence[str], where: str, what: str) -> None:
    """Whether all ``keys`` of the node ``where`` are known.

    Raises:
        ConfigError: naming the first that is not, and the known one closest to it.
    """
    for key in keys:
        if key not in known:
            hint = f"did you mean '{closest(str(key), known)}'? " if known else ""
            name = f"{where}.{key}" if where else key
            raise ConfigError(f"{name} is not {what}; {hint}The settings are {', '.join(known) or 'none'}.")
