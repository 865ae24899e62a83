"""Data cloning of the Normal two-level model: chains on the variances alone, at a cost that K clones do not raise.

The target is the posterior of the variances under the K-fold likelihood with all group effects and the coefficients
integrated out, K log L(β, Ω, σ²) + log prior over β in closed form; β is then drawn exactly given the variances.
(Collapsing: Liu 1994, JASA 89, 958-966; the same law as Gibbs sampling on K copies of the data, Lele, Dennis and
Lutscher 2007.) Coordinates, all unbounded:

    a random intercept   s = log(σ² + c τ²), ρ = log(τ² / σ²); c the mean group size. With groups of one the likelihood
                         depends on s alone, and the ridge of what cannot be estimated is a straight line along ρ.
    random slopes        log σ² and the log-Cholesky factor of Ω/σ² in units of the columns
    effects as parameters (no smoothing)   log σ²; the effects' variance is that of their prior

One iteration: an independence proposal (Student with 8 degrees of freedom at the mode), and slice sampling of each
coordinate with stepping out (Neal 2003, Annals of Statistics 31, 705-767): every eighth iteration where the target has
one interior mode, else every iteration together with a wide independence proposal of ρ, which reaches the far end of a
ridge in one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.cloning_cells import Cells, cells, reduced
from templates_engine.sampling.cloning_moves import Laplace, laplace, proposal_density, propose
from templates_engine.sampling.cloning_priors import LOG_SD, Prior, log_prior
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import cholesky, log_determinant, solve_lower, solve_upper
from templates_engine.sampling.mixed_stats import Coordinates, Floats, Statistics

SLICE_EVERY = 8  # iterations, where the target is regular
WIDE = 60.0  # standard deviation of the wide proposal, about that of the prior
_FARTHEST = 600.0  # of ρ: exp stays within the range of numbers


@dataclass(frozen=True)
class Cloned:
    """One chain: natural parameters of each kept draw."""

    beta: Floats  # (draw, p)
    omega: Floats  # (draw, q (q+1) / 2) packed lower triangle; (draw, 1) of zeros without smoothing
    sigma2: Floats  # (draw,)
    theta: Floats  # (draw, d) coordinates of the sampler
    gamma: Floats  # (draw, p) coefficients in orthonormal coordinates
    accepted: float  # share of the independence proposals


@dataclass(frozen=True)
class Target:
    """The K-fold posterior of one model. `fixed`: variance of effects that are parameters; 0 with smoothing."""

    cells: Cells
    coordinates: Coordinates
    clones: int
    mean: Floats  # (p,) prior of γ
    precision: Floats  # (p, p)
    variances: Floats  # (2, 3)
    unit: Floats  # (q,) of the random coefficients relative to σ
    spread: float
    fixed: float

    @property
    def d(self) -> int:
        q = self.cells.q
        return 1 if self.fixed > 0 else 2 if q == 1 else 1 + q * (q + 1) // 2

    def __call__(self, theta: Floats) -> float:
        """Log density of θ, γ integrated out; the constants in the data are kept."""
        c = self.cells
        work = np.empty((c.p + 1, c.p + 1))
        return float(
            _log_target(
                np.ascontiguousarray(theta, dtype=float), c.n, float(self.clones), c.triangles, c.counts, c.moments,
                c.base, self.mean, self.precision, self.variances, self.unit, self.spread, self.fixed,
                np.zeros((c.q, c.q)), work, np.empty(c.p),
            )
        )  # fmt: skip

    def natural(self, theta: Floats) -> tuple[Floats, Floats]:
        """(packed Ω (S, ·), σ² (S,)) of coordinates (S, d)."""
        q = self.cells.q
        if self.fixed > 0:
            return np.full((len(theta), 1), self.fixed), np.exp(theta[:, 0])
        if q == 1:
            sigma2 = np.exp(theta[:, 0] - np.log1p(self.spread * np.exp(theta[:, 1])))
            return (sigma2 * np.exp(theta[:, 1]))[:, None], sigma2
        rows, columns = np.tril_indices(q)
        factors = np.zeros((len(theta), q, q))
        values = theta[:, 1:].copy()
        values[:, rows == columns] = np.exp(values[:, rows == columns])
        factors[:, rows, columns] = values
        factors *= self.unit[None, :, None]
        sigma2 = np.exp(theta[:, 0])
        omega = factors @ factors.transpose(0, 2, 1) * sigma2[:, None, None]
        return omega[:, rows, columns], sigma2

    def theta(self, omega: Floats, sigma2: float) -> Floats:
        """Coordinates of variances; a variance of zero becomes a very small one."""
        q = self.cells.q
        if self.fixed > 0:
            return np.array([math.log(sigma2)])
        if q == 1:
            rho = math.log(max(float(omega[0, 0]) / sigma2, 1e-6 * self.unit[0] ** 2))
            return np.array([math.log(sigma2) + math.log1p(self.spread * math.exp(rho)), rho])
        relative = omega / sigma2 / np.outer(self.unit, self.unit) + 1e-4 * np.eye(q)
        factor = np.linalg.cholesky(relative)
        rows, columns = np.tril_indices(q)
        packed = factor[rows, columns]
        packed[rows == columns] = np.log(packed[rows == columns])
        return np.append(math.log(sigma2), packed)


def target(stats: Statistics, prior: Prior, clones: int, *, fixed: float = 0.0, joined: Cells | None = None) -> Target:
    """The target of K clones. With `fixed` the clones share the effects, which have N(0, fixed) as a prior."""
    joined = cells(stats) if joined is None else joined
    unit = np.sqrt(stats.n / np.maximum(np.sum(stats.triangles**2, axis=(0, 1)), 1e-300))
    mean, precision = stats.coordinates.prior(prior.mean, np.diag(1.0 / prior.variance))
    spread = joined.spread
    if fixed > 0:
        joined, clones = joined.sharing(clones), 1
    if joined.q > 1 and prior.group[0] != LOG_SD:
        raise ValueError("several random coefficients need the prior on log standard deviations")
    return Target(
        joined, stats.coordinates, clones, mean, np.ascontiguousarray(precision), prior.variances, unit, spread, fixed
    )


def approximate(of: Target, omega: Floats, sigma2: float) -> Laplace:
    """The Laplace approximation, from a likelihood estimate."""
    start = of.theta(omega, sigma2)
    size = of.cells.n * of.clones
    found = laplace(of, start, np.full(of.d, max(1.0 / math.sqrt(size), 1e-3)) * 3.0, widest=30.0)
    if not found.regular or of.fixed > 0:
        return found
    if of.cells.q > 1:
        # Far down each logarithm of the factor's diagonal, where a variance vanishes.
        rows, columns = np.tril_indices(of.cells.q)
        best, heights = of(found.mode), []
        for k in np.flatnonzero(rows == columns):
            for down in (4.0, 12.0):
                point = found.mode.copy()
                point[1 + k] -= down
                heights.append(of(point))
        return Laplace(found.mode, found.factor, max(heights) < best - 25.0)
    # The prior of log τ hardly falls: is the far end of small (or of large) ρ worth a visit?
    far = [of(np.array([found.mode[0], found.mode[1] + step])) for step in (-60.0, 60.0)]
    far.append(max(of(np.array([found.mode[0] + ds, found.mode[1] - 60.0])) for ds in np.linspace(-3, 3, 61)))
    return Laplace(found.mode, found.factor, max(far) < of(found.mode) - 25.0)


def run_chain(
    of: Target,
    approximation: Laplace,
    rng: np.random.Generator,
    progress: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
) -> Cloned:
    """`iterations` after `burnin`, every `thin`-th kept, started from an overdispersed draw around the mode."""
    c = of.cells
    d = of.d
    out = np.empty((iterations // thin, d + c.p))
    start = np.empty(d)
    for _ in range(100):
        start[:] = approximation.mode + 2.0 * approximation.factor @ rng.standard_normal(d)
        if np.isfinite(of(start)):
            break
    else:
        start[:] = approximation.mode
    counts = np.zeros(2)
    widths = np.maximum(4.0 * np.sqrt(np.diag(approximation.covariance)), 1e-3)
    if not approximation.regular:
        widths = np.maximum(widths, 1.0)
        if d == 2:
            widths[1] = 20.0
        elif d > 2:
            widths = np.maximum(widths, 2.0)
    done = _sample(
        rng, progress, start, c.n, float(of.clones), c.triangles, c.counts, c.moments, c.base, of.mean, of.precision,
        of.variances, of.unit, of.spread, of.fixed, approximation.mode, approximation.factor, approximation.regular,
        widths, burnin, iterations, thin, out, counts,
    )  # fmt: skip
    out = out[:done]
    theta, gamma = out[:, :d], out[:, d:]
    omega, sigma2 = of.natural(theta)
    if of.fixed > 0:
        omega = np.zeros((done, 1))
    share = float(counts[0] / max(counts[1], 1.0))
    return Cloned(of.coordinates.beta(gamma), omega, sigma2, theta, gamma, share)


@njit
def _variances(theta: Any, unit: Any, spread: float, fixed: float, relative: Any) -> float:
    """σ² of coordinates; Λ into relative. NaN where outside the range of numbers."""
    q = len(unit)
    if fixed > 0.0:
        if abs(theta[0]) > _FARTHEST:
            return np.nan
        sigma2 = math.exp(theta[0])
        relative[0, 0] = fixed / sigma2
        return sigma2
    if q == 1:
        if abs(theta[1]) > _FARTHEST or abs(theta[0]) > _FARTHEST:
            return np.nan
        relative[0, 0] = math.exp(theta[1])
        return math.exp(theta[0] - math.log1p(spread * relative[0, 0]))
    factor = np.zeros((q, q))
    at = 1
    for a in range(q):
        for b in range(a + 1):
            if abs(theta[at]) > (100.0 if a == b else 1e100):
                return np.nan
            factor[a, b] = unit[a] * (math.exp(theta[at]) if a == b else theta[at])
            at += 1
    for a in range(q):
        for b in range(q):
            relative[a, b] = 0.0
            for k in range(q):
                relative[a, b] += factor[a, k] * factor[b, k]
    return math.exp(theta[0]) if abs(theta[0]) < _FARTHEST else np.nan


@njit
def _log_prior(theta: Any, sigma2: float, variances: Any, unit: Any, fixed: float) -> float:
    q = len(unit)
    residual = math.log(sigma2)
    total = log_prior(variances[0], residual)
    if fixed > 0.0:
        return total
    if q == 1:
        return total + log_prior(variances[1], residual + theta[1])
    at = 1
    for a in range(q):
        for b in range(a + 1):
            if a == b:
                total += log_prior(variances[1], residual + 2.0 * (math.log(unit[a]) + theta[at]))
            else:
                total -= 0.5 * theta[at] * theta[at] / variances[1, 2]
            at += 1
    return total


@njit
def _log_target(
    theta: Any, n: int, clones: float, triangles: Any, counts: Any, moments: Any, base: Any, mean: Any, precision: Any,
    variances: Any, unit: Any, spread: float, fixed: float, relative: Any, matrix: Any, linear: Any,
) -> float:  # fmt: skip
    """Leaves the Cholesky factor of γ's posterior precision in matrix and L^-1 (its linear term) in linear."""
    sigma2 = _variances(theta, unit, spread, fixed, relative)
    if not sigma2 > 0.0:
        return -np.inf
    prior = _log_prior(theta, sigma2, variances, unit, fixed)
    if not prior > -np.inf:
        return -np.inf
    logs = reduced(triangles, counts, moments, base, relative, matrix)
    if logs != logs:
        return -np.inf
    p = len(mean)
    times = clones / sigma2
    constant = times * matrix[p, p]
    for i in range(p):
        linear[i] = times * matrix[i, p]
        for j in range(p):
            linear[i] += precision[i, j] * mean[j]
            constant += mean[i] * precision[i, j] * mean[j]
            matrix[i, j] = times * matrix[i, j] + precision[i, j]
    if not cholesky(matrix, p):
        return -np.inf
    solve_lower(matrix, linear, p)
    for i in range(p):
        constant -= linear[i] * linear[i]
    value = clones * (n * math.log(2.0 * math.pi * sigma2) + logs) + constant + log_determinant(matrix, p)
    return prior - 0.5 * value if value == value else -np.inf


