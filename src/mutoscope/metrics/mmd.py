"""Maximum mean discrepancy (Gretton et al. 2012), unbiased, with a bank of Gaussian kernels.

All sums over pairs go through one function that takes weights per sample: equal weights give the statistic, permuted
ones its distribution when both sides are the same, bootstrap counts its spread. Kernel rows are built in chunks, so
memory grows with the number of samples, not with its square.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mutoscope.metrics.common import TooFewSamplesError, check_features, double
from mutoscope.metrics.feature_tables import FeatureTables

#: kernel widths as multiples of the median squared distance
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)

_CHUNK = 2**22
_MEDIAN_SAMPLES = 2048


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """``x: [..., n, d]``, ``y: [..., m, d]`` -> ``[..., n, m]`` squared Euclidean distances by one matrix product."""
    product = x @ y.mT
    product.mul_(-2).add_(x.square().sum(-1)[..., :, None]).add_(y.square().sum(-1)[..., None, :])
    return product.clamp_(min=0)


def median_squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Median squared distance between different samples of the pooled set ``x: [n, d]``, ``y: [m, d]``.

    Beyond 2048 samples the median is taken over 2048 of them, spread evenly along the sum of features: whatever the
    order of the samples, the choice is the same.

    Raises:
        ValueError: if more than half of the pairs coincide up to rounding, so that no bandwidth can be derived.
    """
    pooled = torch.cat([double(x), double(y)])
    if len(pooled) > _MEDIAN_SAMPLES:
        order = pooled.sum(dim=1).argsort()
        pooled = pooled[order[torch.linspace(0, len(order) - 1, _MEDIAN_SAMPLES, device=order.device).long()]]
    pooled = pooled - pooled.mean(dim=0)
    upper = torch.triu_indices(len(pooled), len(pooled), offset=1, device=pooled.device)
    median = squared_distances(pooled, pooled)[upper[0], upper[1]].median()
    # distances come from a matrix product and are exact to a few units of rounding of the largest square
    if median <= 1e3 * torch.finfo(torch.float64).eps * pooled.square().sum(dim=1).max():
        raise ValueError(
            "More than half of all pairs of features coincide, so no kernel bandwidth can be derived from their "
            "median distance; the samples or the extractor have collapsed."
        )
    return median


def mmd2(real: Tensor, fake: Tensor, multiples: Sequence[float] = MULTIPLES) -> Tensor:
    """Unbiased estimate of MMD² (Gretton et al. 2012, eq. 3); negative values are proper outcomes.

    The kernel is ``sum_q exp(-|a - b|^2 / (q h))`` with ``h`` the median squared distance of the pooled samples.

    Args:
        real: ``[n, d]``.
        fake: ``[m, d]``; ``n`` and ``m`` may differ.
        multiples: the ``q``.

    Returns:
        Scalar float64.

    Raises:
        ValueError: if tables are no ``[n, d]`` of one ``d``, hold NaN, or have collapsed to a point.
        TooFewSamplesError: if a side has fewer than 2 rows.
    """
    x, y = _checked(real, fake)
    a, b = _sides(len(x), len(y), x.device)
    return _weighted_mmd2(x, y, a[:, None], b[:, None], multiples)[0]


def mmd2_p_value(
    real: Tensor, fake: Tensor, multiples: Sequence[float] = MULTIPLES, draws: int = 200, seed: int = 0
) -> Tensor:
    """Probability of an MMD² at least this large if both sides had one distribution, by permutation.

    Counts the observed order as one of the permutations, so the test is exact and the smallest value is
    ``1 / (draws + 1)``. Arguments and errors as in :func:`mmd2`.
    """
    x, y = _checked(real, fake)
    n, m = len(x), len(y)
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n + m, draws, generator=generator).argsort(dim=0)
    shuffled = (order < n).to(x)
    a, b = _sides(n, m, x.device)
    a, b = torch.cat([a[:, None], shuffled], dim=1), torch.cat([b[:, None], 1 - shuffled], dim=1)
    values = _weighted_mmd2(x, y, a, b, multiples)
    # permutations that reproduce the observed split differ from it by rounding only
    tolerance = 1e-12 * values[0].abs()
    return (1 + (values[1:] >= values[0] - tolerance).sum()).to(torch.float64) / (draws + 1)


def mmd2_interval(
    real: Tensor,
    fake: Tensor,
    multiples: Sequence[float] = MULTIPLES,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of MMD²: both sides are resampled, the bandwidth is kept.

    A sample drawn twice counts twice but forms no pair with itself, which would bias the statistic. Meant for sides
    that differ; whether they do is what :func:`mmd2_p_value` answers. Arguments and errors as in :func:`mmd2`.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a number between 0 and 1.")
    x, y = _checked(real, fake)
    generator = torch.Generator().manual_seed(seed)
    counts = [_resample_counts(len(side), draws, generator).to(x) for side in (x, y)]
    a = torch.cat([counts[0], torch.zeros(len(y), draws).to(x)])
    b = torch.cat([torch.zeros(len(x), draws).to(x), counts[1]])
    values = _weighted_mmd2(x, y, a, b, multiples)
    low, high = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2]).to(values)).tolist()
    return low, high


