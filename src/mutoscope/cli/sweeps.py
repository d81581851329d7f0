"""Sweeps: what each job of ``train -m`` leaves behind, and the table of all of them at the end.

Jobs may run in other processes or on other machines (joblib, submitit), so everything is collected from their
directories.
"""

import csv
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.plugins.config_source import ConfigLoadError
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mutoscope.cli.processes import RESULT, read_result, write_result
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import missing_folders, replacing
from mutoscope.runtime.locks import is_locked, run_lock
from mutoscope.runtime.provenance import typed_again, typed_command

#: what a job was asked for: ``{"number": ..., "overrides": [...]}``
ABOUT = "job.json"
TABLE = "sweep.csv"
#: what a sweep is: ``{"command": what was typed, "ended": whether its last job has}``
SWEEP = "sweep.json"


#: settings of launchers that differ from the plug-ins' own
LAUNCHERS: dict[str, dict[str, Any]] = {
    # -1 would start a job per CPU core, all of them on the same device
    "joblib": {"n_jobs": 1},
    "submitit_local": {
        # null would hide every GPU from the jobs; it is the number of devices of one job for trainer=ddp
        "gpus_per_node": 1,
        # 60 would end longer trainings
        "timeout_min": 7 * 24 * 60,
        # the local executor leaves an empty folder named by the job number's placeholder
        "submitit_folder": "${hydra.sweep.dir}/.submitit",
    },
}


def set_launcher_defaults() -> None:
    """Give the launchers that are installed the settings above."""
    # registers the plug-ins' own settings, once; later ones replace them
    Plugins.instance()
    store = ConfigStore.instance()
    for name, settings in LAUNCHERS.items():
        try:
            node = store.load(f"hydra/launcher/{name}.yaml").node
        except ConfigLoadError:
            continue
        store.store(group="hydra/launcher", name=name, node=OmegaConf.merge(node, settings), provider="mutoscope")


def sweep_id(mode: RunMode | None, sweep_dir: str) -> str | None:
    """A name for the sweep in a directory, the same for all of its jobs; ``None`` for a single run."""
    if mode != RunMode.MULTIRUN:
        return None
    path = Path(sweep_dir).resolve()
    return f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


def sweep_dir_for(root: str) -> str:
    """``<root>/<time>``, or the newest directory in which the same command began a sweep that did not end.

    Ended is a sweep whose last job has, also where it failed; one that another process leads at the moment is its own.
    """
    for path in sorted(Path(root).glob(f"*/{SWEEP}"), reverse=True):
        about = _about_sweep(path.parent)
        if about.get("command") == typed_command() and not about.get("ended") and not is_locked(path.parent):
            return str(path.parent)
    return str(Path(root) / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))


def _about_sweep(sweep_dir: Path) -> dict[str, Any]:
    try:
        about = json.loads((sweep_dir / SWEEP).read_text())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _write_about_sweep(sweep_dir: Path, command: Any, ended: bool) -> None:
    with replacing(sweep_dir / SWEEP) as temporary:
        temporary.write_text(json.dumps({"command": command, "ended": ended}))


