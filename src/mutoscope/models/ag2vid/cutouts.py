"""Objects cut out of the first frame and carried with their boxes. Ours: the paper's model has nothing like it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.ag2vid.pasting import MIN_EXTENT, ObjectSlots, object_masks
from mutoscope.structures.clocked import ClockedGraph

#: scores of depth lie within so much of zero: a nearer object outweighs a farther one by exp(2 * 6) at most
_DEPTH = 6.0
#: how fast an object stops owning pixels outside its box, per half extent, before anything is learned
_FALL = 2.0
#: of what the network says about ownership, which so goes far in few steps
_GAIN = 4.0
#: around an object so much of the frame's width, a pixel at least, goes with it when its place is filled: it shows the
#: object's edge and its nearest shadow
_RIM = 1 / 64
#: relative coordinates are cut off at so many half extents
_REACH = 4.0


@dataclass(frozen=True)
class Cut:
    """Who owns what in a first frame.

    Args:
        owned: ``[b, o, h, w]`` the share of every pixel that belongs to each object; they sum to 1 at most, the rest is
            background.
        filled: ``[b, 3, h, w]`` the background, also where objects hide it.
    """

    owned: Tensor
    filled: Tensor


class Cutouts(nn.Module):
    """First frames taken apart and put together again as a layout says.

    A small network says how much of every pixel of the first frame belongs to each object: it sees the colours around
    the pixel, how they differ from those in the object's box, what the object is, and where the pixel lies relative to
    the box. What is owned moves and scales with the box; where several objects come to lie, a learned score says which
    is nearer, at first the one whose box ends lower in the picture. What moving objects leave is filled with background
    from around. As long as boxes rest, the result is the first frame itself.

    Args:
        attributes: width of the embedded attributes of an object.
        vectors: width of an object's whole vector, which scores of depth read.
        hidden: width of the network.
    """

    def __init__(self, attributes: int, vectors: int, hidden: int = 16) -> None:
        super().__init__()
        self.colors = nn.Sequential(
            nn.Conv2d(3, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, padding=1)
        )
        self.background = nn.Conv2d(hidden, 1, 1)
        self.what = nn.Linear(attributes, hidden, bias=False)
        self.column, self.row = nn.Linear(3, hidden, bias=False), nn.Linear(3, hidden, bias=False)
        self.unlike = nn.Linear(3, hidden, bias=False)
        self.owns = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.depth = nn.Linear(vectors + 1, 1)
        with torch.no_grad():
            for last in (self.owns[-1], self.background, self.depth):
                assert isinstance(last, nn.Linear | nn.Conv2d)
                assert last.bias is not None
                last.weight.mul_(0.1 / _GAIN)
                last.bias.zero_()
            self.depth.weight[:, -1] = _DEPTH

    def cut(self, graph: ClockedGraph, boxes: Tensor, attributes: Tensor, frame: Tensor) -> Cut:
        """Take first frames apart.

        Args:
            graph: objects of ``b`` clips.
            boxes: ``[n, 4]`` of the first frame.
            attributes: ``[n, k]`` embedded.
            frame: ``[b, 3, h, w]``.
        """
        slots = ObjectSlots.of(graph)
        u, v = (slots.pack(place) for place in _relative(boxes, (frame.shape[-2], frame.shape[-1])))
        colors = self.colors(frame)
        what = self.what(slots.pack(attributes))
        across = self.column(_curves(u)) + what[:, :, None]
        down = self.row(_curves(v))
        inner = across[:, :, None] + down[:, :, :, None] + colors.permute(0, 2, 3, 1)[:, None]
        inner = inner + self.unlike(_unlike(slots, boxes, graph.real, frame))
        outside = torch.maximum(u.abs()[:, :, None], v.abs()[:, :, :, None])
        logits = _GAIN * self.owns(inner)[..., 0] + _FALL * (1 - outside)
        there = slots.pack(graph.real.to(logits.dtype)) > 0
        logits = logits.masked_fill(~there[:, :, None, None], float("-inf"))
        free = (_GAIN * self.background(colors)).to(logits.dtype)
        shares = torch.cat([free, logits], dim=1).softmax(dim=1)
        # pixels that are only partly background, or border on objects, show something of them: they count little
        return Cut(shares[:, 1:], _fill(frame, (1 - _grown(1 - shares[:, :1])) ** 4))

    def forward(self, graph: ClockedGraph, boxes: Tensor, attributes: Tensor, vectors: Tensor, frame: Tensor) -> Tensor:
        """First frames as layouts say.

        Args:
            graph: objects of ``b`` clips.
            boxes: ``[n, t, 4]`` the layout.
            attributes: ``[n, k]`` embedded.
            vectors: ``[n, t, s]`` of the objects.
            frame: ``[b, 3, h, w]`` the first frames.

        Returns:
            ``[b, t - 1, 3, h, w]`` frames 1..t-1.
        """
        found = self.cut(graph, boxes[:, 0], attributes, frame)
        slots = ObjectSlots.of(graph)
        height, width = frame.shape[-2:]
        went = (boxes[:, 1:] - boxes[:, :1]) * boxes.new_tensor([width, height, width, height])
        moved = slots.pack(went.abs().amax(dim=-1).clamp(max=1)).transpose(1, 2)
        bottom = (boxes[:, 1:, 1] + boxes[:, 1:, 3])[..., None] * 2 - 1
        nearness = self.depth(torch.cat([vectors[:, 1:], bottom.to(vectors.dtype)], dim=-1))[..., 0]
        weight = slots.pack((_DEPTH * torch.tanh(nearness / _DEPTH * 2)).exp()).transpose(1, 2)
        precise = torch.promote_types(weight.dtype, torch.float32)
        with torch.autocast(frame.device.type, enabled=False):
            return _compose(found, frame, slots, boxes, moved, weight.to(precise))


def _compose(found: Cut, frame: Tensor, slots: ObjectSlots, boxes: Tensor, moved: Tensor, weight: Tensor) -> Tensor:
    """Cut-outs where the boxes are, over what they left.

    Args:
        found: in the first frames.
        frame: ``[b, 3, h, w]`` the first frames.
        slots: of the objects.
        boxes: ``[n, t, 4]``.
        moved: ``[b, t - 1, o]`` in [0, 1], whether an object has left its place.
        weight: ``[b, t - 1, o]`` positive, how much an object counts where several are.

    Returns:
        ``[b, t - 1, 3, h, w]``.
    """
    height, width = frame.shape[-2:]
    columns = slots.pack(_carry(boxes[..., 0], boxes[..., 2], width)).transpose(1, 2)
    rows = slots.pack(_carry(boxes[..., 1], boxes[..., 3], height)).transpose(1, 2)
    # [b, o, 4, h, w]: colours and cover of every cut-out, then of every frame, summed over objects
    pieces = found.owned[:, :, None] * torch.cat([frame, torch.ones_like(frame[:, :1])], dim=1)[:, None]
    shifted = pieces.flatten(2, 3)[:, None] @ columns.transpose(-1, -2)
    shifted = shifted.unflatten(3, (4, height))
    mixed = torch.einsum("btohy,btocyx->btchx", rows * weight[..., None, None], shifted)
    cover = torch.einsum("btohy,btoyx->bthx", rows, shifted[:, :, :, 3]).clamp(max=1)[:, :, None]
    # the rim of what leaves goes too; where other objects are, they cover the hole
    left = torch.einsum("bto,bohw->bthw", moved, _grown(found.owned)).clamp(max=1)[:, :, None]
    behind = frame[:, None] + left * (found.filled - frame)[:, None]
    objects = mixed[:, :, :3] / mixed[:, :, 3:].clamp(min=1e-9)
    return behind + cover * (objects - behind)


def _grown(shares: Tensor) -> Tensor:
    """The largest share ``[..., h, w]`` among each pixel and those around it."""
    rim = max(1, round(_RIM * shares.shape[-1]))
    return F.max_pool2d(shares, 2 * rim + 1, stride=1, padding=rim)


def _unlike(slots: ObjectSlots, boxes: Tensor, real: Tensor, frame: Tensor) -> Tensor:
    """How far every pixel's colour is from the mean colour in each box: ``[b, o, h, w, 3]``, not negative."""
    rows, columns = (slots.pack(mask) for mask in object_masks(boxes, real, (frame.shape[-2], frame.shape[-1])))
    total = rows.sum(dim=-1) * columns.sum(dim=-1)
    mean = torch.einsum("boh,bow,bchw->boc", rows, columns, frame) / total.clamp(min=MIN_EXTENT)[..., None]
    return (frame.permute(0, 2, 3, 1)[:, None] - mean[:, :, None, None]).abs()


