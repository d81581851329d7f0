"""The simplest state a metric can have: a sum and how many values are in it."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError, double

#: of a normal distribution, within which 95 % lie
_WIDTH = 1.959963984540054


def bounded_interval(
    mean: float, error: float, n: float, low: float | None, high: float | None, *, shares: bool = False
) -> tuple[float, float]:
    """95 % interval of a mean that never leaves the bounds within which the values lie.

    Without bounds it is normal; with a lower one normal in the logarithm of the distance to it; with two normal in the
    logit of the place between them (the delta method); for values that lie at the bounds alone, Wilson's (1927).

    Args:
        mean: of the values.
        error: standard error of the mean.
        n: number of values.
        low, high: bounds; ``high`` alone is not supported.
        shares: whether all values lie at one of the two bounds.
    """
    if low is None:
        return mean - _WIDTH * error, mean + _WIDTH * error
    if high is None:
        # a mean at the bound is one of values that are all there
        away = mean - low
        reach = math.exp(_WIDTH * error / away) if away > 0 else 1.0
        return low + away / reach, low + away * reach
    place, spread = (mean - low) / (high - low), error / (high - low)
    if shares:
        centre, room = place + _WIDTH**2 / (2 * n), 1 + _WIDTH**2 / n
        half = _WIDTH * math.sqrt(max(place * (1 - place), 0.0) / n + _WIDTH**2 / (4 * n**2))
        ends = max((centre - half) / room, 0.0), min((centre + half) / room, 1.0)
    elif 0 < place < 1:
        logit, reach = math.log(place / (1 - place)), _WIDTH * spread / (place * (1 - place))
        ends = _sigmoid(logit - reach), _sigmoid(logit + reach)
    else:
        ends = place, place
    return low + ends[0] * (high - low), low + ends[1] * (high - low)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


class RunningAverage(Metric):
    """A mean over everything seen, in float64; adds up over batches and processes alike.

    Args:
        seen: what is counted, for the error of a metric that has seen nothing, e.g. ``"object"``.
    """

    full_state_update = False
    is_differentiable = False

    #: what the number is, and its unit, in one line for reports
    meaning: str
    #: within which every value lies, and so the interval of their mean; ``None`` for a side without a bound
    bounds: tuple[float | None, float | None] = (None, None)
    total: Tensor
    squares: Tensor
    count: Tensor

    def __init__(self, seen: str) -> None:
        super().__init__()
        self.seen = seen
        for name in ("total", "squares", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, values: Tensor, counted: Tensor) -> None:
        """Add ``values`` where ``counted`` (bool, the same shape) says so; others may be anything, NaN too."""
        values, counted = double(values, self.total.device), counted.to(self.total.device)
        values = torch.where(counted, values, 0)
        self.total = self.total + values.sum()
        self.squares = self.squares + values.square().sum()
        self.count = self.count + counted.sum()

    def compute(self) -> Tensor:
        """The mean, a float64 scalar; raises ``TooFewSamplesError`` before anything was counted."""
        if not self.count > 0:
            raise TooFewSamplesError(f"{type(self).__name__} has seen no {self.seen}.")
        return self.total / self.count

    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean over all processes, the values taken as independent, inside their ``bounds``.

        See :func:`bounded_interval`; :meth:`deviation` is that of the values.

        Raises:
            TooFewSamplesError: below 2 values.
        """
        with self.sync_context(should_sync=self._to_sync):
            n = float(self.count)
            if n < 2:
                raise TooFewSamplesError(
                    f"An interval needs at least 2 values, {type(self).__name__} has seen {n:.0f}."
                )
            mean = float(self.total) / n
            variance = max(float(self.squares) / n - mean**2, 0.0) * n / (n - 1)
            low, high = self.bounds
            # of values at the two bounds alone, squares say no more than sums
            at_bounds = low is not None and high is not None and self._between(low, high, n)
            return bounded_interval(mean, (variance / n) ** 0.5, n, low, high, shares=at_bounds)

    def _between(self, low: float, high: float, n: float) -> bool:
        total, squares = float(self.total), float(self.squares)
        inside = (low + high) * total - squares - low * high * n
        return abs(inside) <= 1e-9 * n * (high - low) ** 2

    def deviation(self) -> Tensor:
        """Standard deviation of the values over all processes, divided by their number; NaN before the first."""
        with self.sync_context(should_sync=self._to_sync):
            mean = self.total / self.count
            return (self.squares / self.count - mean.square()).clamp(min=0).sqrt()


class ClassAverage(Metric):
    """A mean over everything seen and one per class, from counts.

    Args:
        classes: number of classes ``K``.
        seen: what is counted, e.g. ``"edge"``.
    """

    full_state_update = False
    is_differentiable = False

    meaning: str
    right: Tensor
    asked: Tensor

    def __init__(self, classes: int, seen: str) -> None:
        super().__init__()
        self.classes, self.seen = classes, seen
        for name in ("right", "asked"):
            self.add_state(name, torch.zeros(classes, dtype=torch.long), dist_reduce_fx="sum")

    def _add(self, right: Tensor, label: Tensor, counted: Tensor) -> None:
        """Add ``[a]`` bool verdicts on things of class ``[a]``, where ``[a]`` ``counted`` says so."""
        label, device = label.clamp(0, self.classes - 1), self.asked.device
        asked = torch.zeros_like(self.asked).index_add(0, label.to(device), counted.long().to(device))
        hit = torch.zeros_like(self.right).index_add(0, label.to(device), (right & counted).long().to(device))
        self.asked, self.right = self.asked + asked, self.right + hit

    def compute(self) -> Tensor:
        """The share over all classes, a float32 scalar; raises ``TooFewSamplesError`` before anything was counted."""
        if not self.asked.sum() > 0:
            raise TooFewSamplesError(f"{type(self).__name__} has seen no {self.seen}.")
        return self.right.sum() / self.asked.sum()

    def per_class(self) -> Tensor:
        """``[K]`` share of every class over all processes, NaN for classes not seen."""
        with self.sync_context(should_sync=self._to_sync):
            return self.right / self.asked
