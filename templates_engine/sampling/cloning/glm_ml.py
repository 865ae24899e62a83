"""Profiles of the maximum likelihood by adaptive quadrature (glm.quadrature_fit) of binomial and Poisson models with
random slopes.

Searched in γ and the Cholesky factor T of Ω, in which the likelihood is even, so that a variance of zero is an ordinary
point.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.cloning.fixed_variance import Pinned, lower_root
from templates_engine.sampling.cloning.glm import Target
from templates_engine.sampling.cloning.profile import Profile, correlation_profile, found_profile, search
from templates_engine.sampling.normal import Floats


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
