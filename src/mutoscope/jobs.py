"""A training in a process group of its own, started from nothing but its resolved config.

Sweeps and multi-process runs go this way: the processes Lightning starts for further ranks repeat the command line of
the first, and this command line (``python -m mutoscope.job RUN_DIR``) can be repeated by any rank, in any directory,
without composing configs again.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope.train import write_config

#: what launchers leave in the environment and a fresh job must not inherit
_DISTRIBUTED = (
    "LOCAL_RANK",
    "RANK",
    "GROUP_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "PL_GLOBAL_SEED",
)

RESULT = "result.json"


class JobFailedError(RuntimeError):
    """A job ended without a result; the message is the job's own sentence."""


def launched_externally() -> bool:
    """Whether torchrun or SLURM already started one process per rank."""
    slurm = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and os.environ.get("SLURM_JOB_NAME") not in (
        "bash",
        "interactive",
    )
    return "TORCHELASTIC_RUN_ID" in os.environ or slurm


def run_in_fresh_process(config: Mapping[str, Any], run_dir: Path) -> float | None:
    """Train in a new process group and wait for it.

    Returns:
        The objective.

    Raises:
        JobFailedError: if the job failed, with its sentence.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    write_config(config, run_dir)
    result = run_dir / RESULT
    result.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in _DISTRIBUTED}
    environment["MUTOSCOPE_COMMAND"] = json.dumps(sys.argv)
    process = subprocess.Popen(
        [sys.executable, "-m", "mutoscope.job", str(run_dir.resolve())], env=environment, start_new_session=True
    )
    try:
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    outcome: dict[str, Any] = (
        json.loads(result.read_text()) if result.is_file() else {"error": f"the process ended with status {code}"}
    )
    if code != 0 or outcome.get("error"):
        raise JobFailedError(str(outcome.get("error") or f"the process ended with status {code}"))
    return outcome["objective"]


def _end(process: "subprocess.Popen[bytes]") -> None:
    for sign, patience in ((signal.SIGINT, 20.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
