"""Configs: where they lie, how their nodes are checked against the code, and how objects are built from them."""

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate

from mutoscope.data.registry import ENTRY_POINT_GROUP, datamodule_class


class ConfigError(ValueError):
    """A config that cannot work; the message is one sentence for the person who wrote it."""


#: only these packages may be named by ``_target_``; installed plug-ins and $MUTOSCOPE_PLUGINS add theirs
ALLOWED_PACKAGES = ("mutoscope", "torch", "pytorch_lightning", "torchmetrics")

_DIRECTIVES = {"_target_", "_partial_", "_convert_", "_args_", "_recursive_"}


def config_dir() -> Path:
    """The folder of configs: inside the installed package, or ``conf/`` of the checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"The configs are missing: neither {package / 'conf'} nor {package.parents[1] / 'conf'} exists.")


def allowed_packages() -> set[str]:
    """Top-level packages whose classes a config may name."""
    plugins = {point.module.split(".")[0] for point in entry_points(group=ENTRY_POINT_GROUP)}
    named = {name.strip() for name in os.environ.get("MUTOSCOPE_PLUGINS", "").split(",") if name.strip()}
    return {*ALLOWED_PACKAGES, *plugins, *named}


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like ``name``."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def _locate(path: str, where: str) -> Any:
    package = path.split(".")[0]
    if package not in allowed_packages():
        raise ConfigError(
            f"{where}._target_ is '{path}', but only {', '.join(sorted(allowed_packages()))} may be built from a "
            f"config; list '{package}' in the environment variable MUTOSCOPE_PLUGINS if you trust it."
        )
    try:
        return get_object(path)
    except Exception as error:
        raise ConfigError(f"{where}._target_ is '{path}', which cannot be imported: {error}.") from error


def _check_keys(target: Any, keys: Iterable[str], where: str, known_late: Iterable[str] = ()) -> None:
    parameters = inspect.signature(target).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    valid = [name for name, p in parameters.items() if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    offered = [name for name in valid if name not in set(known_late)]
    for key in keys:
        if key not in valid:
            name = getattr(target, "__name__", str(target))
            hint = f"did you mean '{closest(key, offered)}'? " if offered else ""
            raise ConfigError(
                f"{where}.{key} is not a setting of {name}; {hint}Its settings are {', '.join(offered) or 'none'}."
            )


def check_config(config: Mapping[str, Any], known_top: Iterable[str]) -> None:
    """Check a whole resolved config before anything runs.

    Every ``_target_`` node and the dataset node are compared with the signature they will be called with.

    Raises:
        ConfigError: for an unknown key anywhere (also one added with ``+``), with the closest valid name.
    """
    known_top = list(known_top)
    for key in config:
        if key not in known_top:
            raise ConfigError(
                f"'{key}' is no setting here; did you mean '{closest(key, known_top)}'? "
                f"The settings are {', '.join(known_top)}."
            )
    _check_nodes(config, "")


#: constructor arguments that the program itself supplies
LATE = ("info", "recognizer", "skeleton", "reference", "run_dir", "config", "callbacks", "loggers")


def _check_nodes(node: Any, where: str) -> None:
    if isinstance(node, Mapping):
        if "_target_" in node:
            target = _locate(node["_target_"], where)
            _check_keys(target, [k for k in node if k not in _DIRECTIVES], where, LATE)
        elif where == "dataset" and node.get("name"):
            check_dataset(node)
        for key, value in node.items():
            _check_nodes(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check_nodes(value, f"{where}[{i}]")


def check_dataset(node: Mapping[str, Any]) -> None:
    """Check a dataset node ``{name, **settings}`` against the DataModule registered under its name."""
    cls = datamodule_class(node["name"])
    _check_keys(cls, [k for k in node if k != "name"], "dataset")
    needed = [
        name
        for name, p in inspect.signature(cls).parameters.items()
        if p.default is inspect.Parameter.empty and node.get(name) is None
    ]
    if needed:
        raise ConfigError(f"dataset={node['name']} needs dataset.{needed[0]}=<value>; it has no default.")


def build(node: Mapping[str, Any], where: str, **late: Any) -> Any:
    """Build the object a ``_target_`` node describes; ``late`` are arguments known only at run time.

    Late arguments that the target does not ask for are left out, so callers may offer all they have.

    Raises:
        ConfigError: for a target outside the allowed packages or a key the target does not know.
    """
    _check_nodes(node, where)
    parameters = inspect.signature(_locate(node["_target_"], where)).parameters
    wanted = {name: value for name, value in late.items() if name in parameters}
    # late arguments bypass Hydra, which would turn dataclasses among them into configs
    factory = instantiate({**node, "_partial_": True}, _convert_="all")
    return factory if node.get("_partial_") else factory(**wanted)


def build_dataset(node: Mapping[str, Any]) -> Any:
    """Build the registered DataModule that a dataset node names."""
    check_dataset(node)
    return datamodule_class(node["name"])(**{k: v for k, v in node.items() if k != "name"})
