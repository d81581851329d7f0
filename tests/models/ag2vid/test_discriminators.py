from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mutoscope.models.ag2vid.discriminators import ActionDiscriminator, DiscriminatorSettings
from mutoscope.models.ag2vid.pasting import object_masks, paste
from mutoscope.structures.clocked import ClockedGraph

SIZE, LENGTH = (64, 96), 4


def one_graph(objects: int, edges: list[tuple[int, int, int, float, float]]) -> ClockedGraph:
    """A clip of ``objects`` and the image node, which carries no attributes."""
    attributes = torch.stack([torch.randint(1, 4, (objects + 1,)), torch.randint(1, 3, (objects + 1,))], dim=1)
    attributes[-1] = 0
    rows = torch.tensor(edges, dtype=torch.float64).reshape(-1, 5)
    return ClockedGraph(
        attributes=attributes,
        clip=torch.zeros(objects + 1, dtype=torch.long),
        relations=torch.zeros(0, 3, dtype=torch.long),
        subject=rows[:, 0].long(),
        action=rows[:, 1].long(),
        object=rows[:, 2].long(),
        progress=rows[:, 3:].float(),
        destination=torch.rand(len(rows), 2),
        num_clips=1,
    )


@pytest.fixture
def graph() -> ClockedGraph:
    torch.manual_seed(0)
    first = one_graph(3, [(0, 1, 0, -0.2, 1.4), (1, 2, 2, -1.0, 0.5), (0, 3, 1, 0.0, 0.9)])
    second = one_graph(2, [(1, 3, 0, 0.0, 3.0)])
    return ClockedGraph.cat([first, second])


@pytest.fixture
def boxes(graph: ClockedGraph) -> Tensor:
    boxes = torch.rand(graph.num_nodes, LENGTH, 4) * torch.tensor([0.9, 0.9, 0.4, 0.4]) - 0.05
    boxes[~graph.real] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    return boxes


def critic(carry_state: bool = True, use_actions: bool = True, scales: int = 3) -> ActionDiscriminator:
    torch.manual_seed(1)
    network = ActionDiscriminator(
        (4, 3),
        5,
        DiscriminatorSettings(width=4, layers=3, scales=scales, carry_state=carry_state),
        width=8,
        hidden=16,
        use_actions=use_actions,
    )
    return network.eval()


def on_formed_maps(network: ActionDiscriminator, frames: Tensor, graph: ClockedGraph, boxes: Tensor) -> list[Tensor]:
    """Logits of every scale from the layout map itself, pooled together with the frames."""
    vectors = network.object_vectors(graph, graph.clocks(LENGTH)[1:], boxes[:, 1:]).transpose(0, 1)
    y, x = object_masks(boxes[:, 1:].transpose(0, 1), graph.real, SIZE)
    maps = paste(vectors, y, x, graph.clip, graph.num_clips).transpose(0, 1)
    seen, logits = torch.cat([frames, maps], dim=2).flatten(0, 1), []
    for patch in network.patches:
        first = F.conv2d(seen, patch.first.weight, patch.first.bias, stride=2, padding=2)
        x = F.leaky_relu(first, 0.2)
        for convolution in patch.hidden:
            x = F.leaky_relu(F.instance_norm(convolution(x)), 0.2)
        logits.append(patch.last(x))
        seen = F.avg_pool2d(seen, 3, stride=2, padding=1, count_include_pad=False)
    return logits


def naive_states(network: ActionDiscriminator, graph: ClockedGraph, boxes: Tensor, carry: bool) -> Tensor:
    """Frame by frame and clip by clip, with loops over nodes and edges."""
    clocks = graph.clocks(LENGTH)[1:]
    start = network.start(network.attributes(graph.attributes))
    state, states = start, []
    for t in range(LENGTH - 1):
        nodes = network.place(torch.cat([state if carry else start, boxes[:, t + 1]], dim=1))
        alive = [e for e in range(graph.num_actions) if 0 <= clocks[t, e] <= 1]
        edges = []
        for e in alive:
            table = network.actions.weight[graph.action[e], :-3]
            edges.append(torch.cat([table, graph.destination[e], clocks[t, e][None]]))
        for layer in network.graph_convolutions:
            inbox: list[list[Tensor]] = [[] for _ in nodes]
            new_edges = []
            for e, feature in zip(alive, edges, strict=True):
                s, o = int(graph.subject[e]), int(graph.object[e])
                to_s, new, to_o = layer.message(torch.cat([nodes[s], feature, nodes[o]])).split([16, 8, 16])
                inbox[s].append(to_s)
                inbox[o].append(to_o)
                new_edges.append(new)
            pooled = [torch.stack(m).mean(dim=0) if m else torch.zeros(16) for m in inbox]
            nodes, edges = layer.update(torch.stack(pooled)), new_edges
        state = nodes
        states.append(nodes)
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("use_actions", [True, False])
def test_judgement_and_gradients_are_those_of_the_formed_map(
    graph: ClockedGraph, boxes: Tensor, use_actions: bool
) -> None:
    network = critic(use_actions=use_actions).double()
    boxes, frames = boxes.double(), torch.randn(2, LENGTH - 1, 3, *SIZE).double().requires_grad_()
    inputs = [frames, *network.parameters()]
    found = [scale[-1] for scale in network(frames, network.condition(graph, boxes, SIZE))]
    expected = on_formed_maps(network, frames, graph, boxes)
    torch.testing.assert_close(found, expected)
    for x, y in zip(_gradients(found, inputs), _gradients(expected, inputs), strict=True):
        torch.testing.assert_close(x, y)


