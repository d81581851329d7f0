"""What people type: values that Hydra's grammar has no room for are quoted for it, and unknown keys get a hint."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from mutoscope.config.choices import PRESET
from mutoscope.formats.plain_files import PlainFileError, parse_yaml
from mutoscope.kinds.settings import paths_of
from mutoscope.runtime.errors import ConfigError

#: settings that are paths: text, whatever it looks like
_PATHS = ("checkpoint", "real", "fake", "out", "ckpt", "hydra.run.dir", "hydra.sweep.dir")
_PATH_SETTINGS = ("root", "cache_dir", "perceptual_weights", "sheets", "background")
_KEY = re.compile(r"^(\+{0,2}|~)[\w./@-]+(\[[^\]]*\])?$")
#: the choice of a preset for a metric, or of several in a sweep
_PRESET = re.compile(r"^(\+{0,2})(metrics\.[\w-]+)=((?!null$)[^\[{].*)$")


def readable(arguments: Sequence[str], *, sweep: bool = False) -> tuple[list[str], dict[str, Any]]:
    """Arguments as Hydra can read them: ``checkpoint=a=1.ckpt`` becomes ``checkpoint='a=1.ckpt'``.

    Args:
        arguments: as typed, after the shell's own quoting.
        sweep: whether ``a,b`` are alternatives.

    Returns:
        The arguments, and by key the values that no quotes make readable: mappings with names of other scripts.

    Raises:
        ConfigError: for a value whose meaning is not clear, saying how it is quoted.
    """
    parser = OverridesParser.create()
    beyond: dict[str, Any] = {}
    return [_argument(argument, parser, sweep, beyond) for argument in _presets_as_nodes(arguments)], beyond


def _presets_as_nodes(arguments: Sequence[str]) -> list[str]:
    """Arguments in which a preset that is a metric with settings of its own is a node, for them to go into.

    ``+metrics.fid=standard/fid metrics.fid.ddof=0`` becomes ``+metrics.fid=null ++metrics.fid._preset_=standard/fid
    ++metrics.fid.ddof=0``: whether a metric of that name is there is still Hydra's to say.
    """
    arranged = list(arguments)
    for argument in arguments:
        if (found := _PRESET.match(argument)) is None:
            continue
        plus, place, name = found.groups()
        settings = [other for other in arranged if other.lstrip("+").startswith(f"{place}.")]
        if settings:
            node = [f"{plus}{place}=null", f"++{place}.{PRESET}={name}", *(f"++{one.lstrip('+')}" for one in settings)]
            first = arranged.index(argument)
            before, after = arranged[:first], arranged[first + 1 :]
            arranged = [*(one for one in before if one not in settings), *node]
            arranged += [one for one in after if one not in settings]
    return arranged


def _argument(argument: str, parser: OverridesParser, sweep: bool, beyond: dict[str, Any]) -> str:
    key, equals, value = argument.partition("=")
    # Hydra's own flags, and what is removed
    if argument.startswith("-") or not equals or not _KEY.match(key) or key.startswith("~"):
        return argument
    if _is_path(key) and _is_plain_path(value, sweep):
        return f"{key}={quoted(value)}"
    if _parses(f"{key}={value}", parser):
        return argument
    repaired = f"{key}={_repaired(value, parser)}"
    if _parses(repaired, parser):
        return repaired
    try:
        mapping = parse_yaml(value, key) if value.startswith("{") else None
    except PlainFileError:
        mapping = None
    if not isinstance(mapping, dict) or "." in key or sweep:
        raise ConfigError(
            f"{key} is {value!r}, which cannot be read; put it in quotes of its own inside those of the shell: "
            f"{_for_the_shell(f'{key}={quoted(value)}')}."
        )
    beyond[key.lstrip("+")] = mapping
    return f"{key}=null"


def _is_path(key: str) -> bool:
    name = key.lstrip("+")
    return name in (*_PATHS, *_paths_of_kinds()) or ("." in name and name.rpartition(".")[2] in _PATH_SETTINGS)


@lru_cache
def _paths_of_kinds() -> tuple[str, ...]:
    return (*paths_of("generate"), *paths_of("evaluate"))


def _is_plain_path(value: str, sweep: bool) -> bool:
    """Whether a path's value is all path: no list, no quotes, no ``null``, no alternatives of a sweep, no resolver."""
    whole_list = value.startswith("[") and value.endswith("]")
    alternatives = sweep and ("," in value or re.match(r"(choice|glob|range|sort|shuffle|tag)\(", value) is not None)
    return not (value in ("", "null", "???") or whole_list or value[0] in "'\"" or alternatives or "${" in value)


