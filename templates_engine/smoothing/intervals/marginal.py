"""The likelihood of smoothing constants with the start states integrated out, compiled.

At given constants the one-step errors are linear in the start states x_0 (to first order with multiplicative seasons):
e = e_0 - X (x_0 - r), r a reference, e_0 its errors. With normal errors, a flat prior on x_0 and 1 / sigma on sigma

    p(constants | y) ~ prior |X'X|^{-1/2} S^{-(n - p) / 2},   S = e_0'e_0 - u'u,  u = L^{-1} X'e_0,  L L' = X'X,

so that sigma^2 given the constants is S / chi^2_{n - p} and the states after the last row are normal about m with
covariance sigma^2 B B', B = D L^{-T}, D their derivatives with respect to x_0. Errors and derivatives come from one
pass over the rows. This is the exact likelihood of De Jong (1991) for diffuse start states; for exponential smoothing
see Hyndman, Koehler, Ord and Snyder (2008, chapter 12).

The joint minimum of the squares over constants and start states has no |X'X| and lies too near 0: with 20 cycles of 12
its gamma is 0 in most series whose true one is 0.15.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.gradients import settle, start_derivatives
from templates_engine.smoothing.recursions import ROW_0, YES, errors_only, part
from templates_engine.smoothing.starts import decompose

STEPS = 3  # Gauss-Newton steps to a multiplicative model's reference


@part
def additive_rows(y, z, constants, periods, offsets, rows, slopes, last):  # type: ignore[no-untyped-def]
    """One pass. rows (n, p + 1): derivatives of each forecast and, last, the error, rows present packed to the front.

    slopes (states, p): derivatives of level, trend and seasons, those before the first row given, those after the last
    left; last (states,): the states likewise. Returns the rows present. Each error e moves the level by alpha e, the
    trend by alpha beta e and a season by gamma (1 - alpha) e, and d e = -d forecast.
    """
    width, many = slopes.shape[1], len(periods)
    alpha, beta, phi = z[0], z[1], z[2]
    d_level, d_trend = slopes[0], slopes[1]
    level, trend = last[0], last[1]
    now = offsets.copy()
    used = 0
    for t in range(len(y)):
        level += phi * trend
        trend *= phi
        row = rows[used]
        for j in range(width):
            d_level[j] += phi * d_trend[j]
            d_trend[j] *= phi
            row[j] = d_level[j]
        if not math.isnan(y[t]):
            e = y[t] - level
            for i in range(many):
                e -= last[2 + now[i]]
                moved = slopes[2 + now[i]]
                for j in range(width):
                    row[j] += moved[j]
            row[width] = e
            level += alpha * e
            trend += alpha * beta * e
            for j in range(width):
                d_level[j] -= alpha * row[j]
                d_trend[j] -= alpha * beta * row[j]
            for i in range(many):
                rate = z[3 + i] * (1.0 - alpha)
                last[2 + now[i]] += rate * e
                moved = slopes[2 + now[i]]
                for j in range(width):
                    moved[j] -= rate * row[j]
            used += 1
        for i in range(many):
            now[i] = now[i] + 1 if now[i] + 1 < offsets[i] + periods[i] else offsets[i]
    last[0], last[1] = level, trend
    return used


@part
def multiplicative_rows(y, z, constants, periods, offsets, rows, slopes, last):  # type: ignore[no-untyped-def]
    """As `additive_rows` for multiplicative seasons; -1 where a season is not positive."""
    width, many = slopes.shape[1], len(periods)
    alpha, beta, phi = z[0], z[1], z[2]
    d_level, d_trend, d_log = slopes[0], slopes[1], np.empty(width)  # d_log: of the logarithm of the seasons' product
    level, trend = last[0], last[1]
    now = offsets.copy()
    used = 0
    for t in range(len(y)):
        base = level + phi * trend
        if math.isnan(y[t]):
            level = base
            trend *= phi
            for j in range(width):
                d_level[j] += phi * d_trend[j]
                d_trend[j] *= phi
        else:
            total = 1.0
            d_log[:] = 0.0
            for i in range(many):
                s = last[2 + now[i]]
                if not s > 0.0:
                    return -1
                total *= s
                moved = slopes[2 + now[i]]
                for j in range(width):
                    d_log[j] += moved[j] / s
            clean = y[t] / total
            new = base + alpha * (clean - base)
            row = rows[used]
            row[width] = y[t] - base * total
            for j in range(width):
                d_base = d_level[j] + phi * d_trend[j]
                row[j] = total * (d_base + base * d_log[j])
                d_new = (1.0 - alpha) * d_base - alpha * clean * d_log[j]
                d_trend[j] = beta * (d_new - d_level[j]) + (1.0 - beta) * phi * d_trend[j]
                d_level[j] = d_new
            trend = beta * (new - level) + (1.0 - beta) * phi * trend
            level = new
            for i in range(many if new > 0.0 else 0):
                s, gamma = last[2 + now[i]], z[3 + i]
                target = y[t] * s / (new * total)
                moved = slopes[2 + now[i]]
                for j in range(width):
                    d_target = target * (moved[j] / s - d_level[j] / new - d_log[j])
                    moved[j] = gamma * d_target + (1.0 - gamma) * moved[j]
                last[2 + now[i]] = gamma * target + (1.0 - gamma) * s
            used += 1
        for i in range(many):
            now[i] = now[i] + 1 if now[i] + 1 < offsets[i] + periods[i] else offsets[i]
    last[0], last[1] = level, trend
    return used


@part
def products(rows, used, whole):  # type: ignore[no-untyped-def]
    """whole = rows'rows over the rows used, four rows at a time."""
    width = whole.shape[0]
    whole[:] = 0.0
    quads = used // 4 * 4
    for t in range(0, quads, 4):
        one, two, three, four = rows[t], rows[t + 1], rows[t + 2], rows[t + 3]
        for a in range(width):
            for c in range(width):  # both triangles: loops of one length are done several numbers at a time
                whole[a, c] += one[a] * one[c] + two[a] * two[c] + three[a] * three[c] + four[a] * four[c]
    for t in range(quads, used):
        for a in range(width):
            for c in range(width):
                whole[a, c] += rows[t, a] * rows[t, c]


