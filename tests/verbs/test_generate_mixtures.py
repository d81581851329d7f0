"""``generate`` with a model that takes mixtures and attends: mixes, sweeps, attention, trajectories, any length."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mutoscope.formats.video import read_video
from mutoscope.structures import MotionSample
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
Make = Callable[..., MotionSample]
#: three classes, 12 frames, narrow networks
TINY = (
    "model=sa_gcn",
    "dataset.clips_per_class=4",
    "dataset.val_clips_per_class=2",
    "dataset.classes=[walk,wave,kick]",
    "dataset.length=12",
    "dataset.fps=15",
    "dataset.batch_size=4",
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.max_steps=2",
    "metrics=none",
    "callbacks=none",
)


@pytest.fixture(scope="module")
def checkpoint(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("sa_gcn") / "run"
    train(compose(*TINY), run_dir)
    return run_dir / "checkpoints" / "last.ckpt"


@pytest.fixture
def make(compose: Compose, checkpoint: Path, tmp_path: Path) -> Make:
    """``generate`` into ``tmp_path / "out"``."""

    def made(*overrides: str, out: str = "out") -> MotionSample:
        config = compose("accelerator=cpu", "checkpoint=x", *overrides, verb="generate")
        return generate(config | {"checkpoint": str(checkpoint), "out": str(tmp_path / out)})  # type: ignore[return-value]

    return made


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures of single classes, which other tests look at."""
    monkeypatch.setattr("mutoscope.kinds.motion.generated.save_motion_gallery", lambda *args, **kwargs: [])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_mixture_is_written_under_its_name(make: Make, tmp_path: Path) -> None:
    sample = make("mix={walk: 0.5, wave: 0.3, 2: 0.2}", "n=2", "gif=true", "attention=true")
    out = tmp_path / "out"
    name = "walk_0.5_wave_0.3_kick_0.2"
    media = {f"{name}.mp4", f"{name}.gif", f"{name}.png", f"{name}_attention.png", f"{name}_attention.svg"}
    assert names(out) == {"joints.npy", "mix.json", "info.json", "attention.npy", *media}
    joints = np.load(out / "joints.npy", allow_pickle=False)
    assert joints.shape == (2, 12, 25, 3)
    np.testing.assert_array_equal(joints, sample.fake.numpy())
    assert json.loads((out / "mix.json").read_text()) == {"walk": 0.5, "wave": 0.3, "kick": 0.2}
    assert len(read_video(out / f"{name}.mp4")[0]) == 12


@pytest.mark.usefixtures("silent")
def test_a_mixture_of_one_is_that_class_and_others_lie_elsewhere(make: Make) -> None:
    pure = make("label=wave", "n=2").fake
    assert torch.equal(make("mix={wave: 1}", "n=2", out="one").fake, pure)
    # weights that people round to three digits
    third = make("mix={wave: 0.333, walk: 0.333, kick: 0.333}", "n=2", out="thirds").fake
    assert not torch.allclose(third, pure)


