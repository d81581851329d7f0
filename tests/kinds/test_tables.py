"""Tables of results: what competes, what several runs give, and the files they are written to."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mutoscope.kinds.tables import Row, Table, for_terminal, over_runs, rows_json, write_results
from mutoscope.metrics import Protocol
from mutoscope.render.page.report import Report
from mutoscope.render.page.tables import Column

COLUMNS = [Column("fid", better="lower", digits=3), Column("a_b", better="higher", digits=3), Column("jerk", digits=3)]


def row(name: str, role: str, fid: float | None, accuracy: float, **more: object) -> Row:
    return Row(name, role, f"It is {name}.", 40, {"fid": fid, "a_b": accuracy, "jerk": 1.0}, **more)  # type: ignore[arg-type]


@pytest.fixture
def table() -> Table:
    rows = [
        row("untrained", "foil", 9.0, 0.9),
        row("mine", "model", 3.0, 0.5),
        row("theirs & others", "model", 2.0, 0.4),
        row("broken", "model", None, 0.3, absent={"fid": "Features hold NaN."}),
        row("true layout", "oracle", 1.0, 0.95),
        row("real (floor)", "floor", 0.0, 0.99),
    ]
    protocol = Protocol("fid", 10, 40, 1, None, "abc", 16, 30.0, 0)
    return Table("Results", rows, COLUMNS, {"fid": protocol})


def test_only_models_are_best(table: Table) -> None:
    best = {column.key: best for column, _, best in table.lines()}
    assert best == {"clips": set(), "fid": {2}, "a_b": {1}, "jerk": set()}
    alone = replace(table, rows=[one for one in table.rows if one.name not in ("mine", "broken")])
    assert not any(best for *_, best in alone.lines()), "one alone has won nothing"


def test_terminal_and_report_lie_the_same_way(table: Table) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(for_terminal(table))
    text = console.export_text()
    assert all(one.name in text for one in table.rows[:2])
    line = next(line for line in text.splitlines() if "fid ↓" in line)
    assert [cell.strip() for cell in line.split("│")[2:-1]] == ["9.000", "3.000", "2.000", "–", "1.000", "0.000"]
    rows, columns = table.for_report()
    report = Report("x")
    report.add_table("t", rows, columns, reference=table.reference, turned=True)
    page = report.html()
    start = page.index('<th scope="row">fid')
    cells = page[start : page.index("</tr>", start)]
    assert cells.count("<td") == 6
    assert 'class="number best">2.000' in cells
    assert 'class="number reference">0.000' in cells
    assert page.index(">untrained</th>") < page.index(">real (floor)</th>") < start


def test_runs_give_mean_and_deviation() -> None:
    runs = [row("m", "model", fid, 0.5, per_class={"acc": {"walk": fid / 10}}) for fid in (1.0, 2.0, 6.0)]
    merged = over_runs(runs)
    assert merged.values == {"fid": 3.0, "a_b": 0.5, "jerk": 1.0}
    assert merged.deviations["fid"] == pytest.approx(7**0.5)
    assert merged.deviations["a_b"] == 0
    assert merged.per_class["acc"]["walk"] == pytest.approx(0.3)
    assert merged.cell("fid") == (3.0, pytest.approx(7**0.5))
    assert over_runs(runs[:1]) is runs[0]
    lacking = over_runs([*runs, row("m", "model", None, 0.5, absent={"fid": "NaN."})])
    assert lacking.values["fid"] is None
    assert lacking.absent == {"fid": "1 of 4 runs have no value: NaN."}
    shown = {c.key: texts for c, texts, _ in Table("t", [merged, row("one", "foil", 1.0, 0.1)], COLUMNS).lines()}
    assert shown["runs"] == ["3", "1"]
    assert shown["fid"] == ["3.000 ± 2.646", "1.000"]


def test_files_hold_what_was_found(table: Table, tmp_path: Path) -> None:
    merged = over_runs([row("m", "model", 1.0, 0.5), row("m", "model", 2.0, 0.5)])
    table = replace(table, rows=[*table.rows, merged])
    paths = write_results(tmp_path, [table, Table("More_%", [merged], COLUMNS)], {"rows": rows_json(table)})
    assert [path.name for path in paths] == ["metrics.json", "table.csv", "table.md", "table.tex"]
    content = json.loads(paths[0].read_text())
    (protocol,) = content["protocols"]
    assert content["protocols"][protocol]["n_fake"] == 40
    assert all(one["protocols"] == {"fid": protocol} for one in content["rows"])
    assert content["rows"][3]["metrics"]["fid"] is None
    assert content["rows"][3]["absent"] == {"fid": "Features hold NaN."}
    assert [run["metrics"]["fid"] for run in content["rows"][-1]["runs"]] == [1.0, 2.0]

    with paths[1].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 8 * 3
    by_place = {(line["table"], line["row"], line["metric"]): line for line in lines}
    assert by_place["Results", "broken", "fid"]["absent"] == "Features hold NaN."
    assert by_place["Results", "broken", "fid"]["value"] == ""
    assert float(by_place["Results", "m", "fid"]["value"]) == 1.5
    assert float(by_place["Results", "m", "fid"]["deviation"]) == pytest.approx(0.5**0.5)
    assert by_place["Results", "m", "fid"]["runs"] == "2"
    assert by_place["Results", "mine", "fid"]["protocol"] == protocol

    markdown = paths[2].read_text()
    # the mean over two runs is the lowest of the models'
    assert "| fid ↓ | 9.000 | 3.000 | 2.000 | – | 1.000 | 0.000 | **1.500 ± 0.707** |" in markdown
    assert "- No value of 'fid' for broken: Features hold NaN." in markdown
    latex = paths[3].read_text()
    assert "theirs \\& others" in latex
    assert "fid $\\downarrow$ & 9.000 & 3.000 & 2.000 & -- & 1.000 & 0.000 & \\textbf{1.500 $\\pm$ 0.707} \\\\" in latex
    assert "a\\_b $\\uparrow$" in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 2
