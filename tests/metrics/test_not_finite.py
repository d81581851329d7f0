"""What is no number is no result: metrics that compare or count say so instead of counting it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import (
    ActionRecall,
    ComposedAccuracy,
    DestinationError,
    InceptionScore,
    LayoutIoU,
    MaximumMeanDiscrepancy,
    RecognitionAccuracy,
    TimingAccuracy,
    mmd2,
)
from mutoscope.structures import CATER_VOCABULARY, ClockedGraph, DatasetInfo

INFO = DatasetInfo(
    name="made up",
    kind="action_graph",
    classes=CATER_VOCABULARY.action_names,
    fps=8.0,
    length=8,
    channels=3,
    frame_size=(32, 32),
    vocabulary=CATER_VOCABULARY,
)


def asked(start: float = -0.5) -> ClockedGraph:
    """One object that slides, and the image."""
    return ClockedGraph(
        attributes=torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]),
        clip=torch.zeros(2, dtype=torch.int64),
        relations=torch.tensor([[0, 0, 1]]),
        subject=torch.tensor([0]),
        action=torch.tensor([CATER_VOCABULARY.action("slide")]),
        object=torch.tensor([0]),
        progress=torch.tensor([[start, start + 2]]),
        destination=torch.tensor([[0.5, 0.5]]),
        num_clips=1,
    )


class Blind:
    """A classifier whose weights have become NaN."""

    num_features, num_classes, classes = 2, 3, 3

    def judged(self, graph: ClockedGraph) -> Tensor:
        return torch.ones(len(graph.action), dtype=torch.bool)

    def __call__(self, *_: Any) -> Tensor:
        return torch.full((1, 3), torch.nan)

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(frames), 2), torch.full((len(frames), 3), torch.nan)

    def eval(self) -> None: ...


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_boxes_that_are_no_numbers_are_refused(broken: float) -> None:
    true = torch.tensor([0.1, 0.1, 0.2, 0.2]).repeat(2, 8, 1)
    fake = true.clone()
    fake[0, 5, 2] = broken
    shown = torch.tensor([True, False])
    with pytest.raises(ValueError, match="LayoutIoU: fake boxes hold NaN or infinite values"):
        LayoutIoU().update(fake, true, shown, shown)
    with pytest.raises(ValueError, match="DestinationError: boxes hold NaN"):
        DestinationError(INFO).update(fake, true, asked())
    with pytest.raises(ValueError, match="TimingAccuracy: early boxes hold NaN"):
        TimingAccuracy(INFO).update(asked(), asked(-1.5), fake, true)
    for metric in (ActionRecall(INFO, Blind()), ComposedAccuracy(Blind())):
        with pytest.raises(ValueError, match="classifier of tracks: boxes hold NaN"):
            metric.update(fake, true, asked())


def test_verdicts_that_are_no_numbers_are_refused() -> None:
    true = torch.tensor([0.1, 0.1, 0.2, 0.2]).repeat(2, 8, 1)
    with pytest.raises(ValueError, match="classifier of tracks: logits hold NaN"):
        ActionRecall(INFO, Blind()).update(true, true, asked())
    with pytest.raises(ValueError, match="RecognitionAccuracy: logits hold NaN"):
        RecognitionAccuracy(Blind()).update(torch.zeros(1, 8, 5, 3), torch.tensor([0]), real=False)
    frames = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="InceptionScore: logits hold NaN"):
        InceptionScore(Blind()).update(frames, frames)


def test_a_set_that_has_collapsed_has_no_bandwidth_but_beside_real_ones_it_has() -> None:
    real = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    for spread in (0.0, 1e-7):
        fake = real[:1] + spread * torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
        assert float(mmd2(real, fake)) > 0.5
    with pytest.raises(ValueError, match="More than half of all pairs of features coincide"):
        mmd2(real[:1].repeat(50, 1), real[:1].repeat(40, 1))
    # alike on both sides: nothing to tell apart, and no rounding that pretends otherwise
    metric = MaximumMeanDiscrepancy()
    for is_real in (True, False):
        metric.update(real, is_real)
    assert float(metric.compute()) <= 0
