"""Frame generating function: modes that must agree, what influences what, gradients, refusals."""

import copy
from dataclasses import replace

import pytest
import torch
from still_graphs import still_graph
from torch import Tensor, nn

from mutoscope.models.ag2vid.flow import FlowSettings
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction, Frames, FrameSettings, box_flow
from mutoscope.models.ag2vid.layout_conv import LayoutConv2d, LayoutPair
from mutoscope.models.ag2vid.pasting import LayoutMasks, object_masks, paste
from mutoscope.nn.spade import SpadeSettings
from mutoscope.nn.warp import warp
from mutoscope.structures.clocked import ClockedGraph

SIZES, WIDTH, LENGTH, SIZE = (4, 5), 6, 4, (32, 64)


def make_graph(counts: tuple[int, ...] = (2, 3)) -> ClockedGraph:
    return still_graph(counts, lambda i: [1 + i % 3, 2])


def make_function(align_corners: bool = True) -> FrameGeneratingFunction:
    torch.manual_seed(0)
    function = FrameGeneratingFunction(
        SIZES,
        FrameSettings(
            flow=FlowSettings(width=3, blocks=1, multiplier=1.0),
            spade=SpadeSettings(width=1, hidden=4),
            align_corners=align_corners,
        ),
        width=WIDTH,
    ).double()
    for module in function.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return function


def make_inputs(graph: ClockedGraph) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    boxes = torch.cat([draw(graph.num_nodes, LENGTH, 2) * 0.7, 0.1 + 0.4 * draw(graph.num_nodes, LENGTH, 2)], dim=-1)
    descriptors = draw(graph.num_nodes, LENGTH, WIDTH)
    descriptors[:, 0] = 0
    return boxes, descriptors, 2 * draw(graph.num_clips, LENGTH, 3, *SIZE) - 1


def assert_same(found: Frames, expected: Frames) -> None:
    for name in ("frames", "flow", "warped", "residual"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), msg=lambda text, n=name: f"{n}: {text}"
        )


def test_all_frames_at_once_equal_one_at_a_time_in_evaluation() -> None:
    function, graph = make_function().eval(), make_graph()
    inputs = make_inputs(graph)
    assert_same(function(graph, *inputs), function(graph, *inputs, per_frame=True))


