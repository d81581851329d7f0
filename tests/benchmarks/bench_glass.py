"""Time GLASS's training steps and its stepping against the original's way of computing, in one run.

    python tests/benchmarks/bench_glass.py --threads 1 --rounds 2 --json bench.json

W-Sprites widths, VGG-19 of full width with random weights. ``joint`` is a step of both halves, ``pretraining`` one of
global motion analysis, for which the original computes local motion analysis as well. Both versions pass the same
goldens (``tests/golden/test_golden_glass.py``) and take turns; CPU seconds are the process's own, since other work may
share the machine, and the best round counts. Optimisers (3 % of the original's step) are left out on both sides.
Stepping is what a session does per frame after its first picture.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from glass_naive import naive, naive_step
from measuring import best_and_median, devices, in_fresh_process, in_turns, peak_since, resident_peak, write_json

from mutoscope.models.glass.losses import (
    GlobalMotionWeights,
    LocalMotionWeights,
    global_motion_losses,
    local_motion_losses,
    weighted,
)
from mutoscope.models.glass.network import GlassNetwork, Settings
from mutoscope.models.glass.session import Session
from mutoscope.nn.perceptual import Vgg19Features

#: clips, frames, height, width
SIZES = ((2, 4, 64, 64), (1, 6, 96, 128))
TARGETS = {"joint": 2.0, "pretraining": 3.0}
WEIGHTS = (GlobalMotionWeights(), LocalMotionWeights())


@dataclass
class Result:
    """One kind of step at one size."""

    step: str
    size: str
    device: str
    naive_seconds: float
    seconds: float
    median_ratio: float

    @property
    def ratio(self) -> float:
        return self.naive_seconds / self.seconds


def vgg() -> Vgg19Features:
    """Random weights of the published widths: speed does not depend on them."""
    torch.manual_seed(1)
    state = torchvision.models.vgg19(weights=None).features.state_dict()
    return Vgg19Features({f"features.{key}": value for key, value in state.items()})


def network(height: int, width: int) -> GlassNetwork:
    torch.manual_seed(0)
    return GlassNetwork(Settings(), (height, width)).train()


def fast_step(net: GlassNetwork, frames: Tensor, features: Vgg19Features, *, pretraining: bool) -> None:
    """What ``Glass.training_step`` does, without optimisers."""
    net.zero_grad()
    found = net.global_motion(frames)
    weighted(global_motion_losses(found, WEIGHTS[0], features), WEIGHTS[0]).backward()
    if not pretraining:
        drawn = net.draw(found, 1)
        weighted(local_motion_losses(drawn, WEIGHTS[1], features), WEIGHTS[1]).backward()


def slow_step(net: GlassNetwork, frames: Tensor, features: Vgg19Features, *, pretraining: bool) -> None:
    net.zero_grad()
    naive_step(net, frames, 1, features, WEIGHTS, pretraining=pretraining)


def steps(size: tuple[int, int, int, int], device: str, *, pretraining: bool) -> dict[str, Callable[[], None]]:
    clips, length, height, width = size
    frames = torch.rand(clips, length, 3, height, width, device=device) * 2 - 1
    features, direct = vgg().to(device), naive(vgg().to(device))
    fast, slow = network(height, width).to(device), naive(network(height, width)).to(device)
    return {
        "naive": lambda: slow_step(slow, frames, direct, pretraining=pretraining),
        "fast": lambda: fast_step(fast, frames, features, pretraining=pretraining),
    }


def stepping(device: str, frames: int = 30) -> float:
    """Frames per second of a session at 96x128, after two frames that do not count."""

    session = Session(
        network(96, 128).to(device), torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8, device=device)
    )
    for _ in range(2):
        session.step(4, 0, 1)
    start = time.perf_counter()
    for _ in range(frames):
        session.step(4, 0, 1)
    if device == "cuda":
        torch.cuda.synchronize()
    return frames / (time.perf_counter() - start)


def peak(version: str, step: str, number: int) -> float:
    """Megabytes beyond imports, in a process of its own."""
    size = SIZES[number]
    before = resident_peak()
    steps(size, "cpu", pretraining=step == "pretraining")[version]()
    return peak_since(before, "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda", "all"), default="cpu")
    parser.add_argument("--steps", nargs="+", choices=tuple(TARGETS), default=tuple(TARGETS))
    parser.add_argument("--memory", action="store_true", help="also the peak of every step")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak is not None:
        version, step, number = arguments.peak
        print(peak(version, step, int(number)))
        return
    results: list[Result] = []
    table = Table("step", "clips x frames x size", "device", "original, s", "here, s", "ratio", "target")
    for device in devices(arguments.device):
        for step in arguments.steps:
            for size in SIZES:
                runs = steps(size, device, pretraining=step == "pretraining")
                taken = in_turns(runs, arguments.rounds, device)
                slow, fast = (best_and_median(taken[name]) for name in ("naive", "fast"))
                name = "{}x{}x{}x{}".format(*size)
                results.append(Result(step, name, device, slow[0], fast[0], slow[1] / fast[1]))
                row = results[-1]
                table.add_row(
                    step, name, device, f"{slow[0]:.2f}", f"{fast[0]:.2f}", f"{row.ratio:.2f}", f"{TARGETS[step]:.0f}"
                )
    Console().print(table)
    rates = {device: stepping(device) for device in devices(arguments.device)}
    for device, rate in rates.items():
        Console().print(f"Stepping at 96x128 on {device}: {rate:.1f} frames/s ({arguments.threads} threads).")
    peaks: dict[str, float] = {}
    if arguments.memory:
        for step in arguments.steps:
            for number, size in enumerate(SIZES):
                for version in ("naive", "fast"):
                    name = f"{step} {'x'.join(map(str, size))} {version}"
                    peaks[name] = float(in_fresh_process(__file__, "--peak", version, step, number))
                    Console().print(f"Peak beyond imports, {name}: {peaks[name]:.0f} MB.")
    if arguments.json:
        about = {"torch": torch.__version__, "machine": platform.processor(), "threads": arguments.threads}
        results_json = [asdict(result) | {"ratio": result.ratio} for result in results]
        write_json(arguments.json, {"about": about, "results": results_json, "stepping": rates, "peaks": peaks})


if __name__ == "__main__":
    main()