def _relative(boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where columns ``[n, w]`` and rows ``[n, h]`` lie in boxes ``[n, 4]``: -1 and 1 at the sides, cut off beyond."""
    x0, y0, width, height = boxes.unbind(dim=-1)
    return _along(x0, width, size[1]), _along(y0, height, size[0])


def _along(start: Tensor, extent: Tensor, length: int) -> Tensor:
    pixels = torch.linspace(0, 1, length, device=start.device, dtype=start.dtype)
    place = 2 * (pixels - start[:, None]) / extent.abs().clamp(min=MIN_EXTENT)[:, None] - 1
    return place.clamp(-_REACH, _REACH)


def _curves(place: Tensor) -> Tensor:
    """What the network reads of relative coordinates: ``[...]`` -> ``[..., 3]``."""
    return torch.stack([place, place.abs(), place.square() / _REACH], dim=-1)


def _carry(start: Tensor, extent: Tensor, length: int) -> Tensor:
    """Linear interpolation along one axis that carries the content of a box at frame 0 to the boxes after it.

    Args:
        start, extent: ``[n, t]`` of boxes along the axis.
        length: pixels along the axis.

    Returns:
        ``[n, t - 1, length, length]``: what each pixel (row) takes of every pixel of frame 0 (column); zero where it
        takes what lies outside.
    """
    extent = extent.abs().clamp(min=MIN_EXTENT)
    pixels = torch.linspace(0, 1, length, device=start.device, dtype=start.dtype)
    ratio = (extent[:, :1] / extent[:, 1:])[..., None]
    source = start[:, :1, None] + (pixels - start[:, 1:, None]) * ratio
    distance = source[..., None] * (length - 1) - torch.arange(length, device=start.device, dtype=start.dtype)
    return (1 - distance.abs()).clamp(min=0)


def _fill(frame: Tensor, known: Tensor) -> Tensor:
    """Images ``[b, 3, h, w]`` with what is not known (``[b, 1, h, w]`` in [0, 1]) taken from around.

    Known pixels are averaged over ever larger blocks; where a block holds too little, the next larger one counts.
    """
    levels = [torch.cat([frame * known, known], dim=1)]
    while min(levels[-1].shape[-2:]) > 1:
        levels.append(F.avg_pool2d(levels[-1], 2))
    color = levels[-1][:, :3] / levels[-1][:, 3:].clamp(min=1e-6)
    for i, level in reversed(list(enumerate(levels[:-1]))):
        color = F.interpolate(color, size=level.shape[-2:], mode="bilinear", align_corners=False)
        weight = level[:, 3:]
        # a block counts as it is from a quarter of known pixels on, a single pixel as far as it is known
        share = (4 * weight).clamp(max=1) if i else weight
        color = color + share * (level[:, :3] / weight.clamp(min=1e-6) - color)
    return color
