"""Time Winograd's method against PyTorch's convolution on the sizes of a training step of AG2Vid at 64x64.

    python tests/benchmarks/bench_convolution.py [--threads 1] [--repeats 3] [--json bench.json]

Six pictures, forward and backward, in CPU seconds; both take turns and the best of all rounds counts. Errors are those
of the result, relative to double precision.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measuring import in_turns, write_json
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from mutoscope.nn.winograd import conv3x3

PICTURES = 6
#: channels in, channels out, side
SIZES = (
    (512, 384, 64),
    (128, 256, 64),
    (128, 128, 64),
    (128, 64, 64),
    (64, 64, 64),
    (512, 384, 32),
    (128, 512, 32),
    (256, 128, 32),
    (512, 384, 16),
    (128, 1024, 16),
    (256, 256, 16),
)


def step(convolve: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, gradient: Tensor) -> None:
    torch.autograd.grad(convolve(x, weight), (x, weight), gradient)


def measure(c_in: int, c_out: int, side: int, repeats: int) -> dict[str, float]:
    torch.manual_seed(0)
    x = torch.randn(PICTURES, c_in, side, side).relu_().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(c_out, c_in, 3, 3) / (3 * c_in**0.5)
    direct = partial(F.conv2d, padding=1)
    exact = direct(x.double(), weight.double())
    errors = {
        f"error_{name}": float((convolve(x, weight) - exact).norm() / exact.norm())
        for name, convolve in (("direct", direct), ("winograd", conv3x3))
    }
    given = (x.requires_grad_(), weight.requires_grad_(), torch.randn(PICTURES, c_out, side, side))
    taken = in_turns(
        {"direct": partial(step, direct, *given), "winograd": partial(step, conv3x3, *given)}, repeats, "cpu"
    )
    return {**{name: min(seconds) for name, seconds in taken.items()}, **errors}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--json", type=Path, help="also write the results here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = Table(title=f"3x3 convolutions of {PICTURES} pictures, {args.threads} thread(s), torch {torch.__version__}")
    for column in ("in", "out", "side", "direct s", "Winograd s", "ratio", "direct error", "Winograd error"):
        table.add_column(column, justify="right")
    results = {size: measure(*size, args.repeats) for size in SIZES}
    for size, found in results.items():
        seconds = (found["direct"], found["winograd"])
        table.add_row(
            *map(str, size),
            *(f"{s:.3f}" for s in seconds),
            f"{seconds[0] / seconds[1]:.2f}",
            f"{found['error_direct']:.0e}",
            f"{found['error_winograd']:.0e}",
        )
    direct, winograd = (sum(found[name] for found in results.values()) for name in ("direct", "winograd"))
    table.add_row("all", "", "", f"{direct:.2f}", f"{winograd:.2f}", f"{direct / winograd:.2f}")
    Console(width=110).print(table)
    if args.json:
        rows = [dict(zip(("in", "out", "side"), size, strict=True)) | found for size, found in results.items()]
        write_json(args.json, {"threads": args.threads, "pictures": PICTURES, "results": rows})


if __name__ == "__main__":
    main()
