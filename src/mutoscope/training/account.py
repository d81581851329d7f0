"""What a run says of itself: where it is at its start, what it leaves at its end, and what stands where it stops."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from mutoscope.config.training import TrainConfig
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.provenance import command_line, typed_again
from mutoscope.training.callbacks.checkpointing import Checkpointing
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics
from mutoscope.training.callbacks.media import SampleMedia
from mutoscope.training.loggers import Located, read_metrics

#: settings that say where a run begins; a run that goes on has others
_BEGINNING = ("ckpt", "moments", "overwrite", "hydra.run.dir")


def plan(trainer: Trainer, run: TrainConfig, done: int) -> list[str]:
    """Where and how long a run will train, and what will be measured and drawn when, a sentence for each."""
    pace, world, size = run.pace, trainer.world_size, run.dataset.get("batch_size")
    batches = "" if size is None else f" of {size * world} clips"
    several = f" in {world} processes" if world > 1 else ""
    began = f", from iteration {done:,} on" if done else ""
    lines = [
        f"Training on {_device(trainer)}{several}, {trainer.precision}: {pace.max_steps:,} iterations{batches}"
        f"{began}; a checkpoint every {pace.checkpoint_every_n_steps:,}."
    ]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        lines += _told(callback)
    return lines


def _told(callback: Callback) -> list[str]:
    if isinstance(callback, GenerationMetrics) and callback.metrics:
        names = ", ".join(callback.metrics)
        return [f"Measured every {callback.every_n_steps:,} iterations and at the end: {names}."]
    if isinstance(callback, SampleMedia):
        return [f"Pictures every {callback.every_n_steps:,} iterations and at the end, in media/."]
    return []


def _device(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"the CPU ({threads} thread{'s' if threads > 1 else ''})"


class Account:
    """The course of one run: what stands of it at any moment, and how to go on from there.

    Args:
        run_dir: the run's folder.
        run: its config.
    """

    def __init__(self, run_dir: Path, run: TrainConfig) -> None:
        self.run_dir, self.run = _short(run_dir), run
        #: iteration of ``last.ckpt`` when this process began, where it is known
        self.found: int | None = None
        self.checkpointing: Checkpointing | None = None
        self._began = time.perf_counter()
        self._from = 0

    def begin(self, done: int) -> None:
        """The first iteration comes next."""
        self._began, self._from = time.perf_counter(), done

    @property
    def last(self) -> Path:
        """The newest checkpoint, there or not."""
        return self.run_dir / "checkpoints" / "last.ckpt"

    @property
    def saved(self) -> int | None:
        """The iteration that the newest checkpoint holds, where that is known."""
        written = None if self.checkpointing is None else self.checkpointing.saved
        return self.found if written is None else written

    def standing(self) -> str:
        """Whether there is a checkpoint, which, and how to go on from it."""
        if self.saved is None and not self.last.is_file():
            return "There is no checkpoint yet; the same command starts the run again."
        if self.saved is None:
            return f"{self.last} is as it was. To go on from it:\n  {self.resume()}"
        return f"{self.last} holds iteration {self.saved:,} and is whole. To go on from it:\n  {self.resume()}"

    def stopped(self, iterations: int) -> str:
        """After somebody stopped a training in order."""
        steps = self.run.pace.max_steps
        if self.saved != iterations:
            return f"Stopped after iteration {iterations:,} of {steps:,}. {self.standing()}"
        held = f"Stopped after iteration {iterations:,} of {steps:,}, which {self.last} holds."
        return f"{held} To go on:\n  {self.resume()}"

    def interrupted(self) -> str:
        """After somebody stopped a run outside its iterations."""
        trained = self.checkpointing is not None and self.checkpointing.saved is not None
        return f"Interrupted{'' if trained else ' before the first iteration'}. {self.standing()}"

    def resume(self, *more: str) -> str:
        """What to type to go on from the newest checkpoint, with further settings."""
        if self.run.sweep:
            return "the command of the sweep, which runs only the jobs that are missing"
        settings = [*more, "ckpt=last", f"hydra.run.dir={_value(self.run_dir)}"]
        changed = [setting.partition("=")[0] for setting in more]
        again = typed_again((*_BEGINNING, *changed), settings)
        if again is None:
            return f"the same settings with {' '.join(settings)}"
        if "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_NTASKS", "1")) > 1:
            return f"{again}   (through torchrun or srun, as before)"
        return again

    def done(self, trainer: Trainer, model: IterationModule) -> list[str]:
        """After the last iteration: the last numbers, where everything lies, and what to type next."""
        took, made = time.perf_counter() - self._began, model.iterations - self._from
        rate = f"{made / max(took, 1e-9):.3g} per second"
        lines = [f"Trained to iteration {model.iterations:,} in {_duration(took)} ({rate})."]
        lines += _numbers(read_metrics(self.run_dir / "metrics.jsonl"))
        there = [name for name in ("checkpoints/last.ckpt", "metrics.csv", "media") if (self.run_dir / name).exists()]
        lines.append(f"Everything lies in {self.run_dir}: {', '.join(there)}, config.yaml, metrics.jsonl.")
        lines += [text for logger in trainer.loggers if isinstance(logger, Located) and (text := logger.where())]
        if not self.run.sweep:
            lines += ["Next:", *(f"  {command}" for command in self._next(model))]
        return lines

    def _next(self, model: IterationModule) -> list[str]:
        commands = []
        checkpoint = f"checkpoint={_value(self.last)}"
        if isinstance(model, GenerativeModule):
            from_data = ["clip=0"] if model.takes == "action_graph" else []
            commands += [
                command_line("evaluate", [checkpoint]),
                command_line("generate", [checkpoint, *from_data, "out=samples"]),
            ]
        return [*commands, self.resume(f"trainer.max_steps={2 * self.run.pace.max_steps}")]


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The newest value of every metric and loss."""
    newest: dict[str, tuple[int, float]] = {}
    for row in rows:
        newest |= {name: (int(row["step"]), value) for name, value in row.items() if "/" in name}
    lines = []
    for section, title in (("metric/", "Last measured"), ("loss/", "Last losses")):
        found = {name.removeprefix(section): value for name, value in newest.items() if name.startswith(section)}
        if found:
            step = max(step for step, _ in found.values())
            shown = [
                f"{name} {value:.4g}" + ("" if at == step else f" (iteration {at:,})")
                for name, (at, value) in found.items()
            ]
            lines.append(f"{title} (iteration {step:,}): {', '.join(shown)}.")
    return lines


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _value(path: Path) -> str:
    """A path as the value of an override, quoted where Hydra's grammar asks for it."""
    text = str(path)
    if re.fullmatch(r"[\w/.:%@-]+", text, flags=re.ASCII):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
