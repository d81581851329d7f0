"""Random numbers of a group of clips, such that clip ``i`` gets the same ones however many clips there are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Draws:
    """A stream of random columns ``[n]``, one number per clip.

    Every column comes from its own generator, keyed by (key, number of the column), so its first entries do not
    depend on ``n``.

    Args:
        key: non-negative integers naming the stream.
        n: number of clips.
        variety: scales the spread of :meth:`between` around the middle of its range.
    """

    def __init__(self, key: Sequence[int], n: int, variety: float = 1.0) -> None:
        self.key, self.n, self.variety = tuple(key), n, variety
        self._columns = 0

    def uniform(self) -> Array:
        """``[n]`` in [0, 1), untouched by ``variety``: phases, onsets, headings."""
        self._columns += 1
        return np.random.default_rng([*self.key, self._columns]).random(self.n)

    def between(self, low: float, high: float) -> Array:
        """``[n]``, uniform in [low, high] at variety 1, all at the middle at variety 0."""
        return 0.5 * (low + high) + self.variety * (high - low) * (self.uniform() - 0.5)

    def coin(self) -> NDArray[np.bool_]:
        """``[n]``, true for half of the clips."""
        return self.uniform() < 0.5
