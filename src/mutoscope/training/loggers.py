"""Where numbers go. Files always; TensorBoard and wandb when the config asks for them."""

import csv
import json
import netrc
import os
import shlex
import uuid
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlparse

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import Logger

from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing


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
        self._append({"step": step, **metrics})

    @rank_zero_only
    def log_note(self, text: str, step: int) -> None:
        """Keep a sentence among the numbers, as ``note``."""
        self._append({"step": step, "note": text})

    def _append(self, entry: Mapping[str, Any]) -> None:
        if not self._started:
            kept = [row for row in read_metrics(self.path) if row["step"] <= self._resume_at]
            with replacing(self.path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
            self._started = True
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            # a file that cannot be written to does not say which it is
            raise OSError(error.errno, error.strerror, str(self.path)) from error

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
class NoteLogger(Protocol):
    """A logger that keeps sentences, e.g. why a number is absent."""

    def log_note(self, text: str, step: int) -> None:
        """Keep a sentence."""


@runtime_checkable
class Located(Protocol):
    """A logger whose results lie somewhere that a person may look at or upload."""

    def where(self) -> str | None:
        """A sentence on where and how, after the training; ``None`` where there is nothing to see."""


@runtime_checkable
class MediaLogger(Protocol):
    """A logger that can show videos and pictures."""

    def log_media(self, paths: Sequence[Path], step: int) -> None:
        """Show files (``.mp4``, ``.png``) under a panel named after each file."""


class WandbRun(Logger):
    """A wandb run with a stable id, so that a resumed training continues the same run.

    Numbers keep the sections ``loss/``, ``metric/`` and ``health/``; videos come in one panel per class, always at
    the same place. Iterations are the x-axis.

    Nothing here ever waits for a person or a network: without an API key, or when the server does not answer within
    ``init_timeout``, the run is kept offline below ``run_dir/wandb`` and ``wandb sync`` uploads it later; when the
    network goes away during training, ``finish_timeout`` bounds the wait at the end.

    Args:
        run_dir: the run's folder; the id is kept in ``wandb_id`` there.
        config: the resolved, plain config.
        project, entity: as in ``wandb.init``.
        mode: ``online``, ``offline`` or ``disabled``; ``$WANDB_MODE``, else wandb's own setting, by default.
        group: of the dashboard; the sweep's id by default.
        job_type: of the run within its group.
        init_timeout: seconds to wait for the server before going offline.
        finish_timeout: seconds to wait at the end for what is not uploaded yet; it stays on disk.

    Raises:
        ConfigError: if wandb is not installed or ``mode`` is not one of the above.
    """

    def __init__(
        self,
        run_dir: Path,
        config: dict[str, Any],
        project: str = "mutoscope",
        entity: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        group: str | None = None,
        job_type: str = "train",
        init_timeout: float = 30.0,
        finish_timeout: float = 60.0,
    ) -> None:
        super().__init__()
        if mode not in (None, "online", "offline", "disabled"):
            raise ConfigError(f"logger.wandb.mode is '{mode}', expected online, offline, disabled or null.")
        try:
            import wandb  # noqa: F401
        except ImportError as error:
            raise ConfigError("logger=wandb needs the package wandb: pip install wandb, or use logger=csv.") from error
        self.run_dir, self.config, self.project, self.entity = run_dir, config, project, entity
        self.mode, self.group, self.job_type = mode, group, job_type
        self.init_timeout, self.finish_timeout = init_timeout, finish_timeout
        self._run: Any = None
        self._where: str | None = None

    @property
    def name(self) -> str:
        return self.project

    @property
    def version(self) -> str | None:
        """The run's id: made once, then read from the run's folder; ``None`` before the run has started."""
        path = self.run_dir / "wandb_id"
        return path.read_text().strip() if path.is_file() else None

    @property
    def run(self) -> Any:
        """The wandb run, started at first use."""
        if self._run is None:
            if self.version is None:
                with replacing(self.run_dir / "wandb_id") as temporary:
                    temporary.write_text(uuid.uuid4().hex[:8])
            self._run = self._start()
            self._run.define_metric("iterations")
            self._run.define_metric("*", step_metric="iterations")
        return self._run

    def _start(self) -> Any:
        import wandb

        arguments: dict[str, Any] = {
            "project": self.project,
            "entity": self.entity,
            "name": self.config.get("name"),
            "id": self.version,
            "resume": "allow",
            "group": self.group or self.config.get("sweep"),
            "job_type": self.job_type,
            "config": self.config,
            "dir": str(self.run_dir),
            "settings": wandb.Settings(init_timeout=self.init_timeout, finish_timeout=self.finish_timeout, silent=True),
        }
        own = wandb.setup().settings
        mode: Any = self.mode or os.environ.get("WANDB_MODE") or own.mode
        # asked here, because wandb itself would ask the person at the terminal and wait for the answer
        if mode == "online" and not _has_credentials(own.base_url, own.api_key):
            return self._start_offline(arguments, f"there is no API key for {own.base_url} (see `wandb login`)")
        try:
            return wandb.init(mode=mode, **arguments)
        except (wandb.errors.Error, TimeoutError) as error:
            if mode != "online":
                raise
            # the service process still holds the id of the run that never came up
            wandb.teardown()
            return self._start_offline(arguments, " ".join(str(error).split()).rstrip("."))

    def _start_offline(self, arguments: Mapping[str, Any], reason: str) -> Any:
        import wandb

        run = wandb.init(mode="offline", **arguments)
        say(f"wandb stays offline, because {reason}; later, wandb sync {Path(run.dir).parent} uploads the run.")
        return run

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
        if media:
            self.run.log({**media, "iterations": step})

    @rank_zero_only
    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], summary: Mapping[str, Any]
    ) -> None:
        """Show a table under ``name``, and single values in the run's summary."""
        import wandb

        self.run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
        self.run.summary.update(dict(summary))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._run is not None:
            self._where = self._whereabouts()
            self._run.finish(exit_code=0 if status == "success" else 1)
            self._run = None

    def _whereabouts(self) -> str | None:
        run = self._run
        if getattr(run, "disabled", False):
            return None
        if run.settings.mode == "offline" or not run.url:
            folder = Path(run.dir).parent
            return f"wandb: kept offline in {folder}; {shlex.join(['wandb', 'sync', str(folder)])} uploads it."
        return f"wandb: {run.url}"

    def where(self) -> str | None:
        return self._where


def _has_credentials(base_url: str, configured_key: str | None) -> bool:
    """Whether wandb would find a key for the server in its settings, in the environment or in a netrc file."""
    if configured_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            found = netrc.netrc(path.expanduser()).authenticators(urlparse(base_url).hostname or "")
        except (OSError, netrc.NetrcParseError):
            continue
        if found is not None:
            return True
    return False


class TensorBoardRun(TensorBoardLogger):
    """TensorBoard event files in ``tensorboard/`` of the run directory.

    Args:
        run_dir: the run's folder.

    Raises:
        ConfigError: if TensorBoard is not installed.
    """

    def __init__(self, run_dir: Path) -> None:
        try:
            super().__init__(save_dir=run_dir, name="", version="tensorboard")
        except ImportError as error:
            raise ConfigError(
                "logger=tensorboard needs the package tensorboard: pip install 'mutoscope[tensorboard]', "
                "or use logger=csv."
            ) from error

    def where(self) -> str | None:
        return f"TensorBoard: {shlex.join(['tensorboard', '--logdir', self.log_dir])}"
