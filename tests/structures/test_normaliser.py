"""Normalisers: per coordinate, per joint and coordinate, and what travels in checkpoints."""

import json

import pytest
import torch

from mutoscope.structures import H36M16, NTU25, DatasetInfo, Normaliser

CLIPS = (
    3 * torch.randn(40, 5, 16, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    + torch.arange(16.0)[:, None]
)


def z_scores() -> Normaliser:
    frames = CLIPS.flatten(0, 1)
    return Normaliser.from_moments(frames.mean(dim=0), frames.std(dim=0, correction=0))


def info(normaliser: Normaliser | None) -> DatasetInfo:
    return DatasetInfo("made up", "motion", ("a", "b"), 25.0, 5, 2, H36M16, normaliser=normaliser)


def test_joints_get_numbers_of_their_own() -> None:
    normaliser = z_scores()
    assert normaliser.joints == 16
    scaled = normaliser.normalise(CLIPS)
    frames = scaled.flatten(0, 1)
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(16, 2).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(frames.std(dim=0, correction=0), torch.ones(16, 2).double())
    torch.testing.assert_close(normaliser.denormalise(scaled), CLIPS)
    mean_pose = normaliser.denormalise(torch.zeros(1, 1, 16, 2).double())[0, 0]
    torch.testing.assert_close(mean_pose, CLIPS.flatten(0, 1).mean(dim=0))


def test_what_never_moves_is_not_blown_up() -> None:
    sigma = torch.tensor([[0.0, 2.0], [1e-9, 0.5]])
    normaliser = Normaliser.from_moments(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), sigma)
    assert normaliser.scale == ((1.0, 2.0), (1.0, 0.5))
    moved = normaliser.normalise(torch.tensor([[1.0 + 1e-6, 2.0], [3.0, 4.0]]))
    assert moved.abs().max() < 1e-5
    assert Normaliser.from_moments(torch.ones(2, 2), torch.zeros(2, 2)).scale == ((1.0, 1.0), (1.0, 1.0))


@pytest.mark.parametrize("normaliser", [z_scores(), Normaliser((0.5, 1.0), (2.0, -3.0)), None])
def test_descriptions_come_back_from_plain_data(normaliser: Normaliser | None) -> None:
    there = json.loads(json.dumps(info(normaliser).to_dict()))
    assert DatasetInfo.from_dict(there) == info(normaliser)


def test_older_checkpoints_hold_one_number_per_coordinate() -> None:
    values = info(None).to_dict() | {"normaliser": {"offset": [0.5, 1.0], "scale": [2.0, 3.0]}}
    assert DatasetInfo.from_dict(values).need_normaliser() == Normaliser((0.5, 1.0), (2.0, 3.0))


def test_z_scores_can_be_brought_into_a_range() -> None:
    scaled = z_scores().normalise(CLIPS)
    both = z_scores().then_range(float(scaled.min()), float(scaled.max()))
    wanted = 2 * (scaled - scaled.min()) / (scaled.max() - scaled.min()) - 1
    torch.testing.assert_close(both.normalise(CLIPS), wanted)


@pytest.mark.parametrize("normaliser", [z_scores(), Normaliser((0.5, 1.0), (2.0, 3.0))])
def test_an_axis_can_be_turned_round(normaliser: Normaliser) -> None:
    turned, straight = normaliser.mirrored(1).normalise(CLIPS), normaliser.normalise(CLIPS)
    torch.testing.assert_close(turned, straight * torch.tensor([1.0, -1.0]).double())
    torch.testing.assert_close(normaliser.mirrored(1).denormalise(turned), CLIPS)


def test_pooled_z_scores_are_those_of_all_joints_together() -> None:
    pooled = z_scores().mirrored(1).pooled()
    values = CLIPS.flatten(0, 2)
    assert pooled.offset == pytest.approx(values.mean(dim=0).tolist())
    assert pooled.scale == pytest.approx(values.std(dim=0, correction=0).tolist())
    assert Normaliser((0.5,), (2.0,)).pooled() == Normaliser((0.5,), (2.0,))


def test_what_makes_no_normaliser() -> None:
    with pytest.raises(ValueError, match="got 2 offsets but 1 scales"):
        Normaliser((0.0, 0.0), (1.0,))
    with pytest.raises(ValueError, match="got 1 x 2 offsets but 2 scales"):
        Normaliser(((0.0, 0.0),), (1.0, 1.0))
    with pytest.raises(ValueError, match="different numbers of coordinates"):
        Normaliser(((0.0, 0.0), (0.0,)), ((1.0, 1.0), (1.0,)))
    for scale in (0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be finite and not 0"):
            Normaliser((0.0,), (scale,))
    with pytest.raises(ValueError, match="scales 16 joints, but it has 25 joints"):
        DatasetInfo("made up", "motion", ("a",), 25.0, 5, 2, NTU25, normaliser=z_scores())
    with pytest.raises(ValueError, match="scales 16 joints, but it has no skeleton"):
        DatasetInfo("made up", "video", ("a",), 25.0, 5, 2, normaliser=z_scores())
