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

from templates_engine.sampling import njit
from templates_engine.smoothing.recursions import next_row, part, positions, season_now
from templates_engine.smoothing.starts import middle

ROBLIK, TAU2 = 0, 1
TAU_K = 3.0  # constant of rho in the tau scale of the reference implementation
MEDIAN_SCALE = 1.482602  # 1 / Phi^{-1}(3/4) to the digits of the reference implementation


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
def robust_move(season, now, kind, alpha, beta, phi, theta, clean, level, trend, base, total):  # type: ignore[no-untyped-def]
    """States after the cleaned value: returns level and trend, moves `season` in place."""
    if kind == 2:
        new = base + alpha * (clean / total - base) if total > 0.0 else base
    else:
        new = base + alpha * (clean - total - base)
    slope = phi * trend + beta * (new - level - phi * trend)
    for i in range(len(now)):
        at = now[i]
        rate = (1.0 - alpha) * theta[3 + i]
        s = season[at]
        if kind == 1:
            season[at] = s + rate * (clean - base - total)
        elif base > 0.0 and s > 0.0 and total > 0.0:
            season[at] = s + rate * (clean / (base * (total / s)) - s)
    return new, slope


@njit
def one_season_errors(y, first, level, trend, season, periods, kind, theta, sigma, k, lam, errors, forecasts):  # type: ignore[no-untyped-def]
    """`robust_errors` with at most one season, the same steps without calls: the search spends its time here."""
    alpha, beta, phi = theta[0], theta[1], theta[2]
    many = len(periods)
    m = periods[0] if many else 1
    rate = (1.0 - alpha) * theta[3] if many else 0.0
    index = season if many else np.zeros(1)
    c = biweight_constant(k)
    count, now = 0, first % m
    for t in range(first, len(y)):
        base = level + phi * trend
        s = index[now]
        value = y[t]
        if math.isnan(value):
            level = base
            trend = phi * trend
            now = now + 1 if now + 1 < m else 0
            continue
        forecast = base * s if kind == 2 else base + s
        error = value - forecast
        if kind == 2:
            error /= forecast if forecast > 0.0 else max(-forecast, 1e-3 * value)
        bound = math.inf
        if kind != 2 or forecast > 0.0:
            u = error / (sigma * k)
            u = 1.0 - u * u
            sigma *= math.sqrt(lam * c * (1.0 - (u * u * u if u > 0.0 else 0.0)) + 1.0 - lam)
            bound = k * sigma
        if error > bound:
            value = forecast * (1.0 + bound) if kind == 2 else forecast + bound
        elif error < -bound:
            value = forecast * (1.0 - bound) if kind == 2 else forecast - bound
        errors[count] = error
        forecasts[count] = abs(forecast)
        count += 1
        if kind == 2:
            new = base + alpha * (value / s - base) if s > 0.0 else base
            if base > 0.0 and s > 0.0:
                index[now] = s + rate * (value / base - s)
        else:
            new = base + alpha * (value - s - base)
            if many:
                index[now] = s + rate * (value - base - s)
        trend = phi * trend + beta * (new - level - phi * trend)
        level = new
        now = now + 1 if now + 1 < m else 0
    return count


@njit
def robust_errors(y, first, level, trend, season, periods, offsets, kind, theta, sigma, k, lam, errors, forecasts):  # type: ignore[no-untyped-def]
    """One-step errors (relative if multiplicative) and forecasts of all values present, packed to the front.

    Returns their number. A forecast that is not positive has no relative error: it counts as far off (its absolute
    value in the divisor), the value is taken as it is and the scale stays. `season` is moved.
    """
    if len(periods) < 2:
        return one_season_errors(y, first, level, trend, season, periods, kind, theta, sigma, k, lam, errors, forecasts)
    alpha, beta, phi = theta[0], theta[1], theta[2]
    c = biweight_constant(k)
    count = 0
    now = positions(periods, offsets, first)
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, now, kind)
        if math.isnan(y[t]):
            level = base
            trend = phi * trend
            next_row(now, periods, offsets)
            continue
        forecast = base * total if kind == 2 else base + total
        if kind == 2 and not forecast > 0.0:
            errors[count], clean = (y[t] - forecast) / max(-forecast, 1e-3 * y[t]), y[t]
        else:
            errors[count], sigma, clean = robust_step(y[t], forecast, sigma, k, c, lam, kind == 2)
        forecasts[count] = abs(forecast)
        count += 1
        level, trend = robust_move(season, now, kind, alpha, beta, phi, theta, clean, level, trend, base, total)
        next_row(now, periods, offsets)
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
    now = positions(periods, offsets, first)
    for t in range(first, len(y)):
        base = level + phi * trend
        total = season_now(season, now, kind)
        for i in range(len(periods)):
            seasons[t, i] = season[now[i]]
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
            level, trend = robust_move(season, now, kind, alpha, beta, phi, theta, clean, level, trend, base, total)
        levels[t], trends[t], scale[t] = level, trend, sigma
        next_row(now, periods, offsets)
    return level, trend, sigma


@njit
def tau_square(errors, count):  # type: ignore[no-untyped-def]
    """The tau^2 scale of errors[:count] about 0: s^2 times the mean of rho(e / s), s = 1.4826 sqrt(median e^2)."""
    squares = np.empty(count)
    mean = 0.0
    for i in range(count):
        squares[i] = errors[i] * errors[i]
        mean += squares[i] / count
    if not math.isfinite(mean):
        return math.inf
    square = MEDIAN_SCALE * MEDIAN_SCALE * middle(squares, count)
    if not square > 0.0:
        return mean
    c = biweight_constant(TAU_K)
    total = 0.0
    for i in range(count):
        u = 1.0 - squares[i] / (square * TAU_K * TAU_K)
        total += c * (1.0 - u * u * u) if u > 0.0 else c
    return square * total / count


@part
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
        value += 2.0 * count * math.log(max(middle(room[1], count), 1e-300))
    return value
