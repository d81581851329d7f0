"""From what a person asks of motion to a wish that the model can meet."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mutoscope.config.names import closest
from mutoscope.kinds.motion.settings import MotionRequest
from mutoscope.kinds.motion.wishes import Classes, Mixture, Sweep, Wish
from mutoscope.models.generative import Attentive, GenerativeModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo

#: clips per class or mixture, and per mixture of a sweep (section 4.5 of SA-GCN's paper), unless ``n`` says otherwise
_CLIPS, _SWEEP_CLIPS = 4, 100
#: weights that people round to three digits still sum to one
_ROUNDING = 2e-3


def motion_wish(request: MotionRequest, model: GenerativeModule) -> Wish:
    """What is asked of a model of motion.

    Raises:
        ConfigError: for what cannot be asked of this model; unknown classes; wishes that exclude each other; numbers
            out of range.
    """
    info = model.info
    request.check()
    way, n = request.way, request.n
    if n is None:
        n = _SWEEP_CLIPS if way == "between" else _CLIPS
    if request.attention and not isinstance(model, Attentive):
        raise ConfigError(
            f"attention= is for models whose frames attend to past ones, as SAGCN's do; {type(model).__name__} has no "
            "such attention."
        )
    if way == "label":
        if isinstance(request.label, Mapping):
            return _counted(request.label, info, request.n)
        labels = _labels(request.label, info)
        return Classes(labels, (n,) * len(labels))
    if not model.takes_mixtures:
        raise ConfigError(
            f"{way}= is for models that take mixtures of classes, as SAGCN does; {type(model).__name__} takes one "
            "class at a time: label=<class>."
        )
    if request.mix is not None:
        return _mixture(request.mix, info, n)
    return _sweep(request.between, request.lambdas, info, n)


def _counted(asked: Mapping[Any, int], info: DatasetInfo, n: int | None) -> Classes:
    if n is not None:
        raise ConfigError(f"n is {n}, but label says already how many of each class: {dict(asked)}.")
    if not asked:
        raise ConfigError("label is {}; say how many of each class, such as label='{" + info.classes[0] + ": 4}'.")
    if below := [name for name, count in asked.items() if count < 1]:
        raise ConfigError(f"label asks for {asked[below[0]]} sequences of '{below[0]}', expected at least 1.")
    labels = tuple(_label(name, info) for name in asked)
    if len(set(labels)) < len(labels):
        raise ConfigError(f"label names a class twice: {', '.join(map(str, asked))}.")
    return Classes(labels, tuple(asked.values()))


def _label(name: Any, info: DatasetInfo) -> int:
    try:
        return info.label(name)
    except ValueError as error:
        raise ConfigError(f"{error} Did you mean '{closest(str(name), info.classes)}'?") from error


def _labels(asked: Any, info: DatasetInfo) -> tuple[int, ...]:
    if asked == "all" or asked == -1:
        return tuple(range(info.num_classes))
    names = asked if isinstance(asked, list | tuple) else [asked]
    if not names:
        raise ConfigError(f"label is empty; name classes among {', '.join(info.classes)}, or all.")
    return tuple(_label(name, info) for name in names)


def _mixture(asked: Mapping[Any, float], info: DatasetInfo, n: int) -> Mixture:
    if not asked:
        raise ConfigError(f"mix is {{}}, expected weights of classes, such as mix='{_example(info)}'.")
    weights: dict[int, float] = {}
    for name, weight in asked.items():
        label = _label(name, info)
        if label in weights:
            raise ConfigError(f"mix names the class '{info.classes[label]}' twice; give it one weight.")
        if not math.isfinite(weight) or weight < 0:
            raise ConfigError(f"mix gives '{name}' the weight {weight}, expected a number >= 0.")
        weights[label] = float(weight)
    total = sum(weights.values())
    if total == 0:
        raise ConfigError(f"mix has only weights of 0; give a class some weight, such as mix='{_example(info)}'.")
    if abs(total - 1) > _ROUNDING:
        shares = ", ".join(f"{info.classes[label]}: {weight / total:.3g}" for label, weight in weights.items())
        raise ConfigError(
            f"The weights of mix sum to {total:.4g}, expected 1; in the same proportions that is mix='{{{shares}}}'."
        )
    return Mixture({label: weight / total for label, weight in weights.items() if weight > 0}, n)


def _sweep(asked: Any, lambdas: int, info: DatasetInfo, n: int) -> Sweep:
    names = asked if isinstance(asked, list | tuple) else [asked]
    if len(names) != 2:
        example = ",".join(info.classes[:2])
        raise ConfigError(f"between names {len(names)} class(es), expected two, such as between='[{example}]'.")
    first, second = (_label(name, info) for name in names)
    if first == second:
        raise ConfigError(f"between names '{info.classes[first]}' twice; nothing lies between a class and itself.")
    return Sweep(first, second, tuple(round(float(share), 6) for share in np.linspace(0, 1, lambdas)), n)


def _example(info: DatasetInfo) -> str:
    return "{" + ", ".join(f"{name}: 0.5" for name in info.classes[:2]) + "}"
