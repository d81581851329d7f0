"""Longer checks, run by ``make soak``: training learns, and a resumed run on two processes is the same run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from places import ROOT


def command(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)


def test_the_quickstart_learns(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command(
        "train.py", "experiment=quickstart", "trainer.max_steps=3000", f"hydra.run.dir={run}", "callbacks.media=null"
    )
    command("evaluate.py", f"checkpoint={run}/checkpoints/last.ckpt", f"out={tmp_path}/evaluation")
    rows = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["rows"]
    untrained, trained, floor = (row["metrics"] for row in rows)
    assert trained["motion_fid"] < untrained["motion_fid"] / 20
    assert trained["accuracy"] > 0.5
    assert floor["accuracy"] > 0.95
    # learnt, not copied: farther from the training clips than people never seen
    assert trained["nearest_train"] > floor["nearest_train"]


@pytest.mark.ddp
def test_two_processes_resume_as_if_nothing_had_happened(tmp_path: Path) -> None:
    settings = (
        "train.py",
        "dataset.clips_per_class=10",
        "dataset.batch_size=4",
        "model.widths=[16,16,8,8,8]",
        "model.latent=8",
        "model.mapping_depth=2",
        "metrics=none",
        "callbacks=none",
        "trainer=ddp_cpu",
        "trainer.threads=1",
        "trainer.checkpoint_every_n_steps=20",
    )
    command(*settings, "trainer.max_steps=60", f"hydra.run.dir={tmp_path}/whole")
    command(*settings, "trainer.max_steps=20", f"hydra.run.dir={tmp_path}/parts")
    command(*settings, "trainer.max_steps=60", f"hydra.run.dir={tmp_path}/parts", "ckpt=last")
    whole, parts = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
