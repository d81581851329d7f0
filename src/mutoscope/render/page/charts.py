"""Line charts of logged values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mutoscope.render.canvas import MUTED, Array
from mutoscope.render.page.svg import inline_svg
from mutoscope.render.page.tables import number_in
from mutoscope.render.page.templating import rendered
from mutoscope.render.plot import PALETTE, RULE, rgb, style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.ticker import Locator

_SERIES = 6
#: of a chart in the page's pixels; it grows and shrinks with the page
_SIZE = (360, 190)
#: which colours of a figure are the page's: see ``report.css``
_INKS = {
    MUTED: "var(--muted)",
    RULE: "var(--line)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(PALETTE[:_SERIES])},
}


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


def chart_html(chart: Chart, rows: Sequence[Mapping[str, Any]], x: str, name: str) -> "Markup":
    """A chart of the rows' values over ``x``, named for this page; see :meth:`~.report.Report.add_curves`."""
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
    drawn = any(len(points) for points in lines.values())
    return rendered(
        "chart",
        chart=chart,
        x=x,
        figure=_curves(chart, lines, x, name) if drawn else "",
        keys=[
            (number, key, _short(points[-1, 1], 4)) for number, (key, points) in enumerate(lines.items()) if len(points)
        ],
        dropped=dropped,
    )


def _curves(chart: Chart, lines: Mapping[str, Array], x: str, name: str) -> "Markup":
    """SVG of a chart with at least one point."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with style(
        **{
            "font.size": 11,
            "axes.linewidth": 0,
            "grid.linewidth": 1,
            "axes.facecolor": "none",
            "path.simplify_threshold": 0.5,
        }
    ):
        figure = Figure(figsize=(_SIZE[0] / 72, _SIZE[1] / 72), facecolor="none")
        axes = figure.add_axes((46 / _SIZE[0], 26 / _SIZE[1], 1 - 56 / _SIZE[0], 1 - 34 / _SIZE[1]))
        axes.grid(False, axis="x")
        # nothing reaches beyond the axes, so that nothing needs to be cut off
        axes.grid(True, axis="y", clip_on=False)
        axes.spines[:].set_visible(False)
        axes.margins(x=0, y=0.06)
        if chart.log:
            axes.set_yscale("log")
        for number, points in enumerate(lines.values()):
            alone: dict[str, Any] = {"marker": "o", "ms": 6} if len(points) == 1 else {}
            axes.plot(*points.T, color=rgb(PALETTE[number]), linewidth=1.6, gid="series", clip_on=False, **alone)
        if chart.log:
            axes.yaxis.set_major_locator(_log_locator(*axes.get_ylim()))
            axes.minorticks_off()
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.tick_params(length=0, pad=6)
        return inline_svg(figure, label=f"{chart.title} over {x}", name=name, colours=_INKS)


def _log_locator(low: float, high: float) -> "Locator":
    """Powers of ten, with their 2 and 5 where few fit; less than a decade is marked like a linear axis."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    decades = math.log10(high / low)
    if decades < 0.7:
        return MaxNLocator(5, steps=[1, 2, 5, 10])
    return LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,), numticks=7)


def _short(value: float, digits: int = 3) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = 1e3 if unit == "k" else limit
            return f"{value / scale:.{digits}g}{unit}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
