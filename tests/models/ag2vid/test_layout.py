"""Layout network: agreement with a plain one, what it must not depend on, and its training options."""

from dataclasses import replace

import ag2vid_layout_naive as naive
import pytest
import torch
from torch import Tensor

from mutoscope.models.ag2vid import layout as layout_module
from mutoscope.models.ag2vid.graph_layers import GraphConvolution
from mutoscope.models.ag2vid.layout import LayoutGCN, layout_loss
from mutoscope.models.ag2vid.reference.layout import layout_keys
from mutoscope.structures.clocked import ClockedGraph

LENGTH = 5


def network(sizes: tuple[int, ...] = (6, 10, 3, 4), **options: object) -> LayoutGCN:
    torch.manual_seed(0)
    return LayoutGCN(sizes, 8, 7, 6, width=8, hidden=16, **options)  # type: ignore[arg-type]


def moving_relations(graph: ClockedGraph, length: int) -> ClockedGraph:
    """Other predicates in every frame."""
    relations = graph.relations.repeat(length, 1, 1)
    relations[..., 1] = torch.arange(relations[..., 1].numel()).view(relations.shape[:2]) % 8
    return replace(graph, relations=relations)


def without_actions(graph: ClockedGraph) -> ClockedGraph:
    edges = ("subject", "action", "object", "progress", "destination")
    return replace(graph, **{name: getattr(graph, name)[:0] for name in edges})


def cases() -> dict[str, tuple[ClockedGraph, dict[str, bool]]]:
    graph = naive.random_graph(3)
    no_relations = replace(graph, relations=graph.relations[:0])
    return {
        "constant relations": (graph, {}),
        "moving relations": (moving_relations(graph, LENGTH), {}),
        "no actions": (without_actions(graph), {}),
        "no relations": (no_relations, {}),
        "no edges": (without_actions(no_relations), {}),
        "clipped clocks": (graph, {"clip_progress": True}),
        "only actions": (graph, {"only_actions": True}),
        "one attribute": (naive.random_graph(2, sizes=(9,)), {}),
    }


@pytest.mark.parametrize("case", cases())
def test_equals_a_loop_over_clips_with_its_gradients(case: str) -> None:
    graph, options = cases()[case]
    net = network((9,) if case == "one attribute" else (6, 10, 3, 4), **options)
    first = naive.random_boxes(graph, 1)[:, 0].requires_grad_()
    parameters = dict(net.named_parameters())
    state = {theirs: parameters[ours] for theirs, ours in layout_keys(len(net.attributes.tables), 3).items()}
    seen = replace(graph, relations=graph.relations[:0]) if net.edges.only_actions else graph
    clips, boxes = naive.parts(seen, first)
    expected_boxes, expected_known = naive.naive_layout(
        state, clips, boxes, LENGTH, clip_progress=net.edges.clip_progress
    )
    expected = torch.cat(expected_boxes), torch.cat(expected_known)

    found = net(graph, first, LENGTH)
    torch.testing.assert_close(found.boxes, expected[0])
    torch.testing.assert_close(found.descriptors, expected[1], atol=1e-5, rtol=1e-4)
    assert found.boxes.shape == (graph.num_nodes, LENGTH, 4)

    wanted = [first, *parameters.values()]
    for got, want in zip(gradients(found.boxes, found.descriptors, wanted), gradients(*expected, wanted), strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-3)


def gradients(boxes: Tensor, descriptors: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    total = boxes.square().sum() + descriptors.sum()
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]


@torch.no_grad()
def test_names_of_nodes_and_order_of_edges_do_not_matter() -> None:
    graph, net = naive.random_graph(4), network()
    boxes = naive.random_boxes(graph, 1)[:, 0]
    new = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(1))
    edges = torch.randperm(graph.num_actions, generator=torch.Generator().manual_seed(2))
    old = new.argsort()
    one, predicate, other = graph.relations.unbind(dim=1)
    shuffled = replace(
        graph,
        attributes=graph.attributes[old],
        clip=graph.clip[old],
        relations=torch.stack([new[one], predicate, new[other]], dim=1).flip(0),
        subject=new[graph.subject][edges],
        action=graph.action[edges],
        object=new[graph.object][edges],
        progress=graph.progress[edges],
        destination=graph.destination[edges],
    )
    before, after = net(graph, boxes, LENGTH), net(shuffled, boxes[old], LENGTH)
    torch.testing.assert_close(after.boxes, before.boxes[old])
    torch.testing.assert_close(after.descriptors, before.descriptors[old], atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 23])
