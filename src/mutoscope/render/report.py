"""One self-contained HTML page about a run: facts, tables, curves, pictures, and a skeleton player."""

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mutoscope.formats.files import replacing
from mutoscope.render.sheet import by_class
from mutoscope.render.skeleton import (
    FOLLOWING,
    Array,
    Bounds,
    Camera,
    Frames,
    Motion,
    head_joint,
    nice_length,
    to_world,
)
from mutoscope.structures import DatasetInfo

Better = Literal["lower", "higher"]
#: a number, a (mean, half width of its interval), a text, or nothing
Cell = float | int | str | tuple[float, float] | None

_ARROW: dict[Better | None, str] = {"lower": "lower is better", "higher": "higher is better", None: ""}
#: the page may load nothing, not even by mistake
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SERIES = 6
_BUCKETS = 300


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: of the rows' mappings.
        name: heading; the key unless given.
        explain: what the number is, for a stranger; printed below the table.
        better: marks the best row and says so in the heading.
        digits: after the decimal point; chosen from the numbers unless given.
    """

    key: str
    name: str = ""
    explain: str = ""
    better: Better | None = None
    digits: int | None = None


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


class Report:
    """Collects sections and writes them as one HTML file that needs no network, no server and no other file.

    All texts are escaped; the page carries a content policy that forbids loading anything.

    Args:
        title: of the page.
        summary: a sentence or two below it: what was run and what came out.
    """

    def __init__(self, title: str, summary: str = "") -> None:
        self.title, self.summary = title, summary
        self._facts: list[tuple[str, str]] = []
        self._sections: list[tuple[str, str]] = []
        self._plays = False

    def add_facts(self, facts: Mapping[str, object]) -> None:
        """Short facts for the head of the page, e.g. seed, device, seconds, versions, dataset."""
        self._facts += [(name, _plain(value)) for name, value in facts.items()]

    def add_text(self, title: str, text: str) -> None:
        """A section of paragraphs; empty lines part them."""
        self._add(title, _paragraphs(text))

    def add_details(self, title: str, text: str) -> None:
        """A section that is closed at first and keeps its line breaks, e.g. the resolved configuration."""
        self._sections.append(
            (title, f"<details><summary><h2>{escape(title)}</h2></summary><pre>{escape(text)}</pre></details>")
        )

    def add_table(
        self,
        title: str,
        rows: Sequence[Mapping[str, Cell]],
        columns: Sequence[Column] | None = None,
        *,
        note: str = "",
        command: str = "",
        sort_by: str | None = None,
        reference: Sequence[Cell] = (),
    ) -> None:
        """A table with aligned numbers; the best of every column that says what is better is marked.

        Args:
            title: heading of the section.
            rows: one mapping per row; missing keys and ``None`` are shown as a dash, ``nan`` as such.
            columns: which keys in which order; all keys of the first row unless given.
            note: a line above the table.
            command: what made the numbers, shown below it.
            sort_by: key to sort by, best first (ascending where the column does not say what is better).
            reference: first cells of rows that are no contestants (e.g. real data), never marked as best.

        Raises:
            ValueError: no rows, or a column that no row has.
        """
        if not rows:
            raise ValueError(f"Table '{title}' has no rows; leave it out or give it some.")
        columns = [Column(key) for key in rows[0]] if columns is None else list(columns)
        known = {key for row in rows for key in row}
        wanted = [column.key for column in columns] + ([sort_by] if sort_by is not None else [])
        if missing := [key for key in wanted if key not in known]:
            raise ValueError(
                f"Table '{title}' has no column '{missing[0]}'; its rows have {', '.join(map(str, sorted(known)))}."
            )
        if sort_by is not None:
            downwards = any(column.key == sort_by and column.better == "higher" for column in columns)
            rows = sorted(rows, key=lambda row: _sort_key(row.get(sort_by), downwards))
        contest = [row.get(columns[0].key) not in reference for row in rows]
        numeric = [any(_number(row.get(c.key)) is not None for row in rows) for c in columns]
        best = [_best([row.get(c.key) for row in rows], contest, c.better) for c in columns]
        texts = [_format_column([row.get(c.key) for row in rows], c.digits) for c in columns]

        heads = [
            f'<th scope="col"{_number_class(n)}>{escape(c.name or c.key)}'
            + (f"<small>{_ARROW[c.better]}</small>" if c.better else "")
            + "</th>"
            for c, n in zip(columns, numeric, strict=True)
        ]
        body = []
        for i, own in enumerate(contest):
            cells = [f'<th scope="row"{_number_class(numeric[0])}>{escape(texts[0][i])}</th>']
            cells += [
                f"<td{_number_class(numeric[k], i in best[k])}>{escape(texts[k][i])}</td>"
                for k in range(1, len(columns))
            ]
            row_class = "" if own else ' class="reference"'
            body.append(f"<tr{row_class}>{''.join(cells)}</tr>")
        html = _note(note)
        html += f'<div class="scroll"><table><thead><tr>{"".join(heads)}</tr></thead>'
        html += f"<tbody>{''.join(body)}</tbody></table></div>"
        if meanings := [(c.name or c.key, c.explain) for c in columns if c.explain]:
            pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in meanings)
            html += f'<dl class="meaning">{pairs}</dl>'
        if command:
            html += f'<code class="command">{escape(command)}</code>'
        self._add(title, html)

    def add_curves(
        self, title: str, rows: Sequence[Mapping[str, Any]], charts: Sequence[Chart], *, x: str = "step", note: str = ""
    ) -> None:
        """Line charts of logged values.

        Long series are thinned to the extremes of 300 stretches, so peaks stay; values that are not finite are left
        out and counted below the chart.

        Args:
            title: heading of the section.
            rows: as logged, e.g. the lines of ``metrics.jsonl``; a row need not have every key.
            charts: what to draw.
            x: key of the horizontal axis.
            note: a line above the charts.

        Raises:
            ValueError: a line that no row has a number for.
        """
        drawn = [_chart(chart, rows, x) for chart in charts]
        self._add(title, f'{_note(note)}<div class="charts">{"".join(drawn)}</div>')

    def add_image(self, title: str, picture: Frames | str | Path, *, note: str = "", alt: str = "") -> None:
        """A picture ``[h, w, 3]`` uint8, or a PNG file, embedded in the page.

        Raises:
            ValueError: another shape or type, or a file that is no PNG.
        """
        if isinstance(picture, (str, Path)):
            data = Path(picture).read_bytes()
            if not data.startswith(b"\x89PNG\r\n\x1a\n"):
                raise ValueError(f"'{picture}' is no PNG file; give a PNG or an array [h, w, 3] of uint8.")
        else:
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
                raise ValueError(
                    f"Picture '{title}' has shape {list(picture.shape)} of {picture.dtype}, "
                    "expected [h, w, 3] of uint8."
                )
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "PNG", optimize=True)
            data = buffer.getvalue()
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        self._add(title, f'{_note(note)}<img class="picture" alt="{escape(alt or title)}" src="{source}">')

    def add_videos(
        self, title: str, videos: Sequence[tuple[str, str | Path]], *, note: str = "", columns: int = 2
    ) -> None:
        """MP4 files, embedded in the page and playing in a loop.

        Args:
            title: heading of the section.
            videos: (caption, file) of each.
            note: a line above them.
            columns: at most so many beside each other.

        Raises:
            ValueError: for a file that is no MP4.
        """
        figures = []
        for caption, path in videos:
            data = Path(path).read_bytes()
            if data[4:8] != b"ftyp":
                raise ValueError(f"'{path}' is no MP4 file; write one with mutoscope.formats.video.write_mp4.")
            source = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
            figures.append(
                f'<figure><video src="{source}" aria-label="{escape(caption)}" autoplay loop muted playsinline '
                "controls>"
                f"</video><figcaption>{escape(caption)}</figcaption></figure>"
            )
        self._add(title, f'{_note(note)}<div class="videos" style="--columns:{columns}">{"".join(figures)}</div>')

    def add_motion(
        self,
        title: str,
        fake: Motion,
        labels: Sequence[int] | Tensor | NDArray[np.integer],
        info: DatasetInfo,
        real: Motion | None = None,
        *,
        note: str = "",
        per_class: int = 1,
        camera: Camera = FOLLOWING,
    ) -> None:
        """Players of all classes, in step: play, pause, slow down, scrub, drag to look from elsewhere.

        Coordinates are kept as 16-bit multiples of a power of ten (a tenth of a millimetre up to three metres, a
        millimetre up to 32).

        Args:
            title: heading of the section.
            fake: ``[n, t, v, c]`` generated clips in dataset units.
            labels: ``[n]`` their classes.
            info: names the classes, the skeleton, the frame rate.
            real: ``[n, t, v, c]`` real clips of the same labels, shown beside the generated ones, or ``None``.
            note: a line above the players.
            per_class: clips of every class.
            camera: where from at first.

        Raises:
            ValueError: shapes that do not fit together, labels outside the classes, coordinates that are not finite.
        """
        skeleton = info.need_skeleton()
        groups = by_class(fake, labels, info, real, per_class)
        bounds = Bounds.around([clip for clips in groups.values() for _, clip in clips], skeleton)
        clips: list[dict[str, Any]] = []
        cards = []
        for label, members in groups.items():
            cells = []
            for source, clip in members:
                name = f"{source} motion of class {info.classes[label]}"
                cells.append(
                    f'<div class="cell {source}"><canvas data-clip="{len(clips)}" role="img" '
                    f'aria-label="{escape(name)}"></canvas><span>{source}</span></div>'
                )
                world = to_world(clip, skeleton)[..., : info.channels]
                clips.append({"label": label, "source": source, "frames": len(world), **_pack(world)})
            heading = escape(info.classes[label])
            cards.append(
                f'<figure><figcaption>{heading}</figcaption><div class="cells">{"".join(cells)}</div></figure>'
            )
        data = {
            "joints": skeleton.num_joints,
            "channels": info.channels,
            "bones": [[p, q, skeleton.side(q)] for p, q in skeleton.bones],
            "root": skeleton.root,
            "head": head_joint(skeleton),
            "fps": info.fps,
            "floor": bounds.floor,
            "stature": bounds.stature,
            "square": nice_length(bounds.stature / 4),
            "camera": {"azimuth": camera.azimuth, "elevation": camera.elevation},
            "clips": clips,
        }
        self._plays = True
        hint = "" if info.channels == 2 else " Drag a figure to look from elsewhere (or use the arrow keys)."
        legend = (
            '<span class="swatch" style="background:var(--left)"></span>left limbs, '
            '<span class="swatch" style="background:var(--right)"></span>right limbs, '
            '<span class="swatch" style="background:var(--middle)"></span>trunk and head.'
        )
        html = (
            f'{_note(note)}<p class="note">{legend} All figures are drawn to one scale and play in step.{hint}</p>'
            '<div data-player><div class="controls"><button type="button" data-play>Play</button>'
            '<input type="range" data-time min="0" max="1" step="1" value="0" aria-label="Frame">'
            "<output data-now></output><label>Speed <select data-speed>"
            '<option value="0.25">¼</option><option value="0.5">½</option><option value="1" selected>1</option>'
            '<option value="2">2</option></select></label>'
            f'<label><input type="checkbox" data-follow{" checked" if camera.follow else ""}> Follow the person</label>'
            f'<button type="button" data-reset{" hidden" if info.channels == 2 else ""}>Reset view</button></div>'
            f'<div class="cards{" single" if real is None else ""}" data-cards tabindex="0">{"".join(cards)}</div>'
            f'<script type="application/json">{_json(data)}</script>'
            '<noscript><p class="note">The players need JavaScript.</p></noscript></div>'
        )
        self._add(title, html)

    def html(self) -> str:
        """The whole page."""
        title = escape(self.title)
        head = (
            f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{_asset('report.css')}</style>"
        )
        facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in self._facts)
        links = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _) in enumerate(self._sections))
        header = f"<h1>{title}</h1>{_paragraphs(self.summary)}"
        header += f'<dl class="facts">{facts}</dl>' if facts else ""
        header += f'<nav aria-label="Sections">{links}</nav>' if len(self._sections) > 2 else ""
        sections = "".join(f'<section id="s{i}">{body}</section>' for i, (_, body) in enumerate(self._sections))
        script = f"<script>{_asset('player.js')}</script>" if self._plays else ""
        return (
            f'<!doctype html>\n<html lang="en"><head>{head}</head><body><header>{header}</header>'
            f"<main>{sections}</main><footer>Made by Mutoscope.</footer>{script}</body></html>\n"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, replacing the file atomically."""
        with replacing(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return Path(path)

    def _add(self, title: str, html: str) -> None:
        self._sections.append((title, f"<h2>{escape(title)}</h2>{html}"))


def _asset(name: str) -> str:
    return files("mutoscope.render").joinpath(name).read_text(encoding="utf-8")


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return str(value)


def _json(data: object) -> str:
    """JSON that can stand inside a script element whatever it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pack(world: Array) -> dict[str, Any]:
    """Little-endian int16 ``[t, v, c]`` in base64, and the step that turns it back into coordinates."""
    step = 10.0 ** math.ceil(math.log10(max(float(np.abs(world).max()), 1e-9) / 32767))
    counts = np.round(world / step).astype("<i2")
    return {"step": step, "data": base64.b64encode(counts.tobytes()).decode()}


def _number(cell: Cell) -> float | None:
    """The number to compare a cell by, or ``None`` where it holds none."""
    if isinstance(cell, tuple):
        cell = cell[0]
    if isinstance(cell, bool) or not isinstance(cell, (int, float, np.integer, np.floating)):
        return None
    return float(cell)


def _number_class(numeric: bool, best: bool = False) -> str:
    names = [name for name, wanted in (("number", numeric), ("best", best)) if wanted]
    return f' class="{" ".join(names)}"' if names else ""


def _sort_key(cell: Cell, downwards: bool) -> tuple[int, float, str]:
    number = _number(cell)
    if number is None:
        return (1, 0.0, str(cell)) if cell is not None else (3, 0.0, "")
    if math.isnan(number):
        return 2, 0.0, ""
    return 0, -number if downwards else number, ""


def _best(cells: Sequence[Cell], contest: Sequence[bool], better: Better | None) -> set[int]:
    numbers = {i: n for i, cell in enumerate(cells) if contest[i] and (n := _number(cell)) is not None and n == n}
    if better is None or len(numbers) < 2:
        return set()
    winner = (min if better == "lower" else max)(numbers.values())
    return {i for i, number in numbers.items() if number == winner}


def _format_column(cells: Sequence[Cell], digits: int | None) -> list[str]:
    """Texts of one column with the same number of digits after the point."""
    numbers = [abs(n) for cell in cells if (n := _number(cell)) is not None and math.isfinite(n)]
    whole = all(isinstance(cell, (int, np.integer)) for cell in cells if _number(cell) is not None)
    if digits is None:
        largest = max(numbers, default=0.0)
        digits = 0 if whole else min(max(3 - math.floor(math.log10(largest)) if largest > 0 else 1, 0), 6)
        while digits > 1 and all(f"{number:.{digits}f}".endswith("0") for number in numbers):
            digits -= 1
    smallest = 0.5 * 10.0**-digits

    def one(value: float) -> str:
        if math.isfinite(value) and 0 < abs(value) < smallest:
            return f"{value:.1e}"
        return f"{value:,.{digits}f}"

    def text(cell: Cell) -> str:
        if isinstance(cell, tuple):
            return f"{one(cell[0])} ± {one(cell[1])}"
        number = _number(cell)
        return ("–" if cell is None else str(cell)) if number is None else one(number)

    return [text(cell) for cell in cells]


def _chart(chart: Chart, rows: Sequence[Mapping[str, Any]], x: str) -> str:
    lines: dict[str, Array] = {}
    dropped = 0
    for key in chart.lines:
        pairs = [(_number(row.get(x)), _number(row.get(key))) for row in rows]
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
        f'<figure class="chart"><figcaption><b>{escape(chart.title)}</b>{_note(chart.explain)}</figcaption>'
        f"{figure}{_note(below)}{_note(lost)}</figure>"
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
