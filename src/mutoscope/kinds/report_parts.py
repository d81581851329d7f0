"""What the pages of all evaluations have in common."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mutoscope.kinds.tables import Table
from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.training.loggers import read_metrics


def add_results(report: Report, title: str, table: Table, *, note: str, command: str) -> None:
    """A table of results with the orientation it has in the terminal, and why values are absent."""
    rows, columns = table.for_report()
    report.add_table(
        title,
        rows,
        columns,
        note=note,
        below=table.remarks(),
        command=command,
        reference=table.reference,
        turned=True,
    )


def add_controllability(report: Report, tables: Mapping[str, Table], protocol: Mapping[str, Any]) -> None:
    """The table of controllability, where the models were asked."""
    if "controllability" not in tables:
        return
    table, asked = tables["controllability"], protocol["controllability"]
    explained = " ".join(f"{column.key}: {column.explain}." for column in table.columns)
    add_results(
        report,
        "Controllability",
        table,
        note=f"The same questions to all kinds of data, {asked['cases']} cases at most. {explained} "
        f"Who judges: {asked['judge']}.",
        command=protocol["command"],
    )


def add_origin(
    report: Report, checkpoint: Path, charts: Iterable[Chart], protocol: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """The end of a page: curves of the training, the protocol, the training's configuration, versions.

    Args:
        report: the page.
        checkpoint: of a run, beside which its history and configuration are looked up, or an exported folder, which
            has no history.
        charts: those are drawn whose numbers were all logged.
        protocol: how the numbers were made.
        facts: see :func:`~mutoscope.runtime.provenance.run_facts`.
    """
    run_dir = checkpoint if checkpoint.is_dir() else checkpoint.parent.parent
    rows = read_metrics(run_dir / "metrics.jsonl")
    charts = [chart for chart in charts if all(any(line in row for row in rows) for line in chart.lines)]
    if charts:
        report.add_curves("How it learned", rows, charts, note="The horizontal axis counts iterations (mini-batches).")
    report.add_details("Protocol", yaml.safe_dump(dict(protocol), sort_keys=False))
    config = run_dir / "config.yaml"
    if config.is_file():
        report.add_details("Training configuration", config.read_text())
    report.add_details("Made with", yaml.safe_dump(dict(facts), sort_keys=False))
