"""Pasted layouts against grid_sample, and their convolutions against conv2d of the maps themselves."""

from dataclasses import replace

import pytest
import torch
from still_graphs import still_graph
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.ag2vid.pasting import (
    LayoutMasks,
    LayoutPart,
    ObjectSlots,
    conv_layout,
    conv_layouts,
    object_masks,
    paste,
)
from mutoscope.structures.clocked import ClockedGraph

COUNTS = (3, 0, 4, 1)


def make_graph(counts: tuple[int, ...] = COUNTS, image_node: bool = True) -> ClockedGraph:
    return still_graph(counts, lambda i: [1, 2], image_node)


def random_boxes(*shape: int, seed: int = 0) -> Tensor:
    """Boxes that partly leave the frame, some of them mirrored."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(*shape, 4, generator=generator, dtype=torch.float64)
    return boxes * torch.tensor([1.4, 1.4, 1.0, 0.9]) - torch.tensor([0.3, 0.3, 0.2, 0.1])


def sampled_mask(box: Tensor, size: tuple[int, int]) -> Tensor:
    """A constant 8x8 image resampled into a box, as the original does it."""
    x = (torch.linspace(0, 1, size[1], dtype=box.dtype) - box[0]) / box[2]
    y = (torch.linspace(0, 1, size[0], dtype=box.dtype) - box[1]) / box[3]
    grid = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing="xy"), dim=-1)
    return F.grid_sample(torch.ones(1, 1, 8, 8, dtype=box.dtype), grid[None], align_corners=True)[0, 0]


def test_masks_equal_bilinear_sampling_of_a_constant_image() -> None:
    boxes = random_boxes(12)
    mask_y, mask_x = object_masks(boxes, torch.ones(12, dtype=torch.bool), (20, 33))
    for i, box in enumerate(boxes):
        torch.testing.assert_close(mask_y[i, :, None] * mask_x[i, None, :], sampled_mask(box, (20, 33)))


def test_only_real_objects_with_a_box_are_drawn() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.5, 0.5]])
    mask_y, mask_x = object_masks(boxes, torch.tensor([False, True, True]), (8, 8))
    assert mask_y[:2].abs().sum() == 0 == mask_x[:2].abs().sum()
    assert mask_y[2].max() == 1 == mask_x[2].max()


@pytest.mark.parametrize("box", [[0.5, 0.5, 0.0, 0.3], [0.0, 0.0, 0.0, 1e-9], [-3.0, 2.0, -1e-12, 0.0]])
def test_boxes_without_extent_stay_finite(box: list[float]) -> None:
    boxes = torch.tensor([box], requires_grad=True)
    mask_y, mask_x = object_masks(boxes, torch.tensor([True]), (9, 9))
    (mask_y.sum() + mask_x.sum()).backward()
    assert mask_y.isfinite().all()
    assert mask_x.isfinite().all()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()


def test_half_precision_boxes_give_full_precision_masks() -> None:
    boxes = random_boxes(6).bfloat16()
    real = torch.ones(6, dtype=torch.bool)
    half, full = object_masks(boxes, real, (16, 16)), object_masks(boxes.float(), real, (16, 16))
    for found, expected in zip(half, full, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_slots_keep_every_object_and_nothing_else() -> None:
    graph = make_graph()
    nodes = torch.arange(1.0, graph.num_nodes + 1)
    packed = ObjectSlots.of(graph).pack(nodes)
    assert packed.tolist() == [[1, 2, 3, 0], [0, 0, 0, 0], [6, 7, 8, 9], [11, 0, 0, 0]]
    roomy = ObjectSlots.of(replace(graph, most=5)).pack(nodes)
    torch.testing.assert_close(roomy[:, :4], packed)
    assert roomy[:, 4].abs().sum() == 0


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 3), 1, 1), ((4, 4), 2, 2), ((1, 1), 1, 0), ((3, 5), 2, 1), ((2, 3), 3, 0)]
)
@pytest.mark.parametrize("image_node", [True, False])
def test_convolution_equals_conv2d_of_the_map(
    kernel: tuple[int, int], stride: int, padding: int, image_node: bool
) -> None:
    graph, frames, size = make_graph(image_node=image_node), 2, (13, 18)
    torch.manual_seed(0)
    boxes = random_boxes(graph.num_nodes, frames)
    boxes[0, 1] = 0
    vectors = torch.randn(graph.num_nodes, frames, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 5, *kernel, dtype=torch.float64, requires_grad=True)
    boxes.requires_grad_()

    found = conv_layout(LayoutMasks.of(graph, boxes, size), vectors, weight, stride, padding)
    masks = object_masks(boxes.transpose(0, 1), graph.real, size)
    maps = paste(vectors.transpose(0, 1), *masks, graph.clip, graph.num_clips).transpose(0, 1)
    expected = F.conv2d(maps.flatten(0, 1), weight, stride=stride, padding=padding)
    torch.testing.assert_close(found, expected)

    upstream = torch.randn_like(expected)
    inputs = (vectors, weight, boxes)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_two_layouts_and_an_image_equal_one_convolution_of_all_channels() -> None:
    graph, frames, size = make_graph(), 3, (12, 10)
    torch.manual_seed(0)
    boxes = random_boxes(graph.num_nodes, frames + 1)
    vectors = torch.randn(graph.num_nodes, frames + 1, 4, dtype=torch.float64)
    image = torch.randn(graph.num_clips * frames, 3, *size, dtype=torch.float64)
    weight = torch.randn(6, 4 + 4 + 3, 3, 3, dtype=torch.float64)

    masks = LayoutMasks.of(graph, boxes, size)
    parts = [
        LayoutPart(masks.frames(0, frames), vectors[:, :-1], weight[:, :4]),
        LayoutPart(masks.frames(1, frames + 1), vectors[:, 1:], weight[:, 4:8]),
    ]
    found = conv_layouts(parts, 1, 1, image=F.conv2d(image, weight[:, 8:], padding=1))
    profiles = object_masks(boxes.transpose(0, 1), graph.real, size)
    maps = paste(vectors.transpose(0, 1), *profiles, graph.clip, graph.num_clips).transpose(0, 1)
    everything = torch.cat([maps[:, :-1].flatten(0, 1), maps[:, 1:].flatten(0, 1), image], dim=1)
    torch.testing.assert_close(found, F.conv2d(everything, weight, padding=1))


def test_clips_without_any_object_give_zero() -> None:
    graph = make_graph((0, 0))
    masks = LayoutMasks.of(graph, torch.ones(2, 2, 4), (6, 6))
    found = conv_layout(masks, torch.ones(2, 2, 3), torch.ones(4, 3, 3, 3), padding=1)
    assert found.shape == (4, 4, 6, 6)
    assert found.abs().sum() == 0


def test_objects_of_one_clip_do_not_show_in_another() -> None:
    graph = make_graph()
    boxes = random_boxes(graph.num_nodes, 1)
    vectors, weight = torch.randn(graph.num_nodes, 1, 3).double(), torch.randn(2, 3, 3, 3).double()
    whole = conv_layout(LayoutMasks.of(graph, boxes, (8, 8)), vectors, weight, padding=1)
    for clip in range(graph.num_clips):
        nodes = graph.nodes_of(clip)
        alone = LayoutMasks.of(graph.select([clip]), boxes[nodes], (8, 8))
        torch.testing.assert_close(conv_layout(alone, vectors[nodes], weight, padding=1), whole[clip : clip + 1])
