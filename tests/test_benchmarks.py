"""Benchmarks run, on next to nothing: numbers in the documentation come from these commands."""

import subprocess
import sys

import pytest
from patience import patience
from places import ROOT

SMALLEST = {
    "bench_ag2vid": "--sizes 32 --repeats 1 --no-memory --no-compare --device cpu",
    "bench_ag2vid_data": "--videos 2 --batches 10",
    "bench_ag2vid_layout": "--graphs 4 --batch 2 --length 4 --repeats 1 --device cpu",
    "bench_convolution": "--help",  # their sizes are what these are about: they are loaded, no more
    "bench_fvd": "--only Fréchet",
    "bench_glass": "--help",
    "bench_kinetic_gan": "--batch 2 --repeats 1 --no-memory --device cpu",
    "bench_nearest": "--clips 20 --reference 20",
    "bench_sa_gcn": "--batch 2 --repeats 1 --device cpu --lengths",
    "bench_startup": "--help",
    "bench_toy_blocks": "--videos 2 --workers 1",
    "estimate_ag2vid_memory": "--size 64 --frames 2 --batch 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_benchmark_runs(name: str) -> None:
    command = [sys.executable, str(ROOT / "tests/benchmarks" / f"{name}.py"), *SMALLEST[name].split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience(120), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_all_benchmarks_are_run() -> None:
    scripts = [*(ROOT / "tests/benchmarks").glob("bench_*.py"), *(ROOT / "tests/benchmarks").glob("estimate_*.py")]
    assert {path.stem for path in scripts} == set(SMALLEST)
