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

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import INTERVAL, MAXIMUM, NORMAL, Dims, Rows, RowSums, State, maximum_bounds
from templates_engine.sampling.onepass.arrays import (
    Cells,
    Floats,
    Interest,
    Means,
    Outcome,
    Rest,
    Selected,
    Terms,
    Work,
)
from templates_engine.sampling.onepass.means import count_row, draw_with_mean
from templates_engine.sampling.onepass.products import polynomial, product
from templates_engine.sampling.onepass.responses import GAUSSIAN
from templates_engine.sampling.onepass.scales import PLAIN, measured
from templates_engine.sampling.onepass.selecting import pull_of
from templates_engine.sampling.onepass.single import (
    category_losses,
    draw_between,
    draw_category,
    draw_latent,
    draw_measurement,
    propose_category,
)
from templates_engine.sampling.truncated import normal_between


@njit
def draw_rows(
    generator: np.random.Generator, dims: Dims, rows: Rows, cells: Cells, terms: Terms, outcome: Outcome, rest: Rest,
    interest: Interest, means: Means, selected: Selected, family: int, spread: float, by: Floats, Q: Floats,
    state: State, sums: RowSums, work: Work,
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
    origins, laws, bounds, design = cells.origin, cells.law, cells.bounds, selected.design
    fit, units, trials, offsets, best = cells.fit, cells.scale, outcome.trials, outcome.offset, outcome.best
    form, used, degrees, categories = terms.form, terms.used, terms.degree, dims.categories
    loss, coefficients, whole, place = work.loss, work.coefficients, rest.shape, rest.place
    p = Q.shape[0]
    H = outcome.column.shape[1]
    r, y, level, sd = np.empty(p), np.empty(p), np.empty(p), np.empty(p)
    drawn = np.zeros(p, np.int64)
    shape = np.empty(H + 1)
    averaged, selecting, grouped = means.of.size > 0, selected.alpha.shape[0] > 0, means.at
    mark_off, first = averaged and family == GAUSSIAN, selected.first[0]
    height, pull = np.empty(terms.shape.size), np.zeros(3)
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
    if averaged:
        for i in range(group.size if mark_off else 0):
            if moves[i] == 1:
                count_row(terms, cells, outcome, i, 1.0, shape)
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
            if mark_off and moves[i] == 1:
                count_row(terms, cells, outcome, i, -1.0, shape)
            for ri in range(owner_dim.size):
                d = owner_dim[ri]
                missing = gap[i, ri] == 1
                for a in range(d, d + widths[d]):
                    drawn[a] = 1 if gap[i, ri] > 0 or kind[a] != NORMAL else 0
                g = group[i]
                tells = seen[i] == 1 and used[ri] == 1
                mean = 0.0
                if kind[d] != MAXIMUM:
                    for k in range(p):
                        if k != d:
                            mean -= Q[d, k] * r[k]
                    mean /= Q[d, d]
                if selecting and missing:
                    pull_of(selected, i, ri, pull)
                if gap[i, ri] == 2:
                    origin = fit[i, ri] + units[ri] * level[d]
                    middle = origin + units[ri] * mean
                    z = draw_between(generator, laws[ri], value[i, ri], middle, units[ri] * sd[d])
                    r[d] = (z - origin) / units[ri]
                elif missing and averaged and grouped[ri] >= 0:
                    origin, unit = level[d], 1.0
                    if kind[d] == NORMAL:
                        unit = units[ri]
                        origin = fit[i, ri] + unit * level[d]
                    z = draw_with_mean(
                        generator, kind[d], tau, d, categories[d], origin + unit * mean, unit * sd[d],
                        origin + unit * r[d], terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri,
                        by, work, height,
                    )  # fmt: skip
                    if kind[d] == NORMAL:
                        r[d] = (z - origin) / unit
                    else:
                        c = int(z)
                        code[i, d] = c
                        low = (tau[d, c] - origin - mean) / sd[d]
                        high = (tau[d, c + 1] - origin - mean) / sd[d]
                        r[d] = mean + sd[d] * normal_between(generator, low, high)
                elif missing and kind[d] == NORMAL:
                    degree = degrees[ri] if tells else 0
                    unit = units[ri]
                    origin = fit[i, ri] + unit * level[d]  # of the measurement, where its residual is 0
                    if degree > 0:
                        polynomial(form, column, value, by, i, g, ri, coefficients)
                        coefficients[0] += offsets[i]
                    middle = origin + unit * mean
                    spreads = unit * unit * sd[d] * sd[d]
                    if laws[ri] != PLAIN:
                        if degree == 0 and not selecting:
                            z = middle + math.sqrt(spreads) * generator.standard_normal()
                        else:
                            z = draw_latent(
                                generator, origin + unit * r[d], middle, spreads, laws[ri], bounds[ri, 0],
                                bounds[ri, 1], pull, coefficients, degree, family, response[i], trials[i], best[i],
                                spread,
                            )  # fmt: skip
                        value[i, ri] = measured(laws[ri], bounds[ri, 0], bounds[ri, 1], z)
                        r[d] = (z - origin) / unit
                        if selecting:
                            design[selected.row[i], first + ri] = value[i, ri]
                        continue
                    if selecting:  # Normal in the value, as the covariate model is
                        middle = (middle / spreads + pull[1]) / (1.0 / spreads + pull[0])
                        spreads = 1.0 / (1.0 / spreads + pull[0])
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
                            g, ri, categories[d], origins[ri], loss,
                        )  # fmt: skip
                    if selecting:
                        for c in range(categories[d]):
                            z = 1.0 * (c + origins[ri])
                            loss[c] += 0.5 * ((pull[0] * z - 2.0 * pull[1]) * z + pull[2])
                    if kind[d] == MAXIMUM:
                        propose_category(generator, Q, r, level, d, widths[d], cells, i, ri, work)
                    else:
                        c = draw_category(generator, tau, d, categories[d], level[d] + mean, sd[d], loss)
                        value[i, ri] = c + origins[ri]
                        low = (tau[d, c] - level[d] - mean) / sd[d]
                        high = (tau[d, c + 1] - level[d] - mean) / sd[d]
                        r[d] = mean + sd[d] * normal_between(generator, low, high)
                    for a in range(d, d + widths[d]):
                        code[i, a] = int(value[i, ri]) - origins[ri]
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
                if selecting and missing:
                    design[selected.row[i], first + ri] = value[i, ri]
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
