"""Fréchet distance between two Gaussians (Dowson and Landau 1982), the number behind FID, FVD and motion FID.

``|mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))``, always in float64 and from symmetric eigenvalues: the
trace of the root is the sum of the roots of the eigenvalues of ``L^T S2 L`` with ``S1 = L L^T``, which are real and
non-negative, so that neither complex numbers nor jitter on the diagonal are needed. ``L`` has a column for every
dimension that samples span, which are fewer than features as often as not.
"""

import warnings
from typing import NamedTuple

import torch
from scipy.linalg.lapack import dpstrf
from torch import Tensor
from torchmetrics import Metric

from mutoscope.metrics.common import MetricWarning, TooFewSamplesError, check_features, double

#: relative negative eigenvalue beyond which a matrix is no covariance but a mistake; rounding stays below 1e-6
_PSD_TOLERANCE = 1e-4
#: what moments leave of a covariance near 0: ``E[x x^T] - mu mu^T`` is exact to so many units of rounding of ``|mu|^2``
_MOMENT_ROUNDING = 1e3


class FrechetTerms(NamedTuple):
    """The distance in its parts, each a scalar float64 tensor.

    Args:
        mean: ``|mu1 - mu2|^2``.
        covariance: ``tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))``, not below 0.
        residual: largest negative eigenvalue of a covariance, as a fraction of its largest one; rounding alone leaves
            it near 1e-15 (1e-7 for covariances that were float32 once).
    """

    mean: Tensor
    covariance: Tensor
    residual: Tensor

    @property
    def distance(self) -> Tensor:
        return self.mean + self.covariance


