"""Profile likelihood of one parameter by the Laplace approximation: several classifications, binomial or Poisson.

The other parameters are searched with exact first derivatives, in coordinates in which the log likelihood at the
maximum falls alike in all directions. What the approximation errs by along the profile is told by `errors`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling.cloning import Centre, Pinned, Profile, correlation_profile, found_profile, lower_root
from templates_engine.sampling.glm import Criterion, LaplaceFit
from templates_engine.sampling.normal import Factor, Floats

DRAWS, VISITS = 200, 500_000  # draws at each place that tell the error, and rows that they pass over at most
_STEP, _NUDGE = 1e-4, 1e-2


@dataclass(frozen=True)
class Point:
    """The best parameters with one held."""

    beta: Floats
    omega: tuple[Floats, ...]


class Curve:
    """2 (l̂ - l(v)) of ("beta", k, 0, 0), ("omega", c, k, 0), the k-th variance of Ω_c, or ("rho", c, a, b)."""

    def __init__(
        self, link: str, y: Floats, x: Floats, factors: Sequence[Factor], near: LaplaceFit,
        place: tuple[str, int, int, int], *, trials: Floats, offset: Floats,
    ):  # fmt: skip
        self.of = Criterion(link, y, x, factors, trials, offset, False)
        self.what, self.c = place[0], place[1]
        coordinates = self.of.data.coordinates
        self.origin = coordinates.triangle @ (near.beta - coordinates.centre)
        p = self.of.p
        self.weights = coordinates.inverse[self.c] if self.what == "beta" else np.zeros(p)
        self.estimate = float(near.beta[self.c]) if self.what == "beta" else 0.0
        along = float(self.weights @ self.weights)
        self.along = self.weights / along if along > 0 else self.weights
        # (p, free) directions of γ along which the held coefficient stays
        self.basis = np.linalg.svd(self.weights[None, :])[2][1:].T if along > 0 else np.eye(p)
        self.triangles = [np.linalg.inv(back) for back in self.of.back]  # Z = Q R, Q'Q = n I
        units = [1.0 / np.sqrt(np.maximum(np.mean(f.z**2, axis=0), 1e-300)) for f in factors]
        self.pins = [Pinned("none", 0, 0, unit) for unit in units]
        if self.what != "beta":
            self.pins[self.c] = Pinned(self.what, place[2], place[3], units[self.c])
        parts = [self._free(c, omega) for c, omega in enumerate(near.omega)]
        self.sizes = [len(part) for part in parts]
        self.start = np.concatenate([np.zeros(self.basis.shape[1]), *parts])
        self.value = self._held(near)
        self.best = self._criterion(self.start, self.value)[0]
        self.scale = self._scale()
        self.solved: dict[float, Floats] = {self.value: self.start}

    def _held(self, near: LaplaceFit) -> float:
        if self.what == "beta":
            return self.estimate
        omega, pin = near.omega[self.c], self.pins[self.c]
        if self.what == "omega":
            return float(omega[pin.a, pin.a])
        return float(omega[pin.a, pin.b] / math.sqrt(omega[pin.a, pin.a] * omega[pin.b, pin.b]))

    def _free(self, c: int, omega: Floats) -> Floats:
        pin = self.pins[c]
        if pin.what != "none":
            return pin.free(omega)
        return lower_root(omega / np.outer(pin.unit, pin.unit))[np.tril_indices(len(omega))]

    def _factor(self, c: int, free: Floats, value: float) -> Floats:
        pin = self.pins[c]
        if pin.what != "none":
            return pin.factor(free, value)
        found = np.zeros((len(pin.unit), len(pin.unit)))
        found[np.tril_indices(len(pin.unit))] = free
        return found * pin.unit[:, None]

    def _parts(self, free: Floats, value: float) -> tuple[Floats, list[Floats]]:
        """γ and the free elements of each covariance matrix."""
        p = self.basis.shape[1]
        gamma = self.origin + self.basis @ free[:p]
        if self.what == "beta":
            gamma = gamma + self.along * (value - self.estimate)
        return gamma, np.split(free[p:], np.cumsum(self.sizes)[:-1])

    def _criterion(self, free: Floats, value: float) -> tuple[float, Floats]:
        """Half the deviance, and its gradient."""
        gamma, parts = self._parts(free, value)
        factors = [self._factor(c, part, value) for c, part in enumerate(parts)]
        roots = [r @ t for r, t in zip(self.triangles, factors, strict=True)]
        found, by_gamma, by_root, _ = self.of.at(gamma, roots)
        if not np.isfinite(found):
            return 1e100, np.zeros(len(free))
        slopes = [self.basis.T @ by_gamma]
        for c, part in enumerate(parts):
            by_factor = self.triangles[c].T @ by_root[c]
            slope = np.empty(len(part))
            for k in range(len(part)):  # the factor's elements are smooth functions of the free ones
                step = _STEP * np.eye(len(part))[k]
                change = self._factor(c, part + step, value) - self._factor(c, part - step, value)
                slope[k] = np.sum(by_factor * change) / (2.0 * _STEP)
            slopes.append(slope)
        return found - self.of.constant, np.concatenate(slopes)

    def _scale(self) -> Floats:
        """A root of the inverse curvature at the maximum."""
        size = len(self.start)
        hessian, step = np.empty((size, size)), 1e-3
        for k in range(size):
            up, down = (self._criterion(self.start + side * step * np.eye(size)[k], self.value)[1] for side in (1, -1))
            hessian[k] = (up - down) / (2.0 * step)
        curved, axes = np.linalg.eigh((hessian + hessian.T) / 2.0)
        # flat directions, as of a variance at zero, keep a step of moderate size
        return np.asarray(axes / np.sqrt(np.maximum(np.abs(curved), 1.0)))

    def __call__(self, value: float) -> float:
        """The fall at one value; the search begins at the solution for the nearest value so far."""
        begin = self.solved[min(self.solved, key=lambda other: abs(other - value))]
        if not len(begin):
            return 2.0 * (self._criterion(begin, value)[0] - self.best)
        begin = begin.copy()
        root = begin[self.basis.shape[1] :]
        root[np.abs(root) < _NUDGE] = _NUDGE  # at zero the likelihood, even in a standard deviation, has no slope

        def inner(w: Floats) -> tuple[float, Floats]:
            found, slope = self._criterion(begin + self.scale @ w, value)
            return found - self.best, self.scale.T @ slope

        found: Any = optimize.minimize(
            inner, np.zeros(len(begin)), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-6}
        )
        self.solved[value] = begin + self.scale @ found.x
        return 2.0 * float(found.fun)

    def point(self, value: float) -> Point:
        """The parameters at a value, which is searched where it has not been."""
        if value not in self.solved:
            self(value)
        gamma, parts = self._parts(self.solved[value], value)
        factors = [self._factor(c, part, value) for c, part in enumerate(parts)]
        return Point(self.of.data.coordinates.beta(gamma), tuple(t @ t.T for t in factors))


def profile(curve: Curve, se: float, level: float) -> Profile:
    """Curve and interval; se sets the steps of the search."""
    if curve.what == "rho":
        return correlation_profile(curve, curve.value, se, level)
    return found_profile(curve, curve.value, se, curve.what == "omega", level)


def errors(
    curve: Curve, centre: Centre, values: Sequence[float], rng: np.random.Generator
) -> list[tuple[float, float]]:
    """For each value the fall of twice the log likelihood itself from the estimate to the profile's point there, and
    the standard error of its simulation; NaN where it cannot be had."""
    draws = int(min(DRAWS, max(20, VISITS // len(centre.offset))))
    begin = _parameters(curve, curve.value)
    found = []
    for value in values:
        change, error = centre.path(begin, _parameters(curve, value), draws, rng)
        found.append((curve(value) - 2.0 * change, 2.0 * error))
    return found


def _parameters(curve: Curve, value: float) -> tuple[Floats, list[Floats]]:
    """(β, roots of the covariance matrices) of the profile's point; the roots have positive diagonals."""
    point = curve.point(value)
    return point.beta, [lower_root(omega + 1e-12 * np.eye(len(omega))) for omega in point.omega]
