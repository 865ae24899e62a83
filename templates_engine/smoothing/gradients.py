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

from templates_engine.sampling import njit


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

    y (n,), gradient (p,), matrix (p, p). The cost is infinite where the recursion leaves the
    numbers, where a multiplicative season loses its sign or, with relative errors, where a forecast is not positive.
    """
    width = len(columns)
    for a in range(width):
        gradient[a] = 0.0
        for c in range(width):
            matrix[a, c] = 0.0
    mean_slope = np.zeros(width)
    if len(periods) > 1:
        cost, logs, used = several(
            y, first, z, constants, periods, offsets, kind, relative, columns, gradient, matrix, mean_slope
        )
    elif not relative and (width == 0 or columns[width - 1] < constants):
        cost, logs, used = constants_alone(y, first, z, constants, periods, kind, columns, gradient, matrix)
    else:
        cost, logs, used = one_season(
            y, first, z, constants, periods, kind, relative, columns, gradient, matrix, mean_slope
        )
    if relative and used and cost < math.inf:
        cost = _scaled(cost, math.exp(2.0 * logs / used), used, gradient, matrix, mean_slope)
    return cost if math.isfinite(cost) else math.inf


@njit
def constants_alone(y, first, z, constants, periods, kind, columns, gradient, matrix):  # type: ignore[no-untyped-def]
    """Absolute errors, at most one season, start states given: alpha, beta, phi and gamma written out one by one.

    a, b, p, g name the derivatives with respect to the four; those of the season lie in `slopes` (m, 4).
    """
    many = len(periods)
    m = periods[0] if many else 1
    gamma = z[3] if many else 0.0
    season = z[constants + 2 :].copy() if many else np.zeros(1)
    slopes = np.zeros((m, 4))
    alpha, beta, phi = z[0], z[1], z[2]
    level, trend = z[constants], z[constants + 1]
    stay, keep, rest = 1.0 - alpha, (1.0 - beta) * phi, 1.0 - gamma
    la, lb, lp, lg = 0.0, 0.0, 0.0, 0.0
    ta, tb, tp, tg = 0.0, 0.0, 0.0, 0.0
    ga, gb, gp, gg = 0.0, 0.0, 0.0, 0.0
    aa, ab, ap, ag, bb, bp, bg, pp, pg, hh = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    cost, used, now = 0.0, 0, first % m
    for t in range(first, len(y)):
        base = level + phi * trend
        ba, bbb, bpp, bgg = la + phi * ta, lb + phi * tb, lp + phi * tp + trend, lg + phi * tg
        if math.isnan(y[t]):
            la, lb, lp, lg = ba, bbb, bpp, bgg
            ta, tb, tp, tg = phi * ta, phi * tb, phi * tp + trend, phi * tg
            level = base
            trend = phi * trend
            now = now + 1 if now + 1 < m else 0
            continue
        s = season[now]
        sa, sb, sp, sg = slopes[now, 0], slopes[now, 1], slopes[now, 2], slopes[now, 3]
        if kind == 2:
            if not s > 0.0:
                return math.inf, 0.0, 0
            clean = y[t] / s
            r = y[t] - base * s
            ea, eb, ep, eg = s * ba + base * sa, s * bbb + base * sb, s * bpp + base * sp, s * bgg + base * sg
            push = -alpha * clean / s
        else:
            clean = y[t] - s
            r = clean - base
            ea, eb, ep, eg = ba + sa, bbb + sb, bpp + sp, bgg + sg
            push = -alpha
        new = alpha * clean + stay * base
        na = stay * ba + push * sa + clean - base
        nb = stay * bbb + push * sb
        np_ = stay * bpp + push * sp
        ng = stay * bgg + push * sg
        ta = beta * (na - la) + keep * ta
        tb = beta * (nb - lb) + keep * tb + (new - level - phi * trend)
        tp = beta * (np_ - lp) + keep * tp + (1.0 - beta) * trend
        tg = beta * (ng - lg) + keep * tg
        la, lb, lp, lg = na, nb, np_, ng
        trend = beta * (new - level) + keep * trend
        level = new
        if many:
            if kind != 2:
                target = y[t] - new
                by_new = -gamma
            else:
                target = y[t] / new if new > 0.0 else s
                by_new = -gamma * target / new if new > 0.0 else 0.0
            left = rest if kind != 2 or new > 0.0 else 1.0
            slopes[now, 0] = by_new * na + left * sa
            slopes[now, 1] = by_new * nb + left * sb
            slopes[now, 2] = by_new * np_ + left * sp
            slopes[now, 3] = by_new * ng + left * sg + (target - s)
            season[now] = gamma * target + rest * s
        now = now + 1 if now + 1 < m else 0
        used += 1
        cost += r * r
        ga, gb, gp, gg = ga - r * ea, gb - r * eb, gp - r * ep, gg - r * eg
        aa, ab, ap, ag = aa + ea * ea, ab + ea * eb, ap + ea * ep, ag + ea * eg
        bb, bp, bg = bb + eb * eb, bp + eb * ep, bg + eb * eg
        pp, pg, hh = pp + ep * ep, pg + ep * eg, hh + eg * eg
    whole = ((aa, ab, ap, ag), (ab, bb, bp, bg), (ap, bp, pp, pg), (ag, bg, pg, hh))
    slope = (ga, gb, gp, gg)
    for a in range(len(columns)):
        gradient[a] = slope[columns[a]]
        for c in range(len(columns)):
            matrix[a, c] = whole[columns[a]][columns[c]]
    return cost, 0.0, used


@njit
def add_products(changes, matrix):  # type: ignore[no-untyped-def]
    """Add C'C of four rows (4, p) to the matrix, which is loaded and stored once for the four."""
    width = len(matrix)
    one, two, three, four = changes[0], changes[1], changes[2], changes[3]
    for a in range(width):
        row = matrix[a]
        a1, a2, a3, a4 = one[a], two[a], three[a], four[a]
        for c in range(width):  # both triangles: loops of one length are done several numbers at a time
            row[c] += (a1 * one[c] + a2 * two[c]) + (a3 * three[c] + a4 * four[c])


