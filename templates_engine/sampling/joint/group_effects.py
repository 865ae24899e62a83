"""Group effects and level 2 responses: one joint draw a group, in the basis that makes both covariances diagonal.

With Ω1 = L L' and L^-1 Ω_u|v L^-T = P D P', put B = L P and u = B w, so that B^-1 Ω1 B^-T = I and, given v,
w ~ N(G v, D) with G = B^-1 Ω_uv Ω_vv^-1. One factorisation a sweep then serves every group, whatever its size n:
    w_k | v, y ~ N(((G v)_k + D_k r_k) / (1 + n D_k), D_k / (1 + n D_k))      r = B^-1 (sum of residuals of the group)
    v | y      ~ precision Ω_vv^-1 + G' diag(n / (1 + n D)) G, linear term G' (r / (1 + n D))      u integrated out
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint.arrays import INTERVAL, NORMAL, Dims, Floats, Groups, State, Sums
from templates_engine.sampling.joint.latents import maximum_bounds
from templates_engine.sampling.joint.linalg import cholesky, draw_canonical, eigen_symmetric, inverse, invert_lower
from templates_engine.sampling.truncated import normal_between


class Basis(NamedTuple):
    """See the head of the module."""

    B: Floats  # (p1, p1)
    C: Floats  # (p1, p1) inverse of B
    D: Floats  # (p1,)
    G: Floats  # (p1, p2)
    Qv: Floats  # (p2, p2) inverse of Ω_vv


@njit
def diagonalise(omega1: Floats, omega2: Floats, basis: Basis) -> bool:
    """Fill the basis. False if a covariance is not positive definite."""
    p1 = omega1.shape[0]
    p2 = basis.Qv.shape[0]
    own = np.empty((p2, p2))
    for e in range(p2):
        for f in range(p2):
            own[e, f] = omega2[p1 + e, p1 + f]
    if p2 > 0 and not inverse(own, p2, basis.Qv):
        return False
    slope = np.zeros((p1, p2))
    conditional = np.empty((p1, p1))
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


@njit
def group_residuals(dims: Dims, groups: Groups, theta: Floats, sums: Sums) -> None:
    """residual[j, d] = sum over the group's rows of y less its fixed part."""
    for j in range(groups.size.size):
        for d in range(sums.residual.shape[1]):
            s = sums.by_group[j, d]
            for a in range(dims.terms[d]):
                s -= groups.xsum[j, dims.first[d] + a] * theta[dims.offset[d] + a]
            sums.residual[j, d] = s


@njit_inlined
def fixed_level2(dims: Dims, groups: Groups, theta: Floats, p1: int, j: int, out: Floats) -> None:
    """Fixed part of the level 2 responses of group j."""
    for e in range(out.size):
        d = p1 + e
        s = 0.0
        for a in range(dims.terms[d]):
            s += groups.design[j, dims.first[d] + a] * theta[dims.offset[d] + a]
        out[e] = s


@njit_inlined
def draw_level2(
    generator: np.random.Generator,
    dims: Dims,
    groups: Groups,
    state: State,
    j: int,
    M: Floats,
    linear: Floats,
    fixed: Floats,
) -> bool:
    """Draw latents and missing cells of z_j, whose residual v has precision M and linear term `linear`."""
    p2 = linear.size
    p1 = state.u.shape[1]
    z = state.z[j]
    for e in range(p2):
        d = p1 + e
        if groups.code[j, e] < 0 or dims.kind[d] == NORMAL:
            continue
        mean = linear[e]
        for f in range(p2):
            if f != e:
                mean -= M[e, f] * (z[f] - fixed[f])
        mean = fixed[e] + mean / M[e, e]
        sd = 1.0 / math.sqrt(M[e, e])
        if dims.kind[d] == INTERVAL:
            low = state.tau[d, groups.code[j, e]]
            high = state.tau[d, groups.code[j, e] + 1]
        else:
            member = d - dims.block[d]
            low, high = maximum_bounds(groups.code[j, e], member, dims.width[d], z, e - member)
        z[e] = mean + sd * normal_between(generator, (low - mean) / sd, (high - mean) / sd)
    if groups.missing[j] == 0:
        return True
    # the missing cells jointly, given the others
    n = 0
    at = np.empty(p2, np.int64)
    for e in range(p2):
        if groups.code[j, e] < 0:
            at[n] = e
            n += 1
    A = np.empty((n, n))
    b = np.empty(n)
    for i in range(n):
        b[i] = linear[at[i]]
        for f in range(p2):
            if groups.code[j, f] >= 0:
                b[i] -= M[at[i], f] * (z[f] - fixed[f])
        for k in range(n):
            A[i, k] = M[at[i], at[k]]
    out = np.empty(n)
    if not draw_canonical(generator, A, b, n, out):
        return False
    for i in range(n):
        z[at[i]] = fixed[at[i]] + out[i]
    return True


