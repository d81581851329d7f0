"""What tests in several processes share: how a command is started, and what a rank notes of its training."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from patience import patience
from places import ROOT, SUPPORT
from pytorch_lightning import Callback
from torch import Tensor

from mutoscope import kinds
from mutoscope.config.assembly import load_model, prepared
from mutoscope.config.training import TrainConfig
from mutoscope.training.callbacks.generation_metrics import GenerationMetrics

TRAIN = str(ROOT / "train.py")


def run(folder: Path, command: Sequence[str], *plugins: Path) -> "subprocess.CompletedProcess[str]":
    """Run a Python command in ``folder``, which also takes its cache; ``plugins`` are modules that configs may name."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", SUPPORT, *(plugin.parent for plugin in plugins)))),
        "MUTOSCOPE_PLUGINS": ",".join(plugin.stem for plugin in plugins),
        "MUTOSCOPE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience(240),
    )


def notes(run_dir: Path) -> list[dict[str, Any]]:
    """What the :class:`Probe` of each of two ranks wrote down."""
    return [json.loads((run_dir / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def digest(tensors: Iterable[Tensor]) -> str:
    joined = b"".join(t.detach().cpu().contiguous().numpy().tobytes() for t in tensors)
    return hashlib.sha256(joined).hexdigest()


class Probe(Callback):
    """Writes down the weights after every iteration, and at the end the average and what is measured.

    Subclasses add to ``seen`` what else their rank saw.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.seen: dict[str, Any] = {"weights": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen["weights"].append(
            {
                name: digest(p for network in networks for p in network.parameters())
                for name, networks in pl_module.networks().items()
            }
        )

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        generation = next(c for c in trainer.callbacks if isinstance(c, GenerationMetrics))
        self.seen["metrics"] = generation.measure(trainer, pl_module)
        self.seen["average"] = digest(pl_module.averaged.state_dict().values())
        (self.run_dir / f"rank{trainer.global_rank}.json").write_text(json.dumps(self.seen))


def measured_alone(run_dir: Path, cache: Path) -> Mapping[str, float]:
    """What one process measures of a model of motion that several have trained."""
    model, config = load_model(run_dir / "checkpoints" / "last.ckpt")
    # what watched the ranks is no business of the one who measures
    run = TrainConfig.parse({**config.settings, "callbacks": None})
    datamodule = prepared(run.dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUTOSCOPE_CACHE", str(cache))
        measured = kinds.tools("motion").measurement(
            datamodule, run.metrics or {}, run.recognizer, run.measure.samples_per_class
        )
    alone = GenerationMetrics(**vars(measured), seed=run.measure.seed)
    return alone.measure(SimpleNamespace(global_rank=0, world_size=1), model)


class Signalled(Callback):
    """Sends a signal to the second rank alone, in the third iteration; notes where each rank stopped."""

    def __init__(self, run_dir: Path, number: int) -> None:
        self.run_dir, self.number = run_dir, number

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == 1 and batch_idx == 2:
            os.kill(os.getpid(), self.number)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        (self.run_dir / f"stopped{trainer.global_rank}").write_text(str(pl_module.iterations))


def stopped_together(run_dir: Path) -> int:
    """After which iteration two ranks stopped that :class:`Signalled` stopped: the same, which the checkpoint holds."""
    first, second = (int((run_dir / f"stopped{rank}").read_text()) for rank in (0, 1))
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["mutoscope"]
    assert first == second == checkpoint["iterations"]
    # each wrote down its own losses
    assert checkpoint["world_size"] == len(checkpoint["latest"]) == 2
    assert checkpoint["latest"][0] != checkpoint["latest"][1]
    return first
