"""Configs: where they lie, how their nodes are checked against the code, and how objects are built from them."""

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from mutoscope.data.registry import ENTRY_POINT_GROUP, datamodule_class, plugins
from mutoscope.runtime.errors import ConfigError

#: ``_target_`` may name classes defined below these packages; installed plug-ins and $MUTOSCOPE_PLUGINS add theirs
ALLOWED_PACKAGES = (
    "mutoscope",
    "torch.optim",
    "torch.nn",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
    "torchmetrics",
)
#: what may be built beside classes
_FUNCTIONS = ("mutoscope.training.trainer.make_trainer",)

_DIRECTIVES = {"_target_", "_partial_", "_convert_", "_args_", "_recursive_"}


def config_dir() -> Path:
    """The folder of configs: inside the installed package, or ``conf/`` of the checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"The configs are missing: neither {package / 'conf'} nor {package.parents[1] / 'conf'} exists.")


def allowed_packages() -> set[str]:
    """Packages whose classes a config may name."""
    installed = {point.module.split(".")[0] for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {*ALLOWED_PACKAGES, *installed, *plugins()}


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like ``name``."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def locate(path: Any, where: str) -> Any:
    """The class (or ``make_trainer``) that a ``_target_`` names.

    Configs also come with checkpoints of other people, so neither functions nor anything that a permitted module merely
    imports can be named: what is found must be a class defined in a permitted package.

    Raises:
        ConfigError: for anything else, or a name that cannot be imported.
    """
    allowed = sorted(allowed_packages())
    trusted = (
        f"only classes of {', '.join(allowed)} may be built from a config; list another package in the environment "
        "variable MUTOSCOPE_PLUGINS if you trust it."
    )
    if not isinstance(path, str) or not _below(path, allowed):
        raise ConfigError(f"{where}._target_ is '{path}', but {trusted}")
    try:
        target = get_object(path)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}._target_ is '{path}', which cannot be imported: {reason}") from error
    if path not in _FUNCTIONS and not (isinstance(target, type) and _below(target.__module__, allowed)):
        raise ConfigError(f"{where}._target_ is '{path}', a {type(target).__name__}, but {trusted}")
    return target


def _below(path: str, packages: Iterable[str]) -> bool:
    return any(path == package or path.startswith(f"{package}.") for package in packages)


def _check_keys(target: Any, keys: Iterable[str], where: str, supplied: Iterable[str] = ()) -> None:
    parameters = inspect.signature(target).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    offered = [
        name
        for name, p in parameters.items()
        if p.kind is not inspect.Parameter.VAR_POSITIONAL and name not in set(supplied)
    ]
    check_known(keys, offered, where, f"a setting of {getattr(target, '__name__', target)}")


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


#: nodes that are read by their keys, and nodes whose entries are all built; both by name in the config
_PLAIN = {
    "measure": ("every_n_steps", "samples_per_class", "seed"),
    "recognizer": ("max_steps", "batch_size", "model"),
}
_GROUPS = ("metrics", "logger", "callbacks")


def check_config(config: Mapping[str, Any], known_top: Sequence[str]) -> None:
    """Check a whole resolved config before anything runs.

    Every ``_target_`` node and the dataset node are compared with the signature they will be called with.

    Args:
        config: resolved.
        known_top: its keys.

    Raises:
        ConfigError: for an unknown key anywhere (also one added with ``+``), with the closest valid name.
    """
    check_known(config, known_top, "", "a setting here")
    for name, keys in _PLAIN.items():
        check_known(_node(config, name), keys, name, f"a setting of {name}")
    for group in _GROUPS:
        nodes = _node(config, group)
        known = [name for name, node in nodes.items() if isinstance(node, Mapping) and "_target_" in node]
        for name, node in nodes.items():
            if node is not None and name not in known:
                hint = f"; did you mean '{closest(str(name), known)}'?" if known else "."
                raise ConfigError(
                    f"{group}.{name} is {node}, expected a node with _target_, or null to leave it out{hint}"
                )
    _check_nodes(config, "")


def _node(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    node = config.get(name)
    if node is not None and not isinstance(node, Mapping):
        raise ConfigError(f"{name} is '{node}', expected settings {name}.<key>=<value>.")
    return node or {}


#: constructor arguments that the program itself supplies
LATE = (
    "info",
    "recognizer",
    "track_classifier",
    "skeleton",
    "reference",
    "run_dir",
    "gallery",
    "config",
    "callbacks",
    "loggers",
)


def with_groups(
    config: Mapping[str, Any], groups: Mapping[str, str], explicit: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A config in which the groups that nobody chose are those named in ``groups``.

    Args:
        config: resolved.
        groups: choice by group, files ``<group>/<choice>.yaml``.
        explicit: by group, the settings typed one by one; an entry ``""`` marks a group that was chosen itself.
    """
    chosen: dict[str, Any] = dict(config)
    for group, choice in groups.items():
        typed = explicit.get(group, {})
        if "" not in typed:
            merged = OmegaConf.merge(_load_choice(group, choice), OmegaConf.create(dict(typed)))
            chosen[group] = OmegaConf.to_container(merged, resolve=True)
    return chosen


def _load_choice(group: str, choice: str) -> dict[str, Any]:
    """A config file on top of what its own defaults list names.

    That is other choices of its group (``- choice``) and what goes below one of its keys (``- /group@key: choice``).
    """
    loaded = OmegaConf.load(config_dir() / group / f"{choice}.yaml")
    assert isinstance(loaded, DictConfig)
    below: Any = OmegaConf.create()
    for entry in loaded.pop("defaults", []):
        if isinstance(entry, str):
            below = OmegaConf.merge(below, _load_choice(group, entry))
            continue
        ((where, name),) = entry.items()
        other, _, key = where.removeprefix("/").partition("@")
        OmegaConf.update(below, key, _load_choice(other, name), force_add=True)
    merged = OmegaConf.to_container(OmegaConf.merge(below, loaded))
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def _check_nodes(node: Any, where: str) -> None:
    if isinstance(node, Mapping):
        if "_target_" in node:
            target = locate(node["_target_"], where)
            late = set(LATE)
            if isinstance(node.get("recognizer"), Mapping):
                # a metric may say how a recogniser of its own is trained
                check_known(node["recognizer"], _PLAIN["recognizer"], f"{where}.recognizer", "a setting of recognizer")
                late.remove("recognizer")
            _check_keys(target, [k for k in node if k not in _DIRECTIVES], where, late)
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
        ConfigError: for a target outside the allowed packages, a key the target does not know, or one it lacks.
    """
    _check_nodes(node, where)
    parameters = inspect.signature(locate(node["_target_"], where)).parameters
    wanted = {name: value for name, value in late.items() if name in parameters}
    needed = [
        name
        for name, p in parameters.items()
        if p.default is inspect.Parameter.empty
        and p.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and name not in {*node, *wanted}
    ]
    if needed and not {"_partial_", "_args_"} & set(node):
        raise ConfigError(f"{where} needs {where}.{needed[0]}; {node['_target_']} cannot be built without it.")
    # late arguments bypass Hydra, which would turn dataclasses among them into configs
    factory = instantiate({**node, "_partial_": True}, _convert_="all")
    return factory if node.get("_partial_") else factory(**wanted)


def build_dataset(node: Mapping[str, Any]) -> Any:
    """Build the registered DataModule that a dataset node names."""
    check_dataset(node)
    return datamodule_class(node["name"])(**{k: v for k, v in node.items() if k != "name"})
