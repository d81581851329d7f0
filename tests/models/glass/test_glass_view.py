"""A window that follows the agent: what it holds, where it goes, and that it changes nothing else."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from mutoscope.models.glass.actions import ActionSettings
from mutoscope.models.glass.decoder import Carried, CarryingDecoder, DecoderSettings
from mutoscope.models.glass.dynamics import DynamicsSettings
from mutoscope.models.glass.local_motion import EncoderSettings, LocalMotion, LocalMotionSettings
from mutoscope.models.glass.view import View

FRAME, WINDOW = (32, 48), (16, 16)
SETTINGS = LocalMotionSettings(
    EncoderSettings(4, 5, 6, state=6),
    ActionSettings(codes=3, code_size=4),
    DynamicsSettings(4, 5),
    DecoderSettings(8, 6, 5),
    window=WINDOW,
)


def agents(places: list[tuple[int, int]], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A square of 6 pixels that changes its colours, at places (left, top): foregrounds and masks of one clip."""
    random = torch.Generator().manual_seed(seed)
    foregrounds, masks = torch.zeros(1, len(places), 3, *FRAME), torch.zeros(1, len(places), 1, *FRAME)
    for t, (x, y) in enumerate(places):
        foregrounds[0, t, :, y : y + 6, x : x + 6] = 2 * torch.rand(3, 6, 6, generator=random) - 1
        masks[0, t, :, y : y + 6, x : x + 6] = 1
    return foregrounds, masks


def shifts_of(places: list[tuple[int, int]]) -> Tensor:
    pixels = torch.tensor(places, dtype=torch.float32).diff(dim=0)
    return (pixels * torch.tensor([2 / FRAME[1], 2 / FRAME[0]]))[None]


def test_a_window_goes_with_the_agent_and_comes_back_where_it_was() -> None:
    places = [(10, 8), (13, 8), (13, 4), (5, 12)]
    _, masks = agents(places)
    view = View(FRAME, WINDOW)
    ways = torch.cat([torch.zeros(1, 1, 2), shifts_of(places).cumsum(1)], dim=1)
    corners = view.corners(view.centres(masks[:, 0]), ways)
    # centres of 16 pixels and of 6 are both half a pixel beside one
    assert corners[0].tolist() == [[x - 5, y - 5] for x, y in places]
    seen = view.cut(masks, corners)
    assert seen.shape == (1, 4, 1, *WINDOW)
    assert torch.equal(seen[:, 1:], seen[:, :1].expand(-1, 3, -1, -1, -1))
    assert torch.equal(view.paste(seen, corners), masks)


def test_beyond_the_frame_there_is_nothing() -> None:
    view = View(FRAME, WINDOW)
    pictures = torch.rand(1, 3, 2, *FRAME) + 1
    corners = torch.tensor([[[-6, -20], [40, 25], [47, 0]]])
    seen = view.cut(pictures, corners)
    assert not seen[0, 0].any()
    assert torch.equal(seen[0, 1, :, :7, :8], pictures[0, 1, :, 25:, 40:])
    assert not seen[0, 1, :, 7:].any()
    assert not seen[0, 2, :, :, 1:].any()
    back = view.paste(seen, corners)
    assert torch.equal(back[0, 1, :, 25:, 40:], pictures[0, 1, :, 25:, 40:])
    assert not back[0, 1, :, :25].any()
    far = view.corners(torch.tensor([[20.0, 10]]), torch.tensor([[[1e6, -1e6]]]))
    assert not view.cut(pictures[:, :1], far).any()


def test_without_an_agent_a_window_lies_in_the_middle() -> None:
    view = View(FRAME, WINDOW)
    corners = view.corners(view.centres(torch.zeros(2, 1, *FRAME)), torch.zeros(2, 1, 2))
    assert corners.tolist() == [[[16, 8]], [[16, 8]]]
    whole = View(FRAME)
    pictures = torch.rand(1, 2, 3, *FRAME)
    assert whole.cut(pictures, whole.corners(torch.zeros(1, 2), torch.zeros(1, 2, 2))) is pictures


