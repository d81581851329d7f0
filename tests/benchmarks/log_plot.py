"""A picture of curves on logarithmic axes, panels side by side; drawn by hand to need no plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 620, 460
LEFT, RIGHT, TOP, BOTTOM = 86, 24, 52, 66
INK, FAINT = "#222222", "#dddddd"


@dataclass(frozen=True)
class Curve:
    """Points ``(x, y)``, all positive; ``dashed`` ones are not measured."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """``limit``: a level to mark, with its name; ``labels`` are written at the ticks of the horizontal axis."""

    title: str
    unit: str
    curves: Sequence[Curve]
    ticks: Sequence[int]
    limit: tuple[float, str] | None = None
    across: str = "frames per clip"
    decades: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        heights = [y for curve in self.curves for _, y in curve.points] + ([self.limit[0]] if self.limit else [])
        ends = (math.floor(math.log10(min(heights))), math.ceil(math.log10(max(heights))))
        object.__setattr__(self, "decades", ends)


def draw_panels(panels: Sequence[Panel], scale: int = 2) -> Image.Image:
    """``scale``: pixels per unit of the layout."""
    picture = Image.new("RGB", (WIDTH * len(panels) * scale, HEIGHT * scale), "white")
    for number, panel in enumerate(panels):
        _draw(ImageDraw.Draw(picture), panel, number * WIDTH, scale)
    return picture


def save_png(path: Path, picture: Image.Image) -> None:
    part = path.with_suffix(".part")
    picture.save(part, format="PNG", optimize=True)
    part.replace(path)


def _draw(draw: ImageDraw.ImageDraw, panel: Panel, shift: int, scale: int) -> None:
    low, high = panel.decades
    first, last = math.log(panel.ticks[0]), math.log(panel.ticks[-1])
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        across = 0.03 + 0.94 * (math.log(x) - first) / (last - first)
        up = (math.log10(y) - low) / (high - low)
        return (shift + LEFT + across * (right - LEFT)) * scale, (floor - up * (floor - TOP)) * scale

    def write(x: float, y: float, text: str, anchor: str, size: int = 14, colour: str = INK) -> None:
        draw.text((x, y), text, fill=colour, font=ImageFont.load_default(size * scale), anchor=anchor)

    start, end = (shift + LEFT) * scale, (shift + right) * scale
    write((start + end) / 2, 22 * scale, panel.title, "mm", 17)
    write((start + end) / 2, (HEIGHT - 18) * scale, panel.across, "mm")
    write(start, (TOP - 6) * scale, panel.unit, "ls", 13)
    for decade in range(int(low), int(high) + 1):
        y = place(panel.ticks[0], 10.0**decade)[1]
        draw.line([(start, y), (end, y)], fill=FAINT, width=scale)
        write(start - 8 * scale, y, f"{10.0**decade:g}", "rm")
    for tick in panel.ticks:
        x = place(tick, 10.0**low)[0]
        draw.line([(x, floor * scale), (x, (floor + 5) * scale)], fill=INK, width=scale)
        write(x, (floor + 9) * scale, str(tick), "ma")
    draw.rectangle([start, TOP * scale, end, floor * scale], outline=INK, width=scale)
    if panel.limit:
        y = place(panel.ticks[0], panel.limit[0])[1]
        _line(draw, [(start, y), (end, y)], "#666666", scale, dashed=True)
        write(start + 8 * scale, y + 4 * scale, panel.limit[1], "la", 13, "#666666")
    for row, curve in enumerate(panel.curves):
        points = [place(x, y) for x, y in curve.points]
        _line(draw, points, curve.colour, scale, dashed=curve.dashed)
        if not curve.dashed:
            for x, y in points:
                draw.ellipse([x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale], fill=curve.colour)
        y = (floor - 16 - 20 * (len(panel.curves) - 1 - row)) * scale
        _line(draw, [(end - 206 * scale, y), (end - 178 * scale, y)], curve.colour, scale, dashed=curve.dashed)
        write(end - 170 * scale, y, curve.name, "lm", 13)


def _line(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: str, scale: int, *, dashed: bool
) -> None:
    if not dashed:
        draw.line(list(points), fill=colour, width=2 * scale)
        return
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(int(math.hypot(x1 - x0, y1 - y0) / (5 * scale)), 1)
        for step in range(0, steps, 2):
            ends = [step / steps, min(step + 1, steps) / steps]
            draw.line([(x0 + (x1 - x0) * s, y0 + (y1 - y0) * s) for s in ends], fill=colour, width=2 * scale)
