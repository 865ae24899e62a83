"""One pass over the level 1 rows: latents and missing cells, each from its conditional, and the sums on the way.

A missing cell x_m of row i has, given the row's other covariates, a Normal (or, for its latent, truncated Normal) law
from the covariate model, times p(y_i | x_i, β, u_j, σ²) of the model of interest:
- a measurement in which the predictor is linear, s x + c with s = b_m + Σ b_ml x_l + Σ u_jr: an exact Normal draw with
  precision s² / σ² + 1 / v, which differs from row to row;
- a measurement of higher power, or another response family: slice sampling (Neal, 2003, Annals of Statistics 31,
  705-767) from an interval that contains the whole slice, so that no mode is out of reach; where the predictor is a
  parabola a reflection at its vertex follows, which leaves the likelihood as it is;
- Binary and Ordered: every category's probability, the latent integrated out, then the latent given the category;
- Unordered: the latents from their conditional, accepted by Metropolis with the ratio of the model of interest.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint import (
    INTERVAL,
    MAXIMUM,
    NORMAL,
    Dims,
    Rows,
    RowSums,
    State,
    draw_canonical,
    interval_probability,
    maximum_bounds,
)
from templates_engine.sampling.onepass.arrays import Cells, Floats, Interest, Ints, Outcome, Rest, Terms, Work
from templates_engine.sampling.onepass.responses import GAUSSIAN, misfit
from templates_engine.sampling.truncated import normal_between


@njit_inlined
def factor_of(form: int, x: float) -> float:
    """What a variable with value x contributes to a product; see arrays.Terms."""
    if form == 0:
        return 1.0
    if form < 0:
        return 1.0 if x == -form - 1 else 0.0
    s = x
    for _ in range(form - 1):
        s *= x
    return s


@njit_inlined
def product(form: Floats, h: int, value: Floats, i: int, start: float) -> float:
    """start times the factors of line h of the forms, at line i of the values."""
    s = start
    for k in range(form.shape[1]):
        s *= factor_of(form[h, k], value[i, k])
    return s


@njit
def heights(form2: Ints, value2: Floats, j: int, out: Floats) -> None:
    """out (M,): the product of each term's factors of level 2 variables, in group j."""
    for m in range(form2.shape[0]):
        out[m] = product(form2, m, value2, j, 1.0) if form2.shape[1] > 0 else 1.0


@njit
def effective(terms: Terms, interest: Interest, height: Floats, out: Floats) -> None:
    """out (J, H): what multiplies each shape in each group, fixed and random part together."""
    for j in range(out.shape[0]):
        for h in range(out.shape[1]):
            out[j, h] = 0.0
        for k in range(terms.fixed.size):
            m = terms.fixed[k]
            out[j, terms.shape[m]] += interest.beta[k] * height[j, m]
        for r in range(terms.random.size):
            out[j, terms.shape[terms.random[r]]] += interest.u[j, r]


@njit_inlined
def polynomial(
    form: Ints, column: Floats, value: Floats, by: Floats, i: int, g: int, response: int, out: Floats
) -> None:
    """out: the predictor of row i as a polynomial in one measurement, constant first, the others as they are."""
    for k in range(out.size):
        out[k] = 0.0
    for h in range(form.shape[0]):
        s = by[g, h] * column[i, h]
        for k in range(form.shape[1]):
            if k != response:
                s *= factor_of(form[h, k], value[i, k])
        out[form[h, response]] += s


@njit_inlined
def predictor(form: Ints, column: Floats, value: Floats, by: Floats, i: int, g: int) -> float:
    """The linear predictor of row i in group g."""
    total = 0.0
    for h in range(form.shape[0]):
        total += product(form, h, value, i, by[g, h] * column[i, h])
    return total


@njit_inlined
def horner(coefficients: Floats, x: float) -> float:
    s = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        s = s * x + coefficients[k]
    return s


