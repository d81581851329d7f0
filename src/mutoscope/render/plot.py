"""Axes, marks and words on a page: what pictures of numbers are drawn with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from mutoscope.render.canvas import INK, MUTED, Array, Colour, Frames, blend, font, nice_length

#: pixels of a page for one of the picture
SUPERSAMPLE = 3
PAPER: Colour = (255, 255, 255)
RULE: Colour = (226, 228, 233)
#: of actions, told apart with every common kind of colour blindness as far as there are (after Okabe and Ito)
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 140, 105),
    (190, 92, 148),
    (186, 124, 0),
    (62, 150, 205),
    (112, 84, 196),
    (122, 78, 44),
    (150, 20, 50),
    (100, 116, 20),
    (90, 94, 106),
    (16, 60, 110),
)


def class_colours(count: int) -> list[Colour]:
    """A colour per class; they repeat after a dozen."""
    return [PALETTE[number % len(PALETTE)] for number in range(count)]


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most + 1`` round numbers, evenly spaced, in ``[low, high]``; one where these are the same."""
    if high <= low:
        return [low]
    step = nice_length((high - low) / most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) + 0.0 for k in range(first, math.floor(high / step + 1e-9) + 1)]


class Page:
    """A white page to draw on, with sizes in pixels of the finished picture.

    Args:
        width, height: of the picture.
    """

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.image = Image.new("RGB", (width * SUPERSAMPLE, height * SUPERSAMPLE), PAPER)
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def line(self, points: Array, colour: Colour, width: float = 1.0, opacity: float = 1.0) -> None:
        """Through ``[n, 2]`` points."""
        ends = [(float(x), float(y)) for x, y in np.asarray(points) * SUPERSAMPLE]
        self.pen.line(ends, _ink(colour, opacity), max(round(width * SUPERSAMPLE), 1), joint="curve")

    def area(self, points: Array, colour: Colour, opacity: float = 1.0) -> None:
        """Filled, around ``[n, 2]`` points."""
        self.pen.polygon([(float(x), float(y)) for x, y in np.asarray(points) * SUPERSAMPLE], _ink(colour, opacity))

    def box(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """Filled, (left, top, right, bottom)."""
        left, top, right, bottom = (SUPERSAMPLE * side for side in box)
        # Pillow's corners both lie inside
        self.pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), colour)

    def disc(self, at: Array, radius: float, colour: Colour, fill: Colour | None = None) -> None:
        """A disc, or a ring of ``colour`` around ``fill``."""
        x, y, r = (SUPERSAMPLE * float(value) for value in (at[0], at[1], radius))
        self.pen.ellipse((x - r, y - r, x + r, y + r), fill or colour, colour, round(1.4 * SUPERSAMPLE))

    def text(
        self, at: tuple[float, float], words: str, pixels: float, colour: Colour = INK, anchor: str = "la"
    ) -> None:
        """One line; the anchor is Pillow's."""
        place = (at[0] * SUPERSAMPLE, at[1] * SUPERSAMPLE)
        self.pen.text(place, words, colour, font(pixels * SUPERSAMPLE), anchor=anchor)

    def paste(self, picture: Frames, left: int, top: int) -> None:
        """A finished picture; it loses nothing by the way back to the page's size."""
        h, w = picture.shape[:2]
        large = Image.fromarray(picture).resize((w * SUPERSAMPLE, h * SUPERSAMPLE), Image.Resampling.NEAREST)
        self.image.paste(large, (left * SUPERSAMPLE, top * SUPERSAMPLE))

    def picture(self) -> Frames:
        """``[h, w, 3]`` uint8."""
        return np.asarray(self.image.reduce(SUPERSAMPLE))


@dataclass(frozen=True)
class Panel:
    """A rectangle of a page with two linear axes.

    Args:
        page: to draw on.
        box: (left, top, right, bottom) in pixels.
        x, y: what lies at (left, right) and at (bottom, top).
    """

    page: Page
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, points: Array) -> Array:
        """``[..., 2]`` data -> pixels."""
        left, top, right, bottom = self.box
        points = np.asarray(points, dtype=np.float64)
        across = left + (points[..., 0] - self.x[0]) / (self.x[1] - self.x[0]) * (right - left)
        return np.stack([across, bottom - (points[..., 1] - self.y[0]) / (self.y[1] - self.y[0]) * (bottom - top)], -1)

    def x_axis(self, name: str, marks: Sequence[float], words: Callable[[float], str] = "{:g}".format) -> None:
        """Rules at the marks, their words below the panel, the name below these."""
        _, top, _, bottom = self.box
        for mark in marks:
            x = float(self.at(np.array([mark, self.y[0]]))[0])
            self.page.line(np.array([[x, top], [x, bottom + 4]]), RULE)
            self.page.text((x, bottom + 7), words(mark), 11, MUTED, "ma")
        left, _, right, _ = self.box
        self.page.text(((left + right) / 2, bottom + 24), name, 12, INK, "ma")

    def y_axis(self, name: str, marks: Sequence[float], words: Callable[[float], str] = "{:g}".format) -> None:
        """Rules at the marks, their words left of the panel, the name above it."""
        left, top, right, _ = self.box
        for mark in marks:
            y = float(self.at(np.array([self.x[0], mark]))[1])
            self.page.line(np.array([[left - 4, y], [right, y]]), RULE)
            self.page.text((left - 7, y), words(mark), 11, MUTED, "rm")
        self.page.text((left, top - 8), name, 12, INK, "ls")

    def border(self) -> None:
        left, top, right, bottom = self.box
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
        self.page.line(corners, blend(PAPER, INK, 0.35))


def _ink(colour: Colour, opacity: float) -> tuple[int, int, int, int]:
    return (*colour, round(255 * opacity))
