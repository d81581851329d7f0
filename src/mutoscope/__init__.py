"""Mutoscope: generative video and motion that is controlled by actions.

What the command line does, Python can, with the same words::

    import mutoscope as ms

    model = ms.load("outputs/quickstart")
    model.generate(ms.classes(walk=4), seed=0).save("samples")
    ms.evaluate(model, ms.dataset("toy_motion")).write("report")

Importing the package is light: torch comes along with the first of these names that is used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mutoscope import metrics, structures
    from mutoscope.cli.composed import train
    from mutoscope.kinds.action_graph.settings import prompt
    from mutoscope.kinds.motion.settings import between, classes, mixture
    from mutoscope.verbs.anybody.measure import evaluate_clips
    from mutoscope.verbs.face import TrainedModel, dataset, evaluate, load, metric

try:
    __version__ = version("mutoscope")
except PackageNotFoundError:
    __version__ = "0+unknown"

#: where the names of the public face come from; ``None`` for modules
_FROM = {
    "TrainedModel": "mutoscope.verbs.face",
    "between": "mutoscope.kinds.motion.settings",
    "classes": "mutoscope.kinds.motion.settings",
    "dataset": "mutoscope.verbs.face",
    "evaluate": "mutoscope.verbs.face",
    "evaluate_clips": "mutoscope.verbs.anybody.measure",
    "load": "mutoscope.verbs.face",
    "metric": "mutoscope.verbs.face",
    "metrics": None,
    "mixture": "mutoscope.kinds.motion.settings",
    "prompt": "mutoscope.kinds.action_graph.settings",
    "structures": None,
    "train": "mutoscope.cli.composed",
}

__all__ = [
    "TrainedModel",
    "__version__",
    "between",
    "classes",
    "dataset",
    "evaluate",
    "evaluate_clips",
    "load",
    "metric",
    "metrics",
    "mixture",
    "prompt",
    "structures",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'mutoscope' has no attribute '{name}'")
    place = _FROM[name]
    found = import_module(f"mutoscope.{name}") if place is None else getattr(import_module(place), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
