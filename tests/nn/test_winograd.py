"""Winograd's method against PyTorch's convolution."""

from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional as F

from mutoscope.nn import winograd
from mutoscope.nn.winograd import conv3x3, conv3x3_of, pooled_conv3x3, transformed_kernels

SHAPES = [(2, 5, 7, 9), (3, 4, 8, 8), (1, 3, 3, 5), (2, 3, 17, 30), (4, 2, 1, 4)]


@pytest.mark.parametrize("strip", [1, 500_000], ids=["row by row", "at once"])
@pytest.mark.parametrize("work", [1, 300, 2_500_000], ids=["a row of tiles", "few tiles", "all tiles"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
def test_result_and_gradients_are_those_of_a_convolution(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int, int], work: int, strip: int, biased: bool
) -> None:
    monkeypatch.setattr(winograd, "WORK", work)
    monkeypatch.setattr(winograd, "STRIP", strip)
    used = given(*shape, out=6)[: 3 if biased else 2]
    assert_alike(conv3x3(*used), F.conv2d(*used, padding=1), used)


@pytest.mark.parametrize("work", [1, 600, 2_500_000], ids=["a row of tiles", "few tiles", "all tiles"])
@pytest.mark.parametrize("shape", [(2, 5, 8, 8), (3, 4, 10, 14), (1, 3, 2, 4), (2, 3, 18, 30)], ids=str)
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
def test_pooled_result_and_gradients_are_those_of_convolution_and_average(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int, int], work: int, biased: bool
) -> None:
    monkeypatch.setattr(winograd, "WORK", work)
    used = given(*shape, out=6)[: 3 if biased else 2]
    assert_alike(pooled_conv3x3(*used), F.avg_pool2d(F.conv2d(*used, padding=1), 2), used)


def test_kernels_may_be_transformed_before() -> None:
    x, weight, bias = given(2, 5, 7, 9, out=6)
    found = conv3x3_of(x, transformed_kernels(weight.detach()), bias)
    assert_alike(found, F.conv2d(x, weight.detach(), bias, padding=1), [x, bias])


def given(n: int, c: int, h: int, w: int, *, out: int) -> list[torch.Tensor]:
    """Pictures, a weight and a bias."""
    torch.manual_seed(0)
    sizes = ((n, c, h, w), (out, c, 3, 3), (out,))
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


def assert_alike(found: torch.Tensor, expected: torch.Tensor, used: Sequence[torch.Tensor]) -> None:
    """Results are the same, and so are gradients with respect to what was used."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    gradient = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, used, gradient), torch.autograd.grad(expected, used, gradient), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["planes", "channels last"])
def test_the_order_in_memory_does_not_matter(memory: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 12, 12, dtype=torch.float64)[:, ::2, ::2].contiguous(memory_format=memory)
    weight = torch.randn(3, 4, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(conv3x3(x, weight), F.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("moving", ["x", "weight"])
def test_either_side_may_be_frozen(moving: str) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 2, 4, 4, dtype=torch.float64), torch.randn(3, 2, 3, 3, dtype=torch.float64)
    wanted = (x if moving == "x" else weight).requires_grad_()
    found, expected = conv3x3(x, weight), F.conv2d(x, weight, padding=1)
    direction = torch.randn_like(expected)
    (ours,), (theirs,) = (torch.autograd.grad(y, (wanted,), direction) for y in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_result_may_be_changed_in_place() -> None:
    x, weight = torch.randn(1, 2, 8, 8, requires_grad=True), torch.randn(2, 2, 3, 3)
    F.relu_(conv3x3(x, weight)).sum().backward()
    again = x.detach().clone().requires_grad_()
    F.relu(F.conv2d(again, weight, padding=1)).sum().backward()
    torch.testing.assert_close(x.grad, again.grad)


def test_rounding_stays_small_in_single_precision() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 256, 16, 16), torch.randn(128, 256, 3, 3) / 48
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = (conv3x3(x, weight) - exact).norm() / exact.norm()
    assert error < 5e-6
    exact = F.avg_pool2d(exact, 2)
    error = (pooled_conv3x3(x, weight) - exact).norm() / exact.norm()
    assert error < 5e-6
