"""Replay what was recorded of the original AG2Vid's discriminator and losses."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded import Recorded
from torch import Tensor, nn

from mutoscope.models.ag2vid.discriminators import ActionDiscriminator
from mutoscope.models.ag2vid.layout import layout_loss
from mutoscope.models.ag2vid.losses import (
    AdversarialKind,
    FrameLosses,
    LossWeights,
    discriminator_loss,
    feature_matching_loss,
    flow_loss,
    generator_adversarial_loss,
)
from mutoscope.models.ag2vid.reference.critic import critic_from_reference, export_critic
from mutoscope.models.ag2vid.reference.frames import FRAMES_PREFIX, frames_from_reference
from mutoscope.models.ag2vid.reference.layout import (
    APPEARANCE_PREFIX,
    LAYOUT_PREFIX,
    layout_from_reference,
    unpad,
)
from mutoscope.nn.perceptual import TAP_WEIGHTS, Vgg19Features, perceptual_loss
from mutoscope.nn.warp import warp
from mutoscope.structures.clocked import ClockedGraph

KINDS: dict[str, AdversarialKind] = {"": "hinge", "_ls": "least_squares", "_original": "cross_entropy"}


class Golden(Recorded):
    """A recorded run of the original."""

    def check(self, key: str, found: Tensor, atol: float = 1e-4, rtol: float = 1e-4) -> None:
        self.compare(key, found, atol=atol, rtol=rtol)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("discriminator", "losses", "model_losses", "vgg_loss"):
        if f"{kind}_file" in metafunc.fixturenames:
            found = sorted((metafunc.config.golden_dir / "ag2vid").glob(f"{kind}*.safetensors"))
            missing = pytest.param(None, marks=pytest.mark.skip(f"no recorded {kind}"))
            metafunc.parametrize(f"{kind}_file", found or [missing], ids=lambda path: path.stem if path else "none")


def graph_of(objects: Tensor, triplets: Tensor, padding: int) -> ClockedGraph:
    """Padded nodes are kept, without edges; edges that are padding in every frame are dropped.

    Args:
        objects: ``[b, o, k]``.
        triplets: ``[b, f, a, 3]`` subject, action or padding where not active, object.
        padding: the action that means padding.
    """
    clips, count = objects.shape[:2]
    ever = (triplets[..., 1] != padding).any(dim=1)
    first = torch.where(triplets[..., 1] == padding, triplets.new_tensor(2**62), triplets[..., 1]).argmin(dim=1)
    rows = triplets.gather(1, first[:, None, :, None].expand(-1, -1, -1, 3))[:, 0]
    clip_of_edge = torch.arange(clips)[:, None].expand_as(ever)[ever]
    subject, action, target = rows[ever].unbind(dim=1)
    zeros = torch.zeros(len(subject), 2)
    return ClockedGraph(
        attributes=objects.flatten(0, 1),
        clip=torch.arange(clips).repeat_interleave(count),
        relations=torch.zeros(0, 3, dtype=torch.long),
        subject=subject + clip_of_edge * count,
        action=action,
        object=target + clip_of_edge * count,
        progress=zeros,
        destination=zeros,
        num_clips=clips,
    )


class Clocked(ClockedGraph):
    """A graph whose clocks were recorded."""

    recorded: Tensor

    def clocks(self, length: int) -> Tensor:
        assert length == len(self.recorded) + 1
        return torch.cat([self.recorded[:1], self.recorded])


def recorded_graph(golden: Golden) -> Clocked:
    triplets, progress = golden["in/temporal_triplets"], golden["in/progress"]
    padding = int(golden.config["action_padding"])
    plain = graph_of(golden["in/objs"], triplets, padding)
    ever = (triplets[..., 1] != padding).any(dim=1)
    values = {**vars(plain), "destination": golden["in/locs"][:, 0][ever]}
    graph = Clocked(**values)
    object.__setattr__(graph, "recorded", progress.transpose(0, 1)[:, ever])
    active = ((graph.recorded >= 0) & (graph.recorded <= 1)).sum()
    assert active == (triplets[..., 1] != padding).sum()
    return graph


def critic_of(golden: Golden) -> ActionDiscriminator:
    return critic_from_reference(golden.under("weights/")).eval()


def test_discriminator(discriminator_file: Path) -> None:
    golden = Golden(discriminator_file)
    critic, graph = critic_of(golden), recorded_graph(golden)
    boxes = golden["in/boxes"].transpose(1, 2).flatten(0, 1)
    states = critic.object_states(graph, graph.recorded, boxes)
    clips, objects = golden["in/objs"].shape[:2]
    golden.check("out/obj_vecs", states.unflatten(0, (clips, objects)).transpose(1, 2))
    real = golden["in/imgs_real"]
    boxes = torch.cat([torch.full_like(boxes[:, :1], torch.nan), boxes], dim=1)
    conditioning = critic.condition(graph, boxes, (real.shape[-2], real.shape[-1]))
    judged = dict(zip(("real", "fake"), critic.compare(real, real.flip(-1), conditioning), strict=True))
    for key in list(golden.unread):
        match = re.fullmatch(r"out/(real|fake)/scale(\d+)/feat(\d+)(?:_sub(\d+))?", key)
        assert match is not None, key
        step = int(match[4] or 1)
        golden.check(key, judged[match[1]][int(match[2])][int(match[3])][..., ::step, ::step])
    assert not golden.unread


def test_discriminator_weights_go_out_as_they_came_in(discriminator_file: Path) -> None:
    golden = Golden(discriminator_file)
    weights = golden.under("weights/")
    written = export_critic(critic_of(golden), len(weights["pred_embeddings.weight"]))
    assert set(written) == set(weights)
    for key in set(weights) - {"pred_embeddings.weight"}:
        assert torch.equal(written[key], weights[key]), key


def test_losses(losses_file: Path) -> None:
    golden = Golden(losses_file)

    def scales(which: str) -> list[list[Tensor]]:
        tensors, found = golden.under(f"in/{which}/"), []
        while layers := sorted(key for key in tensors if key.startswith(f"scale{len(found)}/feat")):
            found.append([tensors[key] for key in layers] + [tensors[f"scale{len(found)}/logits"]])
        return found

    real, fake = scales("real"), scales("fake")
    for suffix, kind in KINDS.items():
        golden.check(f"out/gan_g{suffix}", generator_adversarial_loss(fake, kind))
        judged = discriminator_loss(real, fake, kind)
        golden.check(f"out/gan_d_real{suffix}", judged.real)
        golden.check(f"out/gan_d_fake{suffix}", judged.fake)
    golden.check("out/feature_matching", golden.config["lambda_feat"] * feature_matching_loss(real, fake))
    of_fake, of_real = ([x for _, x in sorted(golden.under(f"in/vgg/{which}").items())] for which in "xy")
    distances = [(x - y).abs().mean() for x, y in zip(of_fake, of_real, strict=True)]
    golden.check("out/vgg_from_features", torch.stack(distances) @ torch.tensor(TAP_WEIGHTS))
    frames, flow = golden["in/warp/imgs"], golden["in/warp/flow"]
    # the flow that makes a frame is recorded at the frame before
    moved = warp(frames[:, :-1].flatten(0, 1), flow[:, :-1].flatten(0, 1), align_corners=False)
    loss = flow_loss(moved.unflatten(0, flow[:, 1:].shape[:2]), frames[:, 1:])
    golden.check("out/flow_warp", golden.config["lambda_F_warp"] * loss)
    boxes, target = (golden[f"in/box/{which}"].transpose(1, 2).flatten(0, 1) for which in ("pred", "gt"))
    real_nodes = golden["in/box/objs"].flatten(0, 1).sum(dim=1) != 0
    loss = layout_loss(boxes, target, real_nodes, padded_count=len(boxes))
    golden.check("out/box", golden.config["bbox_pred_loss_weight"] * loss)
    assert not golden.unread


def norm_of(*networks: nn.Module) -> Tensor:
    gradients = [p.grad for network in networks for p in network.parameters() if p.grad is not None]
    return torch.stack([x.norm() for x in gradients]).norm() if gradients else torch.zeros(1)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_and_gradients_of_the_whole_model(model_losses_file: Path, mode: str) -> None:
    """Gradients and running statistics were recorded frame by frame; in evaluation all frames are one batch."""
    golden = Golden(model_losses_file)
    full, of_critic = (
        Golden(model_losses_file.with_name(model_losses_file.name.replace("model_losses", name)))
        for name in ("full_model", "discriminator")
    )
    weights, config = full.under("weights/"), golden.config
    settings = {"padding_action": config["action_padding"], "only_actions": bool(config["only_temporal"])}
    layout, appearance = (
        layout_from_reference(weights, prefix, **settings) for prefix in (LAYOUT_PREFIX, APPEARANCE_PREFIX)
    )
    maker = frames_from_reference(
        weights,
        FRAMES_PREFIX,
        upsampling=config["num_upsampling_layers"],
        flow_multiplier=config["flow_multiplier"],
    )
    critic = critic_of(of_critic)
    for network in (layout, appearance, maker, critic):
        network.train(mode == "train")
    graph, boxes = unpad(
        *(full[f"in/{name}"] for name in ("objs", "boxes_gt", "triplets", "actions")),
        padding_predicate=config["predicate_padding"],
        padding_action=config["action_padding"],
    )
    real = full["in/imgs"]
    target, length = real[:, 1:], real.shape[1]
    described = appearance(graph, boxes[:, 0], length).need_descriptors()
    own = bool(config["bp_prev"])
    made = maker(graph, boxes, described, real, autoregressive=own, per_frame=mode == "train" and not own)

    conditioning = critic.condition(graph, boxes, (real.shape[-2], real.shape[-1]))
    moved = warp(real[:, :-1].flatten(0, 1), made.flow.flatten(0, 1), align_corners=False)
    on_fake = critic(made.frames, conditioning.detach())
    with torch.no_grad():
        on_real = critic(target, conditioning)
    kind = KINDS["" if config["gan_mode"] == "hinge" else f"_{config['gan_mode']}"]
    losses = FrameLosses(
        generator_adversarial_loss(on_fake, kind),
        feature_matching_loss(on_real, on_fake),
        None,
        flow_loss(moved.unflatten(0, target.shape[:2]), target),
    )
    scale = LossWeights(
        adversarial=config["discriminator_img_loss_weight"],
        feature_matching=config["lambda_feat"],
        flow=config["lambda_F_warp"],
        layout=config["bbox_pred_loss_weight"],
    )
    total = losses.total(scale)
    judged = discriminator_loss(*critic.compare(target, made.frames.detach(), conditioning), kind)
    predicted = layout(graph, boxes[:, 0], length).boxes
    box_loss = scale.layout * layout_loss(predicted, boxes, graph.real, padded_count=len(boxes))
    for key, value in {
        "GAN_Img": scale.adversarial * losses.adversarial,
        "GAN_Feat": scale.feature_matching * losses.feature_matching,
        "loss_F_Warp": scale.flow * losses.flow,
        "total_loss": total,
        "D_img_fake": scale.adversarial * judged.fake,
        "D_img_real": scale.adversarial * judged.real,
        "total_img_loss": scale.adversarial * judged.total,
        "bbox_pred": box_loss,
    }.items():
        golden.check(f"out/{mode}/{key}", value)
    if mode == "eval":
        assert not [key for key in golden.unread if key.startswith("out/eval/")]
        return
    step = golden.config.get("subsample", 1)
    key = "out/train/imgs_sub" if "out/train/imgs_sub" in golden else "out/train/imgs"
    shown = made.frames[..., ::step, ::step] if key.endswith("_sub") else made.frames
    golden.check(key, shown, atol=1e-3, rtol=1e-3)
    golden.check("out/train/bn_running_mean_after/fuse", maker.fuse.norm.running_mean)
    total.backward()
    assert norm_of(critic.graph_convolutions, critic.fuse) == 0
    near = {"atol": 1e-6, "rtol": 1e-2}
    for name, network in {
        "acts_to_boxes": layout,
        "acts_to_objs": appearance,
        "acts_to_objs_attr": appearance.attributes,
        "acts_to_objs_box_net": appearance.box,
        "fgf_attr": maker.attributes,
        "flow": maker.flow,
        "fuse": maker.fuse,
        "netG": maker.generator,
    }.items():
        golden.check(f"out/train/gradnorm_G/{name}", norm_of(network), **near)
    critic.zero_grad()
    (scale.adversarial * judged.total).backward()
    parts = {"all": critic, "attr": critic.attributes, "fc": critic.fuse, "gconvs": critic.graph_convolutions}
    parts |= {f"scale{i}": patch for i, patch in enumerate(critic.patches)}
    for name, network in parts.items():
        if f"out/train/gradnorm_D/{name}" in golden.unread:
            golden.check(f"out/train/gradnorm_D/{name}", norm_of(network), **near)
    box_loss.backward()
    golden.check("out/train/gradnorm_graph", norm_of(layout), **near)
    assert not [key for key in golden.unread if key.startswith("out/train/")]


def hashed_vgg() -> dict[str, Tensor]:
    """The weights with which the perceptual loss was recorded."""
    with torch.device("meta"):
        shapes = {f"features.{i}": layer for i, layer in enumerate(_vgg_layers()) if hasattr(layer, "weight")}
    weights: dict[str, Tensor] = {}
    for name, layer in shapes.items():
        for part in ("weight", "bias"):
            shape = getattr(layer, part).shape
            h = (np.arange(shape.numel(), dtype=np.uint64) + np.uint64(1000003 * len(weights))) % np.uint64(2**32)
            for _ in range(2):
                h ^= h >> np.uint64(16)
                h = (h * np.uint64(0x7FEB352D)) % np.uint64(2**32)
                h ^= h >> np.uint64(15)
            u = h / 2**32 - 0.5
            values = u * np.sqrt(12) * np.sqrt(2 / (9 * shape[1])) if part == "weight" else 0.1 * u
            weights[f"{name}.{part}"] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
    return weights


def _vgg_layers() -> torch.nn.Sequential:
    import torchvision

    return torchvision.models.vgg19(init_weights=False).features[:29]


def test_perceptual_loss(vgg_loss_file: Path) -> None:
    golden = Golden(vgg_loss_file)
    features = Vgg19Features(hashed_vgg())
    fake, real = (golden[f"in/{which}"].flatten(0, 1) for which in "xy")
    with torch.no_grad():
        for i, found in enumerate(features(fake)):
            golden.check(f"out/feat{i}_head", found[:1, :4, :2, :2])
            golden.check(f"out/feat{i}_absmean", found.abs().mean())
        golden.check("out/vgg", perceptual_loss(features, fake, real))
    assert not golden.unread
