"""The one compiled kernel that fits: series after series, each by `estimate`, with its figures of fit.

A single fit and a panel of thousands both run it, so that they cannot differ.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.optimise import ROBUST
from templates_engine.smoothing.recursions import smooth
from templates_engine.smoothing.robust import robust_smooth
from templates_engine.smoothing.search import estimate, figures


@njit
def fittable(y, kind, least, longest):  # type: ignore[no-untyped-def]
    """Row of the first value present; -1 where checking.series_problems has something against the series."""
    count, lead, last = 0, -1, -1
    low, high = math.inf, -math.inf
    for t in range(len(y)):
        if math.isnan(y[t]):
            continue
        if math.isinf(y[t]):
            return -1
        if lead < 0:
            lead = t
        last = t
        count += 1
        low, high = min(low, y[t]), max(high, y[t])
    span = last - lead + 1
    enough = count > 0 and span >= least and count >= min(least, max(4, longest + 1))
    if not enough or low == high or (kind == 2 and low <= 0.0):
        return -1
    return lead


@njit
def fit_rows(  # type: ignore[no-untyped-def]
    values, begins, low, high, constants, periods, offsets, kind, has_trend, start, given, criterion, robust, columns,
    lower, upper, tries, least, lag, z, last, found, whole,
):  # fmt: skip
    """Fit series low..high of `values`, laid end to end with bounds `begins` (series + 1,).

    z (series, entries): estimates; last: the last states likewise (level and trend after the constants);
    found (series, 9): figures, value, last scale, first scale; whole (series, 5): lead, starts, converged, outliers,
    first row. given: with start USER, whose states stand in z, the first row (counted from the first value present).
    """
    for i in range(low, high):
        y = values[begins[i] : begins[i + 1]]
        lead = fittable(y, kind, least, lag)
        whole[i, 0] = lead
        if lead < 0:
            continue
        y = y[lead:]
        n = len(y)
        for e in range(constants):
            z[i, e] = lower[e]
        first, value, scale, starts, converged = estimate(
            y, z[i], constants, periods, offsets, kind, has_trend, start, given, criterion, robust, columns, lower,
            upper, tries,
        )  # fmt: skip
        fitted, levels, trends = np.empty(n), np.empty(n), np.empty(n)
        seasons = np.empty((n, len(periods)))
        season = last[i, constants + 2 :]
        season[:] = z[i, constants + 2 :]
        level, trend = z[i, constants], z[i, constants + 1]
        outliers, begun = 0, scale
        if criterion == ROBUST:
            path, cleaned, flags = np.empty(n), np.empty(n), np.zeros(n, np.bool_)
            level, trend, scale = robust_smooth(
                y, first, level, trend, season, periods, offsets, kind, z[i, :constants], scale, robust[1], robust[2],
                fitted, levels, trends, seasons, path, cleaned, flags,
            )  # fmt: skip
            outliers = int(np.sum(flags))
        else:
            level, trend = smooth(
                y, first, level, trend, season, periods, offsets, kind, z[i, :constants], fitted, levels, trends,
                seasons,
            )  # fmt: skip
        last[i, constants], last[i, constants + 1] = level, trend
        figures(y, first, y - fitted, lag, found[i])
        found[i, 6], found[i, 7], found[i, 8] = value, scale, begun
        whole[i, 1], whole[i, 2], whole[i, 3], whole[i, 4] = starts, converged, outliers, first + lead
