"""Kinetic-GAN's critic: it scores a motion and its action class, from the whole body down to one joint."""

from collections.abc import Sequence

from torch import Tensor, nn

from mutoscope.models.kinetic_gan.generator import check_label, check_length, check_pyramid, check_sizes
from mutoscope.models.kinetic_gan.graph_layers import (
    GatheringGraphConv,
    TemporalConv,
    piecewise_leaky_relu,
    resize_time,
)
from mutoscope.models.kinetic_gan.pyramid import GraphPyramid
from mutoscope.structures import Skeleton

#: (level of the graph convolution, level kept, divisor of the length) of each block.
_PLAN = ((0, 1, 1), (1, 1, 1), (1, 2, 2), (2, 2, 4), (2, 3, 8), (3, 3, 16))


class DiscriminatorBlock(nn.Module):
    """Graph convolution, temporal convolution, skip, activation: ``[b, t, v, c_in] -> [b, length, kept, c_out]``.

    Args:
        c_in: input channels, those of a label included.
        c_out: output channels.
        adjacency: partition stack of this block's graph, ``[3, v, v]``.
        keep: joints of that graph which survive, or ``None`` for all.
        skip: add a skip branch, 1x1 or identity.
    """

    def __init__(
        self, c_in: int, c_out: int, adjacency: Tensor, keep: Sequence[int] | None = None, *, skip: bool
    ) -> None:
        super().__init__()
        self.graph = GatheringGraphConv(c_in, c_out, adjacency, keep)
        self.temporal = TemporalConv(c_out)
        self.skip = nn.Linear(c_in, c_out) if skip and c_in != c_out else None
        self.identity = skip and c_in == c_out
        self.selects = keep is not None

    def forward(self, x: Tensor, length: int, label: Tensor | None = None) -> Tensor:
        y = self.temporal(self.graph(x, label), length)
        if self.skip is not None or self.identity:
            short = resize_time(x, length)
            if self.selects:
                short = short.index_select(2, self.graph.kept)
            y = y + (short if self.skip is None else self.skip(short))
        return piecewise_leaky_relu(y)


class Discriminator(nn.Module):
    """Kinetic-GAN's critic (Degardin et al., WACV 2022, section 3.3); no norm, no noise.

    Args:
        skeleton: joint layout; its pyramid is looked up or derived. A ``GraphPyramid`` of four levels is taken as is.
        channels: coordinates per joint.
        classes: number of actions; also the size of the label embedding.
        latent: channels of the last block.
        widths: channels of the other five blocks, coarsest first, as in the generator.
        use_skip: skip branches from the second block on.

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
        widths: Sequence[int] = (512, 256, 128, 64, 32),
        use_skip: bool = True,
    ) -> None:
        super().__init__()
        self.pyramid = check_pyramid(skeleton)
        check_sizes(channels, classes, latent, widths)
        self.channels, self.classes = channels, classes
        self.embedding = nn.Embedding(classes, classes)
        ladder = (classes + channels, *reversed(widths), latent)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                ladder[number],
                ladder[number + 1],
                self.pyramid.adjacency(level),
                self.pyramid.keep(level) if kept > level else None,
                skip=use_skip and number > 0,
            )
            for number, (level, kept, _) in enumerate(_PLAN)
        )
        self.head = nn.Linear(latent, 1)

    def forward(self, joints: Tensor, label: Tensor) -> Tensor:
        """Score motions.

        Args:
            joints: ``[b, t, v, c]`` in network units, at least 16 frames.
            label: ``[b]`` int64 class index.

        Returns:
            ``[b, 1]``, higher for motions that look real.

        Raises:
            ValueError: where shapes do not fit.
        """
        v, c = self.pyramid.num_joints, self.channels
        if joints.ndim != 4 or joints.shape[2:] != (v, c):
            raise ValueError(f"joints have shape {tuple(joints.shape)}, expected [b, t, {v}, {c}].")
        length = joints.shape[1]
        check_length(length)
        check_label(label, len(joints))
        constant: Tensor | None = self.embedding(label)
        x = joints
        for block, (_, _, divisor) in zip(self.blocks, _PLAN, strict=True):
            x = block(x, length // divisor, constant)
            constant = None
        return self.head(x.mean((1, 2)))
