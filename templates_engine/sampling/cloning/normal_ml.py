"""Maximum likelihood and REML for the Normal model of any random part, and the likelihood's profiles.

Coefficients and (where it is free) the residual variance are maximised over in closed form (Bates, Mächler, Bolker and
Walker 2015, section 2.3); what is left is a function of the relative factors T_c, Ω_c = σ² T_c T_c', which is even in
each diagonal element, so that zero, a variance on the boundary, is an ordinary point of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import linalg, optimize

from templates_engine.sampling.cloning.fixed_variance import CORRELATION, Pinned, lower_root
from templates_engine.sampling.cloning.normal import Target
from templates_engine.sampling.cloning.profile import search
from templates_engine.sampling.differences import hessian
from templates_engine.sampling.normal import Fit, Floats

_ZERO = 0.02  # of a relative sd in its unit: near enough to zero to try zero itself
_SINGULAR = 1e-7  # smallest eigenvalue, in the same units


class Surface:
    """-2 log likelihood, or the REML criterion, as a function of the relative factors."""

    def __init__(self, of: Target):
        self.of, self.n, self.p, self.q = of, of.n, of.p, of.q
        self.constant = 2.0 * float(np.sum(np.log(np.diag(of.coordinates.triangle))))
        self.diagonal = np.concatenate([np.eye(q, dtype=bool)[np.tril_indices(q)] for q in self.q])

    def roots(self, packed: Floats) -> list[Floats]:
        """T_c of their lower triangles, one after the other, in units of the columns."""
        found, at = [], 0
        for q, unit in zip(self.q, self.of.unit, strict=True):
            factor = np.zeros((q, q))
            size = q * (q + 1) // 2
            factor[np.tril_indices(q)] = packed[at : at + size]
            found.append(factor * unit[:, None])
            at += size
        return found

    def packed(self, omega: Sequence[Floats], sigma2: float) -> Floats:
        """The inverse of `roots`, from covariance matrices."""
        parts = []
        for matrix, unit in zip(omega, self.of.unit, strict=True):
            parts.append(lower_root(matrix / sigma2 / np.outer(unit, unit))[np.tril_indices(len(unit))])
        return np.concatenate(parts)

    def solve(
        self, roots: Sequence[Floats], coefficient: int = -1, value: float = 0.0
    ) -> tuple[float, float, Floats, Floats]:
        """(RSS, log|V|, γ̂, factor of γ's information times σ²); with a coefficient, RSS under β_k = value.

        Raises LinAlgError where V is not positive definite.
        """
        matrix, logs = self.of.reduced(roots)
        if not math.isfinite(logs):
            raise np.linalg.LinAlgError
        p = self.p
        factor: Floats = np.linalg.cholesky(matrix[:p, :p]).astype(float)
        half = linalg.solve_triangular(factor, matrix[:p, p], lower=True)
        gamma: Floats = linalg.solve_triangular(factor.T, half, lower=False)
        rss = float(matrix[p, p] - half @ half)
        if coefficient >= 0:
            weights = self.of.coordinates.inverse[coefficient]
            spread = linalg.solve_triangular(factor, weights, lower=True)
            away = value - self.of.coordinates.centre[coefficient] - float(weights @ gamma)
            rss += away**2 / float(spread @ spread)
        return rss, logs, gamma, factor

    def at(
        self, roots: Sequence[Floats], sigma2: float | None = None, *, reml: bool = False, coefficient: int = -1,
        value: float = 0.0,
    ) -> float:  # fmt: skip
        """The criterion, all constants kept; maximised over σ² where that is None. Infinite where undefined."""
        try:
            rss, logs, _, factor = self.solve(roots, coefficient, value)
        except np.linalg.LinAlgError:
            return math.inf
        if not rss > 0.0:
            return math.inf
        df = self.n
        if reml:
            df -= self.p
            logs += 2.0 * float(np.sum(np.log(np.diag(factor)))) + self.constant
        if sigma2 is None:
            return df * (1.0 + math.log(2.0 * math.pi * rss / df)) + logs
        return df * math.log(2.0 * math.pi * sigma2) + logs + rss / sigma2


def fit(surface: Surface, *, reml: bool) -> Fit:
    """The estimates with standard errors (of the coefficients at the estimated variances)."""
    diagonal = surface.diagonal

    def criterion(packed: Floats) -> float:
        return surface.at(surface.roots(packed), reml=reml)

    bounds = [(0.0, None) if d else (None, None) for d in diagonal]
    best: Any = None
    for size in (0.3, 1.0, 0.05):
        found = optimize.minimize(
            criterion, np.where(diagonal, size, 0.0), method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-13, "maxiter": 100},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-7:
            best = found
    polished = optimize.minimize(
        criterion, best.x, method="Nelder-Mead", bounds=bounds,
        options={"xatol": 1e-6, "fatol": 1e-10, "maxfev": 200 * len(diagonal), "adaptive": len(diagonal) > 2},
    )  # fmt: skip
    packed = np.asarray(min((best, polished), key=lambda found: found.fun).x, dtype=float)
    for k in np.flatnonzero(diagonal):
        zero = np.where(np.arange(len(packed)) == k, 0.0, packed)
        if packed[k] < _ZERO and criterion(zero) <= criterion(packed) + 1e-8:
            packed = zero
    roots = surface.roots(packed)
    rss, _, gamma, factor = surface.solve(roots)
    sigma2 = rss / (surface.n - (surface.p if reml else 0))
    half = linalg.solve_triangular(factor, surface.of.coordinates.inverse.T, lower=True)
    se = np.sqrt(sigma2 * np.sum(half * half, axis=0))
    omega = [root @ root.T * sigma2 for root in roots]
    scaled = [root @ root.T / np.outer(u, u) for root, u in zip(roots, surface.of.unit, strict=True)]
    singular = tuple(bool(np.linalg.eigvalsh(w)[0] < _SINGULAR) for w in scaled)
    spread = np.full(len(packed) + 1, np.nan)
    if not any(singular):
        variance = np.diag(curvature(surface, omega, sigma2, reml=reml))
        spread = np.sqrt(np.where(variance > 0, variance, np.nan))
    parts, at = [], 0
    for q in surface.q:
        parts.append(spread[at : at + q * (q + 1) // 2])
        at += q * (q + 1) // 2
    return Fit(
        surface.of.coordinates.beta(gamma), se, tuple(omega), tuple(parts), float(sigma2), float(spread[-1]),
        criterion(packed), singular,
    )  # fmt: skip


def curvature(surface: Surface, omega: Sequence[Floats], sigma2: float, *, reml: bool) -> Floats:
    """Covariance of (packed Ω_1, Ω_2, …, σ²) from the numerical Hessian of the profile; NaN where it is singular."""
    places = [np.tril_indices(len(w)) for w in omega]
    point = np.concatenate([*(w[at] for w, at in zip(omega, places, strict=True)), [sigma2]])
    steps = [np.sqrt(np.diag(w)) for w in omega]
    step = 1e-3 * np.concatenate([*(s[r] * s[c] for s, (r, c) in zip(steps, places, strict=True)), [sigma2]])

    def value(at: Floats) -> float:
        roots, k = [], 0
        for w, (rows, columns) in zip(omega, places, strict=True):
            matrix = np.zeros_like(w)
            matrix[rows, columns] = matrix[columns, rows] = at[k : k + len(rows)]
            roots.append(np.linalg.cholesky(matrix / at[-1]))
            k += len(rows)
        return surface.at(roots, float(at[-1]), reml=reml)

    size = len(point)
    try:
        return np.asarray(np.linalg.inv(hessian(value, point, step) / 2.0), dtype=float)
    except np.linalg.LinAlgError:
        return np.full((size, size), np.nan)


def profiled(
    surface: Surface, omega: Sequence[Floats], sigma2: float, place: tuple[str, int, int, int]
) -> Callable[[float], float]:
    """-2 log likelihood with one parameter held and all others at their best, as a function of its value.

    omega, sigma2: the estimates. place: ("beta", k, 0, 0), ("sigma2", 0, 0, 0), ("omega", c, k, 0) for the k-th
    variance of Ω_c, or ("rho", c, a, b) for the correlation of two of its coefficients.
    """
    start = surface.packed(omega, sigma2)
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
        packed = np.concatenate([free[:before], start[before:after], free[end:]])
        roots = surface.roots(packed)
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
