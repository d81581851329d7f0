"""SA-GCN's generator: noise for every frame and an action class become a motion (paper section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, cast, get_args

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.sa_gcn.attention_graph import (
    Normalise,
    Prune,
    SelfAttention,
    SequenceGraph,
    neighbours,
    prune_past,
    prune_row,
)
from mutoscope.models.sa_gcn.graph_layers import GraphConv, GridConv, NodeMixing, SpatioTemporalConv
from mutoscope.nn.narrow_conv import NarrowConv
from mutoscope.structures import Skeleton

Variant = Literal["paper", "reference"]
Layer = Literal["sa_gc", "cnn", "st_gc"]
Activation = Literal["relu", "none"]
Coordinates = Literal["batch", "channels", "reread"]


@dataclass(frozen=True)
class GraphOptions:
    """How the stack of graph layers is made; :data:`VARIANTS` holds the two that belong together.

    Args:
        layer: ``sa_gc`` spreads over the sequence graph; ``cnn`` and ``st_gc`` are the paper's ablations.
        kept: frames that pruning leaves in each row of the map of attention; 0 past ones are the ablation "K = 0".
        prune: ``past`` keeps the own frame and counts past ones; ``row`` counts all and may drop the own.
        normalise: by ``row`` sums, information flowing forward in time, or by ``column`` sums, flowing backward.
        self_loop: added to the weight of each frame's skeleton and once more to that of its joints.
        node_mixing: see :class:`GraphConv`.
        activation: between layers; none follows the last.
        first_skip_from_input: the first skip starts at the input of the stack instead of at its first layer.
        coordinates: ``batch`` makes of each coordinate a signal of its own, all sharing the graph; ``channels`` makes
            of them one signal; ``reread`` makes signals of stretches of memory, as released (specification 2.5).
        random_start: the running sum over time starts at uniform noise instead of zero.
        kernel: of ``cnn`` over (frames, joints), of ``st_gc`` over frames (its first number).

    Raises:
        ValueError: for an unknown choice, a negative number, or a self-loop without past frames.
    """

    layer: Layer = "sa_gc"
    kept: int = 5
    prune: Prune = "past"
    normalise: Normalise = "row"
    self_loop: float = 0.0
    node_mixing: NodeMixing = "none"
    activation: Activation = "relu"
    first_skip_from_input: bool = False
    coordinates: Coordinates = "batch"
    random_start: bool = False
    kernel: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, kind in (
            ("layer", Layer),
            ("prune", Prune),
            ("normalise", Normalise),
            ("node_mixing", NodeMixing),
            ("activation", Activation),
            ("coordinates", Coordinates),
        ):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} is '{getattr(self, name)}', expected one of {', '.join(get_args(kind))}.")
        if self.kept < 0 or (self.kept == 0 and self.prune == "row"):
            raise ValueError(f"kept is {self.kept}, expected at least {int(self.prune == 'row')}.")
        if self.layer == "sa_gc" and self.kept == 0 and self.self_loop > 0:
            raise ValueError(
                f"self_loop is {self.self_loop}, but with kept=0 every frame has the skeleton's own graph and no "
                "weight for a self-loop to add to; leave one of them out."
            )
        if self.self_loop < 0:
            raise ValueError(f"self_loop is {self.self_loop}, expected a number >= 0.")

    @property
    def attends(self) -> bool:
        """Whether the map of attention makes the graph; without past frames and in two ablations it does not."""
        return self.layer == "sa_gc" and self.kept > 0


#: the paper with the gaps filled, and the released program with everything that differs
VARIANTS: dict[Variant, GraphOptions] = {
    "paper": GraphOptions(),
    "reference": GraphOptions(
        prune="row",
        normalise="column",
        self_loop=0.1,
        node_mixing="dense",
        activation="none",
        first_skip_from_input=True,
        coordinates="reread",
        random_start=True,
    ),
}


def class_weights(label: Tensor, classes: int) -> Tensor:
    """One-hot rows ``[b, classes]`` of labels ``[b]``; mixtures ``[b, classes]`` pass (equation 8).

    Raises:
        ValueError: for another shape.
    """
    if label.ndim == 1 and not label.is_floating_point():
        return F.one_hot(label, classes).to(torch.get_default_dtype())
    if label.ndim == 2 and label.shape[1] == classes:
        return label
    raise ValueError(
        f"label has shape {tuple(label.shape)} and type {label.dtype}, expected [b] integers below {classes} or "
        f"[b, {classes}] weights of classes."
    )


class Residual(nn.Module):
    """``shortcut(x) + relu(W relu(W x))`` per frame: ``[b, t, c_in] -> [b, t, c_out]``.

    Args:
        c_in: input features.
        inner: features between the two layers of the branch.
        c_out: output features.
        project: the shortcut is linear instead of the identity.
    """

    def __init__(self, c_in: int, inner: int, c_out: int, *, project: bool) -> None:
        super().__init__()
        relus = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
        self.branch = nn.Sequential(nn.Linear(c_in, inner), relus[0], nn.Linear(inner, c_out), relus[1])
        self.shortcut = nn.Linear(c_in, c_out) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.branch(x)


class GraphStack(nn.Module):
    """The graph layers with a skip into every second one, and the way back to coordinates (section 3.1).

    ``[b, t, v, g, signals] -> [b, t, v, g, signals]``.

    Args:
        signals: channels in and out.
        widths: channels of the layers.
        options: of layers and skips.
        joints, length: see :class:`GraphConv`.
    """

    def __init__(self, signals: int, widths: Sequence[int], options: GraphOptions, *, joints: int, length: int) -> None:
        super().__init__()
        ladder = (signals, *widths)
        self.activation = options.activation

        def layer(c_in: int, c_out: int) -> nn.Module:
            if options.layer == "sa_gc":
                return GraphConv(c_in, c_out, joints=joints, length=length, node_mixing=options.node_mixing)
            if options.layer == "cnn":
                return GridConv(c_in, c_out, options.kernel or (1, 1))
            return SpatioTemporalConv(c_in, c_out, options.kernel[0] if options.kernel else 9)

        self.layers = nn.ModuleList(layer(c_in, c_out) for c_in, c_out in pairwise(ladder))
        #: number of a layer to that of the state at which the skip into it starts
        self.sources = {number: number - 1 for number in range(2, len(widths), 2)}
        if options.first_skip_from_input and self.sources:
            self.sources[2] = 0
        # beside a layer's bias another would be idle
        self.skips = nn.ModuleDict(
            {
                str(number): nn.Linear(ladder[source], widths[number], bias=options.first_skip_from_input)
                for number, source in self.sources.items()
            }
        )
        self.head = nn.Linear(widths[-1], signals)
        if options.activation == "relu":
            self._keep_scale()

    def _keep_scale(self) -> None:
        """He's initialisation for all that mixes channels.

        The paper names none. With PyTorch's own, five layers shrink what differs between samples by a factor of twenty,
        and critics know such still clips at once.
        """
        for module in (*self.layers, *self.skips.values(), self.head):
            for name, parameter in module.named_parameters():
                if name in ("weight", "linear.weight", "conv.weight", "temporal.weight"):
                    nn.init.kaiming_normal_(parameter, nonlinearity="relu")

    def hidden(self, x: Tensor, graph: SequenceGraph) -> list[Tensor]:
        """The input and the states ``[b, t, v, g, c]`` after every layer but the last."""
        states = [x]
        for number, layer in enumerate(self.layers[:-1]):
            y = layer(states[-1], graph)
            if (skip := self.skip_into(number)) is not None:
                y = y + skip(states[self.sources[number]])
            states.append(F.relu(y, inplace=True) if self.activation == "relu" else y)
        return states

    def skip_into(self, number: int) -> nn.Linear | None:
        """The skip that adds to the output of a layer, if there is one; it starts at state ``sources[number]``."""
        return cast(nn.Linear, self.skips[str(number)]) if number in self.sources else None

    def forward(self, x: Tensor, graph: SequenceGraph) -> Tensor:
        states = self.hidden(x, graph)
        number = len(self.layers) - 1
        last, skip = self.layers[number], self.skip_into(number)
        # no activation follows the last layer: with the head it is one narrow layer, and so is its skip
        if isinstance(last, GraphConv):
            y = last.into(self.head, states[-1], graph) + self.head.bias
        else:
            y = self.head(last(states[-1], graph))
        if skip is not None:
            bias = None if skip.bias is None else self.head.weight @ skip.bias
            y = y + F.linear(states[self.sources[number]], self.head.weight @ skip.weight, bias)
        return y


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """Sizes of the generator.

    Args:
        noise: noise per frame.
        embedding: size of the class embedding.
        projection: input of the recurrent network.
        hidden: its state.
        widths: inner features of the first residual block, features between the blocks, inner ones of the second.
        graph_widths: channels of the graph layers.
        heads: of both attention layers.
    """

    noise: int = 30
    embedding: int = 20
    projection: int = 60
    hidden: int = 100
    widths: tuple[int, int, int] = (512, 1024, 1024)
    graph_widths: tuple[int, ...] = (32, 64, 64, 128, 128)
    heads: int = 3


class Generator(nn.Module):
    """SA-GCN's generator (Yu et al., ECCV 2020).

    A recurrent network sums up noise over time; two residual blocks per frame and a short temporal convolution make
    coordinates of it; attention over these gives the sequence graph on which the stack of graph layers refines them.

    Args:
        skeleton: joint layout; its edges are the graph within a frame.
        channels: coordinates per joint.
        classes: number of actions.
        length: frames in training; binding where nodes are mixed by weights.
        options: of the stack of graph layers, one of :data:`VARIANTS` or a change of it.
        noise, embedding, projection, hidden, widths, graph_widths, heads: see :class:`GeneratorSettings`.

    Raises:
        ValueError: where a size is no positive number.
    """

    adjacency: Tensor

    def __init__(
        self,
        skeleton: Skeleton,
        channels: int,
        classes: int,
        *,
        length: int = 50,
        options: GraphOptions = VARIANTS["paper"],
        noise: int = GeneratorSettings.noise,
        embedding: int = GeneratorSettings.embedding,
        projection: int = GeneratorSettings.projection,
        hidden: int = GeneratorSettings.hidden,
        widths: tuple[int, int, int] = GeneratorSettings.widths,
        graph_widths: Sequence[int] = GeneratorSettings.graph_widths,
        heads: int = GeneratorSettings.heads,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "classes": classes, "length": length, "noise": noise, "embedding": embedding}
        sizes |= {"projection": projection, "hidden": hidden, "the widths": min(widths)}
        sizes |= {"the graph widths": min(graph_widths, default=0)}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"The generator's {name} came to {size}, expected at least 1.")
        self.skeleton, self.channels, self.classes, self.length = skeleton, channels, classes, length
        self.noise, self.hidden, self.options = noise, hidden, options
        first, trunk, second = widths
        features = skeleton.num_joints * channels
        self.embedding = nn.Linear(classes, embedding)
        self.projection = nn.Linear(embedding + noise, projection)
        self.recurrent = nn.GRU(projection, hidden, batch_first=True)
        self.sequence_attention = SelfAttention(hidden + classes, heads)
        self.trunk = nn.Sequential(
            Residual(hidden + classes, first, trunk, project=True), Residual(trunk, second, trunk, project=False)
        )
        self.to_pose = NarrowConv(trunk, features)
        self.pose_attention = SelfAttention(features, heads)
        signals = channels if options.coordinates == "channels" else 1
        self.stack = GraphStack(signals, graph_widths, options, joints=skeleton.num_joints, length=length)
        self.register_buffer("adjacency", neighbours(skeleton), persistent=False)

    def forward(self, noise: Tensor, label: Tensor, start: Tensor | None = None) -> Tensor:
        """Make motions.

        Args:
            noise: ``[b, t, noise]`` standard normal, fresh for every frame.
            label: ``[b]`` int64 class index, or ``[b, classes]`` weights of a mixture.
            start: ``[b, hidden]`` in [0, 1), where the running sum starts; drawn where the options want it and it is
                not given.

        Returns:
            ``[b, t, v, c]`` in network units.

        Raises:
            ValueError: where shapes do not fit.
        """
        poses, attention = self._attended(noise, label, start)
        signals = fold(poses.unflatten(2, (-1, self.channels)), self.options.coordinates)
        return unfold(self.stack(signals, self._graph(attention)), self.channels, self.options.coordinates)

    def attention(self, noise: Tensor, label: Tensor, start: Tensor | None = None) -> Tensor:
        """The map of attention after pruning, of which the sequence graph is made (section 3.2, figure 4).

        The paper's graph layers divide each row by its sum, so that only ratios within a row matter; the reference
        variant's pass what a frame attends to the other way, from that frame to its past.

        Args:
            noise, label, start: as of a motion. The map of a random start that is not given is another motion's.

        Returns:
            ``[b, t, t]``, row = frame that attends, column = frame attended to: zero where pruned and for later frames,
            rows sum to at most one.

        Raises:
            ValueError: where shapes do not fit, or no graph layer uses attention.
        """
        if not self.options.attends:
            raise ValueError(
                f"The graph layers of this generator use no attention (layer is '{self.options.layer}', kept is "
                f"{self.options.kept}); only layer='sa_gc' with kept > 0 does."
            )
        return self._prune(self._attended(noise, label, start)[1])

    def _attended(self, noise: Tensor, label: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """``[b, t, v * c]`` coordinates as the graph layers get them, and ``[b, t, t]`` attention before pruning."""
        self._check(noise)
        classes = class_weights(label, self.classes).to(noise.dtype)
        if start is None and self.options.random_start:
            start = torch.rand(len(noise), self.hidden, dtype=noise.dtype, device=noise.device)
        return self.pose_attention.with_map(self._poses(noise, classes, start))

    def _poses(self, noise: Tensor, classes: Tensor, start: Tensor | None) -> Tensor:
        """``[b, t, v * c]`` coordinates before the graph."""
        length = noise.shape[1]
        embedded = self.embedding(classes)[:, None].expand(-1, length, -1)
        state, _ = self.recurrent(self.projection(torch.cat([embedded, noise], dim=2)))
        state = state.cumsum(dim=1)
        if start is not None:
            state = state + start[:, None]
        x = torch.cat([state, classes[:, None].expand(-1, length, -1).to(state.dtype)], dim=2)
        return self.to_pose(self.trunk(self.sequence_attention(x)))

    def _graph(self, attention: Tensor) -> SequenceGraph:
        options = self.options
        if not options.attends:
            return SequenceGraph.of_frames(len(attention), attention.shape[1], self.adjacency)
        make = SequenceGraph.by_rows if options.normalise == "row" else SequenceGraph.by_columns
        return make(self._prune(attention), self.adjacency, options.self_loop)

    def _prune(self, attention: Tensor) -> Tensor:
        return (prune_past if self.options.prune == "past" else prune_row)(attention, self.options.kept)

    def _check(self, noise: Tensor) -> None:
        if noise.ndim != 3 or noise.shape[2] != self.noise:
            raise ValueError(f"noise has shape {tuple(noise.shape)}, expected [b, t, {self.noise}].")
        if self.options.node_mixing != "none" and noise.shape[1] != self.length:
            raise ValueError(
                f"{noise.shape[1]} frames were asked for, but this generator mixes the nodes of {self.length} frames "
                "and makes no other length."
            )


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """A variant of the stack of graph layers, and changes of it.

    Args:
        variant: ``paper``, or ``reference``: the released program with all its quirks, which loads its checkpoints.
        layer, kept, self_loop, node_mixing, activation, coordinates, random_start, kernel: see :class:`GraphOptions`;
            ``None`` leaves the variant as it is. The reference variant takes ``kept`` alone.
    """

    variant: Variant = "paper"
    layer: Layer | None = None
    kept: int | None = None
    self_loop: float | None = None
    node_mixing: NodeMixing | None = None
    activation: Activation | None = None
    coordinates: Coordinates | None = None
    random_start: bool | None = None
    kernel: tuple[int, int] | None = None

    def options(self) -> GraphOptions:
        """The options that come of it; errors as in :func:`variant_options`."""
        return variant_options(**vars(self))


def variant_options(
    variant: Variant,
    *,
    layer: Layer | None = None,
    kept: int | None = None,
    self_loop: float | None = None,
    node_mixing: NodeMixing | None = None,
    activation: Activation | None = None,
    coordinates: Coordinates | None = None,
    random_start: bool | None = None,
    kernel: tuple[int, int] | None = None,
) -> GraphOptions:
    """The options of a variant, changed where an argument is given.

    Raises:
        ValueError: for an unknown variant, or a change of the reference variant in anything but ``kept``, whose quirks
            belong together.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is '{variant}', expected one of {', '.join(VARIANTS)}.")
    changes = {
        "layer": layer,
        "kept": kept,
        "self_loop": self_loop,
        "node_mixing": node_mixing,
        "activation": activation,
        "coordinates": coordinates,
        "random_start": random_start,
        "kernel": kernel,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if variant == "reference" and (fixed := set(given) - {"kept"}):
        raise ValueError(
            f"variant='reference' is the released program with all it does, but {min(fixed)} was set; leave it out or "
            "use variant='paper'."
        )
    return replace(VARIANTS[variant], **given)  # type: ignore[arg-type]


def fold(joints: Tensor, coordinates: Coordinates) -> Tensor:
    """``[b, t, v, c] -> [b, t, v, g, signals]``: the coordinates as signals on the graph.

    ``reread`` takes the memory of a batch for ``[c * b, t, v]``; of these, number ``m`` meets the graph of sample
    ``m mod b`` (specification 2.5).
    """
    if coordinates == "channels":
        return joints[:, :, :, None]
    if coordinates == "batch":
        return joints[..., None]
    b, t, v, c = joints.shape
    return rearrange(joints.reshape(c, b, t, v), "g b t v -> b t v g 1")


def unfold(signals: Tensor, channels: int, coordinates: Coordinates) -> Tensor:
    """``[b, t, v, g, signals] -> [b, t, v, c]``: the inverse of :func:`fold`."""
    if coordinates == "channels":
        return signals[:, :, :, 0]
    if coordinates == "batch":
        return signals[..., 0]
    b, t, v, _, _ = signals.shape
    return rearrange(signals, "b t v g 1 -> g b t v").reshape(b, t, v, channels)
