"""Datasets by name: ``@register("cater")`` in a file below this folder, or an entry point of another package."""

import difflib
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.installed import entry_points

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
    """Modules and packages named in ``$MUTOSCOPE_PLUGINS`` (comma-separated): code of yours that configs may use.

    They may be installed, or lie in the working directory, which is made importable for them, after all else.
    """
    names = [name.strip() for name in os.environ.get("MUTOSCOPE_PLUGINS", "").split(",") if name.strip()]
    if names and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    return names


def import_plugins() -> None:
    """Import what ``$MUTOSCOPE_PLUGINS`` names, for its datasets and kinds to be registered.

    Raises:
        ConfigError: if there is none of such a name.
    """
    for name in plugins():
        _import_plugin(name)


def plugin_packages() -> list[str]:
    """Top packages of other people: those with entry points, and those in ``$MUTOSCOPE_PLUGINS``."""
    installed = {point.module for point in entry_points() if point.group.startswith("mutoscope.")}
    return sorted({name.split(".")[0] for name in installed | set(plugins())})


def _import_plugin(name: str) -> None:
    """Import a plug-in; a ``ConfigError`` where there is none of this name."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # a module that the plug-in itself lacks is another matter
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise ConfigError(
            f"MUTOSCOPE_PLUGINS names '{name}', which is neither installed nor in {Path.cwd()}; start from the folder "
            f"that holds {name.split('.')[0]}, or install it."
        ) from error


def names_without_import() -> list[str]:
    """Names of all datasets, without importing them, which would take seconds."""
    names = {*_own_sources(), *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))}
    if plugins():
        names |= set(datamodules())
    return sorted(names)


def source_of(name: str) -> tuple[Path, str] | None:
    """The file of a dataset of this package and the name of its class in there, without importing it."""
    return _own_sources().get(name)


@cache
def _own_sources() -> dict[str, tuple[Path, str]]:
    """Files and names of the classes of this package's datasets, by the datasets' names, from reading its files."""
    found: dict[str, tuple[Path, str]] = {}
    for path in Path(__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name, cls in re.findall(r'^@register\("(\w+)"\)\nclass (\w+)', text, flags=re.MULTILINE):
            found[name] = path, cls
    return found


def datamodules() -> dict[str, type["DataModule"]]:
    """All known DataModules by name: files of ``mutoscope.data``, installed entry points, modules of plug-ins."""
    _import_own()
    import_plugins()
    for point in entry_points(group=ENTRY_POINT_GROUP):
        register(point.name)(point.load())
    return dict(sorted(_classes.items()))


@cache
def _import_own() -> None:
    """Import all of ``mutoscope.data``, whose datasets are registered thereby."""
    import mutoscope.data as package

    for module in pkgutil.walk_packages(package.__path__, prefix="mutoscope.data."):
        importlib.import_module(module.name)


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
