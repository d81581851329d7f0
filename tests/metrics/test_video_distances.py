"""Distances and fidelity of videos against other people's programs, and against what must come out."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore as TheirInceptionScore
from torchmetrics.image.kid import KernelInceptionDistance
from two_ranks import Colours, every_video_metric, over_one, over_two_ranks

from mutoscope.metrics import ClassifierFID, InceptionScore, TooFewSamplesError
from mutoscope.metrics.average import RunningAverage, bounded_interval
from mutoscope.metrics.coverage import PrecisionRecall, share_within
from mutoscope.metrics.fidelity import PSNR, SSIM
from mutoscope.metrics.kernel import ClassifierKID, polynomial_mmd2, polynomial_mmd2_interval
from mutoscope.metrics.warping import WarpingError, tile_shifts


def tables(n: int, m: int, d: int = 12, shift: float = 0.3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g), torch.randn(m, d, generator=g) * 1.2 + shift


def videos(b: int, t: int = 3, side: int = 16, seed: int = 0, dark: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    base = torch.randint(0, 256 - dark, (b, 1, 3, side, side), generator=g)
    return (base + torch.randint(-9, 10, (b, t, 3, side, side), generator=g)).clamp(0, 255).to(torch.uint8)


# --- kernel distance --------------------------------------------------------------------------------------------------


def naive_mmd2(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_kernel_distance_is_that_of_all_pairs() -> None:
    x, y = tables(9, 13)
    assert float(polynomial_mmd2(x, y)) == pytest.approx(naive_mmd2(x.double().numpy(), y.double().numpy()), rel=1e-10)


def test_kernel_distance_is_that_of_torch_fidelity() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_kid")
    x, y = tables(40, 40)
    found = theirs.kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=40, verbose=False)
    assert float(polynomial_mmd2(x, y)) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-4)


def test_the_interval_is_the_jackknife_of_leaving_each_one_out() -> None:
    x, y = tables(7, 9)
    value = float(polynomial_mmd2(x, y))
    left_x = np.array([float(polynomial_mmd2(torch.cat([x[:i], x[i + 1 :]]), y)) for i in range(7)])
    left_y = np.array([float(polynomial_mmd2(x, torch.cat([y[:i], y[i + 1 :]]))) for i in range(9)])
    variance = 6 / 7 * ((left_x - left_x.mean()) ** 2).sum() + 8 / 9 * ((left_y - left_y.mean()) ** 2).sum()
    low, high = polynomial_mmd2_interval(x, y)
    assert high - value == pytest.approx(1.959964 * variance**0.5, rel=1e-5)
    assert value - low == pytest.approx(high - value, rel=1e-9)


def test_kernel_distance_expects_nothing_between_sets_that_are_alike() -> None:
    g = torch.Generator().manual_seed(1)
    values = [float(polynomial_mmd2(*torch.randn(2, 20, 6, generator=g))) for _ in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5


def test_subsets_do_not_depend_on_the_order_of_samples() -> None:
    real, fake = videos(12), videos(12, seed=1, dark=60)
    found = []
    for turned in (False, True):
        metric = ClassifierKID(Colours(), subsets=5, subset_size=20)
        metric.update(fake.flip(0) if turned else fake, real.flip(0) if turned else real)
        found.append(float(metric.compute()))
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    whole = ClassifierKID(Colours())
    whole.update(fake, real)
    low, high = whole.interval()
    assert low < float(whole.compute()) < high
    # every subset of all samples is all samples
    every = ClassifierKID(Colours(), subsets=3, subset_size=36)
    every.update(fake, real)
    assert float(every.compute()) == pytest.approx(float(whole.compute()), rel=1e-9)


def test_too_few_samples_for_a_subset_are_a_sentence() -> None:
    metric = ClassifierKID(Colours(), subsets=1)
    metric.update(videos(2), videos(2))
    with pytest.raises(TooFewSamplesError, match="at least 1000 samples on each side, got 6 real and 6 fake"):
        metric.compute()
    with pytest.raises(TooFewSamplesError, match="got 0 real"):
        ClassifierKID(Colours()).compute()


# --- precision and recall ---------------------------------------------------------------------------------------------


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_prc")
    real, fake = tables(60, 45, d=3, shift=0.8)
    settings = {"prc_neighborhood": 3, "prc_batch_size": 100, "save_cpu_ram": False, "verbose": False}
    found = theirs.prc_features_to_metric(fake, real, **settings)
    assert float(share_within(fake, real)) == pytest.approx(found["precision"], abs=1e-6)
    assert float(share_within(real, fake)) == pytest.approx(found["recall"], abs=1e-6)


def test_lost_modes_are_lost_recall_and_things_made_up_are_lost_precision() -> None:
    two = torch.cat([videos(10, seed=0, dark=200), videos(10, seed=1).clamp(min=150)])
    one, made_up = two[:10], torch.cat([two, videos(20, seed=3)])
    for fake, question, least in ((one, "precision", 0.99), (made_up, "recall", 0.99)):
        metric = PrecisionRecall(Colours(), question)  # type: ignore[arg-type]
        metric.update(fake, two)
        assert float(metric.compute()) >= least
    for fake, question in ((one, "recall"), (made_up, "precision")):
        metric = PrecisionRecall(Colours(), question)  # type: ignore[arg-type]
        metric.update(fake, two)
        assert float(metric.compute()) < 0.7


# --- torchmetrics on the same features --------------------------------------------------------------------------------


class Flat(torch.nn.Module):
    """The same looks for torchmetrics, which hands over single frames."""

    num_features = 8

    def __init__(self, logits: bool = False) -> None:
        super().__init__()
        self.colours, self.logits = Colours(), logits

    def forward(self, frames: Tensor) -> Tensor:
        features, logits = self.colours.features(frames[None])
        return logits if self.logits else features


def test_frechet_kernel_and_inception_score_are_those_of_torchmetrics() -> None:
    real, fake = videos(20), videos(17, seed=1, dark=90)
    theirs = FrechetInceptionDistance(Flat(), input_img_size=(3, 16, 16))
    theirs.update(real.flatten(0, 1), real=True)
    theirs.update(fake.flatten(0, 1), real=False)
    ours = ClassifierFID(Colours())
    ours.update(real_frames=real)
    ours.update(fake_frames=fake)
    assert float(ours.compute()) == pytest.approx(float(theirs.compute()), rel=1e-4)

    kernel = KernelInceptionDistance(Flat(), subsets=1, subset_size=51)
    kernel.update(real[:17].flatten(0, 1), real=True)
    kernel.update(fake.flatten(0, 1), real=False)
    ours_kernel = ClassifierKID(Colours())
    ours_kernel.update(fake, real[:17])
    assert float(ours_kernel.compute()) == pytest.approx(float(kernel.compute()[0]), rel=1e-4)

    score = TheirInceptionScore(Flat(logits=True), splits=1)
    score.update(fake.flatten(0, 1))
    ours_score = InceptionScore(Colours())
    ours_score.update(fake)
    assert float(ours_score.compute()) == pytest.approx(float(score.compute()[0]), rel=1e-4)


# --- two processes ----------------------------------------------------------------------------------------------------


@pytest.mark.ddp
def test_two_processes_find_what_one_finds() -> None:
    parts = [{"fake_frames": videos(3, seed=i, dark=60), "real_frames": videos(3, seed=9 + i)} for i in range(4)]
    alone, together = over_one(every_video_metric, parts), over_two_ranks(every_video_metric, parts)
    assert together == pytest.approx(alone, rel=1e-9)


# --- fidelity ---------------------------------------------------------------------------------------------------------


def test_psnr_is_its_formula_and_ssim_ranks_noise_and_blur() -> None:
    real = videos(2, side=32)
    psnr, ssim = PSNR(), SSIM()
    psnr.update((real.int() + 5).clamp(max=255).byte(), real)
    off = (real.int() + 5).clamp(max=255) - real
    by_hand = (10 * torch.log10(255**2 / off.double().square().mean(dim=(1, 2, 3, 4)))).mean()
    assert float(psnr.compute()) == pytest.approx(float(by_hand), abs=1e-4)
    by_frame = PSNR(over="frame")
    by_frame.update((real.int() + 5).clamp(max=255).byte(), real)
    of_frames = 10 * torch.log10(255**2 / off.double().square().mean(dim=(2, 3, 4)))
    assert float(by_frame.compute()) == pytest.approx(float(of_frames.mean()), abs=1e-4)
    for metric in (psnr, ssim):
        metric.reset()
        metric.update(real, real)
    assert float(psnr.compute()) == 100.0
    assert float(ssim.compute()) == pytest.approx(1.0, abs=1e-6)
    smooth = F.interpolate(real.flatten(0, 1).float(), 8, mode="area")
    smooth = F.interpolate(smooth, 32, mode="bilinear").round().byte().unflatten(0, (2, 3))
    ssim.reset()
    ssim.update(smooth, smooth.roll(1, dims=-1))
    near = float(ssim.compute())
    ssim.reset()
    ssim.update(videos(2, side=32, seed=5), smooth)
    assert float(ssim.compute()) < 0.3 < near < 1


def test_equal_frames_do_not_outweigh_wrong_ones() -> None:
    """Every second frame right and the others anyhow wrong: worse than all frames a little wrong."""
    real = videos(2, t=8, side=32)
    half = real.clone()
    half[:, 1::2] = 255 - half[:, 1::2]
    near = (real.int() + 20).clamp(max=255).byte()

    def found(fake: Tensor, **how: Any) -> float:
        metric = PSNR(**how)
        metric.update(fake, real)
        return float(metric.compute())

    assert found(half) < found(near)
    assert found(half, over="frame") > 50 > found(near, over="frame")
    assert (PSNR().version, PSNR(over="frame").version) == (2, 1)
    with pytest.raises(ValueError, match="over is 'set', expected clip or frame"):
        PSNR(over="set")  # type: ignore[arg-type]


class Values(RunningAverage):
    def update(self, values: Tensor) -> None:
        self._add(values, torch.ones(len(values), dtype=torch.bool))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 100.0), (0.0, None), (None, None)])
def test_intervals_stay_inside_the_bounds_of_their_values(bounds: tuple[float | None, float | None]) -> None:
    low, high = bounds
    start, width = low or 0.0, (high if high is not None else 3.0) - (low or 0.0)
    samples = [[0.98, 0.999, 1.0], [0.001, 0.0, 0.02], [0.0, 1.0, 1.0, 1.0], [1.0] * 5, [0.4, 0.5, 0.6], [0.0, 0.0]]
    for values in samples:
        metric = Values("value")
        metric.bounds = bounds
        metric.update(start + width * torch.tensor(values, dtype=torch.float64))
        below, above = metric.interval()
        assert below <= float(metric.compute()) <= above
        assert low is None or below >= low - 1e-12
        assert high is None or above <= high + 1e-12
    # far from the bounds all of them are the normal one; of shares, Wilson's
    assert bounded_interval(0.5, 0.01, 100, 0.0, 1.0) == pytest.approx((0.4804, 0.5196), abs=1e-4)
    assert bounded_interval(5.0, 0.1, 100, 0.0, None) == pytest.approx((4.804, 5.196), abs=5e-3)
    assert bounded_interval(1.0, 0.0, 10, 0.0, 1.0, shares=True) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert bounded_interval(0.9, 0.1, 10, 0.0, 1.0, shares=True) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_a_bounded_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    """Values that crowd below 1, as SSIM's do: the normal interval leaves the bound, this one holds the mean."""
    g, held = np.random.default_rng(0), 0
    for _ in range(400):
        x = g.beta(8.0, 0.8, size=40)
        error = x.std(ddof=1) / len(x) ** 0.5
        low, high = bounded_interval(float(x.mean()), float(error), len(x), 0.0, 1.0)
        held += low <= 8.0 / 8.8 <= high
    assert 0.9 < held / 400 <= 1


