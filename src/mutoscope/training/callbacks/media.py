"""Pictures of progress: the same conditions and latents drawn again and again while a model learns."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytorch_lightning import Callback, LightningModule, Trainer

from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import say
from mutoscope.runtime.files import storage_refusal
from mutoscope.training.callbacks.absences import as_before, note, reason_of
from mutoscope.training.loggers import MediaLogger


class Gallery(Protocol):
    """How samples of one kind are shown."""

    def conditions(self, count: int) -> Any:
        """What ``generate`` is asked for: ``count`` samples of every class (motion) or ``count`` clips (video)."""

    def save(self, folder: Path, sample: Any, count: int) -> list[Path]:
        """Write pictures and videos of what was generated for :meth:`conditions`."""


@runtime_checkable
class DrawsFigures(Protocol):
    """A gallery that also asks the model itself for figures."""

    def figures(self, folder: Path, model: GenerativeModule, count: int) -> list[Path]:
        """Write figures of what the model does, always of the same ``count`` things."""


class SampleMedia(Callback):
    """Every ``every_n_steps`` iterations, write videos and pictures to ``media/step=.../``.

    Conditions and latents are the same each time, so the files show progress. Loggers that can show videos (wandb) get
    them in one panel per file name. What cannot be drawn is said once and noted in the run's log.

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
        self._said: set[str] = set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # a run that goes on from where it was stopped before drawing
        if isinstance(pl_module, GenerativeModule) and pl_module.iterations and not self._folder(pl_module).is_dir():
            self._draw_if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if isinstance(pl_module, GenerativeModule) and not trainer.should_stop:
            self._draw_if_due(trainer, pl_module)

    def _draw_if_due(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        done = pl_module.iterations
        due = done % self.every_n_steps == 0 or done == trainer.limit_train_batches
        if not due or not trainer.is_global_zero:
            return
        try:
            with as_before(pl_module.averaged):
                sample = pl_module.generate(self.gallery.conditions(self.per_class), seed=self.seed)
            written = self.gallery.save(self._folder(pl_module), sample, self.per_class)
            if isinstance(self.gallery, DrawsFigures):
                with as_before(pl_module.averaged):
                    written += self.gallery.figures(self._folder(pl_module), pl_module, self.per_class)
        except Exception as error:
            # a disk that refuses will refuse the checkpoint as well; anything else is no reason to end a training
            if storage_refusal(error) is not None:
                raise
            sentence = f"The pictures are left out: {reason_of(error)}"
            if sentence not in self._said:
                self._said.add(sentence)
                say(sentence)
                note(trainer, done, [sentence])
            return
        for logger in trainer.loggers:
            if isinstance(logger, MediaLogger):
                logger.log_media(written, step=done)

    def _folder(self, module: GenerativeModule) -> Path:
        return self.run_dir / "media" / f"step={module.iterations:08d}"
