"""Foils: clips that are no model's, held against real ones to see what a metric is worth.

All take and give clips ``[n, t, v, c]`` with labels ``[n]``; what is random depends on ``seed`` alone.
"""

import torch
from torch import Tensor

from mutoscope.metrics.common import TooFewSamplesError, double


def matching(pool: Tensor, wanted: Tensor, seed: int = 0) -> Tensor:
    """A draw without replacement that has given classes.

    Args:
        pool: ``[n]`` labels to choose from.
        wanted: ``[m]`` labels asked for.

    Returns:
        ``[m]`` different indices ``i`` with ``pool[i] == wanted``.

    Raises:
        TooFewSamplesError: naming the first class of which there are too few.
    """
    classes = int(torch.cat([pool, wanted]).max()) + 1 if len(pool) or len(wanted) else 0
    there, needed = (torch.bincount(label, minlength=classes) for label in (pool, wanted))
    if (short := needed > there).any():
        first = int(short.nonzero()[0])
        raise TooFewSamplesError(f"class {first} has {int(there[first])} clips, {int(needed[first])} are wanted.")
    order = torch.randperm(len(pool), generator=_generator(seed))
    # sorted by class, every class begins where those before it end
    sources = order[pool[order].argsort(stable=True)]
    places = wanted.argsort(stable=True)
    rank = torch.arange(len(wanted)) - (needed.cumsum(0) - needed)[wanted[places]]
    index = torch.empty_like(wanted)
    index[places] = sources[(there.cumsum(0) - there)[wanted[places]] + rank]
    return index


def shuffled_labels(label: Tensor, seed: int = 0) -> Tensor:
    """``[n]`` the same labels in random order: clips stay real, but classes say nothing about them any more."""
    return label[torch.randperm(len(label), generator=_generator(seed))]


def frozen_first_frames(joints: Tensor) -> Tensor:
    """Every clip ``[t, v, c]`` stands still as it begins."""
    return joints[:, :1].expand_as(joints).contiguous()


def frozen_random_poses(joints: Tensor, label: Tensor, mask: Tensor, wanted: Tensor, seed: int = 0) -> Tensor:
    """Random poses that stand still: Gaussian, with mean and full covariance of all frames of their class.

    A covariance without full rank (a root that never moves) is taken as it is: what does not vary stays put.

    Args:
        joints: ``[n, t, v, c]`` real clips.
        label: ``[n]`` their classes.
        mask: ``[n, t]`` frames that count.
        wanted: ``[m]`` classes to make poses of.

    Returns:
        ``[m, t, v, c]``, one pose per clip.

    Raises:
        TooFewSamplesError: for a class of which ``joints`` has fewer than 2 frames.
    """
    _, t, v, c = joints.shape
    noise = torch.randn(len(wanted), v * c, generator=_generator(seed), dtype=torch.float64)
    poses = noise.new_empty(len(wanted), v * c)
    for k in wanted.unique().tolist():
        frames = double(joints[label == k][mask[label == k]].flatten(1))
        if len(frames) < 2:
            raise TooFewSamplesError(f"class {k} has {len(frames)} frames, a Gaussian needs 2.")
        values, vectors = torch.linalg.eigh(frames.T.cov())
        here = wanted == k
        poses[here] = frames.mean(dim=0) + (noise[here] * values.clamp(min=0).sqrt()) @ vectors.T
    return poses.to(joints.dtype).view(-1, 1, v, c).expand(-1, t, -1, -1).contiguous()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
