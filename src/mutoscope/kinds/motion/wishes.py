"""What can be wished of motion: classes, a mixture of classes, or all the way from one class to another."""

from collections.abc import Mapping
from dataclasses import dataclass

from mutoscope.structures import DatasetInfo


@dataclass(frozen=True)
class Classes:
    """Clips of labels, ``counts`` of each."""

    labels: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Mixture:
    """``n`` clips of one mixture; ``weights`` by label, positive, with sum one (equation 8)."""

    weights: Mapping[int, float]
    n: int

    def row(self, info: DatasetInfo) -> list[float]:
        """A weight for every class."""
        return [self.weights.get(label, 0.0) for label in range(info.num_classes)]


@dataclass(frozen=True)
class Sweep:
    """``n`` clips of ``lambda * first + (1 - lambda) * second`` for every lambda (figure 8)."""

    first: int
    second: int
    lambdas: tuple[float, ...]
    n: int

    def mixtures(self) -> list[Mixture]:
        return [Mixture({self.first: share, self.second: 1 - share}, self.n) for share in self.lambdas]


Wish = Classes | Mixture | Sweep
