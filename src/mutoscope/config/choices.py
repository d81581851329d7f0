"""Config files: where they lie, which choices every group has, and what a choice holds."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mutoscope.config.names import closest
from mutoscope.data.registry import plugin_packages
from mutoscope.runtime.errors import ConfigError

#: entry of a metric's node that says which preset it began as
PRESET = "_preset_"


def config_dir() -> Path:
    """The folder of configs: inside the installed package, or ``conf/`` of the checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"The configs are missing: neither {package / 'conf'} nor {package.parents[1] / 'conf'} exists.")


def config_dirs() -> list[Path]:
    """:func:`config_dir`, then the folder ``conf`` of every package of other people that has one."""
    found = [config_dir()]
    for name in plugin_packages():
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            continue
        places = () if spec is None else spec.submodule_search_locations or ()
        found += [Path(place) / "conf" for place in places if (Path(place) / "conf").is_dir()]
    return found


def choices(group: str) -> list[str]:
    """The choices of a config group, those of other people's packages included."""
    return sorted({path.stem for folder in config_dirs() for path in (folder / group).glob("*.yaml")})


def load_choice(group: str, choice: str) -> dict[str, Any]:
    """A config file on top of what its own defaults list names.

    That is other choices of its group (``- choice``) and what goes below one of its keys (``- /group@key: choice``).

    Raises:
        ConfigError: if there is no such choice.
    """
    places = [folder / group / f"{choice}.yaml" for folder in config_dirs()]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        known = choices(group)
        near = f"; did you mean '{closest(choice, known)}'? Choices: {', '.join(known)}." if known else "."
        raise ConfigError(f"There is no {group} '{choice}'{near}")
    loaded = OmegaConf.load(path)
    assert isinstance(loaded, DictConfig)
    below: Any = OmegaConf.create()
    for entry in loaded.pop("defaults", []):
        if isinstance(entry, str):
            below = OmegaConf.merge(below, load_choice(group, entry))
            continue
        ((where, name),) = entry.items()
        other, _, key = where.removeprefix("/").partition("@")
        OmegaConf.update(below, key, load_choice(other, name), force_add=True)
    merged = OmegaConf.to_container(OmegaConf.merge(below, loaded))
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def settings_of(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a config holds below one of its keys; empty where there is nothing.

    Raises:
        ConfigError: for a single value.
    """
    node = config.get(name)
    if node is not None and not isinstance(node, Mapping):
        raise ConfigError(f"{name} is '{node}', expected settings {name}.<key>=<value>.")
    return node or {}


def with_groups(
    config: Mapping[str, Any], groups: Mapping[str, str], explicit: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A config in which the groups that nobody chose are those named in ``groups``, with the settings that are there.

    Args:
        config: resolved; a group that nobody chose holds single settings at most.
        groups: choice by group, files ``<group>/<choice>.yaml``.
        explicit: by group, the settings typed one by one; an entry ``""`` marks a group that was chosen itself.
    """
    chosen: dict[str, Any] = dict(config)
    for group, choice in groups.items():
        typed = explicit.get(group, {})
        if "" not in typed:
            own = [dict(settings) for settings in (settings_of(config, group), typed)]
            # a metric that was chosen whole has nothing of that in whose place it is
            nodes = [item for settings in own for item in settings.items()]
            whole = {key for key, node in nodes if isinstance(node, Mapping) and PRESET in node}
            usual = {key: node for key, node in load_choice(group, choice).items() if key not in whole}
            merged = OmegaConf.merge(usual, *map(OmegaConf.create, own))
            chosen[group] = OmegaConf.to_container(merged, resolve=True)
    return chosen
