"""Baselines of the layout network against plain loops."""

from dataclasses import replace

import ag2vid_layout_naive as naive
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.ag2vid import layout as layout_module
from mutoscope.models.ag2vid.generator import build_layout
from mutoscope.models.ag2vid.layout import LayoutGCN
from mutoscope.models.ag2vid.layout_baselines import (
    LayoutCopy,
    LayoutGroundTruth,
    LayoutRandom,
    LayoutRNN,
    LayoutRule,
)
from mutoscope.models.ag2vid.settings import LayoutName
from mutoscope.structures.clocked import ClockedGraph
from mutoscope.structures.vocabulary import CATER_VOCABULARY, ActionVocabulary, something_vocabulary

LENGTH = 6
EDGES = ("subject", "action", "object", "progress", "destination")


def rnn(**options: bool) -> LayoutRNN:
    torch.manual_seed(0)
    return LayoutRNN((6, 10, 3, 4), 8, 7, 6, width=8, hidden=16, layers=2, **options)


def every_layout() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "gcn": LayoutGCN((6, 10, 3, 4), 8, 7, 6, width=8, hidden=16),
        "rnn": rnn(),
        "rule": LayoutRule(CATER_VOCABULARY),
        "random": LayoutRandom(),
        "copy": LayoutCopy(),
        "ground_truth": LayoutGroundTruth(),
    }


@torch.no_grad()
@pytest.mark.parametrize("name", every_layout())
@pytest.mark.parametrize("length", [1, 2, 20])
def test_all_layouts_are_called_alike(name: str, length: int) -> None:
    graph, layout = naive.random_graph(3), every_layout()[name]
    boxes = naive.random_boxes(graph, length)
    for asked in (graph, replace(graph, **{edge: getattr(graph, edge)[:0] for edge in EDGES})):
        found = layout(asked, boxes[:, 0], length, boxes if name == "ground_truth" else None)
        assert found.boxes.shape == boxes.shape
        assert torch.equal(found.boxes[:, 0], boxes[:, 0])
        assert torch.isfinite(found.boxes).all()
    with pytest.raises(ValueError, match="first frame have shape"):
        layout(graph, boxes[1:, 0], length, boxes)


def naive_rnn_step(net: LayoutRNN, graph: ClockedGraph, boxes: Tensor, step: int, length: int) -> Tensor:
    """Next boxes, one node after the other."""
    z = net.nodes(torch.cat([net.attributes(graph.attributes), boxes], dim=1))
    read: dict[int, list[Tensor]] = {node: [] for node in range(graph.num_nodes)}
    for subject, predicate, object in graph.relations.tolist():
        for node in (subject, object):
            read[node].append(torch.cat([z[node], z[subject], net.edges.predicates.weight[predicate], z[object]]))
    begin = -graph.progress[:, 0] / (graph.progress[:, 1] - graph.progress[:, 0] + 1e-6)
    for edge in begin.argsort(stable=True).tolist():
        clock = graph.clocks(length)[step, edge]
        if not 0 <= clock <= 1:
            continue
        subject, object = int(graph.subject[edge]), int(graph.object[edge])
        known = net.edges.actions.weight[graph.action[edge]][:-3]
        u = torch.cat([known, graph.destination[edge], clock[None]])
        for node in sorted({subject, object}):
            read[node].append(torch.cat([z[node], z[subject], u, z[object]]))
    last = [net.reader(torch.stack(told))[0][-1] if told else torch.zeros(net.width) for told in read.values()]
    return boxes + net.box(torch.stack(last))


