"""Maximum likelihood and REML for the Normal two-level model, from the same statistics as the sampler.

The criterion is profiled over β and σ² (Bates, Mächler, Bolker and Walker 2015, section 2.3), in the relative
covariance Λ = Ω/σ², whose lower Cholesky factor is searched; a boundary solution (a zero variance) is a proper answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.differences import hessian
from templates_engine.sampling.linalg import cholesky, log_determinant, solve, solve_lower
from templates_engine.sampling.normal.two_level_stats import Statistics

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """An ML or REML fit."""

    beta: Floats  # (p,)
    beta_se: Floats  # (p,), at the estimated variances
    omega: Floats  # (q, q)
    omega_se: Floats  # packed lower triangle; NaN on the boundary
    sigma2: float
    sigma2_se: float
    deviance: float  # -2 log likelihood (ML) or the REML criterion, all constants kept
    singular: bool  # Ω on its boundary


@njit
def _profile(
    relative: Any, n: int, reml: bool, t: Any, c: Any, triangles: Any, within: Any, centre: Any, within_rss: float,
    precision: Any, gamma: Any,
) -> Any:  # fmt: skip
    """(RSS, Σ log|I + T Λ T'|, log|A|) at γ̂(Λ); leaves γ̂ in gamma and the factor of A (times σ^-2 its precision)."""
    groups, q, p = c.shape
    for a in range(p):
        gamma[a] = 0.0
        for b in range(p):
            gamma[a] += within[a, b] * centre[b]
            precision[a, b] = within[a, b]
    factors = np.empty((groups, q, q))
    column = np.empty(q)
    scaled = np.empty((q, p))
    log_groups = 0.0
    for j in range(groups):
        factor = factors[j]
        for a in range(q):
            for b in range(a + 1):
                total = 1.0 if a == b else 0.0
                for k in range(a, q):
                    for m in range(b, q):
                        total += triangles[j, a, k] * relative[k, m] * triangles[j, b, m]
                factor[a, b] = total
        if not cholesky(factor, q):
            return np.nan, np.nan, np.nan
        log_groups += log_determinant(factor, q)
        for b in range(p):
            for a in range(q):
                column[a] = c[j, a, b]
            solve_lower(factor, column, q)
            for a in range(q):
                scaled[a, b] = column[a]
        for a in range(q):
            column[a] = t[j, a]
        solve_lower(factor, column, q)
        for b in range(p):
            for a in range(q):
                gamma[b] += scaled[a, b] * column[a]
            for k in range(b + 1):
                for a in range(q):
                    precision[b, k] += scaled[a, b] * scaled[a, k]
    if not cholesky(precision, p):
        return np.nan, np.nan, np.nan
    solve(precision, gamma, p)
    rss = within_rss
    for a in range(p):
        for b in range(p):
            rss += (gamma[a] - centre[a]) * within[a, b] * (gamma[b] - centre[b])
    for j in range(groups):
        for a in range(q):
            column[a] = t[j, a]
            for b in range(p):
                column[a] -= c[j, a, b] * gamma[b]
        solve_lower(factors[j], column, q)
        for a in range(q):
            rss += column[a] * column[a]
    return rss, log_groups, log_determinant(precision, p)


class _Likelihood:
    """The criterion as a function of Λ (profiled) or of Ω and σ²."""

    def __init__(self, stats: Statistics, reml: bool):
        self.stats, self.reml = stats, reml
        self.precision, self.gamma = np.empty((stats.p, stats.p)), np.empty(stats.p)
        self.df = stats.n - (stats.p if reml else 0)
        self.constant = 2.0 * float(np.sum(np.log(np.diag(stats.coordinates.triangle)))) if reml else 0.0

    def parts(self, relative: Floats) -> tuple[float, float]:
        """(RSS, everything else that depends on Λ)."""
        s = self.stats
        rss, log_groups, log_fixed = _profile(
            np.ascontiguousarray(relative), s.n, self.reml, s.t, s.c, s.triangles, s.within_matrix, s.within_centre,
            s.within_rss, self.precision, self.gamma,
        )  # fmt: skip
        return rss, log_groups + (log_fixed + self.constant if self.reml else 0.0)

    def profiled(self, relative: Floats) -> float:
        rss, rest = self.parts(relative)
        if not rss > 0.0:
            return math.inf
        return self.df * (1.0 + math.log(2.0 * math.pi * rss / self.df)) + rest

    def at(self, omega: Floats, sigma2: float) -> float:
        rss, rest = self.parts(omega / sigma2)
        return self.df * math.log(2.0 * math.pi * sigma2) + rss / sigma2 + rest


def fit(stats: Statistics, *, reml: bool = True) -> Fit:
    """The REML (or ML) estimates. n must exceed p."""
    likelihood = _Likelihood(stats, reml)
    q = stats.q
    if stats.groups == 0:
        rss, _ = likelihood.parts(np.zeros((1, 1)))
        sigma2 = rss / likelihood.df
        return _finish(likelihood, np.zeros((0, 0)), sigma2, likelihood.profiled(np.zeros((1, 1))), False)
    # In units in which a relative variance of one matters as much as the residual does in one row.
    unit = np.sqrt(stats.n / np.maximum(np.sum(stats.triangles**2, axis=(0, 1)), 1e-300))
    rows, columns = np.tril_indices(q)

    def relative(theta: Floats) -> Floats:
        factor = np.zeros((q, q))
        factor[rows, columns] = theta
        factor *= unit[:, None]
        return factor @ factor.T

    if q == 1:
        theta = _search_one(lambda v: likelihood.profiled(relative(np.array([v]))))
    else:
        theta = _search_many(lambda v: likelihood.profiled(relative(v)), rows == columns, q)
    best = relative(theta)
    value = likelihood.profiled(best)
    sigma2 = likelihood.parts(best)[0] / likelihood.df
    scaled = best / np.outer(unit, unit)
    singular = bool(np.linalg.eigvalsh(scaled)[0] < 1e-8)
    return _finish(likelihood, best * sigma2, sigma2, value, singular)


def _search_one(criterion: Any) -> Floats:
    """Minimise over one relative standard deviation: a grid on the log scale, then Brent; zero is compared too."""
    grid = np.exp(np.linspace(math.log(1e-4), math.log(1e4), 41))
    values = [criterion(v) for v in grid]
    at = int(np.argmin(values))
    low, high = math.log(grid[max(at - 1, 0)]), math.log(grid[min(at + 1, len(grid) - 1)])
    found = optimize.minimize_scalar(
        lambda v: criterion(math.exp(v)), bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    if criterion(0.0) <= found.fun + 1e-9:
        return np.zeros(1)
    return np.array([math.exp(found.x)])


def _search_many(criterion: Any, diagonal: npt.NDArray[np.bool_], q: int) -> Floats:
    """Minimise over a Cholesky factor with a non-negative diagonal, from several starts."""
    bounds = [(0.0, None) if d else (None, None) for d in diagonal]
    best: Any = None
    for size in (0.3, 1.0, 0.05):
        start = np.where(diagonal, size, 0.0)
        found = optimize.minimize(criterion, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15})
        polished = optimize.minimize(
            criterion, found.x, method="Nelder-Mead", bounds=bounds,
            options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 400 * len(start), "adaptive": q > 2},
        )  # fmt: skip
        if best is None or polished.fun < best.fun - 1e-9:
            best = polished
    return np.asarray(best.x, dtype=float)


