"""Line charts of logged values, as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from mutoscope.render.canvas import Array, nice_length
from mutoscope.render.page.markup import note
from mutoscope.render.page.tables import number_in

_SERIES = 6
_BUCKETS = 300


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        title: what it shows.
        lines: keys of the rows, at most six; one line each.
        explain: what the numbers are and which way is better.
        log: logarithmic vertical axis; leaves out what is not positive.
    """

    title: str
    lines: tuple[str, ...]
    explain: str = ""
    log: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= _SERIES:
            raise ValueError(f"Chart '{self.title}' has {len(self.lines)} lines, expected 1 to {_SERIES}.")


def chart_html(chart: Chart, rows: Sequence[Mapping[str, Any]], x: str) -> str:
    """A chart of the rows' values over ``x``; see :meth:`~.report.Report.add_curves`."""
    lines: dict[str, Array] = {}
    dropped = 0
    for key in chart.lines:
        pairs = [(number_in(row.get(x)), number_in(row.get(key))) for row in rows]
        points = np.array([pair for pair in pairs if None not in pair], dtype=np.float64).reshape(-1, 2)
        if not len(points):
            raise ValueError(f"Chart '{chart.title}': no row holds numbers for both '{key}' and '{x}'.")
        good = np.isfinite(points).all(1)
        if chart.log:
            good &= points[:, 1] > 0
        dropped += int((~good).sum())
        lines[key] = points[good][np.argsort(points[good, 0], kind="stable")]
    figure = _curves(chart, lines, x) if any(len(points) for points in lines.values()) else ""
    lost = f"{dropped} value{'s' if dropped > 1 else ''} that cannot be drawn left out." if dropped else ""
    below = f"over {x}, logarithmic" if chart.log else f"over {x}"
    return (
        f'<figure class="chart"><figcaption><b>{escape(chart.title)}</b>{note(chart.explain)}</figcaption>'
        f"{figure}{note(below)}{note(lost)}</figure>"
    )


def _curves(chart: Chart, lines: Mapping[str, Array], x: str) -> str:
    """Key and SVG of a chart with at least one point."""
    every = np.concatenate(list(lines.values()))
    value = (lambda y: np.log10(y)) if chart.log else (lambda y: y)
    width, height, left, right, top, bottom = 360, 190, 46, 10, 8, 26
    x0, x1 = _widen(every[:, 0].min(), every[:, 0].max(), 0.0)
    y0, y1 = _widen(value(every[:, 1]).min(), value(every[:, 1]).max(), 0.06)

    def place(points: Array) -> Array:
        across = left + (points[:, 0] - x0) / (x1 - x0) * (width - left - right)
        down = height - bottom - (value(points[:, 1]) - y0) / (y1 - y0) * (height - top - bottom)
        return np.stack([across, down], axis=1)

    marks = []
    for at in _ticks(x0, x1, False):
        px = left + (at - x0) / (x1 - x0) * (width - left - right)
        marks.append(f'<text x="{px:.1f}" y="{height - 8}" text-anchor="middle">{_short(at)}</text>')
    for at in _ticks(y0, y1, chart.log):
        py = height - bottom - (at - y0) / (y1 - y0) * (height - top - bottom)
        marks.append(f'<path class="axis" d="M{left} {py:.1f}H{width - right}"/>')
        label = _short(10.0**at) if chart.log else _short(at)
        marks.append(f'<text x="{left - 6}" y="{py + 3.5:.1f}" text-anchor="end">{label}</text>')
    keys = []
    for i, (name, points) in enumerate(lines.items()):
        if not len(points):
            continue
        spots = place(_thin(points))
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in spots)
        if len(spots) == 1:
            marks.append(
                f'<circle cx="{spots[0, 0]:.1f}" cy="{spots[0, 1]:.1f}" r="3" style="fill:var(--series-{i})"/>'
            )
        marks.append(f'<path class="series" style="stroke:var(--series-{i})" d="{path}"/>')
        keys.append(
            f'<li><span class="swatch" style="background:var(--series-{i})"></span>{escape(name)}: '
            f"last {_short(points[-1, 1], 4)}</li>"
        )
    return (
        f'<ul class="key">{"".join(keys)}</ul><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(chart.title)} over {escape(x)}">{"".join(marks)}</svg>'
    )


def _widen(low: float, high: float, share: float) -> tuple[float, float]:
    gap = (high - low) or max(abs(high), 1.0) * 0.1
    extra = share * gap if high > low else gap / 2
    return float(low - extra), float(high + extra)


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Round positions between two ends; on a logarithmic axis powers of ten, with their 2 and 5 where few fit."""
    if log and high - low > 0.7:
        decades = range(math.floor(low), math.ceil(high) + 1)
        steps = (1, 2, 5) if high - low < 2.2 else (1,)
        every = max(1, len(decades) // 6)
        ticks = [decade + math.log10(step) for decade in decades[::every] for step in steps]
        return [tick for tick in ticks if low <= tick <= high]
    step = nice_length((high - low) / 5)
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _short(value: float, digits: int = 3) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = 1e3 if unit == "k" else limit
            return f"{value / scale:.{digits}g}{unit}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _thin(points: Array) -> Array:
    """Lowest and highest point of every stretch, in order; short series as they are."""
    if len(points) <= 2 * _BUCKETS:
        return points
    edges = np.linspace(0, len(points), _BUCKETS + 1).astype(int)
    keep = {0, len(points) - 1}
    for a, b in pairwise(edges):
        keep |= {a + int(points[a:b, 1].argmin()), a + int(points[a:b, 1].argmax())}
    return points[sorted(keep)]
