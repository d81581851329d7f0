"""Kinetic-GAN written the slow, plain way: the yardstick of the benchmark and a second opinion in the golden tests.

Channels-first convolutions, one sample at a time through the mapping network, one joint at a time in the up-sampling,
labels repeated over the whole clip, joints and frames selected last, fakes not detached, three critic passes per
objective, generation that records gradients and appends arrays. Keys are those of the original's checkpoints.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.kinetic_gan.pyramid import GraphPyramid


def to_channels_first(x: Tensor) -> Tensor:
    """``[b, t, v, c] -> [b, c, t, v]``."""
    return x.permute(0, 3, 1, 2)


def to_channels_last(x: Tensor) -> Tensor:
    """``[b, c, t, v] -> [b, t, v, c]``."""
    return x.permute(0, 2, 3, 1)


class GraphConv(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, 3 * c_out, 1, bias=False)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        h = self.conv(x)
        n, kc, t, v = h.shape
        return torch.einsum("nkctv,kvw->nctw", h.view(n, 3, kc // 3, t, v), adjacency).contiguous()


class NoiseInjection(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, plane: Tensor | None) -> Tensor:
        if plane is None:
            plane = torch.randn(x.shape[0], 1, x.shape[2], x.shape[3], device=x.device)
        return x + self.weight * plane.to(x)


def resize(x: Tensor, length: int) -> Tensor:
    return F.interpolate(x, size=(length, x.shape[3]))


class GeneratorBlock(nn.Module):
    def __init__(
        self,
        c_in: int,
        c_out: int,
        pyramid: GraphPyramid,
        level: int,
        before: int,
        *,
        norm: bool,
        skip: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.gcn = GraphConv(c_in, c_out)
        temporal: list[nn.Module] = [nn.Conv2d(c_out, c_out, (3, 1), padding=(1, 0))]
        if norm:
            temporal.append(nn.BatchNorm2d(c_out))
        self.tcn = nn.Sequential(*temporal)
        self.skips = skip
        if skip and c_in != c_out:
            self.residual = nn.Sequential(nn.Conv2d(c_in, c_out, 1), nn.BatchNorm2d(c_out))
        self.noise = NoiseInjection(c_out)
        self.last = last
        self.rows: list[list[tuple[int, float]]] = []
        if before > level:
            matrix = pyramid.upsampling(level)
            self.rows = [[(int(j), float(row[j])) for j in row.nonzero()[:, 0]] for row in matrix]

    def upsample(self, x: Tensor) -> Tensor:
        if not self.rows:
            return x
        out = x[..., :0]
        for row in self.rows:
            joint = sum(weight * x[..., source : source + 1] for source, weight in row)
            out = torch.cat([out, joint], dim=-1)
        return out

    def forward(self, x: Tensor, adjacency: Tensor, length: int, plane: Tensor | None) -> Tensor:
        x = resize(self.upsample(x), length)
        y = self.tcn(self.gcn(x, adjacency))
        if hasattr(self, "residual"):
            y = y + self.residual(x)
        elif self.skips:
            y = y + x
        y = self.noise(y, plane)
        return torch.tanh(y) if self.last else F.leaky_relu(y, 0.2)


class Mapping(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            linear = nn.Linear(width, width)
            nn.init.normal_(linear.weight)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LeakyReLU(0.2)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out = x[:0]
        for sample in x:
            out = torch.cat([out, self.mlp(sample[None])])
        return out


class NaiveGenerator(nn.Module):
    """``forward(z, label) -> [b, c, t, v]``; planes are ``[b, 1, t, v]``."""

    levels = (3, 3, 2, 2, 1, 1, 0)

    def __init__(
        self,
        pyramid: GraphPyramid,
        channels: int,
        classes: int,
        *,
        latent: int = 512,
        length: int = 64,
        mapping_depth: int = 4,
        widths: tuple[int, ...] = (512, 256, 128, 64, 32),
    ) -> None:
        super().__init__()
        self.width = latent + classes
        self.mlp = Mapping(self.width, mapping_depth)
        ladder = (self.width, *widths, channels, channels)
        blocks = []
        for i, level in enumerate(self.levels):
            before = self.levels[i - 1] if i else level
            blocks.append(
                GeneratorBlock(
                    ladder[i],
                    ladder[i + 1],
                    pyramid,
                    level,
                    before,
                    norm=i in (1, 3, 5),
                    skip=i > 0,
                    last=i == 6,
                )
            )
        self.st_gcn_networks = nn.ModuleList(blocks)
        self.adjacency = [pyramid.adjacency(level) for level in self.levels]
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(a)) for a in self.adjacency)
        self.label_emb = nn.Embedding(classes, classes)
        self.length = length

    def lengths(self) -> list[int]:
        t = self.length
        return [1, t // 16, t // 16, t // 8, t // 4, t // 2, t]

    def map(self, z: Tensor, label: Tensor) -> Tensor:
        return self.mlp(torch.cat([self.label_emb(label), z], dim=1))

    def centre(self, points: Tensor) -> Tensor:
        return self.mlp(points).mean(0, keepdim=True)

    def synthesise(self, w: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        x = w[:, :, None, None]
        for i, block in enumerate(self.st_gcn_networks):
            mixing = self.adjacency[i].to(x) * self.edge_importance[i]
            x = block(x, mixing, self.lengths()[i], None if noise is None else noise[i])
        return x

    def forward(
        self, z: Tensor, label: Tensor, noise: list[Tensor] | None = None, truncation: float | None = None
    ) -> Tensor:
        w = self.map(z, label)
        if truncation is not None:
            centre = self.centre(torch.randn(1000, self.width, device=z.device))
            w = centre + truncation * (w - centre)
        return self.synthesise(w, noise)


class DiscriminatorBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, keep: tuple[int, ...] | None, *, skip: bool) -> None:
        super().__init__()
        self.gcn = GraphConv(c_in, c_out)
        self.tcn = nn.Conv2d(c_out, c_out, (3, 1), padding=(1, 0))
        self.skips = skip
        if skip and c_in != c_out:
            self.residual = nn.Conv2d(c_in, c_out, 1)
        self.keep = keep

    def forward(self, x: Tensor, adjacency: Tensor, length: int) -> Tensor:
        y = self.tcn(self.gcn(x, adjacency))
        if hasattr(self, "residual"):
            y = y + self.residual(x)
        elif self.skips:
            y = y + x
        if self.keep is not None:
            y = y[..., list(self.keep)]
        return F.leaky_relu(resize(y, length), 0.2)


class NaiveDiscriminator(nn.Module):
    """``forward(x: [b, c, t, v], label) -> [b, 1]``."""

    plan = ((0, True, 1), (1, False, 1), (1, True, 2), (2, False, 4), (2, True, 8), (3, False, 16))

    def __init__(
        self,
        pyramid: GraphPyramid,
        channels: int,
        classes: int,
        *,
        latent: int = 512,
        widths: tuple[int, ...] = (512, 256, 128, 64, 32),
    ) -> None:
        super().__init__()
        ladder = (classes + channels, *reversed(widths), latent)
        self.st_gcn_networks = nn.ModuleList(
            DiscriminatorBlock(ladder[i], ladder[i + 1], pyramid.keep(level) if selects else None, skip=i > 0)
            for i, (level, selects, _) in enumerate(self.plan)
        )
        self.adjacency = [pyramid.adjacency(level) for level, _, _ in self.plan]
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(a)) for a in self.adjacency)
        self.label_emb = nn.Embedding(classes, classes)
        self.fcn = nn.Linear(latent, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        length = x.shape[2]
        maps = self.label_emb(label)[:, :, None, None].repeat(1, 1, length, x.shape[3])
        x = torch.cat([maps, x], dim=1)
        for i, block in enumerate(self.st_gcn_networks):
            x = block(x, self.adjacency[i].to(x) * self.edge_importance[i], length // self.plan[i][2])
        return self.fcn(x.mean((2, 3)))


def naive_penalty(critic: NaiveDiscriminator, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor) -> Tensor:
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed, label).sum(), mixed, create_graph=True)
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def naive_critic_loss(
    critic: NaiveDiscriminator, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor | None = None
) -> Tensor:
    """The critic's objective; the fakes stay attached, so that its backward pass runs through the generator too."""
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device) if alpha is None else alpha
    penalty = naive_penalty(critic, real.data, fake.data, label, alpha)
    return -critic(real, label).mean() + critic(fake, label).mean() + 10 * penalty


def naive_generate(
    generator: NaiveGenerator, label: Tensor, batch: int, latent: int, truncation: float | None
) -> np.ndarray:
    """Clips for all labels, batch by batch, with gradients recorded and arrays appended."""
    out: np.ndarray | None = None
    for part in label.split(batch):
        clips = (
            generator(torch.randn(len(part), latent, device=part.device), part, truncation=truncation)
            .data.cpu()
            .numpy()
        )
        out = clips if out is None else np.concatenate([out, clips])
    assert out is not None
    return out
