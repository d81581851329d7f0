"""Where numbers go. Files always; TensorBoard and wandb when the config asks for them."""

import csv
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class FileLogger(Logger):
    """One JSON object per entry in ``metrics.jsonl``, each with its ``step`` (iterations); at the end ``metrics.csv`` too.

    Opened on an existing file, it keeps the entries up to iteration ``resume_at`` and drops later ones, which an
    interrupted run wrote after its last checkpoint.
    """

    def __init__(self, run_dir: Path, resume_at: int = 0) -> None:
        super().__init__()
        self.path = run_dir / "metrics.jsonl"
        self._resume_at = resume_at
        self._started = False

    @property
    def name(self) -> str:
        return "files"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The config lies beside the file already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if not self._started:
            kept = [row for row in read_metrics(self.path) if row["step"] <= self._resume_at]
            temporary = self.path.with_suffix(".jsonl.tmp")
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
            temporary.replace(self.path)
            self._started = True
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        rows = read_metrics(self.path)
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = self.path.with_suffix(".csv")
        temporary = table.with_suffix(".csv.tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(table)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The entries of a ``metrics.jsonl``; a torn last line (a killed run) is left out; no file is no entries."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
