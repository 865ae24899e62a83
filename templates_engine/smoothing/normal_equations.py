"""Small positive definite systems of linear equations, compiled: Cholesky's factors, the right side carried along."""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit


@njit
def factorised(system, ridge):  # type: ignore[no-untyped-def]
    """Over the system (p, p + 1) of A (upper half) and b: R with R'R = A, reciprocals on the diagonal, and R'^{-1} b.

    The diagonal of A is raised by `ridge` (relative) before. False where A then is not positive definite.
    """
    size = len(system)
    for i in range(size):
        system[i, i] *= 1.0 + ridge
    for i in range(size):
        if not system[i, i] > 0.0:
            return False
        scale = 1.0 / math.sqrt(system[i, i])
        row = system[i]
        row[i] = scale
        for k in range(i + 1, size + 1):
            row[k] *= scale
        for j in range(i + 1, size):
            below, times = system[j], row[j]
            for k in range(j, size + 1):
                below[k] -= times * row[k]
    return True


@njit
def back_substituted(system, step):  # type: ignore[no-untyped-def]
    """step = A^{-1} b from the factors."""
    size = len(system)
    for b in range(size):
        i = size - 1 - b
        value = system[i, size]
        for k in range(i + 1, size):
            value -= system[i, k] * step[k]
        step[i] = value * system[i, i]


@njit
def solve_damped(matrix, gradient, free, damping, step):  # type: ignore[no-untyped-def]
    """step = -(A + damping diag A)^{-1} g over the free rows of a symmetric matrix, else 0.

    False where the damped matrix is not positive definite.
    """
    width, size = len(gradient), 0
    rows = np.empty(width, np.int64)
    for a in range(width):
        step[a] = 0.0
        if free[a]:
            rows[size] = a
            size += 1
    system, found = np.empty((size, size + 1)), np.empty(size)
    for i in range(size):
        system[i, size] = -gradient[rows[i]]
        for k in range(i, size):
            system[i, k] = matrix[rows[i], rows[k]]
        system[i, i] += 1e-300
    if not factorised(system, damping):
        return False
    back_substituted(system, found)
    for i in range(size):
        step[rows[i]] = found[i]
    return True