def test_one_frame_equals_its_formula_on_full_maps() -> None:
    function, graph = make_function(align_corners=False).eval(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    made = function(graph, boxes, descriptors, frames)
    vectors = torch.cat([function.attributes(graph.attributes)[:, None].expand(-1, LENGTH, -1), descriptors], dim=-1)
    before, after = (
        paste(vectors[:, k], *object_masks(boxes[:, k], graph.real, SIZE), graph.clip, graph.num_clips) for k in (1, 2)
    )
    flow = function.flow(torch.cat([before, after, frames[:, 1]], dim=1))
    warped = warp(frames[:, 1], flow, align_corners=False)
    residual = function.generator(function.fuse(torch.cat([before, after, warped], dim=1)))
    torch.testing.assert_close(made.flow[:, 1], flow)
    torch.testing.assert_close(made.warped[:, 1], warped)
    torch.testing.assert_close(made.residual[:, 1], residual)
    torch.testing.assert_close(made.frames[:, 1], warped + residual)


def test_roll_out_makes_every_frame_from_its_own_last_one() -> None:
    function, graph = make_function().eval(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    rolled = function(graph, boxes, descriptors, frames[:, :1], autoregressive=True)
    fed = torch.cat([frames[:, :1], rolled.frames], dim=1)
    assert_same(rolled, function(graph, boxes, descriptors, fed))


def test_batch_norm_sees_all_frames_or_one_at_a_time() -> None:
    graph = make_graph()
    inputs = make_inputs(graph)
    together, apart = make_function(), make_function()
    together(graph, *inputs)
    apart(graph, *inputs, per_frame=True)
    assert together.fuse.norm.num_batches_tracked == 1
    assert apart.fuse.norm.num_batches_tracked == LENGTH - 1


def test_clips_do_not_see_each_other() -> None:
    function, graph = make_function().eval(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    whole = function(graph, boxes, descriptors, frames)
    nodes = graph.nodes_of(1)
    alone = function(graph.select([1]), boxes[nodes], descriptors[nodes], frames[1:])
    torch.testing.assert_close(alone.frames, whole.frames[1:])


def test_order_of_objects_does_not_matter() -> None:
    function, graph = make_function().eval(), make_graph((3,))
    boxes, descriptors, frames = make_inputs(graph)
    order = torch.tensor([2, 0, 1, 3])
    shuffled = copy.copy(graph)
    object.__setattr__(shuffled, "attributes", graph.attributes[order])
    found = function(shuffled, boxes[order], descriptors[order], frames)
    assert_same(found, function(graph, boxes, descriptors, frames))


def test_image_nodes_and_roomy_slots_change_nothing() -> None:
    function, graph = make_function().eval(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    expected = function(graph, boxes, descriptors, frames)
    descriptors[~graph.real] = 7
    boxes[~graph.real] = 0.5
    assert_same(function(replace(graph, most=6), boxes, descriptors, frames), expected)


def test_gradients_reach_everything_that_is_trained() -> None:
    function, graph = make_function(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    descriptors.requires_grad_()
    function(graph, boxes, descriptors, frames).frames.square().mean().backward()
    for name, parameter in function.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    assert descriptors.grad is not None
    assert descriptors.grad[graph.real].abs().sum(dim=(1, 2)).min() > 0
    assert descriptors.grad[~graph.real].abs().sum() == 0


def gradients(function: FrameGeneratingFunction, made: Frames) -> list[Tensor]:
    trained = [p for p in function.parameters() if p.requires_grad]
    return list(torch.autograd.grad(made.frames.square().mean(), trained))


@pytest.mark.parametrize("training", [True, False])
def test_recomputed_roll_out_has_the_same_gradients_and_buffers(training: bool) -> None:
    graph = make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    plain, again = make_function().train(training), make_function().train(training)
    expected = plain(graph, boxes, descriptors, frames, autoregressive=True)
    found = again(graph, boxes, descriptors, frames, autoregressive=True, recompute_frames=True)
    assert_same(found, expected)
    for ours, theirs in zip(gradients(again, found), gradients(plain, expected), strict=True):
        torch.testing.assert_close(ours, theirs)
    for (name, ours), theirs in zip(again.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_detaching_every_frame_stops_gradients_between_frames() -> None:
    function, graph = make_function().eval(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    frames.requires_grad_()

    def reach(detach_every: int | None) -> list[bool]:
        made = function(graph, boxes, descriptors, frames, autoregressive=True, detach_every=detach_every)
        sums = [made.frames[:, k].sum() for k in range(LENGTH - 1)]
        found = [torch.autograd.grad(s, frames, retain_graph=True, allow_unused=True)[0] for s in sums]
        return [g is not None and bool(g.abs().sum() > 0) for g in found]

    assert reach(None) == [True, True, True]
    assert reach(2) == [True, True, False]
    assert reach(1) == [True, False, False]


def test_layout_convolution_on_factors_equals_that_on_maps() -> None:
    graph = make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    conv = LayoutConv2d(WIDTH, 5).double().eval()
    masks = LayoutMasks.of(graph, boxes, SIZE)
    pair = LayoutPair(masks.frames(0, 1), masks.frames(1, 2), descriptors[:, 1:2], descriptors[:, 2:3], frames[:, 0])
    maps = [
        paste(descriptors[:, z], *object_masks(boxes[:, k], graph.real, SIZE), graph.clip, graph.num_clips)
        for k, z in ((0, 1), (1, 2))
    ]
    torch.testing.assert_close(conv(pair), conv(torch.cat([*maps, frames[:, 0]], dim=1)))


def test_autocast_keeps_places_and_frames_in_full_precision() -> None:
    function, graph = make_function().float().eval(), make_graph()
    boxes, descriptors, frames = (x.float() for x in make_inputs(graph))
    plain = function(graph, boxes, descriptors, frames)
    with torch.autocast("cpu", torch.bfloat16):
        made = function(graph, boxes, descriptors, frames)
    assert {made.frames.dtype, made.flow.dtype, made.warped.dtype} == {torch.float32}
    assert (made.frames - plain.frames).abs().mean() < 0.1


def test_misfitting_inputs_are_refused() -> None:
    function, graph = make_function(), make_graph()
    boxes, descriptors, frames = make_inputs(graph)
    with pytest.raises(ValueError, match=r"expected \[7 nodes, frames, 4\]"):
        function(graph, boxes[:-1], descriptors, frames)
    with pytest.raises(ValueError, match=r"Descriptors have shape \[7, 3, 6\], expected \[7, 4, 6\]"):
        function(graph, boxes, descriptors[:, 1:], frames)
    with pytest.raises(ValueError, match=r"at least 3, 3, height, width\]"):
        function(graph, boxes, descriptors, frames[:, :2])
    with pytest.raises(ValueError, match="must be at least 2"):
        function(graph, boxes[:, :1], descriptors[:, :1], frames[:, :1])
    with pytest.raises(ValueError, match="multiples of 32"):
        function(graph, boxes, descriptors, frames[..., :24, :])


def test_the_flow_can_start_from_how_far_each_box_went() -> None:
    graph = ClockedGraph(
        attributes=torch.tensor([[1], [1], [0]]),
        clip=torch.zeros(3, dtype=torch.long),
        relations=torch.zeros(0, 3, dtype=torch.long),
        subject=torch.zeros(0, dtype=torch.long),
        action=torch.zeros(0, dtype=torch.long),
        object=torch.zeros(0, dtype=torch.long),
        progress=torch.zeros(0, 2),
        destination=torch.zeros(0, 2),
        num_clips=1,
    )
    # a square that goes 4 pixels right and 2 down on a grid of 33 x 33, and one that rests under it
    square = torch.tensor([8, 8, 8, 8]) / 32
    boxes = torch.stack([square, square, torch.tensor([0.0, 0, 1, 1])])[:, None].repeat(1, 2, 1)
    boxes[0, 1, :2] += torch.tensor([4, 2]) / 32
    flow = box_flow(LayoutMasks.of(graph, boxes, (33, 33)), boxes)
    assert flow.shape == (1, 1, 2, 33, 33)
    inside = flow[0, 0, :, 10:19, 12:21]
    torch.testing.assert_close(inside, torch.tensor([-4.0, -2.0])[:, None, None].expand_as(inside))
    # outside it fades within a seventh of the box
    assert flow[0, 0, :, :6].abs().max() == 0
    assert flow[0, 0, :, :, 23:].abs().max() == 0
    # the warp then puts the square where its box is, and background where it was
    picture = torch.zeros(1, 3, 33, 33)
    picture[:, :, 8:17, 8:17] = 1
    moved = warp(picture, flow[:, 0], True)
    torch.testing.assert_close(moved[:, :, 10:19, 12:21], torch.ones(1, 3, 9, 9))
    assert moved[:, :, 8:17, 8:12].abs().max() < 1e-5
    assert moved[:, :, 8:10, 8:17].abs().max() < 1e-5
