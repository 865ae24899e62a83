"""The smoothing recursions, compiled: one pass over a series, forecasts and simulated paths.

States: level l, trend b, and for each period m_i an array of m_i seasonal indices, all laid end to end in one array
`season`; the index in force at row t is entry offset_i + t mod m_i. theta = (alpha, beta, phi, gamma_1, gamma_2, ...);
a model without trend has beta = 0 and b = 0, one without damping phi = 1.

    base = l + phi b        S = sum (product) of the indices in force        forecast = base + S  (base * S)
    l'   = alpha (y - S) + (1 - alpha) base                                  (y / S)
    b'   = beta (l' - l) + (1 - beta) phi b
    s_i' = gamma_i (y - l' - sum of the other indices) + (1 - gamma_i) s_i   (y / (l' * product of the others))

as in R's HoltWinters for one period (Winters 1960), after Taylor (2003) for several. A missing y leaves l' = base,
b' = phi b and the seasons as they are. Multiplicative seasons are moved only while the new level and the indices are
positive: with positive data that fails only where a steep downward trend takes the level through zero.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from templates_engine.sampling import njit

# Constants passed to kernels: Numba would compile a kernel, and all that it calls, once more for a bare 0 or True.
ROW_0 = np.int64(0)
YES, NO = np.bool_(True), np.bool_(False)

# For a function with one caller, which no Python code calls: it is put into the caller's source before compiling.
# A compiled function is optimised and translated again with every function above it.
part = numba.njit(inline="always")


@njit
def positions(periods, offsets, t):  # type: ignore[no-untyped-def]
    """Where the indices in force at row t lie, one a period."""
    now = np.empty(len(periods), np.int64)
    for i in range(len(periods)):
        now[i] = offsets[i] + t % periods[i]
    return now


@njit
def next_row(now, periods, offsets):  # type: ignore[no-untyped-def]
    """Move the positions to the next row (a division for every row would take longer than the recursion)."""
    for i in range(len(now)):
        now[i] += 1
        if now[i] == offsets[i] + periods[i]:
            now[i] = offsets[i]


@njit
def season_now(season, now, kind):  # type: ignore[no-untyped-def]
    """The sum (product) of the indices in force; 0 (1) without a season."""
    if kind == 2:
        total = 1.0
        for at in now:
            total *= season[at]
    else:
        total = 0.0
        for at in now:
            total += season[at]
    return total


@njit
def move_seasons(season, now, kind, theta, y, level, total):  # type: ignore[no-untyped-def]
    """Move the indices in force by the value y and the new level; `total` is what they made before."""
    for i in range(len(now)):
        at = now[i]
        gamma = theta[3 + i]
        s = season[at]
        if kind == 1:
            season[at] = gamma * (y - level - (total - s)) + (1.0 - gamma) * s
        elif level > 0.0 and s > 0.0 and total > 0.0:
            season[at] = gamma * (y / (level * (total / s))) + (1.0 - gamma) * s


@njit
def smooth(y, first, level, trend, season, periods, offsets, kind, theta, fitted, levels, trends, seasons):  # type: ignore[no-untyped-def]
    """Run the recursion over y from row `first`, writing every row; `season` is moved to its last state.

    Returns the last level and trend. fitted, levels, trends (n,), seasons (n, periods) are written from `first` on.
    """
    alpha, beta, phi = theta[0], theta[1], theta[2]
    now = positions(periods, offsets, first)
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, now, kind)
        for i in range(len(periods)):
            seasons[t, i] = season[now[i]]
        fitted[t] = base * total if kind == 2 else base + total
        if math.isnan(y[t]):
            level = base
            trend = phi * trend
        else:
            clean = y[t] - total
            if kind == 2:
                clean = y[t] / total if total != 0.0 else base
            new = alpha * clean + (1.0 - alpha) * base
            trend = beta * (new - level) + (1.0 - beta) * phi * trend
            level = new
            move_seasons(season, now, kind, theta, y[t], level, total)
        levels[t] = level
        trends[t] = trend
        next_row(now, periods, offsets)
    return level, trend


@njit
def errors_only(y, first, level, trend, season, periods, offsets, kind, theta, errors):  # type: ignore[no-untyped-def]
    """The one-step errors alone, in `errors` (n,), NaN where y is missing; `season` is moved.

    Returns the last level and trend. The same steps as `smooth`, written for at most one season where that is so:
    the minimisers spend their time here.
    """
    if len(periods) > 1:
        fitted, levels, trends = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
        level, trend = smooth(
            y, first, level, trend, season, periods, offsets, kind, theta, fitted, levels, trends,
            np.empty((len(y), len(periods))),
        )  # fmt: skip
        for t in range(first, len(y)):
            errors[t] = y[t] - fitted[t]
        return level, trend
    alpha, beta, phi = theta[0], theta[1], theta[2]
    many = len(periods)
    m = periods[0] if many else 1
    gamma = theta[3] if many else 0.0
    index = season if many else np.zeros(1)
    stay, keep, rest = 1.0 - alpha, (1.0 - beta) * phi, 1.0 - gamma
    now = first % m
    for t in range(first, len(y)):
        base = level + phi * trend
        s = index[now]
        value = y[t]
        if math.isnan(value):
            errors[t] = np.nan
            level = base
            trend = phi * trend
        elif kind == 2:
            errors[t] = value - base * s
            clean = value / s if s != 0.0 else base
            new = alpha * clean + stay * base
            trend = beta * (new - level) + keep * trend
            level = new
            if new > 0.0 and s > 0.0:
                index[now] = gamma * (value / new) + rest * s
        else:
            errors[t] = value - s - base
            new = alpha * (value - s) + stay * base
            trend = beta * (new - level) + keep * trend
            level = new
            if many:
                index[now] = gamma * (value - new) + rest * s
        now = now + 1 if now + 1 < m else 0
    return level, trend


@njit
def ahead(n, level, trend, season, periods, offsets, kind, phi, point, totals):  # type: ignore[no-untyped-def]
    """Point forecasts of rows n, n + 1, ... into `point`, the season in each into `totals` (both (horizon,))."""
    grown = 0.0
    power = 1.0
    now = positions(periods, offsets, n)
    for h in range(len(point)):
        power *= phi
        grown += power
        totals[h] = season_now(season, now, kind)
        base = level + grown * trend
        point[h] = base * totals[h] if kind == 2 else base + totals[h]
        next_row(now, periods, offsets)


@njit
def simulate(n, level, trend, season, periods, offsets, kind, theta, shocks, relative, paths):  # type: ignore[no-untyped-def]
    """Future paths: `shocks` (paths, horizon) are the one-step errors, into `paths`.

    relative: errors are relative to the forecast and the seasons move as in the robust recursion, by l + phi b and the
    rate gamma (1 - alpha), instead of by the new level and gamma.
    """
    alpha, beta, phi = theta[0], theta[1], theta[2]
    moving = np.empty_like(season)
    rates = theta.copy()
    if relative:
        rates[3:] *= 1.0 - alpha
    for k in range(paths.shape[0]):
        moving[:] = season
        now_level, b = level, trend
        now = positions(periods, offsets, n)
        for h in range(paths.shape[1]):
            base = now_level + phi * b
            total = season_now(moving, now, kind)
            mean = base * total if kind == 2 else base + total
            y = mean * (1.0 + shocks[k, h]) if relative else mean + shocks[k, h]
            paths[k, h] = y
            clean = y - total
            if kind == 2:
                clean = y / total if total != 0.0 else base
            new = alpha * clean + (1.0 - alpha) * base
            b = beta * (new - now_level) + (1.0 - beta) * phi * b
            now_level = new
            move_seasons(moving, now, kind, rates, y, base if relative else now_level, total)
            next_row(now, periods, offsets)