def _finish(likelihood: _Likelihood, omega: Floats, sigma2: float, value: float, singular: bool) -> Fit:
    """β and all standard errors at the optimum."""
    stats = likelihood.stats
    q = omega.shape[0]
    likelihood.parts(omega / sigma2 if q else np.zeros((1, 1)))
    beta = stats.coordinates.beta(likelihood.gamma)
    factor = np.tril(likelihood.precision)
    half = np.linalg.solve(factor, stats.coordinates.inverse.T)
    se = np.sqrt(sigma2 * np.sum(half * half, axis=0))
    size = q * (q + 1) // 2
    if q == 0:
        spread = np.array([sigma2 * math.sqrt(2.0 / likelihood.df)])
    elif singular:
        spread = np.full(size + 1, np.nan)
    else:
        spread = _curvature(likelihood, omega, sigma2)
    return Fit(beta, se, omega, spread[:size], sigma2, float(spread[-1]), value, singular)


def _curvature(likelihood: _Likelihood, omega: Floats, sigma2: float) -> Floats:
    """Standard errors of (packed Ω, σ²) from the numerical Hessian of the criterion."""
    q = omega.shape[0]
    rows, columns = np.tril_indices(q)
    sd = np.sqrt(np.diag(omega))
    point = np.append(omega[rows, columns], sigma2)
    step = 1e-3 * np.append(sd[rows] * sd[columns], sigma2)

    def value(at: Floats) -> float:
        matrix = np.zeros((q, q))
        matrix[rows, columns] = at[:-1]
        matrix[columns, rows] = at[:-1]
        return likelihood.at(matrix, float(at[-1]))

    curved = hessian(value, point, step)
    try:
        covariance = np.linalg.inv(curved / 2.0)
    except np.linalg.LinAlgError:
        return np.full(len(point), np.nan)
    variance = np.diag(covariance)
    return np.sqrt(np.where(variance > 0, variance, np.nan))
