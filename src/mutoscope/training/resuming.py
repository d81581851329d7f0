"""Going on with a training under settings that may have changed, or starting another one from its weights.

The settings of the run in hand win. What they leave as it was goes on to the last bit; an optimiser or a schedule whose
settings differ stands where a run with the new ones would stand at this iteration.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from mutoscope.config.nodes import plain
from mutoscope.config.training import TrainConfig
from mutoscope.formats.about import About
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError

#: settings that say nothing about how a model is trained
_ASIDE = {"name", "note", "ckpt", "moments", "overwrite", "objective", "sweep", "debug"}


def differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """``(key, old value, new value)`` of the settings in which two configs differ; ``None`` where one has none."""
    mine, theirs = (dict(_flat({k: v for k, v in config.items() if k not in _ASIDE})) for config in (new, old))
    return [(key, theirs.get(key), mine.get(key)) for key in {**theirs, **mine} if theirs.get(key) != mine.get(key)]


def _flat(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{where}.{key}" if where else str(key))
    elif not isinstance(node, Mapping):
        yield where, list(node) if isinstance(node, tuple) else node


def announce_changes(new: Mapping[str, Any], checkpoint: Mapping[str, Any], world: int) -> list[str]:
    """What is different from when the run was last trained, a sentence for each.

    Args:
        new: the config of the run in hand.
        checkpoint: the one it goes on from.
        world: processes now.
    """
    own = About.of(checkpoint)
    changed = differences(new, own.config.settings)
    lines = [f"{key} was {_said(before)} and is now {_said(after)}." for key, before, after in changed]
    keys = {key for key, _, _ in changed}
    position = f"the data go on after the {own.samples_seen:,} samples that were seen"
    if "dataset.batch_size" in keys:
        lines.append(f"With another batch size {position}; an iteration now stands for another number of them.")
    if keys & {"seed", "dataset.seed", "model.seed"}:
        lines.append("With another seed, the order of the data and all noise are others from here on.")
    if (before := own.world_size or world) != world:
        lines.append(
            f"The checkpoint is of {_processes(before)}, the run goes on with {_processes(world)}: {position}, a "
            f"mini-batch is {world} instead of {before} times dataset.batch_size, noise is drawn anew, and losses that"
            " are logged between two updates start from their mean."
        )
    return lines


def _said(value: Any) -> str:
    return "not set" if value is None else str(value)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


@dataclass(frozen=True)
class _Optimisation:
    """How a model's weights move: nodes of its optimisers and of their schedules, by name, as files take them."""

    optimizers: Mapping[str, Any]
    schedulers: Mapping[str, Any]

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Self:
        nodes = (model.get(name) for name in ("optimizers", "schedulers"))
        return cls(*(plain(node) if isinstance(node, Mapping) else {} for node in nodes))


def adopt_settings(checkpoint: dict[str, Any], model: IterationModule, node: Mapping[str, Any]) -> list[str]:
    """Let the optimisers and schedules in a checkpoint have this run's settings, in place.

    Args:
        checkpoint: of the same run.
        model: of the run in hand.
        node: that it was built from.

    Returns:
        What was made of the changes beyond new values, a sentence for each.
    """
    own = About.of(checkpoint)
    old, new = _Optimisation.of(own.config.model), _Optimisation.of(node)
    done = own.iterations
    names = model.optimizer_names
    stored = dict(zip(names, checkpoint["optimizer_states"], strict=True))
    had = [name for name in names if old.schedulers.get(name) is not None]
    schedules = dict(zip(had, checkpoint["lr_schedulers"], strict=True))
    lines = []
    for name in names:
        same_optimizer = old.optimizers.get(name) == new.optimizers.get(name)
        scheduled = name in model.scheduler_factories
        same_schedule = scheduled == (name in schedules) and (
            not scheduled or old.schedulers[name] == new.schedulers[name]
        )
        if same_optimizer and same_schedule:
            continue
        fresh, schedule = _at(model, name, done)
        before, after = stored[name]["param_groups"][0]["lr"], fresh.param_groups[0]["lr"]
        if not _carry_over(stored[name], fresh, old.optimizers.get(name), new.optimizers.get(name)):
            lines.append(
                f"The moments of the optimiser {name} start anew: the stored ones are not what "
                f"{type(fresh).__name__} with these settings keeps."
            )
            stored[name]["state"] = {}
        stored[name]["param_groups"] = [
            {**now, "params": then["params"]}
            for now, then in zip(fresh.state_dict()["param_groups"], stored[name]["param_groups"], strict=True)
        ]
        if schedule is not None:
            schedules[name] = schedule.state_dict()
            lines.append(
                f"The schedule of {name} stands where it would with these settings at iteration {done}: "
                f"its step size is {after:.6g}."
            )
        elif before != after and same_optimizer:
            lines.append(f"{name} has no schedule any more; its step size is {after:.6g}.")
    checkpoint["optimizer_states"] = list(stored.values())
    checkpoint["lr_schedulers"] = [schedules[name] for name in names if name in model.scheduler_factories]
    return lines


