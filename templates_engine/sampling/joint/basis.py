"""The coordinates in which the covariances of level 1 and of a classification are both diagonal.

With Ω1 = L L' and L^-1 Ω_u|v L^-T = P D P', put B = L P and u = B w, so that B^-1 Ω1 B^-T = I and, given v,
w ~ N(G v, D) with G = B^-1 Ω_uv Ω_vv^-1. One factorisation a sweep then serves every unit, whatever its size.
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Basis, Floats
from templates_engine.sampling.joint.linalg import cholesky, eigen_symmetric, inverse, invert_lower


@njit
def regress_effects(omega2: Floats, basis: Basis, slope: Floats, conditional: Floats) -> bool:
    """Qv = Ω_vv^-1, slope (p1, p2) = Ω_uv Ω_vv^-1, conditional (p1, p1) = Ω_u|v. False if Ω_vv is not positive."""
    p1 = slope.shape[0]
    p2 = slope.shape[1]
    own = np.empty((p2, p2))
    for e in range(p2):
        for f in range(p2):
            own[e, f] = omega2[p1 + e, p1 + f]
    if p2 > 0 and not inverse(own, p2, basis.Qv):
        return False
    for i in range(p1):
        for e in range(p2):
            s = 0.0
            for f in range(p2):
                s += omega2[i, p1 + f] * basis.Qv[f, e]
            slope[i, e] = s
    for i in range(p1):
        for j in range(p1):
            s = omega2[i, j]
            for e in range(p2):
                s -= slope[i, e] * omega2[p1 + e, j]
            conditional[i, j] = s
    return True


@njit
def diagonalise(omega1: Floats, omega2: Floats, basis: Basis) -> bool:
    """Fill the basis. False if Ω1 or Ω_vv is not positive definite; Ω2 may have effects without variance."""
    p1 = omega1.shape[0]
    p2 = basis.Qv.shape[0]
    slope = np.zeros((p1, p2))
    conditional = np.empty((p1, p1))
    if not regress_effects(omega2, basis, slope, conditional):
        return False
    L = omega1.copy()
    if not cholesky(L, p1):
        return False
    Li = np.empty((p1, p1))
    invert_lower(L, p1, Li)
    half = np.empty((p1, p1))
    A = np.empty((p1, p1))
    for i in range(p1):
        for j in range(p1):
            s = 0.0
            for k in range(i + 1):
                s += Li[i, k] * conditional[k, j]
            half[i, j] = s
    for i in range(p1):
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s += half[i, k] * Li[j, k]
            A[i, j] = s
            A[j, i] = s
    V = np.empty((p1, p1))
    eigen_symmetric(A, p1, V)
    for k in range(p1):
        if not A[k, k] < np.inf:
            return False
        basis.D[k] = max(A[k, k], 0.0)
        for i in range(p1):
            s = 0.0
            for j in range(i + 1):
                s += L[i, j] * V[j, k]
            basis.B[i, k] = s
            s = 0.0
            for j in range(i, p1):
                s += V[j, k] * Li[j, i]
            basis.C[k, i] = s
        for e in range(p2):
            s = 0.0
            for i in range(p1):
                s += basis.C[k, i] * slope[i, e]
            basis.G[k, e] = s
    return True
