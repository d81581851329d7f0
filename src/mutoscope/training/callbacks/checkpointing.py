"""When checkpoints are written, counted in iterations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from mutoscope.models.base import IterationModule
from mutoscope.training.callbacks.run_log import check_finite, watched


class Checkpointing(Callback):
    """Keep ``checkpoints/last.ckpt``, and milestones beside it.

    Args:
        run_dir: the run's folder.
        config: the resolved config, stored inside every checkpoint.
        every_n_steps: iterations between writes of ``last.ckpt``; it is also written after the final iteration, and
            after the one at which somebody stops the run.
        milestones_every_n_steps: iterations between copies that are kept; ``None`` keeps none.
    """

    def __init__(
        self,
        run_dir: Path,
        config: dict[str, Any],
        every_n_steps: int = 500,
        milestones_every_n_steps: int | None = None,
    ) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps is {every_n_steps}, expected at least 1.")
        self.folder, self.config = run_dir / "checkpoints", config
        self.every_n_steps, self.milestones_every_n_steps = every_n_steps, milestones_every_n_steps
        #: iteration that ``last.ckpt`` holds; ``None`` where there is none of this run
        self.saved: int | None = None
        #: where the weights came from at iteration 0, as plain data; ``None`` for a run that began at random
        self.started_from: Mapping[str, Any] | None = None

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "last.ckpt"

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        about = {"config": self.config, "started_from": self.started_from}
        checkpoint["mutoscope"] = {**checkpoint.get("mutoscope", {}), **about}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # a finished run that is given more iterations is not at its last batch any more
        ended = checkpoint["mutoscope"]["iterations"] >= trainer.limit_train_batches
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = ended

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, IterationModule)
        done = pl_module.iterations
        due = []
        if done % self.every_n_steps == 0 or done == trainer.limit_train_batches or trainer.should_stop:
            due.append(self.last.name)
        if self.milestones_every_n_steps and done % self.milestones_every_n_steps == 0:
            due.append(f"step={done:08d}.ckpt")
        if due:
            # weights that are spoilt already must not replace the good ones of the checkpoint before
            check_finite({name: float(value) for name, value in watched(trainer, pl_module).items()}, done)
            _check_weights(pl_module, done)
        for name in due:
            trainer.save_checkpoint(self.folder / name, weights_only=False)
            if name == self.last.name:
                self.saved = done


def _check_weights(module: IterationModule, iteration: int) -> None:
    """Raise where a weight is NaN or infinite, as a step may make it whose loss was neither."""
    finite = torch.stack([value.isfinite().all() for value in module.parameters()])
    if not finite.all():
        name, _ = list(module.named_parameters())[int(finite.int().argmin())]
        check_finite({f"A weight of {name}": float("nan")}, iteration)
