"""Time the making of toy_blocks videos: playing, drawing, encoding.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_toy_blocks.py --videos 6 --workers 2

CPU seconds are the processes' own, since other work may share the machine; "200 videos on 2 cores" is reckoned from
them. The aim is five minutes.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mutoscope.data.action_graph.toy_blocks_world import Film, Lamps, Order, make, perform
from mutoscope.runtime.parallel import each


def cpu() -> float:
    """Seconds that this process and those it waited for have computed."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    table = Table("what", "CPU s a video", "wall s a video")

    def timed(what: str, work: Callable[[], object]) -> float:
        began, computed = time.perf_counter(), cpu()
        work()
        spent = (cpu() - computed) / chosen.videos
        table.add_row(what, f"{spent:.2f}", f"{(time.perf_counter() - began) / chosen.videos:.2f}")
        return spent

    numbers = range(chosen.videos)
    plays = []
    timed("playing", lambda: plays.extend(perform([0, 0, number, 0]) for number in numbers))
    timed("drawing", lambda: [list(Film(p, Lamps.draw(np.random.default_rng(0))).frames()) for p in plays])
    with tempfile.TemporaryDirectory() as folder:
        orders = [Order(Path(folder), f"toy_{number}", (0, 0, number)) for number in numbers]
        whole = timed(f"all, {chosen.workers} processes", lambda: list(each(make, orders, chosen.workers, "Filming")))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.*")) / chosen.videos
    console = Console()
    console.print(table)
    console.print(f"{60 / whole:.0f} videos a minute and core; 200 videos on 2 cores: {100 * whole:.0f} s.")
    console.print(f"{size / 1e6:.2f} MB a video")


if __name__ == "__main__":
    main()
