"""Fixed effects of all levels: given the random effects, or with those of a classification integrated out.

All leave the same posterior. "conditional" costs a cross-product; "marginal" adds K^2 operations a unit and dimension.
With several classifications coefficients that are constant within units are drawn in every classification's turn with
its effects integrated out (collapsed): given the effects of crossed classifications an intercept would creep
(Papaspiliopoulos, Roberts and Zanella, 2020, Biometrika 107, 25-40).
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Class, Dims, Floats, Groups, Ints, Priors, State
from templates_engine.sampling.joint.linalg import clear, copy_into, draw_canonical, inverse


@njit
def subtract_effects(T: Floats, c: Class) -> None:
    """T (K, p1), sums of predictor times response, less those of predictor times effect of one classification."""
    xsum, u = c.groups.xsum, c.effects.u
    for j in range(u.shape[0]):
        for a in range(xsum.shape[1]):
            for d in range(u.shape[1]):
                T[a, d] -= xsum[j, a] * u[j, d]


@njit
def conditional_effects(
    generator: np.random.Generator, dims: Dims, cross: Floats, T: Floats, priors: Priors, state: State
) -> bool:
    """Level 1 coefficients given all effects: seemingly unrelated regression of y - u (Zellner, 1962).

    cross (K, K): cross-products of predictors; T (K, p1): sums of predictor times (y - u).
    """
    p1 = state.omega1.shape[0]
    n = dims.offset[p1]
    if n == 0:
        return True
    Q = np.empty((p1, p1))
    if not inverse(state.omega1, p1, Q):
        return False
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
                    M[i, k] = priors.precision[i, k] + Q[d, e] * cross[dims.first[d] + a, dims.first[e] + c]
            b[i] = s
    return draw_canonical(generator, M, b, n, state.theta)


@njit
def constant_terms(dims: Dims, groups: Groups, p1: int, p: int) -> tuple[Ints, Ints, Ints]:
    """Coefficients of what is constant within units, and of their own responses.

    (dimension 0 .. p - 1 among those of omega, column of [xfirst, design], place in theta) of each.
    """
    K = groups.xfirst.shape[1]
    n = 0
    for d in range(p):
        n += groups.constant[d] if d < p1 else dims.terms[groups.base + d - p1]
    dim = np.empty(n, np.int64)
    column = np.empty(n, np.int64)
    place = np.empty(n, np.int64)
    i = 0
    for d in range(p):
        of = d if d < p1 else groups.base + d - p1
        for a in range(groups.constant[d] if d < p1 else dims.terms[of]):
            dim[i] = d
            column[i] = dims.first[of] + a + (0 if d < p1 else K)
            place[i] = dims.offset[of] + a
            i += 1
    return dim, column, place


@njit
def linear_given_others(priors: Priors, theta: Floats, place: Ints) -> Floats:
    """The prior's linear term of the coefficients at `place`, the others held."""
    inside = np.zeros(theta.size, np.int64)
    for i in range(place.size):
        inside[place[i]] = 1
    b = np.empty(place.size)
    for i in range(place.size):
        s = priors.linear[place[i]]
        for k in range(theta.size):
            if inside[k] == 0:
                s -= priors.precision[place[i], k] * theta[k]
        b[i] = s
    return b


@njit
def centred_effects(
    generator: np.random.Generator, dims: Dims, c: Class, Q: Floats, priors: Priors, state: State
) -> bool:
    """Coefficients constant within units, redrawn with the units' means held (hierarchical centring), and its own.

    With eta_j = u_j + (part of the fixed effects constant in unit j), (eta_j, z_j) is a regression with covariance Ω2
    (Gelfand, Sahu and Carlin, 1995). u moves so that eta stays. Q: inverse of Ω2.
    """
    groups, u, z = c.groups, c.effects.u, c.effects.z
    p1 = u.shape[1]
    p = Q.shape[0]
    J = u.shape[0]
    K = groups.xsum.shape[1]
    dim, column, place = constant_terms(dims, groups, p1, p)
    n = dim.size
    if n == 0:
        return True
    for i in range(n):
        if dim[i] < p1:
            for j in range(J):
                u[j, dim[i]] += groups.xfirst[j, column[i]] * state.theta[place[i]]
    T = np.zeros((K + groups.design.shape[1], p))
    for j in range(J):
        for a in range(T.shape[0]):
            x = groups.xfirst[j, a] if a < K else groups.design[j, a - K]
            for d in range(p1):
                T[a, d] += x * u[j, d]
            for d in range(p1, p):
                T[a, d] += x * z[j, d - p1]
    M = np.empty((n, n))
    b = linear_given_others(priors, state.theta, place)
    for i in range(n):
        s = b[i]
        for d in range(p):
            s += Q[dim[i], d] * T[column[i], d]
        b[i] = s
        for k in range(n):
            M[i, k] = priors.precision[place[i], place[k]] + Q[dim[i], dim[k]] * groups.cross_both[column[i], column[k]]
    out = np.empty(n)
    if not draw_canonical(generator, M, b, n, out):
        return False
    for i in range(n):
        state.theta[place[i]] = out[i]
        if dim[i] < p1:
            for j in range(J):
                u[j, dim[i]] -= groups.xfirst[j, column[i]] * out[i]
    return True


