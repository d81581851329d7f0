"""The person detector of GLASS's Table 5: torchvision's Faster R-CNN, and whom it takes for the player."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.formats.state_dicts import read_state_dict
from mutoscope.formats.weights import find_weights

#: class of people among those of COCO
_PERSON = 1


class TennisPlayer:
    """Finds the near player of the tennis videos (spec section 9), as a box a frame.

    People are found by Faster R-CNN with a ResNet-50 and a feature pyramid, trained on COCO. Left out are line judges
    and the far player, by where they stand in frames of 96x256; the tallest of the others is taken.

    Args:
        weights: a file; ``None`` looks where published weights lie.
        score: that a person must have.
        court: whether to leave people out by where they stand; false for other videos.

    Raises:
        MissingWeightsError: if the weights are not there.
        ValueError: for a score that is none; at the first frames, for a file that holds other weights.
    """

    def __init__(self, weights: str | None = None, score: float = 0.8, court: bool = True) -> None:
        if not 0 <= score < 1:
            raise ValueError(f"score is {score:g}, expected 0 to 1.")
        self.path: Path = find_weights("fasterrcnn_resnet50_fpn", weights)
        self.score, self.court = score, court

    def __call__(self, frames: Tensor) -> Tensor:
        """See :class:`~mutoscope.metrics.people.PersonDetector`."""
        found = _network(self.path).to(frames.device)(list(frames.float() / 255))
        return torch.stack([self.chosen(one["boxes"], one["scores"], one["labels"]) for one in found])

    def chosen(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """The player among what was found in a frame: ``[n, 4], [n], [n]`` -> ``[4]``, NaN if there is none."""
        left, top, right, bottom = boxes.unbind(-1)
        people = (scores > self.score) & (labels == _PERSON)
        if self.court:
            judges = ((right <= 60) & (top <= 26)) | ((left >= 200) & (top <= 26))
            people &= ~judges & (top <= 80)
        if not bool(people.any()):
            return boxes.new_full((4,), torch.nan)
        return boxes[people][(bottom - top)[people].argmax()]


@lru_cache(maxsize=1)
def _network(path: Path) -> Any:
    """Faster R-CNN with the weights of a file; distances and misses look through the same one.

    Raises:
        ValueError: if the file cannot be read, or holds the weights of something else.
    """
    # slow to load, and most runs look for nobody
    from torchvision.models import detection

    network = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    weights, wanted = read_state_dict(path), network.state_dict()
    for key, value in wanted.items():
        if key not in weights or weights[key].shape != value.shape:
            there = f"has the shape {list(weights[key].shape)}" if key in weights else "is missing"
            raise ValueError(
                f"{path} holds no weights of torchvision's fasterrcnn_resnet50_fpn: '{key}' {there}, expected "
                f"{list(value.shape)}; mutoscope weights fetch fasterrcnn_resnet50_fpn."
            )
    network.load_state_dict({key: weights[key] for key in wanted})
    return network.eval().requires_grad_(False)
