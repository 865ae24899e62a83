"""Small dense linear algebra and the Normal and Wishart draws of a Gibbs step, inside compiled kernels.

Matrices here have a handful of rows: loops by hand beat LAPACK calls up to about 15 x 15 and allocate nothing.
Every routine works in place on arrays that the caller owns. Triangles are lower; the upper triangle of a
factor is left as it was and never read.
"""

from __future__ import annotations

import math
from typing import Any

from templates_engine.sampling.compiled import njit

Array = Any  # inside kernels: float64 arrays


@njit
def cholesky(a: Array, p: int) -> bool:
    """Factor a = L L' in place (lower triangle of the leading p x p block). False if not positive definite."""
    for j in range(p):
        total = a[j, j]
        for k in range(j):
            total -= a[j, k] * a[j, k]
        if not total > 0.0:  # also catches NaN
            return False
        diagonal = math.sqrt(total)
        a[j, j] = diagonal
        for i in range(j + 1, p):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = total / diagonal
    return True


@njit
def cholesky_semi(a: Array, p: int) -> None:
    """As `cholesky`, for a matrix that may be singular: a column without variance left becomes zero."""
    for j in range(p):
        start = a[j, j]
        total = start
        for k in range(j):
            total -= a[j, k] * a[j, k]
        diagonal = math.sqrt(total) if total > 1e-14 * abs(start) else 0.0
        a[j, j] = diagonal
        for i in range(j + 1, p):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = total / diagonal if diagonal > 0.0 else 0.0


@njit
def solve_lower(factor: Array, b: Array, p: int) -> None:
    """Solve L x = b in place."""
    for i in range(p):
        total = b[i]
        for k in range(i):
            total -= factor[i, k] * b[k]
        b[i] = total / factor[i, i]


@njit
def solve_upper(factor: Array, b: Array, p: int) -> None:
    """Solve L' x = b in place (L the lower factor)."""
    for i in range(p - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, p):
            total -= factor[k, i] * b[k]
        b[i] = total / factor[i, i]


@njit
def solve(factor: Array, b: Array, p: int) -> None:
    """Solve (L L') x = b in place."""
    solve_lower(factor, b, p)
    solve_upper(factor, b, p)


@njit
def draw_precision(rng: Any, q: Array, b: Array, p: int) -> bool:
    """Replace b by one draw from N(Q^-1 b, Q^-1); Q (p x p) is replaced by its Cholesky factor.

    Rue (2001), algorithm for canonically parametrised Normals: solve L w = b, then L' x = w + z.
    False (and nothing drawn) if Q is not positive definite.
    """
    if not cholesky(q, p):
        return False
    solve_lower(q, b, p)
    for k in range(p):
        b[k] += rng.standard_normal()
    solve_upper(q, b, p)
    return True


@njit
def inverse_spd(a: Array, out: Array, p: int) -> bool:
    """out = a^-1 for a symmetric positive definite; a is replaced by its factor."""
    if not cholesky(a, p):
        return False
    for j in range(p):
        for i in range(p):
            out[i, j] = 1.0 if i == j else 0.0
        solve(a, out[:, j], p)
    return True


@njit
def log_determinant(factor: Array, p: int) -> float:
    """log |L L'| from the Cholesky factor."""
    total = 0.0
    for k in range(p):
        total += math.log(factor[k, k])
    return 2.0 * total


@njit
def draw_inverse_wishart(rng: Any, df: float, scale: Array, out: Array, work: Array, p: int) -> bool:
    """out = one draw from the inverse Wishart, density ∝ |W|^-((df+p+1)/2) exp(-tr(scale W^-1)/2).

    Bartlett's decomposition: with scale = C C' and A the lower Bartlett factor of Wishart(df, I) taken from
    the last coordinate up (so that it is upper triangular), W = (C A^-T)(C A^-T)'. Needs df > p - 1.
    `scale` is replaced by its factor; `work` is p x p. False if scale is not positive definite.
    """
    if not cholesky(scale, p):
        return False
    # U upper triangular with U U' ~ Wishart(df, I): diagonal chi's rising towards the last coordinate.
    for i in range(p):
        for j in range(p):
            work[i, j] = 0.0
        work[i, i] = math.sqrt(2.0 * rng.standard_gamma(0.5 * (df - (p - 1 - i))))
        for j in range(i + 1, p):
            work[i, j] = rng.standard_normal()
    # M = C U^-T, where U^-T is lower triangular: rows of M solve M U' = C, that is U M' = C'.
    for r in range(p):
        for i in range(p - 1, -1, -1):
            total = scale[r, i] if i <= r else 0.0
            for k in range(i + 1, p):
                total -= work[i, k] * out[r, k]
            out[r, i] = total / work[i, i]
    # W = M M', formed through the work array because M sits in out.
    for i in range(p):
        for j in range(p):
            total = 0.0
            for k in range(p):
                total += out[i, k] * out[j, k]
            work[i, j] = total
    for i in range(p):
        for j in range(p):
            out[i, j] = work[i, j]
    return True
