"""Time FVD, FID and the Fréchet distance against the way most programs compute them, with random weights.

    OMP_NUM_THREADS=2 python tests/benchmarks/bench_fvd.py [--clips 8] [--side 64] [--batch 1] [--json bench.json]

The common recipe: videos decoded one after the other, then a batch of 1 to 10 at a time through the network as it is
published, with torch's pooling of volumes, features in a list, ``numpy.cov`` and ``scipy.linalg.sqrtm``. Both read the
same files and take turns. Seconds are of the processor, over all threads, since other work may share the machine, and
by the clock.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from measuring import write_json
from rich.console import Console
from rich.table import Table

from mutoscope.data.anybody import Cut, Reader, find_clips
from mutoscope.evaluators import i3d
from mutoscope.evaluators.distances import FID, FVD
from mutoscope.evaluators.i3d import I3D
from mutoscope.evaluators.inception_v3 import InceptionV3, resize_as_tensorflow1
from mutoscope.evaluators.sets import Features
from mutoscope.formats.video import read_video, write_mp4
from mutoscope.metrics import frechet_distance_of_features

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from random_weights import i3d_file, inception_file

FRAMES = 16


def by_sqrtm(real: np.ndarray, fake: np.ndarray) -> float:
    mean = np.square(real.mean(0) - fake.mean(0)).sum()
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = np.real(scipy.linalg.sqrtm(a @ b))
    return float(mean + np.trace(a + b - 2 * root))


def pool_as_published(x: torch.Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> torch.Tensor:
    """What every published I3D does for TensorFlow's SAME: zeros, then ``MaxPool3d``."""
    return F.max_pool3d(i3d._pad_same(x, kernel, stride), kernel, stride)


@torch.no_grad()
def common(folders: list[Path], network: torch.nn.Module, batch: int, clips: bool) -> float:
    tables = []
    for folder in folders:
        features = []
        videos = [
            torch.from_numpy(read_video(path)[0]).permute(0, 3, 1, 2).float() for path in sorted(folder.iterdir())
        ]
        for start in range(0, len(videos), batch):
            part = torch.stack(videos[start : start + batch])
            if clips:
                small = F.interpolate(part.flatten(0, 1), (224, 224), mode="bilinear", align_corners=False) / 127.5 - 1
                features.append(network(small.unflatten(0, part.shape[:2]).transpose(1, 2)).numpy())
            else:
                features.append(network((resize_as_tensorflow1(part.flatten(0, 1), (299, 299)) - 128) / 128)[0].numpy())
        tables.append(np.concatenate(features).astype(np.float64))
    return by_sqrtm(*tables) if clips else float("nan")


def published(run: Callable[[], float]) -> float:
    with mock.patch.object(i3d, "_max_pool", pool_as_published):
        return run()


def ours(folders: list[Path], metric: FVD | FID) -> float:
    metric.reset()
    for side, folder in zip(("real", "fake"), folders, strict=True):
        found = Features()
        held = []
        for _, frames in Reader(Cut()).read(find_clips(folder), side):
            held.append(frames)
            if len(held) == 8:
                found.add([metric.classifier], torch.stack(held))  # type: ignore[list-item]
                held = []
        if held:
            found.add([metric.classifier], torch.stack(held))  # type: ignore[list-item]
        found.feed(metric, side)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(metric.compute())


def taken(run: Callable[[], object]) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - processor, time.perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8, help="of either side")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--batch", type=int, default=1, help="of the common recipe")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / side for side in ("real", "fake")]
        for folder in folders:
            folder.mkdir()
            for i in range(asked.clips):
                base = rng.integers(0, 255, (8, 8, 3)).repeat(asked.side // 8, 0).repeat(asked.side // 8, 1)
                film = np.stack([np.roll(base, 2 * t, 1) for t in range(FRAMES)]).astype(np.uint8)
                write_mp4(folder / f"{i:03d}.mp4", film, 8)
        i3d_weights, inception = i3d_file(Path(root)), inception_file(Path(root))
        plain_i3d, plain_inception = I3D().eval(), InceptionV3().eval()
        plain_i3d.load_state_dict(torch.load(i3d_weights, weights_only=True), strict=False)
        plain_inception.load_state_dict(torch.load(inception, weights_only=True), strict=False)
        fvd, fid = FVD(weights=str(i3d_weights)), FID(weights=str(inception))
        runs: dict[str, dict[str, Callable[[], object]]] = {
            "FVD": {
                "common": lambda: published(lambda: common(folders, plain_i3d, asked.batch, clips=True)),
                "here": lambda: ours(folders, fvd),
            },
            "FID, features": {
                "common": lambda: common(folders, plain_inception, asked.batch, clips=False),
                "here": lambda: ours(folders, fid),
            },
        }
        for n in (256, 2048):
            tables = [torch.randn(n, 400, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1)]
            arrays = [table.numpy() for table in tables]
            runs[f"Fréchet, {n} x 400"] = {
                "common": lambda arrays=arrays: by_sqrtm(*arrays),  # type: ignore[misc]
                "here": lambda tables=tables: frechet_distance_of_features(*tables),  # type: ignore[misc]
            }
        for name, pair in runs.items():
            rounds = [{variant: taken(run) for variant, run in pair.items()} for _ in range(asked.repeats + 1)][1:]
            best = {v: [min(one[v][i] for one in rounds) for i in (0, 1)] for v in pair}
            found[name] = {f"{v}_{unit}": best[v][i] for v in pair for i, unit in enumerate(("cpu", "clock"))}
    table = Table("", "common, CPU s", "here, CPU s", "times", "common, s", "here, s", "times")
    for name, x in found.items():
        ratios = [x[f"common_{unit}"] / x[f"here_{unit}"] for unit in ("cpu", "clock")]
        table.add_row(
            name,
            f"{x['common_cpu']:.2f}",
            f"{x['here_cpu']:.2f}",
            f"{ratios[0]:.1f}",
            f"{x['common_clock']:.2f}",
            f"{x['here_clock']:.2f}",
            f"{ratios[1]:.1f}",
        )
    Console().print(table)
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
