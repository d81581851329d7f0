"""Steps within the backward pass: the same weights as afterwards, and never all gradients."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from mutoscope.models import step_in_backward as module
from mutoscope.models.step_in_backward import step_in_backward


class Repeated(nn.Module):
    """Uses one of its layers several times, so that its gradient is complete only when the first use is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for _ in range(3):
            x = torch.tanh(self.middle(x))
        return self.last(x).square().mean()


@pytest.fixture
def networks() -> tuple[Repeated, Repeated]:
    torch.manual_seed(0)
    network = Repeated()
    return network, copy.deepcopy(network)


@pytest.mark.parametrize("collected", [1, 30, 10**9])
@pytest.mark.parametrize(
    "factory", [lambda p: Adam(p, lr=0.1), lambda p: Adam(p, lr=0.1, fused=True), lambda p: SGD(p, 0.1, momentum=0.9)]
)
def test_weights_and_moments_are_those_of_a_step_afterwards(
    monkeypatch: pytest.MonkeyPatch,
    networks: tuple[Repeated, Repeated],
    factory: Callable[[object], Optimizer],
    collected: int,
) -> None:
    monkeypatch.setattr(module, "COLLECTED", collected)
    within, after = networks
    ours, theirs = factory(within.parameters()), factory(after.parameters())
    for _ in range(3):
        x = torch.randn(5, 3)
        with step_in_backward(ours) as stepping:
            within(x).backward()
        rest = [p.grad for p in within.parameters() if p.grad is not None]
        squares = [*stepping.squares, *(g.square().sum() for g in rest)]
        ours.step()
        ours.zero_grad()
        after(x).backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in after.parameters()])
        torch.testing.assert_close(torch.stack(squares).sum().sqrt(), norm)
        theirs.step()
        theirs.zero_grad()
    torch.testing.assert_close(within.state_dict(), after.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(ours.state_dict()["state"], theirs.state_dict()["state"], rtol=0, atol=0)


def test_gradients_are_freed_once_enough_of_them_are_complete(
    monkeypatch: pytest.MonkeyPatch, networks: tuple[Repeated, Repeated]
) -> None:
    monkeypatch.setattr(module, "COLLECTED", 1)
    network, _ = networks
    optimizer, before = SGD(network.parameters(), 0.1), network.first.weight.detach().clone()
    frozen = network.last.bias.requires_grad_(False)
    still = frozen.clone()
    with step_in_backward(optimizer):
        network(torch.randn(5, 3)).backward()
    assert all(p.grad is None for p in network.parameters())
    assert not torch.equal(network.first.weight, before)
    assert torch.equal(frozen, still)


def test_outside_nothing_is_stepped(networks: tuple[Repeated, Repeated]) -> None:
    network, _ = networks
    optimizer, before = SGD(network.parameters(), 0.1), copy.deepcopy(network.state_dict())
    with step_in_backward(optimizer):
        pass
    network(torch.randn(5, 3)).backward()
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert all(p.grad is not None for p in network.parameters())
