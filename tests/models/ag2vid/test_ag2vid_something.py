"""AG2Vid on Something-Something V2, whose words are others: eight actions, a hand, no image node, no destinations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from something_tree import write_something_tree

from mutoscope.formats.graph_files import read_action_graph
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run_dir(
    compose: Compose, command: tuple[str, ...], classifier_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("something")
    config = compose(
        *command,
        "dataset=smthv2",
        f"dataset.root={write_something_tree(folder / 'root')}",
        f"dataset.cache_dir={folder / 'cache'}",
        "dataset.cache_workers=1",
        "dataset.mapping=mapping.json",
        "dataset.size=32",
        "dataset.length=6",
        "dataset.frames_length=3",
        "trainer.max_steps=2",
        "recognizer.max_steps=1",
        "measure.samples_per_class=1",
        "callbacks=none",
    )
    train(config, folder / "run")
    return folder / "run"


def test_what_cannot_be_measured_here_does_not_stop_a_training(run_dir: Path) -> None:
    (measured,) = (row for row in read_metrics(run_dir / "metrics.jsonl") if "metric/layout_miou" in row)
    assert measured["step"] == 2
    assert "metric/frame_error_moving" in measured
    assert "metric/destination_error" not in measured


def test_control_asks_with_the_words_of_these_data(compose: Compose, run_dir: Path, tmp_path: Path) -> None:
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    config = compose("checkpoint=x", "accelerator=cpu", "samples_per_class=1", verb="evaluate")
    config |= {"checkpoint": str(checkpoint), "out": str(tmp_path / "out")}
    evaluate(config, {"recognizer": {"max_steps": 1}})
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    cases = {row["question"]: row["cases"] for row in written["control"]}
    assert cases["up: starts when asked"] == 1
    assert cases["uncover: starts when asked"] == 0
    assert cases["right_up: all its actions recognised"] == 1
    assert not any("destination" in question for question in cases)
    assert all(row["metrics"]["destination_error"] is None for row in written["layouts"])


def test_a_clip_can_be_written_down_and_made_again(compose: Compose, run_dir: Path, tmp_path: Path) -> None:
    config = compose("checkpoint=x", "accelerator=cpu", verb="generate")
    config |= {"checkpoint": str(run_dir / "checkpoints" / "last.ckpt")}
    generate({**config, "clip": 0, "out": str(tmp_path / "first")})
    graph = read_action_graph(tmp_path / "first" / "clip0.yaml")
    assert graph.names == ("cup", "hand")
    asked = {"prompt": str(tmp_path / "first" / "clip0.yaml"), "first_frame": str(tmp_path / "first/first_frame.png")}
    generate({**config, **asked, "out": str(tmp_path / "again")})
    # a graph in words holds six digits, so the last bit of a pixel may differ
    layouts = [np.load(tmp_path / run / "clip0_layout.npy", allow_pickle=False) for run in ("first", "again")]
    np.testing.assert_allclose(*layouts, atol=1e-3)