def frechet_terms(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> FrechetTerms:
    """Fréchet distance from means and covariances, in parts.

    Args:
        mu1, mu2: ``[d]`` means.
        sigma1, sigma2: ``[d, d]`` covariances.

    Raises:
        ValueError: if shapes disagree, values are not finite, or a matrix is not symmetric positive semi-definite by
            more than rounding explains: of features that (nearly) coincide, moments leave nothing but rounding.
    """
    rounding = max(torch.finfo(x.dtype).eps for x in (mu1, sigma1, mu2, sigma2) if x.is_floating_point())
    mu1, sigma1, mu2, sigma2 = (double(x) for x in (mu1, sigma1, mu2, sigma2))
    d = mu1.numel()
    for name, x, shape in (
        ("mu1", mu1, (d,)),
        ("mu2", mu2, (d,)),
        ("sigma1", sigma1, (d, d)),
        ("sigma2", sigma2, (d, d)),
    ):
        if x.shape != shape:
            raise ValueError(f"{name} has shape {list(x.shape)}, expected {list(shape)} to go with mu1.")
        if not torch.isfinite(x).all():
            raise ValueError(f"{name} holds NaN or infinite values.")
    for name, sigma, mean in (("sigma1", sigma1, mu1), ("sigma2", sigma2, mu2)):
        # some processors round a product of matrices otherwise on either side of its diagonal
        allowed = 1e-4 * sigma.abs().max() + _MOMENT_ROUNDING * rounding * mean.square().sum()
        if (sigma - sigma.T).abs().max() > allowed:
            raise ValueError(f"{name} is not symmetric, so it is no covariance.")
    covariance, eigenvalues = _covariance_term(sigma1, sigma2)
    residual = torch.maximum(
        _negative_part(eigenvalues, mu1, rounding), _negative_part(torch.linalg.eigvalsh(sigma2), mu2, rounding)
    )
    if residual > _PSD_TOLERANCE:
        raise ValueError(
            "sigma1 or sigma2 is not positive semi-definite: an eigenvalue is negative by "
            f"{float(residual):.1e} of the largest one. Pass covariances of one set of features each."
        )
    return FrechetTerms((mu1 - mu2).square().sum(), covariance, residual)


def frechet_distance(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> Tensor:
    """Fréchet distance from means ``[d]`` and covariances ``[d, d]``: a float64 scalar; see :func:`frechet_terms`."""
    return frechet_terms(mu1, sigma1, mu2, sigma2).distance


def frechet_distance_of_features(real: Tensor, fake: Tensor, ddof: int = 1) -> Tensor:
    """Fréchet distance between two feature tables.

    Where a table has fewer rows than columns, the trace of the root is the nuclear norm of ``A B^T`` (``A``, ``B``:
    centred features over ``sqrt(n - ddof)``), which needs no ``d x d`` matrix: 10 to 60 times faster at 256 samples
    of 400 to 1024 features.

    Args:
        real: ``[n, d]``.
        fake: ``[m, d]``.
        ddof: 1 divides the covariance by ``n - 1`` (pytorch-fid, torchmetrics), 0 by ``n`` (StyleGAN-V, CD-FVD).

    Returns:
        Scalar float64.

    Raises:
        ValueError: if tables are no ``[n, d]`` of one ``d``, or hold NaN.
        TooFewSamplesError: if a side has fewer than 2 rows.
    """
    _check_ddof(ddof)
    check_features(real)
    check_features(fake, real.shape[1])
    _need_two(real.shape[0], fake.shape[0])
    a, b = double(real), double(fake)
    mu_a, mu_b = a.mean(dim=0), b.mean(dim=0)
    a = (a - mu_a) / (a.shape[0] - ddof) ** 0.5
    b = (b - mu_b) / (b.shape[0] - ddof) ** 0.5
    if min(a.shape[0], b.shape[0]) >= a.shape[1]:
        real, fake = a.T @ a, b.T @ b
        return (mu_a - mu_b).square().sum() + _factored_covariance_term(_cholesky(real, len(a) - 1), real, fake)
    # the triangular factor carries the same covariance in at most d rows
    tall_a, tall_b = (torch.linalg.qr(x, mode="r").R if x.shape[0] > x.shape[1] else x for x in (a, b))
    root = torch.linalg.svdvals(tall_a @ tall_b.T).sum()
    return (mu_a - mu_b).square().sum() + (a.square().sum() + b.square().sum() - 2 * root).clamp(min=0)


class FeatureMoments(Metric):
    """States and ``compute`` of a streaming Fréchet distance: float64 sums and sums of outer products of both sides.

    The states add up, over batches and over processes alike, so the value does not depend on how samples were split.
    MPS has no float64: leave the metric on the CPU there, features are moved to it.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False

    real_sum: Tensor
    real_outer: Tensor
    real_count: Tensor
    fake_sum: Tensor
    fake_outer: Tensor
    fake_count: Tensor

    def __init__(self, num_features: int, ddof: int) -> None:
        super().__init__()
        _check_ddof(ddof)
        if num_features < 1:
            raise ValueError(f"num_features is {num_features}, expected at least 1.")
        self.num_features, self.ddof = num_features, ddof
        for side in ("real", "fake"):
            self.add_state(f"{side}_sum", torch.zeros(num_features, dtype=torch.float64), dist_reduce_fx="sum")
            outer = torch.zeros(num_features, num_features, dtype=torch.float64)
            self.add_state(f"{side}_outer", outer, dist_reduce_fx="sum")
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def _add(self, features: Tensor, real: bool) -> None:
        if self.real_sum.dtype != torch.float64:
            raise RuntimeError(
                f"The sums of {type(self).__name__} were converted to {self.real_sum.dtype}; "
                "they must stay float64, so move the metric with .to(device) and never .to(dtype)."
            )
        check_features(features, self.num_features)
        features = double(features, self.real_sum.device)
        total, outer = features.sum(dim=0), features.T @ features
        if real:
            self.real_sum, self.real_outer = self.real_sum + total, self.real_outer + outer
            self.real_count = self.real_count + features.shape[0]
        else:
            self.fake_sum, self.fake_outer = self.fake_sum + total, self.fake_outer + outer
            self.fake_count = self.fake_count + features.shape[0]

    def compute(self) -> Tensor:
        """Fréchet distance, a float64 scalar.

        Warns:
            MetricWarning: if a side has no more samples than features: the covariance is singular and the distance
                biased upward.

        Raises:
            TooFewSamplesError: if a side has fewer than 2 samples.
        """
        n, m = int(self.real_count), int(self.fake_count)
        _need_two(n, m)
        if min(n, m) <= self.num_features:
            warnings.warn(
                f"A Fréchet distance over {self.num_features} features from {n} real and {m} fake samples is biased "
                f"upward; use more than {self.num_features} samples per side, or the MMD.",
                MetricWarning,
                stacklevel=2,
            )
        real_mean, real = _moments(self.real_sum, self.real_outer, n, self.ddof)
        fake_mean, fake = _moments(self.fake_sum, self.fake_outer, m, self.ddof)
        # sums of outer products make covariances up to rounding, however little the features vary: nothing to check
        few, many = (real, fake) if n <= m else (fake, real)
        factor = _cholesky(few, min(n, m) - 1)
        return (real_mean - fake_mean).square().sum() + _factored_covariance_term(factor, few, many)


class FrechetDistance(FeatureMoments):
    """Streaming Fréchet distance between real and generated features.

    Args:
        num_features: feature size ``d``.
        ddof: 1 divides the covariance by ``n - 1``, 0 by ``n``; part of the protocol.

    Example:
        >>> metric = FrechetDistance(num_features=1)
        >>> metric.update(torch.tensor([[-1.0], [1.0]]), real=True)
        >>> metric.update(torch.tensor([[2.0], [4.0]]), real=False)
        >>> round(float(metric.compute()), 6)
        9.0
    """

    meaning = "Fréchet distance between Gaussians fitted to real and generated features; squared feature units"

    def __init__(self, num_features: int, ddof: int = 1) -> None:
        super().__init__(num_features, ddof)

    def update(self, features: Tensor, real: bool) -> None:
        """Add ``features: [n, d]`` of one side; raises ``ValueError`` for another shape or NaN."""
        self._add(features, real)


def _moments(total: Tensor, outer: Tensor, n: int, ddof: int) -> tuple[Tensor, Tensor]:
    mean = total / n
    return mean, (outer - n * torch.outer(mean, mean)) / (n - ddof)


def _covariance_term(sigma1: Tensor, sigma2: Tensor) -> tuple[Tensor, Tensor]:
    """``tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))``, not below 0, and the eigenvalues ``[d]`` of ``S1``."""
    values, vectors = torch.linalg.eigh(sigma1)
    # of fewer samples than features most eigenvalues are 0 up to rounding, whose roots would only add it up
    seen = values > len(values) * torch.finfo(values.dtype).eps * values[-1].clamp(min=0)
    factor = vectors[:, seen] * values[seen].sqrt()
    return _factored_covariance_term(factor, sigma1, sigma2), values


def _factored_covariance_term(factor: Tensor, sigma1: Tensor, sigma2: Tensor) -> Tensor:
    """The same, from ``factor: [d, r]`` of which ``S1`` is the product with its transpose."""
    root = torch.linalg.eigvalsh(factor.T @ sigma2 @ factor).clamp(min=0).sqrt().sum()
    return (sigma1.trace() + sigma2.trace() - 2 * root).clamp(min=0)


def _cholesky(sigma: Tensor, rank: int) -> Tensor:
    """``L: [d, r]`` of ``sigma = L L^T``, ``r`` no more than ``rank``: largest pivots first, until rounding is left.

    For matrices that are positive semi-definite but for rounding; eigenvectors of the rest would take most of the
    seconds of an FID.
    """
    lower, order, found, _ = dpstrf(sigma.cpu().numpy(), lower=1)
    r = min(found, rank)
    factor = torch.from_numpy(lower[:, :r]).tril()
    factor[torch.from_numpy(order).long() - 1] = factor.clone()
    return factor.to(sigma.device)


def _negative_part(eigenvalues: Tensor, mean: Tensor, rounding: float) -> Tensor:
    """How negative the eigenvalues of a covariance are, relative to its scale and to what rounding its mean leaves."""
    scale = eigenvalues.abs().max() + _MOMENT_ROUNDING / _PSD_TOLERANCE * rounding * mean.square().sum()
    return (-eigenvalues.min() / scale.clamp(min=torch.finfo(torch.float64).tiny)).clamp(min=0)


def _check_ddof(ddof: int) -> None:
    if ddof not in (0, 1):
        raise ValueError(f"ddof is {ddof}, expected 0 (divide by n) or 1 (divide by n - 1).")


def _need_two(n: int, m: int) -> None:
    if min(n, m) < 2:
        raise TooFewSamplesError(
            f"A Fréchet distance needs at least 2 samples on each side, got {n} real and {m} fake ones."
        )
