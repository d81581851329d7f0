"""Kinetic-GAN's generator: a latent point and an action class become a motion, from one joint to the whole body."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.kinetic_gan.graph_layers import (
    SLOPE,
    ChannelNorm,
    SpreadingGraphConv,
    TemporalConv,
    interpolate_time,
    mix_joints,
    resize_time,
)
from mutoscope.models.kinetic_gan.pyramid import GraphPyramid, pyramid_for
from mutoscope.structures import Skeleton

Centre = Literal["reference", "class", "latent"]
#: how blocks make more frames
Upsampling = Literal["nearest", "linear"]

#: (pyramid level, divisor of the length) of each block; the first block makes one frame.
_PLAN: tuple[tuple[int, int | None], ...] = ((3, None), (3, 16), (2, 16), (2, 8), (1, 4), (1, 2), (0, 1))
MIN_LENGTH = 16
_CENTRE_POINTS = 1000
Resize = Callable[[Tensor, int], Tensor]
_RESIZE: Mapping[Upsampling, Resize] = {"nearest": resize_time, "linear": interpolate_time}


class MappingNetwork(nn.Sequential):
    """``depth`` times (linear, LeakyReLU) at constant width: ``[b, w] -> [b, w]`` (section 3.2).

    The matrices start as N(0, 1) without any scaling, as released: ``|w|`` is huge at first, the first batch norms
    absorb it, and Adam's fixed steps move these layers slowly.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        for _ in range(depth):
            linear = nn.Linear(width, width)
            nn.init.normal_(linear.weight)
            nn.init.zeros_(linear.bias)
            self.append(linear)
            self.append(nn.LeakyReLU(SLOPE))


