"""Which constants a series leaves possible: weighted draws by adaptive importance sampling, compiled.

The draws stand for p(constants | y) of marginal.py with the prior 1 / sqrt(u) on alpha, beta and gamma, u their place
in their range, and 1 / sqrt(1 - phi^2) on phi: up to bounded factors Jeffreys' rule, since the information on a
constant grows as 1 / u towards 0, where its component stops moving, and that on phi as on an autoregression. Bayesian
forecasts of exponential smoothing: Forbes, Snyder and Shami (2000); prediction intervals beyond those of known
constants: Ord, Koehler and Snyder (1997), Hyndman, Koehler, Ord and Snyder (2008, chapter 6).

Draws are made on the logits of the places, where the bounds are far away. Stage after stage they come from a Student
distribution with the weighted mean and covariance of all draws so far, and all are weighted by the mixture of the
stages' distributions (Cornuet, Marin, Mira and Robert 2012); weights that rest on few draws are flattened first. The
numbers behind the draws are the same low-discrepancy points for every series, so that intervals need no seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2, qmc

from templates_engine.sampling import njit
from templates_engine.smoothing.intervals.marginal import marginal, put_reference
from templates_engine.smoothing.layout import Layout, layout, put_start
from templates_engine.smoothing.models import Array, Constants, Fit, Model
from templates_engine.smoothing.recursions import part

STAGE = 32  # draws a stage; the first two: a wide start, and the surroundings of the estimates
STAGES = 16  # at most; five or six are usual, the most where the estimates lie far from where the density does
ENOUGH = 60.0  # effective draws that end the sampling
TAIL = 5.0  # degrees of freedom of the stages' distributions
FARTHEST = 20.0  # of a logit: places nearer to a bound than 2e-9 are as good as on it
MOST_SEASONS = 60  # with more seasonal states than this together they are taken as known
MOST_ROWS = 5000  # of a longer series the last ones tell the constants
RIDGE = 1e-3  # of two seasons at once
EXACT = 1e-24  # squared errors of this share of the series' squares are rounding
# Mean and sd of the logit of a place in the first stage: level, trend, damping, season
WIDE = np.array([[-0.8, 1.3], [-2.5, 1.7], [0.0, 1.5], [-1.5, 1.4]])


@dataclass(frozen=True)
class Draws:
    """Weighted draws of the constants with what follows from each, as `draw` writes them; rows: those they rest on."""

    layout: Layout
    rows: int
    weights: Array  # (draws,), sum 1
    thetas: Array  # (draws, constants)
    lasts: Array  # (draws, states): mean of level, trend and seasons after the last row, places counted from row 0
    spreads: Array  # (draws, states, unknown start states)
    scales: Array  # (draws,) squared errors over their degrees of freedom
    free: int  # these
    effective: float


@cache
def points(width: int) -> Array:
    """(STAGE * STAGES, width) standard Student points, every stage's spread evenly (scrambled Sobol points)."""
    uniform = qmc.Sobol(width + 1, scramble=True, seed=2026).random(STAGE * STAGES)
    scale = np.sqrt(chi2.ppf(uniform[:, width], TAIL) / TAIL)
    return np.ascontiguousarray(ndtri(uniform[:, :width]) / scale[:, None])


@part
def density(eta, mean, root, room):  # type: ignore[no-untyped-def]
    """Student density at eta (p,) but for its constant factor; root (p, p): lower triangular square root."""
    width = len(eta)
    square, size = 0.0, 1.0
    for i in range(width):
        value = eta[i] - mean[i]
        for j in range(i):
            value -= root[i, j] * room[j]
        room[i] = value / root[i, i]
        square += room[i] * room[i]
        size *= root[i, i]
    return (1.0 + square / TAIL) ** (-0.5 * (TAIL + width)) / size


@part
def effective(logs, count, flat):  # type: ignore[no-untyped-def]
    """Sum of the weights exp(logs / flat) and their effective number, (sum w)^2 / sum w^2."""
    total, squares = 0.0, 0.0
    for k in range(count):
        weight = math.exp(logs[k] / flat)
        total += weight
        squares += weight * weight
    return total, total * total / squares


