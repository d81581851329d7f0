"""SA-GCN interrupted and resumed ends, bit by bit, where an uninterrupted run does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
STEPS = 9
OPTIMIZERS = ("clip_critic", "frame_critic", "generator")


def config_of(small: Compose, steps: int, *more: str) -> dict[str, Any]:
    # five batches make a pass, so some interruptions fall within one
    config = small(f"trainer.max_steps={steps}", "trainer.checkpoint_every_n_steps=4", "model.ema_half_life=8", *more)
    schedule = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "_partial_": True, "gamma": 0.9}
    config["model"]["schedulers"] = dict.fromkeys(OPTIMIZERS, schedule)
    return config


def rows(run_dir: Path) -> list[dict[str, float]]:
    """What was logged, without the speed."""
    return [
        {name: value for name, value in row.items() if name != "health/iterations_per_second"}
        for row in read_metrics(run_dir / "metrics.jsonl")
    ]


@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_a_resumed_run_is_the_uninterrupted_one(small: Compose, variant: str, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    chosen = f"model.graph.variant={variant}"
    train(config_of(small, STEPS, chosen), whole)
    for steps in (3, 4, 7, STEPS):
        train(config_of(small, steps, chosen, "ckpt=last"), broken)
    mine, theirs = (read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (broken, whole))
    assert len(theirs["optimizer_states"]) == len(theirs["lr_schedulers"]) == 3
    for state in theirs["optimizer_states"]:
        assert {int(moments["step"]) for moments in state["state"].values()} == {STEPS}
    assert any(name.startswith("ema.") for name in theirs["state_dict"])
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)
    # losses of the last iteration depend on its clips, its noise and its picks of frames
    torch.testing.assert_close(mine["mutoscope"]["latest"], theirs["mutoscope"]["latest"], rtol=0, atol=0)
    assert rows(broken) == rows(whole)
    assert [row["step"] for row in rows(broken)] == list(range(1, STEPS + 1))
