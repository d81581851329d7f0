"""Checkpoints of the original AG2Vid: names and shapes by the specification, sizes, round trips, refusals."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mutoscope.models.ag2vid.reference import (
    ARGUMENTS,
    CRITIC,
    MODEL,
    ReferenceFile,
    export_reference,
    key_map_report,
    networks_from_reference,
    read_reference,
)
from mutoscope.models.ag2vid.reference_frames import FRAMES_PREFIX, export_frames
from mutoscope.models.ag2vid.reference_layout import APPEARANCE_PREFIX, LAYOUT_PREFIX
from mutoscope.structures.vocabulary import CATER_VOCABULARY, something_vocabulary

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Widths:
    """Of a checkpoint; the defaults are the released ones."""

    attributes: tuple[int, ...] = (6, 10, 3, 4)
    predicates: int = 8
    actions: int = 7
    width: int = 128
    hidden: int = 512
    layers: int = 3
    flow: int = 32
    flow_blocks: int = 6
    ngf: int = 64
    spade: int = 128
    ndf: int = 64
    scales: int = 2

    @property
    def semantic(self) -> int:
        return len(self.attributes) * self.width


SMALL = Widths(width=12, hidden=10, layers=2, flow=3, flow_blocks=2, ngf=2, spade=5, ndf=4, scales=3)
ONE_ATTRIBUTE = replace(SMALL, attributes=(9,), actions=9, predicates=9, width=8)


def embedding(sizes: tuple[int, ...], total: int) -> Shapes:
    each = total // len(sizes)
    shapes: Shapes = {f"attribute_embedding.att_emb_{i}.weight": (size, each) for i, size in enumerate(sizes)}
    if len(sizes) > 1:
        shapes |= plain("attribute_embedding.attribute_fc_gen", (total, total))
    return shapes


def plain(name: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def spectral(name: str, shape: tuple[int, ...], bias: bool) -> Shapes:
    flat = shape[1] * shape[2] * shape[3]
    shapes: Shapes = {f"{name}.weight_orig": shape, f"{name}.weight_u": shape[:1], f"{name}.weight_v": (flat,)}
    return shapes | ({f"{name}.bias": shape[:1]} if bias else {})


def norm(name: str, channels: int, affine: bool = True) -> Shapes:
    leaves = ("running_mean", "running_var", *(("weight", "bias") if affine else ()))
    return {f"{name}.{leaf}": (channels,) for leaf in leaves} | {f"{name}.num_batches_tracked": ()}


def graph_layer(name: str, nodes: int, w: Widths) -> Shapes:
    hidden, width = w.hidden, w.width
    shapes = plain(f"{name}.net1.0", (hidden, 2 * nodes + width)) | plain(
        f"{name}.net1.2", (2 * hidden + width, hidden)
    )
    return shapes | plain(f"{name}.net2.0", (hidden, hidden)) | plain(f"{name}.net2.2", (width, hidden))


def layout_shapes(w: Widths) -> Shapes:
    shapes = embedding(w.attributes, w.semantic)
    shapes |= {"pred_embeddings.weight": (w.predicates, w.width), "acts_embeddings.weight": (w.actions, w.width)}
    for i in range(w.layers):
        shapes |= graph_layer(f"gconvs.{i}", w.semantic if i == 0 else w.width, w)
    shapes |= plain("box_net.0", (w.hidden, w.width)) | plain("box_net.2", (4, w.hidden))
    shapes["obj_vecs_net.0.weight"] = (w.semantic, w.semantic + 4)
    shapes["obj_vecs_net.2.weight"] = (w.semantic, w.semantic)
    return shapes


def frames_shapes(w: Widths) -> Shapes:
    channels = 8 * w.width + 3
    shapes = embedding(w.attributes, 3 * w.width)
    shapes |= spectral("conv_dim_in.0.0", (w.semantic, channels, 3, 3), False) | norm("conv_dim_in.0.1", w.semantic)
    flow = [w.flow * 2**i for i in range(4)]
    for i, (c_in, c_out) in enumerate(zip([channels, *flow], flow, strict=False)):
        name = f"flows_network.down_flow.{2 * i}"
        shapes |= spectral(f"{name}.0", (c_out, c_in, 3, 3), False) | norm(f"{name}.1", c_out)
    for i in range(w.flow_blocks):
        for k in (0, 1):
            name = f"flows_network.res_flow.{i}"
            shapes |= spectral(f"{name}.conv_{k}", (flow[3], flow[3], 3, 3), True) | norm(f"{name}.bn_{k}", flow[3])
    for i in range(3):
        name = f"flows_network.up_flow.{3 * i + 1}"
        shapes |= spectral(f"{name}.0", (flow[2 - i], flow[3 - i], 3, 3), False) | norm(f"{name}.1", flow[2 - i])
    shapes |= plain("flows_network.conv_flow.0", (2, w.flow, 3, 3)) | plain("flows_network.conv_w.0", (1, w.flow, 3, 3))
    shapes |= plain("netG.fc", (16 * w.ngf, w.semantic, 3, 3)) | plain("netG.conv_img", (3, w.ngf, 3, 3))
    blocks = dict.fromkeys(("head_0", "G_middle_0", "G_middle_1"), (16, 16))
    blocks |= {f"up_{i}": (16 >> i, 8 >> i) for i in range(4)}
    for name, (fin, fout) in blocks.items():
        c_in, c_out = fin * w.ngf, fout * w.ngf
        block, middle = f"netG.{name}", min(c_in, c_out)
        shapes |= spectral(f"{block}.conv_0", (middle, c_in, 3, 3), True)
        shapes |= spectral(f"{block}.conv_1", (c_out, middle, 3, 3), True)
        norms = {"norm_0": c_in, "norm_1": middle}
        if c_in != c_out:
            shapes |= spectral(f"{block}.conv_s", (c_out, c_in, 1, 1), False)
            norms["norm_s"] = c_in
        for which, c in norms.items():
            shapes |= norm(f"{block}.{which}.param_free_norm", c, affine=False)
            shapes |= plain(f"{block}.{which}.mlp_shared.0", (w.spade, w.semantic, 3, 3))
            shapes |= plain(f"{block}.{which}.mlp_gamma", (c, w.spade, 3, 3))
            shapes |= plain(f"{block}.{which}.mlp_beta", (c, w.spade, 3, 3))
    return shapes


def critic_shapes(w: Widths) -> Shapes:
    shapes = embedding(w.attributes, w.semantic)
    shapes |= {"pred_embeddings.weight": (w.predicates, w.width), "acts_embeddings.weight": (w.actions, w.width)}
    shapes |= graph_layer("gconvs.0", w.semantic, w) | graph_layer("gconvs.1", w.width, w)
    shapes["pre_obj_vecs_net.0.weight"], shapes["pre_obj_vecs_net.2.weight"] = (w.width, w.semantic), (w.width,) * 2
    shapes["obj_vecs_net.0.weight"] = (w.semantic, w.width + 4)
    shapes["obj_vecs_net.2.weight"] = (w.semantic, w.semantic)
    shapes |= plain("fc_objs_vecs", (2 * w.width, w.semantic + w.width))
    for i in range(w.scales):
        name, d = f"discriminator_{i}", w.ndf
        shapes |= plain(f"{name}.model0.0", (d, 2 * w.width + 3, 4, 4)) | plain(f"{name}.model4.0", (1, 8 * d, 4, 4))
        for k in range(3):
            shapes |= spectral(f"{name}.model{k + 1}.0.0", (d << (k + 1), d << k, 4, 4), False)
    return shapes


def model_shapes(w: Widths) -> Shapes:
    parts = {LAYOUT_PREFIX: layout_shapes(w), APPEARANCE_PREFIX: layout_shapes(w), FRAMES_PREFIX: frames_shapes(w)}
    return {prefix + key: shape for prefix, shapes in parts.items() for key, shape in shapes.items()}


def random_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.tensor(7) if key.endswith("num_batches_tracked") else torch.rand(shape, generator=generator) + 0.1
        for key, shape in shapes.items()
    }


def make_file(w: Widths = SMALL, **arguments: Any) -> ReferenceFile:
    return ReferenceFile(random_state(model_shapes(w)), random_state(critic_shapes(w)), arguments)


def test_the_specification_counts_these_entries() -> None:
    assert len(model_shapes(Widths())) == 492
    assert len(critic_shapes(Widths())) == 56
    assert frames_shapes(Widths())["conv_dim_in.0.0.weight_v"] == (9243,)


@pytest.mark.parametrize("widths", [SMALL, ONE_ATTRIBUTE], ids=["four attributes", "one attribute"])
def test_every_entry_comes_back(widths: Widths) -> None:
    file = make_file(widths)
    exported = export_reference(networks_from_reference(file))
    for name, state in ((MODEL, file.model), (CRITIC, file.critic)):
        assert state is not None
        assert exported[name].keys() == state.keys()
        for key, x in state.items():
            if name == CRITIC and key == "pred_embeddings.weight":
                continue  # never read
            assert exported[name][key].equal(x), key


def test_sizes_are_told_from_the_shapes() -> None:
    networks = networks_from_reference(make_file())
    assert networks.sizes == SMALL.attributes
    assert networks.settings() == {
        "width": 12,
        "graph_hidden": 10,
        "graph_layers": 2,
        "only_actions": False,
        "flow_width": 3,
        "flow_halvings": 3,
        "flow_blocks": 2,
        "flow_multiplier": 20.0,
        "ngf": 2,
        "spade_hidden": 5,
        "segmap_channels": 48,
        "upsampling": "normal",
        "align_corners": False,
        "discriminator_width": 4,
        "discriminator_layers": 4,
        "discriminator_scales": 3,
        "carry_state": True,
    }


def test_flags_tell_what_shapes_do_not() -> None:
    flags = {"num_upsampling_layers": "more", "flow_multiplier": 5, "only_temporal": 1}
    networks = networks_from_reference(make_file(**flags))
    assert networks.frames.generator.reduction == 64
    assert networks.settings()["upsampling"] == "more"
    assert networks.settings()["flow_multiplier"] == 5
    assert networks.settings()["only_actions"] is True


def test_kernels_are_the_originals_over_their_spectral_norm() -> None:
    file = make_file()
    fuse = networks_from_reference(file).frames.eval().fuse.conv
    name = f"{FRAMES_PREFIX}conv_dim_in.0.0.weight"
    kernel, u, v = (file.model[f"{name}_{leaf}"] for leaf in ("orig", "u", "v"))
    torch.testing.assert_close(fuse.normalised(), kernel / (u @ kernel.flatten(1) @ v))


def test_a_file_is_read_with_the_flags_beside_it(tmp_path: Path) -> None:
    file, path = make_file(), tmp_path / "itr_5000.pt"
    others = {"optim_state_gen": {"state": {0: torch.zeros(1)}}, "counters": {"t": 5000, "epoch": 1}, "vocab": {"a": 1}}
    torch.save({MODEL: file.model, CRITIC: file.critic, "gans_model_state": {}, **others}, path)
    (tmp_path / ARGUMENTS).write_text(json.dumps({"num_upsampling_layers": "more", "vocab": {"0": "a"}}))
    found = read_reference(path)
    assert found.model.keys() == file.model.keys()
    assert found.critic is not None
    assert networks_from_reference(found).upsampling == "more"
    (tmp_path / ARGUMENTS).unlink()
    torch.save({MODEL: file.model}, path)
    networks = networks_from_reference(read_reference(path))
    assert networks.critic is None
    assert CRITIC not in export_reference(networks)
    assert networks.upsampling == "normal"


def test_vocabulary_must_fit_the_tables() -> None:
    assert networks_from_reference(make_file()).vocabulary() is CATER_VOCABULARY
    networks = networks_from_reference(make_file(ONE_ATTRIBUTE))
    with pytest.raises(ValueError, match=r"that of CATER has \(6, 10, 3, 4\), 7 and 8; name the vocabulary"):
        networks.vocabulary()
    fitting = something_vocabulary([f"thing {i}" for i in range(8)])
    assert networks.vocabulary(fitting) is fitting


def test_misfits_are_named() -> None:
    file = make_file()
    model = dict(file.model)
    del model[f"{FRAMES_PREFIX}netG.up_2.conv_s.weight_u"]
    model[f"{FRAMES_PREFIX}netG.up_2.extra"] = torch.zeros(1)
    model[f"{FRAMES_PREFIX}netG.conv_img.bias"] = torch.zeros(4)
    with pytest.raises(ValueError) as error:
        networks_from_reference(replace(file, model=model))
    for part in (
        "up_2.conv_s.weight_u' is missing",
        "up_2.extra' belongs to no part",
        "conv_img.bias' has shape [4] where [3] is expected",
    ):
        assert part in str(error.value)


def test_checkpoints_of_something_else_are_refused() -> None:
    file = make_file()
    with pytest.raises(ValueError, match=r"1 entries that belong to no network, such as 'stranger'"):
        networks_from_reference(replace(file, model={**file.model, "stranger": torch.zeros(1)}))
    with pytest.raises(ValueError, match=r"has no entry '.*conv_dim_in\.0\.0\.weight_orig'"):
        networks_from_reference(replace(file, model={}))
    with pytest.raises(ValueError, match="flow_deconv"):
        networks_from_reference(make_file(flow_deconv=True))
    with pytest.raises(ValueError, match="num_upsampling_layers 'all'"):
        networks_from_reference(make_file(num_upsampling_layers="all"))
    other = random_state(critic_shapes(replace(SMALL, attributes=(6, 10, 3, 5))))
    with pytest.raises(ValueError, match=r"critic network has attributes of \(6, 10, 3, 5\) values"):
        networks_from_reference(replace(file, critic=other))
    appearance = {
        APPEARANCE_PREFIX + key: x for key, x in random_state(layout_shapes(replace(SMALL, width=16))).items()
    }
    with pytest.raises(ValueError, match="describes objects by 16 numbers, the frame generator expects 12"):
        networks_from_reference(replace(file, model={**file.model, **appearance}))


class _Stranger:
    pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Stranger(), "cannot be read as a torch file of plain tensors"),
        ({"model_state": {"a": 1}}, "'model_state' of .* is no state dictionary"),
        ({"state_dict": {}}, "is no checkpoint of the original AG2Vid"),
        ([torch.zeros(1)], "is no checkpoint of the original AG2Vid"),
    ],
    ids=["object", "numbers", "other names", "list"],
)
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        read_reference(path)


def test_absent_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        read_reference(tmp_path / "none.pt")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        read_reference(tmp_path / "broken.pt")
    torch.save({MODEL: {}}, tmp_path / "fine.pt")
    (tmp_path / ARGUMENTS).write_text("{")
    with pytest.raises(ValueError, match=r"run_args\.json' is no JSON"):
        read_reference(tmp_path / "fine.pt")


def test_report_lists_every_entry() -> None:
    file = make_file()
    assert file.critic is not None
    lines = key_map_report(networks_from_reference(file)).splitlines()
    assert len(lines) == len(file.model) + len(file.critic)
    assert f"{FRAMES_PREFIX}netG.fc.bias [32] -> frames.generator.first.bias" in lines
    shared = [line for line in lines if line.endswith("-> frames.generator.blocks.3.shared.weight")]
    assert len(shared) == 3
    assert "pred_embeddings.weight [8, 12] -> nothing" in lines


def test_exports_are_copies() -> None:
    frames = networks_from_reference(make_file()).frames
    export_frames(frames)["netG.fc.weight"].zero_()
    assert frames.generator.first.weight.any()
