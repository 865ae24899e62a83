"""Small dense linear algebra for the joint model's kernels, by hand loops (faster than LAPACK up to about 15)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@njit
def copy_into(out: Floats, A: Floats) -> None:
    """out = A, both two-dimensional. A slice assignment does the same and takes a second longer to compile."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[i, j] = A[i, j]


@njit
def fill(out: Floats, value: float) -> None:
    """out = value, two-dimensional."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = value


@njit
def clear(out: Floats) -> None:
    """out = 0, two-dimensional."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0


SINGULAR = 1e-13  # a pivot below this share of its diagonal element is rounding, not information


@njit
def cholesky(A: Floats, n: int) -> bool:
    """Lower Cholesky factor of A[:n, :n] in place (the upper triangle is left as it was). False if not positive."""
    for i in range(n):
        for j in range(i):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = s / A[j, j]
        s = A[i, i]
        for k in range(i):
            s -= A[i, k] * A[i, k]
        if not (SINGULAR * A[i, i] < s < np.inf):  # also catches NaN
            return False
        A[i, i] = math.sqrt(s)
    return True


@njit
def invert_lower(L: Floats, n: int, out: Floats) -> None:
    """out = inverse of the lower triangle L[:n, :n] (zero above the diagonal)."""
    for i in range(n):
        for j in range(i + 1, n):
            out[i, j] = 0.0
        out[i, i] = 1.0 / L[i, i]
        for j in range(i):
            s = 0.0
            for k in range(j, i):
                s -= L[i, k] * out[k, j]
            out[i, j] = s / L[i, i]


@njit
def inverse(A: Floats, n: int, out: Floats) -> bool:
    """out = inverse of the positive definite A[:n, :n]; A is kept. False if A is not positive definite."""
    L = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            L[i, j] = A[i, j]
    if not cholesky(L, n):
        return False
    M = np.empty((n, n))
    invert_lower(L, n, M)
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, n):
                s += M[k, i] * M[k, j]
            out[i, j] = s
            out[j, i] = s
    return True


@njit
def inverse_within(A: Floats, within: Ints, out: Floats) -> bool:
    """out = inverse of A among the dimensions `within` (ascending), zero elsewhere. False if not positive definite."""
    n = within.size
    if n == A.shape[0]:
        return inverse(A, n, out)
    part = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            part[i, j] = A[within[i], within[j]]
    Q = np.empty((n, n))
    if not inverse(part, n, Q):
        return False
    clear(out)
    for i in range(n):
        for j in range(n):
            out[within[i], within[j]] = Q[i, j]
    return True


@njit
def draw_canonical(generator: np.random.Generator, M: Floats, rhs: Floats, n: int, out: Floats) -> bool:
    """out[:n] ~ N(M^-1 rhs, M^-1). M and rhs are overwritten. False if M is not positive definite."""
    if not cholesky(M, n):
        return False
    for i in range(n):
        s = rhs[i]
        for k in range(i):
            s -= M[i, k] * rhs[k]
        rhs[i] = s / M[i, i]
    for i in range(n - 1, -1, -1):
        s = rhs[i] + generator.standard_normal()
        for k in range(i + 1, n):
            s -= M[k, i] * out[k]
        out[i] = s / M[i, i]
    return True


@njit
def eigen_symmetric(A: Floats, n: int, V: Floats) -> None:
    """Cyclic Jacobi: A[:n, :n] becomes diagonal (its eigenvalues), the columns of V its eigenvectors."""
    for i in range(n):
        for j in range(n):
            V[i, j] = 1.0 if i == j else 0.0
    for _ in range(60):
        off = 0.0
        total = 0.0
        for i in range(n):
            total += A[i, i] * A[i, i]
            for j in range(i):
                off += A[i, j] * A[i, j]
        if off <= 1e-30 * total or off == 0.0:
            return
        for p in range(n - 1):
            for q in range(p + 1, n):
                apq = A[p, q]
                if apq == 0.0:
                    continue
                theta = 0.5 * (A[q, q] - A[p, p]) / apq
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                for k in range(n):
                    akp = A[k, p]
                    akq = A[k, q]
                    A[k, p] = c * akp - s * akq
                    A[k, q] = s * akp + c * akq
                for k in range(n):
                    apk = A[p, k]
                    aqk = A[q, k]
                    A[p, k] = c * apk - s * aqk
                    A[q, k] = s * apk + c * aqk
                for k in range(n):
                    vkp = V[k, p]
                    vkq = V[k, q]
                    V[k, p] = c * vkp - s * vkq
                    V[k, q] = s * vkp + c * vkq
