"""Fixed effects of both levels: given the group effects with centring, or with the group effects integrated out.

Both leave the same posterior. "conditional" costs a cross-product; "marginal" adds K^2 operations a group and
dimension.
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Dims, Groups, Priors, State, Sums
from templates_engine.sampling.joint.group_effects import Basis
from templates_engine.sampling.joint.linalg import clear, copy_into, draw_canonical, inverse


@njit
def conditional_effects(
    generator: np.random.Generator, dims: Dims, groups: Groups, priors: Priors, state: State, sums: Sums
) -> bool:
    """Level 1 coefficients given the group effects: seemingly unrelated regression of y - u (Zellner, 1962)."""
    p1 = state.omega1.shape[0]
    K = groups.xsum.shape[1]
    n = dims.offset[p1]
    if n == 0:
        return True
    Q = np.empty((p1, p1))
    if not inverse(state.omega1, p1, Q):
        return False
    T = sums.by_design.copy()
    for j in range(groups.size.size):
        for a in range(K):
            for d in range(p1):
                T[a, d] -= groups.xsum[j, a] * state.u[j, d]
    M = np.empty((n, n))
    b = np.empty(n)
    for d in range(p1):
        for a in range(dims.terms[d]):
            i = dims.offset[d] + a
            s = priors.linear[i]
            for e in range(p1):
                s += Q[d, e] * T[dims.first[d] + a, e]
                for c in range(dims.terms[e]):
                    k = dims.offset[e] + c
                    M[i, k] = priors.precision[i, k] + Q[d, e] * groups.cross[dims.first[d] + a, dims.first[e] + c]
            b[i] = s
    return draw_canonical(generator, M, b, n, state.theta)


@njit
def centred_effects(
    generator: np.random.Generator, dims: Dims, groups: Groups, priors: Priors, state: State, sums: Sums
) -> bool:
    """Coefficients constant within groups, redrawn with the group means held (hierarchical centring), and level 2's.

    With eta_j = u_j + (part of the fixed effects constant in group j), (eta_j, z_j) is a regression with covariance Ω2
    (Gelfand, Sahu and Carlin, 1995). u moves so that eta stays.
    """
    p1 = state.omega1.shape[0]
    p = state.omega2.shape[0]
    J = groups.size.size
    K = groups.xsum.shape[1]
    n = 0
    for d in range(p):
        n += dims.constant[d] if d < p1 else dims.terms[d]
    if n == 0:
        return True
    dim = np.empty(n, np.int64)  # dimension, column of [xfirst, design] and place in theta of each included coefficient
    column = np.empty(n, np.int64)
    place = np.empty(n, np.int64)
    i = 0
    for d in range(p):
        for a in range(dims.constant[d] if d < p1 else dims.terms[d]):
            dim[i] = d
            column[i] = dims.first[d] + a + (0 if d < p1 else K)
            place[i] = dims.offset[d] + a
            i += 1
    Q = np.empty((p, p))
    if not inverse(state.omega2, p, Q):
        return False
    for i in range(n):
        if dim[i] < p1:
            for j in range(J):
                state.u[j, dim[i]] += groups.xfirst[j, column[i]] * state.theta[place[i]]
    T = np.zeros((K + groups.design.shape[1], p))
    for j in range(J):
        for c in range(T.shape[0]):
            x = groups.xfirst[j, c] if c < K else groups.design[j, c - K]
            for d in range(p1):
                T[c, d] += x * state.u[j, d]
            for d in range(p1, p):
                T[c, d] += x * state.z[j, d - p1]
    M = np.empty((n, n))
    b = np.empty(n)
    inside = np.zeros(state.theta.size, np.int64)
    for i in range(n):
        inside[place[i]] = 1
    for i in range(n):
        s = priors.linear[place[i]]
        for k in range(state.theta.size):
            if inside[k] == 0:
                s -= priors.precision[place[i], k] * state.theta[k]
        for d in range(p):
            s += Q[dim[i], d] * T[column[i], d]
        b[i] = s
        for k in range(n):
            M[i, k] = (
                priors.precision[place[i], place[k]] + Q[dim[i], dim[k]] * groups.cross_groups[column[i], column[k]]
            )
    out = np.empty(n)
    if not draw_canonical(generator, M, b, n, out):
        return False
    for i in range(n):
        state.theta[place[i]] = out[i]
        if dim[i] < p1:
            for j in range(J):
                state.u[j, dim[i]] -= groups.xfirst[j, column[i]] * out[i]
    return True


@njit
def marginal_effects(
    generator: np.random.Generator,
    dims: Dims,
    groups: Groups,
    priors: Priors,
    basis: Basis,
    state: State,
    sums: Sums,
) -> bool:
    """All coefficients given y and z, the group effects integrated out: generalised least squares.

    In the basis of joint.group_effects, coordinate k of group j has precision I - w 11', w = D / (1 + n D), and mean
    sum_d C_kd x_d' beta_d + G_k (z - W gamma). Accumulated a coordinate:
        H = sum w xs xs',  F = sum xs W' / (1 + n D),  E = sum n W W' / (1 + n D),  and the matching linear terms.
    """
    p1 = state.omega1.shape[0]
    p = state.omega2.shape[0]
    p2 = p - p1
    K = groups.xsum.shape[1]
    K2 = groups.design.shape[1]
    n = state.theta.size
    M = priors.precision.copy()
    b = priors.linear.copy()
    H = np.empty((K, K))
    F = np.empty((K, K2))
    E = np.empty((K2, K2))
    hx = np.empty(K)
    hw = np.empty(K2)
    for k in range(p1):
        copy_into(H, groups.cross)
        clear(F)
        clear(E)
        for a in range(K):  # C_k T: predictors times coordinate k of y
            s = 0.0
            for d in range(p1):
                s += basis.C[k, d] * sums.by_design[a, d]
            hx[a] = s
        for c in range(K2):
            hw[c] = 0.0
        for j in range(groups.size.size):
            share = 1.0 / (1.0 + groups.size[j] * basis.D[k])
            weight = basis.D[k] * share
            y = 0.0
            for d in range(p1):
                y += basis.C[k, d] * sums.by_group[j, d]
            t = 0.0
            for e in range(p2):
                t += basis.G[k, e] * state.z[j, e]
            x_times = weight * y + share * t
            w_times = share * (y - groups.size[j] * t)
            for a in range(K):
                xa = groups.xsum[j, a]
                hx[a] -= xa * x_times
                for c in range(a + 1):
                    H[a, c] -= weight * xa * groups.xsum[j, c]
                for c in range(K2):
                    F[a, c] += share * xa * groups.design[j, c]
            for a in range(K2):
                wa = groups.design[j, a]
                hw[a] += wa * w_times
                for c in range(a + 1):
                    E[a, c] += groups.size[j] * share * wa * groups.design[j, c]
        for d in range(p):
            factor = basis.C[k, d] if d < p1 else -basis.G[k, d - p1]
            for a in range(dims.terms[d]):
                i = dims.offset[d] + a
                ca = dims.first[d] + a
                b[i] += factor * (hx[ca] if d < p1 else hw[ca])
                for e in range(d + 1):
                    other = factor * (basis.C[k, e] if e < p1 else -basis.G[k, e - p1])
                    for c in range(dims.terms[e]):
                        cc = dims.first[e] + c
                        if d < p1:
                            M[i, dims.offset[e] + c] += other * H[max(ca, cc), min(ca, cc)]
                        elif e < p1:
                            M[i, dims.offset[e] + c] += other * F[cc, ca]
                        else:
                            M[i, dims.offset[e] + c] += other * E[max(ca, cc), min(ca, cc)]
    if p2 > 0:
        Wz = np.zeros((K2, p2))
        for j in range(groups.size.size):
            for a in range(K2):
                for e in range(p2):
                    Wz[a, e] += groups.design[j, a] * state.z[j, e]
        for e in range(p2):
            for a in range(dims.terms[p1 + e]):
                i = dims.offset[p1 + e] + a
                ca = dims.first[p1 + e] + a
                for f in range(p2):
                    b[i] += basis.Qv[e, f] * Wz[ca, f]
                    for c in range(dims.terms[p1 + f]):
                        M[i, dims.offset[p1 + f] + c] += basis.Qv[e, f] * groups.cross2[ca, dims.first[p1 + f] + c]
    return draw_canonical(generator, M, b, n, state.theta)
