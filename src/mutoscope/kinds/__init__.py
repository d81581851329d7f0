"""Kinds of data: what measuring, showing, evaluating and asking mean for motion, for video from action graphs, ...

A kind is one folder here, or a package of somebody else with an entry point ``mutoscope.kinds``: a
:class:`~mutoscope.kinds.registry.DataKind` that names its settings and its
:class:`~mutoscope.kinds.base.KindTools`.
"""

from typing import TYPE_CHECKING

from mutoscope.kinds.registry import DataKind, every, find, names, register

if TYPE_CHECKING:
    from mutoscope.kinds.base import KindTools


def tools(name: str) -> "KindTools":
    """How data of a kind are measured, shown, evaluated and asked for.

    Raises:
        ConfigError: for an unknown kind.
    """
    return find(name).load_tools()


__all__ = ["DataKind", "every", "find", "names", "register", "tools"]
