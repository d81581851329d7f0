"""Tables of a report: columns, what is best in them, and how numbers are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np

from mutoscope.render.page.markup import note

Better = Literal["lower", "higher"]
#: a number, a (mean, half width of its interval), a text, or nothing
Cell = float | int | str | tuple[float, float] | None

_ARROW: dict[Better | None, str] = {"lower": "lower is better", "higher": "higher is better", None: ""}


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


def table_html(
    rows: Sequence[Mapping[str, Cell]],
    columns: Sequence[Column],
    *,
    note_text: str,
    command: str,
    sort_by: str | None,
    reference: Sequence[Cell],
) -> str:
    """A table, what its columns mean, and the command that made it; see :meth:`~.report.Report.add_table`."""
    if sort_by is not None:
        downwards = any(column.key == sort_by and column.better == "higher" for column in columns)
        rows = sorted(rows, key=lambda row: _sort_key(row.get(sort_by), downwards))
    contest = [row.get(columns[0].key) not in reference for row in rows]
    numeric = [any(number_in(row.get(c.key)) is not None for row in rows) for c in columns]
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
            f"<td{_number_class(numeric[k], i in best[k])}>{escape(texts[k][i])}</td>" for k in range(1, len(columns))
        ]
        row_class = "" if own else ' class="reference"'
        body.append(f"<tr{row_class}>{''.join(cells)}</tr>")
    html = note(note_text)
    html += f'<div class="scroll"><table><thead><tr>{"".join(heads)}</tr></thead>'
    html += f"<tbody>{''.join(body)}</tbody></table></div>"
    if meanings := [(c.name or c.key, c.explain) for c in columns if c.explain]:
        pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in meanings)
        html += f'<dl class="meaning">{pairs}</dl>'
    if command:
        html += f'<code class="command">{escape(command)}</code>'
    return html


def number_in(cell: Cell) -> float | None:
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
    number = number_in(cell)
    if number is None:
        return (1, 0.0, str(cell)) if cell is not None else (3, 0.0, "")
    if math.isnan(number):
        return 2, 0.0, ""
    return 0, -number if downwards else number, ""


def _best(cells: Sequence[Cell], contest: Sequence[bool], better: Better | None) -> set[int]:
    numbers = {i: n for i, cell in enumerate(cells) if contest[i] and (n := number_in(cell)) is not None and n == n}
    if better is None or len(numbers) < 2:
        return set()
    winner = (min if better == "lower" else max)(numbers.values())
    return {i for i, number in numbers.items() if number == winner}


def _format_column(cells: Sequence[Cell], digits: int | None) -> list[str]:
    """Texts of one column with the same number of digits after the point."""
    numbers = [abs(n) for cell in cells if (n := number_in(cell)) is not None and math.isfinite(n)]
    whole = all(isinstance(cell, (int, np.integer)) for cell in cells if number_in(cell) is not None)
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
        number = number_in(cell)
        return ("–" if cell is None else str(cell)) if number is None else one(number)

    return [text(cell) for cell in cells]
