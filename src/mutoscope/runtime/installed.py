"""What installed packages offer: their entry points, read once."""

import sys
from functools import lru_cache
from importlib import metadata
from typing import Any


def entry_points(**wanted: Any) -> metadata.EntryPoints:
    """As ``importlib.metadata.entry_points``, which reads the files of all installed packages anew every time.

    Args:
        wanted: ``group=`` and ``name=``, where not all are.
    """
    found = _by_group(tuple(sys.path), wanted.pop("group", None))
    return found.select(**wanted) if wanted else found


@lru_cache(maxsize=64)
def _by_group(path: tuple[str, ...], group: str | None) -> metadata.EntryPoints:
    """Those of a group, or all: every dataset and every node of a config asks for a few of hundreds."""
    return _all(path) if group is None else _all(path).select(group=group)


@lru_cache(maxsize=4)
def _all(path: tuple[str, ...]) -> metadata.EntryPoints:
    """Those of the packages on a path."""
    found: Any = metadata.entry_points()
    # before Python 3.12, all of them are a mapping
    return metadata.EntryPoints(point for group in found.groups for point in found.select(group=group))
