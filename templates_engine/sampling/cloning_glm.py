"""Data cloning of binomial and Poisson models with a random intercept: the likelihood once, to the power K.

The group effects are integrated out by adaptive Gauss-Hermite quadrature (Liu and Pierce 1994; Pinheiro and Bates
1995), so the clones of an effect, which are alike in law, are never written out: the target K log L(β, τ) + log prior
costs the same for every K. It is sampled in (γ, log τ), γ orthonormal coordinates of β, by an independence proposal
(Student at the mode), a random walk on γ, and slices of log τ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.cloning_moves import Laplace, laplace, proposal_density, propose
from templates_engine.sampling.cloning_normal import SLICE_EVERY, Cloned
from templates_engine.sampling.cloning_priors import Prior, log_prior
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm_data import Grouped
from templates_engine.sampling.glm_families import information, row
from templates_engine.sampling.glm_fit import GlmFit
from templates_engine.sampling.mixed_stats import Floats

NODES = 15
_LOW, _HIGH = -300.0, 7.0  # of log τ: below, exp would leave the range of numbers; above, η would


@dataclass(frozen=True)
class Target:
    """The K-fold posterior in (γ, log τ)."""

    data: Grouped
    clones: int
    mean: Floats
    precision: Floats
    variances: Floats
    points: Floats
    logs: Floats

    @property
    def d(self) -> int:
        return self.data.p + 1

    def likelihood(self, theta: Floats, modes: Floats | None = None) -> float:
        """Log likelihood of one copy of the data, without the constants of y."""
        g = self.data
        modes = np.zeros(g.groups) if modes is None else modes
        return float(
            _likelihood(g.link, g.y, g.trials, g.offset, g.q_matrix, g.z, g.starts, np.ascontiguousarray(theta),
                        self.points, self.logs, modes, np.empty(g.n), np.empty(len(self.points)))
        )  # fmt: skip

    def __call__(self, theta: Floats) -> float:
        return float(_prior(theta, self.mean, self.precision, self.variances)) + self.clones * self.likelihood(theta)


def target(data: Grouped, prior: Prior, clones: int, nodes: int = NODES) -> Target:
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    logs = np.log(weights) - 0.5 * math.log(2 * math.pi) + 0.5 * points**2
    mean, precision = data.coordinates.prior(prior.mean, np.diag(1.0 / prior.variance))
    return Target(data, clones, mean, np.ascontiguousarray(precision), prior.variances, points, logs)


def approximate(of: Target, fit: GlmFit) -> Laplace:
    """The Laplace approximation, from the maximum likelihood estimate."""
    tau = math.sqrt(fit.sigma2_u) if fit.sigma2_u > 0 else 0.01
    start = np.append(fit.gamma, math.log(tau))
    root = math.sqrt(of.clones)
    scale = np.append(np.sqrt(np.maximum(np.diag(fit.gamma_covariance), 1e-12)), 0.3) / root
    found = laplace(of, start, scale, widest=4.0 * root)
    far = found.mode.copy()
    far[-1] -= 12.0
    regular = found.regular and not fit.singular and of(far) < of(found.mode) - 25.0
    return Laplace(found.mode, found.factor, regular)


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
    """`iterations` after `burnin`, every `thin`-th kept, from an overdispersed start."""
    g, d = of.data, of.d
    out = np.empty((iterations // thin, d))
    start = approximation.mode + 2.0 * approximation.factor @ rng.standard_normal(d)
    start[-1] = min(max(start[-1], _LOW / 2), _HIGH - 1.0)
    if not np.isfinite(of(start)):
        start = approximation.mode.copy()
    walk = np.linalg.cholesky(approximation.covariance[:-1, :-1]) * (2.0 / math.sqrt(d))
    width = 4.0 * float(approximation.factor[-1] @ approximation.factor[-1]) ** 0.5
    counts = np.zeros(2)
    done = _sample(
        rng, progress, start, float(of.clones), g.link, g.y, g.trials, g.offset, g.q_matrix, g.z, g.starts, of.points,
        of.logs, of.mean, of.precision, of.variances, approximation.mode, approximation.factor, walk,
        approximation.regular, width if approximation.regular else max(width, 2.0), burnin, iterations, thin, out,
        counts,
    )  # fmt: skip
    out = out[:done]
    tau2 = np.exp(2.0 * out[:, -1])
    share = float(counts[0] / max(counts[1], 1.0))
    return Cloned(
        g.coordinates.beta(out[:, :-1]), tau2[:, None], np.full(done, np.nan), out, np.ascontiguousarray(out[:, :-1]),
        share,
    )  # fmt: skip


@njit
def _prior(theta: Any, mean: Any, precision: Any, variances: Any) -> float:
    p = len(mean)
    if not _LOW < theta[p] < _HIGH:
        return -np.inf
    total = log_prior(variances[1], 2.0 * theta[p])
    for i in range(p):
        for j in range(p):
            total -= 0.5 * (theta[i] - mean[i]) * precision[i, j] * (theta[j] - mean[j])
    return total


@njit
def _likelihood(
    link: int, y: Any, trials: Any, offset: Any, design: Any, z: Any, starts: Any, theta: Any, points: Any, logs: Any,
    modes: Any, fixed: Any, values: Any,
) -> float:  # fmt: skip
    """Log likelihood with b_j = u_j / τ integrated out; modes (J,) of b are improved in place; fixed, values: work."""
    n, p = design.shape
    for i in range(n):
        total = offset[i]
        for k in range(p):
            total += design[i, k] * theta[k]
        fixed[i] = total
    tau = math.exp(theta[p])
    nodes = len(points)
    answer = 0.0
    for j in range(len(modes)):
        start, stop = starts[j], starts[j + 1]
        b = modes[j]
        step, value, curvature = 0.0, -np.inf, 1.0
        for _ in range(80):  # Newton with halving; the integrand is log-concave
            here, slope, curvature = -0.5 * b * b, -b, 1.0
            for i in range(start, stop):
                eta = fixed[i] + tau * z[i, 0] * b
                one, score = row(link, y[i], trials[i], eta)
                here += one
                slope += tau * z[i, 0] * score
                curvature += (tau * z[i, 0]) ** 2 * information(link, trials[i], eta)
            if value == -np.inf and not here > -np.inf:  # the mode of other parameters is out of range for these
                if b == 0.0:
                    break
                b = 0.0
                continue
            if not here >= value - 1e-10 * (1.0 + abs(value)):
                step *= 0.5
                b -= step
                if abs(step) < 1e-9:
                    break
                continue
            value = here
            step = slope / curvature
            if abs(step) < 1e-5:
                break
            b += step
        modes[j] = b if b == b else 0.0
        width = 1.0 / math.sqrt(curvature)
        top = -np.inf
        for m in range(nodes):
            at = b + width * points[m]
            value = logs[m] - 0.5 * at * at
            for i in range(start, stop):
                value += row(link, y[i], trials[i], fixed[i] + tau * z[i, 0] * at)[0]
            values[m] = value
            top = max(top, value)
        if not (top > -np.inf and top < np.inf):
            return -np.inf
        mass = 0.0
        for m in range(nodes):
            mass += math.exp(values[m] - top)
        answer += top + math.log(mass * width)
    return answer if answer == answer else -np.inf


@njit
def _sample(
    rng: Any, progress: Any, theta: Any, clones: float, link: int, y: Any, trials: Any, offset: Any, design: Any,
    z: Any, starts: Any, points: Any, logs: Any, mean: Any, precision: Any, variances: Any, mode: Any, factor: Any,
    walk: Any, regular: bool, width: float, burnin: int, iterations: int, thin: int, out: Any, tally: Any,
) -> int:  # fmt: skip
    d = len(theta)
    p = d - 1
    modes, fixed, values = np.zeros(len(starts) - 1), np.empty(len(y)), np.empty(len(points))
    other = np.empty(d)
    value = _prior(theta, mean, precision, variances) + clones * _likelihood(
        link, y, trials, offset, design, z, starts, theta, points, logs, modes, fixed, values
    )
    density = proposal_density(mode, factor, d, theta)
    kept = 0
    for sweep in range(burnin + iterations):
        if progress[1] == 1:
            break
        there = propose(rng, mode, factor, d, other)
        new = _prior(other, mean, precision, variances)
        if new > -np.inf:
            new += clones * _likelihood(
                link, y, trials, offset, design, z, starts, other, points, logs, modes, fixed, values
            )
        tally[1] += 1.0
        if math.log(rng.random()) < new - value - there + density:
            theta[:] = other
            value, density = new, there
            tally[0] += 1.0
        if not regular or sweep % SLICE_EVERY == 0:
            for _ in range(1 if regular else 2):
                for k in range(p):
                    other[k] = theta[k]
                other[p] = theta[p]
                for m in range(p):
                    step = rng.standard_normal()
                    for k in range(m, p):
                        other[k] += walk[k, m] * step
                new = _prior(other, mean, precision, variances) + clones * _likelihood(
                    link, y, trials, offset, design, z, starts, other, points, logs, modes, fixed, values
                )
                if math.log(rng.random()) < new - value:
                    theta[:] = other
                    value = new
            level = value + math.log(rng.random())
            here = theta[p]
            low = here - width * rng.random()
            high = low + width
            for side in range(2):
                for _ in range(60):
                    theta[p] = low if side == 0 else high
                    new = _prior(theta, mean, precision, variances)
                    if new > -np.inf:
                        new += clones * _likelihood(
                            link, y, trials, offset, design, z, starts, theta, points, logs, modes, fixed, values
                        )
                    if not new > level:
                        break
                    if side == 0:
                        low -= width
                    else:
                        high += width
            for _ in range(200):
                theta[p] = low + (high - low) * rng.random()
                new = _prior(theta, mean, precision, variances)
                if new > -np.inf:
                    new += clones * _likelihood(
                        link, y, trials, offset, design, z, starts, theta, points, logs, modes, fixed, values
                    )
                if new > level:
                    value = new
                    break
                if theta[p] < here:
                    low = theta[p]
                else:
                    high = theta[p]
            else:
                theta[p] = here
            density = proposal_density(mode, factor, d, theta)
        progress[0] = sweep + 1
        at = sweep - burnin
        if at >= 0 and (at + 1) % thin == 0:
            for k in range(d):
                out[kept, k] = theta[k]
            kept += 1
    return kept
