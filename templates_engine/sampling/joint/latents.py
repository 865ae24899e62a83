"""One pass over the level 1 rows: draw latents and missing cells, and add them to the sums on the way.

Within a row, missing cells are integrated out while the latents of observed categories are drawn (one after another,
each from its truncated Normal), and then drawn jointly given everything else of the row. So a row with one categorical
response gets an independent draw given the parameters and its group's effect.
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint.arrays import INTERVAL, Dims, Floats, Patterns, Rows, State, Sums
from templates_engine.sampling.joint.linalg import cholesky, clear, copy_into, invert_lower
from templates_engine.sampling.truncated import normal_between


@njit
def pattern_regressions(patterns: Patterns, omega: Floats) -> bool:
    """Regressions of each drawn position on the positions it is drawn given. False if omega is not positive.

    Observed categorical t: on all other observed positions, from the inverse of their covariance block.
    Missing t: on all positions before it, from the Cholesky factor (so the missing ones come out as one joint draw).
    """
    p = omega.shape[0]
    L = np.empty((p, p))
    M = np.empty((p, p))
    for q in range(patterns.order.shape[0]):
        order = patterns.order[q]
        for i in range(p):
            for j in range(i + 1):
                L[i, j] = omega[order[i], order[j]]
        if not cholesky(L, p):
            return False
        invert_lower(L, p, M)
        observed = patterns.observed[q]
        for t in range(patterns.normals[q], observed):
            precision = 0.0
            for i in range(t, observed):
                precision += M[i, t] * M[i, t]
            for k in range(observed):
                s = 0.0
                for i in range(max(t, k), observed):
                    s += M[i, t] * M[i, k]
                patterns.coef[q, t, k] = -s / precision
            patterns.coef[q, t, t] = 0.0
            patterns.sd[q, t] = 1.0 / np.sqrt(precision)
        for t in range(observed, p):
            for k in range(t):
                patterns.coef[q, t, k] = -M[t, k] / M[t, t]
            patterns.sd[q, t] = L[t, t]
    return True


@njit
def fitted_values(dims: Dims, rows: Rows, theta: Floats, fitted: Floats) -> None:
    """fitted[x, d] = fixed part of dimension d at distinct predictor row x."""
    for x in range(rows.design.shape[0]):
        for d in range(fitted.shape[1]):
            s = 0.0
            for a in range(dims.terms[d]):
                s += rows.design[x, dims.first[d] + a] * theta[dims.offset[d] + a]
            fitted[x, d] = s


@njit_inlined
def maximum_bounds(category: int, member: int, width: int, values: Floats, at: int) -> tuple[float, float]:
    """Bounds of latent `member` of an Unordered response, the others being values[at .. at + width - 1].

    Category k < width: latent k is the largest and positive. The last category: all are negative.
    """
    if category == width:
        return -np.inf, 0.0
    if category == member:
        low = 0.0
        for b in range(width):
            if b != member:
                low = max(low, values[at + b])
        return low, np.inf
    return -np.inf, values[at + category]


@njit
def draw_rows(
    generator: np.random.Generator, dims: Dims, rows: Rows, patterns: Patterns, state: State, sums: Sums
) -> None:
    """Draw every latent and missing cell; leave products, by_row, by_group (drawn part only), low and high in sums."""
    # names for the arrays used inside the loops: taking them out of their tuples there would cost a count of references
    u, shift, tau = state.u, state.shift, state.tau
    fitted, products, by_row, by_group, lows, highs = (
        sums.fitted, sums.products, sums.by_row, sums.by_group, sums.low, sums.high,
    )  # fmt: skip
    Y, code, pattern, xrow, start = rows.y, rows.code, rows.pattern, rows.xrow, rows.start
    order, coef, sds = patterns.order, patterns.coef, patterns.sd
    kind, block, width = dims.kind, dims.block, dims.width
    p = state.omega1.shape[0]
    r = np.empty(p)  # residuals, by position
    y = np.empty(p)  # values, by position
    level = np.empty(p)  # fixed part plus group effect, by position
    old = np.empty(p)
    total = np.empty(p)
    clear(products)
    clear(by_row)
    for j in range(start.size - 1):
        for d in range(p):
            old[d] = u[j, d] - shift[j, d]
            total[d] = 0.0
            lows[j, d] = -np.inf
            highs[j, d] = np.inf
        for i in range(start[j], start[j + 1]):
            q = pattern[i]
            x = xrow[i]
            normals = patterns.normals[q]
            observed = patterns.observed[q]
            for t in range(observed):
                d = order[q, t]
                fixed = fitted[x, d]
                y[t] = Y[i, d]
                r[t] = y[t] - fixed - old[d]
                level[t] = fixed + u[j, d]
                if t >= normals:
                    y[t] = r[t] + level[t]
            for t in range(normals, observed):
                d = order[q, t]
                mean = 0.0
                for k in range(observed):
                    mean += coef[q, t, k] * r[k]
                if kind[d] == INTERVAL:
                    low = tau[d, code[i, d]]
                    high = tau[d, code[i, d] + 1]
                else:
                    at = t - (d - block[d])
                    low, high = maximum_bounds(code[i, d], d - block[d], width[d], y, at)
                sd = sds[q, t]
                centre = level[t] + mean
                r[t] = mean + sd * normal_between(generator, (low - centre) / sd, (high - centre) / sd)
                y[t] = r[t] + level[t]
                if kind[d] == INTERVAL:
                    lows[j, d] = max(lows[j, d], low - y[t])
                    highs[j, d] = min(highs[j, d], high - y[t])
            for t in range(observed, p):
                d = order[q, t]
                mean = 0.0
                for k in range(t):
                    mean += coef[q, t, k] * r[k]
                r[t] = mean + sds[q, t] * generator.standard_normal()
                y[t] = r[t] + fitted[x, d] + u[j, d]
            for t in range(normals, p):
                d = order[q, t]
                Y[i, d] = y[t]
                total[d] += y[t]
                by_row[x, d] += y[t]
                for k in range(t + 1):
                    products[d, order[q, k]] += y[t] * y[k]
            for t in range(normals, observed):
                d = order[q, t]
                if kind[d] != INTERVAL:  # bounds given the final values of the row's other latents
                    at = t - (d - block[d])
                    low, high = maximum_bounds(code[i, d], d - block[d], width[d], y, at)
                    lows[j, d] = max(lows[j, d], low - y[t])
                    highs[j, d] = min(highs[j, d], high - y[t])
        for d in range(p):
            by_group[j, d] = total[d]
            shift[j, d] = 0.0


@njit
def finish_sums(rows: Rows, base_products: Floats, base_design: Floats, base_group: Floats, sums: Sums) -> None:
    """Join what the pass drew with the sums over observed Normal cells, and sum predictor times response."""
    p = base_products.shape[0]
    for d in range(p):
        for e in range(d + 1):
            s = base_products[d, e] + sums.products[d, e]
            if d != e:
                s += sums.products[e, d]
            sums.products[d, e] = s
            sums.products[e, d] = s
    copy_into(sums.by_design, base_design)
    for x in range(rows.design.shape[0]):
        for a in range(base_design.shape[0]):
            for d in range(p):
                sums.by_design[a, d] += rows.design[x, a] * sums.by_row[x, d]
    for j in range(base_group.shape[0]):
        for d in range(p):
            sums.by_group[j, d] += base_group[j, d]
