"""What evaluations find, as tables: rows, what is best, and the files they are written to; for all kinds of data."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import rich.table
from torchmetrics import Metric

from mutoscope.metrics.protocol import Protocol
from mutoscope.render.page.tables import Cell, Column, best_cells, cell_texts
from mutoscope.runtime.files import replacing

#: a model that was trained; what is held against it: foils that show what a metric is worth, floors (real data in the
#: generator's place), oracles, which are given what a model has to find
Role = Literal["model", "foil", "floor", "oracle"]

#: characters of a metric's name that are kept on one line of a terminal
_NAME = 20
_ARROW = {"higher": "↑", "lower": "↓", None: ""}


@dataclass(frozen=True)
class Row:
    """What stood in the generator's place and what the metrics say of it.

    Args:
        name: e.g. ``trained``.
        role: only models compete for the best value.
        what: it is, in a sentence.
        count: clips measured.
        values: by metric name; ``None`` where there is no value. Of several runs, their mean.
        per_class: recognition accuracy by metric name and class name.
        absent: by metric name, why there is no value.
        deviations: by metric name, the standard deviation over runs (divided by their number less one).
        runs: the rows of single runs, checkpoints or seeds, where there are several.
        seed: of a single run, where there are several.
        intervals: by metric name, within which the value lies with 95 %, where that can be told.
    """

    name: str
    role: Role
    what: str
    count: int
    values: dict[str, float | None]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    deviations: dict[str, float | None] = field(default_factory=dict)
    runs: tuple["Row", ...] = ()
    seed: int | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def mean_over_classes(self) -> dict[str, float]:
        """By metric, the mean of its values per class, each class counting alike."""
        return {name: fmean(values.values()) for name, values in self.per_class.items() if values}

    def cell(self, metric: str) -> Cell:
        """The value, with its deviation where there are several runs."""
        value, deviation = self.values.get(metric), self.deviations.get(metric)
        return value if value is None or deviation is None else (value, deviation)


def over_runs(rows: Sequence[Row]) -> Row:
    """One row for several runs of the same: means and deviations; a value that one run lacks is absent.

    Args:
        rows: at least one; name, role and clips are the first one's.
    """
    if len(rows) == 1:
        return rows[0]
    first, n = rows[0], len(rows)
    values: dict[str, float | None] = {}
    deviations: dict[str, float | None] = {}
    absent: dict[str, str] = {}
    for name in first.values:
        found = [value for row in rows if (value := row.values.get(name)) is not None]
        values[name] = fmean(found) if len(found) == n else None
        deviations[name] = stdev(found) if len(found) == n else None
        if len(found) < n:
            reason = next(row.absent[name] for row in rows if name in row.absent)
            absent[name] = f"{n - len(found)} of {n} runs have no value: {reason}"
    per_class = {
        name: {
            label: fmean(row.per_class[name][label] for row in rows)
            for label in classes
            if all(label in row.per_class.get(name, {}) for row in rows)
        }
        for name, classes in first.per_class.items()
    }
    seeds = list(dict.fromkeys(row.seed for row in rows if row.seed is not None))
    whats = " ".join(dict.fromkeys(row.what for row in rows))
    what = f"Mean and standard deviation of {n} runs. {whats}"
    if len(seeds) > 1:
        what += f" Seeds {', '.join(map(str, seeds))}."
    return Row(first.name, first.role, what, first.count, values, per_class, absent, deviations, tuple(rows))


@dataclass(frozen=True)
class Table:
    """Rows under the same metrics; on paper and screen the rows stand beside one another, the metrics below.

    Args:
        title: of the table.
        rows: at least one.
        columns: of the metrics, one each, by their names.
        protocols: by metric, how its numbers were measured, the same for all rows.
        counted: whether rows count clips; questions count cases, each its own.
    """

    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    counted: bool = True

    @property
    def reference(self) -> list[str]:
        """Rows that do not compete."""
        return [row.name for row in self.rows if row.role != "model"]

    def lines(self) -> list[tuple[Column, list[str], set[int]]]:
        """Every metric with the texts of its values and the places of the best among models."""
        contest = [row.role == "model" for row in self.rows]
        found = []
        for column in self._all_columns():
            cells = [self.cells(row)[column.key] for row in self.rows]
            found.append((column, cell_texts(cells, column.digits), best_cells(cells, contest, column.better)))
        return found

    def cells(self, row: Row) -> dict[str, Cell]:
        """A row by column, with what it counts."""
        found: dict[str, Cell] = {"": row.name, "clips": row.count, "runs": len(row.runs) or 1}
        return found | {column.key: row.cell(column.key) for column in self.columns}

    def for_report(self) -> tuple[list[dict[str, Cell]], list[Column]]:
        """Rows and columns as a report takes them."""
        return [self.cells(row) for row in self.rows], [Column("", ""), *self._all_columns()]

    def absences(self) -> list[str]:
        """Why values are absent, a sentence for every reason."""
        where: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for metric, reason in row.absent.items():
                where.setdefault((metric, reason), []).append(row.name)
        return [f"No value of '{metric}' for {', '.join(names)}: {reason}" for (metric, reason), names in where.items()]

    def remarks(self) -> list[str]:
        """What stands below the table: why values are absent, and within which intervals others lie."""
        within = []
        for row in self.rows:
            told = {c.key: row.intervals[c.key] for c in self.columns if c.key in row.intervals and c.key in row.values}
            if told:
                texts = (f"{name} {low:.4g} to {high:.4g}" for name, (low, high) in told.items())
                within.append(f"95 % intervals of {row.name}: {', '.join(texts)}.")
        return [*self.absences(), *within]

    def _all_columns(self) -> list[Column]:
        several = [Column("runs", digits=0)] if any(row.runs for row in self.rows) else []
        return [*([Column("clips", digits=0)] if self.counted else []), *several, *self.columns]


def metric_column(name: str, metric: Metric, units: str = "m") -> Column:
    """The column of a metric, with its meaning and which way is better.

    Args:
        name: heading.
        metric: what is told.
        units: of the data; metrics of motion speak of metres, which most data have.
    """
    length = {"m": "metres", "px": "pixels"}.get(units, units)
    return Column(
        name,
        explain=str(getattr(metric, "meaning", "")).replace("metres", length),
        better={True: "higher", False: "lower", None: None}[metric.higher_is_better],
        digits=3,
    )


def for_terminal(table: Table) -> rich.table.Table:
    """A metric per line, a row of the evaluation per column: there are more metrics than fit side by side."""
    drawn = rich.table.Table(title=table.title)
    lines = table.lines()
    # folded where the window is narrow: what is cut off may look like something else
    drawn.add_column("", overflow="fold", min_width=min(max(len(_heading(column)) for column, *_ in lines), _NAME))
    for row in table.rows:
        drawn.add_column(row.name, justify="right", overflow="fold", min_width=max(map(len, row.name.split())))
    for column, texts, best in lines:
        shown = [f"[bold]{text}[/bold]" if i in best else text for i, text in enumerate(texts)]
        drawn.add_row(_heading(column), *shown)
    return drawn


def write_results(out: Path, tables: Sequence[Table], content: Mapping[str, Any]) -> list[Path]:
    """Write ``metrics.json``, and the tables as ``table.csv``, ``table.md`` and ``table.tex``, each atomically.

    Args:
        out: an existing folder.
        tables: in order.
        content: of ``metrics.json``; protocols of the tables' numbers are added.
    """
    protocols = {p.hash: p.to_dict() for table in tables for p in table.protocols.values()}
    texts = {
        "metrics.json": json.dumps({**content, "protocols": protocols}, indent=2, allow_nan=False),
        "table.csv": _csv(tables),
        "table.md": "\n".join(map(as_markdown, tables)),
        "table.tex": "\n".join(map(_latex, tables)),
    }
    paths = []
    for name, text in texts.items():
        paths.append(out / name)
        with replacing(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def rows_json(table: Table) -> list[dict[str, Any]]:
    """Rows as plain dicts; every value has the hash of its protocol, which ``metrics.json`` tells in full."""
    return [_row_json(row, table.protocols) for row in table.rows]


def _row_json(row: Row, protocols: Mapping[str, Protocol]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": row.name,
        "role": row.role,
        "what": row.what,
        "clips": row.count,
        "metrics": row.values,
        "absent": row.absent,
        "protocols": {name: protocols[name].hash for name in row.values if name in protocols},
    }
    if row.intervals:
        content["intervals"] = {name: list(interval) for name, interval in row.intervals.items()}
    if row.per_class:
        content["accuracy_per_class"] = row.per_class
        content["accuracy_mean_over_classes"] = row.mean_over_classes()
    if row.runs:
        content["deviations"] = row.deviations
        content["runs"] = [{"what": run.what, "seed": run.seed, "metrics": run.values} for run in row.runs]
    return content


def _csv(tables: Iterable[Table]) -> str:
    """One line per number, so that tables of different metrics fit into one file and any program can turn it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = "table,row,role,metric,better,value,deviation,runs,clips,protocol,absent,low,high"
    writer.writerow(head.split(","))
    for table in tables:
        for row in table.rows:
            for column in table.columns:
                if column.key not in row.values:
                    continue
                protocol = table.protocols.get(column.key)
                writer.writerow(
                    (
                        table.title,
                        row.name,
                        row.role,
                        column.key,
                        column.better or "",
                        _plain(row.values[column.key]),
                        _plain(row.deviations.get(column.key)),
                        len(row.runs) or 1,
                        row.count,
                        protocol.hash if protocol else "",
                        row.absent.get(column.key, ""),
                        *map(_plain, row.intervals.get(column.key, (None, None))),
                    )
                )
    return buffer.getvalue()


