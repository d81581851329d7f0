"""Time AG2Vid's training batches: frames from the cache against decoding each clip from its video again.

    python tests/benchmarks/bench_ag2vid_data.py --size 64 --videos 6 --batches 40 --json bench.json

Videos are made up, but of CATER's format, size (320x240) and length. Decoding means: seek with PyAV to the key frame
before the clip, decode up to its end, resize with Pillow; the frames are those of the cache, bit for bit. The third
way adds what the original wastes: it parses each clip's scene anew and decodes the layout clips too, whose frames
nobody uses (the original reads PNG files where this decodes). One thread, one process, CPU seconds, since other work
may share the machine; the best of all rounds counts. The cache's file lies in memory here; read from disk for the
first time it costs what the disk costs. Preparation is what the first run pays once.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from mutoscope.data.action_graph.cater import Cater
from mutoscope.data.action_graph.cater_scenes import STRIDE
from mutoscope.data.action_graph.clips import RandomActionClips
from mutoscope.data.framing import picture
from mutoscope.formats.cater import RAW_FPS, read_scene
from mutoscope.structures import ActionGraphBatch, ActionGraphPair

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cater_tree import write_tree
from measuring import seconds, write_json

BATCH, ROUNDS = 4, 3


def decoded(path: Path, raw: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``[t, 3, h, w]``, by seeking."""
    frames = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        assert stream.time_base is not None
        container.seek(int(raw[0] / RAW_FPS / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            assert frame.pts is not None
            number = round(float(frame.pts * stream.time_base) * RAW_FPS)
            if number in raw:
                frames[number] = picture(Image.fromarray(frame.to_ndarray(format="rgb24")), size)
            if number >= raw[-1]:
                break
    return np.stack([frames[number] for number in raw.tolist()])


def clip_frames(root: Path, batch: ActionGraphBatch, length: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """``[b, t, 3, h, w]``, every clip decoded for itself."""
    frames = []
    for name in batch.names:
        video, window = name.rsplit("_", 1)
        raw = int(window.split("-")[0]) + STRIDE * np.arange(length)
        frames.append(decoded(root / "videos" / f"{video}.avi", raw, size))
    return np.stack(frames)


def with_all_waste(root: Path, train: RandomActionClips, pair: ActionGraphPair, size: tuple[int, int]) -> None:
    """Parse a scene for every clip and decode them all."""
    for batch, length in ((pair.frames, train.frames_length), (pair.layout, train.length)):
        for name in batch.names:
            read_scene(root / "scenes" / f"{name.rsplit('_', 1)[0]}.json")
        clip_frames(root, batch, length, size)


def best_of(function: Callable[[int], object], batches: int) -> float:
    """Seconds per batch in the best round."""

    def a_round() -> None:
        for number in range(batches):
            function(number)

    return min(seconds(a_round, "cpu") for _ in range(ROUNDS)) / batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the frames")
    parser.add_argument("--videos", type=int, default=6, help="training videos to make up")
    parser.add_argument("--batches", type=int, default=40, help="cached batches per round; a tenth of them decoded")
    parser.add_argument("--json", type=Path, default=None, help="where to write the numbers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    size = (args.size, args.size)
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": range(args.videos), "val": [args.videos], "test": [args.videos + 1]}
        root = write_tree(Path(folder) / "max2action", splits, objects=6, size=(320, 240))
        data = Cater(root=str(root), cache_dir=f"{folder}/cache", size=args.size, batch_size=BATCH, cache_workers=1)
        prepared = seconds(data.prepare_data, "cpu") / (args.videos + 2)
        data.setup()
        train = data.dataset("train")
        assert isinstance(train, RandomActionClips)

        def indices(number: int) -> list[int]:
            return list(range(number * BATCH, (number + 1) * BATCH))

        first = train.__getitems__(indices(0)).frames
        assert first.frames is not None
        again = clip_frames(root, first, train.frames_length, size)
        assert np.array_equal(first.frames.numpy(), again), "cache and videos differ"
        pairs = [train.__getitems__(indices(number)) for number in range(max(1, args.batches // 10))]
        per_batch = {
            "cached": best_of(lambda number: train.__getitems__(indices(number)), args.batches),
            "decoding each clip": best_of(
                lambda number: clip_frames(root, pairs[number].frames, train.frames_length, size), len(pairs)
            ),
            "with scenes and layout frames": best_of(
                lambda number: with_all_waste(root, train, pairs[number], size), len(pairs)
            ),
        }
    table = Table(title=f"Training batches of {BATCH} clips, {args.size}x{args.size}, one process")
    for column in ("way", "CPU ms per batch", "clips/s", "cached is times faster"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, each in per_batch.items():
        table.add_row(way, f"{each * 1e3:.2f}", f"{BATCH / each:.0f}", f"{each / per_batch['cached']:.0f}")
    Console().print(table)
    Console().print(f"Preparation, once: {prepared:.2f} CPU s per video.")
    if args.json:
        numbers = {
            "machine": platform.processor() or platform.machine(),
            "size": args.size,
            "batch": BATCH,
            "seconds_per_batch": per_batch,
            "prepare_seconds_per_video": prepared,
        }
        write_json(args.json, numbers)


if __name__ == "__main__":
    main()
