"""One self-contained HTML page about a run: facts, tables, curves, pictures, and a skeleton player."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mutoscope.render.camera import FOLLOWING, Camera, Motion
from mutoscope.render.canvas import Frames
from mutoscope.render.page.charts import Chart, chart_html
from mutoscope.render.page.player import player_html
from mutoscope.render.page.tables import Cell, Column, table_html
from mutoscope.render.page.templating import asset, rendered
from mutoscope.runtime.files import replacing
from mutoscope.structures import DatasetInfo

if TYPE_CHECKING:
    from markupsafe import Markup

#: the page may load nothing, not even by mistake
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class _Section:
    """A section of the page; ``headed``: its title stands above what it holds."""

    title: str
    html: "Markup"
    headed: bool = True


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
        self._sections: list[_Section] = []
        self._plays = False

    def add_facts(self, facts: Mapping[str, object]) -> None:
        """Short facts for the head of the page, e.g. seed, device, seconds, versions, dataset."""
        self._facts += [(name, _plain(value)) for name, value in facts.items()]

    def add_text(self, title: str, text: str) -> None:
        """A section of paragraphs; empty lines part them."""
        self._add(title, "text", text=text)

    def add_details(self, title: str, text: str) -> None:
        """A section that is closed at first and keeps its line breaks, e.g. the resolved configuration."""
        self._sections.append(_Section(title, rendered("details", title=title, text=text), headed=False))

    def add_table(
        self,
        title: str,
        rows: Sequence[Mapping[str, Cell]],
        columns: Sequence[Column] | None = None,
        *,
        note: str = "",
        below: Sequence[str] = (),
        command: str = "",
        sort_by: str | None = None,
        reference: Sequence[Cell] = (),
        turned: bool = False,
    ) -> None:
        """A table with aligned numbers; the best of every column that says what is better is marked.

        Args:
            title: heading of the section.
            rows: one mapping per row; missing keys and ``None`` are shown as a dash, ``nan`` as such.
            columns: which keys in which order; all keys of the first row unless given.
            note: a line above the table.
            below: paragraphs below the table, e.g. why cells are empty.
            command: what made the numbers, shown below it.
            sort_by: key to sort by, best first (ascending where the column does not say what is better).
            reference: first cells of rows that are no contestants (e.g. real data), never marked as best.
            turned: rows stand beside one another and columns below, for many numbers of few things.

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
        html = table_html(
            rows,
            columns,
            note=note,
            below=below,
            command=command,
            sort_by=sort_by,
            reference=reference,
            turned=turned,
        )
        self._sections.append(_Section(title, html))

    def add_curves(
        self, title: str, rows: Sequence[Mapping[str, Any]], charts: Sequence[Chart], *, x: str = "step", note: str = ""
    ) -> None:
        """Line charts of logged values.

        Of long series, points that change nothing one could see are left out, peaks stay; values that are not finite
        are left out as well, and counted below the chart.

        Args:
            title: heading of the section.
            rows: as logged, e.g. the lines of ``metrics.jsonl``; a row need not have every key.
            charts: what to draw.
            x: key of the horizontal axis.
            note: a line above the charts.

        Raises:
            ValueError: a line that no row has a number for.
        """
        place = len(self._sections)
        drawn = [chart_html(chart, rows, x, f"{place}.{number}") for number, chart in enumerate(charts)]
        self._add(title, "curves", note=note, charts=drawn)

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
        self._add(title, "image", note=note, alt=alt or title, source=source)

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
            figures.append((caption, source))
        self._add(title, "videos", note=note, videos=figures, columns=columns)

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
        html = player_html(fake, labels, info, real, note=note, per_class=per_class, camera=camera)
        self._plays = True
        self._sections.append(_Section(title, html))

    def html(self) -> str:
        """The whole page."""
        page = rendered(
            "page",
            policy=POLICY,
            title=self.title,
            summary=self.summary,
            facts=self._facts,
            sections=self._sections,
            css=asset("report.css"),
            script=asset("player.js") if self._plays else "",
        )
        return f"{page}\n"

    def write(self, path: str | Path) -> Path:
        """Write the page, replacing the file atomically."""
        with replacing(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return Path(path)

    def _add(self, title: str, template: str, **values: Any) -> None:
        self._sections.append(_Section(title, rendered(template, **values)))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return str(value)
