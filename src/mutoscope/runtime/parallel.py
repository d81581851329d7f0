"""One function over many items in several processes, under a bar that tells how long it still takes."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutoscope.runtime.console import first_process

#: below so many items per process, starting it takes longer than the work
_WORTHWHILE = 24

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[T], R], items: Sequence[T], workers: int, title: str) -> Iterator[tuple[int, R]]:
    """``(i, function(items[i]))`` as they get ready, in any order.

    Args:
        function: of a module's top level, since other processes must find it.
        items: what to apply it to; they travel to other processes.
        workers: processes at most; few items are worked through in this one.
        title: of the progress bar, which goes to stderr.

    Raises:
        RuntimeError: if a process died, for want of memory for instance.
        Exception: what the function raised first.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not first_process()) as progress:
        task = progress.add_task(title, total=len(items))
        workers = min(workers, len(items) // _WORTHWHILE)
        if workers <= 1:
            for i, item in enumerate(items):
                yield i, function(item)
                progress.advance(task)
            return
        # forked copies of a process with threads may hang, and libraries of this house start threads
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            futures: dict[Future[R], int] = {pool.submit(function, item): i for i, item in enumerate(items)}
            try:
                for future in as_completed(futures):
                    yield futures.pop(future), future.result()
                    progress.advance(task)
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"{title}: a worker process died, perhaps for want of memory. What is done is kept; start again, "
                    "with fewer workers if it happens again."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)