def test_a_given_first_frame_can_be_left_out() -> None:
    real, fake = videos(2, t=4, side=16), videos(2, t=4, side=16, seed=1)
    fake[:, 0] = real[:, 0]
    counted, left_out = SSIM(), SSIM(skip_first=True)
    for metric in (counted, left_out):
        metric.update(fake, real)
    assert float(counted.compute()) == pytest.approx(0.25 + 0.75 * float(left_out.compute()), abs=1e-5)
    low, high = counted.interval()
    assert low < float(counted.compute()) < high
    with pytest.raises(ValueError, match="expected more than 1"):
        PSNR(skip_first=True).update(fake[:, :1], real[:, :1])
    with pytest.raises(ValueError, match="at least 11"):
        SSIM().update(fake[..., :8], real[..., :8])


# --- warping error ----------------------------------------------------------------------------------------------------


@pytest.fixture
def panning() -> Tensor:
    """A texture that moves by (3, 2) pixels from frame to frame: ``[1, 5, 3, 96, 128]``."""
    g = torch.Generator().manual_seed(0)
    big = F.avg_pool2d(torch.rand(1, 1, 200, 200, generator=g) * 255, 5, 1, 2)[0, 0]
    clip = torch.stack([big[20 + 3 * t : 116 + 3 * t, 20 + 2 * t : 148 + 2 * t] for t in range(5)])
    return clip.round().byte()[None, :, None].expand(-1, -1, 3, -1, -1).contiguous()


def warping(frames: Tensor) -> float:
    metric = WarpingError()
    metric.update(fake_frames=frames)
    return float(metric.compute())


def test_warping_error_explains_what_moves_and_tells_flicker_and_disorder(panning: Tensor) -> None:
    shifts = tile_shifts(panning[0, :1, 0].float(), panning[0, 1:2, 0].float(), 32)
    assert shifts.unique(dim=0).flatten(0, -2).unique(dim=0).tolist() == [[-3, -2]]
    assert warping(panning) == 0.0
    # the caveat: whatever stands still is explained as well
    assert warping(panning[:, :1].expand_as(panning).contiguous()) == 0.0
    flicker = panning.clone()
    flicker[:, 1::2] //= 2
    assert warping(flicker) > 20
    assert warping(panning[:, [0, 3, 1, 4, 2]]) > 5
    with pytest.raises(ValueError, match="two frames or more and 32 pixels"):
        WarpingError().update(panning[:, :1])
