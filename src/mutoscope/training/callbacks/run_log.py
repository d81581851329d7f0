"""Numbers of the running training: to the progress bar and the loggers, synchronised only when they are shown."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mutoscope.models.base import IterationModule
from mutoscope.runtime.errors import RunError


class TrainingDivergedError(RunError):
    """A loss became NaN or infinite."""


def check_finite(numbers: Mapping[str, float], iteration: int) -> None:
    """Raise :class:`TrainingDivergedError` for the first number that is NaN or infinite."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"{name} became {value} at iteration {iteration}. Lower the learning rates, use 32-true precision or "
                "set model.clip_norm."
            )


def watched(trainer: Trainer, pl_module: IterationModule) -> dict[str, Tensor]:
    """The latest numbers that must be finite.

    With 16-mixed, gradients overflow now and then; the scaler then leaves out the step and lowers its scale.
    """
    overflows = trainer.precision == "16-mixed"
    return {
        name: value
        for name, value in sorted(pl_module.latest.items())
        if not (overflows and name.startswith("health/grad_norm"))
    }


class RunLog(Callback):
    """Every ``every_n_steps`` iterations, log the module's latest losses and health numbers, averaged over processes.

    Args:
        every_n_steps: iterations between two entries.

    Raises:
        TrainingDivergedError: when a number is not finite.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps is {every_n_steps}, expected at least 1.")
        self.every_n_steps = every_n_steps
        self._since: tuple[float, int] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, IterationModule)
        self._since = (time.perf_counter(), pl_module.iterations)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, IterationModule)
        if pl_module.iterations % self.every_n_steps and pl_module.iterations != 1:
            return
        names = sorted(pl_module.latest)
        values = torch.stack([pl_module.latest[name].float().mean() for name in names])
        numbers = trainer.strategy.reduce(values, reduce_op="mean")
        row = dict(zip(names, numbers.tolist(), strict=True))
        assert self._since is not None
        now, iterations = time.perf_counter(), pl_module.iterations
        if iterations > self._since[1]:
            row["health/iterations_per_second"] = (iterations - self._since[1]) / max(now - self._since[0], 1e-9)
        self._since = (now, iterations)
        if torch.cuda.is_available():
            row["health/gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 2**30
        for optimizer, name in zip(trainer.optimizers, pl_module.optimizer_names, strict=True):
            row[f"health/lr_{name}"] = float(optimizer.param_groups[0]["lr"])
        row["samples_seen"] = pl_module.samples_seen
        pl_module.log_dict(
            {name: value for name, value in row.items() if name.startswith("loss/")}, prog_bar=True, logger=False
        )
        for logger in trainer.loggers:
            logger.log_metrics(row, step=iterations)
        must = watched(trainer, pl_module)
        check_finite({name: value for name, value in row.items() if name in must}, iterations)
