"""``train`` for video from action graphs: the command itself, what is measured and drawn, and what a resumed run is."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from loopback import serving
from places import ROOT
from tiny_extractors import frames_extractor
from torchvision import models

from mutoscope.cli import main as cli
from mutoscope.config.assembly import load_model
from mutoscope.evaluators import distances
from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.formats.video import read_video
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.formats.weights_manifest import MANIFEST
from mutoscope.models import step_in_backward
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


def rows(run_dir: Path) -> list[dict[str, float]]:
    """What was logged, without the speed."""
    return [
        {name: value for name, value in row.items() if name != "health/iterations_per_second"}
        for row in read_metrics(run_dir / "metrics.jsonl")
    ]


def test_the_command_trains_on_a_tree_in_caters_format(
    cater: tuple[str, ...],
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = [*command, *cater, "metrics=none", "callbacks=none", "trainer.max_steps=2", "objective=loss/generator"]
    monkeypatch.chdir(tmp_path)
    # as it was afterwards, whatever the command leaves there
    monkeypatch.setenv("MUTOSCOPE_COMMAND", "[]")
    monkeypatch.delenv("MUTOSCOPE_COMMAND")
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *typed])
    cli.main("train")
    said = " ".join(capsys.readouterr().out.split())
    assert "Dataset cater: 3 training and 4 validation clips of 8 frames at 8 fps" in said
    (run_dir,) = (tmp_path / "outputs" / "ag2vid_cater").iterdir()
    assert {p.name for p in run_dir.iterdir()} == {
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "metrics.csv",
        "checkpoints",
        ".run.lock",
    }
    assert last(run_dir)["mutoscope"]["iterations"] == 2
    script, first, *_ = json.loads((run_dir / "run.json").read_text())["command"]
    assert (Path(script).name, first) == ("train.py", "model=ag2vid")
    assert yaml.safe_load((run_dir / "config.yaml").read_text())["model"]["frames"]["perceptual"] == "discriminator"


def test_what_is_measured_while_training_is_logged(trained_ag2vid: Path) -> None:
    logged = read_metrics(trained_ag2vid / "metrics.jsonl")
    losses = [row for row in logged if "loss/generator" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    for name in ("flow", "feature_matching", "adversarial", "discriminator", "layout_gcn", "layout_rnn"):
        assert all(f"loss/{name}" in row for row in losses), name
    measured = [row for row in logged if "metric/layout_miou" in row]
    assert [row["step"] for row in measured] == [2, 4]
    for row in measured:
        assert {name for name in row if name.startswith("metric/")} >= {
            "metric/layout_miou_moving",
            "metric/layout_recall_30",
            "metric/destination_error",
            "metric/action_recall",
            "metric/frame_error",
        }
        # no pixel of these videos changes by much: the metric is left out, the training goes on
        assert "metric/frame_error_moving" not in row


def test_true_and_generated_clips_are_drawn_while_training(trained_ag2vid: Path) -> None:
    (folder,) = (trained_ag2vid / "media").iterdir()
    assert folder.name == "step=00000004"
    assert sorted(path.name for path in folder.iterdir()) == ["clip00.mp4", "clip01.mp4"]
    frames, fps = read_video(folder / "clip00.mp4")[:2]
    assert len(frames) == 8
    assert fps == 8
    # true, true layout, generated and predicted layout side by side, each enlarged to at least 256 pixels
    assert frames.shape[2] >= 4 * 256
    assert frames.std() > 0


def test_every_optimiser_has_moved(trained_ag2vid: Path) -> None:
    checkpoint = last(trained_ag2vid)
    assert len(checkpoint["optimizer_states"]) == 3
    for state in checkpoint["optimizer_states"]:
        assert {entry["step"].item() for entry in state["state"].values()} == {4}
    assert any(name.startswith("ema.") for name in checkpoint["state_dict"])


@pytest.fixture(scope="module")
def uninterrupted(small: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(of_five(small), run_dir)
    return run_dir


def of_five(small: Compose, *more: str) -> dict[str, Any]:
    # with three videos and two clips a batch, passes end within batches
    return small("trainer.max_steps=5", "model.layout.rivals=[rnn]", "model.ema_half_life=3", *more)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(small: Compose, uninterrupted: Path, tmp_path: Path) -> None:
    for steps in (1, 3, 5):
        torch.manual_seed(99)
        train(of_five(small, f"trainer.max_steps={steps}", "ckpt=last"), tmp_path)
    mine, theirs = last(tmp_path), last(uninterrupted)
    assert len(theirs["optimizer_states"]) == 3
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)
    assert rows(tmp_path) == rows(uninterrupted)


def test_steps_within_the_backward_pass_change_no_run(
    small: Compose, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_in_backward, "COLLECTED", 1000)
    train(of_five(small, "model.steps_in_backward=true", "model.frames.checkpoint_activations=true"), tmp_path)
    mine, theirs = last(tmp_path), last(uninterrupted)
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(mine[part], theirs[part])
    for ours, others in zip(rows(tmp_path), rows(uninterrupted), strict=True):
        assert ours == pytest.approx(others, rel=1e-3)


@pytest.mark.parametrize(
    ("override", "told"), [("model.clip_norm=1", "clip_norm"), ("model.micro_batches=2", "micro_batches above 1")]
)
def test_steps_within_the_backward_pass_exclude_what_needs_all_gradients(
    small: Compose, tmp_path: Path, override: str, told: str
) -> None:
    with pytest.raises(ValueError, match=f"does not go together with {told}; switch one of them off"):
        train(small("trainer.max_steps=1", "model.steps_in_backward=true", override), tmp_path)


def test_measuring_and_drawing_do_not_change_a_run(small: Compose, trained_ag2vid: Path, tmp_path: Path) -> None:
    train(small("trainer.max_steps=4", "model.layout.rivals=[rnn]", "model.ema_half_life=2"), tmp_path)
    mine, theirs = last(tmp_path), last(trained_ag2vid)
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(mine[part], theirs[part], rtol=0, atol=0)


def test_a_preset_is_measured_by_its_name_and_changes_no_loss(
    small: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``+metrics.fid=standard/fid``: the loss curve with it is, bit by bit, the one without."""
    monkeypatch.setattr(distances, "inception_extractor", frames_extractor)
    steps = ("trainer.max_steps=3", "measure.every_n_steps=1", "measure.samples_per_class=1")
    train(small(*steps), tmp_path / "without")
    train(small(*steps, "+metrics.fid=standard/fid", "+metrics.psnr=standard/psnr"), tmp_path / "with")
    rows = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("without", "with")]
    losses = [
        [{k: v for k, v in row.items() if k.startswith("loss/")} for row in run if any("loss/" in k for k in row)]
        for run in rows
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    measured = [row for row in rows[1] if "metric/fid" in row]
    assert len(measured) == 3
    assert all(row["metric/fid"] >= 0 and row["metric/psnr"] > 0 for row in measured)
    mine, theirs = last(tmp_path / "with"), last(tmp_path / "without")
    torch.testing.assert_close(mine["state_dict"], theirs["state_dict"], rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"metrics\.fid is 'standard/fidd', .*did you mean 'standard/fid'\?"):
        small("+metrics.fid=standard/fidd")


def test_a_tiny_quickstart_trains_on_toy_blocks(
    compose: Compose, command: tuple[str, ...], tmp_path: Path, classifier_cache: Path, blocks_cache: Path
) -> None:
    config = compose(
        "experiment=quickstart_ag2vid",
        # the recipe has perceptual losses of its own, none, and no discriminator
        *(s for s in command if not s.startswith(("model=", "model.frames.perceptual=", "model.discriminator."))),
        "dataset.videos=1",
        "dataset.val_videos=1",
        "dataset.test_videos=1",
        "dataset.size=32",
        "dataset.batch_size=2",
        "dataset.layout_batch_size=2",
        f"dataset.cache_dir={blocks_cache}",
        "dataset.cache_workers=1",
        "recognizer.max_steps=1",
        "trainer.max_steps=2",
    )
    objective = train(config, tmp_path / "run")
    (measured,) = (row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "metric/frame_error" in row)
    assert objective == measured["metric/frame_error"]
    assert measured["metric/frame_error_moving"] > measured["metric/frame_error"] > 0
    assert (tmp_path / "run" / "media" / "step=00000002" / "clip00.mp4").is_file()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["dataset.root=null"], FileNotFoundError, r"cater was given no folder; .*Set dataset\.root="),
        (["model.layout.name=lstm"], ValueError, "lstm"),
        (["model.layout.rivals=[rule]"], ValueError, "rivals names 'rule', which does not learn"),
        (["dataset.size=48"], ValueError, "size is 48, expected a multiple of 32"),
        (
            ["dataset.batch_size=1", "model.frames.previous=generated"],
            ValueError,
            r"one value per channel.*dataset\.batch_size",
        ),
        (
            ["model.micro_batches=2", "model.frames.per_frame=true"],
            ValueError,
            r"one value per channel.*model\.micro_batches",
        ),
        (["model.micro_batches=3"], ValueError, "mini-batch of 2 cannot be worked off in 3 equal parts"),
        (
            ["model.frames.perceptual=vgg19", "model.frames.perceptual_weights=nowhere.pth"],
            MissingWeightsError,
            r"nowhere\.pth",
        ),
    ],
)
def test_what_cannot_be_trained_is_said(
    small: Compose, tmp_path: Path, overrides: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(small("trainer.max_steps=1", *overrides), tmp_path / "run")


def test_missing_weights_are_said_before_data_are_prepared(small: Compose, tmp_path: Path) -> None:
    settings = ("model.frames.perceptual=vgg19", "model.frames.perceptual_weights=nowhere.pth", "dataset.root=nowhere")
    with pytest.raises(MissingWeightsError, match=r"nowhere\.pth.*model\.frames\.perceptual_weights=.*discriminator"):
        train(small("trainer.max_steps=1", *settings), tmp_path / "run")
    # without frames no weights are needed, so it goes on to the data
    alone = small("trainer.max_steps=1", *settings, "model.frames=null", "model.discriminator=null")
    with pytest.raises(FileNotFoundError, match=r"dataset\.root"):
        train(alone, tmp_path / "run")


def test_missing_weights_are_fetched_by_one_more_word(
    small: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fresh machine lacks comes before the data are looked at, once, and is used."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("MUTOSCOPE_WEIGHTS", raising=False)
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "squeeze.pth")
    settings = ("trainer.max_steps=1", "model.frames.perceptual=squeezenet")
    with serving({"/squeeze": (tmp_path / "squeeze.pth").read_bytes()}) as server:
        entry = replace(MANIFEST["squeezenet1_1"], file="squeeze.pth", url=f"{server.url}/squeeze", sha256="")
        monkeypatch.setitem(MANIFEST, "squeezenet1_1", entry)
        with pytest.raises(MissingWeightsError, match=r"Add weights=fetch"):
            train(small(*settings), tmp_path / "without")
        train(small(*settings, "weights=fetch"), tmp_path / "run")
    assert server.asked == [""]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    assert (tmp_path / "torch" / "hub" / "checkpoints" / "squeeze.pth").is_file()


def test_motion_is_no_data_for_it(compose: Compose, command: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"AG2Vid takes action_graph data, but .*'toy_motion' yields motion; .*cater"):
        train(compose(*command, "dataset=toy_motion"), tmp_path)


def flattened(model: dict[str, Any]) -> dict[str, Any]:
    """The settings of AG2Vid as they were before they stood in nodes, written apart from the upgrade."""
    layout, frames, critic = (dict(model[part]) for part in ("layout", "frames", "discriminator"))
    flow, spade = frames.pop("flow"), frames.pop("spade")
    others = {key: value for key, value in model.items() if key not in ("layout", "frames", "discriminator")}
    flat = {"layout": layout["name"], "frames": True, "discriminator": True, **others}
    flat |= {"layout_truncate": layout["truncate"], "layout_beta": layout["beta"], "graph_layers": layout["layers"]}
    flat |= {key: layout[key] for key in ("rivals", "clip_progress", "only_actions", "geometry_gain")}
    flat |= {f"flow_{key}": value for key, value in flow.items()}
    flat |= {"ngf": spade["width"], "spade_hidden": spade["hidden"], "upsampling": spade["upsampling"]}
    flat |= {"frames_truncate": frames.pop("truncate"), **frames}
    flat |= {"carry_state": critic.pop("carry_state"), "adversarial": critic.pop("loss")}
    return flat | {f"discriminator_{key}": value for key, value in critic.items()}


def test_a_run_with_the_settings_of_before_loads_generates_and_resumes(
    trained_ag2vid: Path, small: Compose, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(trained_ag2vid, run_dir)
    for path in run_dir.glob("checkpoints/*.ckpt"):
        data = torch.load(path, weights_only=True)
        data["mutoscope"]["config"]["model"] = flattened(data["mutoscope"]["config"]["model"])
        assert data["mutoscope"]["config"]["model"]["ngf"] == 4
        save_atomically(data, path)
    path = run_dir / "checkpoints" / "last.ckpt"
    old, _ = load_model(path)
    now, _ = load_model(trained_ag2vid / "checkpoints" / "last.ckpt")
    weights = now.state_dict()
    assert all(torch.equal(x, weights[name]) for name, x in old.state_dict().items())
    assert old.layouts == now.layouts  # type: ignore[attr-defined]
    train(small("trainer.max_steps=5", "model.layout.rivals=[rnn]", "model.ema_half_life=2", "ckpt=last"), run_dir)
    assert last(run_dir)["mutoscope"]["iterations"] == 5
