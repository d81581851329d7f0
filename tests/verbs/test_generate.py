"""``generate``: which classes, how many, how long, and what is left in the folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mutoscope.formats.video import read_video
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo, Sample
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generate

Compose = Callable[..., dict[str, Any]]
Make = Callable[..., Sample]


@pytest.fixture
def make(compose: Compose, trained: Path, tmp_path: Path) -> Make:
    """``generate`` from the tiny model into ``tmp_path / "out"``, pictures left out unless wanted."""

    def made(*overrides: str, pictures: bool = False, **changes: Any) -> Sample:
        checkpoint = trained / "checkpoints" / "last.ckpt"
        config = compose("accelerator=cpu", "checkpoint=x", "n=2", *overrides, verb="generate")
        config |= {"checkpoint": str(checkpoint), "out": str(tmp_path / "out"), **changes}
        with pytest.MonkeyPatch.context() as patch:
            if not pictures:
                patch.setattr("mutoscope.kinds.motion.generated.save_motion_gallery", lambda *args, **kwargs: [])
            return generate(config)

    return made


def test_everything_is_written_and_agrees(make: Make, tmp_path: Path) -> None:
    sample = make("gif=true", pictures=True)
    out = tmp_path / "out"
    joints = np.load(out / "joints.npy", allow_pickle=False)
    assert joints.shape == (6, 16, 25, 3)
    np.testing.assert_array_equal(joints, sample.fake.numpy())
    assert np.load(out / "labels.npy", allow_pickle=False).tolist() == [0, 0, 1, 1, 2, 2]
    assert DatasetInfo.from_dict(json.loads((out / "info.json").read_text())) == sample.info
    videos = {"all.mp4", "000_walk.mp4", "001_wave.mp4", "002_kick.mp4"}
    gifs = {name.replace("mp4", "gif") for name in videos}
    sheets = {"sheet.png", "000_walk.png", "001_wave.png", "002_kick.png"}
    assert {p.name for p in out.iterdir()} == {"joints.npy", "labels.npy", "info.json", *sheets, *videos, *gifs}
    for name in videos:
        assert len(read_video(out / name)[0]) == 16


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("label=wave", [1, 1]),
        ("label=2", [2, 2]),
        ("label=[kick,0]", [2, 2, 0, 0]),
        ("label=all", [0, 0, 1, 1, 2, 2]),
        ("label=-1", [0, 0, 1, 1, 2, 2]),
    ],
)
def test_classes_are_asked_for_by_name_or_index(make: Make, asked: str, labels: list[int]) -> None:
    assert make(asked).label.tolist() == labels


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("label=swim", "There is no class 'swim' in 'toy_motion'; its classes are 0 walk, 1 wave, 2 kick"),
        ("label=wawe", r"There is no class 'wawe' .* Did you mean 'wave'\?"),
        ("label=3", "There is no class '3'"),
        ("label=-2", "There is no class '-2'"),
        ("label=[]", "label is empty; name classes among walk, wave, kick, or all"),
        ("n=0", "n is 0, expected the number of sequences per class, at least 1"),
        ("n=1.5", "n is 1.5, expected a whole number"),
        ("length=0", "length is 0, expected a whole number of frames"),
        ("length=20.5", "length is 20.5, expected a whole number"),
        ("trajectories=maybe", "trajectories is 'maybe', expected true or false"),
        (
            "mix={walk:0.5,wave:0.5}",
            "mix= is for models that take mixtures of classes, as SAGCN does; Kinetic",
        ),
        ("between=[walk,wave]", "between= is for models that take mixtures of classes"),
        ("attention=true", "attention= is for models whose frames attend to past ones.* KineticGAN has no such"),
        ("length=8", "needs at least 16 frames, got length 8"),
        ("+lenght=8", "lenght is not a setting here; did you mean 'length'"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_written(
    make: Make, tmp_path: Path, asked: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [16, 48])
def test_sequences_may_have_another_length(make: Make, tmp_path: Path, length: int) -> None:
    sample = make(f"length={length}", "label=walk")
    assert sample.fake.shape == (2, length, 25, 3)
    assert json.loads((tmp_path / "out" / "info.json").read_text())["length"] == length


def test_the_same_seed_gives_the_same_sequences(make: Make) -> None:
    first, again, other = (make(f"seed={seed}").fake for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_truncation_pulls_latents_together(make: Make) -> None:
    wide, narrow = (make("label=walk", "n=32", f"truncation={psi}").fake for psi in ("null", "0.0"))
    free = make("label=walk", "n=32", "truncation=1.0").fake
    assert torch.equal(wide, free)
    # at 0 only the noise within the blocks is left to differ
    assert narrow.std(dim=0).mean() < 0.5 * wide.std(dim=0).mean()


def test_an_export_makes_the_same_files_as_its_checkpoint(make: Make, trained: Path, tmp_path: Path) -> None:
    make()
    joints = (tmp_path / "out" / "joints.npy").read_bytes()
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    make(checkpoint=str(folder), out=str(tmp_path / "exported"))
    assert (tmp_path / "exported" / "joints.npy").read_bytes() == joints


def test_a_missing_checkpoint_is_named(make: Make) -> None:
    with pytest.raises(ValueError, match=r"There is no checkpoint at .*nowhere\.ckpt"):
        make(checkpoint="nowhere.ckpt")
    assert issubclass(ConfigError, ValueError)
