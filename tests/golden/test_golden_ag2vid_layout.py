"""Replay the recorded runs of the original AG2Vid's layout networks; sizes and settings are read from the files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from mutoscope.models.ag2vid.layout import LayoutGCN, layout_loss
from mutoscope.models.ag2vid.reference.layout import (
    APPEARANCE_PREFIX,
    LAYOUT_PREFIX,
    export_layout,
    layout_from_reference,
    unpad,
)
from mutoscope.structures.clocked import ClockedGraph

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
#: errors grow over the steps
ROLLOUT = {"atol": 1e-3, "rtol": 1e-3}


class Recorded:
    """A golden file that remembers which outputs were compared."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with safe_open(path, "pt") as file:
            self.config = json.loads((file.metadata() or {})["config"])
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        self.unread = {key for key in self.tensors if key.startswith("out/")}

    def __getitem__(self, key: str) -> Tensor:
        x = self.tensors[key]
        return x.float() if x.dtype == torch.float16 else x

    @property
    def weights(self) -> dict[str, Tensor]:
        return {key.removeprefix("weights/"): self[key] for key in self.tensors if key.startswith("weights/")}

    @property
    def steps(self) -> list[int]:
        return sorted({int(key.split("/")[1][4:]) for key in self.tensors if key.startswith("out/step")})

    def check(self, key: str, found: Tensor, atol: float = 1e-4, rtol: float = 1e-4) -> None:
        if key in self.tensors:
            expected = self.read(key)
            found = found.detach().to(expected.dtype)
            torch.testing.assert_close(found, expected, atol=atol, rtol=rtol, msg=lambda m: f"{self.name}, {key}: {m}")

    def read(self, key: str) -> Tensor:
        self.unread.discard(key)
        return self[key]

    def graph(self, boxes: str) -> tuple[ClockedGraph, Tensor]:
        return unpad(
            self["in/objs"],
            self[boxes],
            self["in/triplets"],
            self["in/actions"],
            padding_predicate=int(self.config["predicate_padding"]),
            padding_action=int(self.config["action_padding"]),
        )

    def network(self, prefix: str = "") -> LayoutGCN:
        network = layout_from_reference(
            self.weights,
            prefix,
            padding_action=int(self.config["action_padding"]),
            only_actions=bool(self.config["only_temporal"]),
        )
        assert len(network.convolutions) == int(self.config["gconv_num_layers"])
        return network.eval()

    def padded(self, x: Tensor) -> Tensor:
        """``[b * o, ...]`` -> ``[b, o, ...]``."""
        return x.unflatten(0, self["in/objs"].shape[:2])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "layout_file" in metafunc.fixturenames:
        folder = metafunc.config.golden_dir / "ag2vid"
        files = sorted(folder.glob("lgf*.safetensors"))
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"There are no golden layouts in '{folder}'."))
        metafunc.parametrize("layout_file", files or [absent], ids=[path.stem for path in files] or ["absent"])


def recorded(golden_dir: Path, name: str) -> Recorded:
    path = golden_dir / "ag2vid" / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip(f"There is no golden file '{path}'.")
    return Recorded(path)


def check_clocks(golden: Recorded, network: LayoutGCN, graph: ClockedGraph, prefix: str, length: int) -> None:
    """Progress and activity of every action row, padding rows apart."""
    acting = golden["in/actions"][..., 1].long() != int(golden.config["action_padding"])
    progress = golden.read(f"{prefix}progress")
    torch.testing.assert_close(graph.clocks(length).T, progress.transpose(1, 2)[acting], **TOLERANCE)
    edges = network.edges(graph, length)
    relations = edges.active.shape[1] - graph.num_actions
    triplets = golden.read(f"{prefix}temporal_triplets").transpose(1, 2)[acting]
    active = triplets[:, 1:, 1] != int(golden.config["action_padding"])
    assert torch.equal(edges.active[:, relations:].T.bool(), active)
    if f"{prefix}active" in golden.tensors:
        assert torch.equal(golden.read(f"{prefix}active").transpose(1, 2)[acting][:, 1:].bool(), active)
    places = golden.read(f"{prefix}locs").transpose(1, 2)[acting]
    torch.testing.assert_close(graph.destination[:, None].expand_as(places), places)


