"""What generating and evaluating answer with: made first, written when asked to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mutoscope.kinds.report_parts import add_controllability, add_origin, add_results
from mutoscope.kinds.tables import Row, Table, as_markdown, for_terminal, rows_json, write_results
from mutoscope.kinds.task import EvaluationTask
from mutoscope.metrics.protocol import Protocol
from mutoscope.render.page.report import Report
from mutoscope.runtime.console import say
from mutoscope.runtime.files import no_empty_folders
from mutoscope.runtime.provenance import run_facts
from mutoscope.structures import Sample


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated(ABC):
    """What a model was asked for and made.

    Args:
        sample: on the CPU, in dataset units.
    """

    sample: Sample

    @abstractmethod
    def describe(self) -> str:
        """How much of what there is, e.g. ``12 sequences of 64 frames``."""

    @abstractmethod
    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """Write arrays, videos and pictures.

        Args:
            out: the folder; may not exist yet.
            gif: also write GIFs beside the videos.

        Returns:
            What to tell of.
        """

    def save(self, out: str | Path, *, gif: bool = False) -> list[Path]:
        """:meth:`write` to the folder ``out``, and say so."""
        folder = Path(out)
        with no_empty_folders(folder):
            paths = self.write(folder, gif=gif)
        say(f"Wrote {self.describe()} to {folder}: {', '.join(path.name for path in paths)}.")
        return paths


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What an evaluation found; a kind with more to tell than tables derives from it.

    Args:
        task: what was measured.
        protocol: how all this was measured.
        tables: by their names in ``metrics.json``; numbers without a protocol get one here.
        caveats: by metric, what to bear in mind with its numbers.
    """

    task: EvaluationTask
    protocol: Mapping[str, Any]
    tables: Mapping[str, Table]
    caveats: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # also where a kind says of a number no more than how many clips it counts
        tables = {
            name: replace(table, protocols=self._protocols(table) | dict(table.protocols))
            for name, table in self.tables.items()
        }
        object.__setattr__(self, "tables", tables)

    def _protocols(self, table: Table) -> dict[str, Protocol]:
        """How numbers were measured of which nothing else is known: no network, no real clips to hold against."""
        info, datamodule = self.task.info, self.task.datamodule
        return {
            name: Protocol(
                name=name,
                n_real=0,
                n_fake=table.rows[0].count,
                ddof=None,
                extractor=None,
                dataset=datamodule.fingerprint,
                length=info.length,
                fps=info.fps,
                seed=self.task.settings.seed,
            )
            for name in table.rows[0].values
        }

    @property
    def rows(self) -> Sequence[Row]:
        """Of the first table."""
        return next(iter(self.tables.values())).rows if self.tables else ()

    def by_caveat(self) -> dict[str, list[str]]:
        """The metrics that share each caveat."""
        texts = dict.fromkeys(self.caveats.values())
        return {text: [name for name, own in self.caveats.items() if own == text] for text in texts}

    def content(self) -> dict[str, Any]:
        """Of ``metrics.json``."""
        rows = {name: rows_json(table) for name, table in self.tables.items()}
        return {**rows, "caveats": dict(self.caveats), "protocol": dict(self.protocol)}

    def publish(self, out: Path) -> list[Path]:
        """Write ``report.html``, and media where there are some; what was written."""
        model, info, facts = self.task.model, self.task.info, run_facts()
        name = type(model.module).__name__
        report = Report(
            f"{name} on {info.name}",
            f"What a model trained for {model.module.iterations:,} iterations makes of {info.name}, measured.",
        )
        report.add_facts(
            {
                "Dataset": info.name,
                "Clip": f"{info.length} frames at {info.fps:g} fps",
                "Iterations": model.module.iterations,
                "Parameters": sum(p.numel() for p in model.module.generator.parameters()),
                "mutoscope": facts["versions"]["mutoscope"],
            }
        )
        self.add_further(report)
        add_origin(report, model.path, (), self.protocol, facts)
        return [report.write(out / "report.html")]

    def add_further(self, report: Report, *told: str) -> None:
        """Add to a page the tables that were not ``told`` of there, and what to bear in mind."""
        for name, table in self.tables.items():
            if name not in (*told, "controllability"):
                note = " ".join(f"{row.name}: {row.what}" for row in table.rows)
                add_results(report, table.title, table, note=note, command=self.task.settings.command)
        add_controllability(report, self.tables, self.protocol)
        for text, names in self.by_caveat().items():
            report.add_text(f"To bear in mind with {', '.join(names)}", text)

    def write(self, out: str | Path) -> list[Path]:
        """Write ``metrics.json``, ``table.csv|md|tex``, ``report.html`` and media to the folder ``out``, and say so."""
        folder = Path(out)
        with no_empty_folders(folder):
            folder.mkdir(parents=True, exist_ok=True)
            written = write_results(folder, list(self.tables.values()), self.content())
            written += self.publish(folder)
        say(f"Wrote {', '.join(map(str, written))}.")
        return written

    def show(self) -> None:
        """Print the tables and what to bear in mind with their numbers."""
        for table in self.tables.values():
            say(for_terminal(table))
        for caveat, names in self.by_caveat().items():
            say(f"{', '.join(names)}: {caveat}")

    def __str__(self) -> str:
        return "\n".join(map(as_markdown, self.tables.values()))
