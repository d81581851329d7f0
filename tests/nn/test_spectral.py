"""Spectral norm: the division itself, weights shared by several passes, recomputation without side effects."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from mutoscope.nn.spectral import SpectralConv2d, fixed_weights, recompute, spectral_weights, unsearched_vectors


def converged(conv: SpectralConv2d) -> SpectralConv2d:
    conv.train()
    for _ in range(200):
        conv.normalised()
    return conv


def test_largest_singular_value_is_one() -> None:
    conv = converged(SpectralConv2d(4, 6, 3))
    assert float(torch.linalg.matrix_norm(conv.normalised().detach().flatten(1), 2)) == pytest.approx(1, abs=1e-4)
    largest = torch.linalg.matrix_norm(conv.original.flatten(1), 2)
    torch.testing.assert_close(conv.normalised(), conv.original / largest, atol=1e-4, rtol=1e-4)


def test_a_network_for_a_files_weights_is_not_searched_and_then_the_same() -> None:
    torch.manual_seed(0)
    written = SpectralConv2d(4, 6, 3).eval()
    after = torch.rand(())
    torch.manual_seed(0)
    with unsearched_vectors():
        read = SpectralConv2d(4, 6, 3).eval()
    # what is drawn afterwards is drawn as ever
    assert torch.equal(torch.rand(()), after)
    assert torch.equal(read.original, written.original)
    assert not torch.allclose(read.normalised(), written.normalised(), rtol=1e-3)
    read.load_state_dict(written.state_dict())
    assert torch.equal(read.normalised(), written.normalised())
    # outside, the search goes on
    torch.manual_seed(0)
    assert torch.equal(SpectralConv2d(4, 6, 3).eval().normalised(), written.normalised())


@pytest.mark.parametrize("side", [3, 7], ids=["kernel larger", "input larger"])
def test_kernels_buffers_and_gradients_are_those_of_torch(side: int) -> None:
    torch.manual_seed(0)
    ours = SpectralConv2d(4, 6, 3).double()
    theirs = spectral_norm(nn.Conv2d(4, 6, 3)).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, side, side, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        found, of_input = [], []
        for conv in (ours, theirs):
            found.append(conv(x))
            of_input.append(torch.autograd.grad(found[-1].square().sum(), x, retain_graph=True)[0])
            found[-1].square().sum().backward()
        torch.testing.assert_close(*found)
        torch.testing.assert_close(*of_input)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
        expected = theirs.parametrizations.weight.original.grad
        torch.testing.assert_close(ours.original.grad, expected)


def test_kernels_are_divided_in_full_precision_under_autocast() -> None:
    conv = converged(SpectralConv2d(4, 6, 3)).eval()
    plain = conv.normalised()
    with torch.autocast("cpu", torch.bfloat16):
        found = conv.normalised()
        assert conv(torch.randn(1, 4, 5, 5)).dtype == torch.bfloat16
    torch.testing.assert_close(found, plain, atol=0, rtol=0)


def test_fixed_weights_iterate_once_however_often_they_are_used() -> None:
    torch.manual_seed(0)
    conv = SpectralConv2d(4, 6, 3)
    twin, x = copy.deepcopy(conv), torch.randn(1, 4, 5, 5)
    with fixed_weights(spectral_weights(conv)):
        first, second = conv(x), conv(x)
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    # alone, a convolution divides the smaller one of kernel and input
    torch.testing.assert_close(first, twin(x))
    for (name, ours), theirs in zip(conv.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0, msg=name)
    assert not torch.equal(conv(x), first)


def test_fixed_weights_carry_gradients_to_the_kernel() -> None:
    conv = SpectralConv2d(3, 3, 1)
    with fixed_weights(spectral_weights(conv)):
        (conv(torch.ones(1, 3, 2, 2)).square().sum() + conv(torch.randn(1, 3, 2, 2)).square().sum()).backward()
    assert conv.original.grad is not None
    assert conv.original.grad.abs().sum() > 0


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = SpectralConv2d(3, 5, 3, padding=1), SpectralConv2d(5, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(5, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.leaky_relu_(self.norm(self.first(x)), 0.2))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("passes", [1, 3])
def test_recomputation_changes_neither_gradients_nor_buffers(training: bool, passes: int) -> None:
    torch.manual_seed(0)
    plain = Layers().double().train(training)
    again = copy.deepcopy(plain)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)

    def run(module: Layers, recomputed: bool) -> tuple[Tensor, Tensor]:
        start = x.clone().requires_grad_()
        with fixed_weights(spectral_weights(module)):
            y = start
            for _ in range(passes):
                y = recompute(module, module, y) if recomputed else module(y)
                y = y[:, :3]
        y.square().sum().backward()
        assert start.grad is not None
        return y, start.grad

    for ours, theirs in zip(run(again, True), run(plain, False), strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(again.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    for (name, ours), theirs in zip(again.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0, msg=name)
    assert again.norm.momentum == plain.norm.momentum


def test_recomputation_keeps_no_activations() -> None:
    module, x = Layers(), torch.randn(1, 3, 8, 8, requires_grad=True)

    def kept(recomputed: bool) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            recompute(module, module, x) if recomputed else module(x)
        return sum(sizes)

    assert kept(recomputed=True) < kept(recomputed=False)
