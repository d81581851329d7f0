"""Where numbers go. Files always; TensorBoard and wandb when the config asks for them."""

import csv
import json
import uuid
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import Logger

from mutoscope.formats.files import replacing


class FileLogger(Logger):
    """One JSON object per entry in ``metrics.jsonl``, each with its ``step`` (iterations); ``metrics.csv`` at the end.

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
            with replacing(self.path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
            self._started = True
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        rows = read_metrics(self.path)
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with replacing(self.path.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(rows)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The entries of a ``metrics.jsonl``; a torn last line (a killed run) is left out; no file is no entries."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


@runtime_checkable
class MediaLogger(Protocol):
    """A logger that can show videos and pictures."""

    def log_media(self, paths: Sequence[Path], step: int) -> None:
        """Show files (``.mp4``, ``.png``) under a panel named after each file."""


class WandbRun(Logger):
    """A wandb run with a stable id, so that a resumed training continues the same run.

    Numbers keep the sections ``loss/``, ``metric/`` and ``health/``; videos come in one panel per class, always at
    the same place. Iterations are the x-axis. Without network, ``mode=offline`` (or ``WANDB_MODE=offline``) writes the
    run below ``run_dir`` for ``wandb sync``; in ``online`` mode a missing network never blocks training, wandb queues.

    Args:
        run_dir: the run's folder; the id is kept in ``wandb_id`` there.
        config: the resolved, plain config.
        project, entity, mode: as in ``wandb.init``.
        group: of the dashboard; the sweep's id by default.
        init_timeout: seconds to wait for the server before going offline.
    """

    def __init__(
        self,
        run_dir: Path,
        config: dict[str, Any],
        project: str = "mutoscope",
        entity: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        group: str | None = None,
        init_timeout: float = 30.0,
    ) -> None:
        super().__init__()
        self.run_dir, self.config, self.project, self.entity = run_dir, config, project, entity
        self.mode, self.group, self.init_timeout = mode, group, init_timeout
        self._run: Any = None

    @property
    def name(self) -> str:
        return self.project

    @property
    def version(self) -> str:
        """The run's id: made once, then read from the run's folder."""
        path = self.run_dir / "wandb_id"
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_text(uuid.uuid4().hex[:8])
        return path.read_text().strip()

    @property
    def run(self) -> Any:
        """The wandb run, started at first use."""
        if self._run is None:
            import wandb

            settings = wandb.Settings(init_timeout=self.init_timeout, silent=True)
            arguments: dict[str, Any] = {
                "project": self.project,
                "entity": self.entity,
                "name": self.config.get("name"),
                "id": self.version,
                "resume": "allow",
                "group": self.group or self.config.get("sweep"),
                "config": self.config,
                "dir": str(self.run_dir),
                "settings": settings,
            }
            try:
                self._run = wandb.init(mode=self.mode, **arguments)
            except wandb.errors.CommError as error:
                rank_zero_warn(f"wandb cannot be reached ({error}); the run is kept offline for `wandb sync`.")
                self._run = wandb.init(mode="offline", **arguments)
            self._run.define_metric("iterations")
            self._run.define_metric("*", step_metric="iterations")
        return self._run

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The config went in with the start of the run."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log({**metrics, "iterations": step})

    @rank_zero_only
    def log_media(self, paths: Sequence[Path], step: int) -> None:
        import wandb

        media: dict[str, Any] = {}
        for path in paths:
            if path.suffix == ".mp4":
                media[f"samples/{path.stem}"] = wandb.Video(str(path), format="mp4")
            elif path.suffix == ".png":
                media[f"samples/{path.stem}"] = wandb.Image(str(path))
        self.run.log({**media, "iterations": step})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if status == "success" else 1)
            self._run = None


class TensorBoardRun(TensorBoardLogger):
    """TensorBoard event files in ``tensorboard/`` of the run directory.

    Args:
        run_dir: the run's folder.
    """

    def __init__(self, run_dir: Path) -> None:
        super().__init__(save_dir=run_dir, name="", version="tensorboard")