class Skip(nn.Module):
    """The generator's 1x1 skip branch with batch norm: ``[b, t, coarse, c_in] -> [b, length, v, c_out]``.

    Channels are mixed on the coarse graph. The bias comes after the up-sampling, since halved rows do not sum to one.

    Args:
        c_in: input channels.
        c_out: output channels.
        resize: makes a sequence longer.
    """

    def __init__(self, c_in: int, c_out: int, resize: Resize = resize_time) -> None:
        super().__init__()
        self.resize = resize
        bound = c_in**-0.5
        self.weight = nn.Parameter(torch.empty(c_out, c_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(c_out).uniform_(-bound, bound))
        self.norm = ChannelNorm(c_out)

    def forward(self, x: Tensor, upsampling: Tensor | None, length: int) -> Tensor:
        y = F.linear(x, self.weight)
        if upsampling is not None:
            y = mix_joints(upsampling, y)
        return self.norm(self.resize(y + self.bias, length))


class GeneratorBlock(nn.Module):
    """Up-sampling, graph convolution, temporal convolution, skip, noise, activation (figure 2).

    ``[b, t, coarse, c_in] -> [b, length, v, c_out]``.

    Args:
        c_in: input channels.
        c_out: output channels.
        adjacency: partition stack of this block's graph, ``[3, v, v]``.
        upsampling: ``[v, coarse]`` from the coarser graph, or ``None``.
        norm: batch norm on the temporal convolution.
        skip: add a skip branch, 1x1 or identity.
        noise: add noise with a learned weight per channel.
        last: tanh instead of LeakyReLU.
        resize: makes a sequence longer.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        adjacency: Tensor,
        upsampling: Tensor | None,
        *,
        norm: bool,
        skip: bool,
        noise: bool,
        last: bool,
        resize: Resize = resize_time,
    ) -> None:
        super().__init__()
        self.resize = resize
        self.graph = SpreadingGraphConv(c_in, c_out, adjacency, upsampling)
        self.temporal = TemporalConv(c_out)
        self.norm = ChannelNorm(c_out) if norm else None
        self.skip = Skip(c_in, c_out, resize) if skip and c_in != c_out else None
        self.identity = skip and c_in == c_out
        self.noise_weight = nn.Parameter(torch.zeros(c_out)) if noise else None
        self.last = last
        self.num_joints = adjacency.shape[-1]

    def forward(self, x: Tensor, length: int, noise: Tensor | None = None) -> Tensor:
        y = self.temporal(self.resize(self.graph(x), length))
        if self.norm is not None:
            y = self.norm(y)
        if self.skip is not None:
            y = y + self.skip(x, self.graph.upsampling, length)
        elif self.identity:
            up = self.graph.upsampling
            y = y + self.resize(x if up is None else mix_joints(up, x), length)
        if self.noise_weight is not None:
            if noise is None:
                noise = torch.randn(*y.shape[:3], 1, device=y.device, dtype=y.dtype)
            y = y + self.noise_weight * noise
        return torch.tanh(y) if self.last else F.leaky_relu(y, SLOPE)


class Generator(nn.Module):
    """Kinetic-GAN's generator (Degardin et al., WACV 2022, section 3).

    Weights do not depend on the length: the same network makes clips of any length from 16 frames on.

    Args:
        skeleton: joint layout; its pyramid is looked up or derived. A ``GraphPyramid`` of four levels is taken as is.
        channels: coordinates per joint.
        classes: number of actions; also the size of the label embedding.
        latent: size of ``z``.
        length: frames made where ``forward`` is given no other length; at least 16.
        mapping_depth: layers of the mapping network; 0 feeds embedding and ``z`` to the first block directly.
        widths: channels of the first five blocks, coarsest first.
        last_width: channels between the last two blocks; the paper's are the coordinates themselves, so that joints
            which appear with the last up-sampling are mixtures of their neighbours' positions. Wider gives them a
            place of their own.
        norm_blocks: blocks with batch norm on the temporal convolution (table 1: A and B all seven, C to E 1, 3, 5).
        use_skip: skip branches (table 1: off in B).
        use_noise: noise injection (table 1: D and E).
        upsampling: over time; the paper's repeats frames (``nearest``), ours may interpolate between them (``linear``).

    Raises:
        ValueError: where an argument is out of range or the pyramid has not four levels.
    """

    def __init__(
        self,
        skeleton: Skeleton | GraphPyramid,
        channels: int,
        classes: int,
        *,
        latent: int = 512,
        length: int = 64,
        mapping_depth: int = 4,
        widths: Sequence[int] = (512, 256, 128, 64, 32),
        last_width: int | None = None,
        norm_blocks: Sequence[int] = (1, 3, 5),
        use_skip: bool = True,
        use_noise: bool = True,
        upsampling: Upsampling = "nearest",
    ) -> None:
        super().__init__()
        self.pyramid = check_pyramid(skeleton)
        check_sizes(channels, classes, latent, widths)
        check_length(length)
        if mapping_depth < 0:
            raise ValueError(f"mapping_depth is {mapping_depth}, expected 0 (no mapping network) or more.")
        if upsampling not in _RESIZE:
            raise ValueError(f"upsampling is '{upsampling}', expected one of {', '.join(_RESIZE)}.")
        if bad := [block for block in norm_blocks if block not in range(len(_PLAN))]:
            raise ValueError(f"norm_blocks names block {bad[0]}, but the generator's blocks are 0..{len(_PLAN) - 1}.")
        self.channels, self.classes, self.latent, self.length = channels, classes, latent, length
        self.width = latent + classes
        self.embedding = nn.Embedding(classes, classes)
        self.mapping = MappingNetwork(self.width, mapping_depth)
        ladder = (self.width, *widths, channels if last_width is None else last_width, channels)
        blocks: list[GeneratorBlock] = []
        before = len(self.pyramid.levels) - 1
        for number, (level, _) in enumerate(_PLAN):
            blocks.append(
                GeneratorBlock(
                    ladder[number],
                    ladder[number + 1],
                    self.pyramid.adjacency(level),
                    self.pyramid.upsampling(level) if level < before else None,
                    norm=number in norm_blocks,
                    skip=use_skip and number > 0,
                    noise=use_noise,
                    last=number == len(_PLAN) - 1,
                    resize=_RESIZE[upsampling],
                )
            )
            before = level
        self.blocks = nn.ModuleList(blocks)
        self.joints = tuple(block.num_joints for block in blocks)
        self.use_noise = use_noise
        self._centres: dict[Centre, tuple[tuple[int, ...], Tensor]] = {}

    def forward(
        self,
        z: Tensor,
        label: Tensor,
        *,
        truncation: float | None = None,
        centre: Centre | Tensor = "reference",
        noise: Sequence[Tensor] | None = None,
        length: int | None = None,
    ) -> Tensor:
        """Make motions.

        Args:
            z: ``[b, latent]``, N(0, 1).
            label: ``[b]`` int64 class index.
            truncation: factor psi towards the centre, 1 or ``None`` for none. Metrics are reported without.
            centre: ``"reference"``: mean of mapped points that are Gaussian in place of the label embedding, too (as
                released); ``"class"``: mean per class; ``"latent"``: pull ``z`` itself to the mean of normals; or a
                tensor ``[w]`` or ``[b, w]``. Named centres are computed once and kept while the weights stay.
            noise: one plane ``[b, t, v, 1]`` per block (see ``draw_noise``); ``None`` draws new ones.
            length: frames; ``None`` for the constructor's.

        Returns:
            ``[b, t, v, c]`` in (-1, 1).

        Raises:
            ValueError: where shapes, length, centre or noise do not fit.
        """
        if truncation is None or truncation == 1:
            return self.synthesise(self.map(z, label), noise=noise, length=length)
        if isinstance(centre, str) and centre == "latent":
            self._check_inputs(z, label)
            w = self.map(self.centre("latent").lerp(z, truncation), label)
            return self.synthesise(w, noise=noise, length=length)
        w = self.map(z, label)
        if isinstance(centre, str):
            table = self.centre(centre)
            centre = table[label] if centre == "class" else table
        return self.synthesise(truncate(w, centre, truncation), noise=noise, length=length)

    def map(self, z: Tensor, label: Tensor) -> Tensor:
        """Mapped latents ``w: [b, latent + classes]`` of ``[embedding, z]``."""
        self._check_inputs(z, label)
        return self.mapping(torch.cat([self.embedding(label).to(z.dtype), z], dim=1))

    def synthesise(self, w: Tensor, *, noise: Sequence[Tensor] | None = None, length: int | None = None) -> Tensor:
        """Motions ``[b, t, v, c]`` from mapped latents ``[b, w]``; see ``forward``."""
        length = self.length if length is None else length
        check_length(length)
        if w.ndim != 2 or w.shape[1] != self.width:
            raise ValueError(f"w has shape {tuple(w.shape)}, expected [b, {self.width}] (latent + classes).")
        planes = self._planes(noise, len(w), length)
        x = w[:, None, None]
        for block, frames, plane in zip(self.blocks, block_lengths(length), planes, strict=True):
            x = block(x, frames, plane)
        return x

    def noise_shapes(self, batch: int, length: int | None = None) -> list[tuple[int, int, int, int]]:
        """Shape ``(b, t, v, 1)`` of the noise plane of each block."""
        frames = block_lengths(self.length if length is None else length)
        return [(batch, t, v, 1) for t, v in zip(frames, self.joints, strict=True)]

    def draw_noise(
        self, batch: int, length: int | None = None, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """N(0, 1) planes for ``forward``: keep them and vary ``z``, or keep ``z`` and vary them."""
        return [
            torch.randn(shape, generator=generator, device=self.embedding.weight.device)
            for shape in self.noise_shapes(batch, length)
        ]

    @torch.no_grad()
    def centre(self, kind: Centre = "reference", points: Tensor | None = None) -> Tensor:
        """The centre of truncation.

        Args:
            kind: see ``forward``.
            points: N(0, 1) points to average, ``[n, latent + classes]`` for ``"reference"`` and ``[n, latent]`` for
                the others; ``None`` takes 1000 points of a fixed seed and remembers the result while the mapping
                network and the embedding stay as they are.

        Returns:
            ``[w]``, ``[classes, w]`` or ``[latent]``.
        """
        if kind not in get_args(Centre):
            raise ValueError(f"There is no truncation centre '{kind}'; there are {', '.join(get_args(Centre))}.")
        if points is not None:
            return self._centre(kind, points)
        weights = (self.embedding.weight, *self.mapping.parameters())
        state = tuple(number for p in weights for number in (id(p), p.data_ptr(), p._version))
        kept = self._centres.get(kind)
        if kept is None or kept[0] != state:
            size = self.width if kind == "reference" else self.latent
            seed = torch.Generator().manual_seed(0)
            points = torch.randn(_CENTRE_POINTS, size, generator=seed).to(self.embedding.weight)
            kept = self._centres[kind] = (state, self._centre(kind, points))
        return kept[1]

    def train(self, mode: bool = True) -> "Generator":
        self._centres.clear()
        return super().train(mode)

    def _centre(self, kind: Centre, points: Tensor) -> Tensor:
        size = self.width if kind == "reference" else self.latent
        if points.ndim != 2 or points.shape[1] != size or not len(points):
            raise ValueError(f"The points of centre '{kind}' have shape {tuple(points.shape)}, expected [n, {size}].")
        if kind == "latent":
            return points.mean(0)
        if kind == "reference":
            return self.mapping(points).mean(0)
        labels = torch.arange(self.classes, device=points.device)
        return torch.stack([self.map(points, label.expand(len(points))).mean(0) for label in labels])

    def _planes(self, noise: Sequence[Tensor] | None, batch: int, length: int) -> Sequence[Tensor | None]:
        if noise is None:
            return [None] * len(self.blocks)
        if not self.use_noise:
            raise ValueError("Noise planes were given, but this generator was built with use_noise=False.")
        found, expected = [tuple(plane.shape) for plane in noise], self.noise_shapes(batch, length)
        if found != expected:
            raise ValueError(f"Noise planes have shapes {found}, expected one [b, t, v, 1] per block: {expected}.")
        return noise

    def _check_inputs(self, z: Tensor, label: Tensor) -> None:
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"z has shape {tuple(z.shape)}, expected [b, {self.latent}].")
        check_label(label, len(z))


def truncate(w: Tensor, centre: Tensor, truncation: float) -> Tensor:
    """``centre + psi (w - centre)``: ``w: [b, w]``, ``centre: [w]`` or ``[b, w]``."""
    if centre.shape not in (w.shape, w.shape[1:], (1, w.shape[1])):
        raise ValueError(
            f"The truncation centre has shape {tuple(centre.shape)}, expected [{w.shape[1]}] or {list(w.shape)}."
        )
    return centre.to(w) + truncation * (w - centre.to(w))


def block_lengths(length: int) -> list[int]:
    """Frames that each generator block makes for a clip of ``length`` frames."""
    return [1 if divisor is None else length // divisor for _, divisor in _PLAN]


def check_length(length: int) -> None:
    if length < MIN_LENGTH:
        raise ValueError(f"Kinetic-GAN halves the clip four times and needs at least 16 frames, got length {length}.")


def check_label(label: Tensor, batch: int) -> None:
    if label.shape != (batch,) or label.dtype != torch.int64:
        raise ValueError(f"label is {label.dtype} of shape {tuple(label.shape)}, expected int64 of shape [{batch}].")


def check_sizes(channels: int, classes: int, latent: int, widths: Sequence[int]) -> None:
    if min(channels, classes, latent) < 1:
        raise ValueError(
            f"channels, classes and latent must be positive, got {channels}, {classes} and {latent} respectively."
        )
    if len(widths) != 5 or min(widths) < 1:
        raise ValueError(f"widths are {tuple(widths)}, expected five positive numbers, coarsest level first.")


def check_pyramid(skeleton: Skeleton | GraphPyramid) -> GraphPyramid:
    pyramid = pyramid_for(skeleton)
    if len(pyramid.levels) != 4:
        raise ValueError(f"Pyramid '{pyramid.name}' has {len(pyramid.levels)} levels, Kinetic-GAN needs four.")
    return pyramid
