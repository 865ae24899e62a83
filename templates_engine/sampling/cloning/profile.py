"""Profile likelihood of one parameter: the log likelihood maximised over all the others, and its interval.

The interval holds the values that a likelihood-ratio test at the level would not reject, 2 (l̂ - l(v)) ≤ χ²_1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from templates_engine.sampling.cloning.joined_groups import Cells, reduced
from templates_engine.sampling.normal import Coordinates, Floats

POINTS = 41


@dataclass(frozen=True)
class Profile:
    """values and drops = 2 (l̂ - l(v)); the interval's ends, 0 or infinite where the likelihood does not fall enough."""

    values: Floats
    drops: Floats
    lower: float
    upper: float


class NormalLikelihood:
    """-2 log L of the Normal model with a random intercept, with the coefficients maximised over, or all but one."""

    def __init__(self, cells: Cells, coordinates: Coordinates):
        self.cells, self.coordinates = cells, coordinates

    def at(self, sigma2: float, relative: float, coefficient: int = -1, value: float = 0.0) -> float:
        """At σ² and Λ; with a coefficient, under β_k = value."""
        matrix, logs = self._reduced(np.array([[relative]]))
        rss = self._rss(matrix, coefficient, value)
        return self.cells.n * math.log(2 * math.pi * sigma2) + logs + rss / sigma2

    def best(self, relative: float, coefficient: int = -1, value: float = 0.0) -> float:
        """At Λ, σ² maximised over too."""
        matrix, logs = self._reduced(np.array([[relative]]))
        n = self.cells.n
        return n * (1.0 + math.log(2 * math.pi * self._rss(matrix, coefficient, value) / n)) + logs

    def _reduced(self, relative: Floats) -> tuple[Floats, float]:
        c = self.cells
        matrix = np.empty((c.p + 1, c.p + 1))
        logs = float(reduced(c.triangles, c.counts, c.moments, c.base, relative, matrix))
        return matrix, logs

    def _rss(self, matrix: Floats, coefficient: int, value: float) -> float:
        p = self.cells.p
        a, b = matrix[:p, :p], matrix[:p, p]
        gamma = np.linalg.solve(a, b)
        rss = float(matrix[p, p] - b @ gamma)
        if coefficient >= 0:
            weights = self.coordinates.inverse[coefficient]
            away = value - self.coordinates.centre[coefficient] - float(weights @ gamma)
            rss += away**2 / float(weights @ np.linalg.solve(a, weights))
        return rss


def _least(criterion: Callable[[float], float]) -> float:
    """Least value over one logarithm: a grid, then Brent between its neighbours; the lower end counts too."""
    grid = np.linspace(-14.0, 14.0, 57)
    values = [criterion(v) for v in grid]
    at = int(np.argmin(values))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(criterion, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    return float(min(found.fun, values[at]))


def normal_profile(
    likelihood: NormalLikelihood, parameter: str, estimate: float, se: float, best: float, level: float
) -> Profile:
    """beta_k, sigma2_u or sigma2. best: -2 log likelihood at the maximum."""
    if parameter.startswith("beta_"):
        k = int(parameter.removeprefix("beta_"))
        return found_profile(
            lambda v: _least(lambda r: likelihood.best(math.exp(r), k, v)) - best, estimate, se, False, level
        )
    if parameter == "sigma2":
        return found_profile(
            lambda v: _least(lambda r: likelihood.at(v, math.exp(r))) - best, estimate, se, True, level
        )

    def group(v: float) -> float:
        return _least(lambda s: likelihood.at(math.exp(s) * scale, v / (math.exp(s) * scale))) - best

    scale = max(abs(estimate), se if math.isfinite(se) else 0.0, 1e-12)
    return found_profile(group, estimate, se, True, level)


def found_profile(drop: Callable[[float], float], estimate: float, se: float, positive: bool, level: float) -> Profile:
    """The curve and interval of drop(v) = 2 (l̂ - l(v)); `positive`: the parameter is a variance."""
    limit = float(stats.chi2.ppf(level / 100.0, 1))
    spread = se if math.isfinite(se) and se > 0 else max(abs(estimate), 1e-3)
    ends = []
    for side in (-1.0, 1.0):
        near, far, end = estimate, estimate, math.nan
        for step in range(60):
            if positive:
                factor = spread / estimate if estimate > 0 else 1.0
                far = max(estimate, 1e-12) * math.exp(side * 0.5 * (step + 1) * max(factor, 0.05))
                if estimate <= 1e-12 * spread:
                    far = spread * 0.25 * 1.5**step if side > 0 else 0.0
            else:
                far = estimate + side * 0.5 * (step + 1) * spread
            value = drop(far)
            if value > limit:
                end = float(optimize.brentq(lambda v: drop(v) - limit, near, far, xtol=1e-9 * spread, rtol=1e-9))
                break
            near = far
            if positive and side < 0 and far < 1e-6 * max(spread, 1e-300):
                end = 0.0
                break
        ends.append(end if math.isfinite(end) else (0.0 if side < 0 and positive else side * math.inf))
    lower, upper = ends
    low = lower if math.isfinite(lower) else estimate - 4 * spread
    high = upper if math.isfinite(upper) else estimate + 4 * spread
    room = 0.15 * (high - low)
    values = np.linspace(max(low - room, 1e-9 * spread) if positive else low - room, high + room, POINTS)
    return Profile(values, np.array([max(drop(v), 0.0) for v in values]), lower, upper)


def correlation_profile(drop: Callable[[float], float], estimate: float, se: float, level: float) -> Profile:
    """The same of a correlation, stepped along Fisher's z = atanh; its interval ends at -1 or 1 where the likelihood
    does not fall enough before."""
    clipped = min(max(estimate, -0.999), 0.999)
    spread = se / (1.0 - clipped * clipped) if math.isfinite(se) and se > 0 else 0.5
    found = found_profile(lambda z: drop(math.tanh(z)), math.atanh(clipped), spread, False, level)
    return Profile(np.tanh(found.values), found.drops, math.tanh(found.lower), math.tanh(found.upper))


def search(
    criterion: Callable[[Floats, float], float], origin: Floats, *, ftol: float = 1e-12, gtol: float = 1e-5
) -> Callable[[float], float]:
    """The least value of criterion(free, v) over its free coordinates, as a function of v. Each search begins at the
    solution for the nearest v so far, the first at `origin`."""
    solved: dict[float, Floats] = {}

    def best(value: float) -> float:
        start = solved[min(solved, key=lambda other: abs(other - value))] if solved else origin
        if not len(start):
            return criterion(start, value)
        answer = optimize.minimize(
            lambda at: min(criterion(at, value), 1e100), start, method="L-BFGS-B", options={"ftol": ftol, "gtol": gtol}
        )
        solved[value] = np.asarray(answer.x)
        return float(answer.fun)

    return best
