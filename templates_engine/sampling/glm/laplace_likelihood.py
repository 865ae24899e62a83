"""The compiled part of the Laplace approximation (glm.laplace): mode of the effects, determinant, first derivatives.

Effects are spherical, b ~ N(0, I), and a row's predictor is η = fixed + z̃'b, z̃ = T'z for the factor T of its
classification. One classification is eliminated unit by unit (its part of H = I + Z̃'WZ̃ is block diagonal); the
effects of the others, the core, fall into parts that share no unit of it (the schools of a nested design, one part of
a crossed one), and what is left of H is dense within each part. A step costs O(n Q² + Σ_j q m_j² + Σ P³): Q random
coefficients a row, m_j effects of the core that meet unit j, P effects of a part.

The first derivatives of the approximation are exact: the determinant changes through the weights, and these through the
mode, whose derivative is one solve with the observed information (Kristensen, Nielsen, Berg, Skaug and Bell 2016,
Journal of Statistical Software 70(5), equation 3).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.negative_binomial import departure
from templates_engine.sampling.glm.row_slopes import log_row, slopes_of
from templates_engine.sampling.linalg import cholesky, log_determinant, solve, solve_lower, solve_upper
from templates_engine.sampling.sparse import Eliminated, Factored

Array = Any  # inside kernels: float64 arrays


@njit
def predict(at: Eliminated, fixed: Array, z: Array, effects: Array, eta: Array) -> None:
    """η of every row; z (n, Q) is z̃."""
    q = at.q
    for i in range(len(eta)):
        total = fixed[i]
        for a in range(q):
            total += z[i, a] * effects[at.unit[i] * q + a]
        for c in range(at.core_at.shape[1]):
            total += z[i, q + c] * effects[at.core_at[i, c]]
        eta[i] = total


@njit
def gather(at: Eliminated, z: Array, values: Array, out: Array) -> None:
    """Add Z̃'values to out."""
    q = at.q
    for i in range(len(values)):
        for a in range(q):
            out[at.unit[i] * q + a] += z[i, a] * values[i]
        for c in range(at.core_at.shape[1]):
            out[at.core_at[i, c]] += z[i, q + c] * values[i]


@njit
def factor(at: Eliminated, z: Array, weight: Array, h: Factored) -> float:
    """Factor H at the weights; log |H|, NaN where it is not positive definite."""
    units, q = len(at.first) - 1, at.q
    others = at.core_at.shape[1]
    for k in range(len(h.square)):
        h.square[k] = 0.0
    for k in range(len(at.part_ptr) - 1):
        size = at.part_ptr[k + 1] - at.part_ptr[k]
        for a in range(size):
            h.square[at.square_ptr[k] + a * size + a] = 1.0
    total = 0.0
    for j in range(units):
        block, start, count = h.blocks[j], at.meet_ptr[j], at.meet_ptr[j + 1] - at.meet_ptr[j]
        for a in range(q):
            for b in range(q):
                block[a, b] = 1.0 if a == b else 0.0
            for t in range(count):
                h.half[q * start + a * count + t] = 0.0
        size, corner = 0, 0
        if others > 0:
            size = at.part_ptr[at.part[j] + 1] - at.part_ptr[at.part[j]]
            corner = at.square_ptr[at.part[j]]
        for i in range(at.first[j], at.first[j + 1]):
            for a in range(q):
                one = weight[i] * z[i, a]
                for b in range(a + 1):
                    block[a, b] += one * z[i, b]
                for c in range(others):
                    h.half[q * start + a * count + at.place[i, c]] += one * z[i, q + c]
            for c in range(others):
                one = weight[i] * z[i, q + c]
                down = at.meet[start + at.place[i, c]]
                for d in range(others):
                    across = at.meet[start + at.place[i, d]]
                    if across <= down:
                        h.square[corner + down * size + across] += one * z[i, q + d]
        if not cholesky(block, q):
            return np.nan
        total += log_determinant(block, q)
        for a in range(q):
            row_a = q * start + a * count
            for b in range(a):
                row_b = q * start + b * count
                for t in range(count):
                    h.half[row_a + t] -= block[a, b] * h.half[row_b + t]
            for t in range(count):
                h.half[row_a + t] /= block[a, a]
            for s in range(count):
                one = h.half[row_a + s]
                line = corner + at.meet[start + s] * size
                for t in range(s + 1):
                    h.square[line + at.meet[start + t]] -= one * h.half[row_a + t]
    for k in range(len(at.part_ptr) - 1):
        size = at.part_ptr[k + 1] - at.part_ptr[k]
        dense = h.square[at.square_ptr[k] : at.square_ptr[k + 1]].reshape((size, size))
        if not cholesky(dense, size):
            return np.nan
        total += log_determinant(dense, size)
    return total


