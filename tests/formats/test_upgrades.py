"""What was made when parts of the house had other names still loads, evaluates, generates and resumes."""

import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.config.assembly import load_model
from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.formats.upgrades import MOVED, upgraded
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import run_export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train, write_config

Compose = Callable[..., dict[str, Any]]


def aged(config: Any) -> Any:
    """The inverse of :func:`upgraded`, written apart from it."""
    text = json.dumps(config)
    for old, new in MOVED.items():
        text = text.replace(f'"_target_": "{new}.', f'"_target_": "{old}.')
    return json.loads(text)


@pytest.fixture
def old_run(trained: Path, tmp_path: Path) -> Path:
    """A run directory as it was written under the old names."""
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    for path in run_dir.glob("checkpoints/*.ckpt"):
        data = torch.load(path, weights_only=True)
        config = aged(data["mutoscope"]["config"])
        assert config["trainer"]["_target_"] == "mutoscope.engine.make_trainer"
        data["mutoscope"]["config"] = config
        save_atomically(data, path)
    write_config(config, run_dir)
    return run_dir


def test_every_old_name_leads_to_a_module_of_today() -> None:
    for old, new in MOVED.items():
        import_module(new)
        assert upgraded({"a": [{"_target_": f"{old}.Thing", "b": 1}]}) == {"a": [{"_target_": f"{new}.Thing", "b": 1}]}


@pytest.mark.parametrize(
    "target", ["mutoscope.metrics.MotionFID", "mutoscope.enginery.make_trainer", "mutoscope.engine", "torch.x", 3, None]
)
def test_other_names_stay(target: Any) -> None:
    assert upgraded({"_target_": target}) == {"_target_": target}


def test_an_old_run_generates_evaluates_exports_and_resumes(
    old_run: Path, compose: Compose, tiny: Compose, tmp_path: Path
) -> None:
    last = old_run / "checkpoints" / "last.ckpt"
    assert (
        read_checkpoint(last)["mutoscope"]["config"]["trainer"]["_target_"] == "mutoscope.training.trainer.make_trainer"
    )
    generate(compose(f"checkpoint={last}", f"out={tmp_path / 'samples'}", "n=1", verb="generate"))
    assert list((tmp_path / "samples").glob("*.npy"))
    evaluate(compose(f"checkpoint={last}", f"out={tmp_path / 'out'}", "samples_per_class=4", verb="evaluate"), {})
    assert (tmp_path / "out" / "metrics.json").is_file()
    folder = run_export(compose(f"checkpoint={last}", f"out={tmp_path / 'model'}", verb="export"), {})
    assert type(load_model(folder)[0]).__name__ == "KineticGAN"
    train(tiny("trainer.max_steps=8", "ckpt=last"), old_run)
    assert [row["step"] for row in read_metrics(old_run / "metrics.jsonl")][-1] == 8
