"""A run of SA-GCN that was made under the names and settings of before goes on in every way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow import SA_GCN_METRICS

from mutoscope.config.assembly import load_model
from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.formats.upgrades import MOVED
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train, write_config

Compose = Callable[..., dict[str, Any]]


def flattened(model: dict[str, Any]) -> dict[str, Any]:
    """The settings of SA-GCN as they were before they stood in nodes, written apart from the upgrade."""
    parts = ("graph", "generator", "clip_critic", "frame_critic")
    graph, generator, clip, frame = (dict(model[part]) for part in parts)
    flat = {key: value for key, value in model.items() if key not in parts}
    flat |= {**graph, **generator}
    flat |= {"clip_widths": clip.pop("widths"), "critic_streams": clip.pop("streams")}
    flat |= {
        "frame_widths": frame.pop("widths"),
        "frames": frame.pop("frames"),
        "frames_in_order": frame.pop("in_order"),
    }
    assert not {**clip, **frame}
    return flat


def renamed(config: dict[str, Any]) -> dict[str, Any]:
    """A config with the names that modules had."""
    text = json.dumps(config)
    for old, new in MOVED.items():
        text = text.replace(f'"_target_": "{new}.', f'"_target_": "{old}.')
    aged: dict[str, Any] = json.loads(text)
    return aged


@pytest.fixture
def old_run(small: Compose, tmp_path: Path) -> Path:
    """Three iterations, and then what is written of them as it was written before."""
    run_dir = tmp_path / "run"
    train(small("trainer.max_steps=3", "callbacks=default", "callbacks.media=null"), run_dir)
    for path in run_dir.glob("checkpoints/*.ckpt"):
        data = torch.load(path, weights_only=True)
        config = renamed(data["mutoscope"]["config"])
        config["model"] = flattened(config["model"])
        assert config["model"]["frames"] == 5
        assert config["trainer"]["_target_"] == "mutoscope.engine.make_trainer"
        data["mutoscope"]["config"] = config
        save_atomically(data, path)
        write_config(config, run_dir)
    return run_dir


def test_a_run_of_before_loads_evaluates_generates_and_resumes(
    old_run: Path, small: Compose, compose: Compose, tmp_path: Path
) -> None:
    last, untouched = old_run / "checkpoints" / "last.ckpt", tmp_path / "copy"
    shutil.copytree(old_run, untouched)
    model, config = load_model(last)
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(torch.equal(x, weights[name]) for name, x in model.state_dict().items())
    assert config.model["frame_critic"]["frames"] == 5
    typed = (f"checkpoint={last}", f"out={tmp_path / 'out'}", "samples_per_class=2", "recognizer.max_steps=2")
    evaluate(compose(*typed, verb="evaluate"), {"recognizer": {"max_steps": 2}, "metrics": SA_GCN_METRICS})
    assert (tmp_path / "out" / "metrics.json").is_file()
    generate(compose(f"checkpoint={old_run}", f"out={tmp_path / 'samples'}", "n=1", verb="generate"))
    assert list((tmp_path / "samples").glob("*.npy"))
    train(small("trainer.max_steps=5", "ckpt=last"), old_run)
    assert [row["step"] for row in read_metrics(old_run / "metrics.jsonl")] == [1, 2, 3, 4, 5]
    assert read_checkpoint(last)["mutoscope"]["iterations"] == 5
    # and as another run begins with it
    train(small("trainer.max_steps=1", f"ckpt={untouched / 'checkpoints' / 'last.ckpt'}"), tmp_path / "tuned")
