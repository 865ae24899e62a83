"""Effects of a classification and its own responses: one joint draw a unit, in the coordinates of joint.basis.

With n rows in a unit, r = B^-1 (sum of its residuals) and u = B w:
    w_k | v, y ~ N(((G v)_k + D_k r_k) / (1 + n D_k), D_k / (1 + n D_k))
    v | y      ~ precision Ω_vv^-1 + G' diag(n / (1 + n D)) G, linear term G' (r / (1 + n D))      u integrated out
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint.arrays import INTERVAL, NORMAL, Class, Crossing, Dims, Floats, Groups, Ints, State
from templates_engine.sampling.joint.latents import maximum_bounds
from templates_engine.sampling.joint.linalg import draw_canonical
from templates_engine.sampling.truncated import normal_between


@njit
def remove_others(totals: Floats, crossing: Crossing, u: Floats) -> None:
    """totals (J, p1) less the effects u (J', p1) of another classification, over the rows of each unit."""
    start, unit, shared = crossing.start, crossing.unit, crossing.shared
    for j in range(start.size - 1):
        for c in range(start[j], start[j + 1]):
            m = unit[c]
            share = shared[c]
            for d in range(totals.shape[1]):
                totals[j, d] -= share * u[m, d]


@njit
def group_residuals(dims: Dims, c: Class, theta: Floats) -> None:
    """residual[j, d] = total of the unit less its fixed part."""
    residual, total, xsum = c.sums.residual, c.sums.total, c.groups.xsum
    for j in range(residual.shape[0]):
        for d in range(residual.shape[1]):
            s = total[j, d]
            for a in range(dims.terms[d]):
                s -= xsum[j, dims.first[d] + a] * theta[dims.offset[d] + a]
            residual[j, d] = s


@njit_inlined
def fixed_part(dims: Dims, groups: Groups, theta: Floats, j: int, out: Floats) -> None:
    """Fixed part of the classification's own responses of unit j."""
    for e in range(out.size):
        d = groups.base + e
        s = 0.0
        for a in range(dims.terms[d]):
            s += groups.design[j, dims.first[d] + a] * theta[dims.offset[d] + a]
        out[e] = s


@njit
def class_residuals(dims: Dims, c: Class, theta: Floats, residual: Floats) -> None:
    """residual (J, p) = (u_j, z_j less its fixed part)."""
    u, z = c.effects.u, c.effects.z
    p1 = u.shape[1]
    p2 = z.shape[1]
    fixed = np.empty(p2)
    for j in range(u.shape[0]):
        fixed_part(dims, c.groups, theta, j, fixed)
        for d in range(p1):
            residual[j, d] = u[j, d]
        for e in range(p2):
            residual[j, p1 + e] = z[j, e] - fixed[e]


@njit_inlined
def draw_cells(
    generator: np.random.Generator,
    dims: Dims,
    groups: Groups,
    tau: Floats,
    z: Floats,
    j: int,
    M: Floats,
    linear: Floats,
    fixed: Floats,
) -> bool:
    """Draw latents and missing cells of z = z_j, whose residual v has precision M and linear term `linear`."""
    p2 = linear.size
    base = groups.base
    for e in range(p2):
        d = base + e
        if groups.code[j, e] < 0 or dims.kind[d] == NORMAL:
            continue
        mean = linear[e]
        for f in range(p2):
            if f != e:
                mean -= M[e, f] * (z[f] - fixed[f])
        mean = fixed[e] + mean / M[e, e]
        sd = 1.0 / math.sqrt(M[e, e])
        if dims.kind[d] == INTERVAL:
            low = tau[d, groups.code[j, e]]
            high = tau[d, groups.code[j, e] + 1]
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
def draw_groups(generator: np.random.Generator, dims: Dims, c: Class, state: State) -> bool:
    """Draw (z_j, u_j) of every unit: z with u integrated out, then u given z."""
    groups, u, z, residual = c.groups, c.effects.u, c.effects.z, c.sums.residual
    B, C, D, G, Qv = c.basis.B, c.basis.C, c.basis.D, c.basis.G, c.basis.Qv
    p1 = D.size
    p2 = Qv.shape[0]
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
                s += C[k, d] * residual[j, d]
            r[k] = s
            share[k] = 1.0 / (1.0 + n * D[k])
            w[k] = D[k] * s
        if p2 > 0:
            for e in range(p2):
                s = 0.0
                for k in range(p1):
                    s += G[k, e] * r[k] * share[k]
                linear[e] = s
                for f in range(e + 1):
                    s = Qv[e, f]
                    for k in range(p1):
                        s += G[k, e] * G[k, f] * n * share[k]
                    M[e, f] = s
                    M[f, e] = s
            fixed_part(dims, groups, state.theta, j, fixed)
            if not draw_cells(generator, dims, groups, state.tau, z[j], j, M, linear, fixed):
                return False
            for k in range(p1):
                for e in range(p2):
                    w[k] += G[k, e] * (z[j, e] - fixed[e])
        for k in range(p1):
            w[k] = share[k] * w[k] + math.sqrt(D[k] * share[k]) * generator.standard_normal()
        for d in range(p1):
            s = 0.0
            for k in range(p1):
                s += B[d, k] * w[k]
            u[j, d] = s
    clear_absent(c.prior.within, u)
    return True


@njit
def clear_absent(within: Ints, u: Floats) -> None:
    """u = 0 in dimensions that have no variance at this classification, where a draw leaves only rounding."""
    for d in range(u.shape[1]):
        present = False
        for i in range(within.size):
            if within[i] == d:
                present = True
        if not present:
            for j in range(u.shape[0]):
                u[j, d] = 0.0


@njit
def draw_cells_given_effects(
    generator: np.random.Generator, dims: Dims, c: Class, Q: Floats, tau: Floats, residual2: Floats
) -> bool:
    """Draw the own latents and missing cells of every unit given u_j. Q: inverse of Ω2; residual2 is kept."""
    u, z = c.effects.u, c.effects.z
    p1 = u.shape[1]
    p2 = z.shape[1]
    M = np.empty((p2, p2))
    for e in range(p2):
        for f in range(p2):
            M[e, f] = Q[p1 + e, p1 + f]
    linear = np.empty(p2)
    fixed = np.empty(p2)
    for j in range(u.shape[0]):
        for e in range(p2):
            fixed[e] = z[j, e] - residual2[j, p1 + e]
            s = 0.0
            for d in range(p1):
                s -= Q[p1 + e, d] * u[j, d]
            linear[e] = s
        if not draw_cells(generator, dims, c.groups, tau, z[j], j, M, linear, fixed):
            return False
        for e in range(p2):
            residual2[j, p1 + e] = z[j, e] - fixed[e]
    return True


@njit
def shift_latents(
    generator: np.random.Generator, dims: Dims, Q: Floats, c: Class, residual2: Floats, turn: int
) -> None:
    """Move u_jd together with the unit's latents y_ijd, residuals held (an ancillary interweaving step).

    The translation leaves the level 1 residuals and every category as they are as long as it stays in (low, high), so
    its density is that of u_jd given the other effects of the unit: a truncated Normal, drawn exactly. Where a unit
    has one category only (girls' schools), the effect crosses its wide posterior in one step; by data augmentation
    alone it would creep (Yu and Meng, 2011, JCGS 20, 531-570; Liu and Sabatti, 2000, for the translation group).

    Q: inverse of Ω2; residual2 (J, p): (u_j, v_j), kept up to date. Of an Unordered response one latent a sweep is
    moved, because the bounds of the others change with it.
    """
    p = Q.shape[0]
    u, shift, lows, highs = c.effects.u, c.effects.shift, c.sums.low, c.sums.high
    for d in range(u.shape[1]):
        if dims.kind[d] == NORMAL or (dims.kind[d] != INTERVAL and d - dims.block[d] != turn % dims.width[d]):
            continue
        if Q[d, d] == 0.0:  # no variance here
            continue
        sd = 1.0 / math.sqrt(Q[d, d])
        for j in range(u.shape[0]):
            if not lows[j, d] < highs[j, d]:
                continue
            mean = 0.0
            for k in range(p):
                mean -= Q[d, k] * residual2[j, k]
            mean /= Q[d, d]
            step = mean + sd * normal_between(generator, (lows[j, d] - mean) / sd, (highs[j, d] - mean) / sd)
            u[j, d] += step
            shift[j, d] += step
            residual2[j, d] += step
            lows[j, d] -= step
            highs[j, d] -= step