def quoted(value: str) -> str:
    """A text in quotes of Hydra's grammar, in which only quotes, and backslashes before them, are escaped."""
    # single quotes unless only those are inside
    mark = '"' if "'" in value and '"' not in value else "'"
    escaped = re.sub(rf"(\\*){mark}", lambda found: found[1] * 2 + "\\" + mark, value)
    escaped = re.sub(r"(\\+)$", lambda found: found[1] * 2, escaped)
    return f"{mark}{escaped}{mark}"


def _for_the_shell(text: str) -> str:
    return f"'{text}'" if "'" not in text else '"' + text.replace('"', '\\"') + '"'


def _parses(override: str, parser: OverridesParser) -> bool:
    try:
        parser.parse_override(override)
    except HydraException:
        return False
    return True


def _repaired(value: str, parser: OverridesParser) -> str:
    """Quotes around those parts that need them; lists and mappings stay what they are."""
    if _parses(f"key={value}", parser) or not value:
        return value
    if value.startswith("[") and value.endswith("]"):
        return f"[{','.join(_repaired(part, parser) for part in _parts(value[1:-1]))}]"
    if value.startswith("{") and value.endswith("}"):
        pairs = [part.partition(":") for part in _parts(value[1:-1])]
        if all(colon for _, colon, _ in pairs):
            inner = (f"{_repaired(k.strip(), parser)}:{_repaired(v.strip(), parser)}" for k, _, v in pairs)
            return f"{{{','.join(inner)}}}"
    if len(parts := _parts(value)) > 1 and not any(character in value for character in "[]{}()"):
        # alternatives of a sweep
        return ",".join(_repaired(part, parser) for part in parts)
    return quoted(value)


def _parts(text: str) -> list[str]:
    """The parts between commas that stand in no brackets or quotes."""
    parts, depth, mark, part = [], 0, "", ""
    for character in text:
        if mark:
            mark = "" if character == mark else mark
        elif character in "'\"" and not part.strip():
            mark = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        if character == "," and depth == 0 and not mark:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()]


def typed_values(overrides: Sequence[str], group: str) -> dict[str, Any]:
    """Settings of a group among the overrides that Hydra took, nested; ``""`` holds the choice of the group itself."""
    found: dict[str, Any] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, value = str(override.key_or_group), override.value()
        if key == group:
            found[""] = value
        elif key.startswith(f"{group}."):
            *way, last = key.split(".")[1:]
            here = found
            for part in way:
                if not isinstance(here.get(part), dict):
                    here[part] = {}
                here = here[part]
            here[last] = value
    return found


def hint(key: str, *configs: Any) -> str | None:
    """Where a setting of this name stands that was typed without its place, e.g. ``trainer.max_steps``.

    Args:
        key: as typed; ``lr``, or with a place that does not exist.
        configs: composed, and whatever else can be set.

    Returns:
        A sentence, or ``None`` where nothing is called alike.
    """
    name = key.rpartition(".")[2]
    places: dict[str, list[str]] = {}
    for place in (place for config in configs for place in _places(config)):
        places.setdefault(place.rpartition(".")[2], []).append(place)
    alike = [name] if name in places else difflib.get_close_matches(name, places, n=1, cutoff=0.75)
    if not alike:
        return None
    # the networks that metrics look through have settings of the same names, which are meant more rarely
    rarely = ("recognizer.", "metrics.", "callbacks.", "logger.")
    found = sorted(places[alike[0]], key=lambda place: (place.startswith(rarely), place.count("."), place))
    found = [place for place in found if place.startswith(rarely) == found[0].startswith(rarely)]
    return f"did you mean {' or '.join(found[:3])}?"


def _places(node: Any, where: str = "") -> Iterator[str]:
    if not isinstance(node, Mapping | DictConfig):
        return
    for key in node:
        if not where and key == "hydra":
            continue
        place = f"{where}.{key}" if where else str(key)
        yield place
        if isinstance(node, DictConfig):
            child = node._get_node(key)
            if isinstance(child, DictConfig) and isinstance(child._content, dict):
                yield from _places(child, place)
