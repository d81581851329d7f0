"""Models by name: a folder of ``models/`` with its ``module.py``, or an entry point of another package."""

import importlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mutoscope.runtime.installed import entry_points

if TYPE_CHECKING:
    # names of models are known without torch
    from mutoscope.models.generative import GenerativeModule

ENTRY_POINT_GROUP = "mutoscope.models"


@lru_cache
def generative_models() -> dict[str, type["GenerativeModule"]]:
    """All models that generate, by name."""
    from mutoscope.models.generative import GenerativeModule

    found: dict[str, type[GenerativeModule]] = {}
    for path in sorted(Path(__file__).parent.glob("*/module.py")):
        module = importlib.import_module(f"mutoscope.models.{path.parent.name}.module")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, GenerativeModule):
                found[path.parent.name] = value
    for point in entry_points(group=ENTRY_POINT_GROUP):
        cls = point.load()
        if isinstance(cls, type) and issubclass(cls, GenerativeModule):
            found[point.name] = cls
    return found


def importers() -> dict[str, type["GenerativeModule"]]:
    """Those of them that read checkpoints of their original code."""
    from mutoscope.models.generative import GenerativeModule

    nothing = GenerativeModule.from_original.__func__  # type: ignore[attr-defined]
    return {
        name: cls
        for name, cls in generative_models().items()
        if cls.from_original.__func__ is not nothing  # type: ignore[attr-defined]
    }
