"""What all models share: the optimiser step, the seeded streams of randomness, EMA, plain checkpoints."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Required, TypedDict

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from mutoscope.models.seeding import step_seed
from mutoscope.models.step_in_backward import step_in_backward
from mutoscope.structures import DatasetInfo, Kind

OptimizerFactory = Callable[[Any], Optimizer]
SchedulerFactory = Callable[[Optimizer], Any]


class TrainingSettings(TypedDict, total=False):
    """What every model lets be set of its training, handed on as it is; :class:`IterationModule` says what it means."""

    optimizers: Required[Mapping[str, OptimizerFactory]]
    schedulers: Mapping[str, SchedulerFactory] | None
    micro_batches: int
    clip_norm: float | None
    compile_networks: bool
    seed: int


def keep_only(training: TrainingSettings, networks: Collection[str]) -> None:
    """Leave aside, in place, the optimisers and schedules of networks that a model does not have or does not move."""
    training["optimizers"] = {name: f for name, f in training["optimizers"].items() if name in networks}
    training["schedulers"] = {name: f for name, f in (training.get("schedulers") or {}).items() if name in networks}


class IterationModule(LightningModule):
    """Base of everything that is trained here.

    One step is one iteration, i.e. one mini-batch, however many optimisers move in it; ``iterations`` counts them and
    is what schedules, logs and checkpoints speak of (Lightning's ``global_step`` counts optimiser steps). At every
    iteration the random streams are seeded from (seed, iteration, rank): noise differs between ranks, evaluation never
    disturbs training, and a resumed run draws what an uninterrupted one would have drawn.

    A model sets ``takes``, passes its optimiser factories, says which networks each of them moves, and implements
    ``training_step`` with :meth:`update`.

    Args:
        info: description of the data the model is for.
        optimizers: one factory per set of networks, called with their parameters.
        schedulers: factories for the optimisers of the same name; stepped once per iteration.
        micro_batches: each mini-batch is worked off in this many parts, gradients accumulating (saves memory).
        clip_norm: clip gradients of every optimiser to this norm; ``None`` leaves them.
        compile_networks: compile the networks with ``torch.compile``.
        seed: of everything random in training.
    """

    #: the kind of dataset the model trains on
    takes: ClassVar[Kind]
    #: move parameters as soon as their gradients are complete, see :class:`~.step_in_backward.step_in_backward`
    steps_in_backward: bool = False

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Raise for settings with which no training can begin, before hours go into preparing data for it.

        Args:
            settings: the constructor's, from a config; what is not given has its default.
        """

    def __init__(
        self,
        info: DatasetInfo,
        *,
        optimizers: Mapping[str, OptimizerFactory],
        schedulers: Mapping[str, SchedulerFactory] | None = None,
        micro_batches: int = 1,
        clip_norm: float | None = None,
        compile_networks: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if micro_batches < 1:
            raise ValueError(f"micro_batches is {micro_batches}, expected at least 1.")
        if unknown := set(schedulers or {}) - set(optimizers):
            raise ValueError(
                f"There is a scheduler for '{unknown.pop()}', but the optimisers are {', '.join(optimizers)}."
            )
        self.automatic_optimization = False
        self.info = info
        self.optimizer_factories, self.scheduler_factories = dict(optimizers), dict(schedulers or {})
        self.micro_batches, self.clip_norm = micro_batches, clip_norm
        self.compile_networks, self.seed = compile_networks, seed
        #: mini-batches trained on so far, and the samples in them over all processes
        self.iterations = 0
        self.samples_seen = 0
        #: samples that the weights had seen when this training began with them
        self.samples_before = 0
        #: detached scalars of the latest iteration, read (and only then synchronised) by the logging callback
        self.latest: dict[str, Tensor] = {}
        # squared norms of gradients that were stepped before the step of the optimiser in turn
        self._stepped: list[Tensor] = []

    @abstractmethod
    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        """Which networks each optimiser moves, by optimiser name."""

    def ready(self) -> None:
        """Call at the end of the constructor, when the networks stand."""
        if self.compile_networks:
            for networks in self.networks().values():
                for network in networks:
                    network.compile()

    @property
    def optimizer_names(self) -> list[str]:
        """Names in the order in which Lightning holds the optimisers."""
        return list(self.networks())

    def configure_optimizers(self) -> Any:
        self._check_steps_in_backward()
        parameters = {
            name: [p for network in networks for p in network.parameters()]
            for name, networks in self.networks().items()
        }
        if set(parameters) != set(self.optimizer_factories):
            raise ValueError(
                f"{type(self).__name__} moves {', '.join(parameters)} but was given optimisers for "
                f"{', '.join(self.optimizer_factories)}."
            )
        optimizers = [self.optimizer_factories[name](parameters[name]) for name in parameters]
        schedulers = [
            self.scheduler_factories[name](optimizer)
            for name, optimizer in zip(parameters, optimizers, strict=True)
            if name in self.scheduler_factories
        ]
        return optimizers, schedulers

    def parts(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """The mini-batch ``[b, ...]`` of every tensor in ``micro_batches`` equal parts.

        Raises:
            ValueError: if it cannot be divided evenly; the mean over unequal parts would not be that of the batch.
        """
        if len(tensors[0]) % self.micro_batches:
            raise ValueError(
                f"A mini-batch of {len(tensors[0])} cannot be worked off in {self.micro_batches} equal parts; make "
                "dataset.batch_size a multiple of model.micro_batches."
            )
        return list(zip(*(tensor.chunk(self.micro_batches) for tensor in tensors), strict=True))

    # --- the step ---------------------------------------------------------------------------------------------------

    def update(self, name: str, losses: Sequence[Callable[[], Tensor]]) -> Tensor:
        """One step of one optimiser: freeze the others, accumulate over the parts, clip, step.

        Each entry of ``losses`` computes the loss of one part of the mini-batch. Gradients are averaged over the
        parts; between processes they are exchanged with the last part only. Clipping happens after the gradients are
        unscaled (see :meth:`on_before_optimizer_step`).

        Returns:
            The mean loss, detached, still on the device.
        """
        optimizer = self._wrapped_optimizers()[self.optimizer_names.index(name)]
        self.toggle_optimizer(optimizer)
        stepping = step_in_backward(_raw(optimizer)) if self.steps_in_backward else None
        values = []
        for part, loss_of_part in enumerate(losses):
            loss = loss_of_part() / len(losses)
            exchange = part == len(losses) - 1 or self.trainer.world_size == 1
            alone = nullcontext() if exchange else self.trainer.model.no_sync()  # type: ignore[union-attr, operator]
            with alone, stepping or nullcontext():
                self.manual_backward(loss)
            values.append(loss.detach())
        self._stepped = stepping.squares if stepping is not None else []
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.untoggle_optimizer(optimizer)
        return torch.stack(values).sum()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip, and remember the gradient norm; Lightning calls this after unscaling, before the step."""
        raw = [wrapped.optimizer for wrapped in self._wrapped_optimizers()]
        name = self.optimizer_names[raw.index(_raw(optimizer))]
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if self._stepped:
            norm = torch.stack([*self._stepped, norm.square().to(self._stepped[0].device)]).sum().sqrt()
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        self.latest[f"health/grad_norm_{name}"] = norm.detach()

    def _check_steps_in_backward(self) -> None:
        if not self.steps_in_backward:
            return
        trainer = self._trainer
        hindrances = {
            "clip_norm": self.clip_norm is not None,
            "micro_batches above 1": self.micro_batches > 1,
            "several processes": trainer is not None and trainer.world_size > 1,
            "16-mixed precision, which scales gradients": trainer is not None and trainer.precision == "16-mixed",
        }
        if found := [name for name, there in hindrances.items() if there]:
            raise ValueError(
                "steps_in_backward moves parameters before all gradients are there, which does not go together with "
                f"{' and '.join(found)}; switch one of them off."
            )

    def _wrapped_optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(step_seed(self.seed, self.iterations, self.trainer.global_rank))

    def finish_iteration(self, batch: Any) -> None:
        """Count the iteration and step the schedules; called before any callback sees the end of the batch."""
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[call-arg]
        self.iterations += 1
        self.samples_seen += len(batch) * self.trainer.world_size

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mutoscope"] = {
            **checkpoint.get("mutoscope", {}),
            "iterations": self.iterations,
            "samples_seen": self.samples_seen,
            "samples_before": self.samples_before,
            "world_size": 1 if self._trainer is None else self._trainer.world_size,
            "info": self.info.to_dict(),
            # losses of networks that move only now and then are logged in between, also by a resumed run
            "latest": self._latest_by_rank(),
        }

    def _latest_by_rank(self) -> list[dict[str, Tensor]]:
        mine = {name: value.detach().cpu() for name, value in self.latest.items()}
        if self._trainer is None or self._trainer.world_size == 1:
            return [mine]
        everyone: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(everyone, mine)
        return everyone

    def adapt(self, checkpoint: dict[str, Any]) -> None:
        """Give a checkpoint of before, in place, the tensors that this model has; called before they are compared."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.adapt(checkpoint)
        state = checkpoint["mutoscope"]
        self.iterations, self.samples_seen = state["iterations"], state["samples_seen"]
        self.samples_before = state.get("samples_before", 0)
        latest = state.get("latest", [])
        # written by one process for all before each wrote its own
        by_rank: list[dict[str, Tensor]] = [dict(latest)] if isinstance(latest, Mapping) else latest
        rank, world = (0, 1) if self._trainer is None else (self._trainer.global_rank, self._trainer.world_size)
        self.latest = dict(by_rank[rank]) if len(by_rank) == world else _mean(by_rank)


def _raw(optimizer: Any) -> Optimizer:
    return getattr(optimizer, "optimizer", optimizer)


def _mean(latest: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What several processes logged as one would have: the mean."""
    names = sorted({name for values in latest for name in values})
    return {name: torch.stack([v[name].float().mean() for v in latest if name in v]).mean() for name in names}
