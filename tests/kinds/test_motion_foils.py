"""Real clips apart by what they are for, and the rows made of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mutoscope.config.nodes import build_dataset
from mutoscope.kinds.motion import baselines as motion_foils
from mutoscope.kinds.motion.baselines import foils, real_clips
from mutoscope.metrics import TooFewSamplesError
from mutoscope.structures import MotionBatch

Compose = Callable[..., dict[str, Any]]
MODES = ("train", "held_out")
NAMES = [
    "frozen random pose",
    "frozen first frame",
    "shuffled labels",
    "real, training (floor)",
    "real, held out (floor)",
]


@pytest.fixture(scope="module")
def data(compose: Compose) -> Any:
    config = compose(
        "dataset.clips_per_class=9",
        "dataset.val_clips_per_class=7",
        "dataset.classes=[walk,wave,kick]",
        "dataset.length=16",
    )
    data = build_dataset(config["dataset"])
    data.setup()
    return data


def clips(batch: MotionBatch) -> set[bytes]:
    return {clip.numpy().tobytes() for clip in batch.joints}


@pytest.mark.parametrize("against", MODES)
def test_no_clip_of_the_reference_stands_in_a_row(data: Any, against: Any) -> None:
    real = real_clips(data, "val", 9, against, seed=3)
    assert real.training is not None
    assert len(real.held_out) == 9
    assert torch.bincount(real.held_out.label).tolist() == [3, 3, 3]
    for row in (real.held_out, real.training):
        assert torch.equal(row.label, real.held_out.label)
        assert len(clips(row)) == 9
        assert not clips(row) & clips(real.reference)
    train, val = (clips(data.dataset(split).__getitems__(list(range(n)))) for split, n in (("train", 27), ("val", 21)))
    assert clips(real.held_out) < val
    assert clips(real.training) < train
    assert clips(real.reference) == (train - clips(real.training) if against == "train" else val - clips(real.held_out))
    assert clips(real.all_training) == train
    again = real_clips(data, "val", 9, against, seed=3)
    assert torch.equal(again.held_out.joints, real.held_out.joints)
    assert torch.equal(again.reference.joints, real.reference.joints)
    assert clips(real_clips(data, "val", 9, against, seed=4).held_out) != clips(real.held_out)


@pytest.mark.parametrize("against", MODES)
def test_all_rows_have_the_count_and_the_classes_of_the_models(data: Any, against: Any) -> None:
    real = real_clips(data, "val", 9, against, seed=0)
    rows = foils(real, seed=0)
    assert [row.name for row in rows] == NAMES
    assert [row.role for row in rows] == ["foil"] * 3 + ["floor"] * 2
    for row in rows:
        assert row.what.endswith(".")
        assert row.clips.joints.shape == real.held_out.joints.shape
        assert torch.equal(torch.bincount(row.clips.label), torch.bincount(real.held_out.label))
    made = {row.name: row.clips for row in rows}
    assert torch.equal(made["shuffled labels"].joints, real.held_out.joints)
    for name in NAMES[:2]:
        assert torch.equal(made[name].joints, made[name].joints[:, :1].expand_as(made[name].joints))
        assert torch.equal(made[name].label, real.held_out.label)
    assert torch.equal(made["frozen first frame"].joints[:, 0], real.held_out.joints[:, 0])
    # a walker's pose is drawn among walkers' frames: by the root's range alone it lies near them
    poses, frames = made["frozen random pose"].joints[:, 0], real.all_training.joints.flatten(0, 1)
    assert float((poses - frames.mean(0)).abs().amax()) < 6 * float(frames.std(0).amax())


def test_half_of_a_split_at_most_stands_in_a_row_held_against_it(data: Any) -> None:
    real = real_clips(data, "val", 99, "held_out", seed=0)
    assert torch.bincount(real.held_out.label).tolist() == [3, 3, 3]
    assert torch.bincount(real.reference.label).tolist() == [4, 4, 4]


def test_without_enough_training_clips_their_row_is_left_out_aloud(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(motion_foils, "say", said.append)
    real = real_clips(data, "val", 99, "train", seed=0)
    assert real.training is None
    assert clips(real.reference) == clips(real.all_training)
    assert said == [
        "The row of training clips is left out: class 'walk' has 9, and 14 would be needed, in recordings apart, to "
        "hold 7 against as many others."
    ]
    assert [row.name for row in foils(real, seed=0)] == [name for name in NAMES if "training" not in name]


def test_a_split_of_single_clips_cannot_be_divided(compose: Compose) -> None:
    config = compose(
        "dataset.clips_per_class=4",
        "dataset.val_clips_per_class=1",
        "dataset.classes=[walk,wave,kick]",
        "dataset.length=16",
    )
    data = build_dataset(config["dataset"])
    data.setup()
    with pytest.raises(TooFewSamplesError, match=r"divides the 3 clips of 'val'.*use reference=train"):
        real_clips(data, "val", 9, "held_out", seed=0)