def _gradients(logits: list[Tensor], inputs: list[Tensor]) -> tuple[Tensor, ...]:
    total = torch.stack([x.square().sum() for x in logits]).sum()
    return torch.autograd.grad(total, inputs)


@pytest.mark.parametrize("carry_state", [True, False])
def test_states_are_those_of_loops(graph: ClockedGraph, boxes: Tensor, carry_state: bool) -> None:
    network = critic(carry_state)
    found = network.object_states(graph, graph.clocks(LENGTH)[1:], boxes[:, 1:])
    torch.testing.assert_close(found, naive_states(network, graph, boxes, carry_state))


def test_clips_do_not_see_each_other(graph: ClockedGraph, boxes: Tensor) -> None:
    network, frames = critic(), torch.randn(2, LENGTH - 1, 3, *SIZE)
    together = network(frames, network.condition(graph, boxes, SIZE))
    for clip in range(2):
        conditioning = network.condition(graph.select([clip]), boxes[graph.nodes_of(clip)], SIZE)
        alone = network(frames[clip : clip + 1], conditioning)
        for scale, expected in zip(together, alone, strict=True):
            for feature, of_clip in zip(scale, expected, strict=True):
                torch.testing.assert_close(feature.unflatten(0, (2, -1))[clip], of_clip, atol=1e-5, rtol=1e-4)


def test_without_carried_state_frames_stand_for_themselves(graph: ClockedGraph, boxes: Tensor) -> None:
    moved = boxes.clone()
    moved[:, 1] += 0.1
    clocks = graph.clocks(LENGTH)[1:]
    for carry_state, unchanged in ((False, True), (True, False)):
        network = critic(carry_state)
        before, after = (network.object_states(graph, clocks, x[:, 1:])[:, 1:] for x in (boxes, moved))
        assert torch.equal(before, after) is unchanged


def test_actions_matter_while_they_are_active(graph: ClockedGraph, boxes: Tensor) -> None:
    network, frames = critic(carry_state=False), torch.randn(2, LENGTH - 1, 3, *SIZE)
    edges = graph.clocks(LENGTH)[1:]
    active = ((edges >= 0) & (edges <= 1))[:, 1]
    assert active.any()
    assert not active.all()
    other = replace(graph, action=graph.action.index_fill(0, torch.tensor([1]), 4))
    before, after = (network(frames, network.condition(g, boxes, SIZE))[0][-1][: LENGTH - 1] for g in (graph, other))
    changed = (before - after).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert torch.equal(changed, active)


def test_pairs_are_judged_as_alone_and_share_the_condition(graph: ClockedGraph, boxes: Tensor) -> None:
    network = critic()
    real, fake = torch.randn(2, 2, LENGTH - 1, 3, *SIZE)
    conditioning = network.condition(graph, boxes, SIZE)
    together = network.compare(real, fake, conditioning)
    for frames, judged in zip((real, fake), together, strict=True):
        torch.testing.assert_close(judged, network(frames, conditioning), atol=1e-5, rtol=1e-4)


def test_a_detached_condition_still_lets_gradients_reach_the_frames(graph: ClockedGraph, boxes: Tensor) -> None:
    network = critic()
    conditioning = network.condition(graph, boxes, SIZE)
    frames = torch.randn(2, LENGTH - 1, 3, *SIZE, requires_grad=True)
    torch.stack([scale[-1].sum() for scale in network(frames, conditioning.detach())]).sum().backward()
    assert frames.grad is not None
    assert network.fuse.weight.grad is None
    torch.stack([scale[-1].sum() for scale in network(frames.detach(), conditioning)]).sum().backward()
    assert network.fuse.weight.grad is not None


def test_graphs_without_action_edges_are_judged(boxes: Tensor) -> None:
    graph = one_graph(2, [])
    for carry_state in (True, False):
        network = critic(carry_state)
        frames = torch.randn(1, LENGTH - 1, 3, *SIZE)
        logits = [scale[-1] for scale in network(frames, network.condition(graph, boxes[:3], SIZE))]
        assert all(torch.isfinite(x).all() for x in logits)


def test_settings_that_make_no_sense_are_refused(graph: ClockedGraph, boxes: Tensor) -> None:
    with pytest.raises(ValueError, match="scales=0"):
        DiscriminatorSettings(scales=0)
    with pytest.raises(ValueError, match="does not look at actions"):
        critic(use_actions=False).object_states(graph, graph.clocks(LENGTH)[1:], boxes[:, 1:])


def test_size_is_the_papers() -> None:
    with torch.device("meta"):
        network = ActionDiscriminator((6, 10, 3, 4), 7)
    parameters = sum(p.numel() for p in network.parameters())
    # the original's table of predicates, which nothing reads, is left out
    assert parameters + 8 * 128 == pytest.approx(9.52e6, rel=1e-3)
