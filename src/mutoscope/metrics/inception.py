"""Inception score and Fréchet distance through any video classifier (AG2Vid, Tables 2 and 3; spec section 9).

The paper looks through a TSM ResNet-50 trained on Something-Something V2, whose weights are not free. Any object with
:class:`FrameClassifier`'s three members will do, named in a config as::

    metrics:
      inception_score:
        _target_: mutoscope.metrics.InceptionScore
        classifier:
          _target_: your_package.YourClassifier   # listed in the environment variable MUTOSCOPE_PLUGINS
"""

from typing import Protocol

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import Side, TooFewSamplesError, check_finite, check_frames, check_side, double
from mutoscope.metrics.frechet import FeatureMoments


class FrameClassifier(Protocol):
    """A classifier of clips or frames, frozen and in evaluation mode; it resizes and normalises by itself."""

    @property
    def num_features(self) -> int:
        """Feature size ``d``."""

    @property
    def num_classes(self) -> int:
        """Number of classes ``k``."""

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """``frames: [b, t, 3, h, w]`` uint8 RGB -> features ``[n, d]`` and logits ``[n, k]``.

        ``n`` is the number of clips, or of frames where every frame counts for itself.
        """


def features_of(classifier: FrameClassifier, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of videos ``[b, t, 3, h, w]`` uint8; raises ``ValueError`` for other types and shapes."""
    check_frames(type(classifier).__name__, frames)
    with torch.no_grad(), torch.autocast(frames.device.type, enabled=False):
        return classifier.features(frames)


def inception_score(probabilities: Tensor, splits: int = 1) -> Tensor:
    """``exp`` of the mean divergence of ``p(y|x)`` from ``p(y)`` (Salimans et al. 2016), averaged over splits.

    Args:
        probabilities: ``[n, k]``, rows summing to 1.
        splits: row ``i`` belongs to split ``i mod splits``.

    Returns:
        Scalar float64 from 1 to ``k``.

    Example:
        >>> float(inception_score(torch.eye(4)))
        4.0
    """
    p = double(probabilities)
    split = torch.arange(len(p), device=p.device) % splits
    entropy, marginal, count = _split_sums(p, split, splits)
    return _scores(entropy, marginal, count).mean()


def _split_sums(p: Tensor, split: Tensor, splits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per split: sum of ``p log p`` ``[s]``, sum of ``p`` ``[s, k]``, number of rows ``[s]``."""
    entropy = p.new_zeros(splits).index_add(0, split, torch.xlogy(p, p).sum(dim=1))
    marginal = p.new_zeros(splits, p.shape[1]).index_add(0, split, p)
    return entropy, marginal, torch.bincount(split, minlength=splits)


def _scores(entropy: Tensor, marginal: Tensor, count: Tensor) -> Tensor:
    """``[s]`` scores, of the mean ``KL = E[p log p] - q log q`` with ``q = E[p]``."""
    q = marginal / count[:, None]
    return (entropy / count - torch.xlogy(q, q).sum(dim=1)).exp()


class InceptionScore(Metric):
    """Inception score of videos: every one alike to some class, and all classes shown.

    Args:
        classifier: see :class:`FrameClassifier`; its hash belongs to the protocol.
        splits: the paper's table is without splits (1), its monitor during training takes the mean over 5. Videos go
            to the splits in turn, on every process by itself.
        of: which side to look at; real videos give the ceiling.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    meaning = "Inception score: 1 (all alike or unclear) up to the number of classes"

    entropy: Tensor
    marginal: Tensor
    count: Tensor

    def __init__(self, classifier: FrameClassifier, splits: int = 1, of: Side = "fake") -> None:
        super().__init__()
        check_side(of)
        if splits < 1:
            raise ValueError(f"splits is {splits}, expected at least 1.")
        self.classifier, self.splits, self.of = classifier, splits, of
        k = classifier.num_classes
        self.add_state("entropy", torch.zeros(splits, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("marginal", torch.zeros(splits, k, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(splits, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add videos ``[b, t, 3, h, w]`` uint8; raises ``ValueError`` for other types, shapes and NaN."""
        frames = fake_frames if self.of == "fake" else real_frames
        if frames is None:
            return
        logits = features_of(self.classifier, frames)[1]
        check_finite(type(self).__name__, logits=logits)
        p = double(logits, self.entropy.device).softmax(dim=1)
        start = self.count.sum()
        split = (start + torch.arange(len(p), device=p.device)) % self.splits
        entropy, marginal, count = _split_sums(p, split, self.splits)
        self.entropy, self.marginal, self.count = self.entropy + entropy, self.marginal + marginal, self.count + count

    def per_split(self) -> Tensor:
        """``[splits]`` scores over all processes, float64; NaN for splits without a video."""
        with self.sync_context(should_sync=self._to_sync):
            return _scores(self.entropy, self.marginal, self.count)

    def compute(self) -> Tensor:
        """Mean score over the splits; raises ``TooFewSamplesError`` where one of them has no video."""
        if not (self.count > 0).all():
            raise TooFewSamplesError(
                f"An Inception score over {self.splits} splits needs a {self.of} video in each, "
                f"got {int(self.count.sum())}."
            )
        return _scores(self.entropy, self.marginal, self.count).mean()


class ClassifierFID(FeatureMoments):
    """Fréchet distance between classifier features of real and generated videos.

    Args:
        classifier: see :class:`FrameClassifier`; its hash belongs to the protocol.
        ddof: 1 divides covariances by ``n - 1`` (the paper), 0 by ``n``.
    """

    meaning = "Fréchet distance of video classifier features, real against generated; squared feature units"

    def __init__(self, classifier: FrameClassifier, ddof: int = 1) -> None:
        super().__init__(classifier.num_features, ddof)
        self.classifier = classifier

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add videos ``[b, t, 3, h, w]`` uint8 of one side or both; other types and shapes are a ``ValueError``."""
        for frames, real in ((fake_frames, False), (real_frames, True)):
            if frames is not None:
                self._add(features_of(self.classifier, frames)[0], real)
