"""Time FVD, FID and the Fréchet distance against the way most programs compute them, with random weights.

    OMP_NUM_THREADS=2 python tests/benchmarks/bench_fvd.py [--clips 8] [--side 64] [--batch 1] [--json bench.json]

The common recipe: videos decoded one after the other, then a batch of 1 to 10 videos at a time (for FID: their frames)
through the network as it is published, with torch's pooling of volumes, features in a list, ``numpy.cov`` and
``scipy.linalg.sqrtm``. Both read the same files and take turns. "Features" go from files to tables of features, "end
to end" goes on to the distance; "foils" measures what an evaluation does beside every number: the real clips against
themselves changed in eight ways. Seconds are of the processor, over all threads, since other work may share the
machine, and by the clock, without the making of networks; here they are made anew every time, so that they remember
nothing. ``--convolutions`` times Inception's alone instead, beside a product of large matrices: what is left to gain.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from measuring import write_json
from rich.console import Console
from rich.table import Table

from mutoscope.data.anybody import Cut, Reader, find_clips
from mutoscope.evaluators import i3d, inception_v3
from mutoscope.evaluators.distances import FID, FVD
from mutoscope.evaluators.extractors import Extractor
from mutoscope.evaluators.i3d import I3D
from mutoscope.evaluators.inception_v3 import InceptionV3, resize_as_tensorflow1
from mutoscope.evaluators.sets import Features, extractor_of
from mutoscope.formats.video import read_video, write_mp4
from mutoscope.kinds.set_measuring import BATCH
from mutoscope.metrics import frechet_distance_of_features
from mutoscope.metrics.frame_foils import frame_foils

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from random_weights import i3d_file, inception_file

FRAMES = 16
#: that go through a convolution at once
PICTURES = 8
#: clips whose foils are measured
FOILED = 2
#: beyond which the two sides do not compute the same; square roots of singular matrices are no better known
TOLERANCE = 0.01


def by_sqrtm(real: np.ndarray, fake: np.ndarray, ddof: int) -> float:
    mean = np.square(real.mean(0) - fake.mean(0)).sum()
    a, b = (np.cov(side, rowvar=False, ddof=ddof) for side in (real, fake))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = np.real(scipy.linalg.sqrtm(a @ b))
    return float(mean + np.trace(a + b - 2 * root))


def pool_as_published(x: torch.Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> torch.Tensor:
    """What every published I3D does for TensorFlow's SAME: zeros, then ``MaxPool3d``."""
    return F.max_pool3d(i3d._pad_same(x, kernel, stride), kernel, stride)


def read_all(folder: Path) -> list[torch.Tensor]:
    return [torch.from_numpy(read_video(path)[0]).permute(0, 3, 1, 2) for path in sorted(folder.iterdir())]


@torch.no_grad()
def common_features(videos: list[torch.Tensor], network: torch.nn.Module, batch: int) -> np.ndarray:
    features = []
    for start in range(0, len(videos), batch):
        part = torch.stack(videos[start : start + batch])
        frames = part.flatten(0, 1).float()
        if isinstance(network, I3D):
            small = F.interpolate(frames, (224, 224), mode="bilinear", align_corners=False) / 127.5 - 1
            features.append(network(small.unflatten(0, part.shape[:2]).transpose(1, 2)).numpy())
        else:
            seen = (resize_as_tensorflow1(frames, (299, 299)) - 128) / 128
            features.append(network(seen.contiguous())[0].numpy())
    return np.concatenate(features).astype(np.float64)


def as_published() -> ExitStack:
    """Without what is done here for the sake of memory."""
    stack = ExitStack()
    stack.enter_context(mock.patch.object(i3d, "max_pool", pool_as_published))
    for name in ("_STEM", "_FINE"):
        stack.enter_context(mock.patch.object(inception_v3, name, sys.maxsize))
    return stack


def common(folders: list[Path], network: torch.nn.Module, batch: int) -> Iterator[Any]:
    """Features of both sides, then the distance."""
    with as_published():
        tables = [common_features(read_all(folder), network, batch) for folder in folders]
    yield tables
    yield by_sqrtm(*tables, ddof=0 if isinstance(network, I3D) else 1)


def forgetful(metric: FVD | FID) -> Extractor:
    """Its extractor, that has not seen what an earlier round showed it."""
    extractor = extractor_of(metric)
    assert isinstance(extractor, Extractor)
    extractor._remembered.clear()
    return extractor


def ours(folders: list[Path], metric: FVD | FID) -> Iterator[Any]:
    """Features of both sides, then the distance."""
    extractor = forgetful(metric)
    sides = {}
    for side, folder in zip(("real", "fake"), folders, strict=True):
        sides[side] = Features()
        held = []
        for _, frames in Reader(Cut()).read(find_clips(folder), side):
            held.append(frames)
            if len(held) == BATCH:
                sides[side].add([extractor], torch.stack(held))
                held = []
        if held:
            sides[side].add([extractor], torch.stack(held))
    yield [found.of(extractor)[0].numpy() for found in sides.values()]
    for side, found in sides.items():
        found.feed(metric, side)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield float(metric.compute())


def foiled(clips: torch.Tensor) -> list[torch.Tensor]:
    return [clips, *(foil.clips for foil in frame_foils(clips))]


def common_foils(clips: torch.Tensor, network: torch.nn.Module, batch: int) -> Iterator[Any]:
    with as_published():
        features = [common_features(list(changed), network, batch) for changed in foiled(clips)]
    yield features


