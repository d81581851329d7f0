"""AG2Vid written down plainly, to compare with: the same arithmetic as the package, none of its short cuts.

Layout maps are pasted object by object from constant 8x8 images and convolved at full width, graph convolutions loop
over clips, frames are generated one after the other, and the discriminator builds its maps anew for each of its four
passes. Parameters carry the names of the original's checkpoints, so that recorded weights load as they are. Batches are
padded: ``objs [b, o, k]``, ``boxes [b, t, o, 4]``, ``triplets [b, t, m, 3]``, ``actions [b, a, 7]`` (subject, action,
object, progress at the first frame and past the last, destination), ``imgs [b, t, 3, r, r]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm


@dataclass(frozen=True)
class NaiveSizes:
    """Widths and options; the defaults are the paper's for CATER."""

    attributes: Sequence[int] = (6, 10, 3, 4)
    predicates: int = 8
    actions: int = 7
    predicate_padding: int = 7
    action_padding: int = 6
    width: int = 128
    hidden: int = 512
    layers: int = 3
    only_actions: bool = False
    flow_width: int = 32
    flow_downsampling: int = 3
    flow_blocks: int = 6
    flow_scale: float = 20
    ngf: int = 64
    spade_hidden: int = 128
    upsampling: str = "normal"
    critic_layers: int = 2
    ndf: int = 64
    patch_layers: int = 4
    scales: int = 2
    loss_weights: dict[str, float] = field(
        default_factory=lambda: {"adversarial": 1.0, "matching": 10.0, "perceptual": 10.0, "flow": 10.0, "layout": 10.0}
    )


# --- graphs -----------------------------------------------------------------------------------------------------------


class NaiveAttributes(nn.Module):
    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.count = len(sizes)
        for i, size in enumerate(sizes):
            self.add_module(f"att_emb_{i}", nn.Embedding(size, width))
        if self.count > 1:
            self.attribute_fc_gen = nn.Linear(self.count * width, self.count * width)

    def forward(self, objs: Tensor) -> Tensor:
        found = torch.cat([getattr(self, f"att_emb_{i}")(objs[..., i]) for i in range(self.count)], dim=-1)
        return self.attribute_fc_gen(found) if self.count > 1 else found


