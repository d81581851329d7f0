"""Fidelity where the real clip changes, against the formulas written out."""

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.moving import MovingMSE, MovingPSNR, MovingSSIM, motion_weights


def clips(seed: int, b: int = 2, t: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (b, t, 3, 16, 20), dtype=torch.uint8, generator=generator)


def weighted(fake: Tensor, real: Tensor) -> list[float]:
    """Pixel by pixel."""
    found = []
    for clip in range(len(real)):
        total, weight = 0.0, 0.0
        for t in range(1, real.shape[1]):
            x, y = (v[clip, t].double() / 255 for v in (fake, real))
            w = (y - real[clip, t - 1].double() / 255).abs().mean(0)
            total += float((w * (x - y).square().mean(0)).sum())
            weight += float(w.sum())
        found.append(total / weight)
    return found


def test_errors_count_by_how_much_the_real_clip_changes() -> None:
    fake, real = clips(0), clips(1)
    mse, psnr = MovingMSE(), MovingPSNR()
    for metric in (mse, psnr):
        metric.update(fake[:1], real[:1])
        metric.update(fake[1:], real[1:])
    expected = torch.tensor(weighted(fake, real), dtype=torch.float64)
    assert float(mse.compute()) == pytest.approx(float(expected.mean()), rel=1e-5)
    assert float(psnr.compute()) == pytest.approx(float((-10 * torch.log10(expected + 1e-8)).mean()), rel=1e-5)


def test_still_pixels_and_still_clips_do_not_count() -> None:
    real = clips(0)[:, :1].expand(-1, 4, -1, -1, -1).clone()
    real[0, 2:, :, 4:8, 4:8] = 255 - real[0, 2:, :, 4:8, 4:8]
    fake = real.clone()
    fake[:, :, :, 10:] = 0
    metric = MovingMSE()
    metric.update(fake, real)
    assert float(metric.compute()) == 0
    assert float(metric.count) == 1
    assert motion_weights(real)[1].sum() == 0
    metric = MovingMSE()
    metric.update(fake[1:], real[1:])
    with pytest.raises(TooFewSamplesError, match="no clip in which something moves"):
        metric.compute()


def test_structural_similarity_is_weighted_alike() -> None:
    fake, real = clips(2), clips(3)
    fake[0] = real[0]
    metric = MovingSSIM()
    metric.update(fake[:1], real[:1])
    assert float(metric.compute()) == pytest.approx(1, abs=1e-5)
    metric.update(fake[1:], real[1:])
    _, places = structural_similarity_index_measure(
        fake[1, 1:].float() / 255, real[1, 1:].float() / 255, data_range=1.0, return_full_image=True, reduction="none"
    )
    w = (real[1, 1:].float() - real[1, :-1].float()).abs().mean(1)
    other = float((places.mean(1) * w).sum() / w.sum())
    assert float(metric.compute()) == pytest.approx((1 + other) / 2, abs=1e-4)


def test_equal_frames_are_best_and_bad_input_gives_no_number() -> None:
    real = clips(4)
    for metric, best in ((MovingMSE(), 0), (MovingPSNR(), 80), (MovingSSIM(), 1)):
        metric.update(real, real)
        assert float(metric.compute()) == pytest.approx(best, abs=1e-4)
        with pytest.raises(ValueError, match="expected more than 1"):
            metric.update(real[:, :1], real[:, :1])
    with pytest.raises(ValueError, match="expected at least 11"):
        MovingSSIM().update(real[..., :8], real[..., :8])
