"""From training clips to the normaliser of a motion dataset."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mutoscope.structures import Normaliser, scalar_range

Scaling = Literal["array", "coordinate", "joint", "joint_array"]


def fit_normaliser(clips: Sequence[Tensor], masks: Sequence[Tensor], scaling: Scaling) -> Normaliser:
    """Scale as ``scaling`` says.

    - ``array``: the least and greatest value of everything to [-1, 1] (Kinetic-GAN's feeder).
    - ``coordinate``: those of each coordinate, which gives small movements more room where people travel far along one
      axis.
    - ``joint``: z-scores per joint and coordinate (SA-GCN's preparation); a clip of zeros is then the mean pose.
    - ``joint_array``: those, and then the least and greatest of them all to [-1, 1] (SA-GCN's preparation through
      Kinetic-GAN's feeder, which makes its Human3.6M data).

    Args:
        clips: training clips ``[b, t, v, c]`` in dataset units, in parts.
        masks: ``[b, t]`` for each part; false frames do not count among z-scores.
        scaling: see above.

    Raises:
        ValueError: if there are none.
    """
    channels = clips[0].shape[-1] if clips else 0
    if scaling == "array":
        return Normaliser.from_range(*scalar_range(clips), channels=channels)
    if scaling == "coordinate":
        ranges = [scalar_range([clip[..., c] for clip in clips]) for c in range(channels)]
        parts = [Normaliser.from_range(low, high, channels=1) for low, high in ranges]
        return Normaliser(sum((part.offset for part in parts), ()), sum((part.scale for part in parts), ()))
    by_joint = Normaliser.from_moments(*moments(clips, masks))
    if scaling == "joint":
        return by_joint
    return by_joint.then_range(*scalar_range([by_joint.normalise(clip) for clip in clips]))


def moments(clips: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation ``[v, c]`` of frames ``[b, t, v, c]`` inside masks ``[b, t]``, float64.

    Raises:
        ValueError: if there is no frame.
    """
    count = sum(int(mask.sum()) for mask in masks)
    if count == 0:
        raise ValueError("Cannot take mean and deviation of no frames at all.")

    def average(centre: Tensor | float, power: int) -> Tensor:
        parts = [(clip[mask].double() - centre).pow(power).sum(dim=0) for clip, mask in zip(clips, masks, strict=True)]
        return torch.stack(parts).sum(dim=0) / count

    mean = average(0.0, 1)
    return mean, average(mean, 2).sqrt()
