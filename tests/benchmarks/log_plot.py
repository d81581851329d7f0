"""A figure of curves on logarithmic axes, panels side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mutoscope.render.canvas import INK, MUTED
from mutoscope.render.plot import new_figure, points, rgb, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 620, 460


@dataclass(frozen=True)
class Curve:
    """Points ``(x, y)``, all positive; ``dashed`` ones are not measured."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """``limit``: a level to mark, with its name; ``ticks`` are those of the horizontal axis."""

    title: str
    unit: str
    curves: Sequence[Curve]
    ticks: Sequence[int]
    limit: tuple[float, str] | None = None
    across: str = "frames per clip"


def draw_panels(panels: Sequence[Panel]) -> "Figure":
    """To be written by :func:`mutoscope.render.plot.save_figure`."""
    with style(**{"legend.frameon": False, "axes.titlesize": points(15), "font.size": points(13)}):
        figure = new_figure(WIDTH * len(panels), HEIGHT)
        figure.set_layout_engine("constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            axes.set(xscale="log", yscale="log", title=panel.title, xlabel=panel.across, ylabel=panel.unit)
            axes.set_xticks(panel.ticks, [str(tick) for tick in panel.ticks])
            axes.minorticks_off()
            for curve in panel.curves:
                shape = {"linestyle": "--"} if curve.dashed else {"marker": "o", "ms": points(8)}
                axes.plot(*zip(*curve.points, strict=True), color=curve.colour, label=curve.name, **shape)
            if panel.limit:
                level, name = panel.limit
                axes.axhline(level, color=rgb(MUTED), linestyle=":")
                axes.annotate(name, (panel.ticks[0], level), (0, -4), textcoords="offset points", va="top")
            axes.legend(loc="lower right", labelcolor=rgb(INK))
    return figure
