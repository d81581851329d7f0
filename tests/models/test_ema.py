"""The generator's average."""

import pytest
import torch
from torch import Tensor, nn

from mutoscope.models.ema import GeneratorEMA


class Net(nn.Module):
    """A weight, a running statistic and a counter."""

    statistic: Tensor
    counter: Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), value))
        self.register_buffer("statistic", torch.full((2,), value))
        self.register_buffer("counter", torch.tensor(int(value)))


def moved(steps: list[int], half_life: float, ramp: float, seen: int = 0) -> float:
    """Where an average that starts at 0 stands after following a network at 1 for batches of these sizes."""
    ema = GeneratorEMA(Net(0.0), half_life, ramp)
    for samples in steps:
        seen += samples
        ema.update(Net(1.0), samples, seen)
    assert torch.equal(ema.network.statistic[0], ema.network.weight[0])
    return float(ema.network.weight[0])


def test_half_is_forgotten_after_the_half_life_in_samples() -> None:
    assert moved([100], half_life=100, ramp=1e9) == pytest.approx(0.5)
    assert moved([300], half_life=100, ramp=1e9) == pytest.approx(1 - 0.5**3)


def test_only_the_number_of_samples_counts_not_how_they_were_batched() -> None:
    whole = moved([32], half_life=20, ramp=1e9)
    assert moved([16, 16], half_life=20, ramp=1e9) == pytest.approx(whole, abs=1e-6)
    assert moved([1] * 32, half_life=20, ramp=1e9) == pytest.approx(whole, abs=1e-6)


def test_the_start_is_forgotten_sooner() -> None:
    # 10 of 20 samples at a half-life of 0.05 * 20 = 1 sample
    assert moved([10], half_life=1000, ramp=0.05, seen=10) == pytest.approx(1 - 0.5**10)
    assert moved([10], half_life=1000, ramp=0.05, seen=10**6) == pytest.approx(1 - 0.5**0.01, rel=1e-3)


def test_counters_are_copied_and_the_network_itself_is_left_alone() -> None:
    source = Net(4.0)
    ema = GeneratorEMA(Net(0.0), half_life=10)
    ema.update(source, 8, 800)
    assert ema.network.counter.item() == 4
    assert 0 < ema.network.weight[0].item() < 4
    assert torch.equal(source.weight, torch.full((3,), 4.0))
    assert source.weight.requires_grad
    assert not ema.network.weight.requires_grad


def test_the_average_never_enters_training_mode() -> None:
    holder = nn.Sequential(GeneratorEMA(nn.BatchNorm1d(2), half_life=10)).train()
    assert not holder[0].network.training


@pytest.mark.parametrize("half_life", [0.0, -1.0])
def test_a_half_life_must_be_positive(half_life: float) -> None:
    with pytest.raises(ValueError, match=r"half-life is .* samples, expected a positive number"):
        GeneratorEMA(Net(0.0), half_life)
