"""Groups that the Normal likelihood cannot tell apart, joined: what K clones of the data need at the cost of one.

The marginal likelihood of the two-level Normal model (statistics in normal.two_level_stats) depends on group j through
its triangle T_j and through D_j = [C_j, t_j]; with M_j = I + T_j Λ T_j', Λ = Ω/σ²,

    -2 log L(γ, Λ, σ²) = n log(2πσ²) + Σ_j log|M_j| + (γ', -1) R(Λ) (γ', -1)' / σ²
    R(Λ) = B + Σ_j D_j' M_j^-1 D_j

B holds what is left within the groups. Groups with the same triangle (in a balanced design all of them) share M, so
that only Σ_j D_j[a]' D_j[b] is kept of them: an evaluation costs O(distinct triangles), whatever the number of groups.
The likelihood of K clones is L^K (Lele, Dennis and Lutscher 2007, Ecology Letters 10, 551-563).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import cholesky, log_determinant, solve_lower
from templates_engine.sampling.normal import Floats, Statistics

_NOTHING = 1e-24  # of the total sum of squares: what is left within groups of one is rounding


@dataclass(frozen=True)
class Cells:
    """G sets of groups with one triangle; p fixed, q random coefficients; P = p + 1."""

    n: int
    triangles: Floats  # (G, q, q) upper
    counts: Floats  # (G,) groups
    moments: Floats  # (G, q, q, P, P), sums of outer products of the rows of D
    base: Floats  # (P, P), B

    @property
    def p(self) -> int:
        return int(self.base.shape[0]) - 1

    @property
    def q(self) -> int:
        return int(self.triangles.shape[1])

    @property
    def spread(self) -> float:
        """Mean squared length of a group's first random coefficient column: the group size, for an intercept."""
        sizes = np.sum(self.triangles[:, :, 0] ** 2, axis=1)
        return float(np.average(sizes, weights=self.counts))

    def sharing(self, clones: int) -> Cells:
        """Statistics of K clones that share their group effects: the effects have become parameters."""
        root = np.sqrt(float(clones))
        return Cells(self.n * clones, self.triangles * root, self.counts, self.moments * clones, self.base * clones)


def cells(stats: Statistics) -> Cells:
    """Join the groups of a model with groups. Triangles are the same when they agree to 11 digits."""
    groups, q, p = stats.c.shape
    size = np.sqrt(np.mean(np.sum(stats.triangles**2, axis=1), axis=0))
    scaled = stats.triangles / np.where(size > 0, size, 1.0)
    _, first, code = np.unique(
        np.round(scaled.reshape(groups, -1), 11) + 0.0, axis=0, return_index=True, return_inverse=True
    )
    code = code.reshape(-1)
    distinct = len(first)
    rows = np.concatenate([stats.c, stats.t[:, :, None]], axis=2)  # (J, q, P)
    moments = np.zeros((distinct, q, q, p + 1, p + 1))
    for a in range(q):
        for b in range(q):
            np.add.at(moments[:, a, b], code, rows[:, a, :, None] * rows[:, b, None, :])
    base = np.zeros((p + 1, p + 1))
    base[:p, :p] = stats.within_matrix
    base[:p, p] = base[p, :p] = stats.within_matrix @ stats.within_centre
    base[p, p] = stats.within_rss + float(stats.within_centre @ stats.within_matrix @ stats.within_centre)
    total = float(stats.t.ravel() @ stats.t.ravel()) + base[p, p]
    scale = np.sqrt(np.append(np.full(p, float(stats.n)), total))
    base[np.abs(base) < _NOTHING**0.5 * np.outer(scale, scale)] = 0.0
    counts = np.bincount(code, minlength=distinct).astype(float)
    return Cells(stats.n, np.ascontiguousarray(stats.triangles[first]), counts, moments, base)


@njit
def reduced(triangles: Any, counts: Any, moments: Any, base: Any, relative: Any, out: Any) -> float:
    """R(Λ) into out (P, P); returns Σ_j log|M_j|, NaN where Λ is not positive semidefinite."""
    distinct, q, _ = triangles.shape
    size = base.shape[0]
    for i in range(size):
        for j in range(size):
            out[i, j] = base[i, j]
    total = 0.0
    if q == 1:
        for g in range(distinct):
            m = 1.0 + triangles[g, 0, 0] * triangles[g, 0, 0] * relative[0, 0]
            if not m > 0.0:
                return np.nan
            total += counts[g] * np.log(m)
            for i in range(size):
                for j in range(size):
                    out[i, j] += moments[g, 0, 0, i, j] / m
        return total
    factor = np.empty((q, q))
    inverse = np.empty((q, q))
    for g in range(distinct):
        for a in range(q):
            for b in range(a + 1):
                value = 1.0 if a == b else 0.0
                for k in range(a, q):
                    for m in range(b, q):
                        value += triangles[g, a, k] * relative[k, m] * triangles[g, b, m]
                factor[a, b] = value
        if not cholesky(factor, q):
            return np.nan
        total += counts[g] * log_determinant(factor, q)
        for a in range(q):  # inverse[a] = L^-1 e_a, so that M^-1[a, b] = inverse[a]'inverse[b]
            for b in range(q):
                inverse[a, b] = 1.0 if a == b else 0.0
            solve_lower(factor, inverse[a], q)
        for a in range(q):
            for b in range(q):
                weight = 0.0
                for k in range(q):
                    weight += inverse[a, k] * inverse[b, k]
                for i in range(size):
                    for j in range(size):
                        out[i, j] += weight * moments[g, a, b, i, j]
    return total
