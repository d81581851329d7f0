"""Frame generating function: layouts and the previous frame become the next frame (paper, section 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from mutoscope.models.ag2vid.cutouts import Cutouts
from mutoscope.models.ag2vid.flow import ConvNorm, FlowNetwork, FlowSettings
from mutoscope.models.ag2vid.graph_layers import AttributeEmbedding
from mutoscope.models.ag2vid.layout_conv import LayoutConv2d, LayoutPair
from mutoscope.models.ag2vid.pasting import LayoutMasks
from mutoscope.nn.spade import SpadeGenerator, SpadeSettings
from mutoscope.nn.spectral import fixed_weights, recompute, spectral_weights
from mutoscope.nn.warp import warp
from mutoscope.structures.clocked import ClockedGraph


@dataclass(frozen=True)
class Frames:
    """Generated frames 1..t-1 and what they were put together from.

    Args:
        frames: ``[b, t-1, 3, h, w]`` ImageNet-normalised colours, not clamped.
        flow: ``[b, t-1, 2, h, w]`` pixels; where in frame ``k-1`` frame ``k`` reads.
        warped: ``[b, t-1, 3, h, w]`` the previous frame moved along the flow.
        residual: ``[b, t-1, 3, h, w]`` in [-1, 1], what is added to it.
    """

    frames: Tensor
    flow: Tensor
    warped: Tensor
    residual: Tensor


@dataclass(frozen=True, kw_only=True)
class FrameSettings:
    """Of the networks that make frames.

    Args:
        flow: of the flow network.
        spade: of what draws.
        attribute_width: columns of each attribute's table; ``None``: ``3E`` over all attributes.
        segmap_channels: channels of the fused map; ``None``: ``E`` per attribute.
        follow_boxes: start the flow from how far each box went, which the flow network then corrects. Ours: the paper's
            network finds all of the flow by itself, which takes it long.
        carry_objects: every frame continues the first frame with its objects cut out and carried with their boxes (see
            :class:`~mutoscope.models.ag2vid.cutouts.Cutouts`) instead of the previous frame; flow and residual correct
            that. Frames then no longer follow one another, so that all of a clip are made at once and nothing blurs or
            adds up. Ours.
        align_corners: of the warp; false for released checkpoints, see :func:`~mutoscope.nn.warp.warp`.
    """

    flow: FlowSettings = field(default_factory=FlowSettings)
    spade: SpadeSettings = field(default_factory=SpadeSettings)
    attribute_width: int | None = None
    segmap_channels: int | None = None
    follow_boxes: bool = False
    carry_objects: bool = False
    align_corners: bool = True

    def __post_init__(self) -> None:
        if self.follow_boxes and self.carry_objects:
            raise ValueError(
                "follow_boxes and carry_objects are both on, but objects that are carried have followed their boxes "
                "already; use one of them."
            )


class FrameGeneratingFunction(nn.Module):
    """``v_t = warp(v_{t-1}, flow) + tanh(SPADE(fuse(layouts, warped)))`` (paper, equations 4 and 5).

    Args:
        sizes: number of values of every object attribute.
        settings: see there.
        width: of the descriptors of the graph network ``E``.
        recomputed: see :class:`~mutoscope.nn.spade.SpadeGenerator`.
        residual: add what the SPADE generator draws; without it there is none, and the frames are the warped ones
            (Table 2, first row).
    """

    #: what draws; absent without a residual
    fuse: ConvNorm
    generator: SpadeGenerator

    def __init__(
        self,
        sizes: Sequence[int],
        settings: FrameSettings = FrameSettings(),
        *,
        width: int = 128,
        recomputed: int = 0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.align_corners, self.follow_boxes = settings.align_corners, settings.follow_boxes
        self.width, self.residual = width, residual
        self.attributes = AttributeEmbedding(sizes, settings.attribute_width or 3 * width // len(sizes))
        vectors = self.attributes.width + width
        self.flow = FlowNetwork(vectors, settings.flow)
        if residual:
            segmap = settings.segmap_channels or len(sizes) * width
            self.fuse = ConvNorm(LayoutConv2d(vectors, segmap))
            self.generator = SpadeGenerator(segmap, settings.spade, recomputed)
        self.cutouts = Cutouts(self.attributes.width, vectors) if settings.carry_objects else None

    def check_statistics(self, images: int, size: tuple[int, int]) -> None:
        """Raise ``ValueError`` where batch norm would see a single value per channel, which has no deviation.

        Args:
            images: made at once in a training step.
            size: their height and width.
        """
        if not (self.training and self.residual) or any(isinstance(m, nn.SyncBatchNorm) for m in self.modules()):
            return
        height, width = (side // self.generator.reduction for side in size)
        if images * height * width == 1:
            raise ValueError(
                f"Batch norm in the frame generator would see one value per channel: one frame of {size[0]}x{size[1]} "
                f"at a time, {self.generator.reduction} times smaller. Raise dataset.batch_size (model.micro_batches "
                "divides it) or dataset.size, or train on given frames, several at a time "
                "(model.frames.previous=given, model.frames.per_frame=false)."
            )

    def object_vectors(self, graph: ClockedGraph, descriptors: Tensor) -> Tensor:
        """What is pasted into boxes: attributes beside ``descriptors [n, t, E]`` -> ``[n, t, s]``."""
        attributes = self.attributes(graph.attributes)[:, None].expand(-1, descriptors.shape[1], -1)
        return torch.cat([attributes, descriptors.to(attributes.dtype)], dim=-1)

    def forward(
        self,
        graph: ClockedGraph,
        boxes: Tensor,
        descriptors: Tensor,
        frames: Tensor,
        *,
        autoregressive: bool = False,
        per_frame: bool = False,
        detach_every: int | None = None,
        recompute_frames: bool = False,
    ) -> Frames:
        """Generate frames 1..t-1.

        Args:
            graph: objects of ``b`` clips.
            boxes: ``[n, t, 4]`` the layout.
            descriptors: ``[n, t, E]`` of the graph network, zero at frame 0 as it gives them.
            frames: ``[b, t, 3, h, w]`` ImageNet-normalised real frames, each of which its successor is made from; when
                autoregressive, or when objects are carried, only the first is read and others may be absent.
            autoregressive: make every frame from the one generated before; gradients flow through all of them. Where
                objects are carried, no frame is made from another, and this changes nothing.
            per_frame: with real previous frames, make one frame at a time as the original does, so that batch norm and
                power iterations see one frame per step; otherwise all frames are one batch.
            detach_every: stop gradients between frames after every so many frames of an autoregressive roll-out.
            recompute_frames: keep only the frames of a roll-out and compute all else again in the backward pass.

        Raises:
            ValueError: if the sizes of the inputs do not fit together.
        """
        steps = boxes.shape[1] - 1
        once = autoregressive or self.cutouts is not None
        self._check(graph, boxes, descriptors, frames, needed=1 if once else steps)
        masks = LayoutMasks.of(graph, boxes, (frames.shape[-2], frames.shape[-1]))
        scene = _Scene(masks, self.object_vectors(graph, descriptors), self._drift(masks, boxes))
        if self.cutouts is not None:
            attributes = scene.vectors[:, 0, : self.attributes.width]
            frames = self.cutouts(graph, boxes, attributes, scene.vectors, frames[:, 0])
            autoregressive = False
        if autoregressive:
            with fixed_weights(spectral_weights(self)):
                return self._roll_out(scene, frames[:, 0], detach_every, recompute_frames)
        if per_frame:
            made = [self._step(scene, frames[:, k], k, k + 1) for k in range(steps)]
            return _join(made)
        return self._step(scene, frames[:, :steps].flatten(0, 1), 0, steps)

    def _drift(self, masks: LayoutMasks, boxes: Tensor) -> Tensor | None:
        return box_flow(masks, boxes) if self.follow_boxes else None

    def _roll_out(self, scene: "_Scene", frame: Tensor, detach_every: int | None, again: bool) -> Frames:
        made: list[Frames] = []
        for k in range(scene.vectors.shape[1] - 1):
            if k and detach_every is not None and k % detach_every == 0:
                frame = frame.detach()
            if again and torch.is_grad_enabled():
                made.append(_recomputed_step(self, scene, frame, k))
            else:
                made.append(self._step(scene, frame, k, k + 1))
            frame = made[-1].frames[:, 0]
        return _join(made)

    def _step(self, scene: "_Scene", previous: Tensor, start: int, stop: int) -> Frames:
        """Frames ``start + 1 .. stop`` from ``previous [b * (stop - start), 3, h, w]``."""
        masks, vectors = scene.masks, scene.vectors
        flow = self.flow(self.layout_pair(masks, vectors, previous, start, stop))
        if scene.drift is not None:
            flow = flow + scene.drift[:, start:stop].flatten(0, 1)
        warped = warp(previous, flow, self.align_corners)
        residual = torch.zeros_like(warped)
        if self.residual:
            drawn = self.generator(self.fuse(self.layout_pair(masks, vectors, warped, start, stop)))
            residual = drawn.to(warped.dtype)
        made = (warped + residual, flow, warped, residual)
        return Frames(*(x.unflatten(0, (-1, stop - start)) for x in made))

    def layout_pair(self, masks: LayoutMasks, vectors: Tensor, image: Tensor, start: int, stop: int) -> LayoutPair:
        """What frames ``start + 1 .. stop`` are made from, beside ``image [b * (stop - start), 3, h, w]``."""
        return LayoutPair(
            masks.frames(start, stop),
            masks.frames(start + 1, stop + 1),
            vectors[:, start:stop],
            vectors[:, start + 1 : stop + 1],
            image,
        )

    def _check(self, graph: ClockedGraph, boxes: Tensor, descriptors: Tensor, frames: Tensor, needed: int) -> None:
        nodes, length = graph.num_nodes, boxes.shape[1]
        if boxes.shape != (nodes, length, 4):
            raise ValueError(f"The layout has shape {list(boxes.shape)}, expected [{nodes} nodes, frames, 4].")
        if descriptors.shape != (nodes, length, self.width):
            raise ValueError(
                f"Descriptors have shape {list(descriptors.shape)}, expected {[nodes, length, self.width]} "
                f"for a layout of {length} frames."
            )
        if frames.ndim != 5 or frames.shape[0] != graph.num_clips or frames.shape[1] < max(needed, 1) or needed < 1:
            raise ValueError(
                f"Frames have shape {list(frames.shape)}, expected [{graph.num_clips} clips, at least "
                f"{max(needed, 1)}, 3, height, width] for a layout of {length} frames, which must be at least 2."
            )


@dataclass(frozen=True)
class _Scene:
    """What all frames of a batch are made from: masks, what fills them ``[n, t, s]``, and where boxes drift."""

    masks: LayoutMasks
    vectors: Tensor
    drift: Tensor | None


def box_flow(masks: LayoutMasks, boxes: Tensor) -> Tensor:
    """The flow that carries the content of every box along with it.

    Where the box of a moving object is, it points back to where the box was. Where the box was and is no more, it
    points as far the same way, which is outside the old box: what the object uncovers is filled from beside it. Boxes
    of several moving objects that overlap are averaged, boxes at rest do not count (an object counts by how far it
    went, up to one pixel).

    Args:
        masks: of the layout.
        boxes: ``[n, t, 4]`` the layout.

    Returns:
        ``[b, t - 1, 2, h, w]`` pixels, channel 0 to the right; where in frame ``k`` frame ``k + 1`` reads.
    """
    pixels = boxes.new_tensor([masks.x.shape[-1] - 1, masks.y.shape[-1] - 1])
    back = (boxes[:, :-1, :2] - boxes[:, 1:, :2]) * pixels
    weight = back.norm(dim=-1, keepdim=True).clamp(max=1)
    packed = masks.slots.pack(torch.cat([back * weight, weight], dim=-1))
    before, after = masks.frames(0, masks.y.shape[1] - 1), masks.frames(1, masks.y.shape[1])
    # objects reach a little beyond their boxes: most of the fading border counts as inside
    y0, y1, x0, x1 = ((4 * profile).clamp(max=1) for profile in (before.y, after.y, before.x, after.x))
    # the union of both places, as a sum of separable terms
    rows, columns = torch.cat([y0, y1, y0 * y1], dim=2), torch.cat([x0, x1, x0 * x1], dim=2)
    signed = torch.cat([packed, packed, -packed], dim=1)
    field = torch.einsum("bfoh,bfow,bofc->bfchw", rows, columns, signed)
    return field[:, :, :2] / field[:, :, 2:].clamp(min=1)


def _recomputed_step(function: FrameGeneratingFunction, scene: _Scene, previous: Tensor, step: int) -> Frames:
    def run(vectors: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        made = function._step(replace(scene, vectors=vectors), previous, step, step + 1)
        return made.frames, made.flow, made.warped, made.residual

    return Frames(*recompute(function, run, scene.vectors, previous))


def _join(parts: Sequence[Frames]) -> Frames:
    fields = zip(*((p.frames, p.flow, p.warped, p.residual) for p in parts), strict=True)
    return Frames(*(torch.cat(field, dim=1) for field in fields))
