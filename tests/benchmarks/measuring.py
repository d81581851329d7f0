"""What benchmarks measure: seconds of variants that take turns, and the memory of a process."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def seconds(run: Callable[[], None], device: str) -> float:
    """Of one call: CPU seconds of this process on a CPU, since other work may share the machine, else wall seconds."""
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turns(runs: Mapping[str, Callable[[], None]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of every round by variant, after one round that does not count."""
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {variant: [] for variant in runs}
    for _ in range(repeats):
        for variant, run in runs.items():
            taken[variant].append(seconds(run, device))
    return taken


def resident_peak() -> float:
    """Megabytes that this process has held at most; not from ``getrusage``, whose peak a child inherits."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
