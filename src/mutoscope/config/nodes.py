"""Nodes of configs: how they are compared with the code, once, and what is built from them."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from inspect import Parameter
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mutoscope.config.choices import settings_of
from mutoscope.config.names import check_known, closest
from mutoscope.config.roles import SCHEDULER, check_schedule, complaint, role_of
from mutoscope.config.signatures import annotations, needed, parameters
from mutoscope.config.targets import locate
from mutoscope.config.values import MisfitError, fit, settings_class
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.plain_files import shown
from mutoscope.runtime.errors import ConfigError

SettingsT = TypeVar("SettingsT")
_DIRECTIVES = {"_target_", "_partial_", "_preset_"}


class Node(dict[str, Any]):
    """A node of a config that was compared with what it builds; :func:`build` takes it without comparing it again.

    Its items are the node's own, with values of the kinds that are asked for (1e4 where a whole number is, is one) and
    with nodes below it that were compared as well.

    Args:
        settings: those items.
        target: the class or function that is called with them.
        where: place in the config.
    """

    def __init__(self, settings: Mapping[str, Any], target: Any, where: str) -> None:
        super().__init__(settings)
        self.target, self.where = target, where


def plain(config: Any) -> Any:
    """A config with mappings and lists of the plainest kind, as files take them."""
    if isinstance(config, Mapping):
        return {key: plain(value) for key, value in config.items()}
    return [plain(value) for value in config] if isinstance(config, list | tuple) else config


def _check_keys(target: Any, keys: Iterable[str], where: str, supplied: Iterable[str] = ()) -> None:
    taken = parameters(target)
    if any(p.kind is Parameter.VAR_KEYWORD for p in taken.values()):
        return
    offered = [
        name for name, p in taken.items() if p.kind is not Parameter.VAR_POSITIONAL and name not in set(supplied)
    ]
    check_known(keys, offered, where, f"a setting of {getattr(target, '__name__', target)}")


RECOGNIZER_SETTINGS = ("max_steps", "batch_size", "model")
#: nodes that are read by their keys, and nodes whose entries are all built; both by name in the config
_PLAIN = {
    "measure": ("every_n_steps", "samples_per_class", "seed"),
    "recognizer": RECOGNIZER_SETTINGS,
}
_GROUPS = ("metrics", "logger", "callbacks")


def check_config(config: Mapping[str, Any], known_top: Sequence[str]) -> dict[str, Any]:
    """Check a whole resolved config before anything runs.

    Every ``_target_`` node and the dataset node are compared with the signature they will be called with.

    Args:
        config: resolved.
        known_top: its keys.

    Returns:
        The config with such nodes as :class:`Node`, and whole numbers where those are counted.

    Raises:
        ConfigError: for an unknown key anywhere (also one added with ``+``), with the closest valid name.
    """
    check_known(config, known_top, "", "a setting here")
    for name, keys in _PLAIN.items():
        check_known(settings_of(config, name), keys, name, f"a setting of {name}")
    check_groups(config)
    checked: dict[str, Any] = _checked(_with_counts(config), "")
    return checked


def check_groups(config: Mapping[str, Any]) -> None:
    """Whether what stands in groups of nodes by name are nodes.

    Raises:
        ConfigError: if not.
    """
    for group in _GROUPS:
        nodes = settings_of(config, group)
        known = [name for name, node in nodes.items() if isinstance(node, Mapping) and "_target_" in node]
        for name, node in nodes.items():
            if node is not None and name not in known:
                hint = f"; did you mean '{closest(str(name), known)}'?" if known else "."
                raise ConfigError(
                    f"{group}.{name} is {node}, expected a node with _target_, or null to leave it out{hint}"
                )


#: constructor arguments that the program itself supplies
LATE = (
    "info",
    "recognizer",
    "track_classifier",
    "skeleton",
    "normaliser",
    "reference",
    "run_dir",
    "gallery",
    "config",
    "callbacks",
    "loggers",
)


def _checked(node: Any, where: str, *, foreign: bool = False) -> Any:
    """The same with every node of what is built as a :class:`Node`."""
    if isinstance(node, Node):
        return node
    if isinstance(node, Mapping):
        if "_target_" in node:
            return _checked_target(node, where, foreign)
        if where == "dataset" and node.get("name"):
            return check_dataset(node)
        return {key: _checked(node[key], f"{where}.{key}" if where else str(key), foreign=foreign) for key in node}
    if isinstance(node, list | tuple):
        return [_checked(value, f"{where}[{i}]", foreign=foreign) for i, value in enumerate(node)]
    return node


def _checked_target(node: Mapping[str, Any], where: str, foreign: bool) -> Node:
    target, role = locate(node["_target_"], where, foreign=foreign), role_of(where, foreign=foreign)
    if role is not None and (reason := complaint(role, node, target, where)) is not None:
        raise ConfigError(reason)
    if role is SCHEDULER:
        check_schedule(target, where)
    late = {*LATE, role.first} if role is not None and role.first else set(LATE)
    if isinstance(node.get("recognizer"), Mapping):
        # a metric may say how a recogniser of its own is trained
        check_known(node["recognizer"], _PLAIN["recognizer"], f"{where}.recognizer", "a setting of recognizer")
        late.remove("recognizer")
    _check_keys(target, [k for k in node if k not in _DIRECTIVES], where, late)
    if role is not None and role.partial:
        lacking = [name for name in needed(target) if name not in node and name not in late]
        if lacking:
            raise ConfigError(f"{where} needs {where}.{lacking[0]}=<value>; it has no default.")
    fits = _fit_settings(node, target, where)
    below = {key: _checked(value, f"{where}.{key}", foreign=foreign) for key, value in fits.items()}
    return Node(below, target, where)


def _fit_settings(node: Mapping[str, Any], target: Any, where: str) -> dict[str, Any]:
    """Settings of the kinds that the target's annotations ask for; a ``ConfigError`` for one that is not."""
    kinds = annotations(target)
    try:
        return {key: fit(value, kinds.get(key, Any), f"{where}.{key}") for key, value in node.items()}
    except MisfitError as error:
        raise ConfigError(str(error)) from error


