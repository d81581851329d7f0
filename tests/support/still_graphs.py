"""Graphs in which nothing is asked for, for tests of what is drawn."""

from collections.abc import Callable, Sequence

import torch

from mutoscope.structures.clocked import ClockedGraph


def still_graph(
    counts: Sequence[int], attributes: Callable[[int], Sequence[int]], image_node: bool = True
) -> ClockedGraph:
    """Clips of so many objects and no edges, each with an image node at its end.

    Args:
        counts: objects of every clip.
        attributes: of a clip's i-th object, none of them 0.
        image_node: whether there is one.
    """
    image = [[0] * len(attributes(0))] * image_node
    none = torch.zeros(0, dtype=torch.long)
    return ClockedGraph(
        attributes=torch.tensor([row for count in counts for row in [*(attributes(i) for i in range(count)), *image]]),
        clip=torch.tensor([clip for clip, count in enumerate(counts) for _ in range(count + image_node)]),
        relations=none.reshape(0, 3),
        subject=none,
        action=none,
        object=none,
        progress=torch.zeros(0, 2),
        destination=torch.zeros(0, 2),
        num_clips=len(counts),
    )