@njit
def without_constants(groups: Groups, dim: Ints, column: Ints, place: Ints, residual: Floats, theta: Floats) -> Floats:
    """residual (J, p1) with the part of the coefficients at `place`, constant within units, put back."""
    R = residual.copy()
    for i in range(dim.size):
        if dim[i] < R.shape[1]:
            for j in range(R.shape[0]):
                R[j, dim[i]] += groups.size[j] * groups.xfirst[j, column[i]] * theta[place[i]]
    return R


@njit
def coordinate_sums(c: Class, k: int, R: Floats, used: Ints, H: Floats, h: Floats) -> None:
    """H and h: what coordinate k adds to precision and linear term, by pairs of columns; see collapsed_effects."""
    groups, z = c.groups, c.effects.z
    C, D, G = c.basis.C, c.basis.D, c.basis.G
    K = groups.xfirst.shape[1]
    X = np.empty(used.size)
    clear(H)
    for a in range(used.size):
        h[a] = 0.0
    for j in range(R.shape[0]):
        share = 1.0 / (1.0 + groups.size[j] * D[k])
        s = 0.0
        for d in range(R.shape[1]):
            s += C[k, d] * R[j, d]
        for e in range(z.shape[1]):
            s -= groups.size[j] * G[k, e] * z[j, e]
        for a in range(used.size):
            X[a] = groups.xfirst[j, used[a]] if used[a] < K else groups.design[j, used[a] - K]
            h[a] += share * X[a] * s
            for m in range(a + 1):
                H[a, m] += share * groups.size[j] * X[a] * X[m]


@njit
def collapsed_effects(generator: np.random.Generator, dims: Dims, c: Class, priors: Priors, state: State) -> bool:
    """Coefficients constant within units, and of their own responses, with the units' effects integrated out.

    As marginal_effects, given the other coefficients. With x of unit j in all its n rows, X = (x, W) and r its
    residual in coordinate k with x put back, the coordinate adds to precision and linear term
        sum n / (1 + n D) X X'    and    sum X (r - n G z) / (1 + n D)
    """
    groups, z = c.groups, c.effects.z
    C, G, Qv = c.basis.C, c.basis.G, c.basis.Qv
    p1 = C.shape[0]
    p2 = Qv.shape[0]
    dim, column, place = constant_terms(dims, groups, p1, p1 + p2)
    n = dim.size
    if n == 0:
        return True
    used = np.unique(column)
    at = np.searchsorted(used, column)
    R = without_constants(groups, dim, column, place, c.sums.residual, state.theta)
    H = np.empty((used.size, used.size))
    h = np.empty(used.size)
    factor = np.empty(n)
    M = np.empty((n, n))
    b = linear_given_others(priors, state.theta, place)
    for i in range(n):
        for m in range(n):
            M[i, m] = priors.precision[place[i], place[m]]
    for k in range(p1):
        coordinate_sums(c, k, R, used, H, h)
        for i in range(n):
            factor[i] = C[k, dim[i]] if dim[i] < p1 else -G[k, dim[i] - p1]
            b[i] += factor[i] * h[at[i]]
            for m in range(i + 1):
                M[i, m] += factor[i] * factor[m] * H[max(at[i], at[m]), min(at[i], at[m])]
    K = groups.xfirst.shape[1]
    for i in range(n):
        if dim[i] < p1:
            continue
        for f in range(p2):
            for j in range(z.shape[0]):
                b[i] += Qv[dim[i] - p1, f] * groups.design[j, column[i] - K] * z[j, f]
        for m in range(i + 1):
            if dim[m] >= p1:
                M[i, m] += Qv[dim[i] - p1, dim[m] - p1] * groups.cross[column[i] - K, column[m] - K]
    out = np.empty(n)
    if not draw_canonical(generator, M, b, n, out):
        return False
    for i in range(n):
        state.theta[place[i]] = out[i]
    return True


