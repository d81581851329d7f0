import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from mutoscope.metrics import (
    FrechetDistance,
    TooFewSamplesError,
    frechet_distance,
    frechet_distance_of_features,
    frechet_terms,
)


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
    return torch.randn(n, d, generator=generator, dtype=torch.float64) @ mix + shift


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(dim=0), x.T.cov().reshape(x.shape[1], x.shape[1])


def streamed(real: list[Tensor], fake: list[Tensor], ddof: int = 1) -> FrechetDistance:
    metric = FrechetDistance(real[0].shape[1], ddof)
    for part in real:
        metric.update(part, real=True)
    for part in fake:
        metric.update(part, real=False)
    return metric


def test_distance_to_itself_is_zero() -> None:
    x = features(200, 8, seed=0, shift=50.0)
    assert float(frechet_distance(*moments(x), *moments(x))) < 1e-6
    assert float(frechet_distance_of_features(x, x)) < 1e-6
    assert float(frechet_distance_of_features(x[:5], x[:5])) < 1e-6


@given(st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_commuting_covariances_have_a_closed_form(d: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    a, b = torch.rand(2, d, generator=generator, dtype=torch.float64)
    shift = torch.randn(d, generator=generator, dtype=torch.float64)
    value = frechet_distance(torch.zeros(d), basis * a @ basis.T, shift, basis * b @ basis.T)
    torch.testing.assert_close(value, shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum(), rtol=1e-7, atol=1e-7)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 20), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_both_routes_agree_for_all_sizes(n: int, m: int, d: int, seed: int) -> None:
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    direct = frechet_distance(*moments(real), *moments(fake))
    torch.testing.assert_close(frechet_distance_of_features(real, fake), direct, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n", "m"), [(3, 200), (40, 7), (2, 2), (90, 70)])
def test_sums_of_few_samples_equal_their_tables(n: int, m: int) -> None:
    """Fewer samples than features on one side or both, or just more: what spans nothing adds nothing."""
    real, fake = features(n, 64, 5) + 3, features(m, 64, 6)
    found = streamed([real], [fake]).compute()
    assert float(found) == pytest.approx(float(frechet_distance_of_features(real, fake)), rel=1e-12)


def test_symmetry_translation_and_rotation() -> None:
    real, fake = features(60, 6, 1), features(50, 6, 2)
    value = frechet_distance_of_features(real, fake)
    rotation = torch.linalg.qr(features(6, 6, 3)).Q
    torch.testing.assert_close(frechet_distance_of_features(fake, real), value)
    torch.testing.assert_close(frechet_distance_of_features(real @ rotation + 7, fake @ rotation + 7), value)
    torch.testing.assert_close(frechet_distance_of_features(3 * real, 3 * fake), 9 * value)
    centred = fake - fake.mean(dim=0) + real.mean(dim=0)
    moved = frechet_distance_of_features(real, centred + 2)
    torch.testing.assert_close(moved, frechet_distance_of_features(real, centred) + 6 * 4)


def test_equals_the_textbook_formula_with_scipy() -> None:
    real, fake = features(300, 10, 4), features(200, 10, 5, shift=0.2)
    (mu1, s1), (mu2, s2) = moments(real), moments(fake)
    root = linalg.eigvals((s1 @ s2).numpy()).real.clip(min=0) ** 0.5
    expected = float((mu1 - mu2).square().sum() + s1.trace() + s2.trace()) - 2 * root.sum()
    assert float(frechet_distance(mu1, s1, mu2, s2)) == pytest.approx(expected, rel=1e-9)


def test_equals_torchmetrics_fid_on_given_features() -> None:
    class Identity(nn.Module):
        num_features = 7

        def forward(self, x: Tensor) -> Tensor:
            return x

    reference = FrechetInceptionDistance(feature=Identity(), normalize=False)
    reference.num_features = 7
    reference.used_custom_model = True
    real, fake = features(90, 7, 6), features(80, 7, 7, shift=0.5)
    reference.update(real, real=True)
    reference.update(fake, real=False)
    assert float(streamed([real], [fake]).compute()) == pytest.approx(float(reference.compute()), rel=1e-5)


def test_value_does_not_depend_on_batches_or_processes() -> None:
    real, fake = features(70, 9, 8, shift=10.0), features(49, 9, 9, shift=10.0)
    once = streamed([real], [fake]).compute()
    many = streamed(list(real.chunk(7)), list(fake.chunk(7))).compute()
    torch.testing.assert_close(many, once, rtol=1e-9, atol=1e-9)

    first, second = streamed([real[:20]], [fake[:30]]), streamed([real[20:]], [fake[30:]])
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), once, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(once, frechet_distance_of_features(real, fake), rtol=1e-9, atol=1e-9)


def test_ddof_divides_by_n() -> None:
    real, fake = features(40, 5, 10), features(30, 5, 11)
    fake = fake - fake.mean(dim=0) + real.mean(dim=0)
    mu1, s1 = moments(real)
    mu2, s2 = moments(fake)
    expected = frechet_distance(mu1, s1 * 39 / 40, mu2, s2 * 29 / 30)
    torch.testing.assert_close(streamed([real], [fake], ddof=0).compute(), expected)
    torch.testing.assert_close(frechet_distance_of_features(real, fake, ddof=0), expected)
    assert not torch.isclose(expected, frechet_distance_of_features(real, fake))


def test_sums_stay_double_precision() -> None:
    metric = streamed([features(9, 2, 0).float()], [features(9, 2, 1).float()])
    assert metric.half().real_outer.dtype == torch.float64
    assert metric.compute().dtype == torch.float64
    metric.to(torch.float16)
    with pytest.raises(RuntimeError, match="must stay float64"):
        metric.update(features(9, 2, 2), real=True)


def test_reset_forgets() -> None:
    metric = streamed([features(20, 3, 0)], [features(20, 3, 1, shift=3.0)])
    metric.reset()
    with pytest.raises(TooFewSamplesError), pytest.warns(UserWarning, match="before"):
        metric.compute()


def test_few_samples_are_refused_or_warned_about() -> None:
    with pytest.raises(TooFewSamplesError, match="got 1 real and 5 fake"):
        streamed([features(1, 3, 0)], [features(5, 3, 1)]).compute()
    with pytest.raises(TooFewSamplesError, match="got 5 real and 1 fake"):
        frechet_distance_of_features(features(5, 3, 0), features(1, 3, 1))
    with pytest.warns(UserWarning, match="biased upward"):
        streamed([features(9, 3, 0)], [features(3, 3, 1)]).compute()


def test_residual_reports_rounding_only() -> None:
    x = features(30, 12, 0)
    exact = frechet_terms(*moments(x), *moments(features(30, 12, 1)))
    rough = frechet_terms(*(v.float() for v in (*moments(x[:4]), *moments(x[:5]))))
    assert float(exact.residual) < 1e-12 < float(rough.residual) < 1e-5
    torch.testing.assert_close(exact.distance, exact.mean + exact.covariance)


def test_wrong_input_is_refused() -> None:
    x = features(9, 3, 0)
    mu, sigma = moments(x)
    with pytest.raises(ValueError, match="sigma2 has shape"):
        frechet_distance(mu, sigma, mu, sigma[:2])
    with pytest.raises(ValueError, match="not positive semi-definite"):
        frechet_distance(mu, sigma - 10 * torch.eye(3), mu, sigma)
    with pytest.raises(ValueError, match="not positive semi-definite"):
        frechet_distance(mu, sigma, mu, sigma - 10 * torch.eye(3))
    with pytest.raises(ValueError, match="not symmetric"):
        frechet_distance(mu, sigma + torch.triu(torch.ones(3, 3), 1), mu, sigma)
    with pytest.raises(ValueError, match="mu2 holds NaN"):
        frechet_distance(mu, sigma, mu * torch.nan, sigma)
    with pytest.raises(ValueError, match="NaN"):
        FrechetDistance(3).update(x * torch.nan, real=True)
    with pytest.raises(ValueError, match=r"expected \[n, 4\]"):
        FrechetDistance(4).update(x, real=True)
    with pytest.raises(ValueError, match="ddof is 2"):
        FrechetDistance(4, ddof=2)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-7, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_samples_that_nearly_coincide_are_no_mistake(spread: float, shift: float) -> None:
    """A collapsed generator: streaming sums leave nothing but rounding of its covariance."""
    real = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)) + shift
    noise = torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
    fake = real[:1] + spread * noise
    from_tables = float(frechet_distance_of_features(real, fake))
    assert float(streamed(list(real.split(70)), list(fake.split(33))).compute()) == pytest.approx(from_tables, rel=1e-6)
    assert float(streamed(list(fake.split(70)), list(real.split(33))).compute()) == pytest.approx(from_tables, rel=1e-6)
    if not spread:
        # nothing varies on one side: the mean's part and the other side's trace remain
        expected = (real.double().mean(0) - fake[0].double()).square().sum() + real.double().T.cov().trace()
        assert from_tables == pytest.approx(float(expected), rel=1e-9)


