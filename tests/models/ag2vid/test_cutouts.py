"""First frames taken apart and put together again: what stays, what moves, what hides what, what is learned."""

from dataclasses import replace

import pytest
import torch
from still_graphs import still_graph
from torch import Tensor

from mutoscope.models.ag2vid.cutouts import Cut, Cutouts, _compose
from mutoscope.models.ag2vid.flow import FlowSettings
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction, FrameSettings
from mutoscope.models.ag2vid.pasting import ObjectSlots
from mutoscope.nn.spade import SpadeSettings
from mutoscope.structures.clocked import ClockedGraph

SIDE, ATTRIBUTES, VECTOR = 33, 3, 5

SMALL = FrameSettings(flow=FlowSettings(width=3, blocks=1), spade=SpadeSettings(width=1, hidden=4), carry_objects=True)


def make_graph(counts: tuple[int, ...]) -> ClockedGraph:
    return still_graph(counts, lambda i: [1 + i % 2])


def make_cutouts() -> Cutouts:
    torch.manual_seed(0)
    return Cutouts(ATTRIBUTES, VECTOR).double()


def boxes_of(*objects: tuple[int, int, int, int], steps: int = 2) -> Tensor:
    """Boxes ``[n, steps, 4]`` at rest from pixels (x0, y0, width, height), with the image node."""
    return torch.tensor([*((*box,) for box in objects), (0, 0, 32, 32)])[:, None].repeat(1, steps, 1).double() / 32


def run(cutouts: Cutouts, graph: ClockedGraph, boxes: Tensor, frame: Tensor) -> Tensor:
    nodes, length = boxes.shape[:2]
    generator = torch.Generator().manual_seed(3)
    attributes = torch.randn(nodes, ATTRIBUTES, generator=generator, dtype=torch.float64)
    vectors = torch.randn(nodes, 1, VECTOR, generator=generator, dtype=torch.float64).expand(-1, length, -1)
    made: Tensor = cutouts(graph, boxes, attributes, vectors, frame)
    return made


def test_the_first_frame_stays_while_boxes_rest() -> None:
    frame = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64)
    first = boxes_of((4, 4, 12, 12), (12, 10, 12, 12))
    boxes = torch.cat([first, boxes_of((9, 2, 7, 20))])
    boxes[[2, 4], 1] = 0.3  # of image nodes, which are not drawn
    made = run(make_cutouts(), make_graph((2, 1)), boxes, frame)
    torch.testing.assert_close(made, frame[:, None])


def test_before_learning_most_of_an_object_goes_with_its_box() -> None:
    frame = torch.full((1, 3, SIDE, SIDE), -0.5, dtype=torch.float64)
    frame[:, :, 8:17, 8:17] = 1
    boxes = boxes_of((8, 8, 8, 8))
    boxes[0, 1, :2] += torch.tensor([12, 8]) / 32
    made = run(make_cutouts(), make_graph((1,)), boxes, frame)[0, 0]
    assert made[:, 18:23, 22:27].mean() > 0.6
    assert made[:, 10:15, 10:15].mean() < 0.2
    # what neither was nor is an object
    torch.testing.assert_close(made[:, :6], frame[0, :, :6], atol=0.02, rtol=0)
    torch.testing.assert_close(made[:, :, :6], frame[0, :, :, :6], atol=0.02, rtol=0)


def test_content_scales_with_its_box() -> None:
    frame = torch.full((1, 3, SIDE, SIDE), -0.5, dtype=torch.float64)
    frame[:, :, 12:21, 12:21] = 1
    boxes = boxes_of((12, 12, 8, 8))
    boxes[0, 1] = torch.tensor([8, 8, 16, 16]) / 32
    made = run(make_cutouts(), make_graph((1,)), boxes, frame)[0, 0]
    assert made[:, 12:21, 12:21].min() > 0.4
    # background before, inside the larger box now
    assert made[:, 10, 16].min() > 0
    assert made[:, 16, 22].min() > 0


def test_the_object_whose_box_ends_lower_hides_the_other_at_first() -> None:
    frame = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64)
    frame[:, 0, 4:13, 2:11] = 1
    frame[:, 1, 16:25, 20:29] = 1
    boxes = boxes_of((2, 4, 8, 8), (20, 16, 8, 8))
    boxes[0, 1] = torch.tensor([20, 14, 8, 8]) / 32
    cutouts = make_cutouts()
    behind = run(cutouts, make_graph((2,)), boxes, frame)[0, 0, :, 20, 24]
    boxes[0, 1, 1] = 18 / 32
    before = run(cutouts, make_graph((2,)), boxes, frame)[0, 0, :, 20, 24]
    assert behind[1] > behind[0]
    assert before[0] > before[1]