class FeatureSets(FeatureTables):
    """``compute`` of a discrepancy over collected features."""

    def __init__(self, multiples: Sequence[float]) -> None:
        super().__init__()
        if not multiples or min(multiples) <= 0:
            raise ValueError(f"multiples are {list(multiples)}, expected at least one, all positive.")
        self.multiples = tuple(multiples)

    def compute(self) -> Tensor:
        """MMD², a float64 scalar; errors as in :func:`mmd2`."""
        return mmd2(*self.features(), self.multiples)

    def p_value(self, draws: int = 200, seed: int = 0) -> Tensor:
        """Permutation p-value of the samples seen by all processes; see :func:`mmd2_p_value`."""
        with self.sync_context(should_sync=self._to_sync):
            return mmd2_p_value(*self.features(), self.multiples, draws, seed)

    def interval(self, level: float = 0.95, draws: int = 200, seed: int = 0) -> tuple[float, float]:
        """Bootstrap interval over the samples seen by all processes; see :func:`mmd2_interval`."""
        with self.sync_context(should_sync=self._to_sync):
            return mmd2_interval(*self.features(), self.multiples, level, draws, seed)


class MaximumMeanDiscrepancy(FeatureSets):
    """Unbiased MMD² between real and generated features.

    Args:
        multiples: kernel widths as multiples of the pooled median squared distance.
    """

    meaning = "squared maximum mean discrepancy of real and generated features, unbiased (0 when alike); no unit"

    def __init__(self, multiples: Sequence[float] = MULTIPLES) -> None:
        super().__init__(multiples)

    def update(self, features: Tensor, real: bool) -> None:
        """Add ``features: [n, d]`` of one side; raises ``ValueError`` for another shape or NaN."""
        self._add(features, real)


def _weighted_mmd2(x: Tensor, y: Tensor, a: Tensor, b: Tensor, multiples: Sequence[float]) -> Tensor:
    """MMD² under sample weights: pairs (i, j), i != j, count ``a_i a_j``, ``b_i b_j`` and ``-2 a_i b_j``.

    Args:
        x, y: ``[n, d]``, ``[m, d]`` float64.
        a, b: ``[n + m, p]`` weights of the pooled samples on either side, one column per statistic.

    Returns:
        ``[p]``.
    """
    widths = median_squared_distance(x, y) * torch.tensor(multiples, dtype=x.dtype, device=x.device)
    pooled = torch.cat([x, y])
    pooled = pooled - pooled.mean(dim=0)
    total = len(pooled)
    weights = torch.cat([a, b], dim=1)
    aa, ab, bb = (torch.zeros(a.shape[1], dtype=x.dtype, device=x.device) for _ in range(3))
    step = max(1, _CHUNK // total)
    for start in range(0, total, step):
        distances = squared_distances(pooled[start : start + step], pooled)
        kernel = torch.zeros_like(distances)
        for width in widths:
            kernel += (-distances / width).exp_()
        rows = torch.arange(len(kernel), device=x.device)
        kernel[rows, rows + start] = 0
        into_a, into_b = (kernel @ weights).chunk(2, dim=1)
        rows_a, rows_b = a[start : start + step], b[start : start + step]
        aa += (rows_a * into_a).sum(dim=0)
        ab += (rows_a * into_b).sum(dim=0)
        bb += (rows_b * into_b).sum(dim=0)
    sum_a, sum_b = a.sum(dim=0), b.sum(dim=0)
    pairs_aa = sum_a.square() - a.square().sum(dim=0)
    pairs_bb = sum_b.square() - b.square().sum(dim=0)
    return aa / pairs_aa + bb / pairs_bb - 2 * ab / (sum_a * sum_b)


def _sides(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor]:
    first = (torch.arange(n + m, device=device) < n).to(torch.float64)
    return first, 1 - first


def _resample_counts(n: int, draws: int, generator: torch.Generator) -> Tensor:
    """``[n, draws]`` how often each sample is drawn, each draw holding at least two different samples."""
    picks = torch.randint(n, (n, draws), generator=generator)
    counts = torch.zeros(n, draws).scatter_add_(0, picks, torch.ones(n, draws))
    single = (counts > 0).sum(dim=0) < 2
    counts[:, single] = 1.0
    return counts


def _checked(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    check_features(real)
    check_features(fake, real.shape[1])
    _need_two(len(real), len(fake))
    return double(real), double(fake)


def _need_two(n: int, m: int) -> None:
    if min(n, m) < 2:
        raise TooFewSamplesError(f"MMD needs at least 2 samples on each side, got {n} real and {m} fake ones.")
