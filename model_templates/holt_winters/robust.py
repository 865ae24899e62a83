"""The robust recursion: pre-cleaning with Huber's psi and a scale that follows the errors, and its criteria.

Gelper, Fried and Croux (2010, Journal of Forecasting 29), in the form of Crevits and Croux (2017): each value is
replaced by one at most k scales from its forecast before it moves the states, so an outlier moves them by a bounded
amount. The states move by the ETS form, with beta_ets = alpha beta and gamma_ets = (1 - alpha) gamma: for additive
seasons that is the recursion of recursions.py; for multiplicative ones q = l + phi b takes the place of the new level
in the season's update. Errors are relative to the forecast for multiplicative seasons, absolute otherwise.
"""

from __future__ import annotations

import math

import numpy as np

from model_templates.holt_winters.recursions import season_now
from templates_engine.sampling.compiled import njit

ROBLIK, TAU2 = 0, 1
TAU_K = 3.0  # constant of rho in the tau scale of the reference implementation
MEDIAN_SCALE = 1.482602218505602  # 1 / Phi^{-1}(3/4)


@njit
def biweight_constant(k):  # type: ignore[no-untyped-def]
    """c with E rho(Z) = 1 for the bounded biweight rho(x) = c (1 - (1 - (x/k)^2)^3), c beyond k, Z normal."""
    cdf = 0.5 * math.erfc(-k / math.sqrt(2.0))
    density = math.exp(-0.5 * k * k) / math.sqrt(2.0 * math.pi)
    d1 = cdf - 0.5 - k * density
    d2 = 3.0 * d1 - k**3 * density
    d3 = 5.0 * d2 - k**5 * density
    return 1.0 / (6.0 / k**2 * d1 - 6.0 / k**4 * d2 + 2.0 / k**6 * d3 + 2.0 * (1.0 - cdf))


@njit
def biweight(x, k, c):  # type: ignore[no-untyped-def]
    """The bounded biweight rho."""
    if abs(x) > k:
        return c
    u = 1.0 - (x / k) ** 2
    return c * (1.0 - u * u * u)


@njit
def robust_step(y, forecast, sigma, k, c, lam, relative):  # type: ignore[no-untyped-def]
    """Error, new scale and cleaned value of one observation."""
    error = (y - forecast) / forecast if relative else y - forecast
    square = sigma * sigma * (lam * biweight(error / sigma, k, c) + 1.0 - lam)
    sigma = math.sqrt(square)
    u = max(-k, min(k, error / sigma))
    if abs(error / sigma) <= k:
        return error, sigma, y
    return error, sigma, forecast * (1.0 + sigma * u) if relative else forecast + sigma * u


@njit
def robust_move(season, periods, offsets, kind, t, alpha, beta, phi, theta, clean, level, trend, base, total):  # type: ignore[no-untyped-def]
    """States after the cleaned value: returns level and trend, moves `season` in place."""
    if kind == 2:
        new = base + alpha * (clean / total - base) if total > 0.0 else base
    else:
        new = base + alpha * (clean - total - base)
    slope = phi * trend + beta * (new - level - phi * trend)
    for i in range(len(periods)):
        at = offsets[i] + t % periods[i]
        rate = (1.0 - alpha) * theta[3 + i]
        s = season[at]
        if kind == 1:
            season[at] = s + rate * (clean - base - total)
        elif base > 0.0 and s > 0.0 and total > 0.0:
            season[at] = s + rate * (clean / (base * (total / s)) - s)
    return new, slope


@njit
def robust_errors(y, first, level, trend, season, periods, offsets, kind, theta, sigma, k, lam, errors, forecasts):  # type: ignore[no-untyped-def]
    """One-step errors (relative if multiplicative) and forecasts of all values present, packed to the front.

    Returns their number; -1 where a relative error is not defined. `season` is moved.
    """
    alpha, beta, phi = theta[0], theta[1], theta[2]
    c = biweight_constant(k)
    count = 0
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, periods, offsets, kind, t)
        if math.isnan(y[t]):
            level = base
            trend = phi * trend
            continue
        forecast = base * total if kind == 2 else base + total
        if kind == 2 and not forecast > 0.0:
            return -1
        errors[count], sigma, clean = robust_step(y[t], forecast, sigma, k, c, lam, kind == 2)
        forecasts[count] = forecast
        count += 1
        level, trend = robust_move(
            season, periods, offsets, kind, t, alpha, beta, phi, theta, clean, level, trend, base, total
        )
    return count


@njit
def robust_smooth(  # type: ignore[no-untyped-def]
    y, first, level, trend, season, periods, offsets, kind, theta, sigma, k, lam,
    fitted, levels, trends, seasons, scale, cleaned, flags,
):  # fmt: skip
    """The whole recursion, every row written from `first` on; returns the last level, trend and scale.

    A missing value is cleaned to its forecast and leaves the scale. Where a relative error is not defined (a forecast
    that is not positive) the value is taken as it is and the scale stays.
    """
    alpha, beta, phi = theta[0], theta[1], theta[2]
    c = biweight_constant(k)
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, periods, offsets, kind, t)
        for i in range(len(periods)):
            seasons[t, i] = season[offsets[i] + t % periods[i]]
        forecast = base * total if kind == 2 else base + total
        fitted[t] = forecast
        if math.isnan(y[t]):
            cleaned[t] = forecast
            level = base
            trend = phi * trend
        else:
            clean = y[t]
            if kind != 2 or forecast > 0.0:
                error, sigma, clean = robust_step(y[t], forecast, sigma, k, c, lam, kind == 2)
                flags[t] = abs(error / sigma) > k
            cleaned[t] = clean
            level, trend = robust_move(
                season, periods, offsets, kind, t, alpha, beta, phi, theta, clean, level, trend, base, total
            )
        levels[t], trends[t], scale[t] = level, trend, sigma
    return level, trend, sigma


@njit
def tau_square(errors, count):  # type: ignore[no-untyped-def]
    """The tau^2 scale of errors[:count] about 0: s^2 times the mean of rho(e / s), s = 1.4826 sqrt(median e^2)."""
    squares = errors[:count] ** 2
    square = MEDIAN_SCALE * MEDIAN_SCALE * np.median(squares)
    if not square > 0.0:
        return np.mean(squares)
    s = math.sqrt(square)
    c = biweight_constant(TAU_K)
    total = 0.0
    for i in range(count):
        total += biweight(errors[i] / s, TAU_K, c)
    return square * total / count


@njit
def robust_objective(y, first, level, trend, season, periods, offsets, kind, theta, sigma, k, lam, criterion, room):  # type: ignore[no-untyped-def]
    """The criterion of the constants, to be made small: "roblik" n log(n tau^2) (+ 2 n log median |forecast|) or tau^2.

    room (2, n) is working space; `season` is left as it is. Infinite where the recursion is not defined.
    """
    moving = season.copy()
    count = robust_errors(
        y, first, level, trend, moving, periods, offsets, kind, theta, sigma, k, lam, room[0], room[1]
    )
    if count <= 0:
        return math.inf
    tau2 = tau_square(room[0], count)
    if not math.isfinite(tau2):
        return math.inf
    if criterion == TAU2:
        return tau2
    if not tau2 > 0.0:
        tau2 = 1e-300
    value = count * math.log(count * tau2)
    if kind == 2:
        value += 2.0 * count * math.log(np.median(np.abs(room[1, :count])))
    return value
