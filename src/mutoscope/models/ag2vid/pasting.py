"""Layouts as images: object vectors inside their boxes, and convolutions of such images that never form them.

A pasted map is a sum of few separable terms, ``map = sum_o vector_o * mask_y(o) x mask_x(o)``, hundreds of channels
wide. Since convolution is linear, its result is a sum over the objects too, with kernels ``W . vector_o``; it is
computed here from the masks' one-dimensional profiles, exactly and without the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mutoscope.structures.clocked import ClockedGraph

#: boxes thinner than this fraction of the frame are widened to it
MIN_EXTENT = 1e-6


def object_masks(boxes: Tensor, real: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Profiles of boxes: 1 inside, fading linearly to 0 over a seventh of the extent outside.

    The closed form of sampling a constant 8x8 image bilinearly with zero padding and aligned corners.

    Args:
        boxes: ``[..., n, 4]`` (x0, y0, width, height) as fractions of the frame; not clipped, negative extents mirror.
        real: ``[n]`` bool, false for nodes that are never drawn.
        size: (height, width) of the map.

    Returns:
        ``[..., n, h]`` and ``[..., n, w]`` in [0, 1], at least float32; zero for nodes that are not real and for boxes
        that are zero throughout.
    """
    if boxes.dtype in (torch.float16, torch.bfloat16):
        boxes = boxes.float()
    drawn = (real & (boxes != 0).any(dim=-1))[..., None].to(boxes.dtype)
    x0, y0, width, height = boxes.unbind(dim=-1)
    return _profile(y0, height, size[0]) * drawn, _profile(x0, width, size[1]) * drawn


def _profile(start: Tensor, extent: Tensor, length: int) -> Tensor:
    extent = torch.where(extent < 0, extent.clamp(max=-MIN_EXTENT), extent.clamp(min=MIN_EXTENT))
    pixels = torch.linspace(0, 1, length, device=start.device, dtype=start.dtype)
    place = 7 * (pixels - start[..., None]) / extent[..., None]
    return torch.minimum(place + 1, 8 - place).clamp(0, 1)


def paste(vectors: Tensor, mask_y: Tensor, mask_x: Tensor, clip: Tensor, num_clips: int) -> Tensor:
    """The map itself, for pictures and comparisons; networks use :func:`conv_layout`.

    Args:
        vectors: ``[..., n, s]``.
        mask_y, mask_x: ``[..., n, h]`` and ``[..., n, w]`` of :func:`object_masks`.
        clip: ``[n]`` the clip of every node.
        num_clips: ``b``.

    Returns:
        ``[..., b, s, h, w]``; objects that overlap are added.
    """
    single = torch.einsum("...ns,...nh,...nw->...nshw", vectors, mask_y, mask_x)
    empty = single.new_zeros(*single.shape[:-4], num_clips, *single.shape[-3:])
    return empty.index_add(single.ndim - 4, clip, single)


@dataclass(frozen=True)
class ObjectSlots:
    """Where the real objects of concatenated clips lie once every clip has the same number of slots.

    Args:
        place: ``[n]`` int64, ``clip * count + slot``; ``num_clips * count`` for nodes that are not real.
        num_clips: ``b``.
        count: slots per clip ``o``.
    """

    place: Tensor
    num_clips: int
    count: int

    @classmethod
    def of(cls, graph: ClockedGraph) -> Self:
        """Slots for the objects of a batch; nothing here makes the host wait for the device."""
        real = graph.real.long()
        per_clip = real.new_zeros(graph.num_clips).index_add(0, graph.clip, real)
        first = per_clip.cumsum(0) - per_clip
        slot = real.cumsum(0) - 1 - first[graph.clip]
        nowhere = graph.num_clips * graph.most
        place = torch.where(graph.real, graph.clip * graph.most + slot, nowhere)
        return cls(place, graph.num_clips, graph.most)

    def pack(self, nodes: Tensor) -> Tensor:
        """``[n, ...]`` -> ``[b, o, ...]``, zero where a clip has fewer objects."""
        packed = nodes.new_zeros(self.num_clips * self.count + 1, *nodes.shape[1:])
        packed = packed.index_copy(0, self.place, nodes)[:-1]
        return packed.unflatten(0, (self.num_clips, self.count))