@part
def next_stage(etas, logs, count, mean, root):  # type: ignore[no-untyped-def]
    """Mean and root of the covariance of the draws so far, from weights flattened until enough draws count."""
    width = etas.shape[1]
    flat = 1.0
    total, number = effective(logs, count, flat)
    while number < 8.0 + 2.0 * width and flat < 1e6:
        flat *= 1.4
        total, number = effective(logs, count, flat)
    mean[:] = 0.0
    root[:] = 0.0
    for k in range(count):
        for i in range(width):
            mean[i] += math.exp(logs[k] / flat) / total * etas[k, i]
    for k in range(count):
        weight = math.exp(logs[k] / flat) / total
        for i in range(width):
            for j in range(i + 1):
                root[i, j] += weight * (etas[k, i] - mean[i]) * (etas[k, j] - mean[j])
    for i in range(width):  # Cholesky in place, of the covariance made a little wider
        for j in range(i + 1):
            value = root[i, j]
            for q in range(j):
                value -= root[i, q] * root[j, q]
            root[i, j] = math.sqrt(max(1.2 * value + 0.002, 1e-4)) if i == j else value / root[j, j]


@njit
def draw(  # type: ignore[no-untyped-def]
    y, z, constants, periods, offsets, kind, has_trend, given, columns, states, ridge, lower, upper, table, weights,
    thetas, lasts, spreads, scales,
):  # fmt: skip
    """Draws of the constants `columns` (p,) and, for each, what follows for the states after the last row of y.

    z: the estimates of the constants and, if `given`, start states before the first row, of which the entries `states`
    are unknown all the same; table: `points`.
    Written, a row a draw: weights, which sum to 1 (0 for draws not made), thetas (draws, constants), lasts (draws,
    states) and spreads (draws, states, start states) as by `marginal`, scales: S over its degrees of freedom.
    Returns these degrees of freedom and the effective number of draws; 0 where the series says too little.
    """
    width, many = len(columns), len(states)
    rows, slopes = np.empty((len(y), many + 1)), np.empty((lasts.shape[1], many))
    step, room = np.empty(many), np.empty(width)
    means, roots = np.zeros((STAGES, width)), np.zeros((STAGES, width, width))
    etas, logs = np.empty((len(table), width)), np.empty(len(table))
    targets, mixed = np.empty(len(table)), np.zeros(len(table))
    at = z.copy()
    for i in range(width):
        e = columns[i]
        here = (z[e] - lower[e]) / (upper[e] - lower[e])
        means[0, i], roots[0, i, i] = WIDE[min(e, 3)]
        means[1, i], roots[1, i, i] = math.log(min(max(here, 0.02), 0.98) / (1.0 - min(max(here, 0.02), 0.98))), 0.7
        at[e] = lower[e] + min(max(here, 0.02), 0.9) * (upper[e] - lower[e])
    if many:
        put_reference(
            y, at, constants, periods, offsets, kind, has_trend, given, states, ridge, rows, slopes, lasts[0],
            spreads[0], step,
        )  # fmt: skip
    free, number, made = 0, 0.0, 0
    least = EXACT * np.nansum(y * y)
    weights[:] = 0.0
    for stage in range(STAGES):
        if stage > 1:
            next_stage(etas, logs, made, means[stage], roots[stage])
        for k in range(made):
            mixed[k] += density(etas[k], means[stage], roots[stage], room)
        for k in range(made, made + STAGE):
            prior = 0.0
            for i in range(width):
                value = means[stage, i]
                for j in range(i + 1):
                    value += roots[stage, i, j] * table[k, j]
                value = min(max(value, -FARTHEST), FARTHEST)
                etas[k, i] = value
                e = columns[i]
                below = math.log1p(math.exp(-abs(value)))  # -log of the larger of u and 1 - u
                at[e] = lower[e] + (upper[e] - lower[e]) / (1.0 + math.exp(-value))
                prior -= abs(value) + 2.0 * below  # du / d logit = u (1 - u)
                if e == 2:
                    prior -= 0.5 * math.log(1.0 - at[e] * at[e])
                else:
                    prior += 0.5 * (below + max(-value, 0.0))  # u^{-1/2}
            thetas[k] = at[:constants]
            value, squares, left = marginal(
                y, at, constants, periods, offsets, kind, states, ridge, rows, slopes, lasts[k], spreads[k], step
            )
            targets[k] = value + prior
            scales[k] = 1.0
            if left > 0:
                free = left
                scales[k] = squares / left
                if squares <= least:
                    return 0, 0.0
            for c in range(stage + 1):
                mixed[k] += density(etas[k], means[c], roots[c], room)
        made += STAGE
        top = np.max(targets[:made])
        if not math.isfinite(top) or free - width < 2:
            return 0, 0.0
        highest = -math.inf
        for k in range(made):
            logs[k] = targets[k] - math.log(mixed[k])
            highest = max(highest, logs[k])
        for k in range(made):
            logs[k] -= highest
        total, number = effective(logs, made, 1.0)
        if stage > 0 and number >= ENOUGH:
            break
    for k in range(made):
        weights[k] = math.exp(logs[k]) / total
    return free, number