#: whole numbers in nodes that are read by their keys; the first are those of the verbs themselves
_COUNTS = {
    "": ("seed", "samples_per_class", "controllability"),
    "measure": ("every_n_steps", "samples_per_class", "seed"),
    "recognizer": ("max_steps", "batch_size"),
}


def check_counts(config: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` for a broken number where verbs, and nodes that are read by their keys, count."""
    for where in _COUNTS:
        node = config.get(where) if where else config
        if isinstance(node, Mapping):
            _fit_counts(node, where)


def _with_counts(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in which counts such as 1e4 are whole numbers, at its top and in nodes that are read by their keys."""
    counted = {key: value for key, value in config.items() if key in _COUNTS and isinstance(value, Mapping)}
    return {**_fit_counts(config, ""), **{key: _fit_counts(node, key) for key, node in counted.items()}}


def _fit_counts(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    counts = {key: float(value) for key, value in node.items() if isinstance(value, float) and key in _COUNTS[where]}
    if broken := [key for key, value in counts.items() if not value.is_integer()]:
        name = f"{where}.{broken[0]}" if where else broken[0]
        raise ConfigError(f"{name} is {node[broken[0]]}, expected a whole number.")
    return {**node, **{key: int(value) for key, value in counts.items()}}


def check_dataset(node: Mapping[str, Any], *, complete: bool = True) -> Node:
    """A dataset node ``{name, **settings}``, compared with the DataModule registered under its name.

    Args:
        node: from a config.
        complete: whether settings without a default have to be there.

    Raises:
        ConfigError: for an unknown setting, one of another kind than is asked for, and one that is missing.
    """
    if not isinstance(node.get("name"), str):
        raise ConfigError(f"dataset.name is {shown(node.get('name'))}, expected the name of a dataset.")
    cls = datamodule_class(node["name"])
    _check_keys(cls, [k for k in node if k != "name"], "dataset")
    lacking = [name for name in needed(cls) if node.get(name) is None]
    if lacking and complete:
        raise ConfigError(f"dataset={node['name']} needs dataset.{lacking[0]}=<value>; it has no default.")
    return Node(_fit_settings(node, cls, "dataset"), cls, "dataset")


def build(node: Mapping[str, Any], where: str, *, foreign: bool = False, **late: Any) -> Any:
    """Build the object a ``_target_`` node describes, and those in it; nothing in the node is resolved or run.

    Args:
        node: ``_target_``, settings of the constructor, which may be such nodes themselves, and ``_partial_: true``
            for what is built when the rest of its arguments is there. A :class:`Node` is not compared again.
        where: its place in the config, which says what may stand there, see :mod:`mutoscope.config.roles`.
        foreign: whether the node comes from a file; fewer classes are permitted then.
        late: arguments known only at run time; those that the target does not ask for are left out, so callers may
            offer all they have.

    Raises:
        ConfigError: for a target outside the allowed packages or in another's place, a key the target does not know, a
            value of another kind than it asks for, or a key that it lacks.
    """
    return _built(_checked(node, where, foreign=foreign), where, late)


def _built(node: Any, where: str, late: Mapping[str, Any], kind: Any = None) -> Any:
    """What a checked node describes; ``kind`` is the annotation of the parameter it is for."""
    if isinstance(node, list | tuple):
        values = [_built(value, f"{where}[{i}]", {}) for i, value in enumerate(node)]
        return tuple(values) if any(get_origin(option) is tuple for option in (kind, *get_args(kind))) else values
    if not isinstance(node, Mapping):
        return copy.copy(node)
    if not isinstance(node, Node):
        if (settings := settings_class(kind)) is not None:
            return _settings(node, settings, where)
        return {key: _built(value, f"{where}.{key}", {}) for key, value in node.items()}
    target, kinds = node.target, annotations(node.target)
    given = {key: value for key, value in node.items() if key not in _DIRECTIVES}
    built = {key: _built(value, f"{where}.{key}", {}, kinds.get(key)) for key, value in given.items()}
    built |= {name: value for name, value in late.items() if name in parameters(target)}
    if node.get("_partial_"):
        return partial(target, **built)
    if lacking := [name for name in needed(target) if name not in built]:
        raise ConfigError(f"{where} needs {where}.{lacking[0]}; {node['_target_']} cannot be built without it.")
    return target(**built)


def _settings(node: Mapping[str, Any], cls: type, where: str) -> Any:
    """The dataclass of settings that a node has been found to fit; nothing else in it is built."""
    kinds = get_type_hints(cls)
    given: dict[str, Any] = {}
    for key, value in node.items():
        inner, options = settings_class(kinds[key]), (kinds[key], *get_args(kinds[key]))
        if inner is not None and isinstance(value, Mapping):
            given[key] = _settings(value, inner, f"{where}.{key}" if where else key)
        elif isinstance(value, list) and any(get_origin(option) is tuple for option in options):
            given[key] = tuple(value)
        else:
            given[key] = copy.copy(value)
    try:
        return cls(**given)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error


def settings_from(node: Mapping[str, Any] | None, cls: type[SettingsT], where: str) -> SettingsT:
    """A dataclass of settings from the node ``where``.

    Raises:
        ConfigError: for a setting that it does not have, with the closest it has, or one of another kind.
    """
    try:
        fits = fit({} if node is None else node, cls, where)
    except MisfitError as error:
        raise ConfigError(str(error)) from error
    built: SettingsT = _settings(fits, cls, where)
    return built


def build_dataset(node: Mapping[str, Any]) -> Any:
    """Build the registered DataModule that a dataset node names; a :class:`Node` is not compared again."""
    checked = node if isinstance(node, Node) else check_dataset(node)
    datamodule = checked.target(**{key: value for key, value in checked.items() if key != "name"})
    datamodule.node = dict(node)
    return datamodule
