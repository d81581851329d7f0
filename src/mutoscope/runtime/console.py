"""What the program says to the person who runs it: only from the first process."""

import io
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import Progress

# a log file is as wide as its tables
_console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 120)


def first_process() -> bool:
    """Whether this is the process that speaks and writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def say(message: str | Table) -> None:
    """Print a line or a table, above the bars that are shown at the moment."""
    if first_process():
        with _bars_aside():
            _console.print(message, markup=False) if isinstance(message, str) else _console.print(message)


def _bars_aside() -> AbstractContextManager[None]:
    # rich lifts its own bars; without tqdm in the process there are none of its
    tqdm = sys.modules.get("tqdm")
    aside: AbstractContextManager[None] = nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode(sys.stdout)
    return aside


def progress_bar(*, in_bytes: bool = False) -> "Progress":
    """A bar on stderr that tells how many of how many are done and how long it still takes; use it with ``with``.

    Args:
        in_bytes: what is counted are bytes, told as people read them.
    """
    # slow to import, and most commands show no bar of this kind
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counted = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not first_process())


class _Outliving:
    """A stream that goes on into nothing when nobody reads it any more, as after ``| head -1``."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def outlive_pipes() -> None:
    """Whoever stops reading what this program says does not end its work, nor is that an error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _Outliving(stream))