@njit
def _sample(
    rng: Any, progress: Any, theta: Any, n: int, clones: float, triangles: Any, counts: Any, moments: Any, base: Any,
    mean: Any, precision: Any, variances: Any, unit: Any, spread: float, fixed: float, mode: Any, factor: Any,
    regular: bool, widths: Any, burnin: int, iterations: int, thin: int, out: Any, tally: Any,
) -> int:  # fmt: skip
    d, p, q = len(theta), len(mean), len(unit)
    relative, matrix, linear = np.zeros((q, q)), np.empty((p + 1, p + 1)), np.empty(p)
    other = np.empty(d)
    value = _log_target(theta, n, clones, triangles, counts, moments, base, mean, precision, variances, unit, spread,
                        fixed, relative, matrix, linear)  # fmt: skip
    density = proposal_density(mode, factor, d, theta)
    kept = 0
    for sweep in range(burnin + iterations):
        if progress[1] == 1:
            break
        there = propose(rng, mode, factor, d, other)
        new = _log_target(other, n, clones, triangles, counts, moments, base, mean, precision, variances, unit, spread,
                          fixed, relative, matrix, linear)  # fmt: skip
        tally[1] += 1.0
        if math.log(rng.random()) < new - value - there + density:
            theta[:] = other
            value, density = new, there
            tally[0] += 1.0
        if not regular and fixed == 0.0:
            # A wide proposal of ρ, or of one logarithm of the factor's diagonal: from one end of a ridge to the other.
            chosen = 1
            if q > 1:
                row = int(q * rng.random())
                chosen = 1 + row * (row + 1) // 2 + row
            other[:] = theta
            other[chosen] = mode[chosen] + WIDE * rng.standard_normal()
            new = _log_target(other, n, clones, triangles, counts, moments, base, mean, precision, variances, unit,
                              spread, fixed, relative, matrix, linear)  # fmt: skip
            before, after = theta[chosen] - mode[chosen], other[chosen] - mode[chosen]
            if math.log(rng.random()) < new - value + 0.5 * (after * after - before * before) / (WIDE * WIDE):
                theta[chosen] = other[chosen]
                value = new
        if not regular or sweep % SLICE_EVERY == 0:
            for k in range(d):
                level = value + math.log(rng.random())
                here = theta[k]
                low = here - widths[k] * rng.random()
                high = low + widths[k]
                for side in range(2):
                    for _ in range(40):
                        theta[k] = low if side == 0 else high
                        new = _log_target(theta, n, clones, triangles, counts, moments, base, mean, precision,
                                          variances, unit, spread, fixed, relative, matrix, linear)  # fmt: skip
                        if not new > level:
                            break
                        if side == 0:
                            low -= widths[k]
                        else:
                            high += widths[k]
                for _ in range(200):
                    theta[k] = low + (high - low) * rng.random()
                    new = _log_target(theta, n, clones, triangles, counts, moments, base, mean, precision, variances,
                                      unit, spread, fixed, relative, matrix, linear)  # fmt: skip
                    if new > level:
                        value = new
                        break
                    if theta[k] < here:
                        low = theta[k]
                    else:
                        high = theta[k]
                else:
                    theta[k] = here
            density = proposal_density(mode, factor, d, theta)
        elif not regular:
            density = proposal_density(mode, factor, d, theta)
        progress[0] = sweep + 1
        at = sweep - burnin
        if at >= 0 and (at + 1) % thin == 0:
            # The coefficients given these variances: N(H^-1 h, H^-1).
            _log_target(theta, n, clones, triangles, counts, moments, base, mean, precision, variances, unit, spread,
                        fixed, relative, matrix, linear)  # fmt: skip
            for k in range(p):
                linear[k] += rng.standard_normal()
            solve_upper(matrix, linear, p)
            for k in range(d):
                out[kept, k] = theta[k]
            for k in range(p):
                out[kept, d + k] = linear[k]
            kept += 1
    return kept
