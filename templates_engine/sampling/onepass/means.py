"""Missing values of level 1 whose group mean is in the model of interest: one value moves all rows of its group.

With n rows in the group, s the slope of the row's predictor in its own x and b the coefficient of the mean, a Normal
response gives an exact Normal draw with precision [(s + b / n)² + (n - 1) (b / n)²] / σ² + 1 / v. All that it needs
of the other rows are the group's cross-products. Where the predictor is not linear in the value, or the response
is not Normal: slice sampling over the likelihood of all the group's rows. (Computing the mean anew after a draw that
knows of its own row alone would not be a valid sampler.)
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import NORMAL
from templates_engine.sampling.onepass.arrays import Cells, Floats, Interest, Means, Outcome, Rest, Terms, Work
from templates_engine.sampling.onepass.products import group_line, heights, product
from templates_engine.sampling.onepass.responses import GAUSSIAN, misfit
from templates_engine.sampling.onepass.scales import PLAIN, measured
from templates_engine.sampling.onepass.single import MOST_STEPS, draw_category


@njit
def refresh_means(means: Means, cells: Cells, outcome: Outcome) -> None:
    """cells.value2 has the group means of the present values."""
    R2 = cells.dim2.size
    for m in range(means.of.size):
        for g in range(means.size.size):
            cells.value2[g, R2 + m] = means.still[g, m]
        for i in range(outcome.group.size):
            cells.value2[outcome.group[i], R2 + m] += cells.value[i, means.of[m]]
        for g in range(means.size.size):
            cells.value2[g, R2 + m] /= means.size[g]


@njit
def count_row(terms: Terms, cells: Cells, outcome: Outcome, i: int, sign: float, shape: Floats) -> None:
    """Add row i to its group's cross-products (lower triangle), or take it off. shape (H + 1,): work."""
    H = outcome.column.shape[1]
    cross = outcome.cross[outcome.group[i]]
    for h in range(H):
        shape[h] = product(terms.form, h, cells.value, i, outcome.column[i, h])
    shape[H] = outcome.y[i]
    for a in range(H + 1):
        for b in range(a + 1):
            cross[a, b] += sign * shape[a] * shape[b]


@njit
def others_loss(outcome: Outcome, rest: Rest, family: int, spread: float, i: int, g: int, line: Floats) -> float:
    """The misfit of the group's rows but row i, where `line` (H,) multiplies the shapes.

    With a Normal response from cross-products, of which row i has been taken off.
    """
    H = line.size
    if family == GAUSSIAN:
        cross = outcome.cross[g]
        total = cross[H, H]
        for a in range(H):
            s = cross[a, a] * line[a] - 2.0 * cross[H, a]
            for b in range(a):
                s += 2.0 * cross[a, b] * line[b]
            total += line[a] * s
        return 0.5 * max(total, 0.0) / spread
    total = 0.0
    for k in range(rest.start[g], rest.start[g + 1]):
        if k == rest.place[i]:
            continue
        eta = rest.offset[k]
        for h in range(H):
            eta += line[h] * rest.shape[k, h]
        total += misfit(family, rest.y[k], rest.trials[k], rest.best[k], eta, spread)
    return total


@njit
def loss_of(
    terms: Terms, cells: Cells, outcome: Outcome, rest: Rest, interest: Interest, means: Means, family: int,
    spread: float, pull: Floats, i: int, ri: int, x: float, height: Floats, line: Floats,
) -> float:  # fmt: skip
    """The loss of the whole group where the value is x, which is put there with the group's mean and `line`."""
    g, at = outcome.group[i], cells.dim2.size + means.at[ri]
    cells.value2[g, at] += (x - cells.value[i, ri]) / means.size[g]
    cells.value[i, ri] = x
    heights(terms.form2, cells.value2, g, height)
    group_line(terms, interest, height, g, line)
    total = 0.5 * ((pull[0] * x - 2.0 * pull[1]) * x + pull[2])
    total += others_loss(outcome, rest, family, spread, i, g, line)
    if outcome.seen[i] == 1:
        eta = outcome.offset[i]
        for h in range(line.size):
            eta += product(terms.form, h, cells.value, i, line[h] * outcome.column[i, h])
        total += misfit(family, outcome.y[i], outcome.trials[i], outcome.best[i], eta, spread)
    return total


@njit
def draw_with_mean(
    generator: np.random.Generator, kind: int, tau: Floats, d: int, categories: int, mean: float, sd: float, z: float,
    terms: Terms, cells: Cells, outcome: Outcome, rest: Rest, interest: Interest, means: Means, family: int,
    spread: float, pull: Floats, i: int, ri: int, by: Floats, work: Work, height: Floats,
) -> float:  # fmt: skip
    """Draw a missing value, its latent now z with the law N(mean, sd²) from the covariate model; the latent of a
    measurement, or the category. Leaves value, mean and the group's line of `by` behind."""
    line = by[outcome.group[i]]
    if kind != NORMAL:
        for c in range(categories):
            x = 1.0 * (c + cells.origin[ri])
            work.loss[c] = loss_of(
                terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, x, height, line
            )
        z = 1.0 * draw_category(generator, tau, d, categories, mean, sd, work.loss)
        x = z + cells.origin[ri]
    elif cells.law[ri] == PLAIN and family == GAUSSIAN and means.straight[ri] == 1:
        # the loss is a parabola: three points give it, at distances of the prior's own sd
        low = loss_of(
            terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, mean - sd, height, line
        )
        middle = loss_of(terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, mean, height, line)
        high = loss_of(
            terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, mean + sd, height, line
        )
        slope = 0.5 * (high - low)
        precision = 1.0 + max(high - 2.0 * middle + low, 0.0)  # in units of 1 / sd²
        z = mean + sd * (generator.standard_normal() / math.sqrt(precision) - slope / precision)
        x = z
    else:
        law, least, most = cells.law[ri], cells.bounds[ri, 0], cells.bounds[ri, 1]
        x = measured(law, least, most, z)
        loss = loss_of(terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, x, height, line)
        level = -0.5 * ((z - mean) / sd) ** 2 - loss - generator.standard_exponential()
        half = sd * math.sqrt(-2.0 * level)
        low, high = mean - half, mean + half
        if not level > -np.inf:  # a state that cannot be: any other is better
            low, high, z = mean, mean, mean + sd * generator.standard_normal()
        for _ in range(MOST_STEPS if high > low else 0):
            new = low + (high - low) * generator.random()
            x = measured(law, least, most, new)
            loss = loss_of(terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, x, height, line)
            if -0.5 * ((new - mean) / sd) ** 2 - loss > level:
                z = new
                break
            if new < z:
                low = new
            else:
                high = new
        x = measured(law, least, most, z)
    loss_of(terms, cells, outcome, rest, interest, means, family, spread, pull, i, ri, x, height, line)
    return z
