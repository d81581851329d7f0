import pytest
import torch
from torch import Tensor

from mutoscope.models.ag2vid.losses import (
    AdversarialKind,
    FrameLosses,
    LossWeights,
    discriminator_loss,
    feature_matching_loss,
    flow_loss,
    generator_adversarial_loss,
)


def scales(seed: int) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(2, c, size, size, generator=generator) for c in (3, 4, 1)]
        for size in (8, 4)
    ]  # fmt: skip


def test_hinge_stops_where_the_margin_is_kept() -> None:
    far = [[torch.full((2, 1, 3, 3), 1.5)], [torch.full((2, 1, 2, 2), 7.0)]]
    wrong = [[-x for x in scale] for scale in far]
    assert float(discriminator_loss(far, wrong).total) == 0
    swapped = discriminator_loss(wrong, far)
    assert float(swapped.real) == float(swapped.fake) == pytest.approx((2.5 + 8) / 2)
    assert float(generator_adversarial_loss(far)) == pytest.approx(-(1.5 + 7) / 2)


@pytest.mark.parametrize("kind", ["hinge", "least_squares", "cross_entropy"])
def test_generator_and_discriminator_pull_opposite_ways(kind: AdversarialKind) -> None:
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    (up,) = torch.autograd.grad(generator_adversarial_loss([[logits]], kind), logits)
    (down,) = torch.autograd.grad(discriminator_loss([[logits.detach()]], [[logits]], kind).fake, logits)
    (real,) = torch.autograd.grad(discriminator_loss([[logits]], [[logits.detach()]], kind).real, logits)
    assert (up < 0).all()
    assert (down >= 0).all()
    assert (real < 0).all()


def test_large_and_small_scales_count_alike() -> None:
    logits = [[torch.zeros(1, 1, 30, 30)], [torch.full((1, 1, 2, 2), 4.0)]]
    assert float(generator_adversarial_loss(logits)) == pytest.approx(-2)
    assert float(discriminator_loss(logits, logits, "least_squares").real) == pytest.approx((1 + 9) / 2)


def test_feature_matching_leaves_the_logits_out() -> None:
    real, fake = scales(0), scales(1)
    expected = sum(
        float((a - b).abs().mean()) for r, f in zip(real, fake, strict=True) for a, b in zip(r[:2], f[:2], strict=True)
    )
    assert float(feature_matching_loss(real, fake)) == pytest.approx(expected / 2, rel=1e-5)
    for scale in fake:
        scale[-1] += 100
    assert float(feature_matching_loss(real, fake)) == pytest.approx(expected / 2, rel=1e-5)


def test_no_gradient_flows_into_real_features() -> None:
    real = [[torch.randn(1, 2, 3, 3, requires_grad=True), torch.zeros(1)]]
    fake = [[torch.randn(1, 2, 3, 3, requires_grad=True), torch.zeros(1)]]
    feature_matching_loss(real, fake).backward()
    assert real[0][0].grad is None
    torch.testing.assert_close(fake[0][0].grad, (fake[0][0] - real[0][0]).detach().sign() / 18)


def test_total_weighs_the_terms_that_are_there() -> None:
    weights = LossWeights(adversarial=2, feature_matching=3, perceptual=5, flow=7)
    one = torch.ones(())
    assert float(FrameLosses(one, one, one, one).total(weights)) == 17
    assert float(FrameLosses(None, None, None, one).total(weights)) == 7
    with pytest.raises(ValueError, match="cannot be negative"):
        LossWeights(flow=-1)


def test_half_precision_features_give_single_precision_losses() -> None:
    half = [[x.bfloat16() for x in scale] for scale in scales(0)]
    other = [[x.bfloat16() for x in scale] for scale in scales(1)]
    pictures = torch.zeros(1, 1, 3, 2, 2, dtype=torch.bfloat16)
    for loss in (
        generator_adversarial_loss(half),
        discriminator_loss(half, other).total,
        feature_matching_loss(half, other),
        flow_loss(pictures, pictures + 1),
    ):
        assert loss.dtype == torch.float32


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="choose one of hinge, least_squares, cross_entropy"):
        generator_adversarial_loss([[torch.zeros(1)]], "wasserstein")  # type: ignore[arg-type]
