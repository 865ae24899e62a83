"""The draw of one missing value of level 1, given all else, and the losses that it needs."""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.joint import draw_canonical, interval_probability
from templates_engine.sampling.onepass.arrays import Cells, Floats, Ints, Work
from templates_engine.sampling.onepass.products import horner, predictor
from templates_engine.sampling.onepass.responses import GAUSSIAN, misfit
from templates_engine.sampling.onepass.scales import measured
from templates_engine.sampling.truncated import normal_between

MOST_STEPS = 200  # of a slice: by then the interval is the present value


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
def latent_density(
    z: float, mean: float, variance: float, law: int, low: float, high: float, pull: Floats, coefficients: Floats,
    degree: int, family: int, y: float, trials: float, best: float, spread: float,
) -> float:  # fmt: skip
    """Log density of a latent, less a constant, never above 0."""
    x = measured(law, low, high, z)
    loss = 0.5 * ((pull[0] * x - 2.0 * pull[1]) * x + pull[2])
    if degree > 0:
        loss += misfit(family, y, trials, best, horner(coefficients, x), spread)
    return -0.5 * (z - mean) ** 2 / variance - loss


@njit
def draw_latent(
    generator: np.random.Generator, z: float, mean: float, variance: float, law: int, low: float, high: float,
    pull: Floats, coefficients: Floats, degree: int, family: int, y: float, trials: float, best: float, spread: float,
) -> float:  # fmt: skip
    """The latent of a missing measurement that is not Normal itself, now z: a slice, as in draw_measurement.

    pull (3,): a selection model's part of the loss, (a x² - 2 b x + c) / 2 at the measurement x, never negative.
    """
    at = z
    level = latent_density(
        at, mean, variance, law, low, high, pull, coefficients, degree, family, y, trials, best, spread
    )
    level -= generator.standard_exponential()
    if not level > -np.inf:  # a state that cannot be: any other is better
        return mean + math.sqrt(variance) * generator.standard_normal()
    half = math.sqrt(-2.0 * variance * level)
    left, right = mean - half, mean + half
    for _ in range(MOST_STEPS):
        new = left + (right - left) * generator.random()
        value = latent_density(
            new, mean, variance, law, low, high, pull, coefficients, degree, family, y, trials, best, spread
        )
        if value > level:
            return new
        if new < at:
            left = new
        else:
            right = new
    return at


@njit
def draw_between(generator: np.random.Generator, law: int, x: float, mean: float, sd: float) -> float:
    """The latent of an observed count, which lies in the count's interval."""
    low = math.log(x) if x > 0.0 else -np.inf
    return mean + sd * normal_between(generator, (low - mean) / sd, (math.log(x + 1.0) - mean) / sd)


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
    spread: float, by: Floats, i: int, g: int, ri: int, categories: int, origin: int, loss: Floats,
) -> None:  # fmt: skip
    """loss (categories,): the misfit of the response at each category of a missing variable."""
    old = value[i, ri]
    for c in range(categories):
        value[i, ri] = c + origin
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
    if work.loss[int(cells.value[i, ri]) - cells.origin[ri]] - work.loss[c] > -generator.standard_exponential():
        cells.tried[ri, 1] += 1
        cells.value[i, ri] = c + cells.origin[ri]
        for a in range(width):
            r[d + a] = work.block[a] - level[d + a]
