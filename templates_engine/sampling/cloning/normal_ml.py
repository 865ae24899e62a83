"""Profiles of the likelihood of the Normal model with any classifications (sparse.reml)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from templates_engine.sampling.cloning.fixed_variance import CORRELATION, Pinned, lower_root
from templates_engine.sampling.cloning.profile import search
from templates_engine.sampling.normal import Floats
from templates_engine.sampling.sparse import Surface


def packed(surface: Surface, omega: Sequence[Floats], sigma2: float) -> Floats:
    """The inverse of Surface.roots, from covariance matrices."""
    parts = []
    for matrix, unit in zip(omega, surface.of.unit, strict=True):
        parts.append(lower_root(matrix / sigma2 / np.outer(unit, unit))[np.tril_indices(len(unit))])
    return np.concatenate(parts)


def profiled(
    surface: Surface, omega: Sequence[Floats], sigma2: float, place: tuple[str, int, int, int]
) -> Callable[[float], float]:
    """-2 log likelihood with one parameter held and all others at their best, as a function of its value.

    omega, sigma2: the estimates. place: ("beta", k, 0, 0), ("sigma2", 0, 0, 0), ("omega", c, k, 0) for the k-th
    variance of Ω_c, or ("rho", c, a, b) for the correlation of two of its coefficients.
    """
    start = packed(surface, omega, sigma2)
    what, c, a, b = place
    if what == "beta":

        def coefficient(free: Floats, value: float) -> float:
            return surface.at(surface.roots(free), coefficient=c, value=value)

        return search(coefficient, start)
    if what == "sigma2":

        def residual(free: Floats, value: float) -> float:
            return surface.at(surface.roots(free * math.sqrt(sigma2 / value)), value)

        return search(residual, start)
    sizes = [q * (q + 1) // 2 for q in surface.q]
    before, after = sum(sizes[:c]), sum(sizes[: c + 1])
    pin = Pinned(what, a, b, surface.of.unit[c])
    kept = pin.free(omega[c] / sigma2)
    end = before + len(kept)

    def at(free: Floats, value: float, of_residual: float | None) -> float:
        every = np.concatenate([free[:before], start[before:after], free[end:]])
        roots = surface.roots(every)
        factor = pin.factor(free[before:end], value)
        roots[c] = lower_root(factor @ factor.T)
        return surface.at(roots, of_residual)

    origin = np.concatenate([start[:before], kept, start[after:]])
    if what == CORRELATION:  # the same for Ω_c and Ω_c/σ²
        return search(lambda free, value: at(free, value, None), origin)

    def variance(free: Floats, value: float) -> float:
        of_residual = sigma2 * math.exp(min(free[-1], 50.0))
        return at(free[:-1], value / of_residual, of_residual)

    return search(variance, np.append(origin, 0.0))
