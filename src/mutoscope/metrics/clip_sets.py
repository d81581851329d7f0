"""Discrepancies between sets of whole clips, class by class, without a recogniser."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.mmd import MULTIPLES, mmd2
from mutoscope.metrics.motion import SEES_POSES, MotionMetric
from mutoscope.structures import DatasetInfo, Normaliser


class ClipSets(MotionMetric):
    """States of a metric that compares real with generated clips in network units: clips and labels are kept.

    Args:
        normaliser: of the dataset, to network units.
    """

    higher_is_better = False

    def __init__(self, normaliser: Normaliser) -> None:
        super().__init__()
        self.normaliser = normaliser
        for side in ("real", "fake"):
            self.add_state(side, [], dist_reduce_fx="cat")
            self.add_state(f"{side}_label", [], dist_reduce_fx="cat")

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        side = "real" if real else "fake"
        getattr(self, side).append(self.normaliser.normalise(joints))
        getattr(self, f"{side}_label").append(label)

    def _side(self, side: str) -> tuple[Tensor, Tensor]:
        """Clips ``[n, t, v, c]`` in network units and labels ``[n]``; ``TooFewSamplesError`` before the first."""
        clips = getattr(self, side)
        if isinstance(clips, list) and not clips:
            raise TooFewSamplesError(f"{type(self).__name__} has seen no {side} clips.")
        return dim_zero_cat(clips), dim_zero_cat(getattr(self, f"{side}_label"))


def class_mmd2(
    real: Tensor,
    real_label: Tensor,
    fake: Tensor,
    fake_label: Tensor,
    *,
    num_classes: int,
    multiples: Sequence[float] = MULTIPLES,
) -> Tensor:
    """Unbiased MMD² of whole clips within every class, averaged over classes; see :func:`~mutoscope.metrics.mmd.mmd2`.

    What :func:`~mutoscope.metrics.paper.sa_gcn_mmd` would be without its bias: every pair of different clips counts,
    the numbers of clips may differ, and 0 is expected where both sides have one distribution.

    Args:
        real, fake: ``[n, t, v, c]``, ``[m, t, v, c]`` in network units.
        real_label, fake_label: ``[n]``, ``[m]``.
        num_classes: classes ``0 .. num_classes - 1`` are compared.
        multiples: kernel widths as multiples of the median squared distance among both sides' clips of the class.

    Returns:
        Scalar float64.

    Raises:
        ValueError: as :func:`~mutoscope.metrics.mmd.mmd2`.
        TooFewSamplesError: if a side has fewer than 2 clips of a class; the first such class is named.
    """
    values = []
    for label in range(num_classes):
        x, y = real[real_label == label].flatten(1), fake[fake_label == label].flatten(1)
        if min(len(x), len(y)) < 2:
            raise TooFewSamplesError(
                f"MMD needs 2 clips of every class, but class {label} has {len(x)} real and {len(y)} generated ones."
            )
        values.append(mmd2(x, y, multiples))
    return torch.stack(values).mean()


class ClipMMD(ClipSets):
    """Unbiased MMD² of whole clips in network units, class by class: :func:`class_mmd2` as a metric.

    Args:
        info: its normaliser and its classes are taken.
        multiples: see :func:`class_mmd2`.
    """

    meaning = (
        "squared maximum mean discrepancy of whole clips within each class, mean over classes, unbiased (0 when alike, "
        "also below); no unit"
    )
    caveat = SEES_POSES

    def __init__(self, info: DatasetInfo, multiples: Sequence[float] = MULTIPLES) -> None:
        super().__init__(info.need_normaliser())
        if not multiples or min(multiples) <= 0:
            raise ValueError(f"multiples are {list(multiples)}, expected at least one, all positive.")
        self.num_classes, self.multiples = info.num_classes, tuple(multiples)

    def compute(self) -> Tensor:
        """Scalar float64; errors as in :func:`class_mmd2`."""
        return class_mmd2(
            *self._side("real"), *self._side("fake"), num_classes=self.num_classes, multiples=self.multiples
        )
