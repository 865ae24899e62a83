"""Minimisers on the admissible box, compiled: Levenberg-Marquardt for squares, Nelder-Mead for the other criteria.

Levenberg (1944) and Marquardt (1963) with the exact Jacobian of gradients.py and the box kept by projection: a constant
at a bound whose gradient points outwards is held there for the step. Nelder and Mead (1965) with every trial point
projected on the box. Both are descent methods: the value never rises, and finite data cannot make them fail.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.gradients import settle, squared_errors
from templates_engine.smoothing.normal_equations import solve_damped
from templates_engine.smoothing.projection import projected
from templates_engine.smoothing.recursions import errors_only, part
from templates_engine.smoothing.robust import robust_objective
from templates_engine.smoothing.starts import ranked

SSE, MAE, LIKELIHOOD, ROBUST = 0, 1, 2, 3


@njit
def least_squares(  # type: ignore[no-untyped-def]
    y, first, z, constants, periods, offsets, kind, relative, columns, lower, upper, limit, exact, linear
):
    """Minimise the sum of squares over the entries `columns` of z, in place, within [lower, upper] (like z).

    limit: passes at most; exact: stop when the relative fall expected is below it; linear: 0, or the number of start
    states (as in projection.py) that are to follow the constants among `columns`. Returns cost, passes, converged.
    """
    width = len(columns)
    gradient, matrix = np.empty(width), np.empty((width, width))
    next_gradient, next_matrix = np.empty(width), np.empty((width, width))
    free = np.empty(width, np.bool_)
    step = np.empty(width)
    if linear:
        cost = projected(y, z, constants, periods, linear, columns, math.inf, gradient, matrix)
    else:
        cost = squared_errors(y, first, z, constants, periods, offsets, kind, relative, columns, gradient, matrix)
    trial = z.copy()
    passes = 1
    if width == 0 or cost == 0.0:
        return cost, passes, True
    if not cost < math.inf:
        return cost, passes, False
    damping = 1e-4
    small = 0
    while passes < limit:
        movable = 0
        for a in range(width):
            e = columns[a]
            held = (z[e] <= lower[e] and gradient[a] >= 0.0) or (z[e] >= upper[e] and gradient[a] <= 0.0)
            free[a] = not held and matrix[a, a] > 0.0
            movable += free[a]
        if movable == 0:
            return cost, passes, True
        if not solve_damped(matrix, gradient, free, damping, step):
            damping = max(10.0 * damping, 1e-6)
            passes += 1
            continue
        # a step that leaves the box is solved again with the constants it hits held at the bound
        for a in range(width):
            e = columns[a]
            trial[e] = min(upper[e], max(lower[e], z[e] + step[a]))
        hit = False
        for a in range(width):
            e = columns[a]
            if free[a] and trial[e] != z[e] + step[a] and (trial[e] == lower[e] or trial[e] == upper[e]):
                hit = True
        if hit:
            blocked_step(matrix, gradient, free, damping, step, z, trial, columns, lower, upper)
        settle(trial, constants, periods, offsets, kind)
        fall, moved = 0.0, 0.0
        for a in range(width):
            d = trial[columns[a]] - z[columns[a]]
            moved = max(moved, abs(d) / (1e-3 + abs(z[columns[a]])))
            fall -= 2.0 * d * gradient[a]
            for c in range(width):
                fall -= d * matrix[a, c] * (trial[columns[c]] - z[columns[c]])
        if moved == 0.0:
            return cost, passes, True
        if linear:
            value = projected(y, trial, constants, periods, linear, columns, cost, next_gradient, next_matrix)
        else:
            value = squared_errors(
                y, first, trial, constants, periods, offsets, kind, relative, columns, next_gradient, next_matrix
            )
        passes += 1
        if value < cost:
            small = small + 1 if cost - value <= exact * cost else 0
            ratio = (cost - value) / fall if fall > 0.0 else 0.0
            damping = max(damping * 0.1, 1e-12) if ratio > 0.75 else (damping * 3.0 if ratio < 0.25 else damping)
            cost = value
            z[:] = trial
            gradient, next_gradient = next_gradient, gradient
            matrix, next_matrix = next_matrix, matrix
            if small >= 2 or cost == 0.0:
                return cost, passes, True
        else:
            if fall <= exact * cost or damping > 1e12:
                return cost, passes, True
            damping = max(damping * 8.0, 1e-6)
            trial[:] = z
    return cost, passes, False


@part
def blocked_step(matrix, gradient, free, damping, step, z, trial, columns, lower, upper):  # type: ignore[no-untyped-def]
    """The damped step again with the constants that left the box fixed at the bound they hit; into `trial`."""
    width = len(columns)
    held, target = free.copy(), np.zeros(width)
    for a in range(width):
        e = columns[a]
        out = free[a] and (z[e] + step[a] < lower[e] or z[e] + step[a] > upper[e])
        if out:
            held[a] = False
            target[a] = trial[e] - z[e]
    shifted = gradient.copy()
    for a in range(width):
        for c in range(width):
            if target[c] != 0.0:
                shifted[a] += matrix[a, c] * target[c]
    if solve_damped(matrix, shifted, held, damping, step):
        for a in range(width):
            e = columns[a]
            if held[a]:
                trial[e] = min(upper[e], max(lower[e], z[e] + step[a]))


@njit
def criterion_value(y, first, z, constants, periods, offsets, kind, criterion, robust, room):  # type: ignore[no-untyped-def]
    """A criterion of the constants at fixed start states: sum |e| (MAE), or the robust objective.

    robust: (first scale, k, lambda, criterion of robust.py); room (2, n).
    """
    season = z[constants + 2 :].copy()
    if criterion == ROBUST:
        return robust_objective(
            y, first, z[constants], z[constants + 1], season, periods, offsets, kind, z[:constants],
            robust[0], robust[1], robust[2], robust[3], room,
        )  # fmt: skip
    errors_only(y, first, z[constants], z[constants + 1], season, periods, offsets, kind, z[:constants], room[0])
    total = 0.0
    for t in range(first, len(y)):
        if not math.isnan(y[t]):
            total += abs(room[0, t])
    return total if math.isfinite(total) else math.inf


@part
def nelder_mead(  # type: ignore[no-untyped-def]
    y, first, z, constants, periods, offsets, kind, criterion, robust, room, columns, lower, upper, width, limit, exact
):
    """Minimise a criterion over the entries `columns` of z within the box, in place; `width`: first edge.

    Returns value, evaluations, converged (all corners within `exact` relative).
    """
    p = len(columns)
    points, values = np.empty((p + 1, p)), np.empty(p + 1)
    trial, second, centre = np.empty(p), np.empty(p), np.empty(p)
    at = z.copy()
    for i in range(p + 1):
        for j in range(p):
            points[i, j] = z[columns[j]]
        if i > 0:
            e = columns[i - 1]
            edge = width * (upper[e] - lower[e])
            points[i, i - 1] += edge if points[i, i - 1] + edge <= upper[e] else -edge
        for j in range(p):
            at[columns[j]] = points[i, j]
        values[i] = criterion_value(y, first, at, constants, periods, offsets, kind, criterion, robust, room)
    used = p + 1
    converged = False
    while used < limit:
        order = ranked(values)
        points, values = points[order], values[order]
        span = 0.0
        for j in range(p):
            span = max(span, np.max(points[:, j]) - np.min(points[:, j]))
        if values[p] - values[0] <= exact * (abs(values[0]) + 1e-300) and span <= 1e-5:
            converged = True
            break
        if span <= 1e-6:
            converged = True
            break
        for j in range(p):
            centre[j] = np.mean(points[:p, j])
        value = _reflect(points[p], centre, 1.0, columns, lower, upper, trial, at)
        value = criterion_value(y, first, at, constants, periods, offsets, kind, criterion, robust, room)
        used += 1
        if value < values[0]:
            _reflect(points[p], centre, 2.0, columns, lower, upper, second, at)
            further = criterion_value(y, first, at, constants, periods, offsets, kind, criterion, robust, room)
            used += 1
            if further < value:
                points[p], values[p] = second, further
            else:
                points[p], values[p] = trial, value
            continue
        if value < values[p - 1]:
            points[p], values[p] = trial, value
            continue
        outside = value < values[p]
        _reflect(points[p], centre, 0.5 if outside else -0.5, columns, lower, upper, second, at)
        inner = criterion_value(y, first, at, constants, periods, offsets, kind, criterion, robust, room)
        used += 1
        if inner < min(value, values[p]):
            points[p], values[p] = second, inner
            continue
        for i in range(1, p + 1):
            for j in range(p):
                points[i, j] = points[0, j] + 0.5 * (points[i, j] - points[0, j])
                at[columns[j]] = points[i, j]
            values[i] = criterion_value(y, first, at, constants, periods, offsets, kind, criterion, robust, room)
        used += p
    best = np.argmin(values)
    for j in range(p):
        z[columns[j]] = points[best, j]
    return values[best], used, converged


@njit
def _reflect(worst, centre, factor, columns, lower, upper, trial, at):  # type: ignore[no-untyped-def]
    """centre + factor (centre - worst), projected on the box, into `trial` and into the entries of `at`."""
    for j in range(len(columns)):
        e = columns[j]
        trial[j] = min(upper[e], max(lower[e], centre[j] + factor * (centre[j] - worst[j])))
        at[e] = trial[j]