@njit
def solve_forth(at: Eliminated, h: Factored, x: Array) -> None:
    """L^-1 x in place, H = L L'."""
    units, q = len(at.first) - 1, at.q
    for j in range(units):
        solve_lower(h.blocks[j], x[j * q : (j + 1) * q], q)
        start, count = at.meet_ptr[j], at.meet_ptr[j + 1] - at.meet_ptr[j]
        if count > 0:
            shift = units * q + at.part_ptr[at.part[j]]
            for a in range(q):
                for t in range(count):
                    x[shift + at.meet[start + t]] -= h.half[q * start + a * count + t] * x[j * q + a]
    for k in range(len(at.part_ptr) - 1):
        size, first = at.part_ptr[k + 1] - at.part_ptr[k], units * q + at.part_ptr[k]
        dense = h.square[at.square_ptr[k] : at.square_ptr[k + 1]].reshape((size, size))
        solve_lower(dense, x[first : first + size], size)


@njit
def solve_back(at: Eliminated, h: Factored, x: Array) -> None:
    """L'^-1 x in place, H = L L'."""
    units, q = len(at.first) - 1, at.q
    for k in range(len(at.part_ptr) - 1):
        size, first = at.part_ptr[k + 1] - at.part_ptr[k], units * q + at.part_ptr[k]
        dense = h.square[at.square_ptr[k] : at.square_ptr[k + 1]].reshape((size, size))
        solve_upper(dense, x[first : first + size], size)
    for j in range(units):
        start, count = at.meet_ptr[j], at.meet_ptr[j + 1] - at.meet_ptr[j]
        if count > 0:
            shift = units * q + at.part_ptr[at.part[j]]
            for a in range(q):
                for t in range(count):
                    x[j * q + a] -= h.half[q * start + a * count + t] * x[shift + at.meet[start + t]]
        solve_upper(h.blocks[j], x[j * q : (j + 1) * q], q)


@njit
def solve_with(at: Eliminated, h: Factored, x: Array) -> None:
    """H^-1 x in place."""
    solve_forth(at, h, x)
    solve_back(at, h, x)


@njit
def nearby(at: Eliminated, z: Array, h: Factored, out: Array) -> None:
    """out (n, Q): H^-1 z̃ of each row, at that row's own effects."""
    units, q, others = len(at.first) - 1, at.q, at.core_at.shape[1]
    inverse = np.zeros(len(h.square))
    for k in range(len(at.part_ptr) - 1):
        size = at.part_ptr[k + 1] - at.part_ptr[k]
        dense = h.square[at.square_ptr[k] : at.square_ptr[k + 1]].reshape((size, size))
        found = inverse[at.square_ptr[k] : at.square_ptr[k + 1]].reshape((size, size))
        for a in range(size):
            found[a, a] = 1.0
            solve(dense, found[a], size)
    own = np.empty((q, q))  # of H^-1: the unit's effects, and (less its sign) these with those of the core
    for j in range(units):
        start, count = at.meet_ptr[j], at.meet_ptr[j + 1] - at.meet_ptr[j]
        size, corner = 0, 0
        if count > 0:
            size = at.part_ptr[at.part[j] + 1] - at.part_ptr[at.part[j]]
            corner = at.square_ptr[at.part[j]]
        block = h.blocks[j]
        joint, cross = np.empty((q, count)), np.zeros((q, count))
        for t in range(count):
            for a in range(q - 1, -1, -1):
                total = h.half[q * start + a * count + t]
                for b in range(a + 1, q):
                    total -= block[b, a] * joint[b, t]
                joint[a, t] = total / block[a, a]
        for a in range(q):
            for s in range(count):
                line = corner + at.meet[start + s] * size
                for t in range(count):
                    cross[a, t] += joint[a, s] * inverse[line + at.meet[start + t]]
        for a in range(q):
            for b in range(q):
                own[a, b] = 1.0 if a == b else 0.0
            solve(block, own[a], q)
        for a in range(q):
            for b in range(q):
                for t in range(count):
                    own[a, b] += cross[a, t] * joint[b, t]
        for i in range(at.first[j], at.first[j + 1]):
            for a in range(q):
                total = 0.0
                for b in range(q):
                    total += own[a, b] * z[i, b]
                for c in range(others):
                    total -= cross[a, at.place[i, c]] * z[i, q + c]
                out[i, a] = total
            for c in range(others):
                line = corner + at.meet[start + at.place[i, c]] * size
                total = 0.0
                for b in range(q):
                    total -= cross[b, at.place[i, c]] * z[i, b]
                for d in range(others):
                    total += inverse[line + at.meet[start + at.place[i, d]]] * z[i, q + d]
                out[i, q + c] = total


@njit
def penalised(at: Eliminated, alpha: float, fixed: Array, z: Array, effects: Array, eta: Array) -> float:
    """log p(y | b) - b'b/2, and the linear predictors; -inf where a row is impossible."""
    predict(at, fixed, z, effects, eta)
    total = 0.0
    for i in range(len(eta)):
        total += log_row(at.link, at.y[i], at.trials[i], eta[i], alpha)
    for k in range(len(effects)):
        total -= 0.5 * effects[k] * effects[k]
    return total if total == total else -np.inf


