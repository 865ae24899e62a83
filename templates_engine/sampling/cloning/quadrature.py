"""A group's effects integrated out of a binomial or Poisson likelihood by adaptive Gauss-Hermite quadrature.

For each group the integrand, exp of Σ_i log f(y_i | o_i + (T'z_i)'b) - b'b/2 with u = T b, is centred at its mode and
scaled by its curvature there (Liu and Pierce 1994; Pinheiro and Bates 1995), and summed over a product grid of NODES in
each direction, by the number of random coefficients. The error in log L is in the tests: below 1e-4 a group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import GRID, find_group_mode, information, product_rule, row
from templates_engine.sampling.linalg import cholesky, log_determinant, solve_lower, solve_upper
from templates_engine.sampling.normal import Floats

NODES = GRID  # in each direction, for 1, 2 or 3 random coefficients
MOST_COEFFICIENTS = len(NODES) - 1


def grid(q: int, nodes: int = 0) -> tuple[Floats, Floats]:
    """Points (M, q) and logarithms (M,) of weights, with exp(x'x / 2) in them, of the product rule."""
    return product_rule(q, nodes or NODES[q])


@njit
def find_mode(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, start: int, stop: int, b: Any, factor: Any, step: Any,
    limit: float,
) -> float:  # fmt: skip
    """Newton's method from b (q,), a mode near by, and where that does not settle from zero; rows start..stop-1, scaled
    (n, q) holds T'z.

    The mode into b, the Cholesky factor of the (Fisher) curvature into factor; returns the logarithm of the integrand
    there, -inf (b zero, factor the identity) where no mode was found. Stops when no element of the step exceeds
    `limit`. The integrand is log-concave.
    """
    value = _near(link, y, trials, fixed, scaled, start, stop, b, factor, step, limit)
    if value > -np.inf:
        return value
    q = len(b)
    if not find_group_mode(link, y, trials, fixed, scaled, start, stop, b, factor):
        for a in range(q):
            b[a] = 0.0
            for c in range(a + 1):
                factor[a, c] = 1.0 if a == c else 0.0
        return -np.inf
    value = 0.0
    for a in range(q):
        value -= 0.5 * b[a] * b[a]
    for i in range(start, stop):
        eta = fixed[i]
        for a in range(q):
            eta += scaled[i, a] * b[a]
        value += row(link, y[i], trials[i], eta)[0]
    return value


@njit
def _near(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, start: int, stop: int, b: Any, factor: Any, step: Any,
    limit: float,
) -> float:  # fmt: skip
    """`find_mode` from b alone: -inf where that has not settled."""
    q = len(b)
    slope = np.empty(q)
    value = -np.inf
    step[:] = 0.0
    for _ in range(80):
        here = 0.0
        for a in range(q):
            here -= 0.5 * b[a] * b[a]
        for a in range(q):
            slope[a] = -b[a]
            for c in range(a + 1):
                factor[a, c] = 1.0 if a == c else 0.0
        for i in range(start, stop):
            eta = fixed[i]
            for a in range(q):
                eta += scaled[i, a] * b[a]
            one, score = row(link, y[i], trials[i], eta)
            weight = information(link, trials[i], eta)
            here += one
            for a in range(q):
                slope[a] += scaled[i, a] * score
                for c in range(a + 1):
                    factor[a, c] += scaled[i, a] * weight * scaled[i, c]
        if value == -np.inf and not here > -np.inf:  # the mode of other parameters is out of range for these
            far = False
            for a in range(q):
                far = far or b[a] != 0.0
                b[a] = 0.0
            if not far:
                break
            continue
        if not here >= value - 1e-10 * (1.0 + abs(value)):
            longest = 0.0
            for a in range(q):
                step[a] *= 0.5
                b[a] -= step[a]
                longest = max(longest, abs(step[a]))
            if longest < 1e-9:
                break
            continue
        value = here
        if not cholesky(factor, q):
            break
        for a in range(q):
            step[a] = slope[a]
        solve_lower(factor, step, q)
        solve_upper(factor, step, q)
        longest = 0.0
        for a in range(q):
            longest = max(longest, abs(step[a]))
        if longest < limit:
            return value
        for a in range(q):
            b[a] += step[a]
    return -np.inf


@njit
def log_likelihood(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, starts: Any, points: Any, logs: Any, modes: Any,
) -> float:  # fmt: skip
    """Log likelihood without the constants of y; fixed (n,) is o + x'β. modes (J, q) of b are improved in place."""
    nodes, q = points.shape
    factor, step, at, values = np.empty((q, q)), np.empty(q), np.empty(q), np.empty(nodes)
    answer = 0.0
    for j in range(len(modes)):
        start, stop = starts[j], starts[j + 1]
        b = modes[j]
        if not find_mode(link, y, trials, fixed, scaled, start, stop, b, factor, step, 1e-5) > -np.inf:
            return -np.inf
        top = -np.inf
        for m in range(nodes):
            for a in range(q):
                at[a] = points[m, a]
            solve_upper(factor, at, q)
            value = logs[m]
            for a in range(q):
                at[a] += b[a]
                value -= 0.5 * at[a] * at[a]
            for i in range(start, stop):
                eta = fixed[i]
                for a in range(q):
                    eta += scaled[i, a] * at[a]
                value += row(link, y[i], trials[i], eta)[0]
            values[m] = value
            top = max(top, value)
        if not (top > -np.inf and top < np.inf):
            return -np.inf
        mass = 0.0
        for m in range(nodes):
            mass += math.exp(values[m] - top)
        answer += top + math.log(mass) - 0.5 * log_determinant(factor, q)
    return answer if answer == answer else -np.inf
