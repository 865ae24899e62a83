"""Sum of squared one-step errors with its exact gradient and Gauss-Newton matrix, in one pass over the series.

The unknowns lie in one vector z: alpha, beta, phi, gamma_1..gamma_K, then level, trend and all seasonal indices before
the first fitted row. `columns` lists the entries of z that are free. Derivatives of the states with respect to them
are carried forward along with the states themselves (forward sensitivities), so that nothing is approximated.
The last index of each period is not free: it follows from the sum 0 (mean 1) of the period's indices.

Two criteria share the pass:
    absolute   r_t = e_t, cost = sum e_t^2
    relative   r_t = G e_t / x_t with G the geometric mean of the |forecasts| x_t, cost = sum r_t^2, which is
               exp(-2 log L / n) up to a constant for errors relative to the forecast, -2 log L being
               n log sum (e_t / x_t)^2 + 2 sum log |x_t| (Hyndman, Koehler, Ord and Snyder 2008, section 5.1).
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit


@njit
def settle(z, constants, periods, offsets, kind):  # type: ignore[no-untyped-def]
    """Work out the last index of each period from the others."""
    at = constants + 2
    for i in range(len(periods)):
        total = 0.0
        for p in range(periods[i] - 1):
            total += z[at + offsets[i] + p]
        target = float(periods[i]) if kind == 2 else 0.0
        z[at + offsets[i] + periods[i] - 1] = target - total


@njit
def start_derivatives(columns, constants, periods, offsets, d_level, d_trend, d_season):  # type: ignore[no-untyped-def]
    """Derivatives of the states before the first row with respect to the free entries of z."""
    for j in range(len(columns)):
        entry = columns[j]
        if entry == constants:
            d_level[j] = 1.0
        elif entry == constants + 1:
            d_trend[j] = 1.0
        elif entry > constants + 1:
            position = entry - constants - 2
            d_season[position, j] = 1.0
            for i in range(len(periods)):
                if offsets[i] <= position < offsets[i] + periods[i]:
                    d_season[offsets[i] + periods[i] - 1, j] = -1.0


@njit
def squared_errors(y, first, z, constants, periods, offsets, kind, relative, columns, gradient, matrix):  # type: ignore[no-untyped-def]
    """Cost at z; half its gradient and the Gauss-Newton matrix J'J over `columns` are written.

    y (n,), gradient (p,), matrix (p, p): lower triangle only. The cost is infinite where the recursion leaves the
    numbers or, with relative errors, where a forecast is not positive.
    """
    width, many = len(columns), len(periods)
    size = len(z) - constants - 2
    alpha, beta, phi = z[0], z[1], z[2]
    level, trend = z[constants], z[constants + 1]
    season = z[constants + 2 :].copy()
    d_level, d_trend, d_base = np.zeros(width), np.zeros(width), np.zeros(width)
    d_season = np.zeros((size, width))
    d_total, dx = np.zeros(width), np.zeros(width)
    mean_slope = np.zeros(width)
    start_derivatives(columns, constants, periods, offsets, d_level, d_trend, d_season)
    at_alpha, at_beta, at_phi = -1, -1, -1
    at_gamma = np.full(many, -1)
    for j in range(width):
        gradient[j] = 0.0
        for c in range(width):
            matrix[j, c] = 0.0
        if columns[j] == 0:
            at_alpha = j
        elif columns[j] == 1:
            at_beta = j
        elif columns[j] == 2:
            at_phi = j
        elif columns[j] < constants:
            at_gamma[columns[j] - 3] = j
    cost, logs, used = 0.0, 0.0, 0
    for t in range(first, len(y)):
        base = level + phi * trend
        if many == 1:
            total = season[t % periods[0]]
        elif kind == 2:
            total = 1.0
            for i in range(many):
                total *= season[offsets[i] + t % periods[i]]
        else:
            total = 0.0
            for i in range(many):
                total += season[offsets[i] + t % periods[i]]
        if math.isnan(y[t]):
            for j in range(width):
                d_level[j] += phi * d_trend[j]
                d_trend[j] *= phi
            if at_phi >= 0:
                d_level[at_phi] += trend
                d_trend[at_phi] += trend
            level = base
            trend = phi * trend
            continue
        # coefficients of d base and d total in d x, in d clean and in d new
        if kind == 2:
            if not total > 0.0:
                return math.inf
            x, clean = base * total, y[t] / total
            x_base, x_total, clean_total = total, base, -clean / total
        else:
            x, clean = base + total, y[t] - total
            x_base, x_total, clean_total = 1.0, 1.0, -1.0
        new = alpha * clean + (1.0 - alpha) * base
        slope = new - level
        stay = 1.0 - alpha
        push = alpha * clean_total
        keep = (1.0 - beta) * phi
        if many == 1:
            row = d_season[t % periods[0]]
            s = total
            gamma = z[3]
            if kind == 1:
                target = y[t] - new
                by_new = -gamma
            elif new > 0.0:
                target = y[t] / new
                by_new = -gamma * target / new
            else:
                target, by_new, gamma = s, 0.0, 0.0
            for j in range(width):
                ds = row[j]
                db = d_level[j] + phi * d_trend[j]
                dx[j] = x_base * db + x_total * ds
                dn = stay * db + push * ds
                d_trend[j] = beta * (dn - d_level[j]) + keep * d_trend[j]
                d_level[j] = dn
                row[j] = by_new * dn + (1.0 - gamma) * ds
            if at_alpha >= 0:
                extra = clean - base
                d_level[at_alpha] += extra
                d_trend[at_alpha] += beta * extra
                row[at_alpha] += by_new * extra
            if at_phi >= 0:
                dx[at_phi] += x_base * trend
                d_level[at_phi] += stay * trend
                d_trend[at_phi] += (beta * stay + 1.0 - beta) * trend
                row[at_phi] += by_new * stay * trend
            if at_gamma[0] >= 0:
                row[at_gamma[0]] += target - s
            season[t % periods[0]] = gamma * target + (1.0 - gamma) * s
        else:
            for j in range(width):
                d_total[j] = 0.0
                d_base[j] = d_level[j] + phi * d_trend[j]
            if at_phi >= 0:
                d_base[at_phi] += trend
            for i in range(many):
                at = offsets[i] + t % periods[i]
                factor = total / season[at] if kind == 2 else 1.0
                for j in range(width):
                    d_total[j] += factor * d_season[at, j]
            for j in range(width):
                dx[j] = x_base * d_base[j] + x_total * d_total[j]
                dn = stay * d_base[j] + push * d_total[j]
                if j == at_alpha:
                    dn += clean - base
                d_trend[j] = beta * (dn - d_level[j]) + (1.0 - beta) * (d_base[j] - d_level[j])
                d_level[j] = dn
            for i in range(many):
                at = offsets[i] + t % periods[i]
                s, gamma = season[at], z[3 + i]
                if kind == 1:
                    target = y[t] - new - (total - s)
                    for j in range(width):
                        change = -d_level[j] - (d_total[j] - d_season[at, j])
                        d_season[at, j] = gamma * change + (1.0 - gamma) * d_season[at, j]
                elif new > 0.0 and s > 0.0:
                    target = y[t] * s / (new * total)
                    for j in range(width):
                        others = d_total[j] / total - d_season[at, j] / s
                        change = -target * (d_level[j] / new + others)
                        d_season[at, j] = gamma * change + (1.0 - gamma) * d_season[at, j]
                else:
                    target = s
                if at_gamma[i] >= 0:
                    d_season[at, at_gamma[i]] += target - s
                season[at] = gamma * target + (1.0 - gamma) * s
        if at_beta >= 0:
            d_trend[at_beta] += slope - phi * trend
        trend = beta * slope + keep * trend
        level = new
        used += 1
        if relative:
            if not x > 0.0:
                return math.inf
            r = (y[t] - x) / x
            logs += math.log(x)
            for j in range(width):
                slope_x = dx[j] / x
                mean_slope[j] += slope_x
                dx[j] = -(1.0 + r) * slope_x
        else:
            r = y[t] - x
            for j in range(width):
                dx[j] = -dx[j]
        cost += r * r
        for a in range(width):
            da = dx[a]
            gradient[a] += r * da
            for c in range(a + 1):
                matrix[a, c] += da * dx[c]
    if relative and used:
        cost = _scaled(cost, math.exp(2.0 * logs / used), used, gradient, matrix, mean_slope)
    return cost if math.isfinite(cost) else math.inf


@njit
def _scaled(cost, square, used, gradient, matrix, mean_slope):  # type: ignore[no-untyped-def]
    """Bring in the geometric mean of the forecasts: r_t becomes G r_t, d r_t becomes G (d r_t + r_t mean(d log x))."""
    width = len(gradient)
    for a in range(width):
        mean_slope[a] /= used
    for a in range(width):
        for c in range(a + 1):
            cross = gradient[a] * mean_slope[c] + gradient[c] * mean_slope[a] + cost * mean_slope[a] * mean_slope[c]
            matrix[a, c] = square * (matrix[a, c] + cross)
    for a in range(width):
        gradient[a] = square * (gradient[a] + cost * mean_slope[a])
    return square * cost
