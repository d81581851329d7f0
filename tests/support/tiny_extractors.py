"""Extractors that are made in a moment and see enough for tests."""

import torch
from torch import Tensor, nn

from mutoscope.evaluators.extractors import Extractor, View


class _Frames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.looks = nn.Parameter(torch.randn(3 * 64, 8, generator=torch.Generator().manual_seed(0)) / 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = x.flatten(1) @ self.looks
        return seen, 3 * seen


class _Clips(nn.Module):
    """Sees what is shown and how it changes."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(1)
        self.looks = nn.Parameter(torch.randn(3 * 64, 4, generator=g) / 8)

    def forward(self, x: Tensor) -> Tensor:
        seen = x.transpose(1, 2).flatten(2) @ self.looks
        return torch.cat([seen.mean(dim=1), 4 * seen.diff(dim=1).abs().mean(dim=1)], dim=1)


def _prepared(images: Tensor) -> Tensor:
    return nn.functional.adaptive_avg_pool2d(images.float() / 64 - 2, 8)


def frames_extractor(*_: object, **__: object) -> Extractor:
    return Extractor(_Frames(), _prepared, View("mean, 8x8", "x / 64 - 2"), "frame", 8, 8, "tiny-frames")


def clips_extractor(
    weights: object = None, network: object = None, frames: int | None = 16, stride: int = 1
) -> Extractor:
    view = View("mean, 8x8", "x / 64 - 2", frames, stride)
    return Extractor(_Clips(), _prepared, view, "clip", 8, 8, "tiny-clips")