def draws_of(fit: Fit) -> Draws | None:
    """Draws for a fit; None where no constant was estimated, for a robust fit, and where the series says too little.

    A robust criterion is no likelihood, and so leaves no distribution of the constants. Too little: fewer than two
    degrees of freedom beside the constants, or errors that are all 0.
    """
    if fit.robust is not None or all(fit.fixed.values()):
        return None
    lay = layout_of(fit.model, fit.constants, fit.fixed)
    z = estimates(lay, fit.constants)
    known = fit.start.kind == "user"
    first = fit.start.first if known else begin_of(fit.y)
    wide = sum(fit.model.periods) > MOST_SEASONS and len(fit.y) - first <= MOST_ROWS
    given = known or (wide and fit.start.first == first)
    if given:
        put_start(lay, z, fit.start, first)
    return drawn(fit.y[first:], lay, z, given, known)


def begin_of(y: Array) -> int:
    """Row of the first value present."""
    return int(np.argmax(np.isfinite(y)))


def layout_of(model: Model, constants: Constants, fixed: Mapping[str, bool]) -> Layout:
    """The layout with those constants fixed, at their values, that `fixed` names."""
    kept = {name: value if fixed[name] else None for name, value in constants.named().items()}
    gammas = [value for name, value in kept.items() if name.startswith("gamma")]
    return layout(model, kept["alpha"], kept.get("beta"), gammas or None, kept.get("phi"))


def estimates(lay: Layout, constants: Constants) -> Array:
    """The kernels' vector with the constants in it, start states 0."""
    z = np.zeros(lay.size)
    z[2] = 1.0
    for name, value in constants.named().items():
        z[lay.entries()[name]] = value
    return z


def drawn(y: Array, lay: Layout, z: Array, given: bool = False, known: bool = False) -> Draws | None:
    """Draws for the rows y, the estimates in z; given: start states stand in z; known: they are no estimates."""
    y = np.ascontiguousarray(y if given else y[-MOST_ROWS:])
    columns, states = lay.columns("decompose"), lay.columns("optimal")
    states = states[states >= lay.constants]
    if known:
        states = states[:0]
    elif lay.periods.sum() > MOST_SEASONS:
        states = states[states < lay.constants + 2]
    many, size = STAGE * STAGES, lay.size - lay.constants
    found = Draws(
        lay, len(y), np.empty(many), np.empty((many, lay.constants)), np.empty((many, size)),
        np.zeros((many, size, len(states))), np.ones(many), 0, 0.0,
    )  # fmt: skip
    free, effective = draw(
        y, z, lay.constants, lay.periods, lay.offsets, lay.kind, lay.model.trend, given, columns, states,
        RIDGE if len(lay.periods) > 1 else 0.0, lay.lower, lay.upper, points(len(columns)), found.weights,
        found.thetas, found.lasts, found.spreads, found.scales,
    )  # fmt: skip
    return replace(found, free=int(free), effective=float(effective)) if free else None
