"""Tables of a report: columns, what is best in them, and how numbers are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np

from mutoscope.render.page.markup import note

Better = Literal["lower", "higher"]
#: a number, a (mean, its deviation or half the width of its interval), a text, or nothing
Cell = float | int | str | tuple[float, float] | None

#: columns beyond which headings and numbers may break into lines, so that a page shows them side by side
_DENSE = 6
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
    below: Sequence[str] = (),
    command: str,
    sort_by: str | None,
    reference: Sequence[Cell],
    turned: bool = False,
) -> str:
    """A table, what its columns mean, and the command that made it; see :meth:`~.report.Report.add_table`."""
    if sort_by is not None:
        downwards = any(column.key == sort_by and column.better == "higher" for column in columns)
        rows = sorted(rows, key=lambda row: _sort_key(row.get(sort_by), downwards))
    contest = [row.get(columns[0].key) not in reference for row in rows]
    numeric = [any(number_in(row.get(c.key)) is not None for row in rows) for c in columns]
    best = [best_cells([row.get(c.key) for row in rows], contest, c.better) for c in columns]
    texts = [cell_texts([row.get(c.key) for row in rows], c.digits) for c in columns]

    html = note(note_text)
    html += _turned(columns, texts, best, contest) if turned else _upright(columns, texts, numeric, best, contest)
    if meanings := [(c.name or c.key, c.explain) for c in columns if c.explain]:
        pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in meanings)
        html += f'<dl class="meaning">{pairs}</dl>'
    html += "".join(note(text) for text in below)
    if command:
        html += f'<code class="command">{escape(command)}</code>'
    return html


def _upright(
    columns: Sequence[Column],
    texts: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    best: Sequence[set[int]],
    contest: Sequence[bool],
) -> str:
    """A row per row."""
    heads = [f'<th scope="col"{_classes(number=n)}>{_heading(c)}</th>' for c, n in zip(columns, numeric, strict=True)]
    body = []
    for i, own in enumerate(contest):
        cells = [f'<th scope="row"{_classes(number=numeric[0])}>{escape(texts[0][i])}</th>']
        cells += [
            f"<td{_classes(number=numeric[k], best=i in best[k])}>{escape(texts[k][i])}</td>"
            for k in range(1, len(columns))
        ]
        body.append(f"<tr{_classes(reference=not own)}>{''.join(cells)}</tr>")
    return _table_element(heads, body, dense=len(columns) > _DENSE)


def _turned(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], best: Sequence[set[int]], contest: Sequence[bool]
) -> str:
    """A column per row: for many numbers of few things."""
    heads = [f'<th scope="col">{_heading(columns[0])}</th>'] + [
        f'<th scope="col"{_classes(number=True, reference=not own)}>{escape(texts[0][i])}</th>'
        for i, own in enumerate(contest)
    ]
    body = []
    for k in range(1, len(columns)):
        cells = [
            f"<td{_classes(number=True, best=i in best[k], reference=not own)}>{escape(texts[k][i])}</td>"
            for i, own in enumerate(contest)
        ]
        body.append(f'<tr><th scope="row">{_heading(columns[k])}</th>{"".join(cells)}</tr>')
    return _table_element(heads, body, dense=True)


def _heading(column: Column) -> str:
    arrow = f"<small>{_ARROW[column.better]}</small>" if column.better else ""
    # long names break where words meet
    return escape(column.name or column.key).replace("_", "_<wbr>").replace("/", "/<wbr>") + arrow


def _table_element(heads: Sequence[str], body: Sequence[str], *, dense: bool) -> str:
    return (
        f'<div class="scroll"><table{_classes(dense=dense)}><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def number_in(cell: Cell) -> float | None:
    """The number to compare a cell by, or ``None`` where it holds none."""
    if isinstance(cell, tuple):
        cell = cell[0]
    if isinstance(cell, bool) or not isinstance(cell, (int, float, np.integer, np.floating)):
        return None
    return float(cell)


def _classes(**wanted: bool) -> str:
    names = [name for name, is_wanted in wanted.items() if is_wanted]
    return f' class="{" ".join(names)}"' if names else ""


def _sort_key(cell: Cell, downwards: bool) -> tuple[int, float, str]:
    number = number_in(cell)
    if number is None:
        return (1, 0.0, str(cell)) if cell is not None else (3, 0.0, "")
    if math.isnan(number):
        return 2, 0.0, ""
    return 0, -number if downwards else number, ""


def best_cells(cells: Sequence[Cell], contest: Sequence[bool], better: Better | None) -> set[int]:
    """Places of the best numbers among those that compete; none where fewer than two do."""
    numbers = {i: n for i, cell in enumerate(cells) if contest[i] and (n := number_in(cell)) is not None and n == n}
    if better is None or len(numbers) < 2:
        return set()
    winner = (min if better == "lower" else max)(numbers.values())
    return {i for i, number in numbers.items() if number == winner}


def cell_texts(cells: Sequence[Cell], digits: int | None) -> list[str]:
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
        # of a thousand and more, what stands far behind the point says nothing
        return f"{value:,.{min(digits, 1) if abs(value) >= 1000 else digits}f}"

    def text(cell: Cell) -> str:
        if isinstance(cell, tuple):
            return f"{one(cell[0])} ± {one(cell[1])}"
        number = number_in(cell)
        return ("–" if cell is None else str(cell)) if number is None else one(number)

    return [text(cell) for cell in cells]