@njit
def draw_measurement(
    generator: np.random.Generator, x: float, mean: float, variance: float, coefficients: Floats, degree: int,
    family: int, y: float, trials: float, best: float, spread: float,
) -> float:  # fmt: skip
    """A missing measurement, now x: Normal (mean, variance) times the likelihood of y at the polynomial's value."""
    if degree == 0:
        return mean + math.sqrt(variance) * generator.standard_normal()
    if family == GAUSSIAN and degree == 1:
        slope = coefficients[1]
        precision = slope * slope / spread + 1.0 / variance
        centre = (slope * (y - coefficients[0]) / spread + mean / variance) / precision
        return centre + generator.standard_normal() / math.sqrt(precision)
    level = -0.5 * (x - mean) ** 2 / variance - misfit(family, y, trials, best, horner(coefficients, x), spread)
    level -= generator.standard_exponential()
    # the misfit is never negative: beyond these bounds the Normal alone is below the level
    half = math.sqrt(-2.0 * variance * level)
    low = mean - half
    high = mean + half
    while True:
        new = low + (high - low) * generator.random()
        value = -0.5 * (new - mean) ** 2 / variance - misfit(family, y, trials, best, horner(coefficients, new), spread)
        if value > level:
            x = new
            break
        if new < x:
            low = new
        else:
            high = new
        if not high - low > 1e-300:
            break
    if degree == 2 and coefficients[2] != 0.0:
        new = -coefficients[1] / coefficients[2] - x
        gain = 0.5 * ((x - mean) ** 2 - (new - mean) ** 2) / variance
        if gain > -generator.standard_exponential():
            x = new
    return x


@njit_inlined
def draw_category(
    generator: np.random.Generator, tau: Floats, d: int, categories: int, mean: float, sd: float, loss: Floats
) -> int:
    """A category: the latent N(mean, sd²) lies between its thresholds tau[d], times exp(-loss), which is spoilt."""
    least = np.inf
    for c in range(categories):
        least = min(least, loss[c])
    total = 0.0
    for c in range(categories):
        share = interval_probability((tau[d, c] - mean) / sd, (tau[d, c + 1] - mean) / sd)
        total += share * math.exp(least - loss[c])
        loss[c] = total
    at = generator.random() * total
    for c in range(categories):
        if at < loss[c]:
            return c
    return categories - 1


@njit
def category_of(values: Floats, at: int, width: int) -> int:
    """The category that the latents values[at .. at + width - 1] of an Unordered response stand for."""
    best = 0
    for k in range(1, width):
        if values[at + k] > values[at + best]:
            best = k
    return best if values[at + best] > 0.0 else width


@njit_inlined
def block_law(Q: Floats, residual: Floats, at: int, width: int, precision: Floats, linear: Floats) -> None:
    """The conditional law of residuals at .. at + width - 1 given the others, in canonical form."""
    for a in range(width):
        s = 0.0
        for k in range(Q.shape[0]):
            if k < at or k >= at + width:
                s -= Q[at + a, k] * residual[k]
        linear[a] = s
        for b in range(width):
            precision[a, b] = Q[at + a, at + b]


@njit_inlined
def category_losses(
    value: Floats, column: Floats, form: Ints, family: int, y: float, trials: float, offset: float, best: float,
    spread: float, by: Floats, i: int, g: int, ri: int, categories: int, loss: Floats,
) -> None:  # fmt: skip
    """loss (categories,): the misfit of the response at each category of a missing variable."""
    old = value[i, ri]
    for c in range(categories):
        value[i, ri] = c
        eta = predictor(form, column, value, by, i, g) + offset
        loss[c] = misfit(family, y, trials, best, eta, spread)
    value[i, ri] = old


