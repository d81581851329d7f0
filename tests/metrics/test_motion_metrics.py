import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mutoscope.metrics import (
    BoneDrift,
    Diversity,
    FootSkate,
    Jerk,
    MotionFID,
    MotionMetric,
    MotionMMD,
    MovementSpectrum,
    Multimodality,
    NearestTrainingDistance,
    RecognitionAccuracy,
    TooFewSamplesError,
    frechet_distance_of_features,
    mmd2,
)
from mutoscope.metrics.movement import spectrum
from mutoscope.structures import CMU31, H36M16, Skeleton

FPS = 20.0
CHAIN = Skeleton("chain", ("hip", "knee", "left", "right"), (-1, 0, 1, 1), 0, ((2, 3),), (2, 3), (2, 3))


class FirstFrame(nn.Module):
    """A recogniser that reads features off the clip: the mean position of joint 1, its class the sign of x."""

    classes = 2
    num_features = 3

    def features(self, joints: Tensor) -> Tensor:
        assert not self.training
        return joints[:, :, 1].mean(dim=1)

    def forward(self, joints: Tensor) -> Tensor:
        x = self.features(joints)[:, 0]
        return torch.stack([-x, x], dim=1)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(b: int) -> Tensor:
    return torch.arange(b) % 2


def standing(b: int, t: int, skeleton: Skeleton = CHAIN) -> Tensor:
    """Someone who stands still: a random pose with feet on the floor."""
    pose = randn(b, 1, skeleton.num_joints, 3)
    pose[..., skeleton.up_axis] += 5
    pose[:, :, list(skeleton.feet), skeleton.up_axis] = 0.0
    return pose.repeat(1, t, 1, 1)


ALL: dict[str, Callable[[], MotionMetric]] = {
    "fid": lambda: MotionFID(FirstFrame()),
    "mmd": lambda: MotionMMD(FirstFrame()),
    "accuracy": lambda: RecognitionAccuracy(FirstFrame()),
    "drift": lambda: BoneDrift(CHAIN),
    "movement": lambda: MovementSpectrum(CHAIN),
    "skate": lambda: FootSkate(CHAIN, FPS, height=3.0),
    "jerk": lambda: Jerk(FPS),
    "nearest": lambda: NearestTrainingDistance(randn(6, 8, 4, 3, seed=9)),
    "diversity": lambda: Diversity(FirstFrame()),
    "multimodality": lambda: Multimodality(FirstFrame()),
}
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


def feed(metric: MotionMetric, real: Tensor, fake: Tensor, mask: Tensor | None = None) -> MotionMetric:
    metric.update(real, labels(len(real)), mask, real=True)
    metric.update(fake, labels(len(fake)), mask, real=False)
    return metric


@every
def test_batches_and_processes_do_not_matter(make: Callable[[], MotionMetric]) -> None:
    real, fake = randn(24, 8, 4, 3), randn(24, 8, 4, 3, seed=1)
    once = feed(make(), real, fake).compute()
    split, other = make(), make()
    for i, metric in ((0, split), (8, split), (16, other)):
        feed(metric, real[i : i + 8], fake[i : i + 8])
    split.merge_state(other)
    assert once.ndim == 0
    torch.testing.assert_close(split.compute(), once, rtol=1e-6, atol=1e-9)


@every
def test_masked_frames_are_ignored(make: Callable[[], MotionMetric]) -> None:
    real, fake = randn(12, 8, 4, 3), randn(12, 8, 4, 3, seed=1)
    mask = torch.arange(8) < torch.tensor([5, 8] * 6)[:, None]
    clean = feed(make(), real, fake, mask).compute()
    for clips in (real, fake):
        clips[~mask] = torch.nan
    torch.testing.assert_close(feed(make(), real, fake, mask).compute(), clean)


@every
def test_nothing_seen_is_a_reason_not_a_number(make: Callable[[], MotionMetric]) -> None:
    metric = make()
    metric.update(randn(4, 8, 4, 3), labels(4), real=True)
    with pytest.raises(TooFewSamplesError):
        metric.compute()


