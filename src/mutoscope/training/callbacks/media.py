"""Pictures of progress: the same conditions and latents drawn again and again while a model learns."""

from pathlib import Path
from typing import Any, Protocol

from pytorch_lightning import Callback, LightningModule, Trainer

from mutoscope.models.generative import GenerativeModule
from mutoscope.training.loggers import MediaLogger


class Gallery(Protocol):
    """How samples of one kind are shown."""

    def conditions(self, count: int) -> Any:
        """What ``generate`` is asked for: ``count`` samples of every class (motion) or ``count`` clips (video)."""

    def save(self, folder: Path, sample: Any, count: int) -> list[Path]:
        """Write pictures and videos of what was generated for :meth:`conditions`."""


class SampleMedia(Callback):
    """Every ``every_n_steps`` iterations, write videos and pictures to ``media/step=.../``.

    Conditions and latents are the same each time, so the files show progress. Loggers that can show videos (wandb) get
    them in one panel per file name.

    Args:
        run_dir: the run's folder.
        gallery: what is asked for and how it is drawn.
        every_n_steps: iterations between two galleries; one is always written after the final iteration.
        per_class: sequences of every class side by side in each video; for video data, clips in all.
        seed: of the latents.
    """

    def __init__(
        self, run_dir: Path, gallery: Gallery, every_n_steps: int = 2000, per_class: int = 2, seed: int = 4321
    ) -> None:
        self.run_dir, self.gallery = run_dir, gallery
        self.every_n_steps, self.per_class, self.seed = every_n_steps, per_class, seed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, GenerativeModule) or not trainer.is_global_zero:
            return
        done = pl_module.iterations
        if done % self.every_n_steps == 0 or done == trainer.limit_train_batches:
            sample = pl_module.generate(self.gallery.conditions(self.per_class), seed=self.seed)
            written = self.gallery.save(self.run_dir / "media" / f"step={done:08d}", sample, self.per_class)
            for logger in trainer.loggers:
                if isinstance(logger, MediaLogger):
                    logger.log_media(written, step=done)