@njit
def marginal_coordinate(
    c: Class, k: int, cross: Floats, T: Floats, H: Floats, F: Floats, E: Floats, hx: Floats, hw: Floats
) -> None:
    """What coordinate k adds to precision (H, F, E) and linear term (hx, hw): see marginal_effects."""
    groups, z, total = c.groups, c.effects.z, c.sums.total
    C, D, G = c.basis.C, c.basis.D, c.basis.G
    p1 = D.size
    K = groups.xsum.shape[1]
    K2 = groups.design.shape[1]
    copy_into(H, cross)
    clear(F)
    clear(E)
    for a in range(K):  # C_k T: predictors times coordinate k of y
        s = 0.0
        for d in range(p1):
            s += C[k, d] * T[a, d]
        hx[a] = s
    for a in range(K2):
        hw[a] = 0.0
    for j in range(groups.size.size):
        share = 1.0 / (1.0 + groups.size[j] * D[k])
        weight = D[k] * share
        y = 0.0
        for d in range(p1):
            y += C[k, d] * total[j, d]
        t = 0.0
        for e in range(z.shape[1]):
            t += G[k, e] * z[j, e]
        x_times = weight * y + share * t
        w_times = share * (y - groups.size[j] * t)
        for a in range(K):
            xa = groups.xsum[j, a]
            hx[a] -= xa * x_times
            for m in range(a + 1):
                H[a, m] -= weight * xa * groups.xsum[j, m]
            for m in range(K2):
                F[a, m] += share * xa * groups.design[j, m]
        for a in range(K2):
            wa = groups.design[j, a]
            hw[a] += wa * w_times
            for m in range(a + 1):
                E[a, m] += groups.size[j] * share * wa * groups.design[j, m]


@njit
def marginal_own(dims: Dims, c: Class, gap: int, M: Floats, b: Floats) -> None:
    """What the own responses of a classification, given no effects, add to precision M and linear term b."""
    groups, z, Qv = c.groups, c.effects.z, c.basis.Qv
    p2 = Qv.shape[0]
    K2 = groups.design.shape[1]
    Wz = np.zeros((K2, p2))
    for j in range(z.shape[0]):
        for a in range(K2):
            for e in range(p2):
                Wz[a, e] += groups.design[j, a] * z[j, e]
    for e in range(p2):
        for a in range(dims.terms[groups.base + e]):
            i = dims.offset[groups.base + e] + a - gap
            ca = dims.first[groups.base + e] + a
            for f in range(p2):
                b[i] += Qv[e, f] * Wz[ca, f]
                for m in range(dims.terms[groups.base + f]):
                    M[i, dims.offset[groups.base + f] + m - gap] += (
                        Qv[e, f] * groups.cross[ca, dims.first[groups.base + f] + m]
                    )


@njit
def marginal_effects(
    generator: np.random.Generator, dims: Dims, cross: Floats, T: Floats, c: Class, priors: Priors, state: State
) -> bool:
    """All level 1 coefficients and those of the own responses given y and z, the units' effects integrated out.

    Generalised least squares. In the coordinates of joint.basis, coordinate k of unit j has precision I - w 11',
    w = D / (1 + n D), and mean sum_d C_kd x_d' beta_d + G_k (z - W gamma). Accumulated a coordinate:
        H = sum w xs xs',  F = sum xs W' / (1 + n D),  E = sum n W W' / (1 + n D),  and the matching linear terms.
    cross, T: as in conditional_effects, T less the effects of other classifications, as sums.total is.
    """
    groups, basis = c.groups, c.basis
    p1 = basis.D.size
    p2 = basis.Qv.shape[0]
    p = p1 + p2
    K = groups.xsum.shape[1]
    K2 = groups.design.shape[1]
    first = dims.offset[p1]  # coefficients of other classifications' responses lie between, and are not drawn
    gap = dims.offset[groups.base] - first
    n = first + dims.offset[groups.base + p2] - dims.offset[groups.base]
    M = np.empty((n, n))
    b = np.empty(n)
    for i in range(n):
        at = i if i < first else i + gap
        b[i] = priors.linear[at]
        for m in range(n):
            M[i, m] = priors.precision[at, m if m < first else m + gap]
    H, F, E = np.empty((K, K)), np.empty((K, K2)), np.empty((K2, K2))
    hx, hw = np.empty(K), np.empty(K2)
    for k in range(p1):
        marginal_coordinate(c, k, cross, T, H, F, E, hx, hw)
        for d in range(p):
            factor = basis.C[k, d] if d < p1 else -basis.G[k, d - p1]
            of = d if d < p1 else groups.base + d - p1
            for a in range(dims.terms[of]):
                i = dims.offset[of] + a - (0 if d < p1 else gap)
                ca = dims.first[of] + a
                b[i] += factor * (hx[ca] if d < p1 else hw[ca])
                for e in range(d + 1):
                    other = factor * (basis.C[k, e] if e < p1 else -basis.G[k, e - p1])
                    oe = e if e < p1 else groups.base + e - p1
                    for m in range(dims.terms[oe]):
                        cm = dims.first[oe] + m
                        at = dims.offset[oe] + m - (0 if e < p1 else gap)
                        if d < p1:
                            M[i, at] += other * H[max(ca, cm), min(ca, cm)]
                        elif e < p1:
                            M[i, at] += other * F[cm, ca]
                        else:
                            M[i, at] += other * E[max(ca, cm), min(ca, cm)]
    if p2 > 0:
        marginal_own(dims, c, gap, M, b)
    out = np.empty(n)
    if not draw_canonical(generator, M, b, n, out):
        return False
    for i in range(n):
        state.theta[i if i < first else i + gap] = out[i]
    return True