def our_foils(clips: torch.Tensor, metric: FVD | FID) -> Iterator[Any]:
    extractor = forgetful(metric)
    yield [extractor.features(changed)[0].numpy() for changed in foiled(clips)]


def taken(steps: Iterable[Any]) -> tuple[list[np.ndarray], Any]:
    """Seconds of the processor and by the clock up to the end of every step; and what the last one gave."""
    clock, processor = time.perf_counter(), time.process_time()
    ends, given = [], []
    for one in steps:
        ends.append(np.array([time.process_time() - processor, time.perf_counter() - clock]))
        given.append(one)
    return ends, given[-1]


def later(distance: Callable[[], Any]) -> Iterator[float]:
    """A single step, which begins when it is asked for."""
    yield float(distance())


def agree(name: str, theirs: Any, found: Any) -> None:
    for a, b in zip(np.atleast_1d(theirs), np.atleast_1d(found), strict=True):
        if (error := float(np.abs(a - b).max() / np.abs(a).max())) > TOLERANCE:
            raise SystemExit(
                f"{name}: the two sides differ by {error:.1e} of the value, expected {TOLERANCE:g} at most."
            )


@torch.no_grad()
def convolutions() -> Table:
    """Seconds and rates of Inception's convolutions by their kernels, channels last, best of three."""
    asked: list[tuple[torch.nn.Conv2d, torch.Size]] = []
    network = InceptionV3().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda layer, given, _: asked.append((layer, given[0].shape)))
    network(torch.zeros(1, 3, 299, 299))
    spent: dict[str, np.ndarray] = {}
    for layer, shape in asked:
        x = torch.randn(PICTURES, *shape[1:]).relu_().contiguous(memory_format=torch.channels_last)
        weight = layer.weight.contiguous(memory_format=torch.channels_last)
        convolve = partial(F.conv2d, x, weight, None, layer.stride, layer.padding)
        operations = 2 * weight[0].numel() * convolve().numel()
        name = "x".join(map(str, layer.kernel_size)) + (f", stride {layer.stride[0]}" if layer.stride[0] > 1 else "")
        spent[name] = spent.get(name, np.zeros(2)) + np.array([operations, quickest(convolve)]) / PICTURES
    spent["all"] = np.sum(list(spent.values()), axis=0)
    a = torch.randn(2048, 2048)
    spent["matrices of 2048 x 2048"] = np.array([2 * 2048.0**3, quickest(lambda: a @ a)])
    table = Table("", "GFLOP", "CPU ms", "GFLOP/s", title=f"Inception's convolutions of a frame, {PICTURES} at once")
    for name, (operations, seconds) in sorted(spent.items(), key=lambda entry: entry[1][0]):
        table.add_row(name, f"{operations / 1e9:.2f}", f"{1e3 * seconds:.1f}", f"{operations / seconds / 1e9:.0f}")
    return table


def quickest(run: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        begun = time.process_time()
        run()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8, help="of either side")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--batch", type=int, default=1, help="of the common recipe")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", default="", help="rows whose names have this in them")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--convolutions", action="store_true", help="nothing but these")
    asked = parser.parse_args()
    if asked.convolutions:
        Console().print(convolutions())
        return
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
        fvd, fid = partial(FVD, weights=str(i3d_weights)), partial(FID, weights=str(inception))
        clips = torch.stack(read_all(folders[0])[:FOILED])
        runs: dict[tuple[str, ...], dict[str, Callable[[], Iterable[Any]]]] = {
            ("FVD, features", "FVD, end to end"): {
                "common": partial(common, folders, plain_i3d, asked.batch),
                "here": lambda: ours(folders, fvd()),
            },
            ("FID, features", "FID, end to end"): {
                "common": partial(common, folders, plain_inception, asked.batch),
                "here": lambda: ours(folders, fid()),
            },
            ("FID, features of foils",): {
                "common": partial(common_foils, clips, plain_inception, asked.batch),
                "here": lambda: our_foils(clips, fid()),
            },
        }
        for n in (256, 2048):
            tables = [torch.randn(n, 400, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1)]
            arrays = [table.numpy() for table in tables]
            runs[(f"Fréchet, {n} x 400",)] = {
                "common": partial(later, partial(by_sqrtm, *arrays, ddof=1)),
                "here": partial(later, partial(frechet_distance_of_features, *tables)),
            }
        for names, pair in runs.items():
            wanted = [i for i, name in enumerate(names) if asked.only in name]
            if not wanted:
                continue
            rounds = []
            for _ in range(asked.repeats):
                # networks are made before the seconds are counted
                both = {variant: taken(islice(run(), wanted[-1] + 1)) for variant, run in pair.items()}
                rounds.append({variant: ends for variant, (ends, _) in both.items()})
                agree(names[wanted[-1]], *(last for _, last in both.values()))
            for i in wanted:
                best = {v: np.min([one[v][i] for one in rounds], axis=0) for v in pair}
                seconds = {f"{v}_{unit}": float(best[v][j]) for v in pair for j, unit in enumerate(("cpu", "clock"))}
                found[names[i]] = seconds
    table = Table("", "common, CPU s", "here, CPU s", "times", "common, s", "here, s", "times")
    for name, x in found.items():
        ratios = [x[f"common_{unit}"] / x[f"here_{unit}"] for unit in ("cpu", "clock")]
        table.add_row(
            name,
            f"{x['common_cpu']:.3f}",
            f"{x['here_cpu']:.3f}",
            f"{ratios[0]:.1f}",
            f"{x['common_clock']:.3f}",
            f"{x['here_clock']:.3f}",
            f"{ratios[1]:.1f}",
        )
    Console().print(table)
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
