"""What can be asked of boxes (x0, y0, width, height)."""

from torch import Tensor


def centres(boxes: Tensor) -> Tensor:
    """``[..., 4]`` boxes -> ``[..., 2]`` (x, y) of their centres, in the unit of the boxes."""
    return boxes[..., :2] + boxes[..., 2:] / 2
