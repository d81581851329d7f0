"""One training or sweep at a time in a directory."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mutoscope.runtime.console import first_process, say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing, sweep_temporaries

#: environment variable with the directory that the process above has locked for this one
LOCKED = "MUTOSCOPE_LOCKED"
_LOCK, _OWNER = ".run.lock", ".run.lock.json"


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Hold a run directory, made where it is missing; further processes of the same run share the first one's hold.

    Where nothing was written in the meantime, nothing is left. What killed processes left half written is removed.

    Raises:
        ConfigError: if another process works there; the message names it.
    """
    if not first_process() or os.environ.get(LOCKED) == str(run_dir.resolve()):
        yield
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"{_owner(run_dir)} works in {run_dir}; wait for it or stop it, or set another directory "
            "(hydra.run.dir=..., hydra.sweep.dir=... for a sweep)."
        ) from None
    try:
        with replacing(run_dir / _OWNER) as temporary:
            about = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now().isoformat(" ", "seconds"),
            }
            temporary.write_text(json.dumps(about))
        swept = [*sweep_temporaries(run_dir), *sweep_temporaries(run_dir / "checkpoints", alone=True)]
        if swept:
            say(f"Removed {', '.join(map(str, swept))}, which a killed process left half written.")
        yield
    finally:
        with suppress(OSError):
            (run_dir / _OWNER).unlink(missing_ok=True)
            if [path.name for path in run_dir.iterdir()] == [_LOCK]:
                (run_dir / _LOCK).unlink()
                run_dir.rmdir()
        lock.release()


def is_locked(run_dir: Path) -> bool:
    """Whether a process holds a directory at the moment."""
    lock = FileLock(run_dir / _LOCK, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True


def _owner(run_dir: Path) -> str:
    try:
        about = json.loads((run_dir / _OWNER).read_text())
        return f"Process {about['pid']} on {about['host']} (since {about['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        # it has just begun or just ended
        return "Another process"