def _at(model: IterationModule, name: str, iterations: int) -> tuple[Optimizer, Any]:
    """An optimiser of the model's settings on a dummy weight, and its schedule, after so many iterations.

    Schedules compute a value from the one before, so they are played from the beginning; the result is that of a run
    of the same settings to the last bit.
    """
    optimizer = model.optimizer_factories[name]([nn.Parameter(torch.zeros(1))])
    if name not in model.scheduler_factories:
        return optimizer, None
    schedule = model.scheduler_factories[name](optimizer)
    with warnings.catch_warnings():
        # the weight is not meant to move
        warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step\(\)` before")
        for _ in range(iterations):
            schedule.step()
    return optimizer, schedule


def _carry_over(stored: Mapping[str, Any], fresh: Optimizer, old: Any, new: Any) -> bool:
    """Whether stored moments are what an optimiser of the new settings keeps of every weight."""
    if (old or {}).get("_target_") != (new or {}).get("_target_") or len(stored["param_groups"]) != 1:
        return False
    return all(set(kept) == _kept(fresh) for kept in stored["state"].values())


def _kept(optimizer: Optimizer) -> set[str]:
    """Names of what an optimiser keeps of a weight, seen by one step without consequences."""
    (weight,) = optimizer.param_groups[0]["params"]
    if weight not in optimizer.state:
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return set(optimizer.state[weight])


#: what a checkpoint holds beside weights when its run can go on from it
_OF_A_RUN = ("loops", "optimizer_states", "lr_schedulers", "pytorch-lightning_version")


def check_resumable(checkpoint: Mapping[str, Any], model: IterationModule, whose: str) -> None:
    """Whether a run can go on from a checkpoint of its own.

    Raises:
        ConfigError: naming what it lacks.
    """
    if lacking := [key for key in _OF_A_RUN if key not in checkpoint]:
        raise ConfigError(
            f"{whose} holds weights, but not {', '.join(lacking)}: its run cannot go on from it. Another run can begin "
            f"with its weights: ckpt={whose} and another hydra.run.dir."
        )
    _check_moments(checkpoint, model, whose)


def _check_moments(checkpoint: Mapping[str, Any], model: IterationModule, whose: str) -> None:
    found, names = len(checkpoint.get("optimizer_states", [])), model.optimizer_names
    if found != len(names):
        raise ConfigError(
            f"{whose} holds the moments of {found} optimisers, but this model has {len(names)}: {', '.join(names)}."
        )


def with_average(weights: Mapping[str, Tensor], model: IterationModule, whose: str) -> dict[str, Tensor]:
    """The weights of another run as this one, which keeps an average or does not, can begin with them; says which.

    Args:
        weights: of a checkpoint.
        model: of this run.
        whose: the checkpoint.
    """
    average = "ema.network."
    theirs, mine = (any(name.startswith(average) for name in names) for names in (weights, model.state_dict()))
    if not isinstance(model, GenerativeModule) or mine == theirs:
        return dict(weights)
    if theirs:
        say(f"The average in {whose} is left aside: this run keeps none (model.ema_half_life=null).")
        return {name: value for name, value in weights.items() if not name.startswith(average)}
    generator = f"{next(name for name, module in model.named_modules() if module is model.generator)}."
    say(
        f"{whose} holds no average; that of this run (model.ema_half_life={model.ema_half_life:g}) starts from its "
        "weights."
    )
    own = {name.removeprefix(generator): value for name, value in weights.items() if name.startswith(generator)}
    return {**weights, **{average + name: value.clone() for name, value in own.items()}}


def fine_tuning_from(
    checkpoint: dict[str, Any], model: IterationModule, run: TrainConfig, whose: str
) -> dict[str, Any]:
    """Give a new model the weights of another run, its average included.

    Args:
        checkpoint: of the other run.
        model: of this run; moved in place.
        run: this one's config; with ``moments`` the optimisers' moments are to be taken as well.
        whose: the other checkpoint, for messages.

    Returns:
        By optimiser name, the moments to start with; empty unless asked for.

    Raises:
        ConfigError: if moments are asked for which the checkpoint does not hold or this run's optimisers do not keep.
    """
    model.load_state_dict(checkpoint["state_dict"])
    own = About.of(checkpoint)
    # the average goes on from theirs as slowly as after all those samples
    model.samples_before = own.samples_seen + own.samples_before
    if not run.moments:
        return {}
    _check_moments(checkpoint, model, whose)
    moments = dict(zip(model.optimizer_names, checkpoint["optimizer_states"], strict=True))
    for name, stored in moments.items():
        fresh, _ = _at(model, name, 0)
        before, now = (_Optimisation.of(node).optimizers.get(name) for node in (own.config.model, run.model))
        if not _carry_over(stored, fresh, before, now):
            raise ConfigError(
                f"moments=true asks for the moments of the optimiser {name} in {whose}, but {type(fresh).__name__} "
                f"with this run's settings keeps others; set model.optimizers.{name} as it was then, or moments=false."
            )
    return {name: stored["state"] for name, stored in moments.items()}


class AdoptSettings(Callback):
    """Let what a checkpoint of the same run restores have this run's settings, and say what that changes.

    Args:
        node: that this run's model was built from.
    """

    def __init__(self, node: Mapping[str, Any]) -> None:
        self.node = node

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        assert isinstance(pl_module, IterationModule)
        for line in adopt_settings(checkpoint, pl_module, self.node):
            say(line)


class TakeMoments(Callback):
    """Let the optimisers begin with moments of another training.

    Args:
        moments: by optimiser name, the ``state`` of its ``state_dict``.
    """

    def __init__(self, moments: Mapping[str, Any]) -> None:
        self.moments = moments

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, IterationModule)
        for name, optimizer in zip(pl_module.optimizer_names, trainer.optimizers, strict=True):
            if name in self.moments:
                optimizer.load_state_dict({**optimizer.state_dict(), "state": self.moments[name]})
