"""Samples to metrics on a schedule, for any model."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.exceptions import TorchMetricsUserError

from mutoscope.metrics.common import TooFewSamplesError, feed
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import say
from mutoscope.runtime.interrupts import INTERRUPTS
from mutoscope.training.callbacks.absences import as_before, note, reason_of


class GenerationMetrics(Callback):
    """Every ``every_n_steps`` iterations and at the end, generate with the averaged weights and measure.

    The work is shared over processes and the metrics reduce by themselves. The same latents are used every time, and
    training continues with the random streams it had. A metric that fails, or for which there were too few samples, is
    left out on all processes; why is said once and noted in the run's log. A measurement that was cut short because
    someone wants to stop is made up for when the run goes on.

    Args:
        metrics: by name.
        conditions: chunks of what ``generate`` is asked for.
        named: the tensors of a sample by the names that the metrics' ``update`` asks for.
        reference: real clips by the same names, where metrics hold samples against a whole set of them.
        every_n_steps: iterations between measurements.
        seed: of the latents.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        conditions: Sequence[Any],
        named: Callable[[Any], Mapping[str, Any]],
        reference: Mapping[str, Any] | None = None,
        every_n_steps: int = 2000,
        seed: int = 1234,
    ) -> None:
        self.metrics, self.conditions, self.named = dict(metrics), list(conditions), named
        self.reference = dict(reference or {})
        self.every_n_steps, self.seed = every_n_steps, seed
        #: whether the measurement due at the iteration of the checkpoint is still to be made
        self.owed = False
        self._said: set[str] = set()
        self._notes: list[str] = []

    @classmethod
    def owed_in(cls, checkpoint: Mapping[str, Any]) -> bool:
        """Whether a run was stopped before it could measure at the iteration of its checkpoint."""
        return bool((checkpoint.get("callbacks") or {}).get(cls.__qualname__, {}).get("owed", False))

    def state_dict(self) -> dict[str, Any]:
        return {"owed": True} if self.owed else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.owed = bool(state_dict.get("owed", False))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if self.owed and self.metrics:
            self._log(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GenerativeModule)
        done = pl_module.iterations
        if not self.metrics or (done % self.every_n_steps and done != trainer.limit_train_batches):
            return
        self.owed = True
        if trainer.should_stop:
            return
        try:
            # several processes wait for each other in here, so none may leave alone
            with INTERRUPTS.at_once() if trainer.world_size == 1 else nullcontext():
                self._log(trainer, pl_module)
        except KeyboardInterrupt:
            if not INTERRUPTS.requested:
                raise
            trainer.should_stop = True

    def _log(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        values = self.measure(trainer, pl_module)
        for logger in trainer.loggers:
            if values:
                row = {f"metric/{name}": value for name, value in values.items()}
                logger.log_metrics(row, step=pl_module.iterations)
        note(trainer, pl_module.iterations, self._notes)
        self._notes.clear()
        self.owed = False

    @torch.no_grad()
    def measure(self, trainer: Trainer, pl_module: GenerativeModule) -> dict[str, float]:
        """One measurement on all processes; every process returns the same numbers."""
        rank, world = trainer.global_rank, trainer.world_size
        if world > 1:
            # batch norm counts on every process by itself; measured is what the checkpoint holds, the first process's
            for buffer in pl_module.averaged.buffers():
                torch.distributed.broadcast(buffer, src=0)
        # every chunk has a seed of its own, so the samples do not depend on how many processes share them
        mine = list(enumerate(self.conditions))[rank::world]
        with as_before(pl_module.averaged):
            fakes, trouble = _tried(
                lambda: [self.named(pl_module.generate(chunk, seed=self.seed + number)) for number, chunk in mine]
            )
        if reason := _first(trouble, world):
            self._leave_out(f"All metrics are left out, because generating for them failed: {reason}")
            return {}
        assert fakes is not None
        real = {
            name: value[rank::world].to(pl_module.device) if isinstance(value, Tensor) else value
            for name, value in self.reference.items()
        }
        values: dict[str, float] = {}
        for name, metric in self.metrics.items():
            try:
                value, reason = self._value(metric, [*fakes, real] if real else fakes, pl_module.device, world)
            finally:
                _clear(metric)
            if reason is None:
                values[name] = value
            else:
                self._leave_out(f"The metric {name} is left out: {reason}")
        return values

    def _value(
        self, metric: Metric, samples: Sequence[Mapping[str, Any]], device: torch.device, world: int
    ) -> tuple[float, str | None]:
        """A metric's value, or the first reason on any process why there is none; all processes return the same."""

        def gather() -> None:
            metric.to(device).reset()
            self._check_shared(metric, world)
            for named in samples:
                feed(metric, named)

        # before the metric's states are exchanged, or whoever has none would be waited for
        _, trouble = _tried(gather)
        if reason := _first(trouble, world):
            return math.nan, reason
        value, trouble = _tried(lambda: float(metric.compute()))
        if reason := _first(trouble, world):
            return math.nan, reason
        assert value is not None
        return value, None

    def _leave_out(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._notes.append(sentence)
            say(sentence)

    def _check_shared(self, metric: Metric, world: int) -> None:
        """Raise ``TooFewSamplesError`` where a process that has seen nothing would end the gathering of lists."""
        if len(self.conditions) < world and any(isinstance(kept, list) for kept in metric.metric_state.values()):
            raise TooFewSamplesError(
                f"The samples come in {len(self.conditions)} chunks, fewer than the {world} processes that share them; "
                "raise measure.samples_per_class."
            )


def _clear(metric: Metric) -> None:
    """Forget all samples, also where computing failed: that leaves what was exchanged in the place of one's own."""
    with suppress(TorchMetricsUserError):
        metric.unsync()
    metric.reset()


T = TypeVar("T")


def _tried(work: Callable[[], T]) -> tuple[T | None, str | None]:
    """What some work gave, or why it failed; interrupts pass."""
    try:
        return work(), None
    except Exception as error:
        return None, reason_of(error)


def _first(reason: str | None, world: int) -> str | None:
    """The first process's reason that has one; the same on all processes."""
    if world == 1:
        return reason
    reasons: list[str | None] = [None] * world
    torch.distributed.all_gather_object(reasons, reason)
    return next((found for found in reasons if found is not None), None)