@njit
def marginal(y, z, constants, periods, offsets, kind, states, ridge, rows, slopes, last, spread, step):  # type: ignore[no-untyped-def]
    """Log marginal likelihood of the constants in z but for a constant, S, degrees of freedom; -inf where undefined.

    z: constants and the reference of the start states, of which the entries `states` (p,) are unknown, the others
    known; ridge: share added to the diagonal of X'X (two seasons with a common harmonic cannot be told apart by it
    alone). Written: last (states,): mean of the states after the last row; spread (states, p): B; step (p,): mean of
    the unknown start states less the reference. rows (n, p + 1) and slopes (states, p) are working space.
    """
    width = len(states)
    slopes[:] = 0.0
    start_derivatives(states, constants, periods, offsets, slopes[0], slopes[1], slopes[2:])
    last[:] = z[constants:]
    if kind == 2:
        used = multiplicative_rows(y, z, constants, periods, offsets, rows, slopes, last)
    else:
        used = additive_rows(y, z, constants, periods, offsets, rows, slopes, last)
    free = used - width
    if free < 1:
        return -math.inf, 0.0, 0
    whole = np.empty((width + 1, width + 1))
    products(rows, used, whole)
    squares, logs = whole[width, width], 0.0
    for i in range(width):  # Cholesky, L below the diagonal of `whole`; the last row becomes u'
        whole[i, i] += ridge * whole[i, i]
        for c in range(i):
            value = whole[i, c]
            for q in range(c):
                value -= whole[i, q] * whole[c, q]
            whole[i, c] = value / whole[c, c]
        value = whole[i, i]
        for q in range(i):
            value -= whole[i, q] * whole[i, q]
        if not value > 0.0:
            return -math.inf, 0.0, 0
        whole[i, i] = math.sqrt(value)
        logs += math.log(value)
    for c in range(width):
        value = whole[width, c]
        for q in range(c):
            value -= whole[width, q] * whole[c, q]
        whole[width, c] = value / whole[c, c]
        squares -= whole[width, c] * whole[width, c]
    if not squares > 0.0 or not math.isfinite(squares):
        return -math.inf, 0.0, 0
    for k in range(len(last)):
        for c in range(width):
            value = slopes[k, c]
            for q in range(c):
                value -= spread[k, q] * whole[c, q]
            spread[k, c] = value / whole[c, c]
            last[k] += spread[k, c] * whole[width, c]
    for b in range(width):
        c = width - 1 - b
        value = whole[width, c]
        for q in range(c + 1, width):
            value -= whole[q, c] * step[q]
        step[c] = value / whole[c, c]
    return -0.5 * logs - 0.5 * free * math.log(squares), squares, free


@part
def squares_of(y, z, constants, periods, offsets, kind, errors):  # type: ignore[no-untyped-def]
    """Sum of squared one-step errors from the first row; errors (n,) is working space."""
    season = z[constants + 2 :].copy()
    errors_only(y, ROW_0, z[constants], z[constants + 1], season, periods, offsets, kind, z[:constants], errors)
    return np.nansum(errors * errors)


@njit
def put_reference(  # type: ignore[no-untyped-def]
    y, z, constants, periods, offsets, kind, has_trend, given, states, ridge, rows, slopes, last, spread, step
):
    """Reference of the start states, before the first row, into z: the decomposition of the first periods, or `given`.

    With multiplicative seasons Gauss-Newton steps at the constants in z follow, as long as they help; with additive
    ones any reference gives the same answer.
    """
    if not given:
        z[constants], z[constants + 1], _ = decompose(y, periods, offsets, kind, has_trend, YES, z[constants + 2 :])
    if kind != 2:
        return
    errors = np.empty(len(y))
    cost = squares_of(y, z, constants, periods, offsets, kind, errors)
    for _ in range(STEPS):
        _, _, free = marginal(y, z, constants, periods, offsets, kind, states, ridge, rows, slopes, last, spread, step)
        trial = z.copy()
        for j in range(len(states) if free > 0 else 0):
            trial[states[j]] += step[j]
        settle(trial, constants, periods, offsets, kind)
        if np.min(trial[constants + 2 :]) <= 0.0:
            return
        value = squares_of(y, trial, constants, periods, offsets, kind, errors)
        if not value < cost:
            return
        cost = value
        z[:] = trial