@every
def test_bad_input_is_refused(make: Callable[[], MotionMetric]) -> None:
    metric, clips = make(), randn(4, 8, 4, 3)
    with pytest.raises(ValueError, match="NaN"):
        metric.update(clips * torch.inf, labels(4), real=False)
    with pytest.raises(ValueError, match=r"expected \[b, t, v, c\]"):
        metric.update(clips[0], labels(4), real=False)
    with pytest.raises(ValueError, match=r"\[b, t, v, c\] and \[b\]"):
        metric.update(clips, labels(3), real=False)
    with pytest.raises(ValueError, match="mask"):
        metric.update(clips, labels(4), torch.ones(4, 7, dtype=torch.bool), real=False)
    with pytest.raises(ValueError, match="mask"):
        metric.update(clips, labels(4), torch.ones(4, 8), real=False)
    with pytest.raises(ValueError, match="first frame"):
        metric.update(clips, labels(4), torch.zeros(4, 8, dtype=torch.bool), real=False)


@every
def test_says_what_it_means_in_one_line(make: Callable[[], MotionMetric]) -> None:
    metric = make()
    assert 20 < len(metric.meaning) < 120
    assert "\n" not in metric.meaning
    assert metric.higher_is_better in (True, False, None)


def test_fid_and_mmd_are_those_of_the_features() -> None:
    real, fake = randn(30, 8, 4, 3), 2 * randn(25, 8, 4, 3, seed=1)
    net = FirstFrame().eval()
    a, b = net.features(real), net.features(fake)
    fid = feed(MotionFID(FirstFrame(), ddof=0), real, fake)
    torch.testing.assert_close(fid.compute(), frechet_distance_of_features(a, b, ddof=0), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(feed(MotionMMD(FirstFrame()), real, fake).compute(), mmd2(a, b))


def test_accuracy_overall_and_per_class() -> None:
    clips = torch.ones(5, 8, 4, 3)
    clips[3:] = -1.0
    metric = RecognitionAccuracy(FirstFrame())
    metric.update(clips, torch.tensor([1, 1, 1, 1, 0]), real=False)
    assert float(metric.compute()) == pytest.approx(4 / 5)
    assert metric.per_class().tolist() == pytest.approx([1.0, 3 / 4])
    with pytest.raises(ValueError, match=r"0\.\.1"):
        metric.update(clips, torch.tensor([0, 1, 2, 1, 0]), real=False)
    ceiling = RecognitionAccuracy(FirstFrame(), of="real")
    ceiling.update(clips[:2], torch.tensor([1, 1]), real=True)
    ceiling.update(clips[:2], torch.tensor([0, 0]), real=False)
    assert float(ceiling.compute()) == 1.0
    assert math.isnan(float(ceiling.per_class()[0]))


def test_bone_drift_of_rigid_and_of_breathing_bones() -> None:
    rigid = standing(6, 16, CMU31)
    angle = torch.linspace(0, 3, 16)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).T.view(16, 2, 2)
    turning = rigid.clone()
    turning[..., [0, 2]] = torch.einsum("tij,btvj->btvi", turn, rigid[..., [0, 2]])
    drift = BoneDrift(CMU31)
    drift.update(turning + angle[:, None, None], labels(6), real=False)
    assert float(drift.compute()) < 1e-6

    # uniform scaling by 1 +- 0.1 in turn: the deviation of every bone is a tenth of its mean
    swell = 1 + 0.1 * (-1.0) ** torch.arange(16)[:, None, None]
    drift.reset()
    drift.update(rigid * swell, labels(6), real=False)
    assert float(drift.compute()) == pytest.approx(0.1, rel=1e-5)


def test_bone_drift_counts_neither_points_nor_single_frames() -> None:
    collapsed = torch.zeros(2, 8, 4, 3)
    drift = BoneDrift(CHAIN)
    drift.update(collapsed, labels(2), real=False)
    with pytest.raises(TooFewSamplesError, match="BoneDrift has seen no fake clips"):
        drift.compute()
    mask = torch.zeros(2, 8, dtype=torch.bool)
    mask[:, 0] = True
    drift.update(randn(2, 8, 4, 3), labels(2), mask, real=False)
    with pytest.raises(TooFewSamplesError):
        drift.compute()


