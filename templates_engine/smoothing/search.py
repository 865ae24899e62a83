"""Estimation of one series, compiled: start values, several starts of the minimiser, the best kept.

The kernel around `estimate` is in rows.py.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.gradients import settle, squared_errors
from templates_engine.smoothing.normal_equations import solve_damped
from templates_engine.smoothing.optimise import (
    LIKELIHOOD,
    ROBUST,
    SSE,
    criterion_value,
    least_squares,
    nelder_mead,
)
from templates_engine.smoothing.projection import projected
from templates_engine.smoothing.recursions import ROW_0, YES, errors_only, part
from templates_engine.smoothing.starts import decompose, ranked, regression, robust_start, window_scale

DECOMPOSE, HYNDMAN, REGRESSION, BACKCAST, OPTIMAL, ROBUST_START, USER = 0, 1, 2, 3, 4, 5, 6
ALPHA_LEAST = 1e-8  # alpha > 0: at 0 the level would never learn

# Starts of the minimiser, as places in each constant's range: alpha, beta, gamma. The first is R's.
INNER_PLACES = np.array(
    [
        [0.3, 0.1, 0.1], [0.1, 0.02, 0.1], [0.1, 0.02, 0.6], [0.6, 0.02, 0.1], [0.6, 0.02, 0.6], [0.9, 0.05, 0.3],
        [0.3, 0.02, 0.9], [0.02, 0.9, 0.5], [0.1, 0.4, 0.1], [0.1, 0.4, 0.7], [0.4, 0.4, 0.3], [0.9, 0.6, 0.9],
        [0.1, 0.95, 0.2], [0.05, 1.0, 0.0],
    ]
)  # fmt: skip
# The same for a search over constants and start states together. Its minima often lie in corners: straight lines
# (alpha = 0), trends that follow the level at once (beta = 1), seasons of the last period alone (gamma = 1).
JOINT_PLACES = np.array(
    [
        [0.3, 0.03, 0.0], [0.03, 1.0, 0.5], [0.0, 0.0, 0.1], [0.1, 1.0, 1.0], [0.03, 1.0, 0.0], [0.6, 0.03, 1.0],
        [0.01, 0.2, 0.5], [0.01, 1.0, 0.1], [0.6, 0.2, 0.5], [0.1, 1.0, 0.1], [0.6, 0.0, 0.5], [0.3, 0.6, 0.5],
        [0.9, 0.6, 1.0], [0.1, 0.6, 0.5], [0.6, 0.6, 0.0], [0.03, 0.2, 1.0], [0.01, 0.0, 1.0], [0.1, 0.6, 1.0],
    ]
)  # fmt: skip
# And where the start states follow the constants: found by exchange, on simulated series, for the search below.
LINEAR_PLACES = np.array(
    [
        [0.002, 1.0, 0.0], [0.002, 1.0, 0.5], [0.002, 1.0, 1.0], [0.005, 1.0, 0.0], [0.005, 1.0, 1.0],
        [0.012, 1.0, 0.0], [0.03, 0.2, 0.0], [0.03, 0.6, 0.0], [0.03, 1.0, 0.0], [0.03, 1.0, 1.0], [0.1, 0.03, 1.0],
        [0.1, 0.2, 1.0], [0.1, 0.6, 0.0], [0.1, 0.6, 0.5], [0.1, 0.6, 1.0], [0.1, 1.0, 0.1], [0.1, 1.0, 1.0],
        [0.3, 0.03, 0.1], [0.6, 0.03, 0.0], [0.6, 0.0, 0.5], [0.6, 0.03, 1.0], [0.6, 0.6, 0.1], [0.6, 1.0, 1.0],
        [0.9, 0.6, 1.0],
    ]
)  # fmt: skip
ROUGH = 3  # passes before the places are compared
MORE = 66  # further places of a thorough search: an additive recurrence that fills the cube evenly
_steps = (np.arange(1, MORE + 1)[:, None] * np.array([0.8191725134, 0.6710436067, 0.5497004779])) % 1.0
PLACES = np.concatenate([INNER_PLACES, JOINT_PLACES])
ALL_PLACES = np.concatenate([PLACES, _steps * np.column_stack([np.ones(MORE), _steps[:, 1], np.ones(MORE)])])


@njit
def usable(columns, lower, upper, constants):  # type: ignore[no-untyped-def]
    """Entries among `columns` that can move: start states, and constants that are not fixed."""
    found = np.empty(len(columns), np.int64)
    count = 0
    for e in columns:
        if e >= constants or lower[e] < upper[e]:
            found[count] = e
            count += 1
    return found[:count].copy()


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
    moving = usable(columns, lower, upper, constants)
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
    order = ranked(looks)
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
                200 if polish else 60, 1e-12 if polish else 1e-5, ROW_0,
            )  # fmt: skip
        else:
            value, _, done = nelder_mead(
                y, first, z, constants, periods, offsets, kind, criterion, robust, room, moving, lower, upper,
                0.03 if polish else 0.1, 1500 if polish else (300 if thorough else 70),
                1e-10 if polish or thorough else 1e-5,
            )  # fmt: skip
        if value <= lowest or s == 0:
            lowest, converged = value, done
            best[:] = z
    z[:] = best
    return lowest, followed, converged


@part
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
    level, trend, _ = decompose(back, periods, offsets, kind, has_trend, YES, season)
    other[constants], other[constants + 1] = level, trend
    search(
        back, ROW_0, other, constants, periods, offsets, kind, criterion, robust, columns, lower, upper, tries, room
    )  # fmt: skip
    moving = other[constants + 2 :].copy()
    level, trend = errors_only(
        back, ROW_0, other[constants], other[constants + 1], moving, periods, offsets, kind, other[:constants], room[0]
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


@part
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


@part
def search_all(y, z, constants, periods, offsets, kind, relative, columns, lower, upper, tries, room):  # type: ignore[no-untyped-def]
    """Constants and start states together by least squares; z is left at the best.

    Where the errors are linear in the start states and projection.py applies, only the constants are searched.
    Otherwise the start states alone are brought to their optimum at each place by one Gauss-Newton step. From the best
    places a few passes are made; the best `tries` of what they come to are followed, but for those that run into one
    followed before, and the best of these to the end.
    """
    states = columns[columns >= constants]
    moving = usable(columns, lower, upper, constants)
    linear = ROW_0
    if kind != 2 and len(periods) < 2 and not np.isnan(y).any():
        linear = (periods[0] if len(periods) else 1) + np.sum(states == constants + 1)
        moving = moving[moving < constants]
    places = LINEAR_PLACES if linear else JOINT_PLACES
    many = len(places)
    tries = min(tries, many)
    spots, looks = np.empty((many, len(z))), np.empty(many)
    gradient, matrix = np.empty(len(states)), np.empty((len(states), len(states)))
    for s in range(many):
        spots[s] = z
        place(spots[s], places[s], constants, lower, upper)
        if linear:
            looks[s] = projected(y, spots[s], constants, periods, linear, moving, -math.inf, gradient, matrix)
        else:
            settle(spots[s], constants, periods, offsets, kind)
            looks[s] = best_states(
                y, spots[s], constants, periods, offsets, kind, relative, states, lower, gradient, matrix, room
            )
    order = ranked(looks)[: min(many, 2 * tries) if linear else tries]
    followed, best, lowest = 0, order[0], math.inf
    for limit in (ROUGH, 60):
        order = order[ranked(looks[order])]
        for rank in range(len(order)):
            spot = order[rank]
            if limit > ROUGH and (followed == tries or known(spots, looks, order, rank, constants)):
                continue
            followed += limit > ROUGH
            looks[spot], _, _ = least_squares(
                y, ROW_0, spots[spot], constants, periods, offsets, kind, relative, moving, lower, upper, limit, 1e-5,
                linear,
            )  # fmt: skip
            if looks[spot] < lowest:
                best, lowest = spot, looks[spot]
    z[:] = spots[best]
    value, _, converged = least_squares(
        y, ROW_0, z, constants, periods, offsets, kind, relative, moving, lower, upper, 300, 1e-11, linear
    )
    return value, tries, converged


@njit
def best_states(y, z, constants, periods, offsets, kind, relative, states, lower, gradient, matrix, room):  # type: ignore[no-untyped-def]
    """Bring the start states in z to their optimum by one Gauss-Newton step, where that helps; returns the cost."""
    cost = squared_errors(y, ROW_0, z, constants, periods, offsets, kind, relative, states, gradient, matrix)
    free, step = np.ones(len(states), np.bool_), np.empty(len(states))
    if not solve_damped(matrix, gradient, free, 1e-9, step):
        return cost
    trial = z.copy()
    for a in range(len(states)):
        trial[states[a]] = max(lower[states[a]], z[states[a]] + step[a])
    settle(trial, constants, periods, offsets, kind)
    value = squares_at(y, ROW_0, trial, constants, periods, offsets, kind, relative, room)
    if not value < cost:
        return cost
    z[:] = trial
    return value


@njit
def known(spots, values, order, rank, constants):  # type: ignore[no-untyped-def]
    """Whether the place of this rank has come near one followed before it: constants within 0.03, the cost not lower.

    For alpha the distance is relative: between 0.005 and 0.05 lies more than between 0.5 and 0.55.
    """
    here = order[rank]
    for r in range(rank):
        there = order[r]
        apart = 0.0
        for e in range(constants):
            distance = abs(spots[here, e] - spots[there, e])
            if e == 0:
                distance /= 0.05 + 0.95 * max(spots[here, e], spots[there, e])
            apart = max(apart, distance)
        if apart < 0.03 and values[here] >= values[there] * (1.0 - 1e-9):
            return True
    return False


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
