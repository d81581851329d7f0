"""Where commands begin: Ctrl-C ends them in order from the first moment on, while the program is being imported."""

import os
import signal
import sys
from types import FrameType

#: as :data:`mutoscope.runtime.interrupts.STATUS`, which is not imported yet
STATUS = 130


def main(verb: str | None = None) -> None:
    """Run a command, see :func:`mutoscope.cli.main.main`.

    Args:
        verb: which; ``None`` takes it from the command line.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        # an import that is broken off may raise anything, or nothing
        signal.signal(signal.SIGINT, _leave)
    try:
        from mutoscope.cli.main import main as run
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(verb)
    except KeyboardInterrupt:
        sys.exit(STATUS)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"\nInterrupted before anything began.\n")
    os._exit(STATUS)
