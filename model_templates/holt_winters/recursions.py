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

import numpy as np

from templates_engine.sampling.compiled import njit

NONE, ADDITIVE, MULTIPLICATIVE = 0, 1, 2


@njit
def season_now(season, periods, offsets, kind, t):  # type: ignore[no-untyped-def]
    """The sum (product) of the indices in force at row t; 0 (1) without a season."""
    if kind == 2:
        total = 1.0
        for i in range(len(periods)):
            total *= season[offsets[i] + t % periods[i]]
    else:
        total = 0.0
        for i in range(len(periods)):
            total += season[offsets[i] + t % periods[i]]
    return total


@njit
def move_seasons(season, periods, offsets, kind, t, theta, y, level, total):  # type: ignore[no-untyped-def]
    """Move the indices in force at row t by the value y and the new level; `total` is what they made before."""
    for i in range(len(periods)):
        at = offsets[i] + t % periods[i]
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
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, periods, offsets, kind, t)
        for i in range(len(periods)):
            seasons[t, i] = season[offsets[i] + t % periods[i]]
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
            move_seasons(season, periods, offsets, kind, t, theta, y[t], level, total)
        levels[t] = level
        trends[t] = trend
    return level, trend


@njit
def errors_only(y, first, level, trend, season, periods, offsets, kind, theta, errors):  # type: ignore[no-untyped-def]
    """The one-step errors alone, in `errors` (n,), NaN where y is missing; `season` is moved."""
    alpha, beta, phi = theta[0], theta[1], theta[2]
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, periods, offsets, kind, t)
        if math.isnan(y[t]):
            errors[t] = np.nan
            level = base
            trend = phi * trend
            continue
        if kind == 2:
            errors[t] = y[t] - base * total
            clean = y[t] / total if total != 0.0 else base
        else:
            errors[t] = y[t] - base - total
            clean = y[t] - total
        new = alpha * clean + (1.0 - alpha) * base
        trend = beta * (new - level) + (1.0 - beta) * phi * trend
        level = new
        move_seasons(season, periods, offsets, kind, t, theta, y[t], level, total)
    return level, trend


@njit
def ahead(n, level, trend, season, periods, offsets, kind, phi, point, totals):  # type: ignore[no-untyped-def]
    """Point forecasts of rows n, n + 1, ... into `point`, the season in each into `totals` (both (horizon,))."""
    grown = 0.0
    power = 1.0
    for h in range(len(point)):
        power *= phi
        grown += power
        totals[h] = season_now(season, periods, offsets, kind, n + h)
        base = level + grown * trend
        point[h] = base * totals[h] if kind == 2 else base + totals[h]


@njit
def simulate(n, level, trend, season, periods, offsets, kind, theta, shocks, relative, paths):  # type: ignore[no-untyped-def]
    """Future paths: `shocks` (paths, horizon) are the one-step errors, relative to the forecast if asked; into `paths`."""
    alpha, beta, phi = theta[0], theta[1], theta[2]
    moving = np.empty_like(season)
    for k in range(paths.shape[0]):
        moving[:] = season
        l, b = level, trend
        for h in range(paths.shape[1]):
            base = l + phi * b
            total = season_now(moving, periods, offsets, kind, n + h)
            mean = base * total if kind == 2 else base + total
            y = mean * (1.0 + shocks[k, h]) if relative else mean + shocks[k, h]
            paths[k, h] = y
            clean = y - total
            if kind == 2:
                clean = y / total if total != 0.0 else base
            new = alpha * clean + (1.0 - alpha) * base
            b = beta * (new - l) + (1.0 - beta) * phi * b
            l = new
            move_seasons(moving, periods, offsets, kind, n + h, theta, y, l, total)
