"""Kinds of data by name: a folder of this room, an entry point of another package, or a plug-in's :func:`register`."""

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutoscope.data.registry import import_plugins
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.installed import entry_points

if TYPE_CHECKING:
    from mutoscope.kinds.base import KindTools

ENTRY_POINT_GROUP = "mutoscope.kinds"


@dataclass(frozen=True)
class DataKind:
    """What a kind of data declares of itself; what does its work is imported when it is needed.

    Args:
        name: as ``takes`` of models and ``kind`` of datasets have it; of a kind in this room, its folder's.
        title: what its models make, in words.
        request: dataclass of what ``generate`` may be asked, see :mod:`mutoscope.kinds.settings`.
        options: dataclass of those settings of its evaluation that not all kinds share.
        tools: dotted name of its :class:`~mutoscope.kinds.base.KindTools`.
    """

    name: str
    title: str
    request: type
    options: type
    tools: str

    def load_tools(self) -> "KindTools":
        """An instance of ``tools``, which takes metrics, drawing and torch along."""
        module, _, name = self.tools.rpartition(".")
        tools: KindTools = getattr(importlib.import_module(module), name)()
        return tools


_registered: dict[str, DataKind] = {}


def register(kind: DataKind) -> DataKind:
    """Make a kind known whose package is named in ``$MUTOSCOPE_PLUGINS``; installed packages have entry points instead.

    Raises:
        ValueError: if another kind already has this name.
    """
    present = _registered.get(kind.name)
    if kind.name in _own() or (present is not None and present.tools != kind.tools):
        other = "this package" if present is None else present.tools
        raise ValueError(f"The kind '{kind.name}' is {other}'s; register {kind.tools} under another name.")
    _registered[kind.name] = kind
    return kind


def names() -> list[str]:
    """Names of all kinds."""
    import_plugins()
    return sorted({*_own(), *_registered, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def find(name: str) -> DataKind:
    """The kind of this name.

    Raises:
        ConfigError: for an unknown one, with the known names and the closest one.
    """
    if name in _own():
        found = importlib.import_module(f"mutoscope.kinds.{name}").KIND
    else:
        known = names()
        point = next((point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == name), None)
        if point is None and name not in _registered:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ConfigError(
                f"There is no kind of data '{name}'; known kinds: {', '.join(known)}. Did you mean '{near[0]}'? A "
                f"package of yours adds one by an entry point in the group {ENTRY_POINT_GROUP}."
            )
        found = _registered[name] if point is None else point.load()
    if not isinstance(found, DataKind) or found.name != name:
        raise ConfigError(
            f"The entry point '{name}' of {ENTRY_POINT_GROUP} is {found!r}, expected a DataKind '{name}'."
        )
    return found


def every() -> list[DataKind]:
    """All kinds, by name."""
    return [find(name) for name in names()]


def _own() -> list[str]:
    return [path.parent.name for path in Path(__file__).parent.glob("*/__init__.py")]
