"""Graph partitions of a skeleton: the adjacency stacks that spatial graph convolutions multiply with."""

from collections.abc import Sequence

import torch
from torch import Tensor


def partition_adjacency(num_joints: int, edges: Sequence[tuple[int, int]], centre: int) -> Tensor:
    """Column-normalised adjacency, split in three parts by distance from the centre.

    Each destination (column) averages its closed neighbourhood; part 0 holds the joint itself, part 1 the neighbours
    that lie farther from the centre or equally far, part 2 those nearer. Distances beyond one hop from the centre are
    not resolved, so limb edges away from it lie in part 1 in both directions (Kinetic-GAN, as released).

    Args:
        num_joints: number of joints ``v``.
        edges: undirected edges ``(a, b)``.
        centre: the centre joint.

    Returns:
        ``[3, v, v]`` float32, row = source joint, column = destination joint.
    """
    adjacency = torch.eye(num_joints, dtype=torch.float64)
    for a, b in edges:
        adjacency[a, b] = adjacency[b, a] = 1.0
    normalised = adjacency / adjacency.sum(dim=0, keepdim=True)
    distance = torch.full((num_joints,), torch.inf, dtype=torch.float64)
    distance[adjacency[centre] > 0] = 1.0
    distance[centre] = 0.0
    itself = torch.eye(num_joints, dtype=torch.bool)
    nearer = distance[:, None] < distance[None, :]
    parts = torch.stack([normalised * itself, normalised * (~itself & ~nearer), normalised * (~itself & nearer)])
    return parts.to(torch.float32)
