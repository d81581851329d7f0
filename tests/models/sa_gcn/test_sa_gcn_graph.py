"""Attention over frames and the factorised sequence graph, against matrices over all nodes."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from mutoscope.models.sa_gcn.attention_graph import (
    SelfAttention,
    SequenceGraph,
    causal_attention,
    neighbours,
    prune_past,
    prune_row,
)
from mutoscope.models.sa_gcn.graph_layers import GraphConv, NodeMixing
from mutoscope.structures import H36M15, NTU25, Skeleton

BATCH, LENGTH, CHANNELS = 2, 6, 3
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def attention(*, seed: int = 0, length: int = LENGTH) -> Tensor:
    """A map of attention as the networks make it, in double precision."""
    query, key = torch.randn(2, BATCH, length, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return causal_attention(3 * query, key)


def features(skeleton: Skeleton, *, seed: int = 1, length: int = LENGTH) -> Tensor:
    shape = (BATCH, length, skeleton.num_joints, CHANNELS)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def paper_matrix(pruned: Tensor, adjacency: Tensor, self_loop: float = 0.0) -> Tensor:
    """Equations 2, 6 and 7: ``D^-1 A_s`` over all nodes, node = frame * v + joint."""
    t, v = pruned.shape[1], len(adjacency)
    closed, same = adjacency + torch.eye(v, dtype=torch.float64), torch.eye(v, dtype=torch.float64)
    pattern = torch.cat(
        [torch.cat([closed if row == column else same for column in range(t)], dim=1) for row in range(t)]
    )
    whole = pruned.repeat_interleave(v, dim=1).repeat_interleave(v, dim=2) * pattern
    if self_loop:
        whole = whole + self_loop * (torch.eye(t * v) + torch.block_diag(*[closed] * t))
    return whole / whole.sum(dim=2, keepdim=True)


def gradients(y: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Of a fixed random projection of ``y``."""
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(7))
    return torch.autograd.grad((y * weights).sum(), inputs)


def test_neighbours_are_the_edges_of_the_skeleton() -> None:
    adjacency = neighbours(H36M15)
    assert torch.equal(adjacency, adjacency.T)
    assert (adjacency.sum(dim=0) + 1).tolist() == [4, 3, 2, 4, 3, 2, 4, 5, 2, 3, 3, 2, 3, 3, 2]
    assert int(neighbours(NTU25).sum()) == 48


@pytest.mark.parametrize("skeleton", [H36M15, NTU25], ids=lambda s: s.name)
@pytest.mark.parametrize("self_loop", [0.0, 0.1])
def test_factors_do_what_the_papers_matrix_does(skeleton: Skeleton, self_loop: float) -> None:
    adjacency, pruned = neighbours(skeleton).double(), prune_past(attention(), 2).detach().requires_grad_()
    x = features(skeleton).requires_grad_()
    y = SequenceGraph.by_rows(pruned, adjacency, self_loop).spread(x)
    expected = (paper_matrix(pruned, adjacency, self_loop) @ x.flatten(1, 2)).view_as(x)
    torch.testing.assert_close(y, expected, **EXACT)
    kept = pruned.detach() > 0
    for found, wanted in zip(gradients(y, x, pruned), gradients(expected, x, pruned), strict=True):
        # of the map only what pruning keeps has a gradient that is used
        where = kept if found.shape == kept.shape else torch.ones_like(found, dtype=torch.bool)
        torch.testing.assert_close(found * where, wanted * where, **EXACT)


@pytest.mark.parametrize("skeleton", [H36M15, NTU25], ids=lambda s: s.name)
def test_factors_do_what_the_released_programs_matrix_does(skeleton: Skeleton, dense: ModuleType) -> None:
    adjacency, x = neighbours(skeleton).double(), features(skeleton).requires_grad_()
    whole = attention().requires_grad_()
    y = SequenceGraph.by_columns(prune_row(whole, 3), adjacency).spread(x)
    closed = adjacency + torch.eye(len(adjacency))
    matrix = dense.dense_graph(whole, closed, 3)
    expected = torch.einsum("bic,bij->bjc", x.flatten(1, 2), matrix).view_as(x)
    torch.testing.assert_close(y, expected, **EXACT)
    for found, wanted in zip(gradients(y, x, whole), gradients(expected, x, whole), strict=True):
        # rows with fewer frames than are kept leave the choice among zeros open
        pair = (found.tril(), wanted.tril()) if found.ndim == 3 else (found, wanted)
        torch.testing.assert_close(*pair, **EXACT)


def test_scaling_a_row_of_the_map_changes_nothing() -> None:
    pruned, x = prune_past(attention(), 2), features(H36M15)
    scale = torch.rand(BATCH, LENGTH, 1, dtype=torch.float64) * 10 + 0.01
    adjacency = neighbours(H36M15).double()
    before, after = (SequenceGraph.by_rows(s, adjacency).spread(x) for s in (pruned, pruned * scale))
    torch.testing.assert_close(before, after, **EXACT)


def test_weights_at_each_node_sum_to_one() -> None:
    graph = SequenceGraph.by_rows(prune_past(attention(), 2), neighbours(H36M15).double())
    ones = torch.ones(BATCH, LENGTH, H36M15.num_joints, 1, dtype=torch.float64)
    torch.testing.assert_close(graph.spread(ones), ones, **EXACT)


def test_without_past_frames_attention_drops_out() -> None:
    adjacency, x = neighbours(H36M15).double(), features(H36M15)
    closed = adjacency + torch.eye(len(adjacency))
    expected = closed / closed.sum(dim=1, keepdim=True) @ x
    for graph in (
        SequenceGraph.by_rows(prune_past(attention(), 0), adjacency),
        SequenceGraph.of_frames(BATCH, LENGTH, adjacency),
    ):
        torch.testing.assert_close(graph.spread(x), expected, **EXACT)


