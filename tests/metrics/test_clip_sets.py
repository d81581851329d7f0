"""The unbiased MMD of whole clips, class by class."""

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import ClipMMD, TooFewSamplesError, class_mmd2, mmd2, sa_gcn_mmd
from mutoscope.structures import H36M15, DatasetInfo, Normaliser


def clips(count: int, seed: int) -> Tensor:
    return torch.randn(count, 4, 5, 2, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_mean_over_classes_of_the_unbiased_estimate() -> None:
    real, fake = clips(11, 0), 0.5 * clips(8, 1)
    real_label, fake_label = torch.arange(11) % 2, torch.arange(8) % 2
    expected = sum(mmd2(real[real_label == c].flatten(1), fake[fake_label == c].flatten(1)) for c in (0, 1)) / 2
    value = class_mmd2(real, real_label, fake, fake_label, num_classes=2)
    torch.testing.assert_close(value, torch.as_tensor(expected))
    with pytest.raises(TooFewSamplesError, match="class 2 has 0 real and 0 generated"):
        class_mmd2(real, real_label, fake, fake_label, num_classes=3)


def test_alike_sets_score_zero_on_average_where_the_papers_mmd_stays_above() -> None:
    label = torch.arange(16) % 2
    pairs = [(clips(16, 2 * s), clips(16, 2 * s + 1)) for s in range(60)]
    unbiased = torch.stack([class_mmd2(a, label, b, label, num_classes=2) for a, b in pairs])
    assert abs(float(unbiased.mean())) < 3 * float(unbiased.std()) / 60**0.5
    assert float((unbiased < 0).float().mean()) > 0.2
    assert min(float(sa_gcn_mmd(a, label, b, label, num_classes=2)) for a, b in pairs[:10]) > 0


def test_classes_that_changed_places_are_seen() -> None:
    label = torch.arange(40) % 2
    real, fake = clips(40, 0) + 2.0 * label[:, None, None, None], clips(40, 1) + 2.0 * label[:, None, None, None]
    right = float(class_mmd2(real, label, fake, label, num_classes=2))
    assert float(class_mmd2(real, label, fake, 1 - label, num_classes=2)) > 20 * abs(right)


def test_the_metric_takes_dataset_units_in_parts() -> None:
    normaliser = Normaliser((0.0, 0.5), (2.0, 3.0))
    info = DatasetInfo("made up", "motion", ("a", "b"), 25.0, 4, 2, H36M15, normaliser=normaliser)
    real, fake, label = clips(8, 0), 0.5 * clips(8, 1), torch.arange(8) % 2
    metric = ClipMMD(info)
    metric.update(normaliser.denormalise(fake), label, real=False)
    with pytest.raises(TooFewSamplesError, match="ClipMMD has seen no real clips"):
        metric.compute()
    for part in (slice(0, 3), slice(3, None)):
        metric.update(normaliser.denormalise(real[part]), label[part], real=True)
    expected = class_mmd2(real, label, fake, label, num_classes=2)
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="all positive"):
        ClipMMD(info, multiples=(1.0, 0.0))
