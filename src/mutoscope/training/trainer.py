"""From a trainer config to a Lightning Trainer whose length, bar and checkpoints count iterations."""

import inspect
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.strategies import DDPStrategy
from tqdm import tqdm

from mutoscope.formats.checkpoints import AtomicCheckpointIO
from mutoscope.models.base import IterationModule
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.interrupts import INTERRUPTS

# Lightning's own remarks about things that are meant here
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
for _remark in (
    r"Found \d+ module\(s\) in eval mode",
    r"You're resuming from a checkpoint that ended before the epoch ended",
    r"The '\w+' does not have many workers",
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
):
    warnings.filterwarnings("ignore", message=_remark)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class CountIterations(Callback):
    """Counts first: Lightning asks all callbacks before the module, and they go by the module's count."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, IterationModule)
        pl_module.finish_iteration(batch)


#: columns of the bar itself that the numbers beside it must leave
_BAR = 10


class IterationBar(TQDMProgressBar):
    """Lightning's bar, counting the iterations of the run; in a log file it prints rarely.

    The rate is that of this process, also where it goes on with a run. In a narrow terminal fewer numbers stand beside
    the bar.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10 if sys.stdout.isatty() else 500)

    def init_train_tqdm(self) -> Tqdm:
        module = self.trainer.lightning_module
        assert isinstance(module, IterationModule)
        return Tqdm(
            desc="Training",
            # resumed runs read their data from an endless stream, whose length Lightning does not know
            total=self.trainer.limit_train_batches,
            initial=module.iterations,
            disable=self.is_disabled,
            leave=True,
            dynamic_ncols=True,
            file=sys.stdout,
            smoothing=0,
            bar_format=self.BAR_FORMAT,
        )

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        """The one epoch is the run, and its bar is there already."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        bar, n = self.train_progress_bar, batch_idx + 1
        if not bar.disable and (n % self.refresh_rate == 0 or n == bar.total):
            bar.n = n
            bar.set_postfix(self.get_metrics(trainer, pl_module), refresh=False)
            bar.refresh()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last numbers are shown already."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # or what is said of it would stick to the bar
        if self._train_progress_bar is not None:
            self._train_progress_bar.close()

    def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, Any]:
        numbers = {
            name.removeprefix("loss/"): v
            for name, v in super().get_metrics(trainer, pl_module).items()
            if name != "v_num"
        }
        return fitting(numbers, self.train_progress_bar)


def fitting(numbers: Mapping[str, Any], bar: Any) -> dict[str, Any]:
    """As many of the numbers, from the first on, as leave a tqdm bar some columns of its line."""
    about = bar.format_dict
    if about["ncols"] is None:
        return dict(numbers)
    # what the line needs at its longest, without bar and numbers: counts grow, and times to hours
    widest = {**about, "n": about["total"], "postfix": None, "ncols": None, "bar_format": TQDMProgressBar.BAR_FORMAT}
    widest |= {"elapsed": max(about["elapsed"], 3600.0), "bar_format": widest["bar_format"].replace("{bar}", "")}
    left = about["ncols"] - len(tqdm.format_meter(**widest)) - _BAR
    shown = {}
    for name, value in numbers.items():
        left -= len(f", {name}={bar.format_num(value)}")
        if left < 0:
            break
        shown[name] = value
    return shown


def processes(devices: int | str, accelerator: str, num_nodes: int) -> int:
    """How many processes a trainer config asks for."""
    if isinstance(devices, int):
        return devices * num_nodes
    if devices == "auto":
        on_gpu = _accelerator(accelerator) == "gpu"
        return (max(1, torch.cuda.device_count()) if on_gpu else 1) * num_nodes
    raise ConfigError(f"trainer.devices is '{devices}', expected a number or auto.")


def _accelerator(name: str) -> str:
    if name == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "gpu"):
        raise ConfigError(f"trainer.accelerator is '{name}', expected auto, cpu or gpu.")
    if name == "gpu" and not torch.cuda.is_available():
        raise ConfigError("trainer.accelerator is gpu, but torch sees no GPU; use trainer=cpu or trainer=auto.")
    return name


def make_trainer(
    *,
    max_steps: int,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    run_dir: str,
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    devices: int | Literal["auto"] = 1,
    num_nodes: int = 1,
    precision: Precision = "32-true",
    sync_batchnorm: bool | Literal["auto"] = False,
    deterministic: bool = False,
    progress: bool = True,
    threads: int | None = None,
    log_every_n_steps: int = 50,
    checkpoint_every_n_steps: int = 500,
    milestones_every_n_steps: int | None = None,
) -> Trainer:
    """A Trainer whose single epoch is the whole run of ``max_steps`` iterations.

    Lightning's own ``max_steps`` counts every optimiser; one endless stream of batches cut after ``max_steps`` of them
    counts iterations instead, whatever the number of optimisers.

    Args:
        max_steps: iterations, one mini-batch each.
        callbacks, loggers, run_dir: supplied by the program.
        accelerator: ``auto`` (a GPU where there is one), ``cpu`` or ``gpu``.
        devices: processes per node, or ``auto`` for all GPUs.
        num_nodes: nodes; with torchrun or SLURM the processes are theirs.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed`` (gradient penalties stay in float32).
        sync_batchnorm: batch-norm statistics over all processes, which works on GPUs only; ``auto``: where there are
            several.
        deterministic: insist on deterministic kernels.
        progress: show the bar.
        threads: CPU threads per process; torch's own choice by default.
        log_every_n_steps, checkpoint_every_n_steps, milestones_every_n_steps: see the callbacks of those names.

    Raises:
        ConfigError: for settings that cannot work together.
    """
    place = _check(max_steps, accelerator, devices, num_nodes, precision, sync_batchnorm)
    if precision == "bf16-mixed" and place == "cpu" and cpu_has_bf16() is False:
        say(
            "This CPU has no bfloat16 arithmetic (neither avx512_bf16 nor amx_bf16): trainer.precision=bf16-mixed is "
            "emulated here and about ten times slower than trainer.precision=32-true, which you want instead."
        )
    if threads is not None:
        torch.set_num_threads(threads)
    world = processes(devices, accelerator, num_nodes)
    strategy: Any = "auto"
    if world > 1:
        # each optimiser moves only some of the networks, so every backward leaves parameters unused
        strategy = DDPStrategy(find_unused_parameters=True, process_group_backend="gloo" if place == "cpu" else "nccl")
    bar: list[Callback] = [IterationBar()] if progress else []
    return Trainer(
        accelerator=place,
        devices=devices if isinstance(devices, int) or place == "gpu" else 1,
        num_nodes=num_nodes,
        strategy=strategy,
        precision=precision,
        sync_batchnorm=sync_batchnorm is True or (sync_batchnorm == "auto" and place == "gpu" and world > 1),
        deterministic=deterministic,
        max_epochs=1,
        limit_train_batches=max_steps,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        use_distributed_sampler=False,
        log_every_n_steps=log_every_n_steps,
        default_root_dir=run_dir,
        callbacks=[CountIterations(), *callbacks, *bar],
        logger=list(loggers),
        plugins=[AtomicCheckpointIO()],
    )


def fit(trainer: Trainer, model: LightningModule, **data: Any) -> None:
    """``trainer.fit``, after which an interrupt is an interrupt: Lightning makes an exit with status 1 of it."""
    try:
        trainer.fit(model, **data)
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        INTERRUPTS.heed()


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Whether the processor calculates in bfloat16; ``None`` where it does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    told = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    flags = next(told, "").split()
    return bool({"avx512_bf16", "amx_bf16", "bf16", "svebf16"} & set(flags)) if flags else None


def check_trainer(node: Mapping[str, Any]) -> None:
    """Whether the settings of a trainer node can work together; costs nothing.

    Raises:
        ConfigError: if not.
    """
    chosen = {name: p.default for name, p in inspect.signature(make_trainer).parameters.items()} | dict(node)
    _check(*(chosen[name] for name in inspect.signature(_check).parameters))


def _check(
    max_steps: int, accelerator: str, devices: int | str, num_nodes: int, precision: str, sync_batchnorm: bool | str
) -> str:
    """The accelerator, if the settings can work together; otherwise a ``ConfigError``."""
    if not isinstance(max_steps, int) or max_steps < 1:
        raise ConfigError(f"trainer.max_steps is {max_steps}, expected at least 1 iteration.")
    if precision not in get_args(Precision):
        raise ConfigError(
            f"trainer.precision is '{precision}', expected 32-true, bf16-mixed or 16-mixed; the others keep weights in "
            "low precision, where gradient penalties and averages break down."
        )
    place = _accelerator(accelerator)
    if precision == "16-mixed" and place == "cpu":
        raise ConfigError("trainer.precision=16-mixed works on GPUs only; use bf16-mixed or 32-true on the CPU.")
    if sync_batchnorm not in (True, False, "auto"):
        raise ConfigError(f"trainer.sync_batchnorm is '{sync_batchnorm}', expected true, false or auto.")
    several = processes(devices, accelerator, num_nodes) > 1
    if sync_batchnorm is True and several and place == "cpu":
        raise ConfigError("trainer.sync_batchnorm works on GPUs only; set it to false or auto.")
    if several and precision == "16-mixed" and sync_batchnorm:
        raise ConfigError("16-mixed with sync_batchnorm is not supported; use bf16-mixed.")
    return place


def place(accelerator: str) -> torch.device:
    """The device for work outside a Trainer: ``auto``, ``cpu`` or ``gpu``."""
    return torch.device("cuda" if _accelerator(accelerator) == "gpu" else "cpu")