def test_foot_skate_finds_an_injected_slip_of_known_size() -> None:
    still = standing(5, 20)
    skate = FootSkate(CHAIN, FPS)
    skate.update(still, labels(5), real=False)
    assert float(skate.compute()) == 0.0

    slip = 0.3 / FPS * torch.arange(20)
    sliding = still.clone()
    sliding[..., 0] += 0.6 * slip[:, None]
    sliding[..., 2] += 0.8 * slip[:, None]
    skate.reset()
    skate.update(sliding, labels(5), real=False)
    assert float(skate.compute()) == pytest.approx(0.3, rel=1e-4)

    # only one of two feet slips, then that foot is lifted off the floor; then the whole floor moves up
    one = still.clone()
    one[:, :, 2, 0] += slip
    lifted = one.clone()
    lifted[:, :, 2, 1] += 0.03
    for clips, speed in ((one, 0.15), (lifted, 0.0), (one + torch.tensor([0, 7.0, 0]), 0.15)):
        skate.reset()
        skate.update(clips, labels(5), real=False)
        assert float(skate.compute()) == pytest.approx(speed, abs=1e-4)


def test_foot_skate_weight_falls_with_height() -> None:
    clips = standing(1, 2)
    clips[:, 1, 2, 0] += 1.0 / FPS
    clips[:, :, 2, 1] = 0.0125
    skate = FootSkate(CHAIN, FPS, height=0.025)
    skate.update(clips, labels(1), real=False)
    weight = 2 - 2**0.5
    assert float(skate.compute()) == pytest.approx(weight / (1 + weight), rel=1e-4)


def test_metrics_of_space_refuse_flat_or_rootless_data() -> None:
    flat = randn(2, 8, 4, 2)
    with pytest.raises(ValueError, match="projected bone"):
        BoneDrift(CHAIN).update(flat, labels(2), real=False)
    with pytest.raises(ValueError, match="front view"):
        FootSkate(CHAIN, FPS).update(flat, labels(2), real=False)
    with pytest.raises(ValueError, match="expected \\[b, t, 16, 3\\]"):
        BoneDrift(H36M16).update(randn(2, 8, 4, 3), labels(2), real=False)
    with pytest.raises(ValueError, match="root_rule is 'none'"):
        FootSkate(CHAIN, FPS, root_rule="none")
    with pytest.raises(ValueError, match="fps is 0"):
        FootSkate(CHAIN, 0)
    with pytest.raises(ValueError, match="at least 4 frames"):
        Jerk(FPS).update(randn(2, 3, 4, 3), labels(2), real=False)
    with pytest.raises(ValueError, match="of is 'both'"):
        Jerk(FPS, of="both")  # type: ignore[arg-type]


def test_jerk_of_polynomials() -> None:
    time = torch.arange(12, dtype=torch.float64) / FPS
    path = torch.zeros(1, 12, 4, 3, dtype=torch.float64)
    jerk = Jerk(FPS)
    path[..., 0] = (1 + 2 * time + 5 * time**2)[:, None]
    jerk.update(path, labels(1), real=False)
    assert float(jerk.compute()) == pytest.approx(0.0, abs=1e-8)
    path[..., 1], path[..., 2] = (0.5 * time**3)[:, None], (2 / 3 * time**3)[:, None]
    jerk.reset()
    jerk.update(path, labels(1), real=False)
    # third derivatives 3 and 4 metres per second cubed
    assert float(jerk.compute()) == pytest.approx(5.0, rel=1e-6)


def test_nearest_training_clip_is_found_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    training, fake = randn(9, 8, 4, 3), randn(5, 8, 4, 3, seed=1)
    brute = torch.stack([min((f - r).norm(dim=-1).mean() for r in training) for f in fake])
    metric = NearestTrainingDistance(training)
    metric.update(fake, labels(5), real=False)
    assert float(metric.compute()) == pytest.approx(float(brute.mean()), rel=1e-5)
    monkeypatch.setattr("mutoscope.metrics.motion._CHUNK", 100)
    metric.reset()
    metric.update(fake, labels(5), real=False)
    assert float(metric.compute()) == pytest.approx(float(brute.mean()), rel=1e-5)

    # memorised clips, moved by 3 cm: their distance is 3 cm
    metric.reset()
    metric.update(training[3:5] + torch.tensor([0.0, 0.03, 0.0]), labels(2), real=False)
    assert float(metric.compute()) == pytest.approx(0.03, rel=1e-4)
    with pytest.raises(ValueError, match="cut both to one length"):
        metric.update(fake[:, :4], labels(5), real=False)
    with pytest.raises(ValueError, match="n >= 1"):
        NearestTrainingDistance(training[:0])


