"""One function over many items in several processes, under a bar that tells how long it still takes."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from mutoscope.runtime.console import progress_bar
from mutoscope.runtime.interrupts import ignore_interrupts

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
    with progress_bar() as progress:
        task = progress.add_task(title, total=len(items))
        workers = min(workers, len(items) // _WORTHWHILE)
        if workers <= 1:
            for i, item in enumerate(items):
                yield i, function(item)
                progress.advance(task)
            return
        # forked copies of a process with threads may hang, and libraries of this house start threads
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),)) as pool:
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


def _begin(parent: int) -> None:
    """In a new worker: a Ctrl-C is the parent's to answer, and nobody works on for a parent that is gone."""
    ignore_interrupts()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
