"""A training in a process group of its own, started from nothing but its resolved config.

Sweeps and multi-process runs go this way: the processes Lightning starts for further ranks repeat the command line of
the first, and this command line (``python -m mutoscope.cli.job RUN_DIR``) can be repeated by any rank,
in any directory, without composing configs again.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from mutoscope.runtime.errors import ConfigError, RunError
from mutoscope.runtime.files import replacing
from mutoscope.runtime.interrupts import Interrupted
from mutoscope.runtime.locks import LOCKED, run_lock

#: the resolved config on its way to the processes of a job; removed when they have ended
JOB = "job.yaml"
#: what a job left behind: ``{"objective": ...}``, ``{"error": ...}`` or ``{"interrupted": ...}``
RESULT = "result.json"
#: environment variable with the id of the process whose end ends a job
PARENT = "MUTOSCOPE_PARENT"

#: what launchers leave in the environment and a job that starts its own ranks must not inherit
_LAUNCHED = ("LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LAUNCHED_PREFIXES = ("SLURM_", "TORCHELASTIC_", "GROUP_", "ROLE_", "PL_")

#: seconds a job has for an orderly end after Ctrl-C: the iteration in hand and a checkpoint
_PATIENCE = 60.0


class JobFailedError(RunError):
    """A job ended without a result; the message is the job's own sentence."""


def launched_externally() -> bool:
    """Whether torchrun or SLURM already started one process per rank."""
    slurm = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and os.environ.get("SLURM_JOB_NAME") not in (
        "bash",
        "interactive",
    )
    return "TORCHELASTIC_RUN_ID" in os.environ or slurm


@dataclass(frozen=True)
class Launch:
    """What of a training's config decides how it is started, before anything slow is imported to check the rest.

    Args:
        config: all of it, resolved, plain.
        accelerator, devices, num_nodes: of the trainer.
        overwrite: whether to start anew in a directory that holds a run.
    """

    config: Mapping[str, Any]
    accelerator: str
    devices: int | str
    num_nodes: int
    overwrite: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """From a composed config."""
        trainer = config["trainer"]
        # 2e0 is as good as 2
        devices, nodes = (
            int(count) if isinstance(count, float) and count.is_integer() else count
            for count in (trainer["devices"], trainer["num_nodes"])
        )
        return cls(config, trainer["accelerator"], devices, nodes, config["overwrite"])

    def going_on(self, run_dir: Path) -> Self:
        """The same from the last checkpoint in its directory, where there is one that may stay."""
        if self.overwrite or not (run_dir / "checkpoints" / "last.ckpt").is_file():
            return self
        return replace(self, config={**self.config, "ckpt": "last"})


def needs_own_processes(launch: Launch) -> bool:
    """Whether the processes that a training asks for are still to be started.

    Raises:
        ConfigError: if torchrun or SLURM started another number of processes, or if several machines are asked for
            and nobody started the processes on them.
    """
    devices, nodes = launch.devices, launch.num_nodes
    if isinstance(devices, int):
        world = devices * nodes
    else:
        # asks torch for the GPUs, so it is imported only where they must be counted
        from mutoscope.training.trainer import processes

        world = processes(devices, launch.accelerator, nodes)
    if launched_externally():
        started = int(os.environ.get("WORLD_SIZE") or os.environ["SLURM_NTASKS"])
        if started != world:
            raise ConfigError(
                f"{started} processes were started, but trainer.devices={devices} and trainer.num_nodes={nodes} ask "
                f"for {world}; make devices the processes per machine and num_nodes the machines."
            )
        return False
    if nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes is {nodes}, but this process was started alone; start one per device with "
            f"torchrun --nnodes {nodes} --nproc-per-node <devices> train.py ... on every machine, or with srun."
        )
    return world > 1


def run_in_fresh_process(config: Mapping[str, Any], run_dir: Path) -> float | None:
    """Train in a new process group and wait for it; nothing of the group is left afterwards.

    Args:
        config: resolved, plain.
        run_dir: where the job writes.

    Returns:
        The objective.

    Raises:
        JobFailedError: if the job failed, with its sentence.
        Interrupted: if somebody stopped this process or the job, with the job's sentence.
        ConfigError: if another process trains in ``run_dir``.
    """
    with run_lock(run_dir):
        return _run(config, run_dir)


def _run(config: Mapping[str, Any], run_dir: Path) -> float | None:
    job, result = run_dir / JOB, run_dir / RESULT
    with replacing(job) as temporary:
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    result.unlink(missing_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _LAUNCHED and not name.startswith(_LAUNCHED_PREFIXES)
    }
    environment |= {PARENT: str(os.getpid()), LOCKED: str(run_dir.resolve())}
    process = subprocess.Popen(
        [sys.executable, "-m", "mutoscope.cli.job", str(run_dir.resolve())], env=environment, start_new_session=True
    )
    try:
        code = process.wait()
    except BaseException as error:
        _stop(process)
        if isinstance(error, KeyboardInterrupt) and (told := read_result(run_dir).get("interrupted")):
            raise Interrupted(told) from None
        raise
    finally:
        _kill_group(process.pid)
        job.unlink(missing_ok=True)
    outcome = read_result(run_dir)
    if "interrupted" in outcome:
        raise Interrupted(outcome["interrupted"])
    if code != 0 or "objective" not in outcome:
        raise JobFailedError(outcome.get("error") or f"The job ended without a word, {_manner(code)}.")
    return outcome["objective"]


def read_result(run_dir: Path) -> dict[str, Any]:
    """What the job of a directory left behind; empty if it was killed before it could say anything."""
    path = run_dir / RESULT
    return json.loads(path.read_text()) if path.is_file() else {}


def write_result(run_dir: Path, outcome: Mapping[str, Any]) -> None:
    """Leave the outcome of a job; of several errors the first one stays, the others are its consequences."""
    path = run_dir / RESULT
    if "error" in outcome and "error" in read_result(run_dir):
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(outcome)))


def _manner(code: int) -> str:
    if code >= 0:
        return f"with status {code}"
    return f"killed by {signal.Signals(-code).name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        # not SIGINT, which a job that was started in the background ignores
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_PATIENCE)


def _kill_group(group: int) -> None:
    # whoever of the group outlives its first process waits for a partner that is gone
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
