"""Pictures: colours, texts, and videos beside one another."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[np.float64]


Frames = NDArray[np.uint8]


Colour = tuple[int, int, int]


INK: Colour = (40, 42, 48)


MUTED: Colour = (118, 121, 130)


def grid(videos: Sequence[Frames], titles: Sequence[str] = (), columns: int = 4, gap: int = 6) -> Frames:
    """Videos of one size side by side, row by row; shorter ones stay on their last frame.

    Args:
        videos: each ``[t, h, w, 3]`` uint8; lengths may differ.
        titles: written above the cells; none, or one for every video.
        columns: cells per row.
        gap: pixels between cells.

    Returns:
        ``[t, h, w, 3]`` uint8.

    Raises:
        ValueError: no videos, sizes that differ, or another number of titles.
    """
    if not videos or columns < 1:
        raise ValueError(f"A grid needs videos and at least one column, got {len(videos)} videos, {columns} columns.")
    if len(sizes := {video.shape[1:] for video in videos}) != 1:
        raise ValueError(f"A grid needs videos of one size, got {', '.join(map(str, sorted(sizes)))}.")
    if titles and len(titles) != len(videos):
        raise ValueError(f"A grid got {len(titles)} titles for {len(videos)} videos; give one for each, or none.")
    h, w, _ = videos[0].shape[1:]
    head = 18 if titles else 0
    columns = min(columns, len(videos))
    rows = -(-len(videos) // columns)
    length = max(len(video) for video in videos)
    page = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + head + gap) + gap), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    corners = [(gap + (i % columns) * (w + gap), gap + (i // columns) * (h + head + gap)) for i in range(len(videos))]
    for (x, y), title in zip(corners, titles, strict=False):
        draw.text((x + 2, y), fit_text(title, w - 4, 13), INK, font(13))
    out = np.repeat(np.asarray(page)[None], length, axis=0)
    for (x, y), video in zip(corners, videos, strict=True):
        out[:, y + head : y + head + h, x : x + w] = video[np.minimum(np.arange(length), len(video) - 1)]
    return out


def font(pixels: float) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow, so that pictures look the same everywhere."""
    loaded = ImageFont.load_default(pixels)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


def fit_text(text: str, width: float, pixels: float) -> str:
    """The text, shortened with an ellipsis where it is wider than ``width`` pixels."""
    face = font(pixels)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with a share in [0, 1] of ``b``."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def nice_length(length: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is at least ``length``."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= length * 0.999)
