"""REML for the Normal model with N classifications, where one elimination makes it cheap.

The criterion is profiled over β and σ² (Bates, Mächler, Bolker and Walker 2015, section 2.3). The effects of the
largest classification are eliminated unit by unit, and then either those of all the others and β in one dense
factorisation of sums made once, so that an evaluation costs J q P² + P³, P the number of the other effects; or,
where these are many and fall into parts (classes in schools), part by part (sparse.effects), at the cost of a pass
over the rows. `affordable` says when one of the two is a matter of milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from templates_engine.sampling.differences import hessian
from templates_engine.sampling.glm import factor as factor_matrix, gather, solve_with
from templates_engine.sampling.normal.classified_stats import Factor, statistics
from templates_engine.sampling.normal.two_level_stats import Coordinates, Floats, orthonormal
from templates_engine.sampling.sparse import eliminate

MOST_WORK = 2e8  # multiplications an evaluation
MOST_CELLS = 2e7  # numbers held


@dataclass(frozen=True)
class Fit:
    """A REML fit."""

    beta: Floats  # (p,)
    beta_se: Floats  # at the estimated variances
    omega: tuple[Floats, ...]  # (q, q) by classification
    omega_se: tuple[Floats, ...]  # packed lower triangles; NaN on the boundary
    sigma2: float
    sigma2_se: float
    deviance: float  # the REML criterion, all constants kept
    singular: tuple[bool, ...]  # which Ω_c lie on their boundary


def affordable(p: int, factors: Sequence[Factor]) -> bool:
    """Whether `fit` takes seconds at most."""
    return _dense(p, factors) or _by_parts(p, factors)


def _evaluations(factors: Sequence[Factor]) -> float:
    """How many a search takes, beside one with a single parameter."""
    return float(sum(factor.q * (factor.q + 1) // 2 for factor in factors)) ** 1.5


def _dense(p: int, factors: Sequence[Factor]) -> bool:
    largest = max(factor.size for factor in factors)
    others = p + sum(factor.size for factor in factors) - largest
    return largest * others <= MOST_CELLS and (largest + others) * others**2 * _evaluations(factors) <= MOST_WORK


def _by_parts(p: int, factors: Sequence[Factor]) -> bool:
    n = len(factors[0].codes)
    shape = eliminate(factors, n)
    rows = n * (5.0 + p + sum(factor.q for factor in factors)) ** 2
    return shape.cells <= MOST_CELLS and (10.0 * shape.work + rows) * _evaluations(factors) <= MOST_WORK


class _Criterion:
    """The REML criterion as a function of relative covariance factors T_c, Ω_c = σ² T_c T_c'."""

    def __init__(self, y: Floats, x: Floats, factors: Sequence[Factor]):
        sizes = [factor.size for factor in factors]
        largest = int(np.argmax(sizes))
        others = [c for c in range(len(factors)) if c != largest]
        stats = statistics(y, x, factors, core=others, centred=False)
        lay = stats.layout
        self.order, self.layout, self.coordinates = stats.order, lay, stats.coordinates
        self.n, self.p = stats.n, lay.p
        self.df = stats.n - lay.p
        self.constant = 2.0 * float(np.sum(np.log(np.diag(stats.coordinates.triangle))))
        q, groups = int(lay.q[0]), int(lay.groups[0])
        self.blocks = lay.diagonal.reshape(groups, q, q)
        self.right = lay.pull.reshape(groups, q)
        self.coupling = np.zeros((groups, q, lay.core.shape[0]))
        for j in range(groups):
            columns = lay.core_col[lay.core_ptr[j] : lay.core_ptr[j + 1]]
            self.coupling[j][:, columns] = lay.core_val[lay.value_ptr[j] : lay.value_ptr[j + 1]].reshape(q, -1)
        self.q = [factor.q for factor in factors]
        self.unit = _units(factors)

    def parts(self, roots: Sequence[Floats]) -> tuple[float, float, Floats, Floats]:
        """(RSS, log determinants, γ̂, factor of the core's matrix) at the factors T_c."""
        lay = self.layout
        root = roots[self.order[0]]
        q, p = len(root), self.p
        local = root.T @ self.blocks @ root + np.eye(q)
        lower = np.linalg.cholesky(local)
        half = np.linalg.solve(lower, np.concatenate([root.T @ self.coupling, (self.right @ root)[..., None]], axis=2))
        flat = half.reshape(-1, half.shape[2])
        eliminated = flat.T @ flat
        core, pull = lay.core - eliminated[:-1, :-1], lay.core_pull - eliminated[:-1, -1]
        # T' of the core's classifications on both sides, and the identity of their prior; the coefficients are flat.
        for place in range(1, len(self.order)):
            mine = roots[self.order[place]]
            width = len(mine)
            at, stop = int(lay.start[place]), int(lay.start[place] + lay.groups[place] * width)
            core[at:stop] = (mine.T @ core[at:stop].reshape(-1, width, len(core))).reshape(stop - at, -1)
            core[:, at:stop] = (core[:, at:stop].reshape(len(core), -1, width) @ mine).reshape(len(core), -1)
            pull[at:stop] = (pull[at:stop].reshape(-1, width) @ mine).ravel()
        inside = np.arange(p, len(core))
        core[inside, inside] += 1.0
        # the effects first, so that the last p rows of the factor belong to the coefficients given the rest of the data
        turn = np.concatenate([inside, np.arange(p)])
        factor = np.linalg.cholesky(core[np.ix_(turn, turn)])
        solved = linalg.solve_triangular(factor, pull[turn], lower=True)
        rss = lay.rss - float(eliminated[-1, -1]) - float(solved @ solved)
        logs = 2.0 * float(np.sum(np.log(np.einsum("jaa->ja", lower)))) + 2.0 * float(np.sum(np.log(np.diag(factor))))
        tail = factor[-p:, -p:]
        gamma: Floats = linalg.solve_triangular(tail.T, solved[-p:], lower=False)
        return rss, logs + self.constant, gamma, tail

    def roots(self, theta: Floats) -> list[Floats]:
        found, at = [], 0
        for q, unit in zip(self.q, self.unit, strict=True):
            factor = np.zeros((q, q))
            size = q * (q + 1) // 2
            factor[np.tril_indices(q)] = theta[at : at + size]
            found.append(factor * unit[:, None])
            at += size
        return found

    def profiled(self, theta: Floats) -> float:
        try:
            rss, logs, _, _ = self.parts(self.roots(theta))
        except np.linalg.LinAlgError:
            return math.inf
        if not rss > 0.0:
            return math.inf
        return self.df * (1.0 + math.log(2.0 * math.pi * rss / self.df)) + logs

    def at(self, omega: Sequence[Floats], sigma2: float) -> float:
        rss, logs, _, _ = self.parts([np.asarray(np.linalg.cholesky(w / sigma2), dtype=float) for w in omega])
        return self.df * math.log(2.0 * math.pi * sigma2) + rss / sigma2 + logs


