"""Forecasts over draws of the constants, compiled: quantiles of a mixture of Student distributions, and futures.

Given constants and states a forecast h steps ahead is Student distributed with the formula's variance and that of the
unknown states, sigma^2 (unit variance + |B' d|^2), d the forecast's derivatives with respect to the last states. The
forecast's distribution is the mixture of these over the draws.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling import njit
from templates_engine.smoothing.recursions import NO, ahead, next_row, part, positions, simulate

LIGHT = 1e-5  # draws of less weight are left out


@njit
def student(t, free, log):  # type: ignore[no-untyped-def]
    """Distribution function of Student's t for free >= 3, within 1.1e-5 (Hill 1970); log: log(1 + t^2 / free)."""
    a = free - 0.5
    b = 48.0 * a * a
    square = a * log
    z = math.sqrt(square)
    z += z * (square + 3.0) / b - z * (((4.0 * square + 33.0) * square + 240.0) * square + 855.0) / (
        10.0 * b * (b + 0.8 * square * square + 100.0)
    )
    upper = 0.5 * math.erfc(z / math.sqrt(2.0))
    return upper if t < 0.0 else 1.0 - upper


@njit
def unit_variances(theta, periods, totals, kind, found):  # type: ignore[no-untyped-def]
    """(horizon,) variances of intervals.unit_variance: those of future errors of sd 1 at known constants and states."""
    horizon = len(found)
    psi = np.empty(horizon)
    psi[0] = 1.0
    grown, power = 0.0, 1.0
    for j in range(1, horizon):
        power *= theta[2]
        grown += power
        psi[j] = theta[0] * (1.0 + theta[1] * grown)
        for i in range(len(periods)):
            if j % periods[i] == 0:
                psi[j] += theta[3 + i] * (1.0 - theta[0])
    for h in range(horizon):
        found[h] = 0.0
        for j in range(h + 1):
            weight = psi[j] * totals[h] / totals[h - j] if kind == 2 else psi[j]
            found[h] += weight * weight


@njit
def forecasts(n, weights, thetas, lasts, spreads, scales, periods, offsets, kind, means, sds):  # type: ignore[no-untyped-def]
    """Mean and scale of the forecasts of rows n, n + 1, ... from each draw, into means and sds (draws, horizon)."""
    horizon, width = means.shape[1], spreads.shape[2]
    totals, variances = np.empty(horizon), np.empty(horizon)
    for k in range(len(weights)):
        if weights[k] < LIGHT:
            continue
        ahead(n, lasts[k, 0], lasts[k, 1], lasts[k, 2:], periods, offsets, kind, thetas[k, 2], means[k], totals)
        unit_variances(thetas[k], periods, totals, kind, variances)
        now = positions(periods, offsets, n)
        grown, power = 0.0, 1.0
        for h in range(horizon):
            power *= thetas[k, 2]
            grown += power
            by_base = totals[h] if kind == 2 else 1.0
            value = variances[h]
            for j in range(width):
                moved = by_base * (spreads[k, 0, j] + grown * spreads[k, 1, j])
                for i in range(len(periods)):
                    by_season = means[k, h] / lasts[k, 2 + now[i]] if kind == 2 else 1.0
                    moved += by_season * spreads[k, 2 + now[i], j]
                value += moved * moved
            sds[k, h] = math.sqrt(scales[k] * value)
            next_row(now, periods, offsets)


@part
def quantile(weights, means, sds, h, free, centre, sd, p, guess):  # type: ignore[no-untyped-def]
    """x with sum of w T((x - mean) / sd) = p, by Newton's steps kept inside a bracket, to 1e-7 sd or so."""
    low, high = centre - 60.0 * sd, centre + 60.0 * sd
    factor = math.exp(math.lgamma(0.5 * (free + 1.0)) - math.lgamma(0.5 * free)) / math.sqrt(math.pi * free)
    x = guess
    for _ in range(100):
        value, slope = -p, 0.0
        for k in range(len(weights)):
            if weights[k] > 0.0:
                t = (x - means[k, h]) / sds[k, h]
                log = math.log1p(t * t / free)
                value += weights[k] * student(t, free, log)
                slope += weights[k] * factor * math.exp(-0.5 * (free + 1.0) * log) / sds[k, h]
        if value < 0.0:
            low = x
        else:
            high = x
        step = value / slope if slope > 0.0 else math.inf
        if abs(step) <= 1e-4 * sd:  # and this step takes the error to its square
            return x - step
        x = x - step if low < x - step < high else 0.5 * (low + high)
    return x


@njit
def limits_of(weights, means, sds, free, tails, centres, spread, found):  # type: ignore[no-untyped-def]
    """Mean and sd of the mixture at each horizon, and its quantiles tails (q,) into found (q, horizon).

    Weights are made to sum to 1 over the draws that are not left out.
    """
    kept = np.zeros(len(weights))
    for k in range(len(weights)):
        kept[k] = weights[k] if weights[k] >= LIGHT else 0.0
    weights = kept / np.sum(kept)
    for h in range(means.shape[1]):
        centre, square = 0.0, 0.0
        for k in range(len(weights)):
            if weights[k] > 0.0:
                centre += weights[k] * means[k, h]
        for k in range(len(weights)):
            if weights[k] > 0.0:
                square += weights[k] * (sds[k, h] ** 2 * free / (free - 2.0) + (means[k, h] - centre) ** 2)
        centres[h], spread[h] = centre, math.sqrt(square)
        for q in range(len(tails)):
            last = (found[q, h - 1] - centres[h - 1]) / spread[h - 1] if h else 0.0
            guess = centre + spread[h] * last
            found[q, h] = quantile(weights, means, sds, h, free, centre, spread[h], tails[q], guess)


@njit
def futures(n, picked, thetas, lasts, spreads, scales, normals, shocks, periods, offsets, kind, paths):  # type: ignore[no-untyped-def]
    """Simulated paths (paths, horizon), each from the draw `picked` (paths,), its states moved by `normals`.

    scales (paths,): sd of each path's errors; normals (paths, start states); shocks (paths, horizon) in units of it.
    """
    moved = np.empty(lasts.shape[1])
    for p in range(len(picked)):
        k = picked[p]
        least = math.inf
        for s in range(len(moved)):
            moved[s] = lasts[k, s]
            for j in range(normals.shape[1]):
                moved[s] += scales[p] * spreads[k, s, j] * normals[p, j]
            if s > 1:
                least = min(least, moved[s])
        if kind == 2 and least <= 0.0:  # a factor is positive: without its uncertainty it is
            moved[:] = lasts[k]
        simulate(
            n, moved[0], moved[1], moved[2:], periods, offsets, kind, thetas[k], scales[p] * shocks[p : p + 1], NO,
            paths[p : p + 1],
        )  # fmt: skip
