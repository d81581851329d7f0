"""Figures: axes, marks and words in the house's colours, drawn by matplotlib and written as PNG and SVG.

matplotlib is imported when something is drawn, not before: most commands draw nothing.
"""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mutoscope.render.canvas import INK, MUTED, Array, Colour, Frames
from mutoscope.runtime.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: pixels of a picture per inch; sizes below are in such pixels, those of matplotlib's fonts and lines in points
_DPI = 100
_POINTS = 72 / _DPI
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


def rgb(colour: Colour) -> tuple[float, float, float]:
    """As matplotlib takes it."""
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


def points(pixels: float) -> float:
    """Pixels as the points in which matplotlib measures fonts, lines and markers."""
    return pixels * _POINTS


@contextmanager
def style(**changes: Any) -> Iterator[None]:
    """matplotlib's own defaults with ours on top, whatever the user's ``matplotlibrc`` says."""
    from matplotlib import style as styles

    ours = {
        "font.size": points(11),
        "axes.labelsize": points(12),
        "axes.labelcolor": rgb(INK),
        "axes.edgecolor": rgb(MUTED),
        "axes.linewidth": points(1),
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": rgb(RULE),
        "grid.linewidth": points(1),
        "xtick.color": rgb(MUTED),
        "ytick.color": rgb(MUTED),
        "xtick.major.size": points(4),
        "ytick.major.size": points(4),
        # the same drawing gives the same file
        "svg.hashsalt": "mutoscope",
    }
    with styles.context(["default", ours | changes]):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty white figure of so many pixels; draw on it within :func:`style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=rgb(PAPER))
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: str | Path, figure: "Figure") -> list[Path]:
    """Write a figure as PNG and, beside it, as SVG, replacing the files atomically.

    Args:
        path: of the PNG; the SVG takes its name with another ending.
        figure: drawn within :func:`style`.

    Returns:
        Both paths.
    """
    path = Path(path)
    kinds: tuple[tuple[Path, str, dict[str, None]], ...] = (
        (path, "png", {"Software": None}),
        (path.with_name(f"{path.name.removesuffix('.png')}.svg"), "svg", {"Date": None, "Creator": None}),
    )
    for target, kind, unsaid in kinds:
        with style(), replacing(target) as temporary:
            figure.savefig(temporary, format=kind, metadata=unsaid)
    return [target for target, *_ in kinds]


class Page:
    """A white page to draw on, with sizes and places in pixels of the finished picture, from the top left corner.

    Args:
        width, height: of the picture.
    """

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        with style():
            self.figure = new_figure(width, height)
            sheet = self.figure.add_axes((0, 0, 1, 1))
            sheet.set_axis_off()
        sheet.set_xlim(0, width)
        sheet.set_ylim(height, 0)
        sheet.set_autoscale_on(False)
        self._sheet = sheet

    def axes(self, box: tuple[float, float, float, float]) -> "Axes":
        """matplotlib's axes in a box (left, top, right, bottom)."""
        left, top, right, bottom = box
        width, height = self.size
        with style():
            return self.figure.add_axes(
                (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
            )

    def line(self, places: Array, colour: Colour, width: float = 1.0, opacity: float = 1.0) -> None:
        """Through ``[n, 2]`` places."""
        x, y = np.asarray(places).T
        self._sheet.plot(x, y, color=rgb(colour), linewidth=points(width), alpha=opacity)

    def box(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """Filled, (left, top, right, bottom)."""
        from matplotlib.patches import Rectangle

        left, top, right, bottom = box
        self._sheet.add_patch(Rectangle((left, top), right - left, bottom - top, color=rgb(colour), linewidth=0))

    def disc(self, at: Array, radius: float, colour: Colour, fill: Colour | None = None) -> None:
        """A disc, or a ring of ``colour`` around ``fill``."""
        self._sheet.plot(
            at[0], at[1], "o", ms=points(2 * radius), mfc=rgb(fill or colour), mec=rgb(colour), mew=points(1.4)
        )

    def text(
        self,
        at: tuple[float, float],
        words: str,
        pixels: float,
        colour: Colour = INK,
        *,
        across: Literal["left", "center", "right"] = "left",
        up: Literal["top", "center", "baseline"] = "top",
        within: float | None = None,
    ) -> None:
        """One line, as it stands; shortened where it is wider than ``within`` pixels."""
        shown = words if within is None else fitting(words, within, pixels)
        self._sheet.text(
            *at, shown, fontsize=points(pixels), color=rgb(colour), ha=across, va=up, parse_math=False, in_layout=False
        )

    def heading(self, title: str, note: str) -> None:
        """What the picture is, and below it a line about how to read it."""
        width = self.size[0] - 32
        self.text((16, 12), title, 17, within=width)
        self.text((16, 38), note, 12, MUTED, within=width)

    def paste(self, picture: Frames, left: float, top: float) -> None:
        """A picture ``[h, w, 3]`` uint8, pixel for pixel."""
        h, w = picture.shape[:2]
        self._sheet.imshow(
            picture, extent=(left, left + w, top + h, top), interpolation="nearest", aspect="auto", zorder=1
        )

    def picture(self) -> Frames:
        """``[h, w, 3]`` uint8."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = self.figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        with style():
            canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def save(self, path: str | Path) -> list[Path]:
        """Write it as PNG and SVG; see :func:`save_figure`."""
        return save_figure(path, self.figure)


def fitting(words: str, width: float, pixels: float) -> str:
    """The words in a font of so many pixels, shortened with an ellipsis where they are wider than ``width`` pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    face = FontProperties(size=pixels)

    def wide(text: str) -> bool:
        return float(text_to_path.get_text_width_height_descent(text, face, ismath=False)[0]) > width

    if not wide(words):
        return words
    # the first that is too long, of all beginnings from the shortest on
    count = bisect_left(range(len(words)), True, key=lambda n: wide(words[:n] + "..."))
    return words[: max(count - 1, 0)].rstrip() + "..."