@njit
def propose_category(
    generator: np.random.Generator, Q: Floats, r: Floats, level: Floats, d: int, width: int, cells: Cells, i: int,
    ri: int, work: Work,
) -> None:  # fmt: skip
    """The latents of a missing Unordered variable from their conditional, accepted by the ratio of work.loss."""
    block_law(Q, r, d, width, work.precision, work.linear)
    if not draw_canonical(generator, work.precision, work.linear, width, work.block):
        return
    for a in range(width):
        work.block[a] += level[d + a]
    c = category_of(work.block, 0, width)
    cells.tried[ri, 0] += 1
    if work.loss[int(cells.value[i, ri])] - work.loss[c] > -generator.standard_exponential():
        cells.tried[ri, 1] += 1
        cells.value[i, ri] = c
        for a in range(width):
            r[d + a] = work.block[a] - level[d + a]


@njit
def draw_rows(
    generator: np.random.Generator, dims: Dims, rows: Rows, cells: Cells, terms: Terms, outcome: Outcome, rest: Rest,
    family: int, spread: float, by: Floats, Q: Floats, state: State, sums: RowSums, work: Work,
) -> None:  # fmt: skip
    """Draw every latent and missing cell; leave the sums of joint.draw_rows behind, and outcome.cross or rest.shape.

    by (J, H): see `effective`. Q: inverse of the level 1 covariance matrix.
    """
    u, shift, tau, theta_fit = state.u, state.shift, state.tau, sums.fitted
    products, by_row, by_group, lows, highs = sums.products, sums.by_row, sums.by_group, sums.low, sums.high
    Y, code, xrow, start = rows.y, rows.code, rows.xrow, rows.start
    # names for the arrays used in the loops: taking them out of their tuples there costs a count of references
    kind, owner_dim, widths, blocks = dims.kind, cells.dim, dims.width, dims.block
    gap, moves, group, cross, base = cells.gap, outcome.moves, outcome.group, outcome.cross, outcome.base
    value, response, column, seen = cells.value, outcome.y, outcome.column, outcome.seen
    fit, units, trials, offsets, best = cells.fit, cells.scale, outcome.trials, outcome.offset, outcome.best
    form, used, degrees, categories = terms.form, terms.used, terms.degree, dims.categories
    loss, coefficients, whole, place = work.loss, work.coefficients, rest.shape, rest.place
    p = Q.shape[0]
    H = outcome.column.shape[1]
    r, y, level, sd = np.empty(p), np.empty(p), np.empty(p), np.empty(p)
    drawn = np.zeros(p, np.int64)
    shape = np.empty(H + 1)
    for d in range(p):
        sd[d] = 1.0 / math.sqrt(Q[d, d])
        for e in range(p):
            products[d, e] = 0.0
    for x in range(by_row.shape[0]):
        for d in range(p):
            by_row[x, d] = 0.0
    for g in range(cross.shape[0]):
        for a in range(H + 1):
            for b in range(a + 1):
                cross[g, a, b] = base[g, a, b]
    for j in range(start.size - 1):
        for d in range(p):
            by_group[j, d] = 0.0
            lows[j, d] = -np.inf
            highs[j, d] = np.inf
        for i in range(start[j], start[j + 1]):
            x = xrow[i]
            for d in range(p):
                level[d] = theta_fit[x, d] + u[j, d]
                r[d] = Y[i, d] + shift[j, d] - level[d]
            for ri in range(owner_dim.size):
                d = owner_dim[ri]
                missing = gap[i, ri] == 1
                for a in range(d, d + widths[d]):
                    drawn[a] = 1 if missing or kind[a] != NORMAL else 0
                g = group[i]
                tells = seen[i] == 1 and used[ri] == 1
                mean = 0.0
                if kind[d] != MAXIMUM:
                    for k in range(p):
                        if k != d:
                            mean -= Q[d, k] * r[k]
                    mean /= Q[d, d]
                if missing and kind[d] == NORMAL:
                    degree = degrees[ri] if tells else 0
                    unit = units[ri]
                    origin = fit[i, ri] + unit * level[d]  # of the measurement, where its residual is 0
                    if degree > 0:
                        polynomial(form, column, value, by, i, g, ri, coefficients)
                        coefficients[0] += offsets[i]
                    middle = origin + unit * mean
                    spreads = unit * unit * sd[d] * sd[d]
                    if degree == 0 or (degree == 1 and family == GAUSSIAN):
                        slope = coefficients[1] if degree == 1 else 0.0
                        precision = slope * slope / spread + 1.0 / spreads
                        middle += slope * (response[i] - coefficients[0] - slope * middle) / (spread * precision)
                        value[i, ri] = middle + generator.standard_normal() / math.sqrt(precision)
                    else:
                        value[i, ri] = draw_measurement(
                            generator, value[i, ri], middle, spreads, coefficients, degree, family, response[i],
                            trials[i], best[i], spread,
                        )  # fmt: skip
                    r[d] = (value[i, ri] - origin) / unit
                elif missing:
                    for c in range(categories[d]):
                        loss[c] = 0.0
                    if tells:
                        category_losses(
                            value, column, form, family, response[i], trials[i], offsets[i], best[i], spread, by, i,
                            g, ri, categories[d], loss,
                        )  # fmt: skip
                    if kind[d] == MAXIMUM:
                        propose_category(generator, Q, r, level, d, widths[d], cells, i, ri, work)
                    else:
                        c = draw_category(generator, tau, d, categories[d], level[d] + mean, sd[d], loss)
                        value[i, ri] = c
                        low = (tau[d, c] - level[d] - mean) / sd[d]
                        high = (tau[d, c + 1] - level[d] - mean) / sd[d]
                        r[d] = mean + sd[d] * normal_between(generator, low, high)
                    for a in range(d, d + widths[d]):
                        code[i, a] = int(value[i, ri])
                elif kind[d] == INTERVAL:
                    low = (tau[d, code[i, d]] - level[d] - mean) / sd[d]
                    high = (tau[d, code[i, d] + 1] - level[d] - mean) / sd[d]
                    r[d] = mean + sd[d] * normal_between(generator, low, high)
                elif kind[d] == MAXIMUM:
                    width = widths[d]
                    for a in range(d, d + width):
                        y[a] = r[a] + level[a]
                    for a in range(d, d + width):
                        mean = level[a]
                        for k in range(p):
                            if k != a:
                                mean -= Q[a, k] * r[k] / Q[a, a]
                        low, high = maximum_bounds(code[i, a], a - d, width, y, d)
                        y[a] = mean + sd[a] * normal_between(generator, (low - mean) / sd[a], (high - mean) / sd[a])
                        r[a] = y[a] - level[a]
            for d in range(p):
                y[d] = r[d] + level[d]
            for d in range(p):
                if drawn[d] == 0:
                    continue
                Y[i, d] = y[d]
                by_group[j, d] += y[d]
                by_row[x, d] += y[d]
                for e in range(p):
                    if e <= d or drawn[e] == 0:
                        products[d, e] += y[d] * y[e]
                if kind[d] == NORMAL:
                    continue
                if kind[d] == INTERVAL:
                    low = tau[d, code[i, d]]
                    high = tau[d, code[i, d] + 1]
                else:
                    low, high = maximum_bounds(code[i, d], d - blocks[d], widths[d], y, blocks[d])
                lows[j, d] = max(lows[j, d], low - y[d])
                highs[j, d] = min(highs[j, d], high - y[d])
            if moves[i] == 1:
                g = group[i]
                for h in range(H):
                    shape[h] = product(form, h, value, i, column[i, h])
                shape[H] = response[i]
                if family != GAUSSIAN:
                    for h in range(H):
                        whole[place[i], h] = shape[h]
                    continue
                for a in range(H + 1):
                    for b in range(a + 1):
                        cross[g, a, b] += shape[a] * shape[b]
        for d in range(p):
            shift[j, d] = 0.0
    for g in range(cross.shape[0]):
        for a in range(H + 1):
            for b in range(a):
                cross[g, b, a] = cross[g, a, b]
