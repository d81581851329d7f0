"""The command that repeats an evaluation."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from mutoscope.config.choices import config_dir

#: groups of which only what was chosen or typed is repeated
_GROUPS = ("dataset", "metrics", "recognizer")
#: text that means itself without quotes
_BARE = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*")
_WORDS = ("null", "true", "false", "nan", "inf")


def evaluation_command(config: Mapping[str, Any], explicit: Mapping[str, Mapping[str, Any]]) -> str:
    """What to type to repeat an evaluation as it was, quoted for a shell.

    Args:
        config: of ``evaluate``, resolved, with those settings of the model's kind that were chosen.
        explicit: by group, what the user typed of it; an entry ``""`` holds the choice of the group.
    """
    usual = OmegaConf.to_container(OmegaConf.load(config_dir() / "evaluate.yaml"))
    assert isinstance(usual, dict)
    defaults = {str(key): usual[key] for key in usual if key not in ("defaults", "hydra", "checkpoint", *_GROUPS)}
    words = ["mutoscope", "evaluate", f"checkpoint={in_grammar(config['checkpoint'])}"]
    for group in _GROUPS:
        words += typed_words(group, explicit.get(group, {}))
    for key, default in defaults.items():
        value = config.get(key, default)
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            changed = {name: one for name, one in value.items() if one != default.get(name)}
            words += [f"{key}.{path}={in_grammar(one)}" for path, one in _leaves(changed)]
            continue
        # nothing beside is the same as an empty list of them
        if value != default and (value or default) and key != "debug":
            words.append(f"{key}={in_grammar(value)}")
    own = [key for key in config if key not in (*defaults, *_GROUPS, "checkpoint")]
    words += [f"{key}={in_grammar(config[key])}" for key in own]
    return shlex.join(words)


def typed_words(group: str, typed: Mapping[str, Any]) -> list[str]:
    """What was typed of a group, as it is typed again; an entry ``""`` holds the choice of the group."""
    settings = {key: value for key, value in typed.items() if key}
    choice = [f"{group}={typed['']}"] if "" in typed else []
    return [*choice, *(f"{group}.{path}={in_grammar(value)}" for path, value in _leaves(settings))]


def in_grammar(value: Any) -> str:
    """A value as the command line takes it, e.g. ``{name: "text"}``, with what means something else escaped."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(name)}: {in_grammar(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_grammar, value))}]"
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # backslashes mean themselves unless a quote follows
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ("\\" + m[2] if m[2] else ""), text)
    return f'"{escaped}"'


def _key(name: Any) -> str:
    return re.sub(r"([\\()\[\]{}:=,])", r"\\\1", str(name))


def _leaves(node: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in node.items():
        path = f"{above}{name}"
        found += _leaves(value, f"{path}.") if isinstance(value, Mapping) and value else [(path, value)]
    return found
