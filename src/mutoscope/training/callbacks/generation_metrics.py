"""Samples to metrics on a schedule, for any model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError, feed
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import say


class GenerationMetrics(Callback):
    """Every ``every_n_steps`` iterations and at the end, generate with the averaged weights and measure.

    The work is shared over processes and the metrics reduce by themselves. The same latents are used every time, and
    training continues with the random streams it had. A metric for which there were too few samples is left out, aloud.

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
        self._left_out: set[str] = set()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GenerativeModule)
        done = pl_module.iterations
        if self.metrics and (done % self.every_n_steps == 0 or done == trainer.limit_train_batches):
            values = self.measure(trainer, pl_module)
            for logger in trainer.loggers:
                logger.log_metrics({f"metric/{name}": value for name, value in values.items()}, step=done)

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
        fakes = [self.named(pl_module.generate(chunk, seed=self.seed + number)) for number, chunk in mine]
        real = {
            name: value[rank::world].to(pl_module.device) if isinstance(value, Tensor) else value
            for name, value in self.reference.items()
        }
        values = {}
        for name, metric in self.metrics.items():
            metric.to(pl_module.device).reset()
            try:
                self._check_shared(metric, world)
                for named in [*fakes, real] if real else fakes:
                    feed(metric, named)
                values[name] = float(metric.compute())
            except TooFewSamplesError as error:
                # no reason to end a training; all processes agree, because the counts were reduced before and a model
                # makes the same things everywhere
                if name not in self._left_out:
                    say(f"The metric {name} is left out: {error}")
                self._left_out.add(name)
            metric.reset()
        return values

    def _check_shared(self, metric: Metric, world: int) -> None:
        """Raise ``TooFewSamplesError`` where a process that has seen nothing would end the gathering of lists."""
        if len(self.conditions) < world and any(isinstance(kept, list) for kept in metric.metric_state.values()):
            raise TooFewSamplesError(
                f"The samples come in {len(self.conditions)} chunks, fewer than the {world} processes that share them; "
                "raise measure.samples_per_class."
            )
