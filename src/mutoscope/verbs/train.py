"""``train``: a resolved config in, a run directory full of results out."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from pytorch_lightning import Callback, seed_everything
from pytorch_lightning.loggers.logger import Logger

from mutoscope import kinds
from mutoscope.config.assembly import check_pair, check_weights, model_class, prepared, same_data
from mutoscope.config.nodes import build, check_config
from mutoscope.formats.checkpoints import checkpoint_info, read_checkpoint
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import first_process, say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing
from mutoscope.runtime.provenance import run_facts
from mutoscope.training.callbacks.checkpointing import Checkpointing
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics
from mutoscope.training.callbacks.run_log import RunLog
from mutoscope.training.loggers import FileLogger, read_metrics
from mutoscope.training.trainer import check_trainer

KEYS = (
    "name",
    "note",
    "model",
    "dataset",
    "trainer",
    "logger",
    "metrics",
    "measure",
    "callbacks",
    "recognizer",
    "seed",
    "ckpt",
    "overwrite",
    "objective",
    "sweep",
    "debug",
)


def train(config: Mapping[str, Any], run_dir: Path) -> float | None:
    """Train the configured model on the configured dataset.

    Args:
        config: resolved, plain.
        run_dir: receives ``config.yaml``, ``run.json``, ``metrics.jsonl``, ``metrics.csv`` and ``checkpoints/``.

    Returns:
        The last logged value of ``config["objective"]`` (what sweeps optimise), or ``None`` where it is not logged.

    Raises:
        ConfigError: for anything in the config that cannot work, before training starts.
    """
    config = dict(config)
    check_config(config, KEYS)
    check_pair(config["model"], config["dataset"])
    model_class(config["model"]).check_settings(config["model"])
    check_trainer(config["trainer"])
    resume = _resume_from(config, run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    if first_process():
        write_config(config, run_dir)
        with replacing(run_dir / "run.json") as temporary:
            temporary.write_text(json.dumps(run_facts(), indent=2))

    if config["note"]:
        say(config["note"])
    datamodule = prepared(config["dataset"])
    # after the data, whose preparation may or may not draw random numbers (it is cached)
    seed_everything(config["seed"], verbose=False)
    model: IterationModule = build(config["model"], "model", info=datamodule.info)
    say(f"Model {type(model).__name__}: " + ", ".join(_sizes(model)) + ".")
    done = 0
    if resume is not None:
        checkpoint = read_checkpoint(resume)
        same_data(datamodule.info, checkpoint_info(checkpoint), str(resume))
        check_weights(model, checkpoint["state_dict"], str(resume))
        done = checkpoint["mutoscope"]["iterations"]
        datamodule.start_batch = done
        say(f"Resuming from {resume} at iteration {done}.")
    if done >= config["trainer"]["max_steps"]:
        say(f"{run_dir} has its {done} iterations already; raise trainer.max_steps to train on.")
        return _objective(config, run_dir)

    trainer = build(
        config["trainer"],
        "trainer",
        callbacks=_callbacks(config, run_dir, model, datamodule),
        loggers=_loggers(config, run_dir, done),
        run_dir=str(run_dir),
    )
    try:
        trainer.fit(model, datamodule=datamodule, ckpt_path=None if resume is None else str(resume), weights_only=True)
    except SystemExit as error:
        # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from error
    if torch.distributed.is_initialized():
        # a process that leaves with the group's threads still running may be aborted, and count as failed
        torch.distributed.destroy_process_group()
    return _objective(config, run_dir)


def _resume_from(config: Mapping[str, Any], run_dir: Path) -> Path | None:
    last = run_dir / "checkpoints" / "last.ckpt"
    if config["ckpt"] == "last":
        if not last.is_file():
            say(f"There is no {last} to resume from; the run starts at iteration 0.")
            return None
        return last
    other = None if config["ckpt"] is None else Path(config["ckpt"])
    if other is not None and other.resolve().parent == last.resolve().parent:
        return other
    if last.is_file() and first_process():
        if not config["overwrite"]:
            raise ConfigError(
                f"{run_dir} already holds a run; add ckpt=last to continue it, overwrite=true to start it anew, or set "
                "another hydra.run.dir."
            )
        # nothing of the old run may be taken for a part of the new one
        for path in [*last.parent.glob("*.ckpt"), *run_dir.glob("metrics.*")]:
            path.unlink()
        shutil.rmtree(run_dir / "media", ignore_errors=True)
    return other


def _callbacks(config: Mapping[str, Any], run_dir: Path, model: IterationModule, datamodule: Any) -> list[Callback]:
    settings = config["trainer"]
    callbacks: list[Callback] = [
        RunLog(settings["log_every_n_steps"]),
        Checkpointing(
            run_dir, dict(config), settings["checkpoint_every_n_steps"], settings["milestones_every_n_steps"]
        ),
    ]
    gallery = None
    if isinstance(model, GenerativeModule):
        tools, measure = kinds.tools(model.takes), config["measure"]
        gallery = tools.gallery(datamodule)
        if config["metrics"]:
            measurement = tools.measurement(datamodule, config, measure["samples_per_class"])
            # measured before checkpointing, so that an interrupted measurement is repeated
            schedule = {"every_n_steps": measure["every_n_steps"], "seed": measure["seed"]}
            callbacks.insert(0, GenerationMetrics(**vars(measurement), **schedule))
    for name, node in (config["callbacks"] or {}).items():
        if node is not None:
            late = {"run_dir": run_dir, "config": dict(config), "gallery": gallery}
            callbacks.append(build(node, f"callbacks.{name}", **late))
    return callbacks


def _loggers(config: Mapping[str, Any], run_dir: Path, done: int) -> list[Logger]:
    loggers: list[Logger] = [FileLogger(run_dir, resume_at=done)]
    for name, node in (config["logger"] or {}).items():
        if node is not None:
            loggers.append(build(node, f"logger.{name}", run_dir=run_dir, config=dict(config)))
    return loggers


def _sizes(model: IterationModule) -> list[str]:
    return [
        f"{name} {sum(p.numel() for network in networks for p in network.parameters()):,} parameters"
        for name, networks in model.networks().items()
    ]


def _objective(config: Mapping[str, Any], run_dir: Path) -> float | None:
    values = [row[config["objective"]] for row in read_metrics(run_dir / "metrics.jsonl") if config["objective"] in row]
    return values[-1] if values else None


def write_config(config: Mapping[str, Any], run_dir: Path) -> None:
    """``config.yaml``: the resolved config, atomically."""
    with replacing(run_dir / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False))