@njit
def draw_groups(
    generator: np.random.Generator, dims: Dims, groups: Groups, basis: Basis, state: State, sums: Sums
) -> bool:
    """Draw (z_j, u_j) of every group: z with u integrated out, then u given z."""
    p1 = basis.D.size
    p2 = basis.Qv.shape[0]
    r = np.empty(p1)
    w = np.empty(p1)
    share = np.empty(p1)
    M = np.empty((p2, p2))
    linear = np.empty(p2)
    fixed = np.empty(p2)
    for j in range(groups.size.size):
        n = groups.size[j]
        for k in range(p1):
            s = 0.0
            for d in range(p1):
                s += basis.C[k, d] * sums.residual[j, d]
            r[k] = s
            share[k] = 1.0 / (1.0 + n * basis.D[k])
            w[k] = basis.D[k] * s
        if p2 > 0:
            for e in range(p2):
                s = 0.0
                for k in range(p1):
                    s += basis.G[k, e] * r[k] * share[k]
                linear[e] = s
                for f in range(e + 1):
                    s = basis.Qv[e, f]
                    for k in range(p1):
                        s += basis.G[k, e] * basis.G[k, f] * n * share[k]
                    M[e, f] = s
                    M[f, e] = s
            fixed_level2(dims, groups, state.theta, p1, j, fixed)
            if not draw_level2(generator, dims, groups, state, j, M, linear, fixed):
                return False
            for k in range(p1):
                for e in range(p2):
                    w[k] += basis.G[k, e] * (state.z[j, e] - fixed[e])
        for k in range(p1):
            w[k] = share[k] * w[k] + math.sqrt(basis.D[k] * share[k]) * generator.standard_normal()
        for d in range(p1):
            s = 0.0
            for k in range(p1):
                s += basis.B[d, k] * w[k]
            state.u[j, d] = s
    return True


@njit
def draw_level2_given_effects(
    generator: np.random.Generator, dims: Dims, groups: Groups, Q: Floats, state: State, residual2: Floats
) -> bool:
    """Draw the level 2 latents and missing cells of every group given u_j. Q: inverse of Ω2; residual2 is kept."""
    p1 = state.u.shape[1]
    p2 = state.z.shape[1]
    M = np.empty((p2, p2))
    for e in range(p2):
        for f in range(p2):
            M[e, f] = Q[p1 + e, p1 + f]
    linear = np.empty(p2)
    fixed = np.empty(p2)
    for j in range(groups.size.size):
        for e in range(p2):
            fixed[e] = state.z[j, e] - residual2[j, p1 + e]
            s = 0.0
            for d in range(p1):
                s -= Q[p1 + e, d] * state.u[j, d]
            linear[e] = s
        if not draw_level2(generator, dims, groups, state, j, M, linear, fixed):
            return False
        for e in range(p2):
            residual2[j, p1 + e] = state.z[j, e] - fixed[e]
    return True


@njit
def shift_latents(
    generator: np.random.Generator, dims: Dims, Q: Floats, state: State, sums: Sums, residual2: Floats, turn: int
) -> None:
    """Move u_jd together with the group's latents y_ijd, residuals held (an ancillary interweaving step).

    The translation leaves the level 1 residuals and every category as they are as long as it stays in (low, high), so
    its density is that of u_jd given the other effects of the group: a truncated Normal, drawn exactly. Where a group
    has one category only (girls' schools), the effect crosses its wide posterior in one step; by data augmentation
    alone it would creep (Yu and Meng, 2011, JCGS 20, 531-570; Liu and Sabatti, 2000, for the translation group).

    Q: inverse of Ω2; residual2 (J, p): (u_j, v_j), kept up to date. Of an Unordered response one latent a sweep is
    moved, because the bounds of the others change with it.
    """
    p = Q.shape[0]
    for d in range(state.u.shape[1]):
        if dims.kind[d] == NORMAL or (dims.kind[d] != INTERVAL and d - dims.block[d] != turn % dims.width[d]):
            continue
        sd = 1.0 / math.sqrt(Q[d, d])
        for j in range(state.u.shape[0]):
            if not sums.low[j, d] < sums.high[j, d]:
                continue
            mean = 0.0
            for k in range(p):
                mean -= Q[d, k] * residual2[j, k]
            mean /= Q[d, d]
            step = mean + sd * normal_between(generator, (sums.low[j, d] - mean) / sd, (sums.high[j, d] - mean) / sd)
            state.u[j, d] += step
            state.shift[j, d] += step
            residual2[j, d] += step
            sums.low[j, d] -= step
            sums.high[j, d] -= step
