"""The config of a training, parsed once at its edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from mutoscope.config.measures import MeasureConfig, Metrics, RecognizerConfig, check_seed
from mutoscope.config.names import check_known
from mutoscope.config.nodes import Node, check_config, plain, settings_from
from mutoscope.config.signatures import parameters
from mutoscope.runtime.errors import ConfigError


@dataclass(frozen=True)
class PaceConfig:
    """What else than the trainer itself goes by its settings: when is logged, kept and ended.

    Args:
        max_steps: iterations of the whole training.
        log_every_n_steps: iterations between rows of the log.
        checkpoint_every_n_steps: iterations between checkpoints, each in place of the one before.
        milestones_every_n_steps: iterations between checkpoints that stay; ``None`` for none.
    """

    max_steps: int
    log_every_n_steps: int
    checkpoint_every_n_steps: int
    milestones_every_n_steps: int | None

    @classmethod
    def of(cls, trainer: Node) -> "PaceConfig":
        """Those settings of the trainer's node, or their defaults."""
        taken = parameters(trainer.target)
        names = [field.name for field in fields(cls)]
        return cls(**{name: trainer.get(name, taken[name].default) for name in names})


@dataclass(frozen=True)
class TrainConfig:
    """A training's config; what is built of it stays nodes, checked ones, for :func:`~mutoscope.config.nodes.build`.

    Args:
        name: of the run.
        note: said at its start.
        model, dataset, trainer: nodes.
        logger, metrics, callbacks: nodes by name; a node that is ``None`` is left out.
        recognizer: how recognisers are trained.
        measure: how metrics are taken.
        seed: of everything random.
        ckpt: ``last``, or the path of a checkpoint to begin with.
        moments: a fine-tuning begins with the other run's moments as well.
        overwrite: start anew in a directory that holds a run.
        objective: name of the value that sweeps compare.
        sweep: which one the run belongs to.
        weights: ``fetch``: published weights that are not here are fetched.
        debug: show tracebacks.
        resolved: all of it as it is written down.
    """

    model: Node
    dataset: Node
    trainer: Node
    measure: MeasureConfig
    name: str = ""
    note: str | None = None
    logger: Mapping[str, Node | None] | None = None
    metrics: Metrics | None = None
    callbacks: Mapping[str, Node | None] | None = None
    recognizer: RecognizerConfig | None = None
    seed: int = 0
    ckpt: str | None = None
    moments: bool = False
    overwrite: bool = False
    objective: str | None = None
    sweep: str | None = None
    weights: Literal["fetch"] | None = None
    debug: bool = False
    resolved: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> "TrainConfig":
        """From a resolved config, each of whose nodes is compared with what it will build.

        Raises:
            ConfigError: for anything that is no setting, or a value of another kind than is asked for.
        """
        checked = check_config(config, KEYS)
        return replace(cls.of(checked), resolved=plain(checked))

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "TrainConfig":
        """The same from a config of whose nodes nothing is known yet; it takes no torch.

        Raises:
            ConfigError: see :meth:`parse`.
        """
        check_known(config, KEYS, "", "a setting here")
        # a choice of none is an empty node
        asked = settings_from({**config, "recognizer": config.get("recognizer") or None}, cls, "")
        check_seed(asked.seed)
        for name, least in (("every_n_steps", 1), ("samples_per_class", 1)):
            if (value := getattr(asked.measure, name)) < least:
                raise ConfigError(f"measure.{name} is {value}, expected at least {least}.")
        return asked

    @property
    def pace(self) -> PaceConfig:
        """When is logged, kept and ended."""
        return PaceConfig.of(self.trainer)


#: what stands at the top of a training's config
KEYS = tuple(field.name for field in fields(TrainConfig) if field.name != "resolved")
