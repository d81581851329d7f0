"""What two sets of clips were found to be, and what can be asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from torchmetrics import Metric

from mutoscope.config.measures import ClipSettings, Metrics
from mutoscope.data.anybody import ClipSet
from mutoscope.kinds.report_parts import add_results
from mutoscope.kinds.tables import Row, Table, as_markdown, for_terminal, rows_json, write_results
from mutoscope.metrics.common import Side
from mutoscope.render.page.report import Report
from mutoscope.runtime.console import say
from mutoscope.runtime.files import no_empty_folders
from mutoscope.runtime.provenance import run_facts


@dataclass(frozen=True)
class ClipTask:
    """Two sets of clips that are to be held against each other.

    Args:
        real, fake: of one kind.
        metrics: config nodes by name.
        settings: what is taken of the clips.
        seed: of draws.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        strict: let errors of metrics through, for finding their cause.
        command: that repeats it.
    """

    real: ClipSet
    fake: ClipSet
    metrics: Metrics
    settings: ClipSettings
    seed: int
    accelerator: str
    strict: bool
    command: str

    @property
    def sides(self) -> tuple[tuple[Side, ClipSet], ...]:
        """Both, by their names."""
        return ("real", self.real), ("fake", self.fake)


@dataclass(frozen=True, kw_only=True, eq=False)
class SetEvaluation:
    """What two sets of clips were found to be.

    Args:
        title: of the report.
        tables: by their names in ``metrics.json``.
        protocol: how all this was measured.
        caveats: by metric, what to bear in mind with its numbers.
        command: that repeats it.
    """

    title: str
    tables: Mapping[str, Table]
    protocol: Mapping[str, Any]
    caveats: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def rows(self) -> Sequence[Row]:
        """Of the first table."""
        return next(iter(self.tables.values())).rows

    def show(self) -> None:
        """Print the tables and what to bear in mind with their numbers."""
        for table in self.tables.values():
            say(for_terminal(table))
        for name, caveat in self.caveats.items():
            say(f"{name}: {caveat}")

    def write(self, out: str | Path) -> list[Path]:
        """Write ``metrics.json``, ``table.csv|md|tex`` and ``report.html`` to the folder ``out``, and say so."""
        folder, facts = Path(out), run_facts()
        tables = list(self.tables.values())
        content = {name: rows_json(table) for name, table in self.tables.items()}
        report = Report(self.title, "Clips held against real ones; floors and foils show what the numbers are worth.")
        for table in tables:
            note = " ".join(f"{row.name}: {row.what}" for row in table.rows)
            add_results(report, table.title, table, note=note, command=self.command)
        for name, caveat in self.caveats.items():
            report.add_text(f"To bear in mind with {name}", caveat)
        report.add_details("Protocol", yaml.safe_dump(dict(self.protocol), sort_keys=False))
        report.add_details("Made with", yaml.safe_dump(dict(facts), sort_keys=False))
        with no_empty_folders(folder):
            folder.mkdir(parents=True, exist_ok=True)
            about = {"caveats": dict(self.caveats), "protocol": dict(self.protocol), "versions": facts["versions"]}
            written = write_results(folder, tables, {**content, **about})
            written.append(report.write(folder / "report.html"))
        say(f"Wrote {', '.join(map(str, written))}.")
        return written

    def __str__(self) -> str:
        return "\n".join(map(as_markdown, self.tables.values()))


def caveats_of(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """What metrics say of themselves that is to be borne in mind."""
    return {name: text for name, metric in metrics.items() if (text := str(getattr(metric, "caveat", "")))}
