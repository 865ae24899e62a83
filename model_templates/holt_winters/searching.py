"""Estimation of one series, compiled: start values, several starts of the minimiser, the best kept.

`estimate` is what a single fit and a panel of thousands both run, so that they cannot differ.
"""

from __future__ import annotations

import math

import numpy as np

from model_templates.holt_winters.gradients import settle
from model_templates.holt_winters.optimise import (
    LIKELIHOOD,
    ROBUST,
    SSE,
    criterion_value,
    least_squares,
    nelder_mead,
)
from model_templates.holt_winters.recursions import errors_only
from model_templates.holt_winters.starts import decompose, regression, robust_start, window_scale
from templates_engine.sampling.compiled import njit

DECOMPOSE, HYNDMAN, REGRESSION, BACKCAST, OPTIMAL, ROBUST_START, USER = 0, 1, 2, 3, 4, 5, 6
ALPHA_LEAST = 1e-8  # alpha > 0: at 0 the level would never learn

# Starts of the minimiser, as places in each constant's range: alpha, beta, gamma. The first is R's.
PLACES = np.array(
    [
        [0.3, 0.1, 0.1], [0.1, 0.02, 0.1], [0.1, 0.02, 0.6], [0.6, 0.02, 0.1], [0.6, 0.02, 0.6], [0.9, 0.05, 0.3],
        [0.3, 0.02, 0.9], [0.02, 0.9, 0.5], [0.1, 0.4, 0.1], [0.1, 0.4, 0.7], [0.4, 0.4, 0.3], [0.9, 0.6, 0.9],
        [0.1, 0.95, 0.2], [0.05, 1.0, 0.0],
    ]
)  # fmt: skip
MORE = 66  # further places of a thorough search: an additive recurrence that fills the cube evenly
_steps = (np.arange(1, MORE + 1)[:, None] * np.array([0.8191725134, 0.6710436067, 0.5497004779])) % 1.0
ALL_PLACES = np.concatenate([PLACES, _steps * np.column_stack([np.ones(MORE), _steps[:, 1], np.ones(MORE)])])


@njit
def usable(columns, lower, upper):  # type: ignore[no-untyped-def]
    """Entries among `columns` that can move."""
    return columns[lower[columns] < upper[columns]]


@njit
def place(z, spot, constants, lower, upper):  # type: ignore[no-untyped-def]
    """Put the constants of z at a spot of their ranges (fixed ones stay where they are fixed)."""
    for e in range(constants):
        share = spot[0] if e == 0 else (spot[1] if e == 1 else (0.9 if e == 2 else spot[2]))
        z[e] = lower[e] + share * (upper[e] - lower[e])


@njit
def squares_at(y, first, z, constants, periods, offsets, kind, relative, room):  # type: ignore[no-untyped-def]
    """The cost of gradients.py without derivatives."""
    season = z[constants + 2 :].copy()
    errors_only(y, first, z[constants], z[constants + 1], season, periods, offsets, kind, z[:constants], room)
    total, logs, used = 0.0, 0.0, 0
    for t in range(first, len(y)):
        if not math.isnan(y[t]):
            e = room[t]
            if relative:
                x = y[t] - e
                if not x > 0.0:
                    return math.inf
                e /= x
                logs += math.log(x)
            total += e * e
            used += 1
    if relative and used:
        total *= math.exp(2.0 * logs / used)
    return total if math.isfinite(total) else math.inf


