"""Improved precision and recall (Kynkäänniemi et al. 2019): how many samples lie among those of the other side."""

from typing import Literal, get_args

import torch
from torch import Tensor

from mutoscope.metrics.common import TooFewSamplesError, check_features
from mutoscope.metrics.feature_tables import FeatureTables
from mutoscope.metrics.inception import FrameClassifier, features_of

Question = Literal["precision", "recall"]

_CHUNK = 2**22


def share_within(samples: Tensor, support: Tensor, neighbours: int = 3) -> Tensor:
    """Share of samples that lie in a ball around some point of the support, out to its k-th neighbour there.

    Args:
        samples: ``[n, d]``.
        support: ``[m, d]``.
        neighbours: ``k``.

    Returns:
        Scalar float64.

    Raises:
        ValueError: if tables are no ``[n, d]`` of one ``d``, or hold NaN.
        TooFewSamplesError: if there are no samples, or no more than ``k`` points.
    """
    check_features(samples)
    check_features(support, samples.shape[1])
    if len(support) <= neighbours or not len(samples):
        raise TooFewSamplesError(
            f"Neighbours number {neighbours} need more than {neighbours} samples on each side, got {len(samples)} and "
            f"{len(support)}."
        )
    rows = max(1, _CHUNK // len(support))
    # the nearest of all is the point itself
    reach = torch.cat([_distances(part, support).kthvalue(neighbours + 1).values for part in support.split(rows)])
    inside = [(_distances(part, support) <= reach).any(dim=1) for part in samples.split(rows)]
    return torch.cat(inside).to(torch.float64).mean()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") if len(b) < 1024 else torch.cdist(a, b)


class PrecisionRecall(FeatureTables):
    """Precision: share of generated samples among real ones; recall: share of real samples among generated ones.

    Protocol: balls out to the third neighbour in the extractor's features. Both depend on the numbers of samples; equal
    numbers on both sides are usual. All features are kept.

    Args:
        classifier: see :class:`~mutoscope.metrics.inception.FrameClassifier`; its hash belongs to the protocol.
        question: which of the two.
        neighbours: ``k``.
    """

    higher_is_better = True

    def __init__(self, classifier: FrameClassifier, question: Question = "precision", neighbours: int = 3) -> None:
        super().__init__()
        if question not in get_args(Question):
            raise ValueError(f"question is '{question}', expected one of {', '.join(get_args(Question))}.")
        if neighbours < 1:
            raise ValueError(f"neighbours is {neighbours}, expected at least 1.")
        self.classifier, self.question, self.neighbours = classifier, question, neighbours
        among = ("generated", "real") if question == "precision" else ("real", "generated")
        self.meaning = f"share of {among[0]} samples among {among[1]} ones (neighbour {neighbours}); 0 to 1"

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add videos ``[b, t, 3, h, w]`` uint8 of one side or both; other types and shapes are a ``ValueError``."""
        for frames, real in ((fake_frames, False), (real_frames, True)):
            if frames is not None:
                self._add(features_of(self.classifier, frames)[0], real)

    def compute(self) -> Tensor:
        """The share, a float64 scalar; raises ``TooFewSamplesError`` for ``k`` samples or fewer on a side."""
        real, fake = self.features(self.neighbours + 1)
        sides = (fake, real) if self.question == "precision" else (real, fake)
        return share_within(*sides, self.neighbours)
