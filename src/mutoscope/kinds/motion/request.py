"""What ``generate`` can be asked of motion: classes, a mixture of classes, or all the way from one class to another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mutoscope.config.names import closest
from mutoscope.models.generative import Attentive, GenerativeModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo

#: clips per class or mixture, and per mixture of a sweep (section 4.5 of SA-GCN's paper), unless ``n`` says otherwise
_CLIPS, _SWEEP_CLIPS = 4, 100
#: weights that people round to three digits still sum to one
_ROUNDING = 2e-3


@dataclass(frozen=True)
class Classes:
    """``n`` clips of each of these labels."""

    labels: tuple[int, ...]
    n: int


@dataclass(frozen=True)
class Mixture:
    """``n`` clips of one mixture; ``weights`` by label, positive, with sum one (equation 8)."""

    weights: Mapping[int, float]
    n: int

    def row(self, info: DatasetInfo) -> list[float]:
        """A weight for every class."""
        return [self.weights.get(label, 0.0) for label in range(info.num_classes)]


@dataclass(frozen=True)
class Sweep:
    """``n`` clips of ``lambda * first + (1 - lambda) * second`` for every lambda (figure 8)."""

    first: int
    second: int
    lambdas: tuple[float, ...]
    n: int

    def mixtures(self) -> list[Mixture]:
        return [Mixture({self.first: share, self.second: 1 - share}, self.n) for share in self.lambdas]


Wish = Classes | Mixture | Sweep


def motion_wish(config: Mapping[str, Any], model: GenerativeModule) -> Wish:
    """What a config of ``generate`` asks of a model of motion.

    Raises:
        ConfigError: for what cannot be asked of motion, or of this model; unknown classes; wishes that exclude each
            other; numbers out of range.
    """
    info = model.info
    if given := [key for key in ("prompt", "first_frame", "clip", "shift") if config[key] is not None]:
        raise ConfigError(f"{given[0]}= is for models of video; this one makes motion: label=<class> n=<count>.")
    ways = [key for key in ("mix", "between") if config[key] is not None]
    if config["label"] not in ("all", -1):
        ways.insert(0, "label")
    if len(ways) > 1:
        raise ConfigError(f"{ways[0]}= and {ways[1]}= exclude each other; each says alone which classes are wanted.")
    way = ways[0] if ways else "label"
    n = config["n"]
    if n is None:
        n = _SWEEP_CLIPS if way == "between" else _CLIPS
    elif not _is_count(n):
        per = {"label": "sequences per class", "mix": "sequences", "between": "sequences per lambda"}[way]
        raise ConfigError(f"n is {n}, expected the number of {per}, at least 1.")
    if config["length"] is not None and not _is_count(config["length"]):
        raise ConfigError(f"length is {config['length']}, expected a whole number of frames, at least 1.")
    _check_pictures(config, model, way)
    if way == "label":
        return Classes(_labels(config["label"], info), n)
    if not model.takes_mixtures:
        raise ConfigError(
            f"{way}= is for models that take mixtures of classes, as SAGCN does; {type(model).__name__} takes one "
            "class at a time: label=<class>."
        )
    if way == "mix":
        return _mixture(config["mix"], info, n)
    return _sweep(config["between"], config["lambdas"], info, n)


def _check_pictures(config: Mapping[str, Any], model: GenerativeModule, way: str) -> None:
    for key in ("attention", "trajectories"):
        if not isinstance(config[key], bool):
            raise ConfigError(f"{key} is {config[key]}, expected true or false.")
    if config["trajectories"] and way != "label":
        raise ConfigError(f"trajectories= shows paths of classes, but {way}= asks for mixtures; use label=.")
    if config["attention"] and way == "between":
        raise ConfigError("attention= shows single clips, but between= asks for many mixtures; use label= or mix=.")
    if config["attention"] and not isinstance(model, Attentive):
        raise ConfigError(
            f"attention= is for models whose frames attend to past ones, as SAGCN's do; {type(model).__name__} has no "
            "such attention."
        )


def _label(name: Any, info: DatasetInfo) -> int:
    try:
        return info.label(name)
    except ValueError as error:
        raise ConfigError(f"{error} Did you mean '{closest(str(name), info.classes)}'?") from error


def _labels(asked: Any, info: DatasetInfo) -> tuple[int, ...]:
    if asked == "all" or asked == -1:
        return tuple(range(info.num_classes))
    names = asked if isinstance(asked, list) else [asked]
    if not names:
        raise ConfigError(f"label is empty; name classes among {', '.join(info.classes)}, or all.")
    return tuple(_label(name, info) for name in names)


def _mixture(asked: Any, info: DatasetInfo, n: int) -> Mixture:
    if not isinstance(asked, Mapping) or not asked:
        raise ConfigError(f"mix is {asked}, expected weights of classes, such as mix='{_example(info)}'.")
    weights: dict[int, float] = {}
    for name, weight in asked.items():
        label = _label(name, info)
        if label in weights:
            raise ConfigError(f"mix names the class '{info.classes[label]}' twice; give it one weight.")
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
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


def _sweep(asked: Any, lambdas: Any, info: DatasetInfo, n: int) -> Sweep:
    names = asked if isinstance(asked, list) else [asked]
    if len(names) != 2:
        example = ",".join(info.classes[:2])
        raise ConfigError(f"between names {len(names)} class(es), expected two, such as between='[{example}]'.")
    first, second = (_label(name, info) for name in names)
    if first == second:
        raise ConfigError(f"between names '{info.classes[first]}' twice; nothing lies between a class and itself.")
    if not _is_count(lambdas) or lambdas < 2:
        raise ConfigError(f"lambdas is {lambdas}, expected the number of mixtures, both pure classes included: >= 2.")
    return Sweep(first, second, tuple(round(float(share), 6) for share in np.linspace(0, 1, lambdas)), n)


def _example(info: DatasetInfo) -> str:
    return "{" + ", ".join(f"{name}: 0.5" for name in info.classes[:2]) + "}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