@njit
def search(y, first, z, constants, periods, offsets, kind, criterion, robust, columns, lower, upper, tries, room):  # type: ignore[no-untyped-def]
    """Constants by the criterion, at the start states in z: of all PLACES the best `tries` and R's are followed.

    More tries than PLACES make the search thorough: ALL_PLACES are looked at. z is left at the best. Returns value,
    starts followed, converged.
    """
    relative = criterion == LIKELIHOOD
    squares = criterion in (SSE, LIKELIHOOD)
    moving = usable(columns, lower, upper)
    best = z.copy()
    if len(moving) == 0:
        if squares:
            return squares_at(y, first, z, constants, periods, offsets, kind, relative, room[0]), 1, True
        return criterion_value(y, first, z, constants, periods, offsets, kind, criterion, robust, room), 1, True
    thorough = tries > len(PLACES)
    many = len(ALL_PLACES) if thorough else len(PLACES)
    tries = min(tries, many)
    looks = np.empty(many)
    for s in range(many):
        place(z, ALL_PLACES[s], constants, lower, upper)
        if squares:
            looks[s] = squares_at(y, first, z, constants, periods, offsets, kind, relative, room[0])
        else:
            looks[s] = criterion_value(y, first, z, constants, periods, offsets, kind, criterion, robust, room)
    order = np.argsort(looks)
    lowest, converged, followed = math.inf, False, 0
    r_seen = False
    for s in range(tries + 2):  # the last round goes on from the best to full accuracy
        polish = s == tries + 1
        if s == tries and r_seen:
            continue
        if polish:
            z[:] = best
        else:
            spot = order[s] if s < tries else 0
            r_seen = r_seen or spot == 0
            place(z, ALL_PLACES[spot], constants, lower, upper)
            followed += 1
        if squares:
            value, _, done = least_squares(
                y, first, z, constants, periods, offsets, kind, relative, moving, lower, upper,
                200 if polish else 60, 1e-12 if polish else 1e-5,
            )  # fmt: skip
        else:
            value, _, done = nelder_mead(
                y, first, z, constants, periods, offsets, kind, criterion, robust, room, moving, lower, upper,
                0.03 if polish else 0.1, 300 if polish or thorough else 70, 1e-10 if polish or thorough else 1e-5,
            )  # fmt: skip
        if value <= lowest or s == 0:
            lowest, converged = value, done
            best[:] = z
    z[:] = best
    return lowest, followed, converged


@njit
def backcast(y, z, constants, periods, offsets, kind, has_trend, criterion, robust, columns, lower, upper, tries, room):  # type: ignore[no-untyped-def]
    """States before the first row from the reversed series: its own start, its own constants, its last states.

    Writes the states into z. False where they cannot be used (a multiplicative level that is not positive).
    """
    n = len(y)
    while n > 0 and math.isnan(y[n - 1]):
        n -= 1
    back = y[:n][::-1].copy()
    other = z.copy()
    season = other[constants + 2 :]
    level, trend, _ = decompose(back, periods, offsets, kind, has_trend, True, season)
    other[constants], other[constants + 1] = level, trend
    search(
        back, 0, other, constants, periods, offsets, kind, criterion, robust, columns, lower, upper, tries, room
    )  # fmt: skip
    moving = other[constants + 2 :].copy()
    level, trend = errors_only(
        back, 0, other[constants], other[constants + 1], moving, periods, offsets, kind, other[:constants], room[0]
    )
    z[constants] = level + other[2] * trend
    z[constants + 1] = -trend
    ok = math.isfinite(level) and math.isfinite(trend) and (kind != 2 or (z[constants] > 0.0 and level > 0.0))
    at = constants + 2
    for i in range(len(periods)):
        m = periods[i]
        for p in range(m):
            z[at + offsets[i] + p] = moving[offsets[i] + (n - 1 - p) % m]
            ok = ok and (kind != 2 or z[at + offsets[i] + p] > 0.0)
    return ok


