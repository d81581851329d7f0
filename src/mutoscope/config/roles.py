"""What may stand where in a config: an optimiser's slot builds optimisers, a metric's metrics, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mutoscope.runtime.errors import ConfigError

_OPTIMIZER = "torch.optim.optimizer.Optimizer"
_SCHEDULER = "torch.optim.lr_scheduler.LRScheduler"
_METRIC = "torchmetrics.metric.Metric"
_LOGGER = "pytorch_lightning.loggers.logger.Logger"
_CALLBACK = "pytorch_lightning.callbacks.callback.Callback"
_TRAINER = "pytorch_lightning.trainer.trainer.Trainer"
#: schedules that ask for more than to be stepped after every iteration, and what that is
_ASK_FOR_MORE = {
    "torch.optim.lr_scheduler.ReduceLROnPlateau": "waits until a number stops falling, and here it gets none",
    "torch.optim.lr_scheduler.SequentialLR": "is made of other schedules, which a config cannot build for it",
    "torch.optim.lr_scheduler.ChainedScheduler": "is made of other schedules, which a config cannot build for it",
    "torch.optim.lr_scheduler.LambdaLR": "asks for a function, which a config cannot give",
    "torch.optim.lr_scheduler.MultiplicativeLR": "asks for a function, which a config cannot give",
}
_DATA = "pytorch_lightning.core.datamodule.LightningDataModule"
_LIGHTNING = "pytorch_lightning.core.module.LightningModule"
_MODEL = "mutoscope.models.base.IterationModule"
_MODULE = "torch.nn.modules.module.Module"


@dataclass(frozen=True)
class Role:
    """What a slot of a config builds.

    Args:
        what: in words.
        base: dotted class that all of these derive from; ``None`` for anything that has no slot of its own.
        without: dotted classes that must not stand here, although they derive from ``base``.
        partial: built only when the program adds what it alone has (``_partial_: true``).
        first: the argument that is added then.
    """

    what: str
    base: str | None
    without: tuple[str, ...] = ()
    partial: bool = False
    first: str | None = None

    def admits(self, target: Any) -> bool:
        """Whether a class may stand in the slot."""
        if self.base == _TRAINER:
            return not isinstance(target, type)
        if not isinstance(target, type):
            return False
        fits = self.base is None or issubclass(target, _class(self.base))
        return fits and not any(issubclass(target, _class(other)) for other in self.without)


_ELSEWHERE = (_OPTIMIZER, _SCHEDULER, _METRIC, _LOGGER, _CALLBACK, _TRAINER, _DATA, _LIGHTNING)
MODEL = Role("a model", _MODEL)
OPTIMIZER = Role("an optimiser", _OPTIMIZER, partial=True, first="params")
SCHEDULER = Role("a learning rate's schedule", _SCHEDULER, partial=True, first="optimizer")
METRIC = Role("a metric", _METRIC)
LOGGER = Role("a logger", _LOGGER)
CALLBACK = Role("a callback", _CALLBACK)
TRAINER = Role("a trainer", _TRAINER)
#: of a model, a metric ...
PART = Role("a part", None, _ELSEWHERE)
#: of a model that comes from a file
NETWORK = Role("a network", _MODULE, _ELSEWHERE)

_GROUPS = {"metrics": METRIC, "logger": LOGGER, "callbacks": CALLBACK, "optimizers": OPTIMIZER, "schedulers": SCHEDULER}
_TOPS = ("model", "trainer", "recognizer", "dataset", *_GROUPS)


def role_of(where: str, *, foreign: bool = False) -> Role | None:
    """The role of the slot ``where``, e.g. ``model.optimizers.critic``; ``None`` outside every config we know.

    Args:
        where: dotted place, list entries in brackets.
        foreign: whether the config comes from a file.
    """
    parts = re.split(r"[.\[]", where)
    if parts[0] not in _TOPS:
        return None
    if parts == ["trainer"]:
        return TRAINER
    if parts == ["model"] or parts[-2:] == ["recognizer", "model"]:
        return MODEL
    if len(parts) > 1 and parts[-2] in _GROUPS and (len(parts) == 2 or parts[-2] in ("optimizers", "schedulers")):
        return _GROUPS[parts[-2]]
    return NETWORK if foreign else PART


def check_schedule(target: Any, where: str) -> None:
    """Whether a learning rate's schedule goes by iterations alone.

    Raises:
        ConfigError: for one that asks for more.
    """
    unfit = [
        why for path, why in _ASK_FOR_MORE.items() if isinstance(target, type) and issubclass(target, _class(path))
    ]
    if unfit:
        raise ConfigError(
            f"{where}._target_ is '{target.__name__}', which {unfit[0]}; choose a schedule that goes by iterations "
            "alone, such as StepLR, MultiStepLR or CosineAnnealingLR of torch.optim.lr_scheduler."
        )


def complaint(role: Role, node: Mapping[str, Any], target: Any, where: str) -> str | None:
    """Why a class cannot stand in the slot ``where``; ``None`` if it can."""
    if not role.admits(target):
        kind = "expected an IterationModule" if role is MODEL else f"only {role.what} stands here"
        return f"{where}._target_ is '{node['_target_']}', which is no {role.what.split(' ', 1)[1]}; {kind}."
    if role.partial and node.get("_partial_") is not True:
        return f"{where} needs {where}._partial_=true: the program completes {role.what} with {role.first}."
    if not role.partial and node.get("_partial_"):
        return f"{where}._partial_ is true, but {role.what} is built at once; leave it out."
    return None


def _class(path: str) -> type:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, type)
    return found