@dataclass(frozen=True)
class LayoutMasks:
    """Profiles of all objects of a batch of clips, packed by clip.

    Args:
        y, x: ``[b, f, o, h]`` and ``[b, f, o, w]``; a profile may be any (a pooled one, say), zero in empty slots.
        slots: how nodes were packed.
    """

    y: Tensor
    x: Tensor
    slots: ObjectSlots

    @classmethod
    def of(cls, graph: ClockedGraph, boxes: Tensor, size: tuple[int, int]) -> "LayoutMasks":
        """Masks of ``boxes [n, f, 4]`` at ``size`` (height, width)."""
        slots = ObjectSlots.of(graph)
        mask_y, mask_x = object_masks(boxes.transpose(0, 1), graph.real, size)
        y, x = (slots.pack(mask.transpose(0, 1)).transpose(1, 2) for mask in (mask_y, mask_x))
        return cls(y, x, slots)

    def frames(self, start: int, stop: int) -> "LayoutMasks":
        """Masks of frames ``start..stop-1``."""
        return replace(self, y=self.y[:, start:stop], x=self.x[:, start:stop])


@dataclass(frozen=True)
class LayoutPart:
    """Channels of a convolution's input that are a pasted layout.

    Args:
        masks: of ``f`` frames.
        vectors: ``[n, f, s]`` one per node and frame.
        weight: ``[out, s, kh, kw]`` the kernels' part for these channels.
    """

    masks: LayoutMasks
    vectors: Tensor
    weight: Tensor

    def factors(self, stride: int, padding: int) -> tuple[Tensor, Tensor]:
        """``[b*f, h', o*kh]`` and ``[b*f, o*kh, w'*out]``, whose product is the convolution, channels last."""
        height, width = self.weight.shape[2:]
        vectors = rearrange(self.masks.slots.pack(self.vectors), "b o f s -> (b f) o s")
        rows = _windows(self.masks.y.flatten(0, 1), height, stride, padding)
        columns = _windows(self.masks.x.flatten(0, 1), width, stride, padding)
        kernels = vectors @ rearrange(self.weight, "out s kh kw -> s (kh kw out)")
        kernels = rearrange(kernels, "m o (kh kw out) -> m o kh kw out", kh=height, kw=width)
        spread = columns[:, :, None].to(kernels.dtype) @ kernels
        return rearrange(rows, "m o h kh -> m h (o kh)"), rearrange(spread, "m o kh w out -> m (o kh) (w out)")


def _windows(masks: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """``[m, o, l]`` -> ``[m, o, l', kernel]``: what each output position sees, zero outside the frame."""
    return F.pad(masks, (padding, padding)).unfold(-1, kernel, stride)


def conv_layouts(parts: Sequence[LayoutPart], stride: int, padding: int, image: Tensor | None = None) -> Tensor:
    """A convolution whose input is several pasted layouts of the same clips, side by side.

    Equals ``conv2d`` of the concatenated maps with the concatenated kernels, at about ``3 o`` multiplications per
    output number instead of ``9 s`` for 3x3 kernels.

    Args:
        parts: the layouts, at least one, all with the same frame size, kernel size and outputs.
        stride, padding: of the convolution, the same along both axes; zeros are padded.
        image: ``[b*f, out, h', w']`` what the remaining input channels contribute, added to the result.

    Returns:
        ``[b*f, out, h', w']``, channels last in memory.
    """
    rows, columns = zip(*(part.factors(stride, padding) for part in parts), strict=True)
    left, right = torch.cat(rows, dim=2), torch.cat(columns, dim=1)
    left = left.to(right.dtype)
    out = parts[0].weight.shape[0]
    if image is None:
        result = left @ right
    else:
        result = torch.baddbmm(rearrange(image, "m out h w -> m h (w out)").to(right.dtype), left, right)
    # an axis that is called out is taken for a place of results where torch 2.6 compiles
    return rearrange(result, "m h (w c) -> m c h w", c=out)


def conv_layout(masks: LayoutMasks, vectors: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """``conv2d(map, weight)`` for the map of one layout, without the map; see :func:`conv_layouts`.

    Args:
        masks: of ``f`` frames.
        vectors: ``[n, f, s]`` one per node and frame.
        weight: ``[out, s, kh, kw]``.
        stride, padding: of the convolution.

    Returns:
        ``[b*f, out, h', w']``.
    """
    return conv_layouts([LayoutPart(masks, vectors, weight)], stride, padding)