def test_nearest_weighs_only_frames_that_count() -> None:
    training = randn(4, 8, 4, 3)
    fake = training[:2].clone()
    fake[:, 5:] += 100
    mask = (torch.arange(8) < 5).expand(2, 8)
    metric = NearestTrainingDistance(training)
    metric.update(fake, labels(2), mask, real=False)
    assert float(metric.compute()) == 0.0


def test_diversity_and_multimodality_equal_the_double_loop() -> None:
    clips = randn(11, 8, 4, 3)
    label = torch.tensor([0, 0, 0, 2, 2, 2, 2, 5, 2, 0, 2])
    x = FirstFrame().eval().features(clips).double()

    def spread(rows: Tensor) -> float:
        pairs = [(a - b).norm() for i, a in enumerate(rows) for b in rows[:i]]
        return float(sum(pairs)) / len(pairs)

    diversity, multimodality = Diversity(FirstFrame()), Multimodality(FirstFrame())
    for metric in (diversity, multimodality):
        metric.update(clips[:6], label[:6], real=False)
        metric.update(clips[6:], label[6:], real=False)
    assert float(diversity.compute()) == pytest.approx(spread(x), rel=1e-9)
    # the single clip of class 5 has no partner
    assert float(multimodality.compute()) == pytest.approx(
        (spread(x[label == 0]) + spread(x[label == 2])) / 2, rel=1e-9
    )
    lonely = Multimodality(FirstFrame())
    lonely.update(clips[:2], torch.tensor([0, 1]), real=False)
    with pytest.raises(TooFewSamplesError, match="of one class"):
        lonely.compute()


def test_movement_sees_who_stands_still_trembles_or_moves_half_as_much() -> None:
    time = torch.arange(32.0)
    swing = torch.sin(2 * torch.pi * time / 16)[None, :, None, None] * randn(20, 1, 4, 3)
    real = standing(20, 32) + swing
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    generated = {
        "the same": real,
        "somebody else": standing(20, 32) + swing.flip(0),
        "backwards": real.flip(1),
        "half as much": real - 0.5 * swing,
        "frozen": real[:, :1].expand_as(real),
        "shuffled": real[:, order],
    }
    found = {name: float(feed(MovementSpectrum(CHAIN), real, fake).compute()) for name, fake in generated.items()}
    assert [found[name] for name in ("the same", "somebody else", "backwards")] == pytest.approx([0, 0, 0], abs=1e-6)
    assert found["half as much"] == pytest.approx(0.5, abs=1e-5)
    assert found["frozen"] == 1
    assert found["shuffled"] > 1


def test_movement_of_one_joint_is_the_amplitude_of_its_velocity() -> None:
    # a velocity of 1 and -1 by turns has all its power in the highest frequency
    steps = torch.tensor([1.0, -1.0] * 16).cumsum(0)
    real = torch.zeros(3, 33, 4, 3)
    real[:, 1:, 2, 0] = steps
    amplitude = spectrum(real)
    assert amplitude.shape == (3, 8, 4)
    assert (amplitude[:, :, [0, 1, 3]] == 0).all()
    assert (amplitude[:, :-1, 2] < 1e-6).all()
    # Parseval: 32 = the power of 32 steps of 1, which lies in one of the last band's three frequencies
    torch.testing.assert_close(amplitude[:, -1, 2], torch.full((3,), (32 / 3) ** 0.5))


def test_movement_wants_whole_clips_in_which_something_moves() -> None:
    clips = randn(4, 8, 4, 3)
    with pytest.raises(TooFewSamplesError, match="no real clip in which anything moves"):
        feed(MovementSpectrum(CHAIN), standing(4, 8), clips).compute()
    mask = torch.ones(4, 8, dtype=torch.bool)
    mask[:, -1] = False
    with pytest.raises(TooFewSamplesError, match="0 generated and 0 real clips"):
        feed(MovementSpectrum(CHAIN), clips, clips, mask).compute()
    with pytest.raises(ValueError, match="2 frames; expected at least 3"):
        MovementSpectrum(CHAIN).update(clips[:, :2], labels(4), real=True)
