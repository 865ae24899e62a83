"""What the draws at several clone numbers say: is the posterior Normal, does its variance fall as 1/K, and if not, in
which direction not.

The diagnostics are those of Lele, Nadeem and Schmuland (2010, JASA 105, 1617-1625) as Sólymos (2010, R Journal 2(2),
29-37) computes them, R-hat by Brooks and Gelman (1998) in the form of coda.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from templates_engine.sampling.normal import Floats

ESTIMABLE, UNDECIDED, NOT_ESTIMABLE = "estimable", "undecided", "not estimable"
STEEP, FLAT = -0.8, -0.5  # of log variance on log K: at most STEEP estimable, at least FLAT not
RHAT_MARK = 1.1


@dataclass(frozen=True)
class Measures:
    """The diagnostics at one clone number."""

    clones: int
    lambda_max: float  # largest eigenvalue of the posterior covariance
    ms_error: float  # mean squared distance of the ordered d² from chi-square quantiles: 0 when Normal
    r_squared: float  # 1 - squared correlation of the two: 0 when Normal
    r_hat: float  # multivariate, or univariate for one parameter


def measures(values: Floats, clones: int) -> Measures:
    """values (chain, draw, p)."""
    pooled = values.reshape(-1, values.shape[2])
    covariance = np.atleast_2d(np.cov(pooled, rowvar=False))
    error, share = normality(pooled, covariance)
    return Measures(clones, float(np.linalg.eigvalsh(covariance)[-1]), error, share, gelman(values))


def normality(pooled: Floats, covariance: Floats) -> tuple[float, float]:
    """(ms.error, r.squared) of draws (N, p): Mahalanobis distances against chi-square quantiles at (i - ½)/N."""
    from scipy import linalg, stats

    n, p = pooled.shape
    centred = pooled - pooled.mean(axis=0)
    scale = np.sqrt(np.diag(covariance))
    if not np.all(scale > 0):
        return math.nan, math.nan
    correlation = covariance / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < 1e-12:  # singular: the nearest matrix that is not
        correlation = (vectors * np.maximum(values, 1e-12)) @ vectors.T
    half = linalg.solve_triangular(np.linalg.cholesky(correlation), (centred / scale).T, lower=True)
    distance = np.sort(np.sum(half * half, axis=0))
    quantile = stats.chi2.ppf((np.arange(1, n + 1) - 0.5) / n, p)
    if not np.ptp(distance) > 0:
        return math.nan, math.nan
    return float(np.mean((distance - quantile) ** 2)), float(1.0 - np.corrcoef(distance, quantile)[0, 1] ** 2)


def gelman(values: Floats) -> float:
    """Potential scale reduction of (chain, draw, p): univariate for p = 1, else multivariate. NaN for one chain.

    The multivariate factor is sqrt((1 - 1/N) + (1 + 1/p) e/N), e the largest eigenvalue of W^-1 B. It has p where
    Brooks and Gelman have the number of chains: so the published program computes it, and so is it compared.
    """
    chains, n, p = values.shape
    if chains < 2 or n < 2:
        return math.nan
    if p == 1:
        return gelman_one(values[:, :, 0])
    means = values.mean(axis=1)
    scale = values.reshape(-1, p).std(axis=0)
    if not np.all(scale > 0):
        return math.nan
    within = np.mean([np.cov(v / scale, rowvar=False) for v in values], axis=0)
    between = n * np.cov(means / scale, rowvar=False)
    try:
        factor = np.linalg.cholesky(within)
    except np.linalg.LinAlgError:
        return math.nan
    half = np.linalg.solve(factor, between)
    top = float(np.linalg.eigvalsh(np.linalg.solve(factor, half.T))[-1])
    return math.sqrt((1.0 - 1.0 / n) + (1.0 + 1.0 / p) * top / n)


def gelman_one(values: Floats) -> float:
    """Univariate factor with the correction for sampling variability of (chain, draw)."""
    chains, n = values.shape
    if chains < 2 or n < 2:
        return math.nan
    means, variances = values.mean(axis=1), values.var(axis=1, ddof=1)
    within, between = float(variances.mean()), n * float(means.var(ddof=1))
    if not within > 0:
        return math.nan
    pooled = (n - 1) / n * within + (1 + 1 / chains) * between / n
    first = (n - 1) ** 2 * float(variances.var(ddof=1)) / chains
    second = (1 + 1 / chains) ** 2 * 2 * between**2 / (chains - 1)
    covariance = np.cov(variances, means**2)[0, 1] - 2 * means.mean() * np.cov(variances, means)[0, 1]
    third = 2 * (n - 1) * (1 + 1 / chains) * (n / chains) * float(covariance)
    spread = (first + second + third) / n**2
    if not spread > 0:
        return math.sqrt(pooled / within)
    degrees = 2 * pooled**2 / spread
    return math.sqrt((degrees + 3) / (degrees + 1) * pooled / within)


def slope(clones: Sequence[int], variances: Sequence[float]) -> float:
    """Slope of log variance on log K over the largest clone numbers, the last and the nearest that is at most two
    thirds of it; NaN with fewer than two clone numbers.

    At few clones a prior can hold a variance near zero, so that what falls as 1/K in the end rises at first: only where
    the prior has been left behind does the slope say what the data tell.
    """
    if len(clones) < 2 or not all(v > 0 for v in variances):
        return math.nan
    last = max(range(len(clones)), key=lambda k: clones[k])
    before = [k for k in range(len(clones)) if 3 * clones[k] <= 2 * clones[last]]
    if not before:
        before = [k for k in range(len(clones)) if k != last]
        near = min(before, key=lambda k: clones[k])
    else:
        near = max(before, key=lambda k: clones[k])
    return math.log(variances[last] / variances[near]) / math.log(clones[last] / clones[near])


def word(value: float) -> str:
    """The verdict on a slope: -1 is what an identified parameter has, 0 what an unidentified one has."""
    if not math.isfinite(value):
        return UNDECIDED
    return ESTIMABLE if value <= STEEP else NOT_ESTIMABLE if value >= FLAT else UNDECIDED


@dataclass(frozen=True)
class Decay:
    """How variances fall over the clone numbers."""

    clones: tuple[int, ...]
    parameters: tuple[str, ...]
    variances: Floats  # (K, p)
    slopes: tuple[float, ...]  # by parameter
    lambda_slope: float
    direction: Floats  # (p,) unit vector in parameters scaled by their sd: along which the data tell least
    direction_slope: float

    @property
    def verdict(self) -> str:
        """On all parameters together: by the largest eigenvalue, and by the worst direction."""
        return word(max(self.lambda_slope, self.direction_slope) if len(self.clones) > 1 else math.nan)


def decay(draws: Mapping[int, Floats], parameters: Sequence[str]) -> Decay:
    """draws: by clone number (chain, draw, p)."""
    clones = tuple(sorted(draws))
    pooled = {k: draws[k].reshape(-1, draws[k].shape[2]) for k in clones}
    covariances = {k: np.atleast_2d(np.cov(pooled[k], rowvar=False)) for k in clones}
    variances = np.array([np.diag(covariances[k]) for k in clones])
    slopes = tuple(slope(clones, list(variances[:, j])) for j in range(len(parameters)))
    tops = [float(np.linalg.eigvalsh(covariances[k])[-1]) for k in clones]
    # Relative to the first covariance, so that no parameter's units hide it: K₁ S(K₁) against K S(K) at the last K.
    scale = np.sqrt(np.maximum(variances[0], 1e-300))
    last = covariances[clones[-1]] / np.outer(scale, scale)
    _values, vectors = np.linalg.eigh(last)
    direction = vectors[:, -1] / scale  # coefficients of the parameters themselves
    along = [float(direction @ covariances[k] @ direction) for k in clones]
    return Decay(
        clones, tuple(parameters), variances, slopes, slope(clones, tops), vectors[:, -1], slope(clones, along)
    )


def combination(weights: Sequence[float], parameters: Sequence[str]) -> str:
    """A linear combination in words, the largest weight made 1: "sigma2_u − sigma2", "beta_0 + 0.5 beta_1"."""
    largest = max(weights, key=abs)
    parts = []
    for weight, name in zip(weights, parameters, strict=True):
        relative = weight / largest
        if abs(relative) < 0.05:
            continue
        size = abs(relative)
        shown = name if abs(size - 1.0) < 0.05 else f"{size:.2g} {name}"
        sign = "−" if relative < 0 else "+"
        parts.append((sign, shown))
    if parts and parts[0][0] == "−":
        parts = [("+" if s == "−" else "−", shown) for s, shown in parts]
    text = "".join(f" {s} {shown}" for s, shown in parts).strip()
    return text.removeprefix("+ ")