@njit
def estimate(  # type: ignore[no-untyped-def]
    y, z, constants, periods, offsets, kind, has_trend, start, first, criterion, robust, columns, lower, upper, tries
):
    """One series from its first present value on. z: filled with constants and start states (start USER: states given).

    columns: entries of z that are to be estimated (start states too with OPTIMAL). robust: (first scale or NaN, k,
    lambda, criterion), only read with criterion ROBUST. Returns first row, value, first scale, starts, converged.
    """
    season = z[constants + 2 :]
    room = np.empty((2, len(y)))
    scale = robust[0]
    if start == ROBUST_START or (criterion == ROBUST and math.isnan(scale)):
        keep = season.copy()
        level, trend, found = robust_start(y, periods, offsets, kind, has_trend, season)
        if start == ROBUST_START:
            z[constants], z[constants + 1], first = level, trend, 0
        else:
            season[:] = keep
        if math.isnan(scale):
            scale = found
            if start == USER and first == 0:
                window = min(len(y), 5 * np.max(periods) if len(periods) else 10)
                scale = window_scale(y[:window], z[constants], z[constants + 1], periods, offsets, kind, season)
    used = (scale, robust[1], robust[2], robust[3])
    of_constants = columns[columns < constants]
    if start == REGRESSION:
        z[constants], z[constants + 1], first = regression(y, periods, offsets, kind, has_trend, season)
    elif start in (DECOMPOSE, HYNDMAN, OPTIMAL, BACKCAST):
        from_first = start != DECOMPOSE
        level, trend, first = decompose(y, periods, offsets, kind, has_trend, from_first, season)
        z[constants], z[constants + 1] = level, trend
        if start == BACKCAST:
            states = z[constants:].copy()
            if not backcast(
                y, z, constants, periods, offsets, kind, has_trend, criterion, used, of_constants, lower, upper,
                tries, room,
            ):  # fmt: skip
                z[constants:] = states
    if start == OPTIMAL:
        value, followed, converged = search_all(
            y, z, constants, periods, offsets, kind, criterion == LIKELIHOOD, columns, lower, upper, tries, room[0]
        )
    else:
        value, followed, converged = search(
            y, first, z, constants, periods, offsets, kind, criterion, used, of_constants, lower, upper, tries, room
        )
    return first, value, scale, followed, converged


@njit
def search_all(y, z, constants, periods, offsets, kind, relative, columns, lower, upper, tries, room):  # type: ignore[no-untyped-def]
    """Constants and start states together by least squares; z is left at the best.

    At each of PLACES the start states alone are brought to their optimum by one Gauss-Newton step (exact for additive
    models, whose errors are linear in them); the best `tries` are followed roughly and the best of these to the end.
    """
    tries = min(tries, len(PLACES))
    states = columns[columns >= constants]
    moving = columns[(columns >= constants) | (lower[columns] < upper[columns])]
    spots = np.empty((len(PLACES), len(z)))
    looks = np.empty(len(PLACES))
    for s in range(len(PLACES)):
        spots[s] = z
        place(spots[s], PLACES[s], constants, lower, upper)
        settle(spots[s], constants, periods, offsets, kind)
        looks[s], _, _ = least_squares(
            y, 0, spots[s], constants, periods, offsets, kind, relative, states, lower, upper, 2, 1e-9
        )
    order = np.argsort(looks)
    lowest, converged = math.inf, False
    best = spots[order[0]].copy()
    for s in range(tries + 1):
        polish = s == tries
        z[:] = best if polish else spots[order[s]]
        value, _, done = least_squares(
            y, 0, z, constants, periods, offsets, kind, relative, moving, lower, upper,
            300 if polish else 40, 1e-11 if polish else 1e-4,
        )  # fmt: skip
        if value <= lowest or s == 0:
            lowest, converged = value, done
            best[:] = z
    z[:] = best
    return lowest, tries, converged


@njit
def figures(y, first, errors, lag, room):  # type: ignore[no-untyped-def]
    """Into room (6,): n, SSE, sum |e|, MAPE (NaN with a zero in y), MASE (naive of this lag, in sample), error sd."""
    n, squares, absolute, share, mean, zero = 0, 0.0, 0.0, 0.0, 0.0, False
    for t in range(first, len(y)):
        if math.isnan(y[t]):
            continue
        e = errors[t]
        n += 1
        squares += e * e
        absolute += abs(e)
        mean += e
        if y[t] == 0.0:
            zero = True
        else:
            share += abs(e / y[t])
    naive, pairs = 0.0, 0
    for t in range(lag, len(y)):
        if not math.isnan(y[t]) and not math.isnan(y[t - lag]):
            naive += abs(y[t] - y[t - lag])
            pairs += 1
    mean = mean / n if n else np.nan
    spread = 0.0
    for t in range(first, len(y)):
        if not math.isnan(y[t]):
            spread += (errors[t] - mean) ** 2
    room[0] = n
    room[1] = squares
    room[2] = absolute
    room[3] = 100.0 * share / n if n and not zero else np.nan
    room[4] = (absolute / n) / (naive / pairs) if n and pairs and naive > 0.0 else np.nan
    room[5] = math.sqrt(spread / (n - 1)) if n > 1 else np.nan