@njit
def one_season(y, first, z, constants, periods, kind, relative, columns, gradient, matrix, mean_slope):  # type: ignore[no-untyped-def]
    """Any free entries, at most one season. Sums over rows are left in the arrays; returns cost, sum of log x, rows."""
    width, many = len(columns), len(periods)
    m = periods[0] if many else 1
    gamma = z[3] if many else 0.0
    season = z[constants + 2 :].copy() if many else np.zeros(1)
    d_season = np.zeros((m, width))
    d_level, d_trend, dx = np.zeros(width), np.zeros(width), np.zeros(width)
    changes = np.empty((4, width))
    start_derivatives(columns, constants, periods, np.zeros(many, np.int64), d_level, d_trend, d_season)
    at_alpha, at_beta, at_phi, at_gamma = -1, -1, -1, -1
    for j in range(width):
        if columns[j] == 0:
            at_alpha = j
        elif columns[j] == 1:
            at_beta = j
        elif columns[j] == 2:
            at_phi = j
        elif columns[j] == 3 and many:
            at_gamma = j
    alpha, beta, phi = z[0], z[1], z[2]
    level, trend = z[constants], z[constants + 1]
    stay, keep = 1.0 - alpha, (1.0 - beta) * phi
    cost, logs, used, now = 0.0, 0.0, 0, first % m
    for t in range(first, len(y)):
        base = level + phi * trend
        if math.isnan(y[t]):
            for j in range(width):
                d_level[j] += phi * d_trend[j]
                d_trend[j] *= phi
            if at_phi >= 0:
                d_level[at_phi] += trend
                d_trend[at_phi] += trend
            level = base
            trend = phi * trend
            now = now + 1 if now + 1 < m else 0
            continue
        s = season[now]
        # coefficients of d base and d s in d x, and of d s in d new
        if kind == 2:
            if not s > 0.0:
                return math.inf, 0.0, 0
            x, clean = base * s, y[t] / s
            x_base, x_season, push = s, base, -alpha * clean / s
        else:
            x, clean = base + s, y[t] - s
            x_base, x_season, push = 1.0, 1.0, -alpha
        new = alpha * clean + stay * base
        target, by_new, left = y[t] - new, -gamma, 1.0 - gamma
        if kind == 2:
            target = y[t] / new if new > 0.0 else s
            by_new = -gamma * target / new if new > 0.0 else 0.0
            left = left if new > 0.0 else 1.0
        for j in range(width):
            ds = d_season[now, j]
            db = d_level[j] + phi * d_trend[j]
            dn = stay * db + push * ds
            dx[j] = x_base * db + x_season * ds
            d_trend[j] = beta * (dn - d_level[j]) + keep * d_trend[j]
            d_level[j] = dn
            d_season[now, j] = by_new * dn + left * ds
        if at_alpha >= 0:
            d_level[at_alpha] += clean - base
            d_trend[at_alpha] += beta * (clean - base)
            d_season[now, at_alpha] += by_new * (clean - base)
        if at_beta >= 0:
            d_trend[at_beta] += new - level - phi * trend
        if at_phi >= 0:
            dx[at_phi] += x_base * trend
            d_level[at_phi] += stay * trend
            d_trend[at_phi] += (beta * stay + 1.0 - beta) * trend
            d_season[now, at_phi] += by_new * stay * trend
        if at_gamma >= 0:
            d_season[now, at_gamma] += target - s
        if many:
            season[now] = gamma * target + (1.0 - gamma) * s
        trend = beta * (new - level) + keep * trend
        level = new
        now = now + 1 if now + 1 < m else 0
        r = y[t] - x
        scale = -1.0
        if relative:
            if not x > 0.0:
                return math.inf, 0.0, 0
            r /= x
            logs += math.log(x)
            for j in range(width):
                mean_slope[j] += dx[j] / x
            scale = -(1.0 + r) / x
        cost += r * r
        row = changes[used % 4]
        for a in range(width):
            row[a] = scale * dx[a]
            gradient[a] += r * row[a]
        used += 1
        if used % 4 == 0:
            add_products(changes, matrix)
    changes[used % 4 :] = 0.0
    add_products(changes, matrix)
    return cost, logs, used


