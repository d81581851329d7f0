"""Masks without what looks like background along their borders."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mutoscope.models.glass.global_motion import (
    GlobalMotion,
    GlobalMotionSettings,
    InpaintingSettings,
    MaskSettings,
    ShiftSettings,
)

SETTINGS = GlobalMotionSettings(
    MaskSettings(4, 6, 4, 1), InpaintingSettings(4, 4, 4), ShiftSettings((4, 4, 4, 4), (4, 4)), trimmed=0.3
)


@pytest.fixture
def network() -> GlobalMotion:
    torch.manual_seed(0)
    return GlobalMotion(SETTINGS).eval()


def meadow(frames: Tensor) -> Tensor:
    return torch.full_like(frames, 0.5)


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Frames, masks that are a pixel too wide, and where the agent is: a body with an arm of one pixel."""
    agent = torch.zeros(2, 3, 1, 16, 16)
    agent[..., 4:12, 6:10] = 1
    agent[..., 7, 10:14] = 1
    frames = torch.where(agent > 0, -0.5, 0.5 + 0.02 * torch.randn(2, 3, 3, 16, 16))
    masks = nn.functional.max_pool2d(agent.flatten(0, 1), 3, 1, 1).unflatten(0, (2, 3))
    return frames, 0.9 * masks, agent


def test_a_border_that_looks_like_background_is_taken_off_and_thin_arms_stay(network: GlobalMotion) -> None:
    frames, masks, agent = scene()
    trimmed = network.trim(frames, masks, meadow(frames))
    assert torch.equal(trimmed > 0.5, agent > 0)
    # what stays is as it was
    assert torch.equal(trimmed[agent > 0], masks[agent > 0])


def test_inside_an_agent_may_be_what_looks_like_background(network: GlobalMotion) -> None:
    frames, masks, agent = scene()
    frames[..., 6:9, 7:9] = 0.5
    assert torch.equal(network.trim(frames, masks, meadow(frames))[..., 6:9, 7:9], masks[..., 6:9, 7:9])
    assert bool((agent[..., 6:9, 7:9] > 0).all())


def test_masks_stay_as_they_are_in_training_and_by_default(network: GlobalMotion) -> None:
    frames, masks, _ = scene()
    assert torch.equal(network.train().trim(frames, masks, meadow(frames)), masks)
    plain = GlobalMotion(replace(SETTINGS, trimmed=None)).eval()
    assert torch.equal(plain.trim(frames, masks, meadow(frames)), masks)


def test_all_that_is_found_has_trimmed_masks_but_shifts_are_those_of_the_others() -> None:
    torch.manual_seed(0)
    network = GlobalMotion(SETTINGS).eval()
    for regressor in (network.foreground_shift, network.background_shift):
        nn.init.normal_(regressor.last.weight)
    plain = GlobalMotion(replace(SETTINGS, trimmed=None)).eval()
    plain.load_state_dict(network.state_dict())
    frames = torch.rand(2, 3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        # else its masks are a half everywhere
        network.mask.head.weight.mul_(50)
        plain.mask.head.weight.mul_(50)
        found, other = network(frames), plain(frames)
    assert torch.equal(found.foreground_shifts, other.foreground_shifts)
    assert torch.equal(found.background_shifts, other.background_shifts)
    assert not torch.equal(found.masks, other.masks)
    assert bool((found.masks <= other.masks).all())
    assert torch.equal(found.masks, network.masks_of(frames))
    torch.testing.assert_close(found.foregrounds, found.masks * frames)
    torch.testing.assert_close(found.backgrounds, network.backgrounds_of(frames, found.masks))