@torch.no_grad()
def test_rnn_equals_a_loop_over_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, net = naive.random_graph(3), rnn()
    # an object without any edge
    graph = replace(graph, relations=graph.relations[1:], subject=graph.subject.clamp(min=1))
    graph = replace(graph, object=graph.object.clamp(min=1))
    boxes = [naive.random_boxes(graph, 1)[:, 0]]
    for step in range(1, LENGTH):
        boxes.append(naive_rnn_step(net, graph, boxes[-1], step, LENGTH))
    expected = torch.stack(boxes, dim=1)
    rolled = net(graph, boxes[0], LENGTH)
    torch.testing.assert_close(rolled.boxes, expected)
    assert not rolled.need_descriptors()[0].any()
    assert rolled.need_descriptors()[1, 1:].any(1).all()
    torch.testing.assert_close(net(graph, boxes[0], LENGTH, expected).boxes, expected)
    monkeypatch.setattr(layout_module, "_sending", lambda *edges: edges)
    torch.testing.assert_close(net(graph, boxes[0], LENGTH).boxes, expected)


@torch.no_grad()
def test_rnn_reads_actions_in_the_order_in_which_they_begin() -> None:
    graph, net = naive.random_graph(3), rnn()
    order = torch.randperm(graph.num_actions, generator=torch.Generator().manual_seed(0))
    shuffled = replace(graph, **{edge: getattr(graph, edge)[order] for edge in EDGES})
    first = naive.random_boxes(graph, 1)[:, 0]
    torch.testing.assert_close(net(shuffled, first, LENGTH).boxes, net(graph, first, LENGTH).boxes)


def test_rnn_learns_where_objects_go() -> None:
    """All its parts get gradients, and a few steps fit one batch."""
    graph, net = naive.random_graph(4), rnn()
    first = naive.random_boxes(graph, 1)[:, 0]
    target = LayoutRule(CATER_VOCABULARY)(graph, first, LENGTH).boxes
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = F.smooth_l1_loss(net(graph, first, LENGTH).boxes, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None and p.grad.any() for p in net.reader.parameters())


def action_graph(
    vocabulary: ActionVocabulary, rows: list[tuple[int, str, int, float, float, float, float]]
) -> ClockedGraph:
    """Two objects, with actions (subject, action, object, first and last progress, destination)."""
    numbers = torch.tensor([[s, vocabulary.action(a), o, *rest] for s, a, o, *rest in rows], dtype=torch.float32)
    return ClockedGraph(
        attributes=torch.ones(2, 1, dtype=torch.int64),
        clip=torch.zeros(2, dtype=torch.int64),
        relations=torch.zeros(0, 3, dtype=torch.int64),
        subject=numbers[:, 0].long(),
        action=numbers[:, 1].long(),
        object=numbers[:, 2].long(),
        progress=numbers[:, 3:5],
        destination=numbers[:, 5:7],
        num_clips=1,
    )


FIRST = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.1, 0.1]])


@pytest.mark.parametrize("action", ["slide", "pick_place"])
@pytest.mark.parametrize("start", [-1.0, -0.5, -0.13, 0.0, 0.4])
@pytest.mark.parametrize("end", [1.0, 1.3, 2.7])
def test_rule_arrives_when_the_action_ends(action: str, start: float, end: float) -> None:
    length = 16
    graph = action_graph(CATER_VOCABULARY, [(0, action, 0, start, end, 0.9, 0.6)])
    boxes = LayoutRule(CATER_VOCABULARY)(graph, FIRST, length).boxes
    # from the first frame or, if later, the action's start
    begin = max(start, 0.0)
    for t in range(length):
        share = min(max((start + t / length * (end - start) - begin) / (1 - begin), 0.0), 1.0)
        expected = FIRST[0, :2] + share * (torch.tensor([0.9, 0.6]) - FIRST[0, :2])
        torch.testing.assert_close(boxes[0, t, :2], expected, atol=1e-4, rtol=0)
    assert torch.equal(boxes[0, :, 2:], FIRST[:1, 2:].expand(length, 2))
    assert torch.equal(boxes[1], FIRST[1].expand(length, 4))


