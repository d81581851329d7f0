"""Time SA-GCN's training against an implementation that forms the sequence graph as a matrix over all nodes.

    python tests/benchmarks/bench_sa_gcn.py --threads 1 --repeats 5 --json bench.json --plot scaling.png
    python tests/benchmarks/bench_sa_gcn.py --from-json bench.json --plot scaling.png  # draws it again

``iteration``: one training iteration at the released size (Human3.6M, 15 joints in the plane, 50 frames, 10 classes,
batch 20), both variants and the dense program, taking turns in one process. The dense one passes the same recordings.
``scale``: one iteration on 25 joints with batch 8 against the number of frames, each in a fresh process, with its peak
memory above the imports; the dense one as far as it fits. CPU seconds are the process's own, since other work may share
the machine, and the best round counts.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from log_plot import Curve, Panel, draw_panels
from measuring import (
    Run,
    best_and_median,
    devices,
    in_fresh_process,
    in_turns,
    peak_since,
    resident_peak,
    seconds,
    write_json,
)
from sa_gcn_dense import DenseClipCritic, DenseFrameCritic, DenseGenerator, dense_iteration

from mutoscope.models.sa_gcn import (
    VARIANTS,
    ClipCritic,
    FrameCritic,
    Generator,
    Judgement,
    critic_loss,
    generator_loss,
)
from mutoscope.models.sa_gcn.discriminators import pick_frames
from mutoscope.render.plot import save_figure
from mutoscope.structures import H36M15, NTU25, Skeleton

CLASSES, CHANNELS, NOISE, HIDDEN = 10, 2, 30, 100
LENGTHS = (50, 100, 128, 256, 512, 1024)
FRAMES = {"paper": 20, "reference": 21, "dense": 21}
#: CPU seconds of the original code, one core of another machine: for orientation only
ORIGINAL = 9.2
TARGETS = {"paper": 8.0, "reference": 3.0}
#: matrices over all nodes per sample that the dense program holds at its peak beside what the factorised one does, as
#: measured at 50 and at 100 frames
DENSE_MATRICES = 11


@dataclass
class Result:
    """One variant of one task; seconds per iteration, CPU seconds on a CPU and wall seconds on a GPU."""

    task: str
    variant: str
    device: str
    length: int
    joints: int
    batch: int
    seconds: float
    median_seconds: float
    peak_megabytes: float | None = None


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))


def fast_training(variant: str, skeleton: Skeleton, length: int, batch: int, device: str) -> Run:
    body, frames = (skeleton.num_joints, CHANNELS, CLASSES), FRAMES[variant]
    options = VARIANTS[variant]  # type: ignore[index]
    generator = Generator(skeleton, CHANNELS, CLASSES, length=length, options=options).to(device)
    clip, frame = ClipCritic(*body, length=length).to(device), FrameCritic(*body, frames=frames).to(device)
    optimise_generator, optimise_clip, optimise_frame = (adam(network) for network in (generator, clip, frame))
    real, label = _data(skeleton, length, batch, device)

    def learn(critic: nn.Module, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor) -> None:
        score = critic(torch.cat([real, fake]), torch.cat([label, label])).score
        loss = critic_loss(Judgement(score[:batch], None), Judgement(score[batch:], None), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def iteration() -> None:
        fake = generator(torch.randn(batch, length, NOISE, device=device), label)
        of_real, of_fake = (pick_frames(length, frames, fake.device) for _ in range(2))
        learn(clip, optimise_clip, real, fake.detach())
        learn(frame, optimise_frame, real[:, of_real], fake.detach()[:, of_fake])
        for critic in (clip, frame):
            critic.requires_grad_(False)
        loss = generator_loss(clip(fake, label), frame(fake[:, of_fake], label), label)
        optimise_generator.zero_grad()
        loss.backward()
        optimise_generator.step()
        for critic in (clip, frame):
            critic.requires_grad_(True)

    return iteration


def dense_training(skeleton: Skeleton, length: int, batch: int) -> Run:
    features, frames = skeleton.num_joints * CHANNELS, FRAMES["dense"]
    closed = Generator(skeleton, CHANNELS, 1).adjacency + torch.eye(skeleton.num_joints)
    networks = (
        DenseGenerator(closed, length=length, channels=CHANNELS, classes=CLASSES),
        DenseClipCritic(features, CLASSES, length),
        DenseFrameCritic(features, CLASSES, frames),
    )
    optimizers = [adam(networks[number]) for number in (1, 2, 0)]
    real, label = _data(skeleton, length, batch, "cpu")

    def iteration() -> None:
        dense_iteration(
            *networks, optimizers, real.flatten(2), F.one_hot(label, CLASSES).float(),
            torch.randn(batch, length, NOISE), torch.rand(batch, HIDDEN),
            *(pick_frames(length, frames, real.device) for _ in range(2)),
        )  # fmt: skip

    return iteration


def _data(skeleton: Skeleton, length: int, batch: int, device: str) -> tuple[Tensor, Tensor]:
    real = torch.randn(batch, length, skeleton.num_joints, CHANNELS, device=device)
    return real, torch.arange(batch, device=device) % CLASSES


def training(variant: str, skeleton: Skeleton, length: int, batch: int, device: str) -> Run:
    if variant == "dense":
        return dense_training(skeleton, length, batch)
    return fast_training(variant, skeleton, length, batch, device)


def iteration(batch: int, repeats: int, device: str) -> list[Result]:
    """The variants taking turns."""
    variants = ("paper", "reference", "dense") if device == "cpu" else ("paper", "reference")
    runs = {variant: training(variant, H36M15, 50, batch, device) for variant in variants}
    return [
        Result("iteration", variant, device, 50, 15, batch, *best_and_median(taken))
        for variant, taken in in_turns(runs, repeats, device).items()
    ]


def scale(variant: str, length: int, batch: int, repeats: int, device: str, threads: int) -> Result:
    """One length in a fresh process."""
    arguments = ("--one", variant, length, "--batch-scale", batch, "--repeats", repeats)
    return Result(**json.loads(in_fresh_process(__file__, *arguments, "--device", device, "--threads", threads)))


def one_length(variant: str, length: int, batch: int, repeats: int, device: str) -> Result:
    before = resident_peak()
    run = training(variant, NTU25, length, batch, device)
    taken = [seconds(run, device) for _ in range(repeats)]
    peak = peak_since(before, device)
    return Result("scale", variant, device, length, 25, batch, *best_and_median(taken), peak)


def dense_gigabytes(length: int, batch: int) -> float:
    return DENSE_MATRICES * batch * (25 * length) ** 2 * 4 / 2**30


def show(results: list[Result], threads: int) -> None:
    table = Table(title=f"SA-GCN, {platform.machine()}, {threads} thread(s), torch {torch.__version__}")
    for column in ("task", "device", "variant", "frames", "joints", "batch", "seconds", "median", "x dense", "target"):
        table.add_column(column, justify="left" if column in ("task", "device", "variant") else "right")
    table.add_column("peak MB", justify="right")
    dense = {(r.task, r.device, r.length): r.seconds for r in results if r.variant == "dense"}
    for r in results:
        yardstick = dense.get((r.task, r.device, r.length))
        target = f"{TARGETS[r.variant]:.0f}" if r.task == "iteration" and r.variant in TARGETS and yardstick else ""
        table.add_row(
            r.task, r.device, r.variant, str(r.length), str(r.joints), str(r.batch), f"{r.seconds:.3f}",
            f"{r.median_seconds:.3f}", f"{yardstick / r.seconds:.2f}" if yardstick else "", target,
            "" if r.peak_megabytes is None else f"{r.peak_megabytes:.0f}",
        )  # fmt: skip
    console = Console(width=130)
    console.print(table)
    console.print(f"The original took {ORIGINAL} CPU seconds for an iteration of batch 20 on another machine.")


def show_scaling(results: list[Result], gigabytes: float) -> None:
    """A markdown table of what one iteration takes against the number of frames."""
    scaling = {(r.variant, r.length): r for r in results if r.task == "scale" and r.device == "cpu"}
    lengths = sorted({length for _, length in scaling})
    if not lengths:
        return
    print("| frames | nodes | factorised, s | peak MB | dense, s | peak MB |")
    print("|---|---|---|---|---|---|")
    for length in lengths:
        cells = [str(length), f"{25 * length:,}"]
        for variant in ("paper", "dense"):
            found = scaling.get((variant, length))
            cells += ["–", "–"] if found is None else [f"{found.seconds:.2f}", f"{found.peak_megabytes:,.0f}"]
        print(f"| {' | '.join(cells)} |")
    batch = next(iter(scaling.values())).batch
    if absent := [length for length in lengths if ("dense", length) not in scaling]:
        wanted = ", ".join(f"{dense_gigabytes(length, batch):,.0f} GB at {length}" for length in absent)
        print(f"\nThe dense program was left out where its matrices need more than {gigabytes:g} GB: {wanted} frames.")


def plot_scaling(results: list[Result], path: Path) -> None:
    """Seconds and memory of one iteration against the number of frames, as measured and, for the dense, estimated."""
    rows = [r for r in results if r.task == "scale" and r.device == "cpu"]
    lengths = sorted({r.length for r in rows})
    if len(lengths) < 2:
        raise SystemExit("A plot needs the lengths of at least two clips; give --lengths two numbers or more.")
    colours = {"paper": "#1f6fb4", "dense": "#c8452c"}
    names = {"paper": "factorised (variant=paper)", "dense": "dense, n x n matrices"}

    def curves(of: Callable[[Result], float]) -> list[Curve]:
        measured = {v: [(r.length, of(r)) for r in rows if r.variant == v] for v in names}
        return [Curve(names[v], points, colours[v]) for v, points in measured.items() if points]

    shared = {r.length: (r.peak_megabytes or 0) / 1024 for r in rows if r.variant == "paper"}
    memory = [(length, shared[length] + dense_gigabytes(length, rows[0].batch)) for length in lengths]
    title = f"One training iteration, batch {rows[0].batch}, {rows[0].joints} joints"
    panels = [
        Panel(f"{title}: CPU time", "seconds", curves(lambda r: r.seconds), lengths),
        Panel(
            f"{title}: peak memory",
            "GB",
            [
                *curves(lambda r: (r.peak_megabytes or 0) / 1024),
                Curve("dense, estimated", memory, colours["dense"], dashed=True),
            ],
            lengths,
            limit=(8.0, "8 GB"),
        ),
    ]
    save_figure(path, draw_panels(panels))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--batch", type=int, default=20, help="batch of the iteration")
    parser.add_argument("--batch-scale", type=int, default=8, help="batch against the number of frames")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; 0 leaves the iteration out")
    parser.add_argument("--lengths", type=int, nargs="*", default=list(LENGTHS), help="frames; none leaves this out")
    parser.add_argument("--gigabytes", type=float, default=6.0, help="leave the dense program out above this")
    parser.add_argument("--device", choices=["cpu", "cuda", "all"], default="all")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument(
        "--plot", type=Path, help="draw time and memory against the number of frames, a PNG, with an SVG beside it"
    )
    parser.add_argument("--from-json", type=Path, help="show results written before instead of measuring")
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "FRAMES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.one:
        result = one_length(args.one[0], int(args.one[1]), args.batch_scale, args.repeats, args.device)
        print(json.dumps(asdict(result)))
        return
    if args.from_json:
        results = [Result(**row) for row in json.loads(args.from_json.read_text())["results"]]
    else:
        results = measure(args)
    show(results, args.threads)
    show_scaling(results, args.gigabytes)
    if args.json:
        write_json(args.json, {"threads": args.threads, "results": [asdict(result) for result in results]})
    if args.plot:
        plot_scaling(results, args.plot)


def measure(args: argparse.Namespace) -> list[Result]:
    results = []
    for device in devices(args.device):
        if args.repeats:
            results += iteration(args.batch, args.repeats, device)
        for length in args.lengths:
            repeats = max(min(args.repeats, 2), 1)
            results.append(scale("paper", length, args.batch_scale, repeats, device, args.threads))
            if device == "cpu" and dense_gigabytes(length, args.batch_scale) <= args.gigabytes:
                results.append(scale("dense", length, args.batch_scale, repeats, device, args.threads))
    return results


if __name__ == "__main__":
    main()
