"""Tables of a report: columns, what is best in them, and how numbers are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mutoscope.render.page.templating import rendered

if TYPE_CHECKING:
    from markupsafe import Markup

Better = Literal["lower", "higher"]
#: a number, a (mean, its deviation or half the width of its interval), a text, or nothing
Cell = float | int | str | tuple[float, float] | None

#: columns beyond which headings and numbers may break into lines, so that a page shows them side by side
_DENSE = 6


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
    note: str,
    below: Sequence[str] = (),
    command: str,
    sort_by: str | None,
    reference: Sequence[Cell],
    turned: bool = False,
) -> "Markup":
    """A table, what its columns mean, and the command that made it; see :meth:`~.report.Report.add_table`."""
    if sort_by is not None:
        downwards = any(column.key == sort_by and column.better == "higher" for column in columns)
        rows = sorted(rows, key=lambda row: _sort_key(row.get(sort_by), downwards))
    contest = [row.get(columns[0].key) not in reference for row in rows]
    numeric = [any(number_in(row.get(c.key)) is not None for row in rows) for c in columns]
    best = [best_cells([row.get(c.key) for row in rows], contest, c.better) for c in columns]
    texts = [cell_texts([row.get(c.key) for row in rows], c.digits) for c in columns]

    return rendered(
        "table",
        note=note,
        below=below,
        command=command,
        turned=turned,
        dense=turned or len(columns) > _DENSE,
        columns=[
            {"name": c.name or c.key, "explain": c.explain, "better": c.better, "numeric": n}
            for c, n in zip(columns, numeric, strict=True)
        ],
        rows=[
            {
                "reference": not own,
                "texts": [column[i] for column in texts],
                "best": [i in places for places in best],
            }
            for i, own in enumerate(contest)
        ],
    )


def number_in(cell: Cell) -> float | None:
    """The number to compare a cell by, or ``None`` where it holds none."""
    if isinstance(cell, tuple):
        cell = cell[0]
    if isinstance(cell, bool) or not isinstance(cell, (int, float, np.integer, np.floating)):
        return None
    return float(cell)


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