def as_markdown(table: Table) -> str:
    """A metric per line, the best values bold, and why values are absent."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    names = [row.name for row in table.rows]
    lines = [f"### {table.title}", "", line(["", *names]), line([":--", *["--:"] * len(names)])]
    for column, texts, best in table.lines():
        lines.append(line([_heading(column), *(f"**{t}**" if i in best else t for i, t in enumerate(texts))]))
    return "\n".join([*lines, "", *(f"- {text}" for text in table.remarks()), ""])


def _latex(table: Table) -> str:
    """Needs the package booktabs."""
    lines = [
        f"% {table.title}; \\usepackage{{booktabs}}",
        f"\\begin{{tabular}}{{l{'r' * len(table.rows)}}}",
        "\\toprule",
        " & ".join(["", *(_tex(row.name) for row in table.rows)]) + " \\\\",
        "\\midrule",
    ]
    arrow = {"higher": " $\\uparrow$", "lower": " $\\downarrow$", None: ""}
    for column, texts, best in table.lines():
        cells = [f"\\textbf{{{_tex(t)}}}" if i in best else _tex(t) for i, t in enumerate(texts)]
        lines.append(" & ".join([_tex(column.name or column.key) + arrow[column.better], *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", *(f"% {text}" for text in table.remarks()), ""])


def _tex(text: str) -> str:
    special = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$"}
    special |= {"–": "--", "≥": "$\\geq$"} | {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def _heading(column: Column) -> str:
    return f"{column.name or column.key} {_ARROW[column.better]}".rstrip()


def _plain(value: float | None) -> str:
    return "" if value is None else repr(value)
