"""How well generated boxes lie on the true ones (AG2Vid, Table 4; spec section 9, "Layout metrics")."""

from typing import Literal

import torch
from torch import Tensor

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import check_finite
from mutoscope.structures.boxes import centres

Statistic = Literal["miou", "recall"]

#: an object moves in a clip if its box centre leaves its first place by more than this fraction of the frame
MOVING = 0.02


def box_iou_pairs(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of corresponding boxes; 0 where both are empty.

    Args:
        a, b: ``[..., 4]`` (x0, y0, width, height) in one unit, not clipped.

    Returns:
        ``[...]`` from 0 to 1.

    Example:
        >>> box_iou_pairs(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.5, 0.0, 1.0, 1.0]))
        tensor(0.3333)
    """
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    union = a[..., 2:].prod(dim=-1) + b[..., 2:].prod(dim=-1) - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1), 0)


def moving_objects(real_boxes: Tensor, threshold: float = MOVING) -> Tensor:
    """Which objects move in their clip.

    Args:
        real_boxes: ``[n, t, 4]`` true boxes, fractions of the frame.
        threshold: distance of the box centre from its first place that counts as moving, fraction of the frame.

    Returns:
        ``[n]`` bool.
    """
    centre = centres(real_boxes)
    return (centre - centre[:, :1]).norm(dim=-1).amax(dim=1) > threshold


class LayoutIoU(RunningAverage):
    """Mean IoU of generated boxes with true ones, or the share of boxes above an IoU.

    Pooled over all frames but the given first one and all objects that count; generated boxes are first clamped to
    0..1, entry by entry.

    Args:
        statistic: ``"miou"``, or ``"recall"`` for the share of boxes whose IoU is above ``threshold``.
        threshold: of the recall (the paper reports 0.3 and 0.5); not used by ``"miou"``.
        moving_only: count only objects that move in the true clip: objects at rest are easy, and most are at rest.

    Raises:
        ValueError: for an unknown statistic or a threshold outside 0..1.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def __init__(self, statistic: Statistic = "miou", threshold: float = 0.5, moving_only: bool = False) -> None:
        super().__init__("moving object" if moving_only else "object")
        if statistic not in ("miou", "recall"):
            raise ValueError(f"statistic is '{statistic}', expected miou or recall.")
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold is {threshold}, expected an IoU from 0 up to, but not including, 1.")
        self.statistic, self.threshold, self.moving_only = statistic, threshold, moving_only
        what = "mean IoU of boxes" if statistic == "miou" else f"boxes with an IoU above {threshold:g}"
        which = "moving objects" if moving_only else "all objects"
        self.meaning = f"{what} with the true ones, {which}; fraction from 0 to 1"

    def update(self, fake_boxes: Tensor, real_boxes: Tensor, real_nodes: Tensor, moving: Tensor) -> None:
        """Add the objects of some clips.

        Args:
            fake_boxes, real_boxes: ``[n, t, 4]`` (x0, y0, width, height), fractions of the frame; frame 0 is given.
            real_nodes: ``[n]`` bool, nodes that are objects and not the image.
            moving: ``[n]`` bool, see :func:`moving_objects`.

        Raises:
            ValueError: for other shapes, or boxes with NaN.
        """
        n = len(real_boxes)
        if real_boxes.shape != (n, real_boxes.shape[1], 4) or fake_boxes.shape != real_boxes.shape:
            raise ValueError(
                f"{type(self).__name__} got boxes {list(fake_boxes.shape)} and {list(real_boxes.shape)}, "
                "expected [n, t, 4] twice."
            )
        if real_nodes.shape != (n,) or moving.shape != (n,):
            raise ValueError(
                f"{type(self).__name__} got real_nodes {list(real_nodes.shape)} and moving {list(moving.shape)}, "
                f"expected [{n}] twice."
            )
        check_finite(type(self).__name__, fake_boxes=fake_boxes, real_boxes=real_boxes)
        iou = box_iou_pairs(fake_boxes[:, 1:].clamp(0, 1), real_boxes[:, 1:])
        counted = real_nodes & moving if self.moving_only else real_nodes
        value = iou if self.statistic == "miou" else (iou > self.threshold).to(iou)
        self._add(value, counted[:, None].expand_as(iou))
