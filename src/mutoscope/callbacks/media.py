"""Pictures of progress: the same classes and latents drawn again and again while a model learns."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mutoscope.callbacks.generation_metrics import class_labels
from mutoscope.loggers import MediaLogger
from mutoscope.models.base import GenerativeModule
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import MotionSample


class SampleMedia(Callback):
    """Every ``every_n_steps`` iterations, write one video per class and a contact sheet to ``media/step=.../``.

    Latents are the same each time, so the videos of a class show its progress. Loggers that can show videos (wandb)
    get the files in one panel per class.

    Args:
        run_dir: the run's folder.
        every_n_steps: iterations between two galleries; one is always written after the final iteration.
        per_class: sequences side by side in each video.
        seed: of the latents.
    """

    def __init__(self, run_dir: Path, every_n_steps: int = 2000, per_class: int = 2, seed: int = 4321) -> None:
        self.run_dir, self.every_n_steps, self.per_class, self.seed = run_dir, every_n_steps, per_class, seed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, GenerativeModule) or not trainer.is_global_zero:
            return
        done = pl_module.iterations
        if done % self.every_n_steps == 0 or done == trainer.limit_train_batches:
            labels = class_labels(pl_module.info.num_classes, self.per_class)
            sample = pl_module.generate(labels, seed=self.seed)
            assert isinstance(sample, MotionSample)
            folder = self.run_dir / "media" / f"step={done:08d}"
            written = save_motion_gallery(
                folder, sample.fake.cpu(), sample.label.cpu(), sample.info, per_class=self.per_class
            )
            for logger in trainer.loggers:
                if isinstance(logger, MediaLogger):
                    logger.log_media(written, step=done)
