"""What metrics are fed with."""

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError, feed


class Gap(Metric):
    """Mean difference of two things, one of which may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("gap", torch.tensor(0.0))

    def update(self, fake: Tensor, real: Tensor | None = None) -> None:
        self.gap += fake.mean() - (0.0 if real is None else real.mean())

    def compute(self) -> Tensor:
        return self.gap


def test_a_metric_is_fed_with_what_it_names() -> None:
    metric = Gap()
    feed(metric, {"fake": torch.tensor([1.0, 3.0]), "real": torch.tensor([1.0]), "other": torch.tensor([7.0])})
    assert metric.compute() == 1
    feed(metric, {"fake": torch.tensor([1.0]), "real": None})
    assert metric.compute() == 2


def test_what_is_made_by_nobody_differs_from_what_nobody_speaks_of() -> None:
    with pytest.raises(TooFewSamplesError, match="it compares fake, and there are none"):
        feed(Gap(), {"fake": None, "real": torch.ones(1)})
    with pytest.raises(TypeError, match="fake"):
        feed(Gap(), {"real": torch.ones(1)})