@njit
def several(y, first, z, constants, periods, offsets, kind, relative, columns, gradient, matrix, mean_slope):  # type: ignore[no-untyped-def]
    """As `one_season` for several periods at once."""
    width, many = len(columns), len(periods)
    season = z[constants + 2 :].copy()
    d_season = np.zeros((len(season), width))
    d_level, d_trend, dx = np.zeros(width), np.zeros(width), np.zeros(width)
    changes = np.empty((4, width))
    d_base, d_total = np.zeros(width), np.zeros(width)
    start_derivatives(columns, constants, periods, offsets, d_level, d_trend, d_season)
    special = np.full(constants, -1)
    for j in range(width):
        if columns[j] < constants:
            special[columns[j]] = j
    now = offsets + first % periods
    alpha, beta, phi = z[0], z[1], z[2]
    level, trend = z[constants], z[constants + 1]
    cost, logs, used = 0.0, 0.0, 0
    for t in range(first, len(y)):
        base = level + phi * trend
        total = 1.0 if kind == 2 else 0.0
        for i in range(many):
            s = season[now[i]]
            total = total * s if kind == 2 else total + s
            if kind == 2 and not s > 0.0:
                return math.inf, 0.0, 0
        for j in range(width):
            d_total[j] = 0.0
            d_base[j] = d_level[j] + phi * d_trend[j]
        if special[2] >= 0:
            d_base[special[2]] += trend
        if math.isnan(y[t]):
            for j in range(width):
                d_trend[j] = d_base[j] - d_level[j]
                d_level[j] = d_base[j]
            level = base
            trend = phi * trend
            for i in range(many):
                now[i] = now[i] + 1 if now[i] + 1 < offsets[i] + periods[i] else offsets[i]
            continue
        for i in range(many):
            factor = total / season[now[i]] if kind == 2 else 1.0
            for j in range(width):
                d_total[j] += factor * d_season[now[i], j]
        clean = y[t] / total if kind == 2 else y[t] - total
        x = base * total if kind == 2 else base + total
        x_base, x_total = (total, base) if kind == 2 else (1.0, 1.0)
        push = -alpha * clean / total if kind == 2 else -alpha
        new = alpha * clean + (1.0 - alpha) * base
        for j in range(width):
            dx[j] = x_base * d_base[j] + x_total * d_total[j]
            dn = (1.0 - alpha) * d_base[j] + push * d_total[j]
            if j == special[0]:
                dn += clean - base
            d_trend[j] = beta * (dn - d_level[j]) + (1.0 - beta) * (d_base[j] - d_level[j])
            d_level[j] = dn
        if special[1] >= 0:
            d_trend[special[1]] += new - level - phi * trend
        for i in range(many):
            at = now[i]
            s, gamma = season[at], z[3 + i]
            target = y[t] - new - (total - s)
            if kind == 2:
                target = y[t] * s / (new * total) if new > 0.0 else s
            for j in range(width):
                change = -d_level[j] - (d_total[j] - d_season[at, j])
                if kind == 2:
                    change = -target * (d_level[j] / new + d_total[j] / total - d_season[at, j] / s)
                    if not new > 0.0:
                        change = d_season[at, j]
                d_season[at, j] = gamma * change + (1.0 - gamma) * d_season[at, j]
            if special[3 + i] >= 0:
                d_season[at, special[3 + i]] += target - s
            season[at] = gamma * target + (1.0 - gamma) * s
            now[i] = at + 1 if at + 1 < offsets[i] + periods[i] else offsets[i]
        trend = beta * (new - level) + (1.0 - beta) * phi * trend
        level = new
        r, scale = y[t] - x, -1.0
        if relative:
            if not x > 0.0:
                return math.inf, 0.0, 0
            r /= x
            logs += math.log(x)
            scale = -(1.0 + r) / x
            for j in range(width):
                mean_slope[j] += dx[j] / x
        cost += r * r
        row = changes[used % 4]
        for a in range(width):
            row[a] = scale * dx[a]
            gradient[a] += r * row[a]
        used += 1
        if used % 4 == 0:
            add_products(changes, matrix)
    changes[used % 4 :] = 0.0
    add_products(changes, matrix)
    return cost, logs, used


@njit
def _scaled(cost, square, used, gradient, matrix, mean_slope):  # type: ignore[no-untyped-def]
    """Bring in the geometric mean of the forecasts: r_t becomes G r_t, d r_t becomes G (d r_t + r_t mean(d log x))."""
    width = len(gradient)
    for a in range(width):
        mean_slope[a] /= used
    for a in range(width):
        for c in range(width):
            cross = gradient[a] * mean_slope[c] + gradient[c] * mean_slope[a] + cost * mean_slope[a] * mean_slope[c]
            matrix[a, c] = square * (matrix[a, c] + cross)
    for a in range(width):
        gradient[a] = square * (gradient[a] + cost * mean_slope[a])
    return square * cost
