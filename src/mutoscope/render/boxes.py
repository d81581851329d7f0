"""Video frames with the boxes of their objects, and videos beside each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from mutoscope.render.action_graph import contrasting
from mutoscope.render.canvas import Colour, Frames, font, grid

#: bright ones, to be seen on dark and light frames
_PALETTE: tuple[Colour, ...] = (
    (255, 196, 0),
    (0, 190, 255),
    (255, 92, 92),
    (90, 220, 120),
    (214, 120, 255),
    (255, 146, 40),
    (60, 230, 210),
    (255, 130, 190),
)


def draw_boxes(
    frames: Frames,
    boxes: Tensor | NDArray[np.floating],
    names: Sequence[str] = (),
    colours: Sequence[Colour] = (),
    *,
    upscale: int = 1,
) -> Frames:
    """Thin boxes with names over a video.

    Boxes that are all zero (not seen), not finite or wholly outside the frame are left out; those partly outside are
    cut off, their name stays inside.

    Args:
        frames: ``[t, h, w, 3]`` uint8.
        boxes: ``[n, t, 4]`` (x0, y0, width, height) as fractions of the frame.
        names: one per box, or none.
        colours: one per box; a palette by default.
        upscale: how many pixels a pixel becomes in both directions, so that names fit beside small frames.

    Returns:
        ``[t, h * upscale, w * upscale, 3]`` uint8.

    Raises:
        ValueError: shapes or numbers that do not fit together.
    """
    tracks = np.asarray(boxes.detach().cpu() if isinstance(boxes, Tensor) else boxes, dtype=np.float64)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"Frames have shape {list(frames.shape)} of {frames.dtype}, expected [t, h, w, 3] of uint8.")
    if tracks.ndim != 3 or tracks.shape[1:] != (len(frames), 4):
        raise ValueError(f"Boxes have shape {list(tracks.shape)}, expected [n, {len(frames)}, 4] for these frames.")
    for what, given in (("names", names), ("colours", colours)):
        if given and len(given) != len(tracks):
            raise ValueError(f"There are {len(given)} {what} for {len(tracks)} boxes; give one for each, or none.")
    if upscale < 1:
        raise ValueError(f"upscale is {upscale}, expected at least 1.")
    large = frames.repeat(upscale, axis=1).repeat(upscale, axis=2)
    height, width = large.shape[1:3]
    corners = tracks[..., :2, None] + tracks[..., 2:, None] * np.array([0.0, 1.0])
    # predicted sizes may be negative
    low = corners.min(axis=-1) * (width, height)
    high = corners.max(axis=-1) * (width, height)
    shown = tracks.any(axis=-1) & np.isfinite(tracks).all(axis=-1)
    shown &= (high > 0).all(axis=-1) & (low < (width, height)).all(axis=-1)
    paint = list(colours) or [_PALETTE[i % len(_PALETTE)] for i in range(len(tracks))]
    labels = list(names) or [""] * len(tracks)
    # beyond the frame there is nothing to see, and the drawing library counts in 32 bits
    low = np.nan_to_num(np.maximum(low, -9)).round().astype(int)
    high = np.nan_to_num(np.minimum(high, (width + 9, height + 9))).round().astype(int)
    return np.stack(
        [
            _with_boxes(frame, low[shown[:, t], t], high[shown[:, t], t], np.flatnonzero(shown[:, t]), labels, paint)
            for t, frame in enumerate(large)
        ]
    )


def _with_boxes(
    frame: Frames,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    which: NDArray[np.int64],
    names: Sequence[str],
    colours: Sequence[Colour],
) -> Frames:
    page = Image.fromarray(frame)
    pen = ImageDraw.Draw(page)
    side = min(page.size)
    pixels, thick = min(max(side // 24, 9), 16), 1 if side < 240 else 2
    for i, (x0, y0), (x1, y1) in zip(which, low, high, strict=True):
        pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colours[i], width=thick)
    taken: list[tuple[int, int]] = []
    for i, (x0, y0), (_, y1) in zip(which, low, high, strict=True):
        if not names[i]:
            continue
        w, h = int(pen.textlength(names[i], font(pixels))) + 4, pixels + 3
        x = min(max(int(x0), 0), max(page.width - w, 0))
        # above the box, or else below it, inside, or higher up
        places = (y0 - h, y1, y0 + thick, y0 - 2 * h, y0 - 3 * h)
        choices = [min(max(int(y), 0), page.height - h) for y in places]
        free = (y for y in choices if not any(abs(y - b) < h and abs(x - a) < w for a, b in taken))
        y = next(free, choices[0])
        taken.append((x, y))
        pen.rectangle((x, y, x + w - 1, y + h - 1), fill=colours[i])
        pen.text((x + 2, y + h / 2), names[i], contrasting(colours[i]), font(pixels), anchor="lm")
    return np.asarray(page)


def side_by_side(columns: Sequence[tuple[str, Frames]], *, least: int = 192) -> Frames:
    """Videos beside each other under their titles; shorter ones stay on their last frame.

    Args:
        columns: (title, ``[t, h, w, 3]`` uint8); of one size, or of sizes that whole factors make equal.
        least: smaller videos are enlarged, by a whole factor, to about this height in pixels.

    Returns:
        ``[t, h, w, 3]`` uint8.

    Raises:
        ValueError: no videos, or sizes that cannot be made equal.
    """
    tallest = max([least, *(video.shape[1] for _, video in columns)])
    factors = [max(tallest // video.shape[1], 1) for _, video in columns]
    enlarged = [video.repeat(k, axis=1).repeat(k, axis=2) for (_, video), k in zip(columns, factors, strict=True)]
    return grid(enlarged, [title for title, _ in columns], columns=max(len(columns), 1))
