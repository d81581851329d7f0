"""Whether values of a config are of the kind that a constructor asks for, as its annotations say."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mutoscope.config.names import check_known
from mutoscope.formats.plain_files import shown

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


class MisfitError(ValueError):
    """A value of another kind than is asked for; the message says which value and which kind."""


def fit(value: Any, annotation: Any, where: str) -> Any:
    """``value`` as ``annotation`` has it: whole floats (1e4) become whole numbers where such are asked for.

    What is known of a config is checked: numbers, texts, lists and mappings of them, nodes of settings (dataclasses),
    alternatives. Values for anything else are returned as they are.

    Raises:
        MisfitError: naming ``where``, the value and what is expected.
        ConfigError: for settings that a dataclass does not have, naming the closest of those it has.
    """
    check = _checks(annotation)
    built = isinstance(value, Mapping) and "_target_" in value and settings_class(annotation) is None
    if check is None or built:
        return value
    return check(value, where)


def settings_class(annotation: Any) -> type | None:
    """The dataclass that an annotation asks for, be it as one of several alternatives."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    found = [option for option in options if inspect.isclass(option) and is_dataclass(option)]
    return found[0] if len(found) == 1 else None


def _checks(annotation: Any) -> Callable[[Any, str], Any] | None:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _alternatives(annotation)
    if annotation in (int, float, bool, str, Path, type(None)):
        return lambda value, where: _simple(value, annotation, where)
    if inspect.isclass(annotation) and is_dataclass(annotation):
        return lambda value, where: _settings(value, annotation, where)
    if origin is Literal:
        return lambda value, where: _literal(value, get_args(annotation), where)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        inner = get_args(annotation)[1] if len(get_args(annotation)) == 2 else Any
        return lambda value, where: _mapping(value, inner, where)
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return lambda value, where: _sequence(value, get_args(annotation), where)
    return None


def _alternatives(annotation: Any) -> Callable[[Any, str], Any] | None:
    options = get_args(annotation)
    if any(_checks(option) is None for option in options):
        return None

    def check(value: Any, where: str) -> Any:
        failures = []
        # exact kinds first, so that no text is made of a number where numbers are welcome
        for option in sorted(options, key=lambda option: option is str):
            try:
                return fit(value, option, where)
            except MisfitError as error:
                if option is not type(None):
                    failures.append((error, option))
        if len(failures) == 1:
            ((failure, option),) = failures
            # what is switched off is null, not false
            hint = "; null leaves it out." if is_dataclass(option) and not isinstance(value, Mapping) else None
            raise failure if hint is None else MisfitError(str(failure).removesuffix(".") + hint)
        raise MisfitError(
            f"{where} is {shown(value)}, expected {' or '.join(_name(option) for _, option in failures)}."
        )

    return check


def _settings(value: Any, cls: Any, where: str) -> Any:
    """The settings of a dataclass that are given, each of its kind."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise MisfitError(f"{where} is {_quoted(value)}, expected settings {where}.<name>=<value>.")
    known = [field for field in fields(cls) if field.init]
    check_known(value, [field.name for field in known], where, f"a setting of {cls.__name__}")
    kinds = get_type_hints(cls)
    for field in known:
        if field.name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise MisfitError(f"{where} needs {where}.{field.name}=<value>; it has no default.")
    return {key: fit(each, kinds[key], f"{where}.{key}" if where else key) for key, each in value.items()}


def _name(option: Any) -> str:
    if get_origin(option) is Literal:
        return " or ".join(str(value) for value in get_args(option))
    if is_dataclass(option):
        return "settings"
    return _NAMES.get(option, "a list" if get_origin(option) is not None else str(option))


def _simple(value: Any, kind: Any, where: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is type(None):
        fits = value is None
    elif kind is bool:
        fits = isinstance(value, bool)
    elif kind is float:
        fits = number
    elif kind is int:
        # beyond these, floats are whole by being coarse
        fits = number and (isinstance(value, int) or (value.is_integer() and abs(value) < 2**53))
        value = int(value) if fits else value
    elif isinstance(value, int) and not isinstance(value, bool):
        # what looks like a number may be a name
        return str(value) if kind is str and abs(value) < 10**15 else _misfit(value, kind, where)
    else:
        fits = isinstance(value, str | Path)
    return value if fits else _misfit(value, kind, where)


def _misfit(value: Any, kind: Any, where: str) -> Any:
    raise MisfitError(f"{where} is {_quoted(value)}, expected {_NAMES.get(kind, kind)}.")


def _quoted(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return f"'{shown(value)}'" if isinstance(value, str) else shown(value)


def _literal(value: Any, choices: Sequence[Any], where: str) -> Any:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        *others, last = map(str, choices)
        known = f"{', '.join(others)} or {last}" if others else last
        raise MisfitError(f"{where} is '{shown(value)}', expected {known}.")
    return value


def _mapping(value: Any, inner: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise MisfitError(f"{where} is '{shown(value)}', expected settings {where}.<name>=<value>.")
    return {key: fit(each, inner, f"{where}.{key}") for key, each in value.items()}


def _sequence(value: Any, inner: Sequence[Any], where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise MisfitError(f"{where} is '{shown(value)}', expected a list, e.g. {where}=[...].")
    if not inner:
        return value
    if (len(inner) == 2 and inner[1] is Ellipsis) or len(inner) == 1:
        return [fit(each, inner[0], f"{where}[{i}]") for i, each in enumerate(value)]
    if len(value) != len(inner):
        raise MisfitError(f"{where} has {len(value)} numbers, expected {len(inner)}.")
    return [fit(each, inner[i], f"{where}[{i}]") for i, each in enumerate(value)]
