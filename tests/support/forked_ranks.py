"""Trainings in two processes each, forked from one that has imported everything: ``python forked_ranks.py JOBS``.

Launching is tried elsewhere (tests/training/test_ddp.py); here it is the trainings that matter, and importing what they
need takes longer than they do. ``JOBS`` is a JSON file ``{name: what is typed}``; every training writes to a folder of
its name here, and each of its ranks notes in ``ended<rank>`` how it ended.
"""

import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RANKS = 2


def main() -> int:
    """Whether all ranks ended by themselves is the status; how their trainings ended is noted."""
    # as a rank does when it begins; forking afterwards is safe, since nothing here has started a thread
    import ranks  # noqa: F401  everything that callbacks need

    from mutoscope.cli.composed import compose

    status = 0
    for name, typed in json.loads(Path(sys.argv[1]).read_text()).items():
        config, _ = compose("train", typed)
        port = _free_port()
        pids = [_fork(rank, port, config, Path(name)) for rank in range(RANKS)]
        for pid in pids:
            status |= os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fork(rank: int, port: int, config: dict[str, Any], run_dir: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        # what Lightning gives the ranks that it starts
        here = {
            "LOCAL_RANK": rank,
            "NODE_RANK": 0,
            "WORLD_SIZE": RANKS,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        os.environ.update({key: str(value) for key, value in here.items()})
        ended = _trained(config, run_dir)
        (run_dir / f"ended{rank}").write_text(ended)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _trained(config: dict[str, Any], run_dir: Path) -> str:
    from mutoscope.verbs.train import train

    try:
        return f"done: {train(config, run_dir)}"
    except KeyboardInterrupt as stop:
        return f"interrupted: {stop}"


def typed_for(jobs: dict[str, Sequence[str]]) -> str:
    """The content of a file of jobs."""
    return json.dumps({name: ["trainer=ddp_cpu", *typed] for name, typed in jobs.items()})


if __name__ == "__main__":
    sys.exit(main())
