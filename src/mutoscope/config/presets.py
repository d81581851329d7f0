"""Presets: metrics whose every setting is that of a published protocol, by name, e.g. ``standard/fvd2048_16f``."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from mutoscope.config.choices import PRESET, config_dirs, load_choice
from mutoscope.config.names import closest
from mutoscope.runtime.errors import ConfigError

_GROUP = "preset"


def preset_names() -> list[str]:
    """All there are."""
    found = set()
    for folder in config_dirs():
        found |= {path.relative_to(folder / _GROUP) for path in (folder / _GROUP).rglob("*.yaml")}
    return sorted(path.with_suffix("").as_posix() for path in found)


def with_presets(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in whose group ``metrics`` names of presets are their nodes.

    A node that says which preset it begins as, and not what is built, has its own settings on top of the preset's.

    Raises:
        ConfigError: for a name that is no preset.
    """
    metrics = config.get("metrics")
    if not isinstance(metrics, Mapping):
        return dict(config)
    return {**config, "metrics": {name: _filled(name, node) for name, node in metrics.items()}}


def preset_of(node: Mapping[str, Any]) -> str | None:
    """The preset that a node is, with what was changed of it; ``None`` if it began as none."""
    name = node.get(PRESET)
    if name is None:
        return None
    usual = load_choice(_GROUP, name)
    changed = {key: node.get(key) for key in {*usual, *node} if node.get(key) != usual.get(key)}
    # another place of the same file changes no number: its hash tells
    changed.pop("weights", None)
    return name if not changed else f"{name} with {', '.join(f'{k}={v}' for k, v in sorted(changed.items()))}"


def _filled(metric: str, node: Any) -> Any:
    if isinstance(node, str):
        return _node(metric, node)
    if isinstance(node, Mapping) and PRESET in node and "_target_" not in node:
        whole = OmegaConf.to_container(OmegaConf.merge(_node(metric, node[PRESET]), dict(node)))
        assert isinstance(whole, dict)
        return whole
    return node


def _node(metric: str, name: Any) -> dict[str, Any]:
    known = preset_names()
    if name not in known:
        raise ConfigError(
            f"metrics.{metric} is '{name}', which is no preset; did you mean '{closest(str(name), known)}'? Presets: "
            f"{', '.join(known)}."
        )
    return load_choice(_GROUP, name)
