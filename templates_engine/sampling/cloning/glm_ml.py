"""Maximum likelihood by adaptive quadrature for binomial and Poisson models with random slopes, and its profiles.

Searched in γ and the Cholesky factor T of Ω, in which the likelihood is even, so that a variance of zero is an ordinary
point; started from the Laplace approximation (glm.laplace).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling.cloning.fixed_variance import Pinned, lower_root
from templates_engine.sampling.cloning.glm import Target
from templates_engine.sampling.cloning.profile import Profile, correlation_profile, found_profile, search
from templates_engine.sampling.glm import constant
from templates_engine.sampling.normal import Floats

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
    of: Target, place: tuple[str, int, int, int], gamma: Floats, gamma_covariance: Floats, omega: Floats, se: float,
    level: float,
) -> Profile:  # fmt: skip
    """Of ("beta", k, 0, 0), of ("omega", 0, k, 0), the k-th variance, or of ("rho", 0, a, b), the correlation of two
    coefficients; gamma, omega: the maximum."""
    p, q = of.data.p, of.q
    rows, columns = np.tril_indices(q)
    what, k, a, b = place
    width = np.sqrt(np.maximum(np.diag(gamma_covariance), 1e-12))
    room = of.room()
    ridge = 1e-10 * max(float(np.trace(omega)), 1e-6) * np.eye(q)

    def minus(at: Floats, factor: Floats) -> float:
        return -max(of.at_root(at, factor, room), -1e100)

    if what != "beta":
        # In units of the coefficients themselves: here the search is in T and not relative to anything.
        pin = Pinned(what, a, b, np.ones(q))
        estimate = float(omega[a, a]) if what == "omega" else float(omega[a, b] / math.sqrt(omega[a, a] * omega[b, b]))
        origin = np.append(np.zeros(p), pin.free(omega + ridge))

        def criterion(free: Floats, value: float) -> float:
            factor = pin.factor(free[p:], value)
            if q > 1:
                factor = lower_root(factor @ factor.T)
            return minus(gamma + width * free[:p], factor)

    else:
        weights = of.data.coordinates.inverse[k]
        centre = float(of.data.coordinates.centre[k])
        estimate = centre + float(weights @ gamma)
        along = weights / float(weights @ weights)
        _, _, vectors = np.linalg.svd(weights[None, :])
        basis = vectors[1:].T * float(np.mean(width))  # (p, p - 1)
        origin = np.append(np.zeros(p - 1), lower_root(omega + ridge)[rows, columns])

        def criterion(free: Floats, value: float) -> float:
            at = gamma + along * (value - estimate) + basis @ free[: p - 1]
            factor = np.zeros((q, q))
            factor[rows, columns] = free[p - 1 :]
            return minus(at, factor)

    best = minus(gamma, lower_root(omega + ridge))
    at_best = search(criterion, origin, ftol=1e-11, gtol=1e-4)

    def drop(value: float) -> float:
        return 2.0 * (at_best(value) - best)

    if what == "rho":
        return correlation_profile(drop, estimate, se, level)
    return found_profile(drop, estimate, se, what == "omega", level)
