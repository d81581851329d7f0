"""Metrics of steered agents: recorded values, what perfect and useless predictors score, sums over processes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mutoscope.data.video.wsprites import WSprites
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.steering import (
    ActionConfusion,
    ActionInformation,
    ChanceInformation,
    MaskIoU,
    ShiftAngleAccuracy,
    ShiftError,
    soft_iou,
)
from mutoscope.structures import VideoBatch


@pytest.fixture(scope="module")
def clips() -> VideoBatch:
    data = WSprites(characters=6, videos=4, frames=40, length=12)
    data.setup()
    split = data.dataset("val")
    return split.__getitems__(list(range(0, len(split), 12)))


@pytest.fixture
def known(golden_dir: Path) -> dict[str, Tensor]:
    path = golden_dir / "glass" / "metrics.safetensors"
    if not path.is_file():
        pytest.skip("no recorded metrics")
    return load_file(path)


def test_recorded_masks(known: dict[str, Tensor]) -> None:
    masks, truth = known["in/soft_masks"], known["in/gt_masks"]
    torch.testing.assert_close(soft_iou(masks, truth), known["out/soft_iou_per_frame"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(soft_iou(masks, truth).mean(), known["out/miou"], atol=1e-5, rtol=1e-5)


def test_recorded_shifts(known: dict[str, Tensor]) -> None:
    found, truth = known["in/predicted_shifts_px"], known["in/gt_shifts_px"]
    for statistic in ("mean", "min", "max"):
        metric = ShiftError("foreground", statistic)  # type: ignore[arg-type]
        metric.update(found, truth, found, truth)
        expected = known[f"out/shift_error_{statistic}"]
        torch.testing.assert_close(metric.compute().float(), expected.float(), atol=1e-4, rtol=1e-4)
    angle = ShiftAngleAccuracy("background")
    angle.update(found, truth, found, truth)
    torch.testing.assert_close(angle.compute().float(), known["out/angle_accuracy"].float(), atol=1e-5, rtol=1e-5)


def test_recorded_actions(known: dict[str, Tensor]) -> None:
    found, truth, who = known["in/predicted_actions"], known["in/gt_actions"], known["in/sprite_ids"]
    for metric, key in (
        (ActionInformation(), "nmi_global"),
        (ActionInformation(within=True), "nmi_per_sprite"),
        (ActionConfusion(), "con"),
    ):
        metric.update(found[:, None], truth[:, None], who)
        torch.testing.assert_close(metric.compute().float(), known[f"out/{key}"].float(), atol=1e-5, rtol=1e-5)


def test_a_perfect_predictor_scores_what_table_2_prints_under_the_originals_units(clips: VideoBatch) -> None:
    truth, pans = clips.shifts, clips.background_shifts
    assert truth is not None
    assert pans is not None
    scores = {}
    for layer in ("foreground", "background"):
        for unit in ("pixels", "reference"):
            metric = ShiftError(layer, unit=unit)  # type: ignore[arg-type]
            metric.update(truth, truth, pans, pans)
            scores[layer, unit] = float(metric.compute())
        angle = ShiftAngleAccuracy(layer)  # type: ignore[arg-type]
        angle.update(truth, truth, pans, pans)
        assert angle.compute() == 1
    assert scores["foreground", "pixels"] == scores["background", "pixels"] == 0
    assert scores["background", "reference"] == pytest.approx(0.51, abs=0.1)
    assert scores["foreground", "reference"] == pytest.approx(3.8, abs=0.8)


def test_foils_score_as_they_should(clips: VideoBatch) -> None:
    assert clips.masks is not None
    assert clips.actions is not None
    assert clips.sprites is not None
    scores = {}
    for name, masks in {
        "true": clips.masks / 255,
        "none": torch.zeros(clips.masks.shape),
        "all": torch.ones(clips.masks.shape),
    }.items():
        metric = MaskIoU()
        metric.update(masks, clips.masks)
        scores[name] = float(metric.compute())
    assert scores["true"] == pytest.approx(1)
    assert scores["none"] == 0
    assert scores["all"] == pytest.approx(float((clips.masks / 255).mean()), rel=0.05)
    right, random, other = ActionInformation(), ChanceInformation(), ActionConfusion()
    right.update(clips.actions, clips.actions, clips.sprites)
    random.update(clips.actions, clips.actions, clips.sprites)
    # the same actions under names of their own for every sprite: nothing in common, and all of it
    renamed = clips.actions + 9 * torch.unique(clips.sprites, return_inverse=True)[1][:, None]
    other.update(renamed, clips.actions, clips.sprites)
    assert right.compute() == pytest.approx(1)
    assert 0 < random.compute() < 0.1
    assert other.compute() > 0.2


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_actions_that_mean_the_same_for_everybody_are_confused_by_nothing(count: int) -> None:
    truth = torch.arange(12).remainder(count).repeat(40, 1)
    metric = ActionConfusion()
    metric.update(count - truth, truth, torch.arange(40))
    assert float(metric.compute()) == 0


def test_parts_add_up_and_processes_would(clips: VideoBatch) -> None:
    assert clips.shifts is not None
    assert clips.background_shifts is not None
    noisy = clips.shifts + 0.3
    whole, halves = ShiftError(statistic="max"), [ShiftError(statistic="max") for _ in range(2)]
    whole.update(noisy, clips.shifts, noisy, clips.shifts)
    for metric, part in zip(halves, (slice(0, 9), slice(9, None)), strict=True):
        metric.update(noisy[part], clips.shifts[part], noisy[part], clips.shifts[part])
    assert torch.maximum(halves[0].compute(), halves[1].compute()) == whole.compute()


def test_what_cannot_be_measured_is_said(clips: VideoBatch) -> None:
    assert clips.shifts is not None
    with pytest.raises(TooFewSamplesError, match="has seen no transition"):
        ShiftError().compute()
    with pytest.raises(TooFewSamplesError, match="has seen no transition"):
        ActionInformation().compute()
    with pytest.raises(ValueError, match="NaN or infinite"):
        ShiftError().update(clips.shifts * torch.nan, clips.shifts, clips.shifts, clips.shifts)
    with pytest.raises(ValueError, match="unit is 'metres'"):
        ShiftError(unit="metres")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [ActionInformation, ActionConfusion, ChanceInformation])
def test_exchanged_between_processes_lists_are_tensors(make: type[ActionInformation]) -> None:
    alone, exchanged = make(), make()
    actions, truth = torch.tensor([[0, 1, 2], [2, 1, 1]]), torch.tensor([[0, 1, 1], [2, 1, 0]])
    for metric in (alone, exchanged):
        metric.update(actions, truth, torch.tensor([3, 4]))
    for name in ("found", "truth", "who"):
        setattr(exchanged, name, torch.cat(getattr(exchanged, name)))
    assert float(exchanged.compute()) == pytest.approx(float(alone.compute()))
