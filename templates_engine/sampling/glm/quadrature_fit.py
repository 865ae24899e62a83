"""Maximum likelihood for binomial and Poisson models: with one level by Fisher scoring, with a random intercept by
adaptive Gauss-Hermite quadrature.

The quadrature follows Liu and Pierce (1994) and Pinheiro and Bates (1995): nodes centred on each group's mode and
scaled by its curvature. Gradients come from the same nodes by Fisher's identity (the expected complete-data score).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.data import Grouped
from templates_engine.sampling.glm.families import constant, information, informations, row, rows
from templates_engine.sampling.normal import Floats

NODES = 15
_SMALLEST, _LARGEST = math.log(1e-4), math.log(1e3)  # of the standard deviation between groups


@dataclass(frozen=True)
class GlmFit:
    """Estimates; `finite` False when the likelihood has no maximum at finite coefficients (separation)."""

    gamma: Floats  # (p,) in orthonormal coordinates
    beta: Floats  # (p,)
    beta_se: Floats
    gamma_covariance: Floats  # (p, p)
    sigma2_u: float  # NaN without groups
    sigma2_u_se: float
    modes: Floats  # (J,) of the group effects
    deviance: float  # -2 log likelihood, all constants kept
    finite: bool
    singular: bool = False


def fit(data: Grouped) -> GlmFit:
    """The maximum likelihood estimates with one level or a random intercept (z a column of ones)."""
    one = fixed_only(data)
    return one if not data.groups or not one.finite else _quadrature(data, one)


def fixed_only(data: Grouped) -> GlmFit:
    """Fisher scoring with step halving; groups are left out."""
    gamma = np.zeros(data.p)
    start = _start(data)
    gamma = data.q_matrix.T @ (start - data.offset) / data.n
    score, weight, eta = np.empty(data.n), np.empty(data.n), data.offset + data.q_matrix @ gamma
    value = rows(data.link, data.y, data.trials, eta, score, 0, data.n)
    converged = False
    for _ in range(100):
        informations(data.link, data.trials, eta, weight)
        matrix = (data.q_matrix * weight[:, None]).T @ data.q_matrix
        slope = data.q_matrix.T @ score
        step = np.linalg.lstsq(matrix, slope, rcond=1e-14)[0]
        size, better = 1.0, -np.inf
        while size > 1e-6:
            trial = gamma + size * step
            eta = data.offset + data.q_matrix @ trial
            better = rows(data.link, data.y, data.trials, eta, score, 0, data.n)
            if better >= value - 1e-12 * abs(value):
                break
            size /= 2.0
        gamma = gamma + size * step
        gain, value = better - value, better
        if abs(gain) < 1e-12 * (abs(value) + 1.0) and float(slope @ step) < 1e-8:
            converged = True
            break
    informations(data.link, data.trials, eta, weight)
    matrix = (data.q_matrix * weight[:, None]).T @ data.q_matrix / data.n
    scale = float(np.trace(matrix)) / data.p
    finite = converged and bool(np.linalg.eigvalsh(matrix)[0] > 1e-7 * scale) and _overlap(data, eta)
    covariance = np.linalg.pinv(matrix) / data.n
    deviance = -2.0 * (value + constant(data.link, data.y, data.trials))
    nan = float("nan")
    return GlmFit(gamma, *_beta(data, gamma, covariance), covariance, nan, nan, np.zeros(0), deviance, finite)


def _overlap(data: Grouped, eta: Floats) -> bool:
    """No fitted probability or mean is numerically 0 (or a probability 1) where that costs the likelihood nothing."""
    at_end = eta < -15.0 if data.link == 3 else np.abs(eta) > (8.0 if data.link == 1 else 15.0)
    free = (data.y == 0) if data.link == 3 else ((data.y == 0) | (data.y == data.trials)) & (data.trials > 0)
    return not bool(np.any(at_end & free))


def _start(data: Grouped) -> Floats:
    """A linear predictor that every row can have."""
    if data.link == 3:
        return np.log(data.y + 0.5)
    share = (data.y + 0.5) / (data.trials + 1.0)
    if data.link == 2:
        return np.log(-np.log1p(-share))
    if data.link == 1:
        return 0.6 * np.log(share / (1.0 - share))
    return np.log(share / (1.0 - share))


def _beta(data: Grouped, gamma: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    inverse = data.coordinates.inverse
    variance = np.einsum("ab,bc,ac->a", inverse, covariance, inverse)
    return data.coordinates.beta(gamma), np.sqrt(np.maximum(variance, 0.0))


def _quadrature(data: Grouped, one: GlmFit) -> GlmFit:
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    logs = np.log(weights) - 0.5 * math.log(2 * math.pi) + 0.5 * points**2
    modes = np.zeros(data.groups)
    ends = constant(data.link, data.y, data.trials)

    def objective(theta: Floats) -> tuple[float, Floats]:
        gradient = np.zeros(data.p + 1)
        value = _likelihood(
            data.link, data.y, data.trials, data.offset + data.q_matrix @ theta[:-1], data.q_matrix, data.starts,
            math.exp(theta[-1]), points, logs, modes, gradient,
        )  # fmt: skip
        return (-value, -gradient) if np.isfinite(value) else (1e300, gradient)

    bounds: list[tuple[float | None, float | None]] = [(None, None)] * data.p + [(_SMALLEST, _LARGEST)]
    best: Any = None
    for sd in (0.5, 0.05):
        start = np.append(one.gamma, math.log(sd))
        found = optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 500},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-6:
            best = found
    theta = np.asarray(best.x, dtype=float)
    singular = bool(theta[-1] < math.log(5e-3))
    free = data.p if singular else data.p + 1
    hessian = np.empty((free, free))
    for k in range(free):
        step = 1e-4 * (1.0 if k == data.p else max(math.sqrt(one.gamma_covariance[k, k]) * 10.0, 1e-6))
        up, down = theta.copy(), theta.copy()
        up[k] += step
        down[k] -= step
        hessian[k] = (objective(up)[1][:free] - objective(down)[1][:free]) / (2.0 * step)
    covariance: Floats = np.linalg.pinv((hessian + hessian.T) / 2.0).astype(np.float64)
    value = objective(theta)[0]
    sigma2 = 0.0 if singular else math.exp(2.0 * theta[-1])
    se = float("nan") if singular else 2.0 * sigma2 * math.sqrt(max(covariance[-1, -1], 0.0))
    upper = covariance[: data.p, : data.p]
    gamma = theta[:-1]
    finite = bool(np.all(np.isfinite(gamma)) and theta[-1] < _LARGEST - 1e-6)
    return GlmFit(
        gamma, *_beta(data, gamma, upper), upper, sigma2, se, modes * math.exp(theta[-1]), 2.0 * (value - ends), finite,
        singular,
    )  # fmt: skip


@njit
def _likelihood(
    link: int, y: Any, trials: Any, fixed: Any, design: Any, starts: Any, sd: float, points: Any, logs: Any, modes: Any,
    gradient: Any,
) -> float:  # fmt: skip
    """Log likelihood with the standardised effects b_j = u_j / sd integrated out; adds to the gradient in (γ, log sd).

    modes (J,) holds the modes of b, improved in place.
    """
    groups, nodes, p = len(modes), len(points), design.shape[1]
    values = np.empty(nodes)
    total = 0.0
    scores = np.empty(len(y))
    for j in range(groups):
        start, stop = starts[j], starts[j + 1]
        b = modes[j]
        curvature = 1.0
        value = -np.inf
        step = 0.0
        for _ in range(60):  # Newton with halving; the objective is concave in b
            here, slope, curvature = -0.5 * b * b, -b, 1.0
            for i in range(start, stop):
                eta = fixed[i] + sd * b
                one, score = row(link, y[i], trials[i], eta)
                here += one
                slope += sd * score
                curvature += sd * sd * information(link, trials[i], eta)
            if value == -np.inf and not here > -np.inf:  # the mode of other parameters is out of range for these
                if b == 0.0:
                    break
                b = 0.0
                continue
            if not here >= value - 1e-10 * (1.0 + abs(value)):
                step *= 0.5
                b -= step
                if abs(step) < 1e-10:
                    break
                continue
            value = here
            step = slope / curvature
            if abs(step) < 1e-8:
                break
            b += step
        modes[j] = b if b == b else 0.0
        width = 1.0 / math.sqrt(curvature)
        for m in range(nodes):
            at = b + width * points[m]
            value = logs[m] - 0.5 * at * at
            for i in range(start, stop):
                value += row(link, y[i], trials[i], fixed[i] + sd * at)[0]
            values[m] = value
        top = np.max(values)
        if not np.isfinite(top):
            return np.nan
        mass = 0.0
        for m in range(nodes):
            values[m] = math.exp(values[m] - top)
            mass += values[m]
        total += top + math.log(mass * width)
        for i in range(start, stop):
            scores[i] = 0.0
        for m in range(nodes):
            at = b + width * points[m]
            for i in range(start, stop):
                score = row(link, y[i], trials[i], fixed[i] + sd * at)[1] * values[m] / mass
                scores[i] += score
                gradient[p] += score * sd * at
    for i in range(len(y)):
        for k in range(p):
            gradient[k] += scores[i] * design[i, k]
    return total