def test_any_number_of_frames(length: int) -> None:
    graph = naive.random_graph(2)
    first = naive.random_boxes(graph, 1)[:, 0]
    found = network()(graph, first, length)
    assert found.boxes.shape == (graph.num_nodes, length, 4)
    assert found.need_descriptors().shape == (graph.num_nodes, length, 8)
    assert torch.equal(found.boxes[:, 0], first)
    assert not found.need_descriptors()[:, 0].any()


@torch.no_grad()
@pytest.mark.parametrize("moving", [False, True])
def test_steps_from_given_boxes_are_those_of_the_roll_out(moving: bool) -> None:
    graph, net = naive.random_graph(3), network()
    graph = moving_relations(graph, LENGTH) if moving else graph
    rolled = net(graph, naive.random_boxes(graph, 1)[:, 0], LENGTH)
    told = net(graph, rolled.boxes[:, 0], LENGTH, rolled.boxes)
    torch.testing.assert_close(told.boxes, rolled.boxes)
    torch.testing.assert_close(told.descriptors, rolled.descriptors, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_step_from_given_boxes_sees_the_frame_before_only() -> None:
    graph, net = naive.random_graph(2), network()
    boxes = naive.random_boxes(graph, LENGTH)
    changed = boxes.clone()
    changed[:, 2] += 0.1
    before, after = (net(graph, boxes[:, 0], LENGTH, given).need_descriptors() for given in (boxes, changed))
    differ = [not torch.allclose(before[:, t], after[:, t], atol=1e-6) for t in range(LENGTH)]
    assert differ == [False, False, False, True, False]


def test_edges_that_are_not_active_may_be_sent_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices compute all edges and mask their messages, processors only the active ones."""
    graph, net = naive.random_graph(3), network()
    boxes = naive.random_boxes(graph, LENGTH)
    assert 0 < float(net.edges(graph, LENGTH).active.mean()) < 1
    kept = net(graph, boxes[:, 0], LENGTH), net(graph, boxes[:, 0], LENGTH, boxes)
    monkeypatch.setattr(layout_module, "_sending", lambda *edges: edges)
    masked = net(graph, boxes[:, 0], LENGTH), net(graph, boxes[:, 0], LENGTH, boxes)
    for one, other in zip(kept, masked, strict=True):
        torch.testing.assert_close(one.boxes, other.boxes)
        torch.testing.assert_close(one.descriptors, other.descriptors, atol=1e-5, rtol=1e-4)


def test_a_convolution_counts_its_edges_itself_where_nobody_did() -> None:
    torch.manual_seed(0)
    convolution = GraphConvolution(3, 4, 5, 6)
    nodes, edges = torch.randn(4, 3), torch.randn(5, 4)
    subject, object = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([1, 1, 0, 0, 2])
    active = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0])
    degree = torch.tensor([2.0, 3.0, 1.0, 0.0])
    told, _ = convolution(nodes, edges, subject, object, active, degree)
    kept = active.bool()
    for found, _ in (
        convolution(nodes, edges, subject, object, active),
        convolution(nodes, edges[kept], subject[kept], object[kept], None),
    ):
        torch.testing.assert_close(found, told)


def test_padding_actions_are_never_active() -> None:
    graph, net = naive.random_graph(2), network()
    padded = replace(
        graph,
        subject=torch.cat([graph.subject, torch.tensor([0])]),
        action=torch.cat([graph.action, torch.tensor([6])]),
        object=torch.cat([graph.object, torch.tensor([0])]),
        progress=torch.cat([graph.progress, torch.zeros(1, 2)]),
        destination=torch.cat([graph.destination, torch.zeros(1, 2)]),
    )
    first = naive.random_boxes(graph, 1)[:, 0]
    torch.testing.assert_close(net(padded, first, LENGTH).boxes, net(graph, first, LENGTH).boxes)


def test_steps_computed_twice_give_the_same_gradients() -> None:
    graph = naive.random_graph(2)
    results = []
    for checkpoint_steps in (False, True):
        net = network(checkpoint_steps=checkpoint_steps)
        boxes = net(graph, naive.random_boxes(graph, 1)[:, 0], LENGTH).boxes
        boxes.square().sum().backward()
        results.append([boxes.detach(), *(p.grad for p in net.parameters() if p.grad is not None)])
    assert len(results[0]) > 10
    for plain, again in zip(*results, strict=True):
        torch.testing.assert_close(plain, again)


def test_truncation_stops_gradients_but_no_boxes() -> None:
    graph = naive.random_graph(2)
    first = naive.random_boxes(graph, 1)[:, 0].requires_grad_()
    full, cut = network()(graph, first, LENGTH).boxes, network(truncate=2)(graph, first, LENGTH).boxes
    torch.testing.assert_close(full, cut)
    reach = [bool(torch.autograd.grad(cut[:, t].sum(), first, retain_graph=True)[0].any()) for t in range(LENGTH)]
    assert reach == [True, True, True, False, False]
    assert torch.autograd.grad(full[:, -1].sum(), first)[0].any()


@torch.no_grad()
def test_boxes_stay_precise_in_half_precision() -> None:
    graph, net = naive.random_graph(2), network()
    first = naive.random_boxes(graph, 1)[:, 0]
    with torch.autocast("cpu", torch.bfloat16):
        found = net(graph, first, LENGTH)
    assert found.boxes.dtype == torch.float32
    assert torch.equal(found.boxes[:, 0], first)
    torch.testing.assert_close(found.boxes, net(graph, first, LENGTH).boxes, atol=0.1, rtol=0.1)


def test_loss_is_the_mean_over_real_objects() -> None:
    graph = naive.random_graph(3)
    target, predicted = naive.random_boxes(graph, LENGTH), 4 * naive.random_boxes(graph, LENGTH, seed=1)
    predicted.requires_grad_()
    entries = []
    for node in range(graph.num_nodes):
        for t in range(1, LENGTH):
            for difference in (predicted[node, t] - target[node, t]).detach().abs().tolist():
                if graph.real[node]:
                    entries.append(difference**2 / 2 if difference < 1 else difference - 0.5)
    loss = layout_loss(predicted, target, graph.real)
    torch.testing.assert_close(loss, torch.tensor(sum(entries) / len(entries)))
    padded = layout_loss(predicted, target, graph.real, padded_count=40)
    torch.testing.assert_close(padded, torch.tensor(sum(entries) / (40 * (LENGTH - 1) * 4)))
    loss.backward()
    moved = predicted.grad.abs().sum(2) > 0
    assert torch.equal(moved, graph.real[:, None] & (torch.arange(LENGTH) > 0))
    assert layout_loss(predicted, target, torch.zeros_like(graph.real)) == 0
    assert layout_loss(predicted[:, :1], target[:, :1], graph.real) == 0


def test_wrong_inputs_are_told() -> None:
    graph, net = naive.random_graph(2), network()
    boxes = naive.random_boxes(graph, LENGTH)
    with pytest.raises(ValueError, match=r"shape \[13, 4\].*14 nodes"):
        net(graph, boxes[:13, 0], LENGTH)
    with pytest.raises(ValueError, match=r"14 nodes and 6 frames need \[14, 6, 4\]"):
        net(graph, boxes[:, 0], LENGTH + 1, boxes)
    with pytest.raises(ValueError, match="layout of 0 frames"):
        net(graph, boxes[:, 0], 0)
    with pytest.raises(ValueError, match="relations for 3 frames, but 5 frames"):
        net(moving_relations(graph, 3), boxes[:, 0], LENGTH)
    with pytest.raises(ValueError, match="width of edges is 3"):
        LayoutGCN((3,), 2, 2, 1, width=3)
    with pytest.raises(ValueError, match="truncate is 0"):
        network(truncate=0)
    with pytest.raises(ValueError, match="of 0 graph convolutions"):
        network(layers=0)
