"""Moving an image's pixels along a flow field."""

import torch
from torch import Tensor
from torch.nn import functional as F


def warp(image: Tensor, flow: Tensor, align_corners: bool = True) -> Tensor:
    """Read every pixel of the result at its own place plus its flow; bilinear, borders repeated.

    Args:
        image: ``[b, c, h, w]``.
        flow: ``[b, 2, h, w]`` in pixels, channel 0 to the right and 1 down: a backward flow.
        align_corners: true: zero flow leaves the image as it is. False: as AG2Vid was released, whose grid and sampling
            disagree: pixel ``i`` of zero flow reads ``i * w / (w - 1) - 0.5``.

    Returns:
        ``[b, c, h, w]``, at least float32, since half precision cannot tell neighbouring pixels apart.
    """
    precise = torch.promote_types(torch.promote_types(image.dtype, flow.dtype), torch.float32)
    image, flow = image.to(precise), flow.to(precise)
    height, width = image.shape[-2:]
    x = torch.linspace(-1, 1, width, device=flow.device, dtype=precise) + flow[:, 0] * (2 / max(width - 1, 1))
    y = torch.linspace(-1, 1, height, device=flow.device, dtype=precise)[:, None] + flow[:, 1] * (
        2 / max(height - 1, 1)
    )
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=align_corners)
