"""``train``: a resolved config in, a run directory full of results out."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.loggers.logger import Logger

from mutoscope import kinds
from mutoscope.config.assembly import check_pair, check_weights, model_class, prepared, same_data
from mutoscope.config.nodes import build
from mutoscope.config.training import TrainConfig
from mutoscope.formats.about import About
from mutoscope.formats.checkpoints import checkpoint_info, read_checkpoint
from mutoscope.formats.missing import require_halves
from mutoscope.formats.weights import fetching
from mutoscope.kinds.fitting import check_measures
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import first_process, say
from mutoscope.runtime.errors import ConfigError, RunError
from mutoscope.runtime.files import refusal_sentence, replacing, storage_refusal
from mutoscope.runtime.interrupts import INTERRUPTS, Interrupted
from mutoscope.runtime.locks import run_lock
from mutoscope.runtime.provenance import run_facts
from mutoscope.training.account import Account, plan
from mutoscope.training.callbacks.checkpointing import Checkpointing
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics
from mutoscope.training.callbacks.run_log import RunLog, TrainingDivergedError
from mutoscope.training.callbacks.stopping import StopOnRequest
from mutoscope.training.loggers import FileLogger, read_metrics
from mutoscope.training.resuming import (
    AdoptSettings,
    TakeMoments,
    announce_changes,
    check_resumable,
    fine_tuning_from,
    with_average,
)
from mutoscope.training.trainer import check_trainer, fit


def train(config: Mapping[str, Any], run_dir: Path) -> float | None:
    """Train the configured model on the configured dataset.

    ``ckpt`` of the run itself goes on with it; settings that have changed since win, and are said. ``ckpt`` of another
    run is where a fine-tuning begins: its weights, and with ``moments`` those of its optimisers, under this run's
    settings, from iteration 0.

    Args:
        config: resolved, plain.
        run_dir: receives ``config.yaml``, ``run.json``, ``metrics.jsonl``, ``metrics.csv`` and ``checkpoints/``.

    Returns:
        The last logged value of ``objective`` (what sweeps optimise), or ``None`` where it is not logged.

    Raises:
        ConfigError: for anything in the config that cannot work, before training starts; and if another process trains
            in ``run_dir``.
        Interrupted: after Ctrl-C or SIGTERM, saying what stands and how to go on.
        RunError: if a number became NaN or the disk refused, saying the same.
    """
    run = TrainConfig.parse(config)
    with fetching(run.weights == "fetch"):
        return _checked(run, run_dir)


def _checked(run: TrainConfig, run_dir: Path) -> float | None:
    check_pair(run.model, run.dataset)
    model_class(run.model).check_settings(run.model)
    check_trainer(run.trainer)
    check_measures(run.metrics, run.recognizer, model_class(run.model))
    account = Account(run_dir, run)
    with INTERRUPTS:
        try:
            with run_lock(run_dir):
                return _train(run, run_dir, account)
        except Interrupted:
            raise
        except KeyboardInterrupt as error:
            raise Interrupted(account.interrupted()) from error
        except TrainingDivergedError as error:
            raise TrainingDivergedError(f"{error} {account.standing()}") from error
        except Exception as error:
            refusal = storage_refusal(error)
            if refusal is None:
                raise
            raise RunError(f"{refusal_sentence(refusal)} {account.standing()}") from error


@dataclass(frozen=True)
class _Start:
    """Where a training begins.

    Args:
        path: of the checkpoint to go on from or to begin with.
        own: whether it is this run's.
    """

    path: Path
    own: bool


def _train(run: TrainConfig, run_dir: Path, account: Account) -> float | None:
    start = _start_of(run, run_dir)
    if start is None:
        require_halves(run.model)
    if run.note:
        say(run.note)
    say(f"Run directory: {account.run_dir}.")
    datamodule = prepared(run.dataset)
    # after the data, whose preparation may or may not draw random numbers (it is cached)
    seed_everything(run.seed, verbose=False)
    model: IterationModule = build(run.model, "model", info=datamodule.info)
    say(f"Model {type(model).__name__}: " + ", ".join(_sizes(model)) + ".")
    done, owed = 0, False
    begin: list[Callback] = []
    started_from = None
    if start is not None:
        checkpoint = read_checkpoint(start.path)
        about = About.of(checkpoint)
        same_data(datamodule.info, checkpoint_info(checkpoint), str(start.path))
        model.adapt(checkpoint)
        if not start.own:
            checkpoint["state_dict"] = with_average(checkpoint["state_dict"], model, str(start.path))
        check_weights(model, checkpoint["state_dict"], str(start.path))
        if start.own:
            check_resumable(checkpoint, model, str(start.path))
            done, started_from = about.iterations, about.started_from
            owed = GenerationMetrics.owed_in(checkpoint)
            account.found = done if start.path.resolve() == account.last.resolve() else None
            datamodule.start_sample = about.samples_seen
            say(f"Resuming from {start.path} at iteration {done}.")
            begin = [AdoptSettings(run.model)]
        else:
            moments = fine_tuning_from(checkpoint, model, run, str(start.path))
            started_from = {
                "checkpoint": str(start.path),
                "iterations": about.iterations,
                "moments": run.moments,
            }
            begin = [TakeMoments(moments)]
            say(_fine_tuning(start.path, about.iterations, run.moments))
    steps = run.pace.max_steps
    if done > steps or (done == steps and not owed):
        say(f"{run_dir} has its {done} iterations already; raise trainer.max_steps to train on.")
        return _objective(run, run_dir)

    callbacks = _callbacks(run, run_dir, model, datamodule)
    checkpointing = next(callback for callback in callbacks if isinstance(callback, Checkpointing))
    account.checkpointing, checkpointing.started_from = checkpointing, started_from
    trainer = build(
        run.trainer,
        "trainer",
        callbacks=[*begin, *callbacks],
        loggers=_loggers(run, run_dir, done),
        run_dir=str(run_dir),
    )
    if first_process():
        # not before it is clear that this run will be what they say
        write_config(run.resolved, run_dir)
        with replacing(run_dir / "run.json") as temporary:
            temporary.write_text(json.dumps(run_facts(), indent=2))
    if start is not None and start.own:
        for line in announce_changes(run.resolved, checkpoint, trainer.world_size):
            say(line)
    for line in plan(trainer, run, done):
        say(line)
    account.begin(done)
    resumed = str(start.path) if start is not None and start.own else None
    fit(trainer, model, datamodule=datamodule, ckpt_path=resumed, weights_only=True)
    if torch.distributed.is_initialized():
        # a process that leaves with the group's threads still running may be aborted, and count as failed
        torch.distributed.destroy_process_group()
    if trainer.should_stop and (model.iterations < steps or _owes(trainer)):
        raise Interrupted(account.stopped(model.iterations))
    for line in account.done(trainer, model):
        say(line)
    return _objective(run, run_dir)


def _owes(trainer: Trainer) -> bool:
    return any(isinstance(c, GenerationMetrics) and c.owed for c in trainer.callbacks)  # type: ignore[attr-defined]


def _fine_tuning(path: Path, iterations: int, moments: bool) -> str:
    optimisers = "its optimisers' moments" if moments else "new moments (moments=true would take its own)"
    return (
        f"Fine-tuning: the weights and averages of {path} (iteration {iterations:,}) with {optimisers}, under this "
        "run's settings; schedules and data begin at iteration 0."
    )


def _start_of(run: TrainConfig, run_dir: Path) -> _Start | None:
    last = run_dir / "checkpoints" / "last.ckpt"
    if run.ckpt == "last":
        if not last.is_file():
            say(f"There is no {last} to resume from; the run starts at iteration 0.")
            return None
        return _Start(last, own=True)
    other = None if run.ckpt is None else Path(run.ckpt)
    if other is not None and other.resolve().parent == last.resolve().parent:
        return _Start(other, own=True)
    if last.is_file() and first_process():
        if not run.overwrite:
            raise ConfigError(
                f"{run_dir} already holds a run; add ckpt=last to continue it, overwrite=true to start it anew, or set "
                "another hydra.run.dir."
            )
        # nothing of the old run may be taken for a part of the new one
        for path in [*last.parent.glob("*.ckpt"), *run_dir.glob("metrics.*")]:
            path.unlink()
        shutil.rmtree(run_dir / "media", ignore_errors=True)
    return None if other is None else _Start(other, own=False)


def _callbacks(run: TrainConfig, run_dir: Path, model: IterationModule, datamodule: Any) -> list[Callback]:
    pace = run.pace
    callbacks: list[Callback] = [
        StopOnRequest(),
        RunLog(pace.log_every_n_steps),
        Checkpointing(run_dir, dict(run.resolved), pace.checkpoint_every_n_steps, pace.milestones_every_n_steps),
    ]
    gallery = None
    if isinstance(model, GenerativeModule):
        tools, measure = kinds.tools(model.takes), run.measure
        gallery = tools.gallery(datamodule)
        if run.metrics:
            measurement = tools.measurement(datamodule, run.metrics, run.recognizer, measure.samples_per_class)
            # measured before checkpointing, so that an interrupted measurement is repeated
            metrics = GenerationMetrics(**vars(measurement), every_n_steps=measure.every_n_steps, seed=measure.seed)
            callbacks.insert(1, metrics)
    for name, node in (run.callbacks or {}).items():
        if node is not None:
            late: dict[str, Any] = {"run_dir": run_dir, "config": dict(run.resolved), "gallery": gallery}
            callbacks.append(build(node, f"callbacks.{name}", **late))
    return callbacks


def _loggers(run: TrainConfig, run_dir: Path, done: int) -> list[Logger]:
    loggers: list[Logger] = [FileLogger(run_dir, resume_at=done)]
    for name, node in (run.logger or {}).items():
        if node is not None:
            loggers.append(build(node, f"logger.{name}", run_dir=run_dir, config=dict(run.resolved)))
    return loggers


def _sizes(model: IterationModule) -> list[str]:
    return [
        f"{name} {sum(p.numel() for network in networks for p in network.parameters()):,} parameters"
        for name, networks in model.networks().items()
    ]


def _objective(run: TrainConfig, run_dir: Path) -> float | None:
    values = [row[run.objective] for row in read_metrics(run_dir / "metrics.jsonl") if run.objective in row]
    return values[-1] if values else None


def write_config(config: Mapping[str, Any], run_dir: Path) -> None:
    """``config.yaml``: the resolved config, atomically."""
    with replacing(run_dir / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False))
