"""GLASS through the front door: train, resume, measure, evaluate, steer, export, import."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stored import numbers, protocols_missing

from mutoscope.config.assembly import load_model, prepared
from mutoscope.data.sampling import clips_of
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.metrics import ChanceInformation
from mutoscope.models.glass.module import Glass
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import run_export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


def last(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / "last.ckpt"


def test_a_run_is_measured_and_shown(trained_glass: Path) -> None:
    rows = read_metrics(trained_glass / "metrics.jsonl")
    assert [row["step"] for row in rows if "loss/global_motion" in row] == [1, 2, 3, 4, 5, 6]
    assert "loss/local_motion" not in rows[0]
    (final,) = [row for row in rows if row["step"] == 6 and "loss/recj" in row]
    assert all(f"loss/{name}" in final for name in ("recj", "binary", "size", "recu", "recs", "cycle", "vq", "mask"))
    (measured,) = [row for row in rows if "metric/mask_iou" in row]
    assert 0 <= measured["metric/mask_iou"] <= 1
    assert measured["metric/shift_error"] > 0
    shown = {path.name for path in (trained_glass / "media").rglob("*.*")}
    assert {"clip0.mp4", "shifts.mp4", "actions.mp4", "overview.png", "layers.png"} <= shown


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    small: Compose, trained_glass: Path, tmp_path: Path
) -> None:
    quiet = ("metrics=none", "callbacks=none")
    train(small("trainer.max_steps=3", *quiet), tmp_path)
    train(small("trainer.max_steps=6", "ckpt=last", *quiet), tmp_path)
    ours, theirs = (read_checkpoint(last(folder))["state_dict"] for folder in (tmp_path, trained_glass))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_restarted_codes_and_carried_pictures_are_resumed_exactly(small: Compose, tmp_path: Path) -> None:
    ours = ("model.restart_codes=1", "model.local_motion.decoder.carry=true", "metrics=none", "callbacks=none")
    ours += ("model.local_motion.window=[16,16]", "model.local_motion.recoloured=true")
    ours += tuple(f"model.quantised.{name}={value}" for name, value in (("start", 0), ("begin", 1), ("lasts", 2)))
    ours += ("model.local_motion.actions.normalised=true",)
    train(small("trainer.max_steps=4", *ours), tmp_path / "whole")
    train(small("trainer.max_steps=2", *ours), tmp_path / "parts")
    train(small("trainer.max_steps=4", "ckpt=last", *ours), tmp_path / "parts")
    whole, parts = (read_checkpoint(last(tmp_path / name))["state_dict"] for name in ("whole", "parts"))
    assert "restarts.idle" in whole
    assert all(torch.equal(parts[name], value) for name, value in whole.items())


def test_evaluation_has_foils_floors_and_asks_whether_it_obeys(
    compose: Compose, trained_glass: Path, tmp_path: Path
) -> None:
    words = (f"checkpoint={last(trained_glass)}", f"out={tmp_path}", "samples_per_class=1", "metrics=video")
    evaluate(compose(*words, verb="evaluate"), {})
    found = json.loads((tmp_path / "metrics.json").read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        *("untrained", "autoregressive", "teacher_forced"),
        *("mean shift", "random actions", "another clip's actions", "copy first frame", "real (floor)"),
    ]
    floor, still = rows["real (floor)"]["metrics"], rows["copy first frame"]["metrics"]
    assert (floor["mask_iou"], floor["shift_error"], floor["nmi"]) == (pytest.approx(1), 0, pytest.approx(1))
    assert (still["mask_iou"], still["nmi"]) == (0, 0)
    assert floor["frame_error"] == 0
    assert (floor["mask_iou_drawn"], floor["moving_mse"], floor["moving_ssim"]) == (
        pytest.approx(1),
        0,
        pytest.approx(1),
    )
    assert 0 <= rows["autoregressive"]["metrics"]["mask_iou_drawn"] <= 1
    # of those that are told other things, the mask of the real clip is nobody's
    assert "masks" in rows["random actions"]["absent"]["mask_iou"]
    told = [rows[name]["metrics"]["shift_error"] for name in ("autoregressive", "random actions", "mean shift")]
    assert told[0] == told[1] != told[2]
    assert "vgg16" in rows["autoregressive"]["absent"]["lpips"] or rows["autoregressive"]["metrics"]["lpips"] > 0
    assert still["frame_error"] > 0
    # as many actions as the model has
    clips = clips_of(
        prepared(read_checkpoint(last(trained_glass))["mutoscope"]["config"]["dataset"]), "val", limit=9, seed=1234
    )
    drawn = ChanceInformation(codes=3)
    drawn.update(clips.actions, clips.actions, clips.sprites)
    assert floor["nmi_by_chance"] == pytest.approx(float(drawn.compute()))
    (answer, chance) = found["control"]
    assert answer["name"] == "comes back"
    assert sum(v for name, v in chance["metrics"].items() if name.startswith("action")) == pytest.approx(1)
    page = (tmp_path / "report.html").read_text()
    assert all(title in page for title in ("Real, drawn again, steered", "The local actions", "Does it obey?"))
    assert {"clip0.mp4", "shifts.png", "actions.png", "layers.png", "overview.png", "jump.mp4", "round.mp4"} <= {
        path.name for path in (tmp_path / "media").iterdir()
    }
    assert {"mask_iou", "shift within 45 degrees"} <= {name for name, _ in numbers(found)}
    assert protocols_missing(found) == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "start.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(path)
    return path


def test_a_picture_is_steered_step_by_step(
    compose: Compose, trained_glass: Path, tmp_path: Path, picture: Path
) -> None:
    out = tmp_path / "out"
    words = (f"checkpoint={last(trained_glass)}", f"image={picture}")
    generate(compose(*words, "actions=[[4,0,2],[0,-3,1,2,0]]", f"out={out}", verb="generate"))
    frames = np.load(out / "start.npy")
    assert frames.shape == (3, 48, 64, 3)
    assert {path.name for path in out.glob("start*.mp4")} == {"start.mp4", "start_masks.mp4"}
    again = tmp_path / "again"
    generate(compose(*words, f"actions={out / 'actions.yaml'}", f"out={again}", verb="generate"))
    assert (np.load(again / "start.npy") == frames).all()
    session = load_model(last(trained_glass))[0].start(torch.from_numpy(frames[0]).permute(2, 0, 1))  # type: ignore[operator]
    session.step(4, 0, 2)
    assert (session.step(0, -3, 1, camera=(2, 0)).permute(1, 2, 0).numpy() == frames[2]).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Give a picture to begin with, image=start.png, or the number of a clip"),
        (("clip=0", "image=x.png"), "Give a picture to begin with"),
        (("image=x.png",), r"image= needs actions='\[\[8,0,2\]"),
        (("clip=999999",), "the validation split has clips 0 to"),
        (("clip=0", "actions=[[1,2]]"), r"Step 0 of actions is \[1, 2\]; steps are \[pixels right"),
        (("clip=0", "actions=[[1,2,7]]"), "asks for action 7; the model has 0 to 2"),
        (("clip=0", "actions=[]"), "actions is no list of steps"),
        (("clip=0", "truncation=0.5"), "truncation= is for models of"),
    ],
)
def test_wishes_that_cannot_be_met_are_said(
    compose: Compose, trained_glass: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(compose(f"checkpoint={last(trained_glass)}", f"out={tmp_path}", *words, verb="generate"))


def test_a_clips_motion_is_played_again(compose: Compose, trained_glass: Path, tmp_path: Path) -> None:
    generate(compose(f"checkpoint={last(trained_glass)}", "clip=1", f"out={tmp_path}", verb="generate"))
    assert np.load(tmp_path / "clip1.npy").shape == (5, 48, 64, 3)


def test_an_export_draws_what_the_checkpoint_draws(compose: Compose, trained_glass: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert run_export(compose(f"checkpoint={last(trained_glass)}", f"out={folder}", verb="export"), {}) == folder
    ours, theirs = load_model(folder)[0], load_model(last(trained_glass))[0]
    assert isinstance(ours, Glass)
    assert isinstance(theirs, Glass)
    image = torch.randint(256, (3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours.start(image).step(3, 1, 2), theirs.start(image).step(3, 1, 2))
    assert "image=start.png" in (folder / "README.md").read_text()


def test_checkpoints_of_the_original_are_imported(compose: Compose, golden_dir: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = golden_dir / "glass" / "unroll.safetensors"
    if not path.is_file():
        pytest.skip("no recorded unroll")
    recorded = load_file(path)
    state = {f"module.{k.removeprefix('weights/')}": v for k, v in recorded.items() if k.startswith("weights/")}
    original = tmp_path / "step_5000.pth"
    torch.save({"model": state, "optimizer": {}, "lr_scheduler": {}, "global_step": 5000}, original)
    folder = tmp_path / "model"
    words = (f"checkpoint={original}", f"out={folder}", "format=glass", "dataset=wsprites")
    run_export(compose(*words, verb="export"), {})
    model, _ = load_model(folder)
    assert isinstance(model, Glass)
    assert (model.iterations, model.info.frame_size) == (5000, tuple(recorded["in/frames"].shape[-2:]))
    with torch.no_grad():
        found, _ = model.shown(recorded["in/frames"], 1)
    torch.testing.assert_close(found.masks, recorded["out/masks"], atol=1e-4, rtol=1e-4)
    assert "mapping.0.weight -> nothing" in (folder / "key_map.txt").read_text()
