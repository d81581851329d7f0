"""Time AG2Vid's layout stage at 1,000 action graphs against a plain loop over clips.

    python tests/benchmarks/bench_ag2vid_layout.py --threads 1 --graphs 1000 --batch 100 --json bench.json

Forward and backward of 16-frame layouts at the paper's size (four attributes, width 128, hidden 512, three layers):
six objects, an image node and four clocked actions per graph. Gradients of all batches are summed. Variants take turns
in one process; CPU seconds are the process's own, since other work may share the machine, and the best round counts.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from ag2vid_layout_naive import naive_layout, parts, random_boxes, random_graph
from measuring import best_and_median, devices, in_turns, write_json

from mutoscope.models.ag2vid.layout import LayoutGCN, layout_loss
from mutoscope.models.ag2vid.layout_baselines import LayoutRNN
from mutoscope.models.ag2vid.reference.layout import layout_keys

SIZES, PREDICATES, ACTIONS, PADDING = (6, 10, 3, 4), 8, 7, 6
TARGET = 4.0


@dataclass
class Result:
    """One variant; seconds for all graphs, CPU seconds on a CPU and wall seconds on a GPU."""

    variant: str
    device: str
    graphs: int
    seconds: float
    median_seconds: float

    @property
    def rate(self) -> float:
        return self.graphs / self.seconds


def variants(graphs: int, batch: int, length: int, device: str) -> dict[str, Callable[[], float]]:
    """Name -> one pass over all graphs, giving the sum of the losses."""
    sizes = [min(batch, graphs - start) for start in range(0, graphs, batch)]
    batches = [random_graph(size, sizes=SIZES, seed=number).to(device) for number, size in enumerate(sizes)]
    boxes = [random_boxes(graph, length, seed=number).to(device) for number, graph in enumerate(batches)]
    torch.manual_seed(0)
    network = LayoutGCN(SIZES, PREDICATES, ACTIONS, PADDING).to(device)
    again = LayoutGCN(SIZES, PREDICATES, ACTIONS, PADDING, checkpoint_steps=True).to(device)
    again.load_state_dict(network.state_dict())
    reader = LayoutRNN(SIZES, PREDICATES, ACTIONS, PADDING).to(device)
    parameters = dict(network.named_parameters())
    state = {theirs: parameters[ours] for theirs, ours in layout_keys(len(SIZES), 3).items()}

    separate = [parts(graph, real) for graph, real in zip(batches, boxes, strict=True)]

    def naive() -> float:
        total = torch.zeros((), device=device)
        for clips, known_boxes in separate:
            for clip, known in zip(clips, known_boxes, strict=True):
                found, _ = naive_layout(state, [clip], [known[:, 0]], length)
                # all clips have as many objects
                loss = layout_loss(found[0], known, clip.real) / len(clips)
                loss.backward()
                total += loss.detach()
        return float(total)

    def together(net: nn.Module, *, told: bool = False) -> Callable[[], float]:
        def run() -> float:
            total = torch.zeros((), device=device)
            for graph, real in zip(batches, boxes, strict=True):
                loss = layout_loss(net(graph, real[:, 0], length, real if told else None).boxes, real, graph.real)
                loss.backward()
                total += loss.detach()
            return float(total)

        return run

    return {
        "naive loop": naive,
        "all clips at once": together(network),
        "steps computed twice": together(again),
        "steps from given boxes": together(network, told=True),
        "recurrent baseline": together(reader),
    }


def benchmark(args: argparse.Namespace, device: str) -> list[Result]:
    for run in variants(min(args.graphs, 4), 2, args.length, device).values():
        run()
    losses: dict[str, float] = {}

    def keeping(variant: str, run: Callable[[], float]) -> Callable[[], None]:
        def keep() -> None:
            losses[variant] = run()

        return keep

    runs = variants(args.graphs, args.batch, args.length, device)
    runs_kept = {variant: keeping(variant, run) for variant, run in runs.items()}
    seconds = in_turns(runs_kept, args.repeats, device, warm_up=False)
    for variant in ("all clips at once", "steps computed twice"):
        if abs(losses[variant] - losses["naive loop"]) > 1e-3 * abs(losses["naive loop"]):
            raise SystemExit(f"'{variant}' has loss {losses[variant]}, the naive loop {losses['naive loop']}.")
    return [Result(variant, device, args.graphs, *best_and_median(taken)) for variant, taken in seconds.items()]


def show(results: list[Result], args: argparse.Namespace) -> None:
    table = Table(
        title=f"AG2Vid layouts, {args.graphs} graphs in batches of {args.batch}, {args.length} frames, "
        f"{platform.machine()}, {args.threads} thread(s), torch {torch.__version__}"
    )
    for column in ("device", "variant", "graphs/s", "seconds", "median", "x naive", "target"):
        table.add_column(column, justify="left" if column in ("device", "variant") else "right")
    naive = {r.device: r for r in results if r.variant == "naive loop"}
    for r in results:
        target = f"{TARGET:.0f}" if r.variant == "all clips at once" and r.device == "cpu" else ""
        ratio = f"{r.rate / naive[r.device].rate:.2f}"
        table.add_row(
            r.device, r.variant, f"{r.rate:.1f}", f"{r.seconds:.2f}", f"{r.median_seconds:.2f}", ratio, target
        )
    Console(width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=100, help="graphs per forward and backward pass")
    parser.add_argument("--length", type=int, default=16, help="frames")
    parser.add_argument("--repeats", type=int, default=2, help="rounds over all graphs")
    parser.add_argument("--device", choices=["cpu", "cuda", "all"], default="all")
    parser.add_argument("--json", type=Path, help="also write the results here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = [result for device in devices(args.device) for result in benchmark(args, device)]
    show(results, args)
    if args.json:
        rows = [{**asdict(result), "graphs_per_second": result.rate} for result in results]
        write_json(args.json, {"threads": args.threads, "batch": args.batch, "results": rows})


if __name__ == "__main__":
    main()
