"""A run that is killed and resumed ends exactly where an uninterrupted one does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from patience import patience
from places import ROOT

from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train, write_config

Compose = Callable[..., dict[str, Any]]
STEPS = 60


def rows(run_dir: Path) -> list[dict[str, float]]:
    """What was logged, without the speed."""
    return [
        {name: value for name, value in row.items() if name != "health/iterations_per_second"}
        for row in read_metrics(run_dir / "metrics.jsonl")
    ]


def config_of(tiny: Compose, *more: str) -> dict[str, Any]:
    # the classes do not divide the passes, and checkpoints lie between updates of the generator
    config = tiny(
        f"trainer.max_steps={STEPS}",
        "trainer.checkpoint_every_n_steps=4",
        "dataset.clips_per_class=7",
        "model.n_critic=3",
        *more,
    )
    schedule = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "_partial_": True, "gamma": 0.97}
    config["model"]["schedulers"] = {"critic": schedule, "generator": schedule}
    return config


def start_and_kill(config: dict[str, Any], run_dir: Path, after: int) -> None:
    """Train in a process of its own that gets SIGKILL once it logged ``after`` iterations."""
    write_config(config, run_dir.parent)
    code = (
        "import sys, yaml; from pathlib import Path; from mutoscope.verbs.train import train; "
        "train(yaml.safe_load(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(run_dir.parent / "config.yaml"), str(run_dir)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + patience(120)
        while len(read_metrics(run_dir / "metrics.jsonl")) < after and process.poll() is None:
            assert time.monotonic() < deadline, "the run logs nothing"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        errors = process.communicate()[1].decode()
    assert process.returncode == -signal.SIGKILL, errors


@pytest.mark.slow
def test_a_killed_run_resumes_as_if_nothing_had_happened(tiny: Compose, tmp_path: Path) -> None:
    run_dir, uninterrupted = tmp_path / "killed" / "run", tmp_path / "uninterrupted"
    train(config_of(tiny), uninterrupted)
    run_dir.parent.mkdir()
    start_and_kill(config_of(tiny), run_dir, after=14)
    reached = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")["mutoscope"]["iterations"]
    assert 12 <= reached < STEPS

    train(config_of(tiny, "ckpt=last"), run_dir)

    mine, theirs = (read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (run_dir, uninterrupted))
    assert mine["mutoscope"].pop("config")["ckpt"] == "last"
    assert theirs["mutoscope"].pop("config")["ckpt"] is None
    assert any(name.startswith("ema.") for name in theirs["state_dict"])
    assert len(theirs["optimizer_states"]) == 2
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)
    # counts, and what the last iteration saw: losses and spreads depend on its data, latents and noise
    torch.testing.assert_close(mine["mutoscope"].pop("latest"), theirs["mutoscope"].pop("latest"), rtol=0, atol=0)
    assert mine["mutoscope"] == theirs["mutoscope"]
    assert rows(run_dir) == rows(uninterrupted)
    assert [row["step"] for row in rows(run_dir)] == list(range(1, STEPS + 1))
    assert yaml.safe_load((run_dir / "config.yaml").read_text())["ckpt"] == "last"


def test_a_run_may_be_interrupted_again_and_again(tiny: Compose, tmp_path: Path) -> None:
    often, whole = tmp_path / "often", tmp_path / "whole"
    # within the first pass over the data, right after that, and in the middle of a later one
    for steps in (5, 6, 14, 24):
        train(config_of(tiny, f"trainer.max_steps={steps}", "ckpt=last"), often)
    train(config_of(tiny, "trainer.max_steps=24"), whole)
    mine, theirs = (read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (often, whole))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)
    # the first iteration after each start is no different from the others in what is logged
    assert rows(often) == rows(whole)


def test_nothing_to_resume_is_said_and_the_run_begins(
    tiny: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny("trainer.max_steps=1", "ckpt=last"), tmp_path)
    assert "to resume from; the run starts at iteration 0" in capsys.readouterr().out
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
