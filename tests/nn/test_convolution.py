"""Convolution by other means: the same numbers and gradients as torch's own."""

import copy
import pickle
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from mutoscope.nn.convolution import (
    BLOCKS,
    FROZEN_BLOCKS,
    HEAVY,
    LARGE,
    MANY,
    MANY_PAIRS,
    POOLED_BLOCKS,
    POOLED_PAIRS,
    Conv2d,
    FrozenConv3x3,
    conv2d,
    pooled_conv3x3,
)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [((3, 3), 1, 1, (2, 3)), ((4, 4), 2, 2, (3, 2)), ((3, 3), 2, 1, (2, 2)), ((1, 1), 1, 0, (1, 2))],
)
def test_large_kernels_convolve_as_torch_does(
    kernel: tuple[int, int], stride: int, padding: int, size: tuple[int, int], bias: bool
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(300, 3, *kernel, dtype=torch.float64, requires_grad=True)
    inputs = [x, weight, *([torch.randn(300, dtype=torch.float64, requires_grad=True)] if bias else [])]
    assert weight.numel() >= LARGE * x.numel()
    found, expected = conv2d(*inputs, stride=stride, padding=padding), F.conv2d(*inputs, stride=stride, padding=padding)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, inputs, direction) for y in (found, expected))
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        torch.testing.assert_close(of_ours, of_theirs)


def test_large_kernels_are_read_by_a_matrix_product() -> None:
    x, weight = torch.randn(1, 8, 2, 2), torch.randn(128, 8, 3, 3)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as trace:
        conv2d(x, weight, padding=1)
    assert not [event.key for event in trace.key_averages() if "convolution" in event.key]


def kernels_called(x: torch.Tensor, weight: torch.Tensor) -> set[str]:
    return called(lambda: conv2d(x, weight, padding=1))


def called(what: Callable[[], object]) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as trace:
        what()
    return {event.key for event in trace.key_averages()}


def test_many_channels_and_pixels_are_convolved_by_winograds_method() -> None:
    out = MANY_PAIRS // MANY
    channels = torch.randn(out, MANY, 3, 3)
    side = BLOCKS  # two pictures, eight rows: as many pixels as it takes
    assert "aten::bmm" in kernels_called(torch.randn(2, MANY, 8, side), channels)
    for x, weight in (
        (torch.randn(1, MANY, 8, side), channels),
        (torch.randn(2, MANY - 1, 8, side), channels[:, 1:]),
        (torch.randn(2, MANY, 8, side), channels[1:]),
        (torch.randn(2, MANY, 8, side).bfloat16(), channels.bfloat16()),
    ):
        assert "aten::bmm" not in kernels_called(x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert "aten::bmm" not in kernels_called(torch.randn(2, MANY, 8, side), channels)


def test_pooled_convolutions_are_the_same_either_way() -> None:
    torch.manual_seed(0)
    weight = torch.randn(POOLED_PAIRS // MANY, MANY, 3, 3, dtype=torch.float64)
    for blocks in (POOLED_BLOCKS, POOLED_BLOCKS - 1):
        x = torch.randn(1, MANY, 8, 8 * blocks, dtype=torch.float64)
        expected = torch.nn.functional.avg_pool2d(F.conv2d(x, weight, padding=1), 2)
        torch.testing.assert_close(pooled_conv3x3(x, weight), expected)
        assert ("aten::bmm" in called(partial(pooled_conv3x3, x, weight))) == (blocks == POOLED_BLOCKS)


@pytest.fixture
def frozen() -> FrozenConv3x3:
    torch.manual_seed(0)
    return FrozenConv3x3(MANY, MANY_PAIRS // MANY).double().requires_grad_(False)


def pictures() -> torch.Tensor:
    return torch.randn(FROZEN_BLOCKS, MANY, 4, 4, dtype=torch.float64)


def assert_as_torch(layer: FrozenConv3x3, x: torch.Tensor) -> None:
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))


def test_frozen_kernels_are_transformed_once(frozen: FrozenConv3x3) -> None:
    assert_as_torch(frozen, pictures())
    kernels = frozen.transformed()
    frozen(pictures())
    assert frozen.transformed() is kernels


def test_frozen_kernels_follow_their_weights(frozen: FrozenConv3x3) -> None:
    assert_as_torch(frozen, pictures())
    frozen.weight.mul_(2)
    assert_as_torch(frozen, pictures())
    frozen.load_state_dict({key: x.neg() for key, x in frozen.state_dict().items()}, assign=True)
    assert_as_torch(frozen, pictures())
    frozen.float()
    x = pictures().float()
    torch.testing.assert_close(frozen(x), F.conv2d(x, frozen.weight, frozen.bias, padding=1), rtol=1e-4, atol=1e-4)


def test_frozen_kernels_of_a_validation_serve_in_training(frozen: FrozenConv3x3) -> None:
    with torch.inference_mode():
        frozen(pictures())
    x = pictures().requires_grad_()
    (ours,) = torch.autograd.grad(frozen(x).square().sum(), (x,))
    (theirs,) = torch.autograd.grad(F.conv2d(x, frozen.weight, frozen.bias, padding=1).square().sum(), (x,))
    torch.testing.assert_close(ours, theirs)


def test_copies_leave_transformed_kernels_behind(frozen: FrozenConv3x3) -> None:
    size = len(pickle.dumps(frozen))
    assert_as_torch(frozen, pictures())
    assert len(pickle.dumps(frozen)) == size
    assert set(frozen.state_dict()) == {"weight", "bias"}
    assert_as_torch(copy.deepcopy(frozen), pictures())


def test_a_layer_that_is_trained_is_not_frozen(frozen: FrozenConv3x3) -> None:
    frozen.requires_grad_(True)
    x = pictures()
    direction = torch.randn_like(frozen(x))
    (ours,) = torch.autograd.grad(frozen(x), (frozen.weight,), direction)
    (theirs,) = torch.autograd.grad(F.conv2d(x, frozen.weight, frozen.bias, padding=1), (frozen.weight,), direction)
    torch.testing.assert_close(ours, theirs)


def test_the_order_of_inputs_in_memory_does_not_matter_to_heavy_kernels() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(20, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert HEAVY * x.numel() < weight.numel() < LARGE * x.numel()
    found, expected = conv2d(x, weight, padding=1), F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, (x, weight), direction) for y in (found, expected))
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        torch.testing.assert_close(of_ours, of_theirs)


def test_layer_keeps_names_and_numbers_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Conv2d(4, 200, 3, padding=1), torch.nn.Conv2d(4, 200, 3, padding=1)
    theirs.load_state_dict(ours.state_dict())
    for side in (2, 9):
        x = torch.randn(1, 4, side, side)
        torch.testing.assert_close(ours(x), theirs(x))
