"""Samples to metrics on a schedule, for any model."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torchmetrics import Metric

from mutoscope.models.base import GenerativeModule
from mutoscope.structures import MotionBatch, MotionSample

#: samples generated from one seed
CHUNK = 32


def class_labels(classes: int, per_class: int) -> torch.Tensor:
    """``[classes * per_class]``: 0..K-1, then 0..K-1 again, so that any prefix is nearly balanced."""
    return torch.arange(classes).repeat(per_class)


class GenerationMetrics(Callback):
    """Every ``every_n_steps`` iterations and at the end, generate with the averaged weights and measure.

    The work is shared over processes and the metrics reduce by themselves. The same latents are used every time, and
    training continues with the random streams it had.

    Args:
        metrics: by name; each takes ``update(joints, label, mask, real=...)``.
        reference: real clips that the samples are held against.
        every_n_steps: iterations between measurements.
        samples_per_class: generated for every class, over all processes.
        seed: of the latents.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        reference: MotionBatch,
        every_n_steps: int = 2000,
        samples_per_class: int = 20,
        seed: int = 1234,
    ) -> None:
        self.metrics, self.reference = dict(metrics), reference
        self.every_n_steps, self.samples_per_class, self.seed = every_n_steps, samples_per_class, seed

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
        labels = class_labels(pl_module.info.num_classes, self.samples_per_class)
        # every chunk has a seed of its own, so the samples do not depend on how many processes share them
        mine = list(enumerate(labels.split(CHUNK)))[rank::world]
        fakes = [pl_module.generate(chunk, seed=self.seed + number) for number, chunk in mine]
        share = slice(rank, None, world)
        real = type(self.reference)(
            self.reference.joints[share], self.reference.label[share], self.reference.mask[share]
        ).to(pl_module.device)
        values = {}
        for name, metric in self.metrics.items():
            metric.to(pl_module.device).reset()
            for fake in fakes:
                assert isinstance(fake, MotionSample)
                metric.update(fake.fake, fake.label, real=False)
            metric.update(real.joints, real.label, real.mask, real=True)
            values[name] = float(metric.compute())
            metric.reset()
        return values
