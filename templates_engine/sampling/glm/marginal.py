"""A group's effects integrated out of a binomial or Poisson likelihood by adaptive Gauss-Hermite quadrature, with exact
first and second derivatives.

For each group the integrand, exp of Σ_i log f(y_i | o_i + x_i'γ + (T'z_i)'b) - b'b/2 with u = T b, is centred at its
mode and scaled by its curvature there (Liu and Pierce 1994; Pinheiro and Bates 1995), and summed over a product grid.
Derivatives in θ = (γ, T packed) come from the same nodes: the score is the mean of the complete-data score (Fisher's
identity), the observed information the mean of the complete-data information less the variance of that score (Louis
1982, J. R. Statist. Soc. B 44, 226-233).

Nothing is kept from one evaluation to the next: a mode is searched from b = 0, and a search that has not converged
gives no number at all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.families import Floats, row
from templates_engine.sampling.glm.row_slopes import slopes_of
from templates_engine.sampling.linalg import cholesky, log_determinant, solve_lower, solve_upper

MOST_NEWTON = 400  # steps of a group's mode: from far out in a count's tail η comes back by 1 a step


def product_rule(q: int, nodes: int) -> tuple[Floats, Floats]:
    """Points (M, q) and logarithms (M,) of weights, with exp(x'x / 2) in them, of the product rule."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    logs = np.log(weights) - 0.5 * math.log(2 * math.pi) + 0.5 * points**2
    every = np.stack(np.meshgrid(*[points] * q, indexing="ij"), axis=-1).reshape(-1, q)
    sums = np.stack(np.meshgrid(*[logs] * q, indexing="ij"), axis=-1).reshape(-1, q).sum(axis=1)
    return np.ascontiguousarray(every), np.ascontiguousarray(sums)


@njit
def _integrand(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, start: int, stop: int, b: Any, slope: Any, seen: Any,
    width: Any,
) -> float:  # fmt: skip
    """Log of the integrand at b; fills its slope (q,), minus its second derivative `seen` and Fisher's `width` (q, q;
    lower triangles)."""
    q = len(b)
    value = 0.0
    for a in range(q):
        value -= 0.5 * b[a] * b[a]
        slope[a] = -b[a]
        for c in range(a + 1):
            seen[a, c] = width[a, c] = 1.0 if a == c else 0.0
    for i in range(start, stop):
        eta = fixed[i]
        for a in range(q):
            eta += scaled[i, a] * b[a]
        value += row(link, y[i], trials[i], eta)[0]
        score, observed, fisher, _ = slopes_of(link, y[i], trials[i], eta, 0.0)
        for a in range(q):
            slope[a] += scaled[i, a] * score
            for c in range(a + 1):
                seen[a, c] += scaled[i, a] * observed * scaled[i, c]
                width[a, c] += scaled[i, a] * fisher * scaled[i, c]
    return value if value == value else -np.inf


@njit
def find_group_mode(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, start: int, stop: int, b: Any, factor: Any
) -> bool:
    """The mode of rows start..stop-1's integrand into b (q,), the Cholesky factor of Fisher's curvature there into
    factor; scaled (n, q) holds T'z. False where it was not found.

    Newton's method from b = 0, the step halved until the integrand rises by a part of what the slope promises: it is
    log-concave, so that this converges from anywhere. Converged: the step is below 1e-7 of the integrand's width, and
    a last full step has been taken, which squares that.
    """
    q = len(b)
    slope, step, tried, other = np.empty(q), np.empty(q), np.empty(q), np.empty(q)
    seen, width, seen_there, width_there = np.empty((q, q)), np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    for a in range(q):
        b[a] = 0.0
    value = _integrand(link, y, trials, fixed, scaled, start, stop, b, slope, seen, width)
    if not value > -np.inf:
        return False
    for _ in range(MOST_NEWTON):
        if not cholesky(seen, q):
            return False
        for a in range(q):
            step[a] = slope[a]
        solve_lower(seen, step, q)
        solve_upper(seen, step, q)
        decrement = 0.0
        for a in range(q):
            decrement += slope[a] * step[a]
        size = 1.0
        there = value
        while True:
            for a in range(q):
                tried[a] = b[a] + size * step[a]
            there = _integrand(link, y, trials, fixed, scaled, start, stop, tried, other, seen_there, width_there)
            if there >= value + 0.1 * size * decrement - 1e-13 * (1.0 + abs(value)):
                break
            if decrement < 1e-4 and size == 1.0 and there > -np.inf:  # a rise too small to be seen beside rounding
                break
            size *= 0.5
            if size < 1e-14:
                break
        if size < 1e-14:
            if not decrement < 1e-12:
                return False
            size = 0.0
        else:
            value = there
            for a in range(q):
                b[a] = tried[a]
                slope[a] = other[a]
                for c in range(a + 1):
                    seen[a, c] = seen_there[a, c]
                    width[a, c] = width_there[a, c]
        if decrement < 1e-12:
            for a in range(q):
                for c in range(a + 1):
                    factor[a, c] = width[a, c]
            return bool(cholesky(factor, q))
    return False


@njit
def likelihood(
    link: int, y: Any, trials: Any, fixed: Any, design: Any, z: Any, root: Any, starts: Any, points: Any, logs: Any,
    modes: Any, gradient: Any, hessian: Any,
) -> float:  # fmt: skip
    """Log likelihood of rows sorted by group without the constants of y, NaN where a mode was not found or nothing is
    finite. fixed (n,) is o + x'γ, z (n, q), root (q, q) the lower triangular T.

    Fills modes (J, q) of b, the gradient (p + r,) and the Hessian (p + r, p + r) in (γ, T packed), r = q(q + 1)/2.
    """
    n, p = design.shape
    nodes, q = points.shape
    most = 0
    for j in range(len(starts) - 1):
        most = max(most, starts[j + 1] - starts[j])
    pairs = q * (q + 1) // 2
    size = p + pairs
    scaled = np.zeros((n, q))
    for i in range(n):
        for a in range(q):
            for c in range(a, q):
                scaled[i, a] += root[c, a] * z[i, c]
    high, low = np.empty(pairs, np.int64), np.empty(pairs, np.int64)  # T[high, low] of each packed place
    at = 0
    for a in range(q):
        for c in range(a + 1):
            high[at], low[at] = a, c
            at += 1
    factor, nodes_at = np.empty((q, q)), np.empty((nodes, q))
    weight, scores, seen = np.empty(nodes), np.empty((most, nodes)), np.empty((most, nodes))
    each, mean = np.empty(size), np.empty(size)
    gradient[:] = 0.0
    hessian[:, :] = 0.0
    total = 0.0
    for j in range(len(starts) - 1):
        start, stop = starts[j], starts[j + 1]
        if not find_group_mode(link, y, trials, fixed, scaled, start, stop, modes[j], factor):
            return np.nan
        top = _at_nodes(
            link, y, trials, fixed, scaled, start, stop, modes[j], factor, points, logs, nodes_at, weight, scores, seen
        )
        if not (top > -np.inf and top < np.inf):
            return np.nan
        mass = 0.0
        for m in range(nodes):
            weight[m] = math.exp(weight[m] - top) if weight[m] == weight[m] else 0.0
            mass += weight[m]
        total += top + math.log(mass) - 0.5 * log_determinant(factor, q)
        mean[:] = 0.0
        for m in range(nodes):
            weight[m] /= mass
            if weight[m] < 1e-300:
                continue
            _complete(design, z, start, stop, scores, m, nodes_at[m], high, low, each)
            for k in range(size):
                mean[k] += weight[m] * each[k]
        for m in range(nodes):  # the variance of the score, about its mean so that no digits are lost
            if weight[m] < 1e-300:
                continue
            _complete(design, z, start, stop, scores, m, nodes_at[m], high, low, each)
            for k in range(size):
                one = weight[m] * (each[k] - mean[k])
                for h in range(k + 1):
                    hessian[k, h] += one * (each[h] - mean[h])
        for k in range(size):
            gradient[k] += mean[k]
        _information(design, z, start, stop, seen, weight, nodes_at, high, low, hessian)
    for k in range(size):
        for h in range(k):
            hessian[h, k] = hessian[k, h]
    return total


@njit
def _complete(
    design: Any, z: Any, start: int, stop: int, scores: Any, m: int, b: Any, high: Any, low: Any, out: Any
) -> None:
    """The complete-data score of one group at node m."""
    p = design.shape[1]
    out[:] = 0.0
    for i in range(start, stop):
        score = scores[i - start, m]
        for k in range(p):
            out[k] += score * design[i, k]
        for k in range(len(high)):
            out[p + k] += score * z[i, high[k]] * b[low[k]]


@njit
def _information(
    design: Any, z: Any, start: int, stop: int, seen: Any, weight: Any, at: Any, high: Any, low: Any, hessian: Any
) -> None:
    """Take the mean complete-data information of one group from the Hessian's lower triangle; weight (nodes,) sums to
    one, at (nodes, q), seen (rows, nodes) the rows' observed information."""
    p, q, pairs = design.shape[1], at.shape[1], len(high)
    by_b, by_bb = np.empty(q), np.empty((q, q))
    for i in range(start, stop):
        one = 0.0
        by_b[:] = 0.0
        by_bb[:, :] = 0.0
        for m in range(len(weight)):
            if weight[m] < 1e-300:
                continue
            part = weight[m] * seen[i - start, m]
            one += part
            for a in range(q):
                by_b[a] += part * at[m, a]
                for c in range(a + 1):
                    by_bb[a, c] += part * at[m, a] * at[m, c]
        for k in range(p):
            for h in range(k + 1):
                hessian[k, h] -= one * design[i, k] * design[i, h]
        for k in range(pairs):
            lead = z[i, high[k]]
            for h in range(p):
                hessian[p + k, h] -= lead * by_b[low[k]] * design[i, h]
            for h in range(k + 1):
                a, c = max(low[k], low[h]), min(low[k], low[h])
                hessian[p + k, p + h] -= lead * z[i, high[h]] * by_bb[a, c]


@njit
def _at_nodes(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, start: int, stop: int, mode: Any, factor: Any, points: Any,
    logs: Any, at: Any, values: Any, scores: Any, seen: Any,
) -> float:  # fmt: skip
    """One group's integrand at its nodes: fills these (nodes, q), its logarithms and the weights' (nodes,), and the
    rows' scores and observed information (rows, nodes). Returns the largest logarithm."""
    q = points.shape[1]
    top = -np.inf
    for m in range(len(logs)):
        place = at[m]
        for a in range(q):
            place[a] = points[m, a]
        solve_upper(factor, place, q)
        value = logs[m]
        for a in range(q):
            place[a] += mode[a]
            value -= 0.5 * place[a] * place[a]
        for i in range(start, stop):
            eta = fixed[i]
            for a in range(q):
                eta += scaled[i, a] * place[a]
            value += row(link, y[i], trials[i], eta)[0]
            score, observed, _, _ = slopes_of(link, y[i], trials[i], eta, 0.0)
            scores[i - start, m], seen[i - start, m] = score, observed
        values[m] = value
        top = max(top, value)
    return top
