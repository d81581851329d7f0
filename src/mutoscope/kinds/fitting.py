"""Whether the metrics and recognisers of a config are for the kind of data that they are to measure."""

import inspect
from collections.abc import Mapping
from typing import Any

from mutoscope import kinds
from mutoscope.config.assembly import model_class
from mutoscope.config.choices import choices, load_choice
from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.config.targets import locate
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import Kind


def check_measures(metrics: Metrics | None, recognizer: RecognizerConfig | None, model: type[IterationModule]) -> None:
    """Whether what a config measures a model with can measure its kind of data.

    Args:
        metrics, recognizer: of the config.
        model: the class; what generates nothing is not measured.

    Raises:
        ConfigError: naming the metric and the choices that fit.
    """
    if not (issubclass(model, GenerativeModule) and metrics):
        return
    kind = model.takes
    for name, node in metrics.items():
        if node is None:
            continue
        if lacking := _lacking(node, name, kind):
            fitting = [choice for choice in choices("metrics") if _fits(choice, kind)]
            raise ConfigError(
                f"metrics.{name} measures {', '.join(lacking)}, which {kind} data do not have; choices of metrics "
                f"for them: {', '.join(fitting)}."
            )
    other = None if recognizer is None else model_class(recognizer.model)
    if other is not None and other.takes != kind:
        nodes = {choice: load_choice("recognizer", choice).get("model") for choice in choices("recognizer")}
        fitting = [choice for choice, node in nodes.items() if node and model_class(node).takes == kind] or ["none"]
        raise ConfigError(
            f"recognizer.model is a {other.__name__}, which looks at {other.takes} data, but the model makes {kind}; "
            f"choices of recognizer for it: {', '.join(fitting)}."
        )


def _lacking(node: Mapping[str, Any], name: str, kind: Kind) -> list[str]:
    """What a metric asks for and samples of this kind do not have."""
    known = kinds.tools(kind).measured
    parameters = list(inspect.signature(locate(node["_target_"], f"metrics.{name}").update).parameters.values())[1:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named and p.default is p.empty and p.name not in known]


def _fits(choice: str, kind: Kind) -> bool:
    nodes = load_choice("metrics", choice)
    return not any(_lacking(node, name, kind) for name, node in nodes.items() if isinstance(node, Mapping))