def test_an_agent_whose_shifts_are_wrong_is_found_beside_them() -> None:
    places = [(10, 8), (13, 8), (13, 4), (5, 12)]
    foregrounds, masks = agents(places)
    # limbs that move do not lead astray
    masks[:, 2, :, 6:8, 19:21] = 1
    view, found = View(FRAME, WINDOW), torch.cat([foregrounds, masks], dim=2)
    right = torch.tensor([[[x - 5, y - 5] for x, y in places]])
    wrong = right + torch.tensor([[[0, 0], [2, -3], [-1, 1], [3, 0]]])
    assert torch.equal(view.settled(found, wrong), right)
    # where nothing is, nothing is better
    nobody = torch.zeros_like(found)
    assert torch.equal(view.settled(nobody, wrong), wrong)


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("teacher_forced", [1, 3])
def test_an_agent_elsewhere_is_drawn_elsewhere_and_not_otherwise(carry: bool, teacher_forced: int) -> None:
    torch.manual_seed(1)
    network = LocalMotion(replace(SETTINGS, decoder=DecoderSettings(8, 6, 5, carry=carry)), FRAME).eval()
    here, there = [(10, 8), (12, 9), (12, 12), (9, 12)], [(24, 5), (26, 6), (26, 9), (23, 9)]
    drawn, actions = [], []
    for places in (here, there):
        foregrounds, masks = agents(places)
        moved = torch.zeros_like(foregrounds[:, 1:])
        for t, ((x, y), (u, v)) in enumerate(pairwise(places)):
            moved[:, t, :, v : v + 6, u : u + 6] = foregrounds[:, t, :, y : y + 6, x : x + 6]
        found = network(foregrounds, moved, shifts_of(places), teacher_forced, masks=masks)
        assert found.drawn.full.shape == (1, 3, 3, *WINDOW)
        drawn.append(torch.cat(network.whole(found), dim=2))
        actions.append(found.actions.projected)
    torch.testing.assert_close(actions[0], actions[1])
    by = (there[0][0] - here[0][0], there[0][1] - here[0][1])
    torch.testing.assert_close(drawn[1], drawn[0].roll((by[1], by[0]), dims=(-2, -1)), atol=1e-5, rtol=0)


def test_colours_change_places_and_signs_in_training_alone() -> None:
    network = LocalMotion(replace(SETTINGS, recoloured=True, window=None), FRAME)
    foregrounds = torch.rand(64, 2, 3, *FRAME) + torch.tensor([0.0, 1, 2])[:, None, None]
    moved, shifts = foregrounds[:, 1:], torch.zeros(64, 1, 2)
    seen = network.train().see(foregrounds, moved, shifts)
    assert torch.equal(seen.moved_foregrounds, seen.foregrounds[:, 1:])
    # every clip has its own three colours, in one order throughout
    torch.testing.assert_close(seen.foregrounds.abs().sort(dim=2).values, foregrounds.sort(dim=2).values)
    kinds = {tuple(colour.round().int().tolist()) for colour in (2 * seen.foregrounds).mean((1, 3, 4))}
    assert len(kinds) > 20
    assert torch.equal(network.eval().see(foregrounds, moved, shifts).foregrounds, foregrounds)


def test_windows_that_cannot_be_are_told() -> None:
    with pytest.raises(ValueError, match=r"local_motion.window are multiples of 16, found 20x16"):
        LocalMotion(replace(SETTINGS, window=(20, 16)), FRAME)
    network = LocalMotion(SETTINGS, FRAME)
    foregrounds, _ = agents([(3, 3), (3, 3)])
    with pytest.raises(ValueError, match="there are no masks"):
        network(foregrounds, foregrounds[:, 1:], torch.zeros(1, 1, 2), 1)


def test_a_carrying_decoder_takes_pixels_from_near() -> None:
    decoder = CarryingDecoder(DecoderSettings(8, 6, 5, carry=True, reach=2), 5)
    torch.manual_seed(0)
    first, last = torch.rand(2, 2, 4, 16, 16)
    with torch.no_grad():
        decoder.full_head.weight.zero_()
        decoder.full_head.bias.zero_()
        # of the last picture, what is one to the right and two above; half of it new, which is grey and half covered
        decoder.full_head.bias[0 * 5 + 3] = 100
    drawn = decoder(torch.zeros(2, 5, 2, 2), Carried(first, last))
    inside = (slice(None), slice(None), slice(2, 14), slice(2, 14))
    expected = last.roll((2, -1), dims=(-2, -1))[inside] / 2
    torch.testing.assert_close(drawn.full[inside], expected[:, :3])
    torch.testing.assert_close(drawn.mask[inside], expected[:, 3:] + 0.25)
    torch.testing.assert_close(decoder.at_full_scale(torch.zeros(2, 5, 2, 2), Carried(first, last))[0], drawn.full)
