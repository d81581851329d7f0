"""Models that only warp frames: nothing that would draw is built, and checkpoints that have it still go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mutoscope.config.assembly import load_model
from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction
from mutoscope.models.ag2vid.settings import FrameTraining
from mutoscope.nn.spade import SpadeSettings
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
WARPS = ("model.frames.perceptual=none", "model.discriminator=null", "model.ema_half_life=3")


def last(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / "last.ckpt"


def warping(small: Compose, *more: str) -> dict[str, Any]:
    """A training whose generator has parameters before and after those that would draw."""
    return small(*WARPS, "model.frames.carry_objects=true", *more)


@pytest.fixture(scope="module")
def run(small: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("warps") / "run"
    train(warping(small, "trainer.max_steps=2"), run_dir)
    return run_dir


def aged(path: Path, drawing: nn.ModuleDict, to: Path) -> Path:
    """The checkpoint as it was written when ``drawing`` was built and left unused."""
    data = torch.load(path, weights_only=True)
    weights, names = {}, list(data["state_dict"])
    for name in names:
        for prefix in ("_generator.frames.", "ema.network.frames."):
            # they stood between the flow network and what cuts objects out
            if name.startswith(f"{prefix}cutouts.") and f"{prefix}fuse.conv.weight" not in weights:
                weights |= {prefix + key: value.clone() for key, value in drawing.state_dict().items()}
        weights[name] = data["state_dict"][name]
    parameters = {f"_generator.frames.{name}" for name, _ in drawing.named_parameters()}
    model, _ = load_model(path)
    mine = [name for name, _ in model.named_parameters() if name.startswith("_generator.") and ".layouts." not in name]
    order = [name for name in weights if name in {*mine, *parameters}]
    (number,) = (
        i for i, state in enumerate(data["optimizer_states"]) if len(state["param_groups"][0]["params"]) == len(mine)
    )
    state = data["optimizer_states"][number]
    data["optimizer_states"][number] = {
        "state": {order.index(mine[place]): moments for place, moments in state["state"].items()},
        "param_groups": [{**group, "params": list(range(len(order)))} for group in state["param_groups"]],
    }
    data["state_dict"] = weights
    del data["mutoscope"]["sha256"]
    to.parent.mkdir(parents=True)
    save_atomically(data, to)
    return to


@pytest.fixture
def old(run: Path, tmp_path: Path) -> Path:
    settings = FrameTraining(spade=SpadeSettings(width=4, hidden=8), carry_objects=True)
    made = FrameGeneratingFunction((3, 3), settings, width=8)
    drawing = nn.ModuleDict({"fuse": made.fuse, "generator": made.generator})
    return aged(last(run), drawing, last(tmp_path / "old"))


def test_what_would_draw_is_not_built(run: Path) -> None:
    names = read_checkpoint(last(run))["state_dict"]
    assert any(".flow." in name for name in names)
    assert not [name for name in names if ".fuse." in name or ".generator." in name]


def test_a_checkpoint_of_before_is_the_same_model(run: Path, old: Path) -> None:
    assert len(read_checkpoint(old)["state_dict"]) > len(read_checkpoint(last(run))["state_dict"])
    before, now = load_model(old)[0].state_dict(), load_model(last(run))[0].state_dict()
    assert before.keys() == now.keys()
    assert all(torch.equal(before[name], value) for name, value in now.items())


def test_a_run_of_before_goes_on_as_one_of_today(small: Compose, run: Path, old: Path, tmp_path: Path) -> None:
    train(warping(small, "trainer.max_steps=4"), tmp_path / "whole")
    train(warping(small, "trainer.max_steps=4", "ckpt=last"), old.parents[1])
    mine, theirs = read_checkpoint(old), read_checkpoint(last(tmp_path / "whole"))
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)


def test_another_run_begins_with_its_moments(small: Compose, run: Path, old: Path, tmp_path: Path) -> None:
    found = []
    for name, path in (("before", old), ("now", last(run))):
        train({**warping(small, "trainer.max_steps=1", "moments=true"), "ckpt": str(path)}, tmp_path / name)
        found.append(read_checkpoint(last(tmp_path / name)))
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(found[0][part], found[1][part], rtol=0, atol=0)