@pytest.mark.usefixtures("silent")
def test_between_two_classes_lie_their_mixtures_of_the_same_noise(make: Make, tmp_path: Path) -> None:
    sample = make("between=[walk,1]", "lambdas=5", "n=3")
    out = tmp_path / "out"
    media = {"walk_wave.mp4", "walk_wave.png", "walk_wave_histograms.png", "walk_wave_histograms.svg"}
    assert names(out) == {"joints.npy", "between.json", "info.json", *media}
    joints = np.load(out / "joints.npy", allow_pickle=False)
    assert joints.shape == (5, 3, 12, 25, 3)
    np.testing.assert_array_equal(joints.reshape(15, 12, 25, 3), sample.fake.numpy())
    facts = json.loads((out / "between.json").read_text())
    assert facts["classes"] == ["walk", "wave"]
    assert facts["lambdas"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    # the axis goes from one pure action to the other
    assert facts["position_mean"][0] == pytest.approx(0, abs=1e-6)
    assert facts["position_mean"][-1] == pytest.approx(1, abs=1e-6)
    # every mixture is what mix= makes of the same seed; the ends are the classes themselves
    assert torch.equal(sample.fake[:3], make("label=wave", "n=3", out="wave").fake)
    assert torch.equal(sample.fake[3:6], make("mix={walk: 0.25, wave: 0.75}", "n=3", out="mix").fake)
    assert torch.equal(sample.fake[12:], make("label=walk", "n=3", out="walk").fake)
    assert len(read_video(out / "walk_wave.mp4")[0]) == 12


@pytest.mark.usefixtures("silent")
def test_what_frames_attend_to_and_paths_of_classes_are_drawn(make: Make, tmp_path: Path) -> None:
    make("label=[kick,walk]", "n=2", "attention=true", "trajectories=true")
    out = tmp_path / "out"
    drawn = ("002_kick_attention", "000_walk_attention", "trajectories")
    pictures = {f"{name}.{end}" for name in drawn for end in ("png", "svg")}
    assert names(out) == {"joints.npy", "labels.npy", "info.json", "attention.npy", *pictures}
    maps = np.load(out / "attention.npy", allow_pickle=False)
    assert maps.shape == (4, 12, 12)
    # itself and five past frames, as far as there are any
    assert ((maps > 0).sum(axis=2) == np.minimum(np.arange(12) + 1, 6)).all()
    for name in drawn:
        with Image.open(out / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_motions_may_be_longer_than_in_training(make: Make, tmp_path: Path) -> None:
    sample = make("label=walk", "length=40", "n=1", "attention=true", "trajectories=true")
    assert sample.fake.shape == (1, 40, 25, 3)
    out = tmp_path / "out"
    assert json.loads((out / "info.json").read_text())["length"] == 40
    assert np.load(out / "attention.npy", allow_pickle=False).shape == (1, 40, 40)
    assert len(read_video(out / "000_walk.mp4")[0]) == 40
    assert {"000_walk.png", "000_walk_attention.png", "trajectories.png"} <= names(out)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["mix={walk: 0.5, wawe: 0.5}"], r"There is no class 'wawe' .* Did you mean 'wave'\?"),
        (["mix={walk: 1.5, wave: -0.5}"], "mix gives 'wave' the weight -0.5, expected a number >= 0"),
        (["mix={walk: nan}"], "mix gives 'walk' the weight nan"),
        (["mix={walk: inf}"], "mix gives 'walk' the weight inf"),
        (["mix={walk: much}"], "mix.walk is 'much', expected a number"),
        (["mix={walk: true}"], "mix.walk is true, expected a number"),
        (["mix={walk: 0, wave: 0}"], "mix has only weights of 0"),
        (
            ["mix={walk: 1, wave: 3}"],
            "weights of mix sum to 4, expected 1; in the same proportions that is mix='{walk: 0.25, wave: 0.75}'",
        ),
        (["mix={walk: 0.5, 0: 0.5}"], "mix names the class 'walk' twice"),
        (["mix=walk"], r"mix is 'walk', expected .* weights of classes that sum to 1, mix='{walk: 0.5, wave: 0.5}'"),
        (["mix={}"], "mix is {}, expected weights"),
        (["mix={walk: 1}", "label=wave"], "label= and mix= exclude each other"),
        (["mix={walk: 1}", "between=[walk,wave]"], "mix= and between= exclude each other"),
        (["mix={walk: 1}", "trajectories=true"], "trajectories= shows paths of classes, but mix= asks for mixtures"),
        (["mix={walk: 1}", "n=0"], "n is 0, expected the number of sequences, at least 1"),
        (["between=[walk]"], r"between names 1 class\(es\), expected two, such as between='\[walk,wave\]'"),
        (["between=walk"], r"between names 1 class\(es\)"),
        (["between=[walk,wave,kick]"], r"between names 3 class\(es\)"),
        (["between=[walk,0]"], "between names 'walk' twice"),
        (["between=[walk,kik]"], r"Did you mean 'kick'\?"),
        (["between=[walk,wave]", "lambdas=1"], "lambdas is 1, expected the number of mixtures"),
        (["between=[walk,wave]", "n=0"], "n is 0, expected the number of sequences per lambda"),
        (["between=[walk,wave]", "attention=true"], "attention= shows single clips"),
        (["attention=3"], "attention is 3, expected true or false"),
    ],
)
def test_what_cannot_be_mixed_is_refused_and_nothing_written(
    make: Make, tmp_path: Path, asked: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(*asked)
    assert not (tmp_path / "out").exists()


def test_a_model_without_past_frames_has_no_attention_to_show(compose: Compose, tmp_path: Path) -> None:
    train(compose(*TINY, "model.graph.kept=0", "trainer.max_steps=1"), tmp_path / "run")
    config = compose("accelerator=cpu", "checkpoint=x", "attention=true", verb="generate")
    config |= {"checkpoint": str(tmp_path / "run" / "checkpoints" / "last.ckpt"), "out": str(tmp_path / "out")}
    with pytest.raises(ValueError, match=r"attention= cannot be shown\. .* use no attention \(layer is 'sa_gc', kept"):
        generate(config)
    assert not (tmp_path / "out").exists()
