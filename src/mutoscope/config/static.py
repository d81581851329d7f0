"""Configs against the source of what they build, read and not imported: a mistyped setting is told within a second.

Importing a model brings torch and Lightning, which takes many times as long. Only this package's own classes are read;
what cannot be told from the source is left to :mod:`mutoscope.config.nodes`, which imports and checks everything.
"""

from collections.abc import Iterator, Mapping
from inspect import Parameter
from typing import Any

from mutoscope.config.names import check_known
from mutoscope.config.nodes import LATE
from mutoscope.config.roles import role_of
from mutoscope.config.sources import class_value, dotted, parameters_of
from mutoscope.config.values import MisfitError, fit
from mutoscope.data.registry import names_without_import, plugins, source_of
from mutoscope.runtime.errors import ConfigError

_DIRECTIVES = ("_target_", "_partial_", "_preset_")


def check_statically(config: Mapping[str, Any]) -> None:
    """Check values and names of settings as far as sources tell, in the words of the full check.

    Args:
        config: resolved.

    Raises:
        ConfigError: for a value of another kind than a constructor asks for, a setting that it does not have, or one
            without a default that a dataset lacks.
    """
    nodes = [(node, where, *known) for node, where in _nodes(config, "") if (known := _known(node, where)) is not None]
    for node, where, _, parameters in nodes:
        _check_values(node, where, parameters)
    for node, where, name, parameters in nodes:
        _check_names(node, where, name, parameters)


def check_pair_statically(model: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
    """Whether a model can train on a dataset, as far as sources tell.

    Raises:
        ConfigError: see :func:`mismatch`.
    """
    try:
        kinds = {name: _kind_of(name) for name in names_without_import()}
        yields, takes = kinds[str(dataset.get("name"))], class_value(str(model.get("_target_")), "takes")
    except LookupError:
        return
    if takes != yields and not plugins():
        raise mismatch(str(model["_target_"]), takes, str(dataset["name"]), kinds)


def mismatch(model: str, takes: str, dataset: str, kinds: Mapping[str, str]) -> ConfigError:
    """What is said of a model and a dataset of another kind.

    Args:
        model: its class, dotted.
        takes: its kind of data.
        dataset: its name.
        kinds: of all datasets, by name.
    """
    fitting = ", ".join(name for name, kind in kinds.items() if kind == takes)
    return ConfigError(
        f"{model.rpartition('.')[2]} takes {takes} data, but dataset '{dataset}' yields {kinds[dataset]}; datasets "
        f"that fit: {fitting or 'none yet'}."
    )


def _kind_of(dataset: str) -> str:
    found = source_of(dataset)
    if found is None:
        raise LookupError(f"Dataset '{dataset}' is none of this package.")
    return str(class_value(dotted(*found), "kind"))


def _nodes(node: Any, where: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    if isinstance(node, Mapping):
        if "_target_" in node or (where == "dataset" and node.get("name")):
            yield node, where
        for key, value in node.items():
            yield from _nodes(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _nodes(value, f"{where}[{i}]")


def _known(node: Mapping[str, Any], where: str) -> tuple[str, dict[str, Parameter]] | None:
    """Name and parameters of what a node builds; ``None`` where sources do not tell."""
    target = node.get("_target_")
    if target is None:
        found = source_of(str(node["name"]))
        if found is None:
            return None
        target = dotted(*found)
    if not isinstance(target, str) or not target.startswith("mutoscope."):
        return None
    try:
        return target.rpartition(".")[2], parameters_of(target)
    except LookupError:
        return None


def _check_values(node: Mapping[str, Any], where: str, parameters: Mapping[str, Parameter]) -> None:
    try:
        for key, value in node.items():
            if key in parameters:
                fit(value, parameters[key].annotation, f"{where}.{key}")
    except MisfitError as error:
        raise ConfigError(str(error)) from error


def _check_names(node: Mapping[str, Any], where: str, name: str, parameters: Mapping[str, Parameter]) -> None:
    if "_target_" in node:
        role = role_of(where)
        late = {*LATE, role.first} if role is not None else set(LATE)
        if isinstance(node.get("recognizer"), Mapping):
            late.remove("recognizer")
        keys, offered = [k for k in node if k not in _DIRECTIVES], [p for p in parameters if p not in late]
    else:
        keys, offered = [k for k in node if k != "name"], list(parameters)
    check_known(keys, offered, where, f"a setting of {name}")
    needed = [key for key, p in parameters.items() if p.default is Parameter.empty and node.get(key) is None]
    if "_target_" not in node and needed:
        raise ConfigError(f"dataset={node['name']} needs dataset.{needed[0]}=<value>; it has no default.")
