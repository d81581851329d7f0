"""The discriminator of AG2Vid: does this frame show these objects, here, doing that? (paper, section 4.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from mutoscope.models.ag2vid.graph_layers import AttributeEmbedding, GraphConvolution
from mutoscope.models.ag2vid.pasting import LayoutMasks, conv_layout
from mutoscope.nn.patchgan import PADDING, PatchGAN
from mutoscope.structures.clocked import ClockedGraph


@dataclass(frozen=True)
class Conditioning:
    """What the layouts and actions of a batch contribute to the first layer of every scale.

    Args:
        responses: per scale ``[b * f, ndf, h', w']``.
    """

    responses: tuple[Tensor, ...]

    def detach(self) -> Self:
        """The same numbers for a step that does not move the discriminator."""
        return replace(self, responses=tuple(x.detach() for x in self.responses))


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """Of the discriminator.

    Args:
        graph_layers: graph convolutions per frame.
        width: channels of a PatchGAN's first layer.
        layers: convolutions of a PatchGAN before its logits.
        scales: resolutions judged, each half the one before.
        carry_state: a frame's graph network starts from the nodes' state in the frame before, as released; otherwise
            every frame stands for itself and all are computed at once.

    Raises:
        ValueError: if there are no scales, or no graph convolutions.
    """

    graph_layers: int = 2
    width: int = 64
    layers: int = 4
    scales: int = 2
    carry_state: bool = True

    def __post_init__(self) -> None:
        if self.scales < 1 or self.graph_layers < 1:
            raise ValueError(
                f"The discriminator got scales={self.scales} and graph_layers={self.graph_layers}, expected at least 1."
            )


class ActionDiscriminator(nn.Module):
    """PatchGANs at several resolutions on frames beside a map of what every object is and does (spec section 6).

    A graph network looks at the real boxes and at the edges that are active in a frame. Its output and the attributes
    give every object a vector, which fills the object's box. The map itself is never formed: only what the first
    convolutions make of it is computed.

    Args:
        sizes: number of values of every attribute.
        num_actions: rows of the table of actions.
        settings: see there.
        width: of attribute and action embeddings and of the nodes' state (E).
        hidden: width of the graph network's messages.
        use_actions: look at the action edges; otherwise objects are told by their attributes alone.

    Raises:
        ValueError: if ``width`` cannot hold destination and clock.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        num_actions: int,
        settings: DiscriminatorSettings = DiscriminatorSettings(),
        *,
        width: int = 128,
        hidden: int = 512,
        use_actions: bool = True,
    ) -> None:
        super().__init__()
        if width < 4:
            raise ValueError(f"The discriminator got width={width}, expected at least 4.")
        self.n_layers, self.carry_state, self.use_actions = settings.layers, settings.carry_state, use_actions
        self.attributes = AttributeEmbedding(sizes, width)
        given = self.attributes.width
        if use_actions:
            self.actions = nn.Embedding(num_actions, width)
            self.start = _two_layers(given, width, width)
            self.place = _two_layers(width + 4, given, given)
            self.graph_convolutions = nn.ModuleList(
                GraphConvolution(width if layer else given, width, width, hidden)
                for layer in range(settings.graph_layers)
            )
        self.fuse = nn.Linear(given + width if use_actions else given, 2 * width)
        self.patches = nn.ModuleList(
            PatchGAN(3, 2 * width, settings.width, settings.layers) for _ in range(settings.scales)
        )

    def object_states(self, graph: ClockedGraph, clocks: Tensor, boxes: Tensor) -> Tensor:
        """State of every node in every frame after the graph network.

        Args:
            graph: objects and edges.
            clocks: ``[f, a]`` progress of the edges.
            boxes: ``[n, f, 4]``.

        Returns:
            ``[n, f, width]``.

        Raises:
            ValueError: if the discriminator does not look at actions.
        """
        return self._states(graph, clocks, boxes, self.attributes(graph.attributes))

    def object_vectors(self, graph: ClockedGraph, clocks: Tensor, boxes: Tensor) -> Tensor:
        """``[n, f, 2 * width]`` what fills the boxes; arguments as in :meth:`object_states`."""
        embedded = self.attributes(graph.attributes)
        features = embedded[:, None].expand(-1, boxes.shape[1], -1)
        if self.use_actions:
            features = torch.cat([features, self._states(graph, clocks, boxes, embedded)], dim=2)
        return self.fuse(features)

    def condition(self, graph: ClockedGraph, boxes: Tensor, size: tuple[int, int]) -> Conditioning:
        """What layouts and actions contribute to the judgement of frames ``1..t-1``, in the order of :meth:`forward`.

        Computed once per batch it serves the steps of generator and discriminator, since the former moves nothing
        that it depends on.

        Args:
            graph: objects and edges of ``b`` clips.
            boxes: ``[n, t, 4]`` real boxes, those of the first frame included.
            size: (height, width) of the frames.
        """
        boxes, clocks = boxes[:, 1:], graph.clocks(boxes.shape[1])[1:]
        vectors = self.object_vectors(graph, clocks, boxes)
        masks = LayoutMasks.of(graph, boxes, size)
        responses = []
        for patch in self._scales:
            responses.append(conv_layout(masks, vectors, patch.condition_weight, stride=2, padding=PADDING))
            masks = replace(masks, y=_halve_profile(masks.y), x=_halve_profile(masks.x))
        return Conditioning(tuple(responses))

    def forward(self, frames: Tensor, conditioning: Conditioning) -> list[list[Tensor]]:
        """Judge frames.

        Args:
            frames: ``[b, t - 1, 3, h, w]`` normalised frames ``1..t-1`` of every clip, or ``[k, b, t - 1, 3, h, w]``.
            conditioning: from :meth:`condition`; shared by the ``k`` versions of the clips.

        Returns:
            per scale the output of every layer, ``[(k *) b * (t - 1), c, h', w']``, the last being logits.
        """
        frames = frames.flatten(0, -4)
        judged = []
        for i, (patch, response) in enumerate(zip(self._scales, conditioning.responses, strict=True)):
            if i > 0:
                frames = F.avg_pool2d(frames, 3, stride=2, padding=1, count_include_pad=False)
            judged.append(patch(frames, response))
        return judged

    def compare(
        self, real: Tensor, fake: Tensor, conditioning: Conditioning
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Judge real and generated frames in one batch; instance norm keeps them apart.

        Args:
            real, fake: ``[b, t - 1, 3, h, w]``.
            conditioning: from :meth:`condition`.

        Returns:
            features of the real and of the generated frames, each as :meth:`forward` gives them.
        """
        judged = self(torch.stack([real, fake.to(real.dtype)]), conditioning)
        halves = [[feature.chunk(2) for feature in scale] for scale in judged]
        return [[half[0] for half in scale] for scale in halves], [[half[1] for half in scale] for scale in halves]

    @property
    def _scales(self) -> list[PatchGAN]:
        return [cast(PatchGAN, patch) for patch in self.patches]

    def _states(self, graph: ClockedGraph, clocks: Tensor, boxes: Tensor, embedded: Tensor) -> Tensor:
        if not self.use_actions:
            raise ValueError("This discriminator does not look at actions, so its objects have no states.")
        state = self.start(embedded)
        edges = self._edge_features(graph, clocks)
        active = ((clocks >= 0) & (clocks <= 1)).to(boxes.dtype)
        if self.carry_state:
            states = []
            for frame in range(boxes.shape[1]):
                state = self._step(state, boxes[:, frame], edges[frame], graph.subject, graph.object, active[frame])
                states.append(state)
            return torch.stack(states, dim=1)
        nodes, frames = boxes.shape[:2]
        offsets = nodes * torch.arange(frames, device=boxes.device)[:, None]
        subject, target = (graph.subject + offsets).flatten(), (graph.object + offsets).flatten()
        repeated, placed = state.repeat(frames, 1), rearrange(boxes, "o t d -> (t o) d")
        all_frames = self._step(repeated, placed, edges.flatten(0, 1), subject, target, active.flatten())
        return rearrange(all_frames, "(t o) d -> o t d", t=frames)

    def _step(
        self, state: Tensor, boxes: Tensor, edges: Tensor, subject: Tensor, target: Tensor, active: Tensor
    ) -> Tensor:
        nodes = self.place(torch.cat([state, boxes.to(state.dtype)], dim=1))
        for layer in self.graph_convolutions:
            nodes, edges = layer(nodes, edges, subject, target, active)
        return nodes

    def _edge_features(self, graph: ClockedGraph, clocks: Tensor) -> Tensor:
        """``[f, a, width]``: the action's embedding, its last three numbers replaced by destination and clock."""
        kept = self.actions(graph.action)[:, :-3].expand(len(clocks), -1, -1)
        destination = graph.destination.expand(len(clocks), -1, -1)
        return torch.cat([kept, destination.to(kept.dtype), clocks[..., None].to(kept.dtype)], dim=2)


def _two_layers(given: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(given, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, out, bias=False), nn.ReLU())


def _halve_profile(profile: Tensor) -> Tensor:
    """``[b, f, o, l]`` averaged as the frames are; the average over the pixels inside a frame is separable."""
    pooled = F.avg_pool1d(profile.flatten(0, 2)[:, None], 3, stride=2, padding=1, count_include_pad=False)
    return pooled[:, 0].unflatten(0, profile.shape[:3])
