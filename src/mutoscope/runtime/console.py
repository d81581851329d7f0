"""What the program says to the person who runs it: only from the first process."""

import os
import sys

from rich.console import Console
from rich.table import Table

# a log file is as wide as its tables
_console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 120)


def first_process() -> bool:
    """Whether this is the process that speaks and writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def say(message: str | Table) -> None:
    """Print a line or a table."""
    if first_process():
        _console.print(message, markup=False) if isinstance(message, str) else _console.print(message)