def test_it_learns_what_an_object_looks_like_beyond_its_box() -> None:
    place = torch.arange(SIDE, dtype=torch.float64)

    def disc(x: int) -> Tensor:
        inside = (place - x).square() + (place[:, None] - 16).square() <= 49
        return torch.where(inside, torch.tensor([[[1.0]], [[0.2]], [[-1.0]]]), torch.tensor(-0.3)).double()[None]

    boxes = boxes_of((6, 12, 8, 8))
    boxes[0, 1, 0] += 13 / 32
    cutouts, graph = make_cutouts(), make_graph((1,))
    optimizer = torch.optim.Adam(cutouts.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (run(cutouts, graph, boxes, disc(10))[:, 0] - disc(23)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_all_parameters_and_clips_get_their_own_gradients() -> None:
    cutouts, graph = make_cutouts(), make_graph((2, 1))
    frame = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    boxes = torch.cat([boxes_of((4, 4, 12, 12), (12, 10, 12, 12)), boxes_of((9, 2, 7, 20))])
    boxes[[0, 3], 1, :2] += 0.2
    made = run(cutouts, graph, boxes, frame)
    (reached,) = torch.autograd.grad(made[0].sum(), frame, retain_graph=True)
    assert reached[0].abs().sum() > 0
    assert reached[1].abs().sum() == 0
    made.square().sum().backward()
    for name, parameter in cutouts.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    roomy = run(cutouts, replace(graph, most=5), boxes, frame)
    torch.testing.assert_close(roomy, made)


def test_the_rim_of_what_leaves_goes_too() -> None:
    frame = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64)
    frame[:, :, 8:17, 8:17] = 1
    owned = (frame[:, :1] > 0).double()
    # the object casts a shadow one pixel wide that it does not own
    frame[:, :, 7, 7:18] = frame[:, :, 17, 7:18] = frame[:, :, 7:18, 7] = frame[:, :, 7:18, 17] = -1
    boxes, graph = boxes_of((8, 8, 8, 8)), make_graph((1,))
    boxes[0, 1, 0] += 14 / 32
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    made = _compose(Cut(owned, torch.zeros_like(frame)), frame, ObjectSlots.of(graph), boxes, one, one)[0, 0]
    assert made[:, :, :18].abs().max() == 0
    torch.testing.assert_close(made[:, 8:17, 22:31], torch.ones(3, 9, 9).double())


def test_autocast_keeps_places_and_colours_in_full_precision() -> None:
    frame = torch.rand(1, 3, SIDE, SIDE)
    boxes = boxes_of((4, 4, 12, 12), (12, 10, 12, 12)).float()
    cutouts, graph = make_cutouts().float(), make_graph((2,))
    with torch.autocast("cpu", torch.bfloat16):
        resting = cutouts(graph, boxes, torch.zeros(3, ATTRIBUTES), torch.zeros(3, 2, VECTOR), frame)
    assert resting.dtype == torch.float32
    torch.testing.assert_close(resting, frame[:, None], atol=1e-5, rtol=0)


def test_frames_that_carry_objects_read_the_first_frame_alone() -> None:
    torch.manual_seed(0)
    function = FrameGeneratingFunction((3,), SMALL, width=4)
    function, graph = function.double().eval(), make_graph((2, 1))
    boxes = torch.cat([boxes_of((4, 4, 12, 12), (12, 10, 12, 12), steps=4), boxes_of((9, 2, 7, 20), steps=4)])
    boxes[0, 1:, 0] += torch.tensor([0.1, 0.2, 0.3])
    frames, descriptors = torch.rand(2, 4, 3, 32, 32).double(), torch.rand(5, 4, 4).double()
    made = function(graph, boxes, descriptors, frames)
    assert made.frames.shape == (2, 3, 3, 32, 32)
    first = frames[:, :1]
    for found in (
        function(graph, boxes, descriptors, first),
        function(graph, boxes, descriptors, first, autoregressive=True),
        function(graph, boxes, descriptors, first, per_frame=True),
    ):
        torch.testing.assert_close(found.frames, made.frames)
    with pytest.raises(ValueError, match="follow_boxes and carry_objects are both on"):
        FrameSettings(follow_boxes=True, carry_objects=True)