def test_both_sides_may_stand_still() -> None:
    one, other = torch.full((9, 5), 0.3), torch.full((7, 5), 0.8)
    assert float(streamed([one], [other]).compute()) == pytest.approx(5 * 0.25, rel=1e-6)
    assert float(streamed([one], [one]).compute()) == pytest.approx(0, abs=1e-12)


def test_given_moments_of_samples_that_coincide_are_no_mistake() -> None:
    x = features(500, 16, 0)
    still = (x[:1] * 100).repeat(500, 1)
    mean = still.mean(0)
    # summed one by one, as every processor does it
    rounding = (still[:, :, None] * still[:, None]).sum(0) / 500 - torch.outer(mean, mean)
    assert float(torch.linalg.eigvalsh(rounding).min()) < 0
    expected = (x.mean(0) - mean).square().sum() + x.T.cov().trace()
    for order in (1, -1):
        first, second = [(x.mean(0), x.T.cov()), (mean, rounding)][::order]
        assert float(frechet_distance(*first, *second)) == pytest.approx(float(expected), rel=1e-9)


def test_moments_may_be_rounded_otherwise_on_either_side_of_the_diagonal() -> None:
    """As some processors round products of matrices."""
    x = features(500, 16, 0)
    mean = 100 * x[0]
    rounding = 1e-16 * mean.square().sum() * features(16, 16, 1).sign()
    expected = (x.mean(0) - mean).square().sum() + x.T.cov().trace()
    # roots of rounding are what is left: of some 1e-11 in each of 16 dimensions
    assert float(frechet_distance(x.mean(0), x.T.cov(), mean, rounding)) == pytest.approx(float(expected), abs=1e-3)
    with pytest.raises(ValueError, match="sigma2 is not symmetric"):
        frechet_distance(x.mean(0), x.T.cov(), mean, 1e6 * rounding)


def test_covariances_that_share_no_direction_are_no_mistake() -> None:
    """Each is blind to the other: all that is seen of one through the other is rounding."""
    turned = torch.linalg.qr(features(6, 6, 3)).Q
    a, b = (turned[:, part] @ turned[:, part].T for part in (slice(0, 3), slice(3, 6)))
    zero = torch.zeros(6, dtype=torch.float64)
    assert float(frechet_distance(zero, a, zero, b)) == pytest.approx(6, abs=1e-6)