def check_step(golden: Recorded, network: LayoutGCN, graph: ClockedGraph, step: int, length: int) -> None:
    """Every tensor of one recorded step, from the boxes that the original had at the step before."""
    boxes = golden["out/boxes_pred"][:, step - 1].flatten(0, 1)
    edges = network.edges(graph, length)
    features, subject, object, active, degree = edges.at(step - 1)
    nodes = network.node_features(network.attribute_part(graph), boxes)
    golden.check(f"out/step{step}/node_in", golden.padded(nodes))
    # the recorded rows: relations of every clip (unless left out), then its actions
    present = golden["in/triplets"][:, step, :, 1] != int(golden.config["predicate_padding"])
    acting = golden["in/actions"][..., 1].long() != int(golden.config["action_padding"])
    relations = 0 if golden.config["only_temporal"] else present.shape[1]
    for layer, convolution in enumerate(network.convolutions):
        nodes, features = convolution(nodes, features, subject, object, active, degree)
        golden.check(f"out/step{step}/gconv{layer}/nodes", golden.padded(nodes))
        rows = golden.read(f"out/step{step}/gconv{layer}/edges")
        known = torch.cat([rows[:, :relations][present[:, :relations]], rows[:, relations:][acting]])
        torch.testing.assert_close(features, known[edges.active[step - 1].bool()], **TOLERANCE)
    golden.check(f"out/step{step}/delta", golden.padded(network.box(nodes)))


@torch.no_grad()
def test_golden_ag2vid_layout(layout_file: Path) -> None:
    golden = Recorded(layout_file)
    network = golden.network()
    graph, boxes = golden.graph("in/boxes_gt_all")
    length = boxes.shape[1]
    golden.check("out/attr_embedding", golden.padded(network.attributes(graph.attributes)))
    check_clocks(golden, network, graph, "out/", length)
    assert golden.steps
    for step in golden.steps:
        check_step(golden, network, graph, step, length)

    first = golden["in/boxes_gt_first"][:, 0].flatten(0, 1)
    layout = network(graph, first, length)
    found = golden.padded(layout.boxes).transpose(1, 2)
    golden.check("out/boxes_pred", found, **ROLLOUT)
    golden.check("out/obj_vecs", golden.padded(layout.need_descriptors()).transpose(1, 2), **ROLLOUT)
    told = network(graph, first, length, golden["out/boxes_pred"].transpose(1, 2).flatten(0, 1))
    golden.check("out/obj_vecs", golden.padded(told.need_descriptors()).transpose(1, 2))

    loss = layout_loss(
        golden["out/boxes_pred"].transpose(1, 2).flatten(0, 1),
        boxes,
        graph.attributes.sum(1) != 0,
        padded_count=graph.num_nodes,
    )
    weight = float(golden.config["bbox_pred_loss_weight"])
    golden.check("out/loss_bbox", (weight * loss).reshape(golden["out/loss_bbox"].shape))
    assert not golden.unread


@torch.no_grad()
def test_clocks_of_hand_made_borders(golden_dir: Path) -> None:
    golden = recorded(golden_dir, "clocked_edges")
    rows = golden["in/actions"][0]
    padding, length = int(golden.config["action_padding"]), int(golden["in/num_frames"])
    objs, triplets = torch.zeros(1, int(rows[:, [0, 2]].max()) + 1, 1).long(), torch.zeros(1, length, 0, 3).long()
    boxes = torch.zeros(1, length, objs.shape[1], 4)
    graph, _ = unpad(objs, boxes, triplets, rows[None], padding_predicate=0, padding_action=padding)
    kept = rows[:, 1].long() != padding
    torch.testing.assert_close(graph.clocks(length), golden["out/progress"][0][:, kept], atol=1e-6, rtol=1e-6)
    network = LayoutGCN([1], 1, padding + 1, padding, width=4, hidden=4, layers=1)
    assert torch.equal(network.edges(graph, length).active.bool(), golden["out/active"][0, 1:][:, kept].bool())


@torch.no_grad()
def test_layout_networks_of_the_full_model(golden_dir: Path) -> None:
    golden = recorded(golden_dir, "full_model")
    graph, boxes = golden.graph("in/boxes_gt")
    length = boxes.shape[1]
    for prefix, where, what in ((LAYOUT_PREFIX, "pred", "boxes"), (APPEARANCE_PREFIX, "appearance", "internal_boxes")):
        layout = golden.network(prefix)(graph, boxes[:, 0], length)
        golden.check(f"out/{where}/{what}", golden.padded(layout.boxes).transpose(1, 2), **ROLLOUT)
        golden.check(f"out/{where}/obj_vecs", golden.padded(layout.need_descriptors()).transpose(1, 2), **ROLLOUT)
    check_clocks(golden, golden.network(LAYOUT_PREFIX), graph, "out/actions/", length)
    assert not [key for key in golden.unread if key.startswith(("out/appearance", "out/actions", "out/pred/boxes"))]


def test_export_gives_the_checkpoint_back(golden_dir: Path) -> None:
    golden = recorded(golden_dir, "full_model")
    for prefix in (LAYOUT_PREFIX, APPEARANCE_PREFIX):
        own = {key: x for key, x in golden.weights.items() if key.startswith(prefix)}
        exported = export_layout(golden.network(prefix), prefix)
        assert exported.keys() == own.keys()
        assert all(torch.equal(exported[key], x) for key, x in own.items())
