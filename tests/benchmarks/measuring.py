"""What benchmarks measure: seconds of variants that take turns, and the memory of a process; and where it is kept."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from mutoscope.runtime.files import replacing

Run = Callable[[], object]


def devices(asked: str) -> list[str]:
    """The device asked for, or for ``all`` those that are there."""
    available = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return available if asked == "all" else [asked]


def seconds(run: Run, device: str) -> float:
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


def in_turns(runs: Mapping[str, Run], repeats: int, device: str, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Seconds of every round by variant, after one round that does not count unless the caller has warmed up."""
    for run in runs.values() if warm_up else ():
        run()
    taken: dict[str, list[float]] = {variant: [] for variant in runs}
    for _ in range(repeats):
        for variant, run in runs.items():
            taken[variant].append(seconds(run, device))
    return taken


def best_and_median(taken: Sequence[float]) -> tuple[float, float]:
    """The median of an even number is the slower of the two in the middle."""
    return min(taken), sorted(taken)[len(taken) // 2]


def resident_peak() -> float:
    """Megabytes that this process has held at most; not from ``getrusage``, whose peak a child inherits."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_since(before: float, device: str) -> float:
    """Megabytes: on a CPU what this process held at most beyond ``before``, on a GPU all that was allocated."""
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else resident_peak() - before


def in_fresh_process(script: str, *arguments: object) -> str:
    """The last line that a Python script prints."""
    command = [sys.executable, script, *map(str, arguments)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return answer.stdout.strip().splitlines()[-1]


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Results, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2))