class _ByParts(_Criterion):
    """The same criterion by the other way."""

    def __init__(self, y: Floats, x: Floats, factors: Sequence[Factor]):
        n, p = x.shape
        self.shape = eliminate(factors, n)
        turn = self.shape.turn
        q_matrix, triangle = orthonormal(x[turn])
        inverse = np.asarray(np.linalg.inv(triangle), dtype=float)
        centre = inverse @ (q_matrix.T @ y[turn] / n)
        residual = y[turn] - x[turn] @ centre
        self.coordinates = Coordinates(centre, triangle, inverse)
        self.n, self.p, self.df = n, p, n - p
        self.constant = 2.0 * float(np.sum(np.log(np.diag(triangle))))
        self.q = [factor.q for factor in factors]
        self.unit = _units(factors)
        self.z = [np.ascontiguousarray(factors[c].z[turn]) for c in self.shape.order]
        self.columns = np.ascontiguousarray(np.column_stack([q_matrix, residual]).T)
        self.products = self.columns @ self.columns.T
        self.ones = np.ones(n)
        self.pattern, self.matrix = self.shape.pattern(0, self.ones, self.ones), self.shape.matrix()

    def parts(self, roots: Sequence[Floats]) -> tuple[float, float, Floats, Floats]:
        scaled = [z @ roots[c] for c, z in zip(self.shape.order, self.z, strict=True)]
        z = np.ascontiguousarray(np.concatenate(scaled, axis=1))
        logs = factor_matrix(self.pattern, z, self.ones, self.matrix)
        if not math.isfinite(logs):
            raise np.linalg.LinAlgError("the effects' matrix is not positive definite")
        right = np.zeros((len(self.columns), self.shape.count))
        for values, out in zip(self.columns, right, strict=True):
            gather(self.pattern, z, values, out)
        solved = right.copy()
        for out in solved:
            solve_with(self.pattern, self.matrix, out)
        left = self.products - right @ solved.T
        tail: Floats = np.linalg.cholesky(left[:-1, :-1])
        half = linalg.solve_triangular(tail, left[:-1, -1], lower=True)
        rss = float(left[-1, -1] - half @ half)
        gamma: Floats = linalg.solve_triangular(tail.T, half, lower=False)
        return rss, logs + 2.0 * float(np.sum(np.log(np.diag(tail)))) + self.constant, gamma, tail


