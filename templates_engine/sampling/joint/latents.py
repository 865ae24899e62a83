"""One pass over the level 1 rows: draw latents and missing cells, and add them to the sums on the way.

Within a row, missing cells are integrated out while the latents of observed categories are drawn (one after another,
each from its truncated Normal; Normal cells known to lie between bounds likewise), and then drawn jointly given
everything else of the row. So a row with one categorical response gets an independent draw given the parameters and its
group's effect.
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint.arrays import (
    INTERVAL,
    MAXIMUM,
    NORMAL,
    Base,
    Dims,
    Floats,
    Patterns,
    Rows,
    RowSums,
    State,
)
from templates_engine.sampling.joint.linalg import cholesky, clear, copy_into, fill, invert_lower
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
    generator: np.random.Generator,
    dims: Dims,
    rows: Rows,
    patterns: Patterns,
    state: State,
    sums: RowSums,
    moved: int,
) -> None:
    """Draw every latent and missing cell; leave products, by_row, by_group (drawn part only), low and high in sums.

    low and high are found for the units of classification `moved` (0 .. N - 1). One function over 80 lines, because a
    part taken out of this loop would count references to its arrays for every row, which costs more than the draws.
    """
    # names for the arrays used inside the loops: taking them out of their tuples there would cost a count of references
    u, shift, tau = state.u, state.shift, state.tau
    fitted, products, by_row, by_group, lows, highs = (
        sums.fitted, sums.products, sums.by_row, sums.by_group, sums.low, sums.high,
    )  # fmt: skip
    Y, code, pattern, xrow, start, unit = rows.y, rows.code, rows.pattern, rows.xrow, rows.start, rows.unit
    lowest, highest = rows.low, rows.high
    order, coef, sds = patterns.order, patterns.coef, patterns.sd
    kind, block, width, some, seen = dims.kind, dims.block, dims.width, patterns.normals, patterns.observed
    p = state.omega1.shape[0]
    further = unit.shape[1]
    r = np.empty(p)  # residuals, by position
    y = np.empty(p)  # values, by position
    level = np.empty(p)  # fixed part plus effects, by position
    up = np.empty(p)  # effects, by dimension
    old = np.empty(p)  # the same as the stored y has them
    up_i = up
    old_i = old
    if further > 0:
        up_i = np.empty(p)
        old_i = np.empty(p)
    clear(products)
    clear(by_row)
    clear(by_group)
    fill(lows, -np.inf)
    fill(highs, np.inf)
    for j in range(start.size - 1):
        for d in range(p):
            up[d] = u[j, d]
            old[d] = u[j, d] - shift[j, d]
        for i in range(start[j], start[j + 1]):
            q = pattern[i]
            x = xrow[i]
            normals = some[q]
            observed = seen[q]
            if further > 0:
                for d in range(p):
                    up_i[d] = up[d]
                    old_i[d] = old[d]
                for h in range(further):
                    m = unit[i, h]
                    for d in range(p):
                        up_i[d] += u[m, d]
                        old_i[d] += u[m, d] - shift[m, d]
            for t in range(observed):
                d = order[q, t]
                fixed = fitted[x, d]
                y[t] = Y[i, d]
                r[t] = y[t] - fixed - old_i[d]
                level[t] = fixed + up_i[d]
                if t >= normals:
                    y[t] = r[t] + level[t]
            g = j if moved == 0 else unit[i, moved - 1]
            for t in range(normals, observed):
                d = order[q, t]
                mean = 0.0
                for k in range(observed):
                    mean += coef[q, t, k] * r[k]
                if kind[d] == INTERVAL:
                    low = tau[d, code[i, d]]
                    high = tau[d, code[i, d] + 1]
                elif kind[d] == NORMAL:
                    low = lowest[i, d]
                    high = highest[i, d]
                else:
                    at = t - (d - block[d])
                    low, high = maximum_bounds(code[i, d], d - block[d], width[d], y, at)
                sd = sds[q, t]
                centre = level[t] + mean
                r[t] = mean + sd * normal_between(generator, (low - centre) / sd, (high - centre) / sd)
                y[t] = r[t] + level[t]
                if kind[d] == INTERVAL:
                    lows[g, d] = max(lows[g, d], low - y[t])
                    highs[g, d] = min(highs[g, d], high - y[t])
            for t in range(observed, p):
                d = order[q, t]
                mean = 0.0
                for k in range(t):
                    mean += coef[q, t, k] * r[k]
                r[t] = mean + sds[q, t] * generator.standard_normal()
                y[t] = r[t] + fitted[x, d] + up_i[d]
            for t in range(normals, p):
                d = order[q, t]
                Y[i, d] = y[t]
                by_group[j, d] += y[t]
                by_row[x, d] += y[t]
                for k in range(t + 1):
                    products[d, order[q, k]] += y[t] * y[k]
            for h in range(further):
                for t in range(normals, p):
                    by_group[unit[i, h], order[q, t]] += y[t]
            for t in range(normals, observed):
                d = order[q, t]
                if kind[d] == MAXIMUM:  # bounds given the final values of the row's other latents
                    at = t - (d - block[d])
                    low, high = maximum_bounds(code[i, d], d - block[d], width[d], y, at)
                    lows[g, d] = max(lows[g, d], low - y[t])
                    highs[g, d] = min(highs[g, d], high - y[t])
    clear(shift)


@njit
def finish_sums(rows: Rows, base: Base, sums: RowSums) -> None:
    """Join what the pass drew with the sums over observed Normal cells, and sum predictor times response."""
    base_products, base_design, base_group = base.products, base.by_design, base.by_group
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
