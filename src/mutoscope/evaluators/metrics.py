"""Metrics from their config nodes, with what they look through."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torchmetrics import Metric

from mutoscope.config.choices import PRESET
from mutoscope.config.nodes import build
from mutoscope.config.presets import preset_of
from mutoscope.config.signatures import parameters
from mutoscope.config.targets import locate
from mutoscope.evaluators.smoke import is_smoke
from mutoscope.formats.weights import SMOKE, MissingWeightsError
from mutoscope.metrics.common import AbsentMetric
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo

#: facts of the data that metrics may ask for
_FACTS = ("skeleton", "normaliser", "vocabulary", "frame_size", "classes", "num_classes", "length", "fps", "channels")


class Provided:
    """What metrics may ask for by the names of their constructors' parameters, each made when the first one asks.

    There are ``info``, its facts (``skeleton``, ``normaliser``, ``vocabulary``, ``frame_size``, ``classes``,
    ``num_classes``, ``length``, ``fps``, ``channels``), and what a kind of data adds. Parameters with a default other
    than ``None``, and those that a config sets, keep what they have.

    Args:
        info: of the data.
        makers: what a kind adds, by name, e.g. ``{"reference": lambda: clips_of(datamodule, "train").joints}``.
        networks: that a metric may also have trained in its own way, by a mapping of settings in its node; called with
            those settings, or with ``None`` for the network of all metrics.
    """

    def __init__(
        self,
        info: DatasetInfo,
        makers: Mapping[str, Callable[[], Any]] | None = None,
        networks: Mapping[str, Callable[[Mapping[str, Any] | None], Any]] | None = None,
    ) -> None:
        self.info = info
        facts = {name: partial(getattr, info, name) for name in _FACTS}
        self._makers: dict[str, Callable[[], Any]] = {"info": lambda: info, **facts, **(makers or {})}
        self._networks = dict(networks or {})
        self._made: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """What there is."""
        return [*self._makers, *self._networks]

    def for_node(self, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Arguments for the metric of a node.

        Raises:
            ConfigError: naming what a metric asks for and neither its node nor the data have.
        """
        found: dict[str, Any] = {}
        for name, parameter in parameters(locate(node["_target_"], where)).items():
            given, needed = node.get(name), parameter.default is parameter.empty
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if name in self._networks and (name not in node or isinstance(given, Mapping)):
                found[name] = self._networks[name](given)
            elif name not in node and name in self._makers and (needed or parameter.default is None):
                value = self._get(name)
                if value is None and needed:
                    raise ConfigError(f"{where} asks for {name}, which the data '{self.info.name}' do not have.")
                found |= {name: value}
            elif name not in node and needed:
                raise ConfigError(
                    f"{where} asks for {name}, which stands neither in its settings nor among what {self.info.kind} "
                    f"data offer: {', '.join(self.names)}."
                )
        return found

    def settings(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a node that its metric is built with: without how networks of its own are trained."""
        return {k: value for k, value in node.items() if not (k in self._networks and isinstance(value, Mapping))}

    def _get(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]


def _called(name: str, node: Mapping[str, Any], metric: Metric, others: Mapping[str, Metric]) -> str:
    """The name of a metric in tables, files and logs: numbers through weights that were drawn say so."""
    if not is_smoke(metric):
        return name
    smoke = f"{SMOKE}/{node.get(PRESET, name)}"
    return smoke if smoke not in others else f"{smoke} ({name})"


def build_metrics(nodes: Mapping[str, Any], provided: Provided) -> dict[str, Metric]:
    """The metrics of a config, each given what it asks for; those that make no sense here are left out, aloud.

    One whose weights are not on this machine is absent: it has no value, and its reason stands in tables and reports.
    One that looks through drawn weights, which somebody must have asked for, is called ``smoke/<preset>``.

    Args:
        nodes: by name.
        provided: what metrics of these data may ask for.

    Raises:
        ConfigError: for a metric that asks for what there is not.
        MissingWeightsError: if weights that a metric names are not there.
    """
    metrics: dict[str, Metric] = {}
    info = provided.info
    for name, node in nodes.items():
        if node is None:
            continue
        where = f"metrics.{name}"
        if info.channels == 2 and getattr(locate(node["_target_"], where), "spatial", False):
            say(f"The metric {name} is left out: it needs three dimensions, and '{info.name}' has two.")
            continue
        try:
            metric = build(provided.settings(node), where, **provided.for_node(node, where))
            metric.preset = preset_of(node)
            metrics[_called(name, node, metric, metrics)] = metric
        except MissingWeightsError as missing:
            if missing.named:
                raise
            say(f"The metric {name} is left out: {missing}")
            metrics[name] = AbsentMetric(str(missing), locate(node["_target_"], where))
    return metrics