class SweepRefused(BaseException):
    """A sweep that cannot begin, past Hydra, which would warn of an ``error`` in a callback and go on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class SweepStart(Callback):
    """Hydra callback that remembers where a run or a sweep began.

    What the same command left in a sweep's directory is kept: jobs that ended are not run again. What another left
    there is cleared.
    """

    #: of the sweep that this process leads
    sweep_dir: Path | None = None
    _held: ClassVar[ExitStack] = ExitStack()

    #: of those that Hydra is about to make for this process, the deepest first
    new_folders: ClassVar[list[Path]] = []

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # the folder's name has Hydra's choices in it, which Hydra itself makes known only later
        HydraConfig.instance().set_config(config)
        SweepStart.new_folders = missing_folders(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        sweep_dir = Path(config.hydra.sweep.dir)
        SweepStart.new_folders = missing_folders(sweep_dir)
        try:
            SweepStart._held.enter_context(run_lock(sweep_dir))
        except (ConfigError, OSError) as error:
            raise SweepRefused(error) from error
        SweepStart.sweep_dir = sweep_dir
        command = typed_command()
        if _about_sweep(sweep_dir).get("command") != command or config.overwrite:
            for about in sweep_dir.rglob(ABOUT):
                about.unlink()
        _write_about_sweep(sweep_dir, command, ended=False)

    @classmethod
    def end(cls) -> None:
        """Let others have the directory."""
        cls._held.close()
        cls.sweep_dir = None


#: status of a job that somebody stopped
_INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep.

    Args:
        number: Hydra's, from 0.
        overrides: the job's settings.
        objective: what it reached; ``None`` if it failed or logged none.
        error: the sentence it failed with.
        folder: its run directory.
    """

    number: int
    overrides: list[str]
    objective: float | None
    error: str | None
    folder: Path

    @property
    def status(self) -> str:
        """``done``, or the sentence it failed with."""
        return self.error or ("done" if self.objective is not None else "done, but the objective was never logged")


def run_sweep_job(
    run_dir: Path,
    number: int,
    overrides: Sequence[str],
    job: Callable[[bool], float | None],
    describe: Callable[[Exception], str] = str,
) -> float:
    """Run one job such that its failure is recorded in its directory and does not stop the others.

    A job that ended well in an earlier attempt of the same sweep is not run again.

    Args:
        run_dir: of the job.
        number, overrides: Hydra's, for the table at the end.
        job: trains and returns the objective; told whether an earlier attempt began it.
        describe: makes a sentence of an exception.

    Returns:
        The objective for Hydra's sweeper; nan where there is none.
    """
    about, path = {"number": number, "overrides": list(overrides)}, run_dir / ABOUT
    began = path.is_file() and json.loads(path.read_text()) == about
    if began and "objective" in (result := read_result(run_dir)):
        say(f"Job {number} is done already: {run_dir}.")
        return math.nan if result["objective"] is None else result["objective"]
    # of another sweep, or of an attempt that came to no good
    (run_dir / RESULT).unlink(missing_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about))
    try:
        objective = job(began)
    except Exception as error:
        sentence = describe(error)
        write_result(run_dir, {"error": sentence})
        sys.stderr.write(f"job {number} failed: {sentence}\n")
        return math.nan
    return math.nan if objective is None else objective


def collect(sweep_dir: Path) -> list[SweepJob]:
    """All jobs below a sweep's directory, by number."""
    jobs = []
    for path in sweep_dir.rglob(ABOUT):
        about, result = json.loads(path.read_text()), read_result(path.parent)
        error = None
        if "objective" not in result:
            interrupted = _INTERRUPTED if "interrupted" in result else "ended without a word (killed?)"
            error = result.get("error", interrupted)
        jobs.append(SweepJob(about["number"], about["overrides"], result.get("objective"), error, path.parent))
    return sorted(jobs, key=lambda job: job.number)


def best_of(jobs: Sequence[SweepJob]) -> SweepJob | None:
    """The job with the lowest finite objective."""
    finite = [(job.objective, job.number, job) for job in jobs if math.isfinite(_number(job.objective))]
    return min(finite)[2] if finite else None


def _number(objective: float | None) -> float:
    return math.nan if objective is None else objective


#: of the table on disk and on wandb
COLUMNS = ("job", "overrides", "objective", "best", "status", "directory")


def rows_of(jobs: Sequence[SweepJob]) -> list[list[Any]]:
    """The table of a sweep, one row per job; see :data:`COLUMNS`."""
    best = best_of(jobs)
    return [
        [job.number, " ".join(job.overrides), job.objective, job is best, job.status, str(job.folder)] for job in jobs
    ]


