"""Datasets by name: ``@register("cater")`` in a file below this folder, or an entry point of another package."""

import difflib
import importlib
import os
import pkgutil
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mutoscope.data.datamodule import DataModule

ENTRY_POINT_GROUP = "mutoscope.datamodules"

_classes: dict[str, type["DataModule"]] = {}
D = TypeVar("D", bound="DataModule")


def register(name: str) -> Callable[[type[D]], type[D]]:
    """Class decorator that makes a DataModule reachable as ``dataset=<name>``.

    Raises:
        ValueError: if another class already has this name.
    """

    def decorate(cls: type[D]) -> type[D]:
        present = _classes.get(name)
        if present is not None and present.__qualname__ != cls.__qualname__:
            raise ValueError(
                f"Dataset name '{name}' is taken by {present.__module__}.{present.__qualname__}; "
                f"register {cls.__module__}.{cls.__qualname__} under another name."
            )
        cls.registered_name = name
        _classes[name] = cls
        return cls

    return decorate


def plugins() -> list[str]:
    """Modules and packages named in ``$MUTOSCOPE_PLUGINS`` (comma-separated): code of yours that configs may use."""
    return [name.strip() for name in os.environ.get("MUTOSCOPE_PLUGINS", "").split(",") if name.strip()]


def names_without_import() -> list[str]:
    """Names of all datasets. Files below this folder are read, not imported, which would take seconds."""
    names = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    for path in Path(__file__).parent.rglob("*.py"):
        names |= set(re.findall(r'^@register\("(\w+)"\)', path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    if plugins():
        names |= set(datamodules())
    return sorted(names)


def datamodules() -> dict[str, type["DataModule"]]:
    """All known DataModules by name: files of ``mutoscope.data``, installed entry points, modules of plug-ins."""
    import mutoscope.data as package

    for module in pkgutil.walk_packages(package.__path__, prefix="mutoscope.data."):
        importlib.import_module(module.name)
    for name in plugins():
        importlib.import_module(name)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        register(point.name)(point.load())
    return dict(sorted(_classes.items()))


def datamodule_class(name: str) -> type["DataModule"]:
    """The DataModule registered under ``name``.

    Raises:
        ValueError: for an unknown name, with the known names and the closest one.
    """
    known = datamodules()
    if name not in known:
        closest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise ValueError(
            f"There is no dataset '{name}'; known datasets: {', '.join(known)}. Did you mean '{closest[0]}'?"
        )
    return known[name]
