"""Layouts trained alone: no frame networks, no weights for them, and no frames where there are none to speak of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stored import protocols_missing

from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.formats.video import read_video
from mutoscope.kinds.action_graph.results import ActionGraphEvaluation
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
FRAME_METRICS = ("frame_error", "frame_error_moving")


@pytest.fixture(scope="module")
def layouts(compose: Compose, command: tuple[str, ...], cater: tuple[str, ...], classifier_cache: Path) -> Compose:
    """``layouts("trainer.max_steps=3", ...)``: the experiment, small; it has no frames, nor settings of them."""

    def composed(*overrides: str) -> dict[str, Any]:
        chosen = ("model=ag2vid", "dataset=cater", "model.frames.", "model.discriminator.")
        typed = [setting for setting in (*command, *cater) if not setting.startswith(chosen)]
        return compose(
            "experiment=ag2vid_layouts",
            *typed,
            "recognizer.max_steps=2",
            *overrides,
        )

    return composed


def of_four(layouts: Compose, *more: str) -> dict[str, Any]:
    return layouts("trainer.max_steps=4", "model.ema_half_life=3", "metrics=none", "callbacks=none", *more)


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


@pytest.fixture(scope="module")
def run(layouts: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of four iterations, measured twice."""
    run_dir = tmp_path_factory.mktemp("runs") / "layouts"
    objective = train(
        layouts(
            "trainer.max_steps=4",
            "model.ema_half_life=3",
            "measure.every_n_steps=2",
            "measure.samples_per_class=1",
            "metrics.lpips=null",
            "metrics.lpips_generated=null",
            "callbacks.media.every_n_steps=4",
        ),
        run_dir,
    )
    assert (
        objective
        == [row for row in read_metrics(run_dir / "metrics.jsonl") if "loss/layouts" in row][-1]["loss/layouts"]
    )
    return run_dir


def test_layout_networks_are_all_there_is(run: Path) -> None:
    checkpoint = last(run)
    assert len(checkpoint["optimizer_states"]) == 1
    assert {entry["step"].item() for entry in checkpoint["optimizer_states"][0]["state"].values()} == {4}
    parts = {".".join(name.split(".")[:3]) for name in checkpoint["state_dict"] if not name.startswith("ema.")}
    assert parts == {"_generator.layouts.gcn", "_generator.layouts.rnn"}


def test_losses_and_metrics_of_layouts_are_logged_and_no_others(run: Path) -> None:
    rows = read_metrics(run / "metrics.jsonl")
    losses = {name for row in rows for name in row if name.startswith("loss/")}
    assert losses == {"loss/layouts", "loss/layout_gcn", "loss/layout_rnn"}
    assert [row["step"] for row in rows if "metric/layout_miou" in row] == [2, 4]
    measured = {name for row in rows for name in row if name.startswith("metric/")}
    assert measured >= {"metric/layout_recall_50", "metric/destination_error", "metric/action_recall"}
    assert not [name for name in measured if "frame" in name]


def test_metrics_of_frames_are_left_out_aloud_and_once(
    layouts: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(
        layouts("trainer.max_steps=2", "measure.every_n_steps=1", "measure.samples_per_class=1", "callbacks=none"),
        tmp_path / "run",
    )
    said = " ".join(capsys.readouterr().out.split())
    for name in FRAME_METRICS:
        assert said.count(f"The metric {name} is left out: it compares fake_frames, and there are none.") == 1


def test_boxes_are_drawn_on_the_first_frame(run: Path) -> None:
    frames, _ = read_video(run / "media" / "step=00000004" / "clip00.mp4")[:2]
    # true, true layout and predicted layout side by side
    assert 3 * 256 <= frames.shape[2] < 4 * 256


def test_an_interrupted_run_ends_as_an_uninterrupted_one(layouts: Compose, run: Path, tmp_path: Path) -> None:
    for steps in (1, 3, 4):
        torch.manual_seed(99)
        train(of_four(layouts, f"trainer.max_steps={steps}", "ckpt=last"), tmp_path)
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(last(tmp_path)[part], last(run)[part], rtol=0, atol=0)


@pytest.fixture(scope="module")
def result(compose: Compose, run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ActionGraphEvaluation, Path]:
    config = compose(
        "checkpoint=x",
        "metrics=action_graph",
        "metrics.lpips=null",
        "metrics.lpips_generated=null",
        "recognizer=tracks",
        "recognizer.max_steps=2",
        "samples_per_class=1",
        "accelerator=cpu",
        verb="evaluate",
    )
    out = tmp_path_factory.mktemp("evaluation") / "out"
    config |= {"checkpoint": str(run / "checkpoints" / "last.ckpt"), "out": str(out)}
    return evaluate(config, {"metrics": {"": "action_graph"}, "recognizer": {"": "tracks"}}), out


def test_an_evaluation_has_the_rows_of_table_4_and_none_of_frames(
    result: tuple[ActionGraphEvaluation, Path],
) -> None:
    written = json.loads((result[1] / "metrics.json").read_text())
    assert [row["name"] for row in written["layouts"]] == [
        "GCN",
        "RNN",
        "rule",
        "copy first frame",
        "random",
        "ground truth",
    ]
    assert not set(FRAME_METRICS) & set(written["layouts"][0]["metrics"])
    assert written["frames"] == []
    assert written["protocol"]["frames"] is None
    rows = {row["question"]: row for row in written["control"]}
    assert rows["slide: starts when asked"]["cases"] > 0
    # turning moves no box, and there are no pixels to see it in
    assert rows["rotate: starts when asked"] == {
        "question": "rotate: starts when asked",
        "cases": 0,
        "value": None,
        "by_chance": 0.5,
        "deviation": None,
        "absent": "no clip shows this action.",
        "protocol": rows["rotate: starts when asked"]["protocol"],
    }
    assert protocols_missing(written) == []
    assert "There are none: layouts were trained alone" in (result[1] / "report.html").read_text()


def test_generating_shows_the_layout_on_the_first_frame(
    compose: Compose, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = export(run / "checkpoints" / "last.ckpt", tmp_path / "exported")
    config = compose("checkpoint=x", "accelerator=cpu", "clip=0", "length=6", verb="generate")
    card = " ".join((exported / "README.md").read_text().split())
    assert "boxes of all objects in all frames, no pictures" in card
    assert "sample.boxes #" in card
    assert "sample.fake" not in card
    made = []
    for checkpoint in (run / "checkpoints" / "last.ckpt", exported):
        out = tmp_path / f"out{len(made)}"
        dataset = {k: v for k, v in last(run)["mutoscope"]["config"]["dataset"].items() if k in ("root", "cache_dir")}
        made.append(generate(config | {"checkpoint": str(checkpoint), "out": str(out), "dataset": dataset}))
        assert {path.name for path in out.iterdir()} == {
            "first_frame.png",
            "clip0.yaml",
            "clip0_boxes.mp4",
            "clip0_graph.png",
            "clip0_layout.npy",
        }
        assert np.load(out / "clip0_layout.npy", allow_pickle=False).shape[1:] == (6, 4)
    said = " ".join(capsys.readouterr().out.split())
    assert "draws no frames (model.frames=null); videos show boxes on the first frame" in said
    assert torch.equal(made[0].boxes, made[1].boxes)
