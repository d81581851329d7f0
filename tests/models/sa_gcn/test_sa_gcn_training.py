"""Training and generating with the whole model, on people made up on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.config.assembly import load_model
from mutoscope.config.nodes import build
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.structures import H36M15, DatasetInfo, Normaliser
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
TINY = (
    "model=sa_gcn",
    "dataset=toy_motion",
    "dataset.clips_per_class=8",
    "dataset.val_clips_per_class=4",
    "dataset.classes=[walk,wave,kick]",
    "dataset.length=8",
    "dataset.fps=15",
    "dataset.batch_size=8",
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
    "metrics=none",
    "callbacks=none",
)


def last(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / "last.ckpt"


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(last(run_dir))["state_dict"]
    return state


@pytest.fixture(scope="module")
def run(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("sa_gcn")
    train(compose(*TINY, "trainer.max_steps=4"), run_dir)
    return run_dir


def test_all_three_networks_move_in_every_iteration(run: Path) -> None:
    checkpoint = read_checkpoint(last(run))
    steps = [next(iter(o["state"].values()))["step"].item() for o in checkpoint["optimizer_states"]]
    assert steps == [4, 4, 4]
    rows = read_metrics(run / "metrics.jsonl")
    names = {f"loss/{name}" for name in ("clip_critic", "frame_critic", "generator")}
    assert len(rows) == 4
    assert all(
        names | {"health/critic_gap", "health/frame_critic_gap", "health/fake_spread"} <= set(row) for row in rows
    )
    assert all(row["health/critic_gap"] != row["health/frame_critic_gap"] for row in rows)


@pytest.mark.parametrize(
    "changes",
    [
        ["model.graph.variant=reference"],
        ["model.class_weight=1", "model.graph.layer=st_gc", "model.frame_critic.in_order=true"],
        ["model.graph.layer=cnn", "model.graph.kernel=[3,3]", "dataset.channels=2"],
        ["model.graph.coordinates=channels", "trainer.precision=bf16-mixed", "model.ema_half_life=16"],
        ["model.penalty_weight=10", "model.clip_critic.streams=[joints,velocities]", "dataset.scaling=joint"],
        ["model.penalty_weight=10", "model.micro_batches=2", "trainer.precision=bf16-mixed"],
    ],
    ids=["reference", "classes", "plane", "bf16", "penalty", "penalty_bf16"],
)
def test_other_settings_train_and_generate(compose: Compose, tmp_path: Path, changes: list[str]) -> None:
    train(compose(*TINY, "trainer.max_steps=2", *changes), tmp_path)
    model, _ = load_model(last(tmp_path))
    fake = model.generate(torch.tensor([0, 2]), seed=1).fake
    assert fake.shape == (2, 8, 25, model.info.channels)
    assert bool(torch.isfinite(fake).all())


def test_parts_of_a_batch_come_to_the_whole(compose: Compose, tmp_path: Path) -> None:
    moved = {}
    for parts in (1, 2):
        config = compose(*TINY, "trainer.max_steps=1", f"model.micro_batches={parts}")
        for name in config["model"]["optimizers"]:
            config["model"]["optimizers"][name] = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 1.0}
        train(config, tmp_path / str(parts))
        moved[parts] = weights(tmp_path / str(parts))
    torch.testing.assert_close(moved[1], moved[2], atol=1e-5, rtol=1e-4)


def test_generating(run: Path) -> None:
    model, _ = load_model(last(run))
    label = torch.tensor([0, 1, 2, 1])
    sample = model.generate(label, seed=3)
    assert torch.equal(sample.label, label)
    assert torch.equal(sample.fake, model.generate(label, seed=3).fake)
    assert not torch.equal(sample.fake, model.generate(label, seed=4).fake)
    torch.testing.assert_close(sample.fake, model.generate(label, seed=3, batch_size=3).fake, atol=1e-5, rtol=1e-5)
    longer = model.generate(label, length=11)
    assert longer.fake.shape[1] == longer.info.length == 11
    still = model.generate(torch.tensor([1, 1]), seed=3, truncation=0.0).fake
    assert torch.equal(still[0], still[1])
    mixed = model.generate(torch.tensor([[0.6, 0.4, 0.0]]), seed=3)
    assert mixed.label.tolist() == [0]
    assert not torch.equal(mixed.fake, model.generate(torch.tensor([0]), seed=3).fake)


def test_what_the_model_refuses() -> None:
    info = DatasetInfo(
        "made up", "motion", ("a", "b"), 25.0, 8, 2, H36M15, normaliser=Normaliser((0.0, 0.0), (1.0, 1.0))
    )
    adam = dict.fromkeys(("clip_critic", "frame_critic", "generator"), torch.optim.Adam)
    for changes, message in (
        ({"generator": {"widths": (1, 2)}}, r"model\.generator\.widths has 2 numbers, expected 3"),
        ({"clip_critic": {"widths": (1, 2, 3)}}, r"clip_critic\.widths has 3 numbers, expected 4"),
        ({"graph": {"kernel": (3,)}}, r"graph\.kernel has 1 numbers, expected 2"),
        ({"graph": {"kernel": ()}}, r"graph\.kernel has 0 numbers, expected 2"),
        ({"graph": {"kpt": 0}}, r"model\.graph\.kpt is not a setting of GraphSettings; did you mean 'kept'"),
        ({"graph": {"kept": 0, "self_loop": 0.1}}, "self_loop is 0.1, but with kept=0"),
        ({"graph": {"variant": "reference", "random_start": False}}, "random_start was set"),
    ):
        with pytest.raises(ValueError, match=message):
            build({"_target_": "mutoscope.models.sa_gcn.module.SAGCN", **changes}, "model", info=info, optimizers=adam)