def report_sweep(sweep_dir: Path, stopped: bool = False) -> bool:
    """Print the table of a sweep, write ``sweep.csv``, and show it on wandb if the jobs are there.

    Args:
        sweep_dir: of the sweep.
        stopped: somebody stopped it, and the same command is to go on with it.

    Returns:
        Whether every job succeeded.
    """
    jobs = collect(sweep_dir)
    if not jobs:
        return True
    rows = rows_of(jobs)
    with replacing(sweep_dir / TABLE) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    sweep = _Sweep.of(jobs)
    _print(jobs, sweep_dir, sweep.objective)
    if stopped:
        again = typed_again(("hydra.sweep.dir",), [f"hydra.sweep.dir={sweep_dir}"])
        say(f"Stopped. The same command runs what is missing:\n  {again}")
        return False
    _write_about_sweep(sweep_dir, _about_sweep(sweep_dir).get("command"), ended=True)
    if sweep.wandb is not None:
        _show_on_wandb(sweep, sweep.wandb, sweep_dir, jobs)
    return all(job.error is None for job in jobs)


@dataclass(frozen=True)
class _Sweep:
    """What the jobs of a sweep have in common.

    Args:
        name: of the run.
        sweep: its id.
        objective: name of the value that is compared.
        wandb: node of that logger, where there is one.
    """

    name: str | None = None
    sweep: str | None = None
    objective: str = "objective"
    wandb: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, jobs: Sequence[SweepJob]) -> Self:
        """From the config of the first job that got so far as to have one."""
        paths = (job.folder / "config.yaml" for job in jobs)
        config: Mapping[str, Any] = next((yaml.safe_load(path.read_text()) for path in paths if path.is_file()), {})
        said = {key: config[key] for key in ("name", "sweep", "objective") if config.get(key) is not None}
        return cls(**said, wandb=(config.get("logger") or {}).get("wandb"))


def _print(jobs: Sequence[SweepJob], sweep_dir: Path, objective: str) -> None:
    from rich.table import Table

    shared = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    best = best_of(jobs)
    table = Table(title=f"Sweep {sweep_dir}")
    table.add_column("job", justify="right")
    table.add_column("overrides", overflow="fold")
    table.add_column(f"{objective} ↓", justify="right")
    table.add_column("status", overflow="fold")
    table.add_column("directory", overflow="fold")
    for job in jobs:
        value = "" if job.objective is None else f"{job.objective:.4g}" + (" *" if job is best else "")
        overrides = " ".join(o for o in job.overrides if o not in shared)
        # as Text, so that brackets in overrides and errors are not taken for markup
        table.add_row(*map(_text, (str(job.number), overrides, value, job.status, _relative(job.folder, sweep_dir))))
    say(table)
    interrupted = sum(job.error == _INTERRUPTED for job in jobs)
    failed = sum(job.error is not None for job in jobs) - interrupted
    say(
        f"{len(jobs) - failed - interrupted} of {len(jobs)} jobs done"
        + (f", {interrupted} interrupted" if interrupted else "")
        + (f", {failed} failed" if failed else "")
        + (f"; best: job {best.number}" if best else "")
        + f". Wrote {sweep_dir / TABLE}."
    )


def _relative(folder: Path, sweep_dir: Path) -> str:
    return str(folder.relative_to(sweep_dir))


def _text(value: str) -> Any:
    from rich.text import Text

    return Text(value)


def _show_on_wandb(sweep: _Sweep, logger: Mapping[str, Any], sweep_dir: Path, jobs: Sequence[SweepJob]) -> None:
    from mutoscope.config.nodes import build

    best = best_of(jobs)
    summary = {} if best is None else {"best_job": best.number, "best_objective": best.objective}
    about = {"name": f"{sweep.name} sweep", "sweep": sweep.sweep, "objective": sweep.objective}
    node = {**logger, "job_type": "sweep"}
    try:
        run = build(node, "logger.wandb", run_dir=sweep_dir, config=about)
        run.log_table("jobs", COLUMNS, rows_of(jobs), summary)
        run.finalize("success")
    except Exception as error:
        # the table is on disk and on screen already
        sys.stderr.write(f"the table of the sweep could not be logged to wandb: {' '.join(str(error).split())}\n")
