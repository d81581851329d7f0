"""Warping: what flow means, with both conventions of corners."""

import pytest
import torch
from torch import Tensor

from mutoscope.nn.warp import warp


def read_bilinear(image: Tensor, x: float, y: float) -> Tensor:
    """One pixel at a fractional place, borders repeated, by the definition of linear interpolation."""
    height, width = image.shape[-2:]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    above = image[:, top, left] * (1 - (x - left)) + image[:, top, right] * (x - left)
    below = image[:, bottom, left] * (1 - (x - left)) + image[:, bottom, right] * (x - left)
    return above * (1 - (y - top)) + below * (y - top)


@pytest.mark.parametrize("aligned", [True, False])
def test_equals_reading_pixel_by_pixel(aligned: bool) -> None:
    torch.manual_seed(0)
    image, flow = torch.randn(2, 3, 5, 7, dtype=torch.float64), 3 * torch.randn(2, 2, 5, 7, dtype=torch.float64)
    found = warp(image, flow, align_corners=aligned)
    for i in range(5):
        for j in range(7):
            x, y = j + float(flow[1, 0, i, j]), i + float(flow[1, 1, i, j])
            if not aligned:
                x, y = x * 7 / 6 - 0.5, y * 5 / 4 - 0.5
            torch.testing.assert_close(found[1, :, i, j], read_bilinear(image[1], x, y))


def test_no_flow_changes_nothing() -> None:
    image = torch.randn(1, 3, 6, 9)
    torch.testing.assert_close(warp(image, torch.zeros(1, 2, 6, 9)), image)


def test_flow_of_whole_pixels_moves_whole_pixels() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    right, down = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    right[:, 0], down[:, 1] = 1, 1
    torch.testing.assert_close(warp(image, right)[..., :-1], image[..., 1:])
    torch.testing.assert_close(warp(image, right)[..., -1], image[..., -1])
    torch.testing.assert_close(warp(image, down)[..., :-1, :], image[..., 1:, :])


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    # kinks lie at whole pixels
    flow = (0.1 + 0.8 * torch.rand(1, 2, 4, 5, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(warp, (image, flow))


def test_half_precision_is_computed_in_full() -> None:
    image, flow = torch.randn(1, 3, 8, 8).bfloat16(), torch.randn(1, 2, 8, 8).bfloat16()
    found = warp(image, flow)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, warp(image.float(), flow.float()), atol=0, rtol=0)


def test_a_single_row_can_be_warped() -> None:
    image = torch.randn(1, 1, 1, 4)
    torch.testing.assert_close(warp(image, torch.zeros(1, 2, 1, 4)), image)