@pytest.mark.parametrize("kept", [0, 1, 3, 5, 9])
def test_pruning_the_past_row_by_row(kept: int) -> None:
    whole = attention()
    expected = torch.zeros_like(whole)
    for b in range(BATCH):
        for t in range(LENGTH):
            best = sorted(range(t), key=lambda s: -float(whole[b, t, s]))[:kept]
            for s in [*best, t]:
                expected[b, t, s] = whole[b, t, s]
    assert torch.equal(prune_past(whole, kept), expected)


def test_row_pruning_may_drop_the_own_frame() -> None:
    row = torch.tensor([[[1.0, 0.0, 0.0], [0.7, 0.3, 0.0], [0.5, 0.4, 0.1]]])
    assert prune_row(row, 2)[0].tolist() == [[1.0, 0.0, 0.0], row[0, 1].tolist(), [0.5, row[0, 2, 1].item(), 0.0]]
    assert prune_past(row, 1)[0, 2].tolist() == [0.5, 0.0, row[0, 2, 2].item()]
    # the degree of a frame whose own entry is gone stays positive
    graph = SequenceGraph.by_rows(prune_row(row, 2), neighbours(H36M15))
    assert bool((graph.degree > 0).all())


@pytest.mark.parametrize("direction", ["past", "future"])
def test_which_way_information_flows(direction: str) -> None:
    adjacency, x = neighbours(H36M15).double(), features(H36M15)
    pruned = prune_past(attention(), LENGTH)
    make = SequenceGraph.by_rows if direction == "past" else SequenceGraph.by_columns
    graph, changed = make(pruned, adjacency), x.clone()
    changed[:, 3] += 1
    moved = (graph.spread(changed) - graph.spread(x)).abs().amax(dim=(0, 2, 3)) > 1e-9
    assert moved.tolist() == [t >= 3 if direction == "past" else t <= 3 for t in range(LENGTH)]


@pytest.mark.parametrize("node_mixing", ["none", "dense", "separable"])
@pytest.mark.parametrize("rows", [True, False])
def test_a_layer_joined_with_its_head_is_the_layer_and_the_head(node_mixing: NodeMixing, rows: bool) -> None:
    torch.manual_seed(0)
    pruned, adjacency = prune_past(attention(), 2), neighbours(H36M15).double()
    graph = (SequenceGraph.by_rows if rows else SequenceGraph.by_columns)(pruned, adjacency)
    layer = GraphConv(3, 5, joints=H36M15.num_joints, length=LENGTH, node_mixing=node_mixing).double()
    head = torch.nn.Linear(5, 2, dtype=torch.float64)
    x = features(H36M15)[:, :, :, None].repeat(1, 1, 1, 2, 1)
    torch.testing.assert_close(layer.into(head, x, graph) + head.bias, head(layer(x, graph)), **EXACT)


def test_channels_and_nodes_may_be_mixed_in_either_order() -> None:
    torch.manual_seed(0)
    graph = SequenceGraph.by_rows(prune_past(attention(), 2), neighbours(H36M15).double())
    x = features(H36M15)[:, :, :, None]
    for c_out in (1, 3, 8):
        layer = GraphConv(3, c_out, joints=15, length=LENGTH).double()
        expected = layer.linear(graph.spread(x[..., 0, :]))[:, :, :, None]
        torch.testing.assert_close(layer(x, graph), expected, **EXACT)


def test_dense_node_mixing_is_a_linear_layer_over_flattened_nodes() -> None:
    torch.manual_seed(0)
    graph = SequenceGraph.by_columns(prune_row(attention(), 3), neighbours(H36M15).double())
    layer = GraphConv(3, 4, joints=15, length=LENGTH, node_mixing="dense").double()
    plain = GraphConv(3, 4, joints=15, length=LENGTH).double()
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k.startswith("linear")})
    x = features(H36M15)[:, :, :, None]
    assert layer.nodes is not None
    expected = layer.nodes(plain(x, graph).flatten(1, 3).mT).mT.reshape(BATCH, LENGTH, 15, 1, 4)
    torch.testing.assert_close(layer(x, graph), expected, **EXACT)


def test_attention_starts_as_the_identity_and_its_map_still_learns() -> None:
    torch.manual_seed(0)
    block, x = SelfAttention(10), torch.randn(2, 5, 10)
    assert torch.equal(block(x), x)
    output, average = block.with_map(x)
    assert torch.equal(output, x)
    torch.testing.assert_close(average.sum(dim=2), torch.ones(2, 5))
    assert torch.equal(average, average.tril())
    block(x).square().sum().backward()
    assert block.weight.grad is not None
    assert bool(block.weight.grad.abs() > 0)
    assert block.query.weight.grad is not None
    assert not bool(block.query.weight.grad.any())
    block.with_map(x)[1].square().sum().backward()
    assert bool(block.query.weight.grad.any())


def test_both_ways_through_attention_agree() -> None:
    torch.manual_seed(0)
    block, x = SelfAttention(11), torch.randn(2, 7, 11)
    block.weight.data.fill_(0.7)
    torch.testing.assert_close(block(x), block.with_map(x)[0])


def test_scores_are_single_precision_under_autocast() -> None:
    query = torch.randn(1, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = causal_attention(query.bfloat16(), query.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, causal_attention(query.bfloat16().float(), query.bfloat16().float()))


def test_what_attention_cannot_be() -> None:
    with pytest.raises(ValueError, match="4 heads"):
        SelfAttention(3, heads=4)
    with pytest.raises(ValueError, match="node_mixing"):
        GraphConv(1, 1, joints=2, length=2, node_mixing="full")  # type: ignore[arg-type]
