import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.image.kid import maximum_mean_discrepancy

from mutoscope.metrics import MaximumMeanDiscrepancy, TooFewSamplesError, mmd, mmd2, mmd2_interval, mmd2_p_value
from mutoscope.metrics.mmd import median_squared_distance, squared_distances


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def double_loop(x: Tensor, y: Tensor, widths: list[float]) -> float:
    def k(a: Tensor, b: Tensor) -> float:
        return sum(float(torch.exp(-(a - b).square().sum() / h)) for h in widths)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


@given(st.integers(2, 7), st.integers(2, 7), st.integers(1, 4), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_equals_the_double_loop(n: int, m: int, d: int, seed: int) -> None:
    x, y = normal(n, d, seed), normal(m, d, seed + 1, shift=0.7)
    pooled = torch.cat([x, y])
    pairs = torch.stack([(a - b).square().sum() for i, a in enumerate(pooled) for b in pooled[:i]])
    median = pairs.sort().values[(len(pairs) - 1) // 2]
    torch.testing.assert_close(median_squared_distance(x, y), median)
    widths = [0.5 * float(median), 3.0 * float(median)]
    assert float(mmd2(x, y, (0.5, 3.0))) == pytest.approx(double_loop(x, y, widths), abs=1e-12)


def test_chunks_do_not_change_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(60, 3, 0), normal(41, 3, 1, shift=0.4)
    whole = mmd2(x, y), mmd2_p_value(x, y, draws=20)
    monkeypatch.setattr(mmd, "_CHUNK", 700)
    torch.testing.assert_close(mmd2(x, y), whole[0], rtol=1e-12, atol=1e-14)
    assert mmd2_p_value(x, y, draws=20) == whole[1]


def test_weighting_agrees_with_the_unbiased_estimator_of_kid() -> None:
    """The sums over pairs are those of torchmetrics' KID; only the kernel differs."""
    x, y = normal(30, 5, 2), normal(30, 5, 3, shift=0.3)
    h = float(median_squared_distance(x, y))
    kernels = [torch.exp(-squared_distances(a, b) / h) for a, b in ((x, x), (x, y), (y, y))]
    torch.testing.assert_close(mmd2(x, y, (1.0,)), maximum_mean_discrepancy(*kernels), rtol=1e-9, atol=1e-12)


def test_mean_is_zero_when_both_sides_are_alike() -> None:
    values = torch.stack([mmd2(normal(20, 3, 2 * s), normal(30, 3, 2 * s + 1)) for s in range(300)])
    error = values.std() / len(values) ** 0.5
    assert (values < 0).any()
    assert values.mean().abs() < 3.5 * error


def test_grows_with_the_difference_and_ignores_order_and_scale() -> None:
    x, near, far = normal(80, 4, 0), normal(60, 4, 1, shift=0.3), normal(60, 4, 1, shift=1.0)
    assert 0 < mmd2(x, near) < mmd2(x, far)
    torch.testing.assert_close(mmd2(x.flip(0), far.flip(0)), mmd2(x, far))
    torch.testing.assert_close(mmd2(far, x), mmd2(x, far))
    torch.testing.assert_close(mmd2(x * 7 + 100, far * 7 + 100), mmd2(x, far), rtol=1e-8, atol=1e-10)


def test_median_of_many_samples_is_sampled_independently_of_order() -> None:
    x, y = normal(1800, 2, 4), normal(1500, 2, 5)
    median = median_squared_distance(x, y)
    torch.testing.assert_close(median_squared_distance(y.flip(0), x), median, rtol=1e-12, atol=0)
    # squared distance of two 2-D standard normals is 4 times an exponential variable
    assert float(median) == pytest.approx(4 * 0.6931, rel=0.05)


def test_p_value_is_calibrated() -> None:
    null = torch.stack([mmd2_p_value(normal(15, 2, 2 * s), normal(20, 2, 2 * s + 1), draws=59) for s in range(200)])
    assert 0.005 <= float((null <= 0.05).double().mean()) <= 0.11
    assert 0.4 <= float(null.mean()) <= 0.6
    assert float(mmd2_p_value(normal(40, 2, 0), normal(40, 2, 1, shift=2.0), draws=99)) == pytest.approx(0.01)


def test_interval_holds_the_true_value() -> None:
    truth = float(mmd2(normal(1500, 2, 900), normal(1500, 2, 901, shift=0.8), (1.0,)))
    hits = 0
    for s in range(40):
        x, y = normal(60, 2, 2 * s), normal(50, 2, 2 * s + 1, shift=0.8)
        low, high = mmd2_interval(x, y, (1.0,), level=0.9, draws=100, seed=s)
        assert low < high
        hits += low <= truth <= high
    assert hits >= 30


def test_metric_streams_and_merges() -> None:
    x, y = normal(31, 3, 0).float(), normal(24, 3, 1, shift=0.5).float()
    parts = [MaximumMeanDiscrepancy(), MaximumMeanDiscrepancy()]
    for metric, at in zip(parts, (slice(0, 11), slice(11, None)), strict=True):
        metric.update(x[at], real=True)
        metric.update(y[at], real=False)
    parts[0].merge_state(parts[1])
    torch.testing.assert_close(parts[0].compute(), mmd2(x, y))
    order = [torch.cat([v[11:], v[:11]]) for v in (x, y)]
    assert parts[0].p_value(draws=30) in (mmd2_p_value(x, y, draws=30), mmd2_p_value(*order, draws=30))
    low, high = parts[0].interval(draws=30)
    assert low < float(parts[0].compute()) < high


def test_gathered_states_are_understood() -> None:
    """After a gather over processes a list state is one tensor."""
    x, y = normal(12, 3, 0), normal(9, 3, 1)
    metric = MaximumMeanDiscrepancy()
    metric.update(x, real=True)
    metric.update(y, real=False)
    metric.real, metric.fake = x, y
    torch.testing.assert_close(metric.compute(), mmd2(x, y))


def test_wrong_input_is_refused() -> None:
    x = normal(5, 3, 0)
    with pytest.raises(TooFewSamplesError, match="got 1 real and 5 fake"):
        mmd2(x[:1], x)
    metric = MaximumMeanDiscrepancy()
    metric.update(x, real=False)
    with pytest.raises(TooFewSamplesError, match="got 0 real and 5 fake"):
        metric.compute()
    with pytest.raises(ValueError, match="collapsed"):
        mmd2(torch.ones(5, 3), torch.ones(4, 3))
    with pytest.raises(ValueError, match="NaN"):
        mmd2(x * torch.nan, x)
    with pytest.raises(ValueError, match=r"expected \[n, 3\]"):
        mmd2(x, x[:, :2])
    with pytest.raises(ValueError, match="multiples"):
        MaximumMeanDiscrepancy((1.0, -1.0))
    with pytest.raises(ValueError, match="level is 95"):
        mmd2_interval(x, x, level=95)
