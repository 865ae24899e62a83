"""Pieces of the collapsed samplers: the Laplace approximation they start from, and Student proposals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import solve_lower
from templates_engine.sampling.normal import Floats

DEGREES = 8.0  # of freedom of the Student proposal: tails heavier than the target's


@dataclass(frozen=True)
class Laplace:
    """Mode and spread of a target. `regular`: it has one interior mode that a Student proposal covers; else `proposal`
    may cover it (cloning.boundary_proposals.Mixture)."""

    mode: Floats  # (d,)
    factor: Floats  # (d, d) lower Cholesky factor of the covariance
    regular: bool
    proposal: Any = None

    @property
    def covariance(self) -> Floats:
        return np.asarray(self.factor @ self.factor.T)


def laplace(density: Callable[[Floats], float], start: Floats, scale: Floats, widest: float = 2.0) -> Laplace:
    """Newton's method from `start` with differences of `scale`; falls back to Nelder-Mead.

    Not regular where the target's curvature at the mode gives a standard deviation above `widest` times its scale.
    """

    def target(at: Floats) -> float:
        return max(density(at), -1e200)  # outside the prior's range: low, and not infinitely so

    d = len(start)
    scale = np.array(scale, dtype=float)
    mode = np.array(start, dtype=float)
    for attempt in range(2):
        value = target(mode)
        settled = False
        for _ in range(30):
            gradient, hessian = _derivatives(target, mode, 1e-3 * scale)
            values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
            values = np.minimum(values, -1e-3)
            step = -scale * (vectors @ ((vectors.T @ (gradient * scale)) / values))
            size = 1.0
            while size > 1e-4 and not target(mode + size * step) >= value - 1e-9 * (1.0 + abs(value)):
                size *= 0.5
            mode = mode + size * step
            value = target(mode)
            if float(np.max(np.abs(step) / scale)) < 1e-4 or size <= 1e-4:
                settled = size > 1e-4
                break
        _, hessian = _derivatives(target, mode, 1e-3 * scale)
        curvature = -hessian * np.outer(scale, scale)
        values, vectors = np.linalg.eigh(curvature)
        regular = settled and bool(np.all(np.isfinite(values)) and values[0] > widest**-2)
        if regular or attempt:
            break
        options = {"maxiter": 400 * d, "xatol": 1e-5, "fatol": 1e-8}
        found = optimize.minimize(lambda x: -target(x), mode, method="Nelder-Mead", options=options)
        mode = np.asarray(found.x, dtype=float)
    values = np.clip(np.nan_to_num(values, nan=1.0), widest**-2, None)
    covariance = (vectors / values) @ vectors.T * np.outer(scale, scale)
    return Laplace(mode, np.linalg.cholesky(covariance), regular)


def _derivatives(target: Callable[[Floats], float], at: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Gradient and Hessian by central differences."""
    d = len(at)
    centre = target(at)
    up, down = np.empty(d), np.empty(d)
    gradient, hessian = np.empty(d), np.empty((d, d))
    unit = np.diag(step)
    for a in range(d):
        up[a], down[a] = target(at + unit[a]), target(at - unit[a])
        gradient[a] = (up[a] - down[a]) / (2.0 * step[a])
        hessian[a, a] = (up[a] - 2.0 * centre + down[a]) / step[a] ** 2
    for a in range(d):
        for b in range(a):
            corners = target(at + unit[a] + unit[b]) - target(at + unit[a] - unit[b])
            corners += target(at - unit[a] - unit[b]) - target(at - unit[a] + unit[b])
            hessian[a, b] = hessian[b, a] = corners / (4.0 * step[a] * step[b])
    return np.nan_to_num(gradient), np.nan_to_num(hessian, nan=-1e-12)


@njit
def propose(rng: Any, mode: Any, factor: Any, d: int, out: Any) -> float:
    """One draw of the multivariate Student into out; returns its log density, constants left out."""
    divisor = math.sqrt(2.0 * rng.standard_gamma(0.5 * DEGREES) / DEGREES)
    length = 0.0
    z = np.empty(d)
    for k in range(d):
        z[k] = rng.standard_normal() / divisor
        length += z[k] * z[k]
    for k in range(d):
        out[k] = mode[k]
        for m in range(k + 1):
            out[k] += factor[k, m] * z[m]
    return -0.5 * (DEGREES + d) * math.log1p(length / DEGREES)


@njit
def proposal_density(mode: Any, factor: Any, d: int, at: Any) -> float:
    """Log density of the Student at a point, constants left out."""
    z = np.empty(d)
    for k in range(d):
        z[k] = at[k] - mode[k]
    solve_lower(factor, z, d)
    length = 0.0
    for k in range(d):
        length += z[k] * z[k]
    return -0.5 * (DEGREES + d) * math.log1p(length / DEGREES)
