"""Settings that mean nothing because of another one: they are refused with the names of both. Imports no torch."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mutoscope.runtime.errors import ConfigError

#: by place below a model's node, why a setting there, or all that stands below it, means nothing
Idle = Mapping[str, str]


def refuse_typed(settings: Mapping[str, Any], idle: Idle, typed: Collection[str]) -> None:
    """Refuse what somebody typed and nothing would read.

    Args:
        settings: of the model, from a config.
        idle: what means nothing beside the others.
        typed: places that somebody typed.

    Raises:
        ConfigError: naming the first of them and what makes it mean nothing.
    """
    for place in typed:
        why = next((why for other, why in idle.items() if place == other or place.startswith(f"{other}.")), None)
        value = _at(settings, place)
        # switching off what is not there says the same twice
        off = value is None or ("weights" in place and value == 0)
        if why is not None and not off:
            raise ConfigError(f"model.{place} is {_shown(value)}, but {why}")


def refuse_changed(given: Mapping[str, Any], defaults: Mapping[str, Any], idle: Idle) -> None:
    """Refuse what differs from its default where nothing reads it.

    Args:
        given: settings of the model's parts as plain mappings.
        defaults: of the same parts.
        idle: what means nothing beside the others; places that neither of the two has are left aside.

    Raises:
        ConfigError: naming the first of them and what makes it mean nothing.
    """
    for place, why in idle.items():
        usual = dict(_flat(_at(defaults, place), place))
        for inner, value in _flat(_at(given, place), place):
            if inner in usual and value != usual[inner] and value is not None:
                raise ConfigError(f"model.{inner} is {_shown(value)}, but {why}")


def _at(node: Any, place: str) -> Any:
    for key in place.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _flat(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{place}.{key}")
    else:
        yield place, node


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "set"
    return str(value).lower() if isinstance(value, bool) else str(value)
