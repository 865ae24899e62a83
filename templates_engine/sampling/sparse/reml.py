"""Maximum likelihood and REML of the Normal model with any classifications, on a likelihood that is reduced already.

Coefficients and the residual variance are maximised over in closed form (Bates, Mächler, Bolker and Walker 2015,
section 2.3); what is left is a function of the relative factors T_c, Ω_c = σ² T_c T_c', which is even in each diagonal
element, so that zero, a variance on the boundary, is an ordinary point of it. Whether it is the maximum, the criterion
tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import linalg

from templates_engine.sampling import newton
from templates_engine.sampling.covariance_edges import factor_errors, reduced
from templates_engine.sampling.normal import Coordinates, Floats
from templates_engine.sampling.sparse.likelihood import Classes

MOST_WORK = 2e8  # multiplications an evaluation with three parameters, of which a search takes about a hundred
_SAME = 2e-8  # criteria that differ by no more say the same


@dataclass(frozen=True)
class RemlFit:
    """An ML or REML fit."""

    beta: Floats  # (p,)
    beta_se: Floats  # at the estimated variances
    omega: tuple[Floats, ...]  # (q, q) by classification
    omega_se: tuple[Floats, ...]  # packed lower triangles; NaN on the boundary
    sigma2: float
    sigma2_se: float
    deviance: float  # -2 log likelihood or the REML criterion, all constants kept
    singular: tuple[bool, ...]  # which Ω_c lie on their boundary
    sure: bool = True  # False: the search did not converge, or the Hessian is not that of a maximum


class Reduced(Protocol):
    """A likelihood reduced to its relative factors: Classes, or a target of data cloning."""

    @property
    def n(self) -> int: ...
    @property
    def p(self) -> int: ...
    @property
    def q(self) -> tuple[int, ...]: ...
    @property
    def unit(self) -> tuple[Floats, ...]: ...
    @property
    def coordinates(self) -> Coordinates: ...
    def reduced(self, roots: Sequence[Floats]) -> tuple[Floats, float]: ...


def affordable(data: Classes) -> bool:
    """Whether `fit_reml` takes seconds, half a minute at most."""
    parameters = sum(q * (q + 1) // 2 for q in data.q)
    return data.work * max(1.0, parameters**2 / 9.0) <= MOST_WORK


class Surface:
    """-2 log likelihood, or the REML criterion, as a function of the relative factors."""

    def __init__(self, of: Reduced):
        self.of, self.n, self.p, self.q = of, of.n, of.p, of.q
        self.constant = 2.0 * float(np.sum(np.log(np.diag(of.coordinates.triangle))))
        self.diagonal = np.concatenate([np.eye(q, dtype=bool)[np.tril_indices(q)] for q in self.q])

    def split(self, packed: Floats) -> list[Floats]:
        """Lower triangles, by classification, without units."""
        found, at = [], 0
        for q in self.q:
            factor = np.zeros((q, q))
            size = q * (q + 1) // 2
            factor[np.tril_indices(q)] = packed[at : at + size]
            found.append(factor)
            at += size
        return found

    def roots(self, packed: Floats) -> list[Floats]:
        """T_c of their lower triangles, one after the other, in units of the columns."""
        return [root * unit[:, None] for root, unit in zip(self.split(packed), self.of.unit, strict=True)]

    def solve(
        self, roots: Sequence[Floats], coefficient: int = -1, value: float = 0.0
    ) -> tuple[float, float, Floats, Floats]:
        """(RSS, log|V|, γ̂, factor of γ's information times σ²); with a coefficient, RSS under β_k = value.

        Raises LinAlgError where V is not positive definite.
        """
        matrix, logs = self.of.reduced(roots)
        if not math.isfinite(logs):
            raise np.linalg.LinAlgError("the covariance matrix of the response is not positive definite")
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
        return self.both(roots, sigma2, reml=reml, coefficient=coefficient, value=value)[0]

    def both(
        self, roots: Sequence[Floats], sigma2: float | None = None, *, reml: bool = False, coefficient: int = -1,
        value: float = 0.0,
    ) -> tuple[float, float]:  # fmt: skip
        """(the criterion, log RSS)."""
        try:
            rss, logs, _, factor = self.solve(roots, coefficient, value)
        except np.linalg.LinAlgError:
            return math.inf, math.nan
        if not rss > 0.0:
            return math.inf, math.nan
        df = self.n
        if reml:
            df -= self.p
            logs += 2.0 * float(np.sum(np.log(np.diag(factor)))) + self.constant
        if sigma2 is None:
            return df * (1.0 + math.log(2.0 * math.pi * rss / df)) + logs, math.log(rss)
        return df * math.log(2.0 * math.pi * sigma2) + logs + rss / sigma2, math.log(rss)


def fit_reml(surface: Surface, *, reml: bool) -> RemlFit:
    """The estimates with standard errors (of the coefficients at the estimated variances)."""

    def value(packed: Floats) -> tuple[float, float]:
        return surface.both(surface.roots(packed), reml=reml)

    start = _start(surface, value)
    size = len(start)
    every = np.ones(size, dtype=bool)
    found, slope = _search(value, start, every, np.maximum(0.3 * np.abs(start), 0.1 * np.abs(start).max()))
    free, at = every, 0
    for c, (root, unit) in enumerate(zip(surface.split(found.at), surface.of.unit, strict=True)):
        here = slice(at, at + len(root) * (len(root) + 1) // 2)
        at = here.stop
        told = _told(surface, c, unit)
        edge = reduced(root / told)
        if edge is None:
            continue
        there, mask = found.at.copy(), free.copy()
        there[here] = (edge * told)[np.tril_indices(len(root))]
        mask[here] = there[here] != 0.0
        scale = np.full(size, told)
        scale[np.flatnonzero(free)] = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(found.hessian)), 1e-300))
        again, other = _search(value, there, mask, scale)
        if again.converged and again.value <= found.value + _SAME:
            found, slope, free = again, other, mask
    return _made(surface, found, slope, free, reml)


def _told(surface: Surface, c: int, unit: Floats) -> float:
    """A relative standard deviation, in the column's unit, that tells about as much as a unit's rows do."""
    sizes = getattr(surface.of, "sizes", None)
    return math.sqrt(sizes[c] / surface.n) if sizes else 0.3


def _start(surface: Surface, value: Any) -> Floats:
    """Each classification's relative sd in turn from the best of a few sizes."""
    place = np.repeat(np.arange(len(surface.q)), [q * (q + 1) // 2 for q in surface.q])
    packed = np.where(surface.diagonal, 0.3, 0.0)
    best = value(packed)[0]
    for c in range(len(surface.q)):
        for size in (1.0, 0.1, 3.0):
            tried = np.where(surface.diagonal & (place == c), size, packed)
            if (there := value(tried)[0]) < best:
                best, packed = there, tried
    return packed


def _search(value: Any, at: Floats, free: Any, scale: Floats) -> tuple[newton.Found, Floats]:
    """(the least value over the free elements, the slope of log RSS there in these)."""
    places = np.flatnonzero(free)

    def some(part: Floats) -> tuple[float, float]:
        every = at.copy()
        every[places] = part
        found: tuple[float, float] = value(every)
        return found

    if not len(places):
        here = some(at[places])[0]
        return newton.Found(at, here, np.zeros(0), np.zeros((0, 0)), math.isfinite(here)), np.zeros(0)
    function = newton.by_values(lambda part: some(part)[0], scale[places])
    found = newton.minimise(function, at[places])
    step = 0.02 / np.sqrt(np.maximum(np.abs(np.diag(found.hessian)), 1e-300))
    slope = np.array([
        (some(found.at + move)[1] - some(found.at - move)[1]) / (2.0 * step[k])
        for k, move in enumerate(np.diag(step))
    ])  # fmt: skip
    every = at.copy()
    every[places] = found.at
    return newton.Found(every, found.value, found.gradient, found.hessian, found.converged), slope


def _made(surface: Surface, found: newton.Found, slope: Floats, free: Any, reml: bool) -> RemlFit:
    roots = surface.roots(found.at)
    rss, _, gamma, factor = surface.solve(roots)
    df = surface.n - (surface.p if reml else 0)
    sigma2 = rss / df
    half = linalg.solve_triangular(factor, surface.of.coordinates.inverse.T, lower=True)
    se = np.sqrt(sigma2 * np.sum(half * half, axis=0))
    # in (T, log σ²): the profile's Hessian H is that of T given log σ² less the part that σ² takes up, so that T has
    # covariance (H/2)^-1, and log σ² = log RSS(T) - log df at its best has that of its slope and 2/df of its own
    inner = newton.inverse(found.hessian / 2.0)
    size = len(found.at)
    covariance = np.full((size + 1, size + 1), np.nan)
    places = np.flatnonzero(free)
    if inner is not None:
        covariance[:] = 0.0
        with_log = inner @ slope
        covariance[np.ix_(places, places)] = inner
        covariance[places, -1] = covariance[-1, places] = with_log
        covariance[-1, -1] = 2.0 / df + float(slope @ with_log)
    parts, singular, at = [], [], 0
    for root, unit in zip(surface.split(found.at), surface.of.unit, strict=True):
        here = slice(at, at + len(root) * (len(root) + 1) // 2)
        at = here.stop
        singular.append(not bool(free[here].all()))
        chosen = [*range(here.start, here.stop), size]
        own = covariance[np.ix_(chosen, chosen)]
        parts.append(factor_errors(root, own, singular[-1], np.diag(unit), math.sqrt(sigma2)))
    return RemlFit(
        surface.of.coordinates.beta(gamma), se, tuple(root @ root.T * sigma2 for root in roots), tuple(parts),
        float(sigma2), float(sigma2 * math.sqrt(covariance[-1, -1])) if inner is not None else math.nan, found.value,
        tuple(singular), found.converged and inner is not None,
    )  # fmt: skip
