"""What the pages of all evaluations have in common."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from torchmetrics import Metric

from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.render.page.tables import Column
from mutoscope.training.loggers import read_metrics


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
