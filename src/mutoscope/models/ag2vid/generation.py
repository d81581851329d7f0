"""From what is asked to videos: clips a few at a time through AG2Vid's generator, colours there and back."""

import torch
from torch import Tensor

from mutoscope.models.ag2vid.generator import Generator, LayoutGenerator
from mutoscope.models.ag2vid.settings import LayoutName
from mutoscope.structures import ActionGraphBatch, Normaliser


def normalised(frames: Tensor, normaliser: Normaliser) -> Tensor:
    """``[..., 3, h, w]`` uint8 -> normalised by ImageNet's mean and deviation."""
    return normaliser.normalise(frames.movedim(-3, -1).to(torch.float32)).movedim(-1, -3).contiguous()


def denormalised(frames: Tensor, normaliser: Normaliser) -> Tensor:
    """The way back: clipped and rounded to uint8."""
    values = normaliser.denormalise(frames.float().movedim(-3, -1))
    return values.clamp(0, 255).round().to(torch.uint8).movedim(-1, -3).contiguous()


def make_videos(
    generator: LayoutGenerator,
    asked: ActionGraphBatch,
    length: int,
    normaliser: Normaliser,
    layout: LayoutName | None,
    batch_size: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Videos and the boxes they follow.

    Args:
        generator: in evaluation mode; where it draws no frames, all of a video are the given one.
        asked: graphs, first frames and first boxes; all boxes are read for ``layout="ground_truth"`` alone.
        length: frames ``t``, the given one included.
        normaliser: of the frames.
        layout: instead of the generator's own.
        batch_size: clips at a time.
        device: of the generator.

    Returns:
        ``[b, t, 3, h, w]`` uint8 and ``[n, t, 4]``.
    """
    frames, boxes = [], []
    for first in range(0, len(asked), batch_size):
        part = asked.select(range(first, min(first + batch_size, len(asked)))).to(device)
        assert part.frames is not None
        given, start = part.frames[:, 0], part.boxes[:, 0]
        if isinstance(generator, Generator):
            video = generator(part.graph, start, normalised(given, normaliser), length, part.boxes, layout)
            frames.append(torch.cat([given[:, None], denormalised(video.frames, normaliser)], dim=1))
            boxes.append(video.boxes)
        else:
            frames.append(given[:, None].expand(-1, length, -1, -1, -1))
            boxes.append(generator.lay_out(part.graph, start, length, part.boxes, layout).boxes)
    return torch.cat(frames), torch.cat(boxes)