@njit
def find_mode(at: Eliminated, alpha: float, fixed: Array, z: Array, effects: Array, h: Factored, eta: Array) -> float:
    """The joint mode into effects, its predictors into eta; the objective's value there, NaN where none was found.

    Newton's method from the given effects, and where that does not converge from none: the objective is concave, so
    that a search with halved steps ends from there unless numbers run out.
    """
    kept = effects.copy()
    value = _climb(at, alpha, fixed, z, effects, h, eta)
    if np.isfinite(value):
        return value
    for k in range(len(effects)):
        effects[k] = 0.0
    value = _climb(at, alpha, fixed, z, effects, h, eta)
    if not np.isfinite(value):
        for k in range(len(effects)):
            effects[k] = kept[k] if np.isfinite(kept[k]) else 0.0
    return value


@njit
def _climb(at: Eliminated, alpha: float, fixed: Array, z: Array, effects: Array, h: Factored, eta: Array) -> float:
    """Newton's method with step halving from the given effects; NaN where it does not converge."""
    n, count = len(eta), len(effects)
    score, weight = np.empty(n), np.empty(n)
    slope, step, tried = np.empty(count), np.empty(count), np.empty(count)
    value = penalised(at, alpha, fixed, z, effects, eta)
    if count == 0:
        return value
    if not np.isfinite(value):
        return np.nan
    for _ in range(400):
        for i in range(n):
            score[i], weight[i], _, _ = slopes_of(at.link, at.y[i], at.trials[i], eta[i], alpha)
        if not np.isfinite(factor(at, z, weight, h)):
            return np.nan
        for k in range(count):
            slope[k] = -effects[k]
        gather(at, z, score, slope)
        for k in range(count):
            step[k] = slope[k]
        solve_with(at, h, step)
        decrement = 0.0
        for k in range(count):
            decrement += slope[k] * step[k]
        size = 1.0
        while True:
            for k in range(count):
                tried[k] = effects[k] + size * step[k]
            found = penalised(at, alpha, fixed, z, tried, eta)
            if found >= value + 0.1 * size * decrement - 1e-13 * (1.0 + abs(value)):
                break
            if decrement < 1e-4 and size == 1.0 and found > -np.inf:  # a rise too small to be seen beside rounding
                break
            size *= 0.5
            if size < 1e-12:
                predict(at, fixed, z, effects, eta)
                return value if decrement < 1e-10 else np.nan
        for k in range(count):
            effects[k] = tried[k]
        value = found
        if size == 1.0 and decrement < 1e-9:  # Newton squares the distance: what is left is below rounding
            return value
    return np.nan


@njit
def laplace(
    at: Eliminated, alpha: float, fixed: Array, z: Array, effects: Array, h: Factored, by_row: Array, by_effect: Array,
    by_alpha: Array,
) -> float:  # fmt: skip
    """-log p(y | b̂) + b̂'b̂/2 + log |H|/2, not finite where it does not exist; effects start the search for b̂ and end it.

    Fills its derivatives: by_row (n,) in a row's fixed part; by_effect (n, Q), whose product with the row's z is its
    part of the derivative in T, T[a, b] by z_a by_effect_b; by_alpha (1,) in α, without the terms in y and α alone.
    """
    n, q = len(fixed), at.q
    eta, v = np.empty(n), np.zeros((n, z.shape[1]))
    score, seen, weight, lean = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    value = find_mode(at, alpha, fixed, z, effects, h, eta)
    if not np.isfinite(value):
        return value
    for i in range(n):
        score[i], seen[i], weight[i], lean[i] = slopes_of(at.link, at.y[i], at.trials[i], eta[i], alpha)
    logs = factor(at, z, weight, h)
    if not np.isfinite(logs):
        return logs
    nearby(at, z, h, v)
    by_alpha[0] = 0.0
    for i in range(n):  # lean: the derivative of half the log determinant in the row's η
        total = 0.0
        for a in range(z.shape[1]):
            total += z[i, a] * v[i, a]
        lean[i] *= 0.5 * total
        if at.link == 4:
            mu = math.exp(min(eta[i], 700.0))
            by_alpha[0] -= departure(at.y[i], mu, alpha)[1]
            by_alpha[0] -= 0.5 * weight[i] * weight[i] * total
    own = at.link == 0 or at.link == 3  # where the observed information is Fisher's
    if not own and not np.isfinite(factor(at, z, seen, h)):
        return np.nan
    right, back, none = np.zeros(len(effects)), np.empty(n), np.zeros(n)
    gather(at, z, lean, right)
    solve_with(at, h, right)
    predict(at, none, z, right, back)
    for i in range(n):
        by_row[i] = lean[i] - score[i] - seen[i] * back[i]
        if at.link == 4:
            by_alpha[0] -= back[i] * score[i] * weight[i]
        for a in range(q):
            k = at.unit[i] * q + a
            by_effect[i, a] = by_row[i] * effects[k] + score[i] * right[k] + weight[i] * v[i, a]
        for c in range(at.core_at.shape[1]):
            k = at.core_at[i, c]
            by_effect[i, q + c] = by_row[i] * effects[k] + score[i] * right[k] + weight[i] * v[i, q + c]
    return 0.5 * logs - value