class NaiveGraphConvolution(nn.Module):
    def __init__(self, nodes: int, edges: int, out: int, hidden: int) -> None:
        super().__init__()
        self.out, self.hidden = out, hidden
        self.net1 = nn.Sequential(
            nn.Linear(2 * nodes + edges, hidden), nn.ReLU(), nn.Linear(hidden, 2 * hidden + out), nn.ReLU()
        )
        self.net2 = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, out), nn.ReLU())
        for net in (self.net1, self.net2):
            nn.init.kaiming_normal_(net[0].weight)
            nn.init.kaiming_normal_(net[2].weight)

    def forward(self, nodes: Tensor, edges: Tensor, pairs: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """``[o, c]``, ``[e, c']``, ``[e, 2]`` subject and object, ``[e]`` bool, of one clip."""
        message = self.net1(torch.cat([nodes[pairs[:, 0]], edges, nodes[pairs[:, 1]]], dim=1))
        to_subject, new, to_object = message.split([self.hidden, self.out, self.hidden], dim=1)
        pooled, count = nodes.new_zeros(len(nodes), self.hidden), nodes.new_zeros(len(nodes))
        for end, sent in ((0, to_subject), (1, to_object)):
            kept = pairs[active][:, end]
            pooled = pooled.scatter_add(0, kept[:, None].expand(-1, self.hidden), sent[active])
            count = count.scatter_add(0, kept, torch.ones_like(kept, dtype=count.dtype))
        return self.net2(pooled / count.clamp(min=1)[:, None]), new


def two_layers(given: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(given, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, out, bias=False), nn.ReLU())


def progress(actions: Tensor, length: int) -> Tensor:
    """``[b, t, a]``"""
    time = torch.arange(length, device=actions.device)[None, :, None] / length
    start, end = actions[:, None, :, 3], actions[:, None, :, 4]
    return time * (end - start + 1e-6) + start


class NaiveGraphNetwork(nn.Module):
    """``acts_to_boxes`` or ``acts_to_objs``."""

    def __init__(self, sizes: NaiveSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, given = sizes.width, len(sizes.attributes) * sizes.width
        self.attribute_embedding = NaiveAttributes(sizes.attributes, width)
        self.pred_embeddings = nn.Embedding(sizes.predicates, width)
        self.acts_embeddings = nn.Embedding(sizes.actions, width)
        self.gconvs = nn.ModuleList(
            NaiveGraphConvolution(width if layer else given, width, width, sizes.hidden)
            for layer in range(sizes.layers)
        )
        self.box_net = nn.Sequential(nn.Linear(width, sizes.hidden), nn.ReLU(), nn.Linear(sizes.hidden, 4))
        self.obj_vecs_net = two_layers(given + 4, given, given)

    def forward(self, objs: Tensor, boxes0: Tensor, triplets: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes ``[b, t, o, 4]`` and descriptors ``[b, t, o, width]``."""
        length = triplets.shape[1]
        boxes = [boxes0]
        descriptors = [boxes0.new_zeros(*boxes0.shape[:2], self.sizes.width)]
        for t in range(1, length):
            nodes = self.obj_vecs_net(torch.cat([self.attribute_embedding(objs), boxes[-1]], dim=-1))
            found = []
            for b in range(len(objs)):
                edges, pairs, active = action_edges(self.sizes, self.acts_embeddings, actions, length, b, t)
                if not self.sizes.only_actions:
                    spatial = triplets[b, t]
                    edges = torch.cat([self.pred_embeddings(spatial[:, 1]), edges])
                    pairs = torch.cat([spatial[:, [0, 2]], pairs])
                    active = torch.cat([spatial[:, 1] != self.sizes.predicate_padding, active])
                x = nodes[b]
                for layer in self.gconvs:
                    x, edges = layer(x, edges, pairs, active)
                found.append(x)
            descriptors.append(torch.stack(found))
            boxes.append(boxes[-1] + self.box_net(descriptors[-1]))
        return torch.stack(boxes, dim=1), torch.stack(descriptors, dim=1)


def action_edges(
    sizes: NaiveSizes, table: nn.Embedding, actions: Tensor, length: int, b: int, t: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Features, node pairs and activity of one clip's action edges at one frame."""
    clock = progress(actions, length)[b, t]
    rows = actions[b]
    ids = rows[:, 1].long()
    ids = torch.where((clock >= 0) & (clock <= 1), ids, torch.full_like(ids, sizes.action_padding))
    features = torch.cat([table(ids)[:, :-3], rows[:, 5:7], clock[:, None]], dim=1)
    return features, rows[:, [0, 2]].long(), ids != sizes.action_padding


# --- pasting ----------------------------------------------------------------------------------------------------------


def naive_paste(vectors: Tensor, boxes: Tensor, side: tuple[int, int]) -> Tensor:
    """``[o, d]``, ``[o, 4]`` -> ``[1, d, h, w]``: constant images sampled into their boxes and added."""
    drawn = (boxes != 0).any(dim=1)
    vectors, boxes = vectors[drawn], boxes[drawn]
    count, channels = vectors.shape
    height, width = side
    image = vectors[:, :, None, None].expand(count, channels, 8, 8)
    x = torch.linspace(0, 1, width, device=boxes.device)[None] - boxes[:, 0:1]
    y = torch.linspace(0, 1, height, device=boxes.device)[None] - boxes[:, 1:2]
    x, y = x / boxes[:, 2:3], y / boxes[:, 3:4]
    grid = torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=3) * 2 - 1
    sampled = F.grid_sample(image, grid, align_corners=True)
    clip = torch.zeros(count, dtype=torch.long, device=boxes.device)
    clips = int(clip.max().item()) + 1 if count else 1
    index = clip[:, None, None, None].expand_as(sampled).contiguous()
    return sampled.new_zeros(clips, channels, height, width).scatter_add(0, index, sampled)


def naive_maps(vectors: Tensor, boxes: Tensor, objs: Tensor, side: tuple[int, int]) -> Tensor:
    """``[b, t, o, d]`` and ``[b, t, o, 4]`` -> ``[b, t, d, h, w]``."""
    clips = []
    for b in range(len(objs)):
        real = objs[b, :, 0] != 0
        clips.append(
            torch.cat([naive_paste(vectors[b, t][real], boxes[b, t][real], side) for t in range(boxes.shape[1])])
        )
    return torch.stack(clips)


# --- frames -----------------------------------------------------------------------------------------------------------


def normed(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(spectral_norm(conv), nn.BatchNorm2d(channels))


class NaiveResidual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn_0, self.bn_1 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv_0 = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_0(F.leaky_relu(self.bn_0(x), 0.2))
        return x + self.conv_1(F.leaky_relu(self.bn_1(y), 0.2))


class NaiveFlow(nn.Module):
    def __init__(self, sizes: NaiveSizes, given: int) -> None:
        super().__init__()
        self.scale = sizes.flow_scale
        widths = [min(1024, sizes.flow_width * 2**i) for i in range(sizes.flow_downsampling + 1)]
        down: list[nn.Module] = []
        for i, width in enumerate(widths):
            conv = nn.Conv2d(widths[i - 1] if i else given, width, 3, 2 if i else 1, 1, bias=False)
            down += [normed(conv, width), nn.LeakyReLU(0.2)]
        self.down_flow = nn.Sequential(*down)
        self.res_flow = nn.Sequential(*(NaiveResidual(widths[-1]) for _ in range(sizes.flow_blocks)))
        up: list[nn.Module] = []
        for i in reversed(range(sizes.flow_downsampling)):
            conv = nn.Conv2d(widths[i + 1], widths[i], 3, padding=1, bias=False)
            up += [nn.Upsample(scale_factor=2), normed(conv, widths[i]), nn.LeakyReLU(0.2)]
        self.up_flow = nn.Sequential(*up)
        self.conv_flow = nn.Sequential(nn.Conv2d(widths[0], 2, 3, padding=1))
        self.conv_w = nn.Sequential(nn.Conv2d(widths[0], 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.up_flow(self.res_flow(self.down_flow(x)))
        return self.conv_flow(x) * self.scale, torch.sigmoid(self.conv_w(x))


def naive_warp(image: Tensor, flow: Tensor, align_corners: bool = False) -> Tensor:
    height, width = image.shape[-2:]
    x = torch.linspace(-1, 1, width, device=image.device).expand(len(image), height, width)
    y = torch.linspace(-1, 1, height, device=image.device)[:, None].expand(len(image), height, width)
    grid = torch.stack([x + flow[:, 0] / ((width - 1) / 2), y + flow[:, 1] / ((height - 1) / 2)], dim=3)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=align_corners)


class NaiveSpade(nn.Module):
    def __init__(self, width: int, given: int, hidden: int) -> None:
        super().__init__()
        self.param_free_norm = nn.BatchNorm2d(width, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(given, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, width, 3, padding=1)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        shared = self.mlp_shared(F.interpolate(seg, size=x.shape[2:], mode="nearest"))
        return self.param_free_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class NaiveSpadeBlock(nn.Module):
    def __init__(self, given: int, out: int, seg: int, hidden: int) -> None:
        super().__init__()
        middle = min(given, out)
        self.conv_0 = spectral_norm(nn.Conv2d(given, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, out, 3, padding=1))
        self.norm_0, self.norm_1 = NaiveSpade(given, seg, hidden), NaiveSpade(middle, seg, hidden)
        self.changes = given != out
        if self.changes:
            self.conv_s = spectral_norm(nn.Conv2d(given, out, 1, bias=False))
            self.norm_s = NaiveSpade(given, seg, hidden)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        short = self.conv_s(self.norm_s(x, seg)) if self.changes else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, seg), 0.2))
        return short + self.conv_1(F.leaky_relu(self.norm_1(y, seg), 0.2))


class NaiveSpadeGenerator(nn.Module):
    def __init__(self, sizes: NaiveSizes, seg: int) -> None:
        super().__init__()
        self.upsampling = sizes.upsampling
        width = sizes.ngf

        def block(given: int, out: int) -> NaiveSpadeBlock:
            return NaiveSpadeBlock(given, out, seg, sizes.spade_hidden)

        self.fc = nn.Conv2d(seg, 16 * width, 3, padding=1)
        self.head_0 = block(16 * width, 16 * width)
        self.G_middle_0, self.G_middle_1 = block(16 * width, 16 * width), block(16 * width, 16 * width)
        self.up_0, self.up_1 = block(16 * width, 8 * width), block(8 * width, 4 * width)
        self.up_2, self.up_3 = block(4 * width, 2 * width), block(2 * width, width)
        last = width
        if self.upsampling == "most":
            self.up_4 = block(width, width // 2)
            last = width // 2
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, seg: Tensor) -> Tensor:
        factor = {"normal": 32, "more": 64, "most": 128}[self.upsampling]
        start = (seg.shape[2] // factor, seg.shape[3] // factor)
        x = self.head_0(self.fc(F.interpolate(seg, size=start, mode="nearest")), seg)
        x = self.G_middle_0(_double(x), seg)
        x = self.G_middle_1(_double(x) if self.upsampling != "normal" else x, seg)
        names = ["up_0", "up_1", "up_2", "up_3"] + (["up_4"] if self.upsampling == "most" else [])
        for name in names:
            x = getattr(self, name)(_double(x), seg)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class NaiveFrames(nn.Module):
    """``layout_to_video``."""

    def __init__(self, sizes: NaiveSizes, align_corners: bool = False) -> None:
        super().__init__()
        self.align_corners = align_corners
        count = len(sizes.attributes)
        given, seg = 4 * sizes.width, count * sizes.width
        self.attribute_embedding = NaiveAttributes(sizes.attributes, 3 * sizes.width // count)
        conv = nn.Conv2d(2 * given + 3, seg, 3, padding=1, bias=False)
        self.conv_dim_in = nn.Sequential(normed(conv, seg), nn.LeakyReLU(0.2))
        self.flows_network = NaiveFlow(sizes, 2 * given + 3)
        self.netG = NaiveSpadeGenerator(sizes, seg)

    def forward(
        self, imgs: Tensor, objs: Tensor, boxes: Tensor, descriptors: Tensor, given_previous: bool
    ) -> dict[str, Tensor]:
        """Frames 1..t-1 from the layouts, each after the other."""
        attributes = self.attribute_embedding(objs)
        vectors = torch.cat([attributes[:, None].expand(-1, boxes.shape[1], -1, -1), descriptors], dim=3)
        maps = naive_maps(vectors, boxes, objs, (imgs.shape[3], imgs.shape[4]))
        maps = torch.cat([maps, maps[:, -1:]], dim=1)
        found: dict[str, list[Tensor]] = {name: [] for name in ("imgs", "flow", "warped", "conf", "residual", "fused")}
        previous = imgs[:, 0]
        for t in range(1, boxes.shape[1]):
            if given_previous:
                previous = imgs[:, t - 1]
            pair = torch.cat([maps[:, t - 1], maps[:, t]], dim=1)
            flow, _ = self.flows_network(torch.cat([pair, previous], dim=1))
            warped = naive_warp(previous, flow, self.align_corners)
            conf = ((previous - warped).square().sum(dim=1, keepdim=True) < 0.02).float()
            fused = self.conv_dim_in(torch.cat([pair, warped], dim=1))
            residual = self.netG(fused)
            previous = warped + residual
            step = {"imgs": previous, "flow": flow, "warped": warped, "conf": conf, "residual": residual}
            for name, value in {**step, "fused": fused}.items():
                found[name].append(value)
        return {
            **{name: torch.stack(values, dim=1) for name, values in found.items()},
            "attr": attributes,
            "maps": maps,
        }


# --- discriminator ----------------------------------------------------------------------------------------------------


class NaivePatches(nn.Module):
    def __init__(self, given: int, ndf: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.model0 = nn.Sequential(nn.Conv2d(given, ndf, 4, 2, 2), nn.LeakyReLU(0.2))
        for i in range(1, layers):
            before, width = min(512, ndf * 2 ** (i - 1)), min(512, ndf * 2**i)
            conv = nn.Conv2d(before, width, 4, 1 if i == layers - 1 else 2, 2, bias=False)
            inner = nn.Sequential(spectral_norm(conv), nn.InstanceNorm2d(width))
            self.add_module(f"model{i}", nn.Sequential(inner, nn.LeakyReLU(0.2)))
        self.add_module(f"model{layers}", nn.Sequential(nn.Conv2d(min(512, ndf * 2 ** (layers - 1)), 1, 4, 1, 2)))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for i in range(self.layers + 1):
            x = getattr(self, f"model{i}")(x)
            found.append(x)
        return found


class NaiveDiscriminator(nn.Module):
    def __init__(self, sizes: NaiveSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, given = sizes.width, len(sizes.attributes) * sizes.width
        self.attribute_embedding = NaiveAttributes(sizes.attributes, width)
        self.pred_embeddings = nn.Embedding(sizes.predicates, width)
        self.acts_embeddings = nn.Embedding(sizes.actions, width)
        self.gconvs = nn.ModuleList(
            NaiveGraphConvolution(width if layer else given, width, width, sizes.hidden)
            for layer in range(sizes.critic_layers)
        )
        self.pre_obj_vecs_net = two_layers(given, width, width)
        self.obj_vecs_net = two_layers(width + 4, given, given)
        self.fc_objs_vecs = nn.Linear(given + width, 2 * width)
        for scale in range(sizes.scales):
            self.add_module(f"discriminator_{scale}", NaivePatches(2 * width + 3, sizes.ndf, sizes.patch_layers))

    def forward(self, imgs: Tensor, objs: Tensor, boxes: Tensor, actions: Tensor) -> list[list[Tensor]]:
        """Features per scale of frames ``imgs [b, t - 1, 3, r, r]``; boxes are those of all ``t`` frames."""
        length, attributes = boxes.shape[1], self.attribute_embedding(objs)
        state = self.pre_obj_vecs_net(attributes)
        vectors = []
        for t in range(1, length):
            nodes = self.obj_vecs_net(torch.cat([state, boxes[:, t]], dim=2))
            found = []
            for b in range(len(objs)):
                edges, pairs, active = action_edges(self.sizes, self.acts_embeddings, actions, length, b, t)
                x = nodes[b]
                for layer in self.gconvs:
                    x, edges = layer(x, edges, pairs, active)
                found.append(x)
            state = torch.stack(found)
            vectors.append(self.fc_objs_vecs(torch.cat([attributes, state], dim=2)))
        maps = naive_maps(torch.stack(vectors, dim=1), boxes[:, 1:], objs, (imgs.shape[3], imgs.shape[4]))
        x = torch.cat([imgs, maps], dim=2).flatten(0, 1)
        judged = []
        for scale in range(self.sizes.scales):
            judged.append(getattr(self, f"discriminator_{scale}")(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return judged


# --- the whole --------------------------------------------------------------------------------------------------------


class Holder(nn.Module):
    """One level in the names of parameters, as data parallelism makes it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: Tensor | bool) -> object:
        return self.module(*given)


@dataclass(frozen=True)
class PaddedBatch:
    """Clips as the original collates them; see the module's docstring."""

    imgs: Tensor
    objs: Tensor
    boxes: Tensor
    triplets: Tensor
    actions: Tensor


class NaiveGenerator(nn.Module):
    def __init__(self, sizes: NaiveSizes, align_corners: bool = False) -> None:
        super().__init__()
        self.acts_to_boxes = Holder(NaiveGraphNetwork(sizes))
        self.acts_to_objs = Holder(NaiveGraphNetwork(sizes))
        self.layout_to_video = Holder(NaiveFrames(sizes, align_corners))

    def layout(self, batch: PaddedBatch) -> Tensor:
        boxes, _ = self.acts_to_boxes(batch.objs, batch.boxes[:, 0], batch.triplets, batch.actions)
        return boxes

    def forward(self, batch: PaddedBatch, use_gt: bool = True, given_previous: bool = True) -> dict[str, Tensor]:
        predicted = self.layout(batch)
        internal, z = self.acts_to_objs(batch.objs, batch.boxes[:, 0], batch.triplets, batch.actions)
        boxes = batch.boxes if use_gt else predicted.detach()
        found = self.layout_to_video(batch.imgs, batch.objs, boxes, z, given_previous)
        return {**found, "boxes": predicted, "internal_boxes": internal, "obj_vecs": z}


def naive_layout_loss(predicted: Tensor, batch: PaddedBatch, weight: float) -> Tensor:
    mask = (batch.objs.sum(dim=2) != 0).float()[:, None, :, None]
    each = F.smooth_l1_loss(predicted[:, 1:], batch.boxes[:, 1:], reduction="none")
    return (weight * each * mask).mean()


def naive_generator_losses(
    sizes: NaiveSizes, critic: NaiveDiscriminator, batch: PaddedBatch, found: dict[str, Tensor], align_corners: bool
) -> dict[str, Tensor]:
    """Weighted terms of the generator's loss but the perceptual one; the critic looks twice, with all gradients on."""
    weights = sizes.loss_weights
    fake = critic(found["imgs"], batch.objs, batch.boxes, batch.actions)
    real = critic(batch.imgs[:, 1:], batch.objs, batch.boxes, batch.actions)
    adversarial = sum(-scale[-1].mean() for scale in fake) / len(fake)
    matching = sum(
        F.l1_loss(x, y.detach())
        for of_fake, of_real in zip(fake, real, strict=True)
        for x, y in zip(of_fake[:-1], of_real[:-1], strict=True)
    )
    flow = torch.stack(
        [
            F.l1_loss(naive_warp(batch.imgs[:, t - 1], found["flow"][:, t - 1], align_corners), batch.imgs[:, t])
            for t in range(1, batch.imgs.shape[1])
        ]
    ).mean()
    return {
        "adversarial": weights["adversarial"] * adversarial,
        "matching": weights["matching"] * matching / len(fake),
        "flow": weights["flow"] * flow,
    }


def naive_discriminator_losses(
    sizes: NaiveSizes, critic: NaiveDiscriminator, batch: PaddedBatch, fake: Tensor
) -> dict[str, Tensor]:
    on_fake = critic(fake.detach(), batch.objs, batch.boxes, batch.actions)
    on_real = critic(batch.imgs[:, 1:], batch.objs, batch.boxes, batch.actions)
    weight = sizes.loss_weights["adversarial"]
    return {
        "fake": weight * sum(F.relu(1 + scale[-1]).mean() for scale in on_fake) / len(on_fake),
        "real": weight * sum(F.relu(1 - scale[-1]).mean() for scale in on_real) / len(on_real),
    }


def naive_perceptual_loss(sizes: NaiveSizes, features: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    """From the five taps of a VGG, both passes with all features kept; weighted."""
    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    pairs = zip(weights, features(fake.flatten(0, 1)), features(real.flatten(0, 1)), strict=True)
    return sizes.loss_weights["perceptual"] * sum(weight * F.l1_loss(x, y.detach()) for weight, x, y in pairs)


class NaiveTraining:
    """Iterations with three optimisers: frames, discriminator, and layouts on longer clips."""

    def __init__(
        self,
        sizes: NaiveSizes,
        generator: NaiveGenerator,
        critic: NaiveDiscriminator,
        features: nn.Module | None,
        align_corners: bool,
    ) -> None:
        self.sizes, self.generator, self.critic, self.features = sizes, generator, critic, features
        self.align_corners = align_corners
        layout = list(generator.acts_to_boxes.parameters())
        others = [*generator.acts_to_objs.parameters(), *generator.layout_to_video.parameters()]
        self.of_generator, self.of_critic, self.of_layout = (
            torch.optim.Adam(parameters, lr=1e-4, betas=(0.5, 0.999))
            for parameters in (others, list(critic.parameters()), layout)
        )

    def generator_losses(self, clips: PaddedBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Everything generated, and the terms of the generator's loss."""
        found = self.generator(clips)
        terms = naive_generator_losses(self.sizes, self.critic, clips, found, self.align_corners)
        if self.features is not None:
            terms["perceptual"] = naive_perceptual_loss(self.sizes, self.features, found["imgs"], clips.imgs[:, 1:])
        return found, terms

    def discriminator_losses(self, clips: PaddedBatch, fake: Tensor) -> dict[str, Tensor]:
        return naive_discriminator_losses(self.sizes, self.critic, clips, fake)

    def iteration(self, clips: PaddedBatch, longer: PaddedBatch) -> dict[str, float]:
        """One step of every optimiser, in the original's order; losses are numbers for the log every time."""
        found, terms = self.generator_losses(clips)
        fake = found["imgs"].detach()
        self.of_generator.zero_grad()
        sum(terms.values()).backward()
        self.of_generator.step()
        del found
        judged = self.discriminator_losses(clips, fake)
        self.of_critic.zero_grad()
        sum(judged.values()).backward()
        self.of_critic.step()
        self.of_layout.zero_grad()
        layout = naive_layout_loss(self.generator.layout(longer), longer, self.sizes.loss_weights["layout"])
        layout.backward()
        self.of_layout.step()
        return {name: float(value.detach()) for name, value in {**terms, **judged, "layout": layout}.items()}
