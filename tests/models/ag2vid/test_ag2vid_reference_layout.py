"""Names and padded batches of the original."""

import pytest
import torch
from torch import Tensor

from mutoscope.models.ag2vid.layout import LayoutGCN
from mutoscope.models.ag2vid.reference.layout import (
    APPEARANCE_PREFIX,
    convert_layout,
    export_layout,
    layout_from_reference,
    unpad,
)


def network(sizes: tuple[int, ...] = (4, 3)) -> LayoutGCN:
    return LayoutGCN(sizes, 3, 5, 4, width=6, hidden=7, layers=2)


@pytest.mark.parametrize("sizes", [(4, 3), (5,)])
def test_a_checkpoint_comes_back_as_the_same_network(sizes: tuple[int, ...]) -> None:
    made = network(sizes)
    state = {"layout_to_video.module.other": torch.zeros(1), **export_layout(made, APPEARANCE_PREFIX)}
    read = layout_from_reference(state, APPEARANCE_PREFIX)
    assert read.edges.padding_action == 4
    expected = made.state_dict()
    assert read.state_dict().keys() == expected.keys()
    assert all(torch.equal(x, expected[key]) for key, x in read.state_dict().items())


def test_released_shapes_build_the_paper_s_network() -> None:
    """Spec of the CATER checkpoint: 4.6 million parameters."""
    made = LayoutGCN((6, 10, 3, 4), 8, 7, 6)
    shapes = {key: tuple(x.shape) for key, x in export_layout(made).items()}
    assert shapes["gconvs.0.net1.0.weight"] == (512, 1152)
    assert shapes["gconvs.2.net1.2.weight"] == (1152, 512)
    assert shapes["obj_vecs_net.0.weight"] == (512, 516)
    assert shapes["attribute_embedding.attribute_fc_gen.bias"] == (512,)
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(4.604e6, rel=1e-3)


def test_missing_and_left_over_entries_are_named() -> None:
    state = export_layout(network(), "a.")
    state["a.surplus"] = state.pop("a.box_net.0.bias")
    with pytest.raises(ValueError, match=r"'a\.box_net\.0\.bias' is missing; 'a\.surplus' belongs to no part"):
        convert_layout(state, "a.")
    state = export_layout(network())
    state["obj_vecs_net.0.weight"] = torch.zeros(12, 99)
    with pytest.raises(ValueError, match=r"'nodes\.0\.weight' has shape \[12, 99\] where \[12, 16\]"):
        layout_from_reference(state)


def padded() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two clips of two frames; the second has one object less, one relation and one action less."""
    objs = torch.tensor([[[1], [2], [0]], [[3], [0], [0]]])
    boxes = torch.arange(2 * 2 * 3 * 4).view(2, 2, 3, 4).float()
    triplets = torch.tensor([[[0, 0, 2], [1, 0, 2]], [[0, 0, 1], [0, 9, 0]]])[:, None].repeat(1, 2, 1, 1)
    first = [[0, 3, 1, 0.1, 0.9, 0.5, 0.6], [1, 2, 1, 0, 1, 0, 0]]
    second = [[0, 1, 0, -1, 2, 0, 0], [0, 8, 0, 0, 0, 0, 0]]
    actions = torch.tensor([first, second])
    return objs, boxes, triplets, actions


def test_padded_batches_become_one_graph() -> None:
    objs, boxes, triplets, actions = padded()
    graph, flat = unpad(objs, boxes, triplets, actions, padding_predicate=9, padding_action=8)
    assert graph.attributes[:, 0].tolist() == [1, 2, 0, 3, 0, 0]
    assert graph.clip.tolist() == [0, 0, 0, 1, 1, 1]
    assert graph.relations.tolist() == [[0, 0, 2], [1, 0, 2], [3, 0, 4]]
    assert (graph.subject.tolist(), graph.action.tolist(), graph.object.tolist()) == ([0, 1, 3], [3, 2, 1], [1, 1, 3])
    torch.testing.assert_close(graph.progress, torch.tensor([[0.1, 0.9], [0, 1], [-1, 2]]))
    torch.testing.assert_close(graph.destination[0], torch.tensor([0.5, 0.6]))
    assert torch.equal(flat.view(2, 3, 2, 4), boxes.transpose(1, 2))


def test_relations_that_change_stay_frame_by_frame() -> None:
    objs, boxes, triplets, actions = padded()
    triplets[0, 1, 0, 1] = 5
    graph, _ = unpad(objs, boxes, triplets, actions, padding_predicate=9, padding_action=8)
    assert graph.relations[:, :, 1].tolist() == [[0, 0, 0], [5, 0, 0]]
    triplets[0, 1, 0, 1] = 9
    with pytest.raises(ValueError, match="more spatial relations in one frame"):
        unpad(objs, boxes, triplets, actions, padding_predicate=9, padding_action=8)
