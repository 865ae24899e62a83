"""Squared errors of a model without multiplicative seasons, the start states at their optimum (variable projection).

With e the error of a row the recursion of recursions.py is, for at most one period,

    l' = l + phi b + A e    b' = phi b + B e    s' = s + C e    A = alpha, B = alpha beta, C = (1 - alpha) gamma,

so that the errors are linear in the start states: their best values for given constants solve a least squares problem,
and what is left to minimise is a function of the constants alone (Golub and Pereyra 1973; its Gauss-Newton matrix in
Kaufman's form, 1975).

Column p of the design matrix is the fall of the errors when the index of position p rises by one. Without missing
values it is that of position 0 put p rows later, so that one pass gives all m of them, and the products of columns
p + 1 and q + 1 are those of p and q less one term. A rise of the level is a rise of all indices: it has no column, and
the mean of the indices is put into the level at the end. A model without a season has m = 1, its index being the level.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.normal_equations import back_substituted, factorised

RIDGE = 1e-11  # relative, on the diagonal: two states that hardly differ in their effect leave it positive
INDEX, TREND, ERROR, CONSTANTS = 0, 1, 2, 3  # rows of the table: falls, errors, derivatives by constant


@njit
def projected(y, z, constants, periods, linear, columns, least, gradient, matrix):  # type: ignore[no-untyped-def]
    """Cost at the constants of z with the best start states, which are written into z.

    y (n,) without NaN; at most one period; linear: columns of the design matrix, m or with the trend's m + 1. Where the
    cost is below `least`, half its gradient and the Gauss-Newton matrix over `columns` (constants) are written.
    """
    n, many = len(y), len(periods)
    m = periods[0] if many else 1
    rates = (z[0], z[0] * z[1], (1.0 - z[0]) * z[3] if many else 0.0)
    season = np.zeros(m)
    if many:
        season[:] = z[constants + 2 :]
    back, table = np.empty(n + m - 1), np.empty((7, n))
    sums, system, step = np.empty((7, m)), np.empty((linear, linear + 1)), np.empty(linear)
    cost = falls(y, z[constants], z[constants + 1], season, rates, z[2], back, table, sums, system)
    if not cost < math.inf:
        return math.inf
    solved = factorised(system, RIDGE)
    if solved:
        for i in range(linear):
            cost -= system[i, linear] ** 2
        back_substituted(system, step)
        centre = 0.0
        for p in range(m):
            season[p] += step[p]
            centre += season[p] / m
        for p in range(m):
            season[p] -= centre
        z[constants] += centre
        if linear > m:
            z[constants + 1] += step[m]
        if many:
            z[constants + 2 :] = season
    if cost < least:
        cost, slopes = derivatives(y, z, constants, season, rates, table, columns, gradient, matrix)
        if solved:
            take_out(table, back, sums, slopes, system, columns, matrix)
    return cost


@njit
def falls(y, level, trend, season, rates, phi, back, table, sums, system):  # type: ignore[no-untyped-def]
    """The first three rows of the table, the normal equations (upper half, right side last); returns the cost.

    back (n + m - 1,): the falls by the first index, last row first, so that column p at row t is back[n - 1 - t + p].
    """
    n, m, linear = len(y), len(season), len(system)
    moving = np.zeros((m, 3))
    moving[0, 0] = 1.0
    for p in range(m):
        moving[p, 2] = season[p]
    a, b, c = rates
    b *= phi
    a += b
    # x: what the level and the trend add to the forecast, g: the trend's part of it
    x1, x2, x3, g1, g2, g3 = 0.0, phi, level + phi * trend, 0.0, phi, phi * trend
    square, cross, cost, now = 0.0, 0.0, 0.0, 0
    for t in range(n):
        s1, s2, s3 = moving[now, 0], moving[now, 1], moving[now, 2]
        f1, f2, e = s1 + x1, s2 + x2, (y[t] - s3) - x3
        g1, g2, g3 = phi * g1, phi * g2, phi * g3
        x1, x2, x3 = (x1 + g1) - a * f1, (x2 + g2) - a * f2, (x3 + g3) + a * e
        g1, g2, g3 = g1 - b * f1, g2 - b * f2, g3 + b * e
        moving[now, 0], moving[now, 1], moving[now, 2] = s1 - c * f1, s2 - c * f2, s3 + c * e
        back[n - 1 - t] = table[INDEX, t] = f1
        table[TREND, t], table[ERROR, t] = f2, e
        square, cross, cost = square + f2 * f2, cross + f2 * e, cost + e * e
        now = now + 1 if now + 1 < m else 0
    for p in range(m - 1):
        back[n + p] = 0.0
    for k in range(3):
        lagged(table[k], back, sums[k])
    for q in range(m):
        value = sums[INDEX, q]
        for p in range(m - q):
            system[p, p + q] = value
            value -= back[p] * back[p + q]
        system[q, linear] = sums[ERROR, q]
    if linear > m:
        for p in range(m):
            system[p, m] = sums[TREND, p]
        system[m, m], system[m, linear] = square, cross
    return cost


@njit
def lagged(values, back, found):  # type: ignore[no-untyped-def]
    """Products of values (n,) with the columns of all indices, into found (m,)."""
    n, m = len(values), len(found)
    for p in range(m):
        found[p] = 0.0
    whole = n - n % 4
    for t in range(0, whole, 4):  # four rows at a time: the sums are loaded and stored once
        at = n - 1 - t
        v0, v1, v2, v3 = values[t], values[t + 1], values[t + 2], values[t + 3]
        r = back[at - 3 : at + m]
        for p in range(m):
            found[p] += (v0 * r[p + 3] + v1 * r[p + 2]) + (v2 * r[p + 1] + v3 * r[p])
    for t in range(whole, n):
        r = back[n - 1 - t : n - 1 - t + m]
        for p in range(m):
            found[p] += values[t] * r[p]


@njit
def derivatives(y, z, constants, season, rates, table, columns, gradient, matrix):  # type: ignore[no-untyped-def]
    """Half the gradient and the Gauss-Newton matrix over the constants at fixed start states.

    Returns the cost and the products of the trend's column with the four constants'.

    The fall of the errors when A, B or C rises is that of a recursion into whose level, trend or index in force the
    error itself is put at every row. Rows 3 to 6 of the table: alpha, beta, phi, gamma.
    """
    n, m = len(y), len(season)
    alpha, beta, phi, gamma = z[0], z[1], z[2], z[3] if constants > 3 else 0.0
    damped = False
    for entry in columns:
        damped = damped or entry == 2
    a, b, c = rates
    slope = b
    b *= phi
    a += b
    moving = np.zeros((m, 5))
    for p in range(m):
        moving[p, 0] = season[p]
    g = phi * z[constants + 1]
    x = z[constants] + g
    xa, xb, xc, xp, ga, gb, gc, gp = 0.0, 0.0, 0.0, g, 0.0, 0.0, 0.0, g
    if damped:
        gp = xp = z[constants + 1]
    aa, ab, ag, bb, bg, gg, ra, rb, rg = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    ap, bp, pg, pp, rp, ha, hb, hg, hp = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    cost, now = 0.0, 0
    for t in range(n):
        s, sa, sb, sc = moving[now, 0], moving[now, 1], moving[now, 2], moving[now, 3]
        e, fa, fb, fc = (y[t] - s) - x, sa + xa, sb + xb, sc + xc
        if damped:
            sp = moving[now, 4]
            fp = sp + xp
            gp = phi * gp
            xp = (xp + gp) - a * fp + (g + slope * e)
            gp = gp - b * fp + (g + slope * e)
            moving[now, 4] = sp - c * fp
        g, ga, gb, gc = phi * g, phi * ga, phi * gb + phi * e, phi * gc
        x, xa, xb, xc = (x + g) + a * e, (xa + ga) - a * fa + e, (xb + gb) - a * fb, (xc + gc) - a * fc
        g, ga, gb, gc = g + b * e, ga - b * fa, gb - b * fb, gc - b * fc
        moving[now, 0], moving[now, 1] = s + c * e, sa - c * fa
        moving[now, 2], moving[now, 3] = sb - c * fb, sc - c * fc + e
        fa, fb, fc = fa + beta * fb - gamma * fc, alpha * fb, (1.0 - alpha) * fc
        table[ERROR, t] = e
        table[3, t], table[4, t], table[6, t] = fa, fb, fc
        cost += e * e
        aa, ab, ag = aa + fa * fa, ab + fa * fb, ag + fa * fc
        bb, bg, gg = bb + fb * fb, bg + fb * fc, gg + fc * fc
        ra, rb, rg = ra - fa * e, rb - fb * e, rg - fc * e
        v = table[TREND, t]
        ha, hb, hg = ha + v * fa, hb + v * fb, hg + v * fc
        if damped:
            table[5, t] = fp
            hp += v * fp
            ap, bp, pg, pp, rp = ap + fa * fp, bp + fb * fp, pg + fp * fc, pp + fp * fp, rp - fp * e
        now = now + 1 if now + 1 < m else 0
    whole = ((aa, ab, ap, ag), (ab, bb, bp, bg), (ap, bp, pp, pg), (ag, bg, pg, gg))
    right = (ra, rb, rp, rg)
    for i in range(len(columns)):
        gradient[i] = right[columns[i]]
        for j in range(len(columns)):
            matrix[i, j] = whole[columns[i]][columns[j]]
    return cost, (ha, hb, hp, hg)


@njit
def take_out(table, back, sums, slopes, system, columns, matrix):  # type: ignore[no-untyped-def]
    """Take out of the constants' matrix what the start states follow: F'F less (R'^{-1} X'F)'(R'^{-1} X'F)."""
    m, size, width = sums.shape[1], len(system), len(columns)
    crossed = np.zeros((size, 4))
    for i in range(width):
        found = sums[CONSTANTS + columns[i]]
        lagged(table[CONSTANTS + columns[i]], back, found)
        for p in range(m):
            crossed[p, i] = found[p]
        crossed[m:, i] = slopes[columns[i]]
    for j in range(size):
        scale = system[j, j]
        c0, c1, c2, c3 = scale * crossed[j, 0], scale * crossed[j, 1], scale * crossed[j, 2], scale * crossed[j, 3]
        crossed[j, 0], crossed[j, 1], crossed[j, 2], crossed[j, 3] = c0, c1, c2, c3
        for k in range(j + 1, size):
            times = system[j, k]
            crossed[k, 0] -= times * c0
            crossed[k, 1] -= times * c1
            crossed[k, 2] -= times * c2
            crossed[k, 3] -= times * c3
    for j in range(size):
        for i in range(width):
            for k in range(width):
                matrix[i, k] -= crossed[j, i] * crossed[j, k]
