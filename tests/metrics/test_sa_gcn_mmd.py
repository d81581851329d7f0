"""SA-GCN's MMD: selection of clips, order of classes, sets that coincide, the metric around it."""

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import SAGCNMMD, TooFewSamplesError, sa_gcn_mmd
from mutoscope.structures import H36M15, DatasetInfo, Normaliser


def clips(count: int, seed: int) -> Tensor:
    return torch.randn(count, 4, 5, 2, generator=torch.Generator().manual_seed(seed))


def naive(real: Tensor, fake: Tensor) -> float:
    """Equation of the specification (section 8) for the whole clips of one class."""
    m, best = len(real), 0.0
    for power in range(-4, 10):
        total = 0.0
        for i in range(m):
            for j in range(m):
                if i != j:
                    for a, b, sign in ((real, real, 1), (fake, fake, 1), (real, fake, -2)):
                        total += sign * float((-(a[i].double() - b[j].double()).square().sum() / 10**power).exp())
        if total >= 0:
            best = max(best, (total / (m * (m - 1))) ** 0.5)
    return best


def test_value_is_that_of_the_formula_and_the_mean_over_classes() -> None:
    real, fake, label = clips(9, 0), 0.5 * clips(9, 1), torch.tensor([0, 1, 0, 1, 1, 0, 1, 1, 0])
    expected = sum(naive(real[label == c], fake[label == c]) for c in (0, 1)) / 2
    value = sa_gcn_mmd(real, label, fake, label, num_classes=2)
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(expected, rel=1e-9)
    renamed = 1 - label
    torch.testing.assert_close(sa_gcn_mmd(real, renamed, fake, renamed, num_classes=2), value)


def test_a_set_is_not_far_from_itself() -> None:
    real, label = clips(8, 0), torch.arange(8) % 2
    for mode in ("a", "s"):
        assert float(sa_gcn_mmd(real, label, real, label, num_classes=2, mode=mode)) < 1e-7


def test_equally_many_of_the_first_clips_of_each_class_are_compared() -> None:
    real, fake = clips(10, 0), clips(7, 1)
    real_label, fake_label = torch.arange(10) % 2, torch.tensor([0, 0, 1, 1, 1, 1, 0])
    first = [real[real_label == 0][:3], real[real_label == 1][:4], fake[fake_label == 0], fake[fake_label == 1]]
    value = sa_gcn_mmd(real, real_label, fake, fake_label, num_classes=2)
    assert float(value) == pytest.approx((naive(first[0], first[2]) + naive(first[1], first[3])) / 2, rel=1e-9)
    capped = sa_gcn_mmd(real, real_label, fake, fake_label, num_classes=2, most=2)
    assert float(capped) == pytest.approx(
        (naive(first[0][:2], first[2][:2]) + naive(first[1][:2], first[3][:2])) / 2, rel=1e-9
    )
    with pytest.raises(TooFewSamplesError, match="class 2 has 0"):
        sa_gcn_mmd(real, real_label, fake, fake_label, num_classes=3)


def test_the_metric_scales_by_the_data_sets_statistics() -> None:
    normaliser = Normaliser((0.0, 0.5), (2.0, 3.0))
    info = DatasetInfo("made up", "motion", ("a", "b"), 25.0, 4, 2, H36M15, normaliser=normaliser)
    real, fake, label = clips(8, 0), 0.5 * clips(8, 1), torch.arange(8) % 2
    metric = SAGCNMMD(info, mode="a", negatives="clip")
    with pytest.raises(TooFewSamplesError, match="no real clips"):
        metric.compute()
    for part in (slice(0, 3), slice(3, None)):
        metric.update(normaliser.denormalise(real[part]), label[part], real=True)
        metric.update(normaliser.denormalise(fake[part]), label[part], real=False)
    expected = sa_gcn_mmd(real, label, fake, label, num_classes=2, mode="a", negatives="clip")
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-5, atol=1e-6)