def test_rule_follows_one_action_after_the_other_and_lets_the_rest_stay() -> None:
    graph = action_graph(
        CATER_VOCABULARY,
        [(0, "slide", 0, 0, 2, 0.5, 0.1), (0, "pick_place", 0, -1, 1.2, 0.0, 0.7), (1, "rotate", 1, 0, 1, 0, 0)],
    )
    boxes = LayoutRule(CATER_VOCABULARY)(graph, FIRST, 20).boxes
    torch.testing.assert_close(boxes[0, 9, 0], torch.tensor(0.1 + 0.9 * 0.4), atol=1e-4, rtol=0)
    torch.testing.assert_close(boxes[0, -1, :2], torch.tensor([0.0, 0.7]), atol=1e-4, rtol=0)
    assert torch.equal(boxes[1], FIRST[1].expand(20, 4))


def test_rule_of_something_something_pushes_the_object_operated_on() -> None:
    words = something_vocabulary(["hand", "cup"])
    graph = action_graph(words, [(1, "up", 0, 0, 2, 0, 0), (1, "right", 0, 0, 1, 0, 0), (1, "cover", 0, 0, 1, 0, 0)])
    boxes = LayoutRule(words, alpha=0.05)(graph, FIRST, 5).boxes
    moved = (boxes - FIRST[:, None])[0]
    # r of "up" is 0.4 and 0.8 at frames 1 and 2
    torch.testing.assert_close(moved[:, 0], 0.05 * torch.arange(5.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(moved[:, 1], torch.tensor([0, -0.05, -0.1, -0.1, -0.1]), atol=1e-6, rtol=0)
    assert torch.equal(boxes[1], FIRST[1].expand(5, 4))


def test_random_boxes_are_valid_seeded_and_leave_the_image_alone() -> None:
    graph = naive.random_graph(50)
    first = naive.random_boxes(graph, 1)[:, 0]
    torch.manual_seed(3)
    boxes = LayoutRandom()(graph, first, LENGTH).boxes
    torch.manual_seed(3)
    assert torch.equal(LayoutRandom()(graph, first, LENGTH).boxes, boxes)
    drawn = boxes[graph.real, 1:]
    assert (drawn >= 0).all()
    assert (drawn[..., :2] + drawn[..., 2:] <= 1 + 1e-6).all()
    # the lower of two uniform numbers is 1/3 on average, as is their distance
    torch.testing.assert_close(drawn.mean((0, 1)), torch.full((4,), 1 / 3), atol=0.03, rtol=0)
    assert torch.equal(boxes[~graph.real], first[~graph.real][:, None].expand(-1, LENGTH, 4))


def test_ground_truth_needs_boxes() -> None:
    graph = naive.random_graph(2)
    boxes = naive.random_boxes(graph, LENGTH)
    assert torch.equal(LayoutGroundTruth()(graph, boxes[:, 0], 3, boxes).boxes, boxes[:, :3])
    with pytest.raises(ValueError, match="none were given"):
        LayoutGroundTruth()(graph, boxes[:, 0], LENGTH)
    with pytest.raises(ValueError, match="no object descriptors"):
        LayoutCopy()(graph, boxes[:, 0], LENGTH).need_descriptors()


@pytest.mark.parametrize("name", ["gcn", "rnn"])
def test_layouts_that_learn_are_built_with_all_their_settings(name: LayoutName) -> None:
    made = build_layout(
        name,
        CATER_VOCABULARY,
        width=8,
        hidden=12,
        layers=2,
        clip_progress=True,
        only_actions=True,
        truncate=5,
        checkpoint_steps=True,
    )
    assert isinstance(made, LayoutRNN if name == "rnn" else LayoutGCN)
    assert (made.width, made.box[0].out_features) == (8, 12)
    assert (made.reader.num_layers if isinstance(made, LayoutRNN) else len(made.convolutions)) == 2
    assert (made.edges.clip_progress, made.edges.only_actions) == (True, True)
    assert (made.truncate, made.checkpoint_steps) == (5, True)
