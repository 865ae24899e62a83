"""Maximum likelihood by adaptive quadrature for binomial and Poisson models with random slopes, and its profiles.

Searched in γ and the Cholesky factor T of Ω, in which the likelihood is even, so that a variance of zero is an ordinary
point; started from the Laplace approximation (glm_laplace).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling.cloning_glm import Target
from templates_engine.sampling.cloning_profile import Profile, found_profile
from templates_engine.sampling.glm_families import constant
from templates_engine.sampling.mixed_stats import Floats

_SINGULAR = 1e-5  # smallest eigenvalue of Ω, in units in which 1 matters as much as 1 on the scale of η
_STEP = 1e-3  # of differences, relative to standard errors


@dataclass(frozen=True)
class QuadratureFit:
    """Estimates; NaN among the errors of Ω on its boundary."""

    gamma: Floats  # (p,) in orthonormal coordinates
    gamma_covariance: Floats
    beta: Floats
    beta_se: Floats
    omega: Floats  # (q, q)
    omega_se: Floats  # packed
    deviance: float  # -2 log likelihood, all constants kept
    singular: bool


def fit(of: Target, beta: Floats, beta_se: Floats, omega: Floats) -> QuadratureFit:
    """From starting values; beta_se sets the scale of the search."""
    data, p, q = of.data, of.data.p, of.q
    room = of.room()
    rows, columns = np.tril_indices(q)
    unit = np.outer(of.unit, np.ones(q))
    width = np.maximum(np.nan_to_num(np.abs(data.coordinates.triangle) @ beta_se, nan=0.1), 1e-8)
    origin = data.coordinates.triangle @ (beta - data.coordinates.centre)

    def root_of(packed: Floats) -> Floats:
        root = np.zeros((q, q))
        root[rows, columns] = packed
        return root * unit

    def criterion(at: Floats) -> float:
        return -max(of.at_root(origin + width * at[:p], root_of(at[p:]), room), -1e100)

    scaled = omega / np.outer(of.unit, of.unit)
    start = np.linalg.cholesky(scaled + 1e-3 * np.eye(q))[rows, columns]
    bounds: list[Any] = [(None, None)] * p + [
        (0.0 if r == c else None, None) for r, c in zip(rows, columns, strict=True)
    ]
    found: Any = None
    for begin in (start, np.where(rows == columns, 0.5, 0.0)):
        options = {"ftol": 1e-13, "gtol": 1e-6, "maxiter": 200}
        one = optimize.minimize(
            criterion, np.append(np.zeros(p), begin), jac="3-point", method="L-BFGS-B", bounds=bounds, options=options
        )
        if found is None or one.fun < found.fun - 1e-6:
            found = one
    gamma, root = origin + width * found.x[:p], root_of(found.x[p:])
    best = root @ root.T
    singular = bool(np.linalg.eigvalsh(best / np.outer(of.unit, of.unit))[0] < _SINGULAR)
    covariance = _curvature(of, gamma, best, width, p if singular else p + len(rows))
    upper = covariance[:p, :p]
    if not np.all(np.diag(upper) > 0):  # also NaN: Ω so near its boundary that differences step over it
        upper = _curvature(of, gamma, best, width, p)
    if not np.all(np.diag(upper) > 0):
        upper = np.diag(width**2)
    inverse = data.coordinates.inverse
    errors = np.full(len(rows), math.nan)
    if not singular:
        spread = np.diag(covariance)[p:]
        errors = np.sqrt(np.where(spread > 0, spread, np.nan))
    deviance = 2.0 * (float(found.fun) - constant(data.link, data.y, data.trials))
    beta_error = np.sqrt(np.maximum(np.einsum("ab,bc,ac->a", inverse, upper, inverse), 0.0))
    return QuadratureFit(gamma, upper, data.coordinates.beta(gamma), beta_error, best, errors, deviance, singular)


def _root(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.cholesky(matrix), dtype=float)


def _curvature(of: Target, gamma: Floats, omega: Floats, width: Floats, free: int) -> Floats:
    """Covariance of the first `free` of (γ, packed Ω), by differences of the log likelihood."""
    p, q = len(gamma), len(omega)
    rows, columns = np.tril_indices(q)
    room = of.room()
    sd = np.sqrt(np.diag(omega))
    step = np.append(30 * _STEP * width, 5 * _STEP * sd[rows] * sd[columns])[:free]
    point = np.append(gamma, omega[rows, columns])

    def value(away: Floats) -> float:
        at = point.copy()
        at[:free] += away
        matrix = np.zeros((q, q))
        matrix[rows, columns] = matrix[columns, rows] = at[p:]
        ridge = 1e-12 * max(float(np.trace(matrix)), 1e-12) * np.eye(q)
        return of.at_root(at[:p], _root(matrix + ridge), room)

    hessian = np.empty((free, free))
    try:
        for a in range(free):
            for b in range(a + 1):
                da, db = np.eye(free)[a] * step, np.eye(free)[b] * step
                mixed = value(da + db) - value(da - db) - value(db - da) + value(-da - db)
                hessian[a, b] = hessian[b, a] = -mixed / (4.0 * step[a] * step[b])
        return np.asarray(np.linalg.inv(hessian), dtype=float)
    except np.linalg.LinAlgError:
        return np.full((free, free), math.nan)


def profile(
    of: Target, place: tuple[str, int, int], gamma: Floats, gamma_covariance: Floats, omega: Floats, se: float,
    level: float,
) -> Profile:  # fmt: skip
    """Of ("beta", k, 0), or of ("omega", 0, k), the k-th variance; gamma, omega: the maximum."""
    p, q = of.data.p, of.q
    rows, columns = np.tril_indices(q)
    what, k, variance = place
    width = np.sqrt(np.maximum(np.diag(gamma_covariance), 1e-12))
    turn = np.arange(q)
    if what == "omega":  # its coefficient first in the factor, whose first element then is the standard deviation
        turn = np.array([variance, *(j for j in range(q) if j != variance)])
    turned = omega[np.ix_(turn, turn)]
    packed = _root(turned + 1e-10 * max(float(np.trace(omega)), 1e-6) * np.eye(q))[rows, columns]
    room = of.room()

    def minus(at: Floats, elements: Floats) -> float:
        factor = np.zeros((q, q))
        factor[rows, columns] = elements
        if q > 1 and what == "omega":
            matrix = np.empty((q, q))
            matrix[np.ix_(turn, turn)] = factor @ factor.T
            factor = _root(matrix + 1e-13 * max(float(np.trace(matrix)), 1e-12) * np.eye(q))
        return -max(of.at_root(at, factor, room), -1e100)

    best = minus(gamma, packed)
    if what == "omega":
        estimate = float(omega[variance, variance])
        origin = np.append(np.zeros(p), packed[1:])

        def criterion(free: Floats, value: float) -> float:
            return minus(gamma + width * free[:p], np.append(math.sqrt(max(value, 0.0)), free[p:]))

    else:
        weights = of.data.coordinates.inverse[k]
        centre = float(of.data.coordinates.centre[k])
        estimate = centre + float(weights @ gamma)
        along = weights / float(weights @ weights)
        _, _, vectors = np.linalg.svd(weights[None, :])
        basis = vectors[1:].T * float(np.mean(width))  # (p, p - 1)
        origin = np.append(np.zeros(p - 1), packed)

        def criterion(free: Floats, value: float) -> float:
            at = gamma + along * (value - estimate) + basis @ free[: p - 1]
            return minus(at, free[p - 1 :])

    return found_profile(_drops(criterion, origin, best), estimate, se, what == "omega", level)


def _drops(criterion: Callable[[Floats, float], float], origin: Floats, best: float) -> Callable[[float], float]:
    """2 (l̂ - l(v)), each search begun at the solution for the nearest value so far."""
    solved: dict[float, Floats] = {}

    def drop(value: float) -> float:
        start = solved[min(solved, key=lambda other: abs(other - value))] if solved else origin
        if not len(start):
            return 2.0 * (criterion(start, value) - best)
        found = optimize.minimize(
            lambda at: criterion(at, value), start, method="L-BFGS-B", options={"ftol": 1e-11, "gtol": 1e-4}
        )
        solved[value] = np.asarray(found.x)
        return 2.0 * (float(found.fun) - best)

    return drop
