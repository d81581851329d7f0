"""Time the search for the nearest training clip against comparing every pair, at the size of Human3.6M's protocol.

    python tests/benchmarks/bench_nearest.py [--clips 100] [--reference 22764] [--threads 1] [--json bench.json]

Made-up motion in pixels: smooth clips of ten people, overlapping as windows do, and what stands in the rows of an
evaluation. CPU seconds; both take turns on the same clips, and the largest difference of their results is given.
"""

import argparse
import time
from pathlib import Path

import torch
from measuring import seconds, write_json
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mutoscope.metrics.nearest import NearestClip

LENGTH, JOINTS, PEOPLE, STRIDE = 50, 15, 10, 3


def every_pair(clips: Tensor, reference: Tensor, chunk: int = 2**22) -> Tensor:
    """``[b]`` distances by comparing every clip with every other in full, joint by joint: what the search replaces."""
    left, right = (x.flatten(1, 2).transpose(0, 1).contiguous() for x in (clips, reference))
    total = clips.new_zeros(len(clips), len(reference))
    step = max(1, chunk // total.numel())
    for start in range(0, len(left), step):
        here = slice(start, start + step)
        pairs = torch.cdist(left[here], right[here], compute_mode="donot_use_mm_for_euclid_dist")
        total += pairs.sum(dim=0)
    return total.amin(dim=1) / len(left)


def recordings(count: int, seed: int) -> Tensor:
    """``[count, t, v, 2]`` windows of smooth recordings, each of which holds about a hundred."""
    generator = torch.Generator().manual_seed(seed)
    poses = 80 * torch.randn(PEOPLE, JOINTS, 2, generator=torch.Generator().manual_seed(0))
    ways = 30 * torch.randn(6, JOINTS, 2, generator=torch.Generator().manual_seed(1))
    windows = []
    for _ in range(-(-count // 100)):
        frame = torch.arange(100 * STRIDE + LENGTH) / 16.7
        phase, speed = 6.3 * torch.rand(6, 1, generator=generator), 0.3 + 1.5 * torch.rand(6, 1, generator=generator)
        path = torch.einsum("kt,kvc->tvc", torch.sin(6.3 * speed * frame + phase), ways)
        person = poses[torch.randint(PEOPLE, (), generator=generator)]
        path = path + person + 10 * torch.randn(JOINTS, 2, generator=generator)
        windows.append(path.unfold(0, LENGTH, STRIDE).movedim(-1, 1)[:100])
    return torch.cat(windows)[:count].contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--reference", type=int, default=22764)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    reference = recordings(arguments.reference, seed=2)
    unseen = recordings(40 * arguments.clips, seed=3)[::40].contiguous()
    noise = torch.randn(unseen.shape, generator=torch.Generator().manual_seed(4))
    rows = {
        "unseen recordings": unseen,
        "the same, jittering": unseen + 5 * noise,
        "frozen first frames": unseen[:, :1].expand_as(unseen).contiguous(),
        "training clips": reference[:: len(reference) // arguments.clips][: arguments.clips].contiguous(),
        "one pose, nearly (untrained)": reference.mean(dim=(0, 1)) + noise,
        "white noise": 80 * noise,
    }
    mask = torch.ones(len(unseen), LENGTH, dtype=torch.bool)
    found: dict[str, dict[str, float]] = {}
    start = time.process_time()
    search = NearestClip(reference)
    built = time.process_time() - start
    table = Table(title=f"{len(unseen)} clips against {len(reference)}, {arguments.threads} thread(s)")
    for heading in ("row", "every pair, s", "search, s", "times faster", "largest difference"):
        table.add_column(heading, justify="left" if heading == "row" else "right")
    for name, clips in rows.items():
        results: dict[str, Tensor] = {}

        def old(clips: Tensor = clips, results: dict[str, Tensor] = results) -> None:
            results["old"] = every_pair(clips, reference)

        def new(clips: Tensor = clips, results: dict[str, Tensor] = results) -> None:
            results["new"] = search(clips, mask)

        spent = [seconds(old, "cpu"), seconds(new, "cpu")]
        difference = float((results["old"] - results["new"]).abs().max())
        found[name] = {"every_pair": spent[0], "search": spent[1], "difference": difference}
        table.add_row(name, *(f"{s:.2f}" for s in spent), f"{spent[0] / spent[1]:.1f}", f"{difference:.1e}")
    every, searched = (sum(row[key] for row in found.values()) for key in ("every_pair", "search"))
    table.add_row("built, once for all rows", "", f"{built:.2f}", "", "")
    table.add_row("together", f"{every:.2f}", f"{searched + built:.2f}", f"{every / (searched + built):.1f}", "")
    Console().print(table)
    if arguments.json:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
