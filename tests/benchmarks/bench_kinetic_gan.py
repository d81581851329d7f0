"""Time Kinetic-GAN's training and generation against a naive implementation of the same arithmetic.

    python tests/benchmarks/bench_kinetic_gan.py --threads 1 --batch 32 --repeats 3 --json bench.json

One training iteration at the paper's size (NTU, 25 joints, 60 classes, 64 frames, latent 512, mapping depth 4): a
critic update, and a generator update every fifth time. Generation: batches of 100 clips, with and without truncation.
Fast and naive are interleaved in one process; CPU seconds are the process's own, since other work may share the
machine, and the best of all rounds counts. Peak memory is that of a fresh process per variant, above its imports.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from kinetic_gan_naive import (
    NaiveDiscriminator,
    NaiveGenerator,
    naive_critic_loss,
    naive_generate,
    to_channels_first,
)
from measuring import (
    Run,
    best_and_median,
    devices,
    in_fresh_process,
    in_turns,
    peak_since,
    resident_peak,
    write_json,
)

from mutoscope.models.kinetic_gan import Discriminator, Generator, critic_loss, generator_loss
from mutoscope.models.kinetic_gan.pyramid import pyramid_for
from mutoscope.structures import NTU25

CLASSES, CHANNELS, LENGTH, LATENT, CRITIC_STEPS = 60, 3, 64, 512, 5
GENERATED, TRUNCATION = 100, 0.95
#: CPU seconds per clip of the original code, one thread, on another machine: for orientation only.
ORIGINAL = {"train": 6.65 / 32, "generate": 1 / 416, "generate_truncated": 1 / 94}
TARGETS = {"train": 3.0, "generate": 2.0, "generate_truncated": 8.0}


@dataclass
class Result:
    """One variant of one task; seconds are per round, CPU seconds on a CPU and wall seconds on a GPU."""

    task: str
    variant: str
    device: str
    clips: int
    seconds: float
    median_seconds: float
    peak_megabytes: float | None = None

    @property
    def rate(self) -> float:
        return self.clips / self.seconds


def adam(network: torch.nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))


def fast_training(batch: int, device: str, *, precision: str = "float32", compiled: bool = False) -> Run:
    """Five iterations: five critic updates and one generator update."""
    generator = Generator(NTU25, CHANNELS, CLASSES).to(device)
    critic = Discriminator(NTU25, CHANNELS, CLASSES).to(device)
    real, label = _data(batch, device)
    optimise_g, optimise_d = adam(generator), adam(critic)
    cast = torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
    make = torch.compile(generator) if compiled else generator
    score = torch.compile(critic) if compiled else critic

    def iterations() -> None:
        for step in range(CRITIC_STEPS):
            z = torch.randn(batch, LATENT, device=device)
            with cast:
                with torch.no_grad():
                    fake = make(z, label)
                loss = critic_loss(score, real, fake, label, penalty_critic=critic).total
            optimise_d.zero_grad()
            loss.backward()
            optimise_d.step()
            if step == 0:
                critic.requires_grad_(False)
                with cast:
                    loss = generator_loss(score, make(z, label), label)
                optimise_g.zero_grad()
                loss.backward()
                optimise_g.step()
                critic.requires_grad_(True)

    return iterations


def naive_training(batch: int, device: str) -> Run:
    pyramid = pyramid_for(NTU25)
    generator = NaiveGenerator(pyramid, CHANNELS, CLASSES).to(device)
    critic = NaiveDiscriminator(pyramid, CHANNELS, CLASSES).to(device)
    real, label = _data(batch, device)
    real = to_channels_first(real).contiguous()
    optimise_g, optimise_d = adam(generator), adam(critic)

    def iterations() -> None:
        for step in range(CRITIC_STEPS):
            z = torch.randn(batch, LATENT, device=device)
            optimise_d.zero_grad()
            naive_critic_loss(critic, real, generator(z, label), label).backward()
            optimise_d.step()
            optimise_g.zero_grad()
            if step == 0:
                (-critic(generator(z, label), label).mean()).backward()
                optimise_g.step()

    return iterations


def fast_generation(device: str, truncation: float | None) -> Run:
    generator = Generator(NTU25, CHANNELS, CLASSES).to(device).eval()
    label = torch.arange(GENERATED, device=device) % CLASSES

    @torch.inference_mode()
    def generate() -> None:
        generator(torch.randn(GENERATED, LATENT, device=device), label, truncation=truncation).cpu()

    return generate


def naive_generation(device: str, truncation: float | None) -> Run:
    generator = NaiveGenerator(pyramid_for(NTU25), CHANNELS, CLASSES).to(device).eval()
    label = torch.arange(GENERATED, device=device) % CLASSES
    return partial(naive_generate, generator, label, GENERATED, LATENT, truncation)


def _data(batch: int, device: str) -> tuple[Tensor, Tensor]:
    real = torch.randn(batch, LENGTH, NTU25.num_joints, CHANNELS, device=device).clamp(-1, 1)
    return real, torch.randint(CLASSES, (batch,), device=device)


def variants(batch: int, device: str) -> dict[str, dict[str, Callable[[], Run]]]:
    """task -> variant -> its maker."""
    table: dict[str, dict[str, Callable[[], Run]]] = {
        "train": {
            "naive": partial(naive_training, batch, device),
            "float32": partial(fast_training, batch, device),
        }
    }
    if device == "cuda":
        table["train"]["bf16"] = partial(fast_training, batch, device, precision="bf16")
        table["train"]["compiled"] = partial(fast_training, batch, device, compiled=True)
        table["train"]["bf16 compiled"] = partial(fast_training, batch, device, precision="bf16", compiled=True)
    for task, truncation in (("generate", None), ("generate_truncated", TRUNCATION)):
        table[task] = {
            "naive": partial(naive_generation, device, truncation),
            "float32": partial(fast_generation, device, truncation),
        }
    return table


def peak_memory(task: str, variant: str, batch: int, device: str, threads: int) -> float:
    """Peak megabytes of a fresh process: resident set above the imports on a CPU, allocated on a GPU."""
    arguments = ("--memory-of", task, variant, "--batch", batch, "--device", device, "--threads", threads)
    return float(in_fresh_process(__file__, *arguments))


def _report_memory(task: str, variant: str, batch: int, device: str) -> None:
    before = resident_peak()
    run = variants(batch, device)[task][variant]()
    run()
    run()
    print(peak_since(before, device))


def benchmark(args: argparse.Namespace, device: str) -> list[Result]:
    results = []
    for task, makers in variants(args.batch, device).items():
        clips = args.batch * CRITIC_STEPS if task == "train" else GENERATED
        repeats = args.repeats if task == "train" else 4 * args.repeats
        runs = {variant: make() for variant, make in makers.items()}
        for variant, seconds in in_turns(runs, repeats, device).items():
            result = Result(task, variant, device, clips, *best_and_median(seconds))
            if args.memory:
                result.peak_megabytes = peak_memory(task, variant, args.batch, device, args.threads)
            results.append(result)
    return results


def show(results: list[Result], threads: int) -> None:
    table = Table(title=f"Kinetic-GAN, {platform.machine()}, {threads} thread(s), torch {torch.__version__}")
    for column in (
        "task",
        "device",
        "variant",
        "clips/s",
        "seconds",
        "median",
        "x naive",
        "target",
        "peak MB",
        "original s",
    ):
        table.add_column(column, justify="left" if column in ("task", "device", "variant") else "right")
    naive = {(r.task, r.device): r for r in results if r.variant == "naive"}
    for r in results:
        ratio = r.rate / naive[r.task, r.device].rate
        target = f"{TARGETS[r.task]:.0f}" if r.variant == "float32" and r.device == "cpu" else ""
        original = f"{ORIGINAL[r.task] * r.clips:.2f}" if r.device == "cpu" else ""
        memory = "" if r.peak_megabytes is None else f"{r.peak_megabytes:.0f}"
        table.add_row(
            r.task, r.device, r.variant, f"{r.rate:.1f}", f"{r.seconds:.3f}", f"{r.median_seconds:.3f}",
            f"{ratio:.2f}", target, memory, original,
        )  # fmt: skip
    console = Console(width=130)
    console.print(table)
    console.print(
        "train: seconds for five iterations (five critic updates, one generator update); generate: for 100 clips."
    )
    console.print("'original s' was recorded on another machine; 'x naive' compares within this run.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--batch", type=int, default=32, help="training batch")
    parser.add_argument(
        "--repeats", type=int, default=3, help="rounds of five iterations; generation takes four times as many"
    )
    parser.add_argument("--device", choices=["cpu", "cuda", "all"], default="all")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave the peak-memory runs out")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--memory-of", nargs=2, metavar=("TASK", "VARIANT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.memory_of:
        _report_memory(*args.memory_of, args.batch, args.device)
        return
    results = [result for device in devices(args.device) for result in benchmark(args, device)]
    show(results, args.threads)
    if args.json:
        rows = [{**asdict(result), "clips_per_second": result.rate} for result in results]
        write_json(args.json, {"threads": args.threads, "batch": args.batch, "results": rows})


if __name__ == "__main__":
    main()
