"""Clips of a split, drawn evenly over its classes and recordings."""

from typing import Any

import torch
from torch import Tensor

from mutoscope.data.datamodule import DataModule


def clips_of(datamodule: DataModule, split: Any, limit: int | None = None, seed: int = 0) -> Any:
    """Clips of a split as one batch: all of them, or ``limit`` drawn without replacement, evenly over classes."""
    data = datamodule.dataset(split)
    if limit is None or limit >= len(data):
        return data.__getitems__(list(range(len(data))))
    return data.__getitems__(even_order(data.label, seed)[:limit].tolist())


def even_order(label: Tensor, seed: int) -> Tensor:
    """``[n]`` every index of ``label: [n]`` once, at random, such that any beginning is even over classes."""
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    label = label[order]
    # position of every item among those of its class: taking the lowest first is even over classes
    by_class = label.argsort(stable=True)
    count = torch.bincount(label)
    first = count.cumsum(dim=0) - count
    nth = torch.empty_like(label)
    nth[by_class] = torch.arange(len(label)) - first[label[by_class]]
    return order[nth.argsort(stable=True)]
