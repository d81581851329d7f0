"""When checkpoints are written, counted in iterations."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mutoscope.models.base import IterationModule
from mutoscope.training.callbacks.run_log import check_finite, watched


class Checkpointing(Callback):
    """Keep ``checkpoints/last.ckpt``, and milestones beside it.

    Args:
        run_dir: the run's folder.
        config: the resolved config, stored inside every checkpoint.
        every_n_steps: iterations between writes of ``last.ckpt``; it is also written after the final iteration.
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

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["mutoscope"] = {**checkpoint.get("mutoscope", {}), "config": self.config}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # a finished run that is given more iterations is not at its last batch any more
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, IterationModule)
        done = pl_module.iterations
        due = []
        if done % self.every_n_steps == 0 or done == trainer.limit_train_batches:
            due.append("last.ckpt")
        if self.milestones_every_n_steps and done % self.milestones_every_n_steps == 0:
            due.append(f"step={done:08d}.ckpt")
        if due:
            # weights that are spoilt already must not replace the good ones of the checkpoint before
            check_finite({name: float(value) for name, value in watched(trainer, pl_module).items()}, done)
        for name in due:
            trainer.save_checkpoint(self.folder / name, weights_only=False)
