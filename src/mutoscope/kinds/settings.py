"""What kinds let a person set: dataclasses from which configs, ``--help`` and errors are made.

A kind's ``request`` says what ``generate`` may be asked, its ``options`` what its evaluation may; every field has a
default, or has to be given, and a line below ``Args:`` of the docstring. Names are those of the command line and of
Python's keyword arguments; two kinds may use one name for different things. These modules import no torch.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, get_type_hints

from mutoscope.config.names import check_known
from mutoscope.config.values import MisfitError, fit
from mutoscope.kinds.registry import DataKind, every
from mutoscope.runtime.docstrings import arguments, without_markup
from mutoscope.runtime.errors import ConfigError

#: verbs of which kinds have settings
VERBS = ("generate", "evaluate")
Answer_co = TypeVar("Answer_co", covariant=True)
Settings = TypeVar("Settings")


class Request(Generic[Answer_co]):
    """Base of requests, which says what ``generate`` answers with."""

    def check(self) -> None:
        """Whether what is asked goes together, whatever the model.

        Raises:
            ConfigError: if not.
        """


def declared(kind: DataKind, verb: str) -> type[Any]:
    """The dataclass of a kind's settings of one of :data:`VERBS`."""
    return kind.request if verb == "generate" else kind.options


def default_of(setting: "dataclasses.Field[Any]") -> Any:
    """The value of a setting that nobody chose; ``dataclasses.MISSING`` where it has to be given."""
    if setting.default_factory is not dataclasses.MISSING:
        return setting.default_factory()
    return setting.default


def names_of(verb: str) -> list[str]:
    """Names of the settings of a verb that not all kinds share."""
    return list(dict.fromkeys(one.name for kind in every() for one in dataclasses.fields(declared(kind, verb))))


def paths_of(verb: str) -> list[str]:
    """Those of them that are paths, or lists of paths, whatever else they may be; no mappings."""
    settings = [one for kind in every() for one in dataclasses.fields(declared(kind, verb))]
    return list(dict.fromkeys(s.name for s in settings if "Path" in str(s.type) and "Mapping" not in str(s.type)))


def named_by(verb: str) -> dict[str, str]:
    """Settings that name files or folders in every kind that has them, be it by name or among others; what they are."""
    found: dict[str, list[tuple[bool, str]]] = {}
    for kind in every():
        cls = declared(kind, verb)
        for one in dataclasses.fields(cls):
            found.setdefault(one.name, []).append(("Path" in str(one.type), phrases_of(cls)[one.name]))
    return {name: theirs[0][1] for name, theirs in found.items() if all(path for path, _ in theirs)}


def phrases_of(cls: type[Any]) -> dict[str, str]:
    """What a dataclass's docstring says of its fields."""
    phrases = arguments(inspect.getdoc(cls) or "")
    return {one.name: without_markup(phrases.get(one.name, "")) for one in dataclasses.fields(cls)}


def fill(kind: DataKind, verb: str, chosen: Mapping[str, Any], whose: str) -> Any:
    """The settings of a kind with what a person chose.

    Args:
        kind: of the model.
        verb: what it is asked to do.
        chosen: by name; whole floats become whole numbers where such are asked for.
        whose: the model, for errors.

    Raises:
        ConfigError: for a setting of other kinds, which are named; for one that nobody has, with the closest name; for
            a value of another type; for one that is missing.
    """
    cls = declared(kind, verb)
    settings = {one.name: one for one in dataclasses.fields(cls)}
    for name in chosen:
        if name not in settings:
            _refuse(name, kind, verb, list(settings), whose)
    types = types_of(cls)
    values = {}
    for name, value in chosen.items():
        try:
            values[name] = fit(value, types[name], name)
        except MisfitError as error:
            raise ConfigError(f"{error} {name}: {phrases_of(cls)[name]}.") from error
    if lacking := [n for n, one in settings.items() if default_of(one) is dataclasses.MISSING and n not in chosen]:
        raise ConfigError(f"{whose} makes {kind.title} and needs {lacking[0]}=<value>; it has no default.")
    return cls(**values)


def check_chosen(verb: str, chosen: Mapping[str, Any]) -> None:
    """Refuse what no kind can be told, before it is known which kind the model is of.

    Args:
        verb: one of :data:`VERBS`.
        chosen: settings by name.

    Raises:
        ConfigError: of the first kind that has all of them, where every such kind refuses them.
    """
    refused = []
    for kind in every():
        if not set(chosen) <= {one.name for one in dataclasses.fields(declared(kind, verb))}:
            continue
        try:
            settings = fill(kind, verb, chosen, "the model")
            if isinstance(settings, Request):
                settings.check()
        except ConfigError as error:
            refused.append(error)
        else:
            return
    if refused:
        raise refused[0]


def refill(kind: DataKind, verb: str, settings: object, whose: str) -> Any:
    """Settings that were made in Python, checked like those that were typed.

    Raises:
        ConfigError: see :func:`fill`; and for settings of another kind.
    """
    cls = declared(kind, verb)
    if not isinstance(settings, cls):
        raise ConfigError(f"{whose} makes {kind.title}, which takes a {cls.__name__}, not a {type(settings).__name__}.")
    return fill(kind, verb, {one.name: getattr(settings, one.name) for one in dataclasses.fields(cls)}, whose)


def _refuse(name: str, kind: DataKind, verb: str, known: list[str], whose: str) -> None:
    others = [other for other in every() if name in (one.name for one in dataclasses.fields(declared(other, verb)))]
    if not others:
        check_known([name], known, "", f"a setting for {kind.title}")
    titles = " and ".join(other.title for other in others)
    own = f"its settings are {', '.join(known)}" if known else "it has no settings of its own"
    raise ConfigError(f"{name}= is for models of {titles}, but {whose} makes {kind.title}; {own}.")


def types_of(cls: type) -> dict[str, Any]:
    """Types of a dataclass's fields; ``Any`` for those whose names exist for type checkers alone."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(cls):
        owner = next(base for base in cls.__mro__ if one.name in inspect.get_annotations(base))
        alone = type(cls.__name__, (), {"__annotations__": {one.name: one.type}, "__module__": owner.__module__})
        try:
            found[one.name] = get_type_hints(alone)[one.name]
        except NameError:
            found[one.name] = Any
    return found
