"""Features that a metric keeps whole, because sums of them do not say enough."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mutoscope.metrics.common import TooFewSamplesError, check_features


class FeatureTables(Metric):
    """States of a metric over collected features: they are kept, and gathered over processes.

    Every process must have seen a sample of each side before ``compute``, since nothing cannot be gathered.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool | None = False

    real: list[Tensor] | Tensor
    fake: list[Tensor] | Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def _add(self, features: Tensor, real: bool) -> None:
        check_features(features)
        side = self.real if real else self.fake
        assert isinstance(side, list)
        side.append(features.detach())

    def features(self, least: int = 2) -> tuple[Tensor, Tensor]:
        """The tables ``[n, d]`` real and ``[m, d]`` fake.

        Raises:
            TooFewSamplesError: if one has fewer than ``least`` rows.
        """
        counts = [sum(map(len, side)) if isinstance(side, list) else len(side) for side in (self.real, self.fake)]
        if min(counts) < least:
            raise TooFewSamplesError(
                f"{type(self).__name__} needs at least {least} samples on each side, got {counts[0]} real and "
                f"{counts[1]} fake ones."
            )
        return dim_zero_cat(self.real), dim_zero_cat(self.fake)


def in_one_order(features: Tensor) -> Tensor:
    """Rows in an order that does not depend on the one they came in, nor on how processes shared them."""
    # sums in float64 of different rows are hardly ever equal
    return features[features.to(torch.float64).sum(dim=1).argsort(stable=True)]