def _units(factors: Sequence[Factor]) -> list[Floats]:
    """Units in which a relative variance of one matters as much as the residual does in one row."""
    return [1.0 / np.sqrt(np.maximum(np.mean(f.z**2, axis=0), 1e-300)) for f in factors]


def fit(y: Floats, x: Floats, factors: Sequence[Factor]) -> Fit:
    """The REML estimates; n must exceed p."""
    criterion = _Criterion(y, x, factors) if _dense(x.shape[1], factors) else _ByParts(y, x, factors)
    diagonal = np.concatenate([np.eye(q, dtype=bool)[np.tril_indices(q)] for q in criterion.q])
    bounds = [(0.0, None) if d else (None, None) for d in diagonal]
    best: Any = None
    for size in (0.3, 1.0, 0.05):
        found = optimize.minimize(
            criterion.profiled, np.where(diagonal, size, 0.0), method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-13, "maxiter": 100},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-7:
            best = found
    polished = optimize.minimize(
        criterion.profiled, best.x, method="Nelder-Mead", bounds=bounds,
        options={"xatol": 1e-6, "fatol": 1e-9, "maxfev": 150 * len(diagonal), "adaptive": len(diagonal) > 2},
    )  # fmt: skip
    theta = np.asarray(min((best, polished), key=lambda found: found.fun).x, dtype=float)
    for k in np.flatnonzero(diagonal):  # a variance that the search left near zero: zero itself is an answer too
        zero = np.where(np.arange(len(theta)) == k, 0.0, theta)
        if theta[k] < 0.02 and criterion.profiled(zero) <= criterion.profiled(theta) + 1e-8:
            theta = zero
    roots = criterion.roots(theta)
    rss, _, gamma, tail = criterion.parts(roots)
    sigma2 = rss / criterion.df
    omega = [root @ root.T * sigma2 for root in roots]
    half = linalg.solve_triangular(tail, criterion.coordinates.inverse.T, lower=True)
    se = np.sqrt(sigma2 * np.sum(half * half, axis=0))
    scaled = [w / sigma2 / np.outer(u, u) for w, u in zip(omega, criterion.unit, strict=True)]
    singular = tuple(bool(np.linalg.eigvalsh(w)[0] < 1e-7) for w in scaled)
    spread = _curvature(criterion, omega, singular, sigma2)
    parts, at = [], 0
    for q in criterion.q:
        parts.append(spread[at : at + q * (q + 1) // 2])
        at += q * (q + 1) // 2
    return Fit(
        criterion.coordinates.beta(gamma), se, tuple(omega), tuple(parts), float(sigma2), float(spread[-1]),
        criterion.profiled(theta), singular,
    )  # fmt: skip


def _curvature(criterion: _Criterion, omega: list[Floats], singular: tuple[bool, ...], sigma2: float) -> Floats:
    """Standard errors of (packed Ω's, σ²) from the numerical Hessian; NaN everywhere when a boundary is touched."""
    lengths = [len(w) * (len(w) + 1) // 2 for w in omega]
    if any(singular):
        return np.full(sum(lengths) + 1, np.nan)
    point = np.concatenate([*(w[np.tril_indices(len(w))] for w in omega), [sigma2]])
    steps: list[float] = []
    for w in omega:
        rows, columns = np.tril_indices(len(w))
        sd = np.sqrt(np.diag(w))
        steps += list(1e-3 * sd[rows] * sd[columns])
    step = np.array([*steps, 1e-3 * sigma2])

    def value(at: Floats) -> float:
        matrices, k = [], 0
        for w, length in zip(omega, lengths, strict=True):
            matrix = np.zeros_like(w)
            rows, columns = np.tril_indices(len(w))
            matrix[rows, columns] = at[k : k + length]
            matrix[columns, rows] = at[k : k + length]
            matrices.append(matrix)
            k += length
        return criterion.at(matrices, float(at[-1]))

    size = len(point)
    try:
        variance = np.diag(np.linalg.inv(hessian(value, point, step) / 2.0))
    except np.linalg.LinAlgError:
        return np.full(size, np.nan)
    result: npt.NDArray[np.float64] = np.sqrt(np.where(variance > 0, variance, np.nan))
    return result
