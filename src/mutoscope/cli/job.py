"""One training from a directory that holds its resolved config: ``python -m mutoscope.cli.job RUN_DIR``."""

import os
import sys
import threading
import time
from pathlib import Path

import yaml

from mutoscope.cli.processes import JOB, PARENT, write_result
from mutoscope.runtime.console import first_process
from mutoscope.runtime.errors import sentence_of
from mutoscope.runtime.interrupts import INTERRUPTS, STATUS


def end_with_parent() -> None:
    """End this process when the one that started it is gone, so that no rank hangs on a dead partner.

    The parent's id comes with the environment: asking for it here would miss a parent that died in the meantime. For
    the ranks started from here it is this process.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    os.environ[PARENT] = str(os.getpid())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Train; leave ``result.json`` with the objective or the error, of whichever rank it was.

    Returns:
        The exit status.
    """
    end_with_parent()
    run_dir = Path(sys.argv[1])
    config = yaml.safe_load((run_dir / JOB).read_text())
    with INTERRUPTS:
        try:
            from mutoscope.verbs.train import train

            objective = train(config, run_dir)
        except KeyboardInterrupt as stop:
            if first_process():
                write_result(run_dir, {"interrupted": str(stop)})
            return STATUS
        except Exception as error:
            write_result(run_dir, {"error": sentence_of(error)})
            if config.get("debug"):
                raise
            return 1
    if first_process():
        write_result(run_dir, {"objective": objective})
    return 0


if __name__ == "__main__":
    sys.exit(main())
