import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from mutoscope.metrics import ClassifierFID, InceptionScore, TooFewSamplesError, inception_score


class Colours(nn.Module):
    """Features: the mean colour of a clip; logits: how much of each channel."""

    num_features, num_classes = 3, 3

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        mean = frames.float().mean(dim=(1, 3, 4))
        return mean, mean / 10


def clips(n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(n, 1, 3, 1, 1, generator=g) * 255).to(torch.uint8).expand(n, 2, 3, 4, 4)


def naive_score(p: Tensor) -> float:
    return float(torch.tensor([stats.entropy(row, p.mean(0)) for row in p.double()]).mean().exp())


def test_score_is_scipys_divergence() -> None:
    p = torch.rand(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    p[0] = torch.eye(6)[0]
    assert float(inception_score(p)) == pytest.approx(naive_score(p), rel=1e-9)
    split = sum(naive_score(p[i::5]) for i in range(5)) / 5
    assert float(inception_score(p, splits=5)) == pytest.approx(split, rel=1e-9)


@pytest.mark.parametrize("splits", [1, 5])
def test_streaming_does_not_change_the_score(splits: int) -> None:
    fake = clips(33, 0)
    wanted = inception_score(Colours().features(fake)[1].double().softmax(dim=1), splits)
    metric = InceptionScore(Colours(), splits)
    for part in fake.split(7):
        metric.update(part, clips(len(part), 1))
    torch.testing.assert_close(metric.compute(), wanted)
    assert metric.per_split().shape == (splits,)


def test_sides_are_kept_apart() -> None:
    same = torch.full((8, 2, 3, 4, 4), 90, dtype=torch.uint8)
    real = clips(8, 3)
    score, ceiling = InceptionScore(Colours()), InceptionScore(Colours(), of="real")
    score.update(same, real)
    ceiling.update(same, real)
    assert float(score.compute()) == pytest.approx(1.0)
    assert float(ceiling.compute()) > 1.5


def test_distance_is_zero_for_the_same_clips_and_grows() -> None:
    real = clips(64, 0)
    metric = ClassifierFID(Colours())
    metric.update(real, real)
    assert float(metric.compute()) == pytest.approx(0.0, abs=1e-6)
    metric.reset()
    metric.update((real // 2), real)
    assert float(metric.compute()) > 1000


def test_too_few_and_wrong_frames_are_told() -> None:
    metric = InceptionScore(Colours(), splits=5)
    metric.update(clips(4, 0), clips(4, 0))
    with pytest.raises(TooFewSamplesError, match="5 splits"):
        metric.compute()
    with pytest.raises(ValueError, match="uint8"):
        metric.update(clips(4, 0).float(), clips(4, 0))
