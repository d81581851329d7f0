"""Checkpoints as the original AG2Vid writes them, at any width: names and shapes by the specification (section 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mutoscope.models.ag2vid.reference.checkpoint import ReferenceFile
from mutoscope.models.ag2vid.reference.frames import FRAMES_PREFIX
from mutoscope.models.ag2vid.reference.layout import APPEARANCE_PREFIX, LAYOUT_PREFIX

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
