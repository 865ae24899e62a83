"""Start values: the states before the first fitted row, from the first periods of a series.

    decompose   as R's HoltWinters: centred moving average over two (of the longest) periods, indices from what is left,
                a line through the average; fitting begins after one period. Holt: l = y_2, b = y_2 - y_1, fitting
                from the third value; simple smoothing: l = y_1, from the second.
    hyndman     the same decomposition with the line taken back to before the first value, fitting from the first;
                without a season a line (mean) through the first ten values (Hyndman et al. 2008, section 2.6.1)
    regression  least squares of the first five periods (ten values) on a line and one constant a position, on logs
                when multiplicative
    robust      repeated medians (Siegel 1982) over a window of at least ten values and, where there are, five periods;
                medians of what is left for the indices, MAD of the residuals for the first scale (Gelper, Fried and
                Croux 2010). The multiplicative residuals are y - line * index.

With several periods the line is that of the longest, and the indices are taken out from the shortest period to the
longest, each from what the shorter ones leave. Missing values among those needed are first replaced by a least squares
line with one constant a position. Backcast and optimal starts need the recursion: see optimise.py.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.recursions import NO, YES

MAD = 1.4826
ONE = np.int64(1)


@njit
def middle(values, count):  # type: ignore[no-untyped-def]
    """Median of values[:count], which are put in another order (Hoare's selection)."""
    target = (count - 1) // 2
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                keep = values[i]
                values[i] = values[j]
                values[j] = keep
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            break
    found = values[target]
    if count % 2 == 0:
        above = math.inf
        for i in range(target + 1, count):
            above = min(above, values[i])
        found = 0.5 * (found + above)
    return found


@njit
def ranked(values):  # type: ignore[no-untyped-def]
    """Positions of the values from the least to the greatest."""
    order = np.arange(len(values))
    for i in range(1, len(values)):
        here = order[i]
        j = i
        while j > 0 and values[here] < values[order[j - 1]]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = here
    return order


@njit
def split_seasons(rest, periods, offsets, kind, by_median, season):  # type: ignore[no-untyped-def]
    """Indices of every period from `rest` (w,), NaN where there is none: mean (median) by position, shortest first.

    Each period's indices are centred to sum 0 (mean 1) and removed from `rest`. Returns what the centring took out:
    to be added to the level (multiplied into it).
    """
    moved = 1.0 if kind == 2 else 0.0
    order = ranked(periods)
    for o in range(len(periods)):
        i = order[o]
        m, at = periods[i], offsets[i]
        values = np.empty(len(rest) // m + 1)
        for p in range(m):
            count = 0
            for t in range(p, len(rest), m):
                if not math.isnan(rest[t]):
                    values[count] = rest[t]
                    count += 1
            if count == 0:
                season[at + p] = 1.0 if kind == 2 else 0.0
            else:
                season[at + p] = middle(values, count) if by_median else np.mean(values[:count])
            if kind == 2 and by_median and season[at + p] < 0.01:
                season[at + p] = 0.01
        centre = np.mean(season[at : at + m])
        for p in range(m):
            season[at + p] = season[at + p] / centre if kind == 2 else season[at + p] - centre
        moved = moved * centre if kind == 2 else moved + centre
        for t in range(len(rest)):
            s = season[at + t % m]
            rest[t] = rest[t] / s if kind == 2 else rest[t] - s
    return moved


@njit
def line_and_positions(y, m, with_line, effects):  # type: ignore[no-untyped-def]
    """Least squares of y (w,) on a line and one constant a position of period m, NaN left out.

    Returns (level at -1, slope, mean constant); effects (m,): constants minus their mean, 0 for empty positions.
    The slope is that within positions (Frisch and Waugh); it is 0 where it cannot be told from the constants.
    """
    counts, times, means = np.zeros(m), np.zeros(m), np.zeros(m)
    for t in range(len(y)):
        if not math.isnan(y[t]):
            counts[t % m] += 1.0
            times[t % m] += t + 1.0
            means[t % m] += y[t]
    above, below = 0.0, 0.0
    for p in range(m):
        if counts[p] > 0.0:
            times[p] /= counts[p]
            means[p] /= counts[p]
    for t in range(len(y)):
        if not math.isnan(y[t]):
            d = t + 1.0 - times[t % m]
            above += d * (y[t] - means[t % m])
            below += d * d
    slope = above / below if with_line and below > 0.0 else 0.0
    centre, seen = 0.0, 0
    for p in range(m):
        if counts[p] > 0.0:
            effects[p] = means[p] - slope * times[p]
            centre += effects[p]
            seen += 1
    centre = centre / seen if seen > 0 else 0.0
    for p in range(m):
        effects[p] = effects[p] - centre if counts[p] > 0.0 else 0.0
    return centre, slope


@njit
def complete(y, m, needed, positive):  # type: ignore[no-untyped-def]
    """The first `needed` values, missing ones replaced by a line with one constant a position of period m.

    The line is fitted to the first five periods (ten values) or as many more as it takes to see two values. With
    `positive` it is fitted to logs.
    """
    found = y[:needed].copy()
    missing = 0
    for t in range(needed):
        missing += math.isnan(found[t])
    if missing == 0:
        return found
    window = min(len(y), max(needed, 5 * m, 10))
    while window < len(y) and np.sum(~np.isnan(y[:window])) < 2:
        window = min(len(y), 2 * window)
    part = np.log(y[:window]) if positive else y[:window].copy()
    effects = np.zeros(m)
    centre, slope = line_and_positions(part, m, YES, effects)
    for t in range(needed):
        if math.isnan(found[t]):
            value = centre + slope * (t + 1.0) + effects[t % m]
            found[t] = math.exp(value) if positive else value
    return found


@njit
def moving_average(y, m, found):  # type: ignore[no-untyped-def]
    """Centred moving average of length m of y (w,), half weights at both ends when m is even; NaN at the ends."""
    half = m // 2
    for t in range(len(y)):
        found[t] = np.nan
    for t in range(half, len(y) - half):
        total = 0.0
        for k in range(-half, half + 1):
            weight = 0.5 if m % 2 == 0 and (k == -half or k == half) else 1.0
            total += weight * y[t + k]
        found[t] = total / m


@njit
def through(values, count):  # type: ignore[no-untyped-def]
    """Intercept and slope of least squares of values[:count] on 1, 2, 3, ..."""
    centre = 0.5 * (count + 1.0)
    mean = np.mean(values[:count])
    above, below = 0.0, 0.0
    for i in range(count):
        above += (i + 1.0 - centre) * (values[i] - mean)
        below += (i + 1.0 - centre) ** 2
    slope = above / below if below > 0.0 else 0.0
    return mean - slope * centre, slope


@njit
def decompose(y, periods, offsets, kind, has_trend, from_first, season):  # type: ignore[no-untyped-def]
    """Start values "decompose" and (from_first) "hyndman" for a series without leading gap.

    Writes `season`; returns level, trend and the row of the first fitted value.
    """
    if len(periods) == 0:
        if from_first:
            part = complete(y, ONE, min(10, len(y)), NO)
            if not has_trend:
                return np.mean(part), 0.0, 0
            level, trend = through(part, len(part))
            return level, trend, 0
        part = complete(y, ONE, 1 + has_trend, NO)
        if not has_trend:
            return part[0], 0.0, 1
        return part[1], part[1] - part[0], 2
    m = np.max(periods)
    part = complete(y, m, 2 * m, kind == 2)
    average = np.empty(2 * m)
    moving_average(part, m, average)
    rest = part / average if kind == 2 else part - average
    split_seasons(rest, periods, offsets, kind, NO, season)
    half = m // 2
    level, trend = through(average[half:], 2 * m - 2 * half)
    first = m
    if from_first:
        first = 0
        back = level - half * trend
        level = back if kind != 2 or back > 0.0 else np.mean(part[:m])
    if not has_trend:
        if from_first:
            level = np.mean(part[:m])
        trend = 0.0
    return level, trend, first


@njit
def regression(y, periods, offsets, kind, has_trend, season):  # type: ignore[no-untyped-def]
    """Start values "regression": writes `season`; returns level, trend, first row 0."""
    m = np.max(periods) if len(periods) else 1
    window = min(len(y), max(5 * m, 10) if m > 1 else 10)
    part = np.log(y[:window]) if kind == 2 else y[:window].copy()
    effects = np.zeros(m)
    level, trend = line_and_positions(part, m, has_trend, effects)
    if len(periods):
        rest = np.empty(2 * m)
        for t in range(2 * m):
            rest[t] = math.exp(effects[t % m]) if kind == 2 else effects[t % m]
        moved = split_seasons(rest, periods, offsets, kind, NO, season)
        if kind == 2:
            level = math.exp(level) * moved
            trend = level * (math.exp(trend) - 1.0)
        else:
            level += moved
    return level, trend, 0


@njit
def repeated_median(y):  # type: ignore[no-untyped-def]
    """Level at -1 and slope of the repeated median line through y (w,), NaN left out (Siegel 1982)."""
    n = len(y)
    slopes, inner = np.empty(n), np.empty(n)
    used = 0
    for i in range(n):
        if math.isnan(y[i]):
            continue
        count = 0
        for j in range(n):
            if j != i and not math.isnan(y[j]):
                inner[count] = (y[i] - y[j]) / (i - j)
                count += 1
        if count:
            slopes[used] = middle(inner, count)
            used += 1
    slope = middle(slopes, used) if used else 0.0
    count = 0
    for i in range(n):
        if not math.isnan(y[i]):
            inner[count] = y[i] - slope * (i + 1.0)
            count += 1
    return middle(inner, count), slope


@njit
def robust_start(y, periods, offsets, kind, has_trend, season):  # type: ignore[no-untyped-def]
    """Start values "robust": writes `season`; returns level, trend and the first scale (relative if multiplicative)."""
    m = np.max(periods) if len(periods) else 1
    window = min(max(m * math.ceil(10.0 / m), 5 * m), m * (len(y) // m))
    while window + m <= len(y) and np.sum(~np.isnan(y[:window])) < 2 * m:
        window += m
    part = y[:window]
    if has_trend:
        level, trend = repeated_median(part)
    else:
        seen = part[~np.isnan(part)]
        level, trend = middle(seen, len(seen)), 0.0
    if kind > 0:
        rest = np.empty(window)
        for t in range(window):
            line = level + trend * (t + 1.0)
            if kind == 2:
                rest[t] = part[t] / line if line > 0.0 else np.nan
            else:
                rest[t] = part[t] - line
        moved = split_seasons(rest, periods, offsets, kind, YES, season)
        if kind == 2:
            level *= moved
            trend *= moved
        else:
            level += moved
    return level, trend, window_scale(part, level, trend, periods, offsets, kind, season)


@njit
def window_scale(y, level, trend, periods, offsets, kind, season):  # type: ignore[no-untyped-def]
    """1.4826 MAD of what the start values leave in y (w,), relative to them if multiplicative; never 0."""
    left = np.empty(len(y))
    count = 0
    size = 0.0
    for t in range(len(y)):
        if math.isnan(y[t]):
            continue
        fit = level + trend * (t + 1.0)
        if kind == 2:
            for i in range(len(periods)):
                fit *= season[offsets[i] + t % periods[i]]
            left[count] = y[t] / fit - 1.0 if fit > 0.0 else np.nan
        else:
            for i in range(len(periods)):
                fit += season[offsets[i] + t % periods[i]]
            left[count] = y[t] - fit
        if not math.isnan(left[count]):
            size = max(size, 1.0 if kind == 2 else abs(y[t]))
            count += 1
    if count == 0:
        return 1.0
    centre = middle(left, count)
    apart = np.empty(count)
    square = 0.0
    for i in range(count):
        apart[i] = abs(left[i] - centre)
        square += apart[i] * apart[i] / count
    scale = MAD * middle(apart, count)
    if not scale > 1e-6 * size:
        scale = math.sqrt(square)
    return max(scale, 1e-6 * size, 1e-300)
