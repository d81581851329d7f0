"""Kernel distances of features: KID and KVD (Binkowski et al. 2018; Unterthiner et al. 2018).

The squared MMD under the kernel ``(x y / d + 1)^3``, unbiased: 0 is expected where both sides have one distribution, at
any number of samples, which no Fréchet distance can say of itself.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mutoscope.metrics.common import TooFewSamplesError, check_features, double
from mutoscope.metrics.feature_tables import FeatureTables, in_one_order
from mutoscope.metrics.inception import FrameClassifier, features_of

_CHUNK = 2**24
#: of a normal distribution, by which 95 % lie within
_WIDTH = 1.959963984540054


class _Sums(NamedTuple):
    """Sums of the kernel over pairs: of each row with the others of its side, and with the other side."""

    real: Tensor
    fake: Tensor
    real_to_fake: Tensor
    fake_to_real: Tensor


def polynomial_mmd2(
    real: Tensor, fake: Tensor, degree: int = 3, gamma: float | None = None, coefficient: float = 1.0
) -> Tensor:
    """Unbiased squared MMD under the kernel ``(gamma x y + coefficient)^degree``.

    Args:
        real: ``[n, d]``.
        fake: ``[m, d]``; ``n`` and ``m`` may differ.
        degree, coefficient: of the kernel.
        gamma: ``1 / d`` by default.

    Returns:
        Scalar float64; negative values are proper outcomes.

    Raises:
        ValueError: if tables are no ``[n, d]`` of one ``d``, or hold NaN.
        TooFewSamplesError: if a side has fewer than 2 rows.
    """
    n, m = _checked(real, fake)
    sums = _sums(double(real), double(fake), degree, gamma, coefficient)
    return _statistic(sums.real.sum(), sums.fake.sum(), sums.real_to_fake.sum(), n, m)


def polynomial_mmd2_interval(
    real: Tensor, fake: Tensor, degree: int = 3, gamma: float | None = None, coefficient: float = 1.0
) -> tuple[float, float]:
    """95 % interval of :func:`polynomial_mmd2` by the delete-one jackknife of both sides; same arguments and errors.

    Raises:
        TooFewSamplesError: if a side has fewer than 4 rows.
    """
    n, m = _checked(real, fake)
    if min(n, m) < 4:
        raise TooFewSamplesError(f"A jackknife needs at least 4 samples on each side, got {n} real and {m} fake ones.")
    sums = _sums(double(real), double(fake), degree, gamma, coefficient)
    xx, yy, xy = sums.real.sum(), sums.fake.sum(), sums.real_to_fake.sum()
    value = _statistic(xx, yy, xy, n, m)
    without_real = _statistic(xx - 2 * sums.real, yy, xy - sums.real_to_fake, n - 1, m)
    without_fake = _statistic(xx, yy - 2 * sums.fake, xy - sums.fake_to_real, n, m - 1)
    variance = sum(
        (k - 1) / k * (left - left.mean()).square().sum() for k, left in ((n, without_real), (m, without_fake))
    )
    reach = _WIDTH * float(variance) ** 0.5
    return float(value) - reach, float(value) + reach


def _checked(real: Tensor, fake: Tensor) -> tuple[int, int]:
    check_features(real)
    check_features(fake, real.shape[1])
    if min(len(real), len(fake)) < 2:
        raise TooFewSamplesError(
            f"A kernel distance needs at least 2 samples on each side, got {len(real)} real and {len(fake)} fake ones."
        )
    return len(real), len(fake)


def _statistic(xx: Tensor, yy: Tensor, xy: Tensor, n: int, m: int) -> Tensor:
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _sums(x: Tensor, y: Tensor, degree: int, gamma: float | None, coefficient: float) -> _Sums:
    gamma = 1 / x.shape[1] if gamma is None else gamma

    def rows(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Sums along ``b`` for every row of ``a``, and the other way round; the kernel is built in parts."""
        along, across = [], b.new_zeros(len(b))
        for part in a.split(max(1, _CHUNK // len(b))):
            kernel = (part @ b.T * gamma + coefficient) ** degree
            along.append(kernel.sum(dim=1))
            across += kernel.sum(dim=0)
        return torch.cat(along), across

    own = [rows(side, side)[0] - (side.square().sum(dim=1) * gamma + coefficient) ** degree for side in (x, y)]
    return _Sums(own[0], own[1], *rows(x, y))


class ClassifierKID(FeatureTables):
    """Kernel distance of features, KID of frames or KVD of clips, as the extractor counts them.

    Protocol: kernel ``(x y / d + 1)^3``. With ``subsets``, the mean over subsets drawn from both sides without
    replacement (torch-fidelity: 100 of 1000); without, one estimate from all samples, which is the same in expectation
    and steadier. All features are kept: 8 kB per sample of Inception's, 1.6 kB of I3D's.

    Args:
        classifier: see :class:`~mutoscope.metrics.inception.FrameClassifier`; its hash belongs to the protocol.
        subsets: how many are drawn; ``None`` for all samples at once.
        subset_size: samples of each side in one.
        seed: of the draw, the same whatever the order of samples and the number of processes.
    """

    def __init__(
        self, classifier: FrameClassifier, subsets: int | None = None, subset_size: int = 1000, seed: int = 0
    ) -> None:
        super().__init__()
        if subsets is not None and (subsets < 1 or subset_size < 2):
            raise ValueError(f"subsets is {subsets} of {subset_size}, expected at least 1 of at least 2 samples.")
        self.classifier, self.subsets, self.subset_size, self.seed = classifier, subsets, subset_size, seed
        how = "all samples" if subsets is None else f"{subsets} subsets of {subset_size}"
        self.meaning = f"kernel distance of features, real against generated, unbiased (0 when alike), {how}; no unit"

    def update(self, fake_frames: Tensor | None = None, real_frames: Tensor | None = None) -> None:
        """Add videos ``[b, t, 3, h, w]`` uint8 of one side or both; other types and shapes are a ``ValueError``."""
        for frames, real in ((fake_frames, False), (real_frames, True)):
            if frames is not None:
                self._add(features_of(self.classifier, frames)[0], real)

    def _values(self) -> Tensor:
        """``[subsets]`` distances."""
        assert self.subsets is not None
        sides = [in_one_order(side) for side in self.features(self.subset_size)]
        generator = torch.Generator().manual_seed(self.seed)
        values = []
        for _ in range(self.subsets):
            real, fake = (
                s[torch.randperm(len(s), generator=generator)[: self.subset_size].to(s.device)] for s in sides
            )
            values.append(polynomial_mmd2(real, fake))
        return torch.stack(values)

    def compute(self) -> Tensor:
        """The distance, a float64 scalar; raises ``TooFewSamplesError`` below 2 samples, or those of a subset."""
        return polynomial_mmd2(*self.features()) if self.subsets is None else self._values().mean()

    def interval(self) -> tuple[float, float]:
        """95 % interval over the samples seen by all processes, by the jackknife."""
        with self.sync_context(should_sync=self._to_sync):
            return polynomial_mmd2_interval(*self.features())
