"""Metrics over two processes, each of which sees every other part."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.metrics import PSNR, SSIM, ClassifierFID, ClassifierKID, InceptionScore, PrecisionRecall, WarpingError

Parts = Sequence[Mapping[str, Any]]


class Colours(nn.Module):
    """Features of frames: what a few fixed random looks at a frame see; logits are the first of them."""

    num_features, num_classes = 8, 4

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.register_buffer("looks", torch.randn(3 * size * size, 8, generator=g) / (3 * size * size) ** 0.5)

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.looks, Tensor)
        seen = (frames.flatten(0, 1).flatten(1).float() / 64 - 2) @ self.looks
        return seen, 3 * seen[:, :4]


def every_video_metric() -> Mapping[str, Metric]:
    """One of each that looks at videos."""
    return {
        "fid": ClassifierFID(Colours()),
        "kid": ClassifierKID(Colours()),
        "kid_subsets": ClassifierKID(Colours(), subsets=4, subset_size=10),
        "is": InceptionScore(Colours(), splits=1),
        "precision": PrecisionRecall(Colours(), "precision"),
        "recall": PrecisionRecall(Colours(), "recall"),
        "psnr": PSNR(),
        "ssim": SSIM(),
        "warping": WarpingError(tile=16),
    }


def over_two_ranks(make: Callable[[], Mapping[str, Metric]], parts: Parts) -> dict[str, float]:
    """What two processes compute; both must agree.

    They are forked, since fresh ones would take long to import what is imported here. They work on one thread each, so
    they never wait for threads that stayed behind.
    """
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(  # type: ignore[no-untyped-call]
            _rank, (make, parts, folder), nprocs=2, start_method="fork"
        )
        found = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert found[0] == found[1]
    values: dict[str, float] = found[0]
    return values


def over_one(make: Callable[[], Mapping[str, Metric]], parts: Parts) -> dict[str, float]:
    return _measured(make(), parts)


def _rank(rank: int, make: Callable[[], Mapping[str, Metric]], parts: Parts, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(_measured(make(), parts[rank::2]), Path(folder) / f"{rank}.pt")
    torch.distributed.barrier()
    # torch 2.6 may wait forever for a thread when it takes a group apart
    os._exit(0)


def _measured(metrics: Mapping[str, Metric], parts: Parts) -> dict[str, float]:
    for metric in metrics.values():
        for part in parts:
            metric.update(**part)
    return {name: float(metric.compute()) for name, metric in metrics.items()}
