"""Models trained on a small Human3.6M, and on joints scaled one by one: training, export, generation, evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from human36m_tree import write_tree

from mutoscope.config.assembly import load_model
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.structures import MotionSample
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
QUICK = (
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
    "trainer.max_steps=2",
    "metrics=none",
    "callbacks=none",
)
SA_GCN = (
    "model=sa_gcn",
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
)
KINETIC_GAN = ("model=kinetic_gan", "model.widths=[16,16,8,8,8]", "model.latent=8")


@pytest.fixture(scope="module")
def human36m(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides for three people and two actions."""
    root = write_tree(tmp_path_factory.mktemp("human36m") / "tree", frames=70, actions=["Eating", "Walking"])
    return (
        "dataset=human36m",
        f"dataset.root={root}",
        f"dataset.cache_dir={root.parent / 'cache'}",
        "dataset.train_subjects=[1,5]",
        "dataset.classes=[Eating,Walking]",
        "dataset.skip=10",
        "dataset.length=16",
        "dataset.batch_size=8",
    )


def trained(config: dict[str, Any], run_dir: Path) -> Path:
    train(config, run_dir)
    rows = read_metrics(run_dir / "metrics.jsonl")
    losses = [value for row in rows for name, value in row.items() if name.startswith("loss/")]
    assert losses
    assert np.isfinite(losses).all()
    return run_dir / "checkpoints" / "last.ckpt"


def generated(checkpoint: Path, out: Path, compose: Compose, **changes: Any) -> MotionSample:
    config = compose("accelerator=cpu", "checkpoint=x", "n=2", verb="generate")
    sample = generate(config | {"checkpoint": str(checkpoint), "out": str(out), **changes})
    assert isinstance(sample, MotionSample)
    assert torch.isfinite(sample.fake).all()
    return sample


def test_sa_gcn_learns_from_its_z_scores(compose: Compose, human36m: tuple[str, ...], tmp_path: Path) -> None:
    checkpoint = trained(compose(*QUICK, *SA_GCN, *human36m), tmp_path / "run")
    model, _ = load_model(checkpoint)
    info = model.info
    assert info.need_normaliser().joints == 15
    assert (info.need_skeleton().name, info.units, info.channels) == ("h36m15", "px", 2)
    assert read_checkpoint(checkpoint)["mutoscope"]["info"] == info.to_dict()
    sample = generated(checkpoint, tmp_path / "out", compose)
    assert sample.fake.shape == (4, 16, 15, 2)
    assert {"000_eating.mp4", "001_walking.mp4", "sheet.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    folder = export(checkpoint, tmp_path / "model")
    again = generated(folder, tmp_path / "again", compose)
    assert torch.equal(again.fake, sample.fake)
    assert again.info == sample.info


def test_kinetic_gan_gets_sixteen_joints_in_its_range(
    compose: Compose, human36m: tuple[str, ...], tmp_path: Path
) -> None:
    config = compose(*QUICK, *KINETIC_GAN, *human36m)
    assert (config["dataset"]["skeleton"], config["dataset"]["scaling"]) == ("h36m16", "joint_array")
    sample = generated(trained(config, tmp_path / "run"), tmp_path / "out", compose)
    assert sample.fake.shape == (4, 16, 16, 2)


def test_an_evaluation_measures_pictures(
    compose: Compose, human36m: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUTOSCOPE_CACHE", str(tmp_path / "cache"))
    checkpoint = trained(compose(*QUICK, *SA_GCN, *human36m), tmp_path / "run")
    settings = ("checkpoint=x", "recognizer.max_steps=2", "samples_per_class=3", "accelerator=cpu", "metrics=sa_gcn")
    narrow = {"accuracy_clip_critic": {"recognizer": {"max_steps": 2, "model": {"widths": [12, 10, 14, 6]}}}}
    config = compose(*settings, verb="evaluate") | {"checkpoint": str(checkpoint), "out": str(tmp_path / "out")}
    evaluation = evaluate(config, {"dataset": {}, "metrics": narrow})
    # untrained, trained, three foils, two floors
    assert len(evaluation.rows) == 7
    values = [value for row in evaluation.rows[:2] for value in row.values.values()]
    assert np.isfinite(np.array(values, dtype=float)).all()
    assert "paper/sa_gcn_mmd" in evaluation.rows[0].values
    assert "bone_drift" not in evaluation.rows[0].values


@pytest.mark.parametrize("model", [SA_GCN, KINETIC_GAN])
@pytest.mark.parametrize("rule", ["in_place", "none"])
def test_joints_of_toy_people_are_scaled_one_by_one(
    compose: Compose, tmp_path: Path, model: tuple[str, ...], rule: str
) -> None:
    toy = ("dataset=toy_motion", "dataset.clips_per_class=8", "dataset.val_clips_per_class=2", "dataset.length=16")
    toy += ("dataset.classes=[walk,wave]", "dataset.batch_size=8", "dataset.scaling=joint")
    checkpoint = trained(compose(*QUICK, *model, *toy, f"dataset.root_rule={rule}"), tmp_path / "run")
    loaded, _ = load_model(checkpoint)
    normaliser = loaded.info.need_normaliser()
    assert normaliser.joints == 25
    # where the root is held it does not vary
    assert normaliser.scale[0][0] == 1.0  # type: ignore[index]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mutoscope.kinds.motion.generated.save_motion_gallery", lambda *args, **kwargs: [])
        sample = generated(checkpoint, tmp_path / "out", compose)
        again = generated(export(checkpoint, tmp_path / "model"), tmp_path / "again", compose)
    assert torch.equal(again.fake, sample.fake)


def test_bones_are_not_taken_of_joints_that_are_scaled_apart(compose: Compose, tmp_path: Path) -> None:
    toy = ("dataset=toy_motion", "dataset.clips_per_class=2", "dataset.val_clips_per_class=1", "dataset.scaling=joint")
    config = compose(*QUICK, *KINETIC_GAN, *toy, "model.critic_streams=[joints,bones]")
    with pytest.raises(ValueError, match=r"differences of joints are no bones; use dataset\.scaling=array"):
        train(config, tmp_path / "run")
