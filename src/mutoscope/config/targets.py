"""What a config may name to be built: classes of permitted packages, found by their dotted names."""

import importlib
from collections.abc import Iterable
from typing import Any

from mutoscope.data.registry import plugin_packages, plugins
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
#: those of them whose classes a file may name: what writes, reads, downloads or runs is no matter of theirs
FOREIGN_PACKAGES = ("mutoscope", "torch.optim", "torch.nn")
#: what may be built beside classes
_FUNCTIONS = ("mutoscope.training.trainer.make_trainer",)


def allowed_packages(*, foreign: bool = False) -> set[str]:
    """Packages whose classes a config may name, or one that comes from a file (``foreign``)."""
    return {*(FOREIGN_PACKAGES if foreign else ALLOWED_PACKAGES), *plugin_packages(), *plugins()}


def locate(path: Any, where: str, *, foreign: bool = False) -> Any:
    """The class (or ``make_trainer``) that a ``_target_`` names.

    Configs also come with checkpoints of other people, so neither functions nor anything that a permitted module merely
    imports can be named: what is found must be a class defined in a permitted package.

    Raises:
        ConfigError: for anything else, or a name that cannot be imported.
    """
    allowed = sorted(allowed_packages(foreign=foreign))
    trusted = (
        f"only classes of {', '.join(allowed)} may be built from a config; list another package in the environment "
        "variable MUTOSCOPE_PLUGINS if you trust it."
    )
    if not isinstance(path, str) or not _below(path, allowed):
        raise ConfigError(f"{where}._target_ is '{path}', but {trusted}")
    try:
        target = _found(path)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}._target_ is '{path}', which cannot be imported: {reason}") from error
    if path not in _FUNCTIONS and not (isinstance(target, type) and _below(target.__module__, allowed)):
        raise ConfigError(f"{where}._target_ is '{path}', a {type(target).__name__}, but {trusted}")
    return target


def _found(path: str) -> Any:
    """What a dotted path names: the longest beginning that is a module, and what is in it."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            # a module that this one lacks is another matter
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(f"there is no module {parts[0]}")


def _below(path: str, packages: Iterable[str]) -> bool:
    return any(path == package or path.startswith(f"{package}.") for package in packages)
