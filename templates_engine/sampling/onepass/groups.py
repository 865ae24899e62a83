"""Level 2: incomplete variables of a group, drawn once for all its rows, and the covariates' group effects.

The covariate model's effects are integrated out of the draw of z_j as in sampling.joint. With a Normal response the
effects u_j of the model of interest are too: with S the random shapes of the group, P = S'S / σ² + Ω^-1 and r the
residuals without u_j,
    loss = r'r / (2 σ²) - r'S P^-1 S'r / (2 σ⁴)
all of it from the group's cross-products. Otherwise the coefficient of z_j and u_0j, which stand for the same thing in
the data of one group, would slow each other down. Other families: given u_j, over the group's rows.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import (
    INTERVAL,
    NORMAL,
    Class,
    Dims,
    Groups,
    State,
    draw_canonical,
    fixed_part,
    maximum_bounds,
)
from templates_engine.sampling.linalg import cholesky, inverse_spd, solve_lower
from templates_engine.sampling.onepass.arrays import Cells, Floats, Interest, Outcome, Rest, Terms, Work
from templates_engine.sampling.onepass.products import group_line, heights
from templates_engine.sampling.onepass.responses import GAUSSIAN, misfit
from templates_engine.sampling.onepass.scales import PLAIN, measured
from templates_engine.sampling.onepass.single import MOST_STEPS, category_of, draw_between, draw_category
from templates_engine.sampling.truncated import normal_between


@njit
def random_factor(terms: Terms, cross: Floats, inverse: Floats, sigma2: float, out: Floats) -> bool:
    """out = Cholesky factor of S'S / σ² + Ω^-1 of one group."""
    q = terms.random.size
    for a in range(q):
        for b in range(a + 1):
            s = cross[terms.shape[terms.random[a]], terms.shape[terms.random[b]]]
            out[a, b] = s / sigma2 + inverse[a, b]
    return cholesky(out, q)


@njit
def group_loss(
    terms: Terms, cross: Floats, factor: Floats, sigma2: float, beta: Floats, height: Floats, by: Floats, left: Floats
) -> float:
    """Half the quadratic form of the group's residuals without u_j. by (H,), left (q,): work."""
    H = by.size
    q = terms.random.size
    for h in range(H):
        by[h] = 0.0
    for k in range(terms.fixed.size):
        m = terms.fixed[k]
        by[terms.shape[m]] += beta[k] * height[m]
    total = cross[H, H]
    for a in range(H):
        s = -2.0 * cross[a, H]
        for b in range(H):
            s += cross[a, b] * by[b]
        total += by[a] * s
    for a in range(q):
        h = terms.shape[terms.random[a]]
        s = cross[h, H]
        for b in range(H):
            s -= cross[h, b] * by[b]
        left[a] = s
    solve_lower(factor, left, q)
    total /= 2.0 * sigma2
    for a in range(q):
        total -= 0.5 * left[a] * left[a] / (sigma2 * sigma2)
    return total


@njit
def rows_loss(
    terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, family: int, spread: float, j: int,
    height: Floats, by: Floats,
) -> float:  # fmt: skip
    """The misfit of the group's rows given u_j, for responses that are not Normal. by (H,): work."""
    group_line(terms, interest, height, j, by)
    total = 0.0
    for i in range(rest.start[j], rest.start[j + 1]):
        eta = rest.offset[i]
        for h in range(by.size):
            eta += by[h] * rest.shape[i, h]
        total += misfit(family, rest.y[i], rest.trials[i], rest.best[i], eta, spread)
    return total


@njit
def loss_at(
    terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, cells: Cells, family: int, factor: Floats,
    j: int, ri: int, x: float, height: Floats, by: Floats, left: Floats,
) -> float:  # fmt: skip
    """The loss of group j where its level 2 variable ri is x."""
    old = cells.value2[j, ri]
    cells.value2[j, ri] = x
    heights(terms.form2, cells.value2, j, height)
    cells.value2[j, ri] = old
    if family == GAUSSIAN:
        return group_loss(terms, outcome.cross[j], factor, interest.sigma2[0], interest.beta, height, by, left)
    return rows_loss(terms, outcome, rest, interest, family, interest.sigma2[0], j, height, by)


@njit
def draw_upper_measurement(
    generator: np.random.Generator, terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, cells: Cells,
    family: int, factor: Floats, j: int, ri: int, mean: float, variance: float, tells: bool,
    height: Floats, by: Floats, left: Floats,
) -> float:  # fmt: skip
    """A missing measurement of level 2: Normal (mean, variance) times exp(-loss)."""
    if not tells:
        return mean + math.sqrt(variance) * generator.standard_normal()
    x = cells.value2[j, ri]
    if family == GAUSSIAN and terms.degree2[ri] == 1:
        # the loss is a parabola: three points give it, at distances of the prior's own sd
        step = math.sqrt(variance)
        low = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, mean - step, height, by, left)
        middle = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, mean, height, by, left)
        high = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, mean + step, height, by, left)
        slope = 0.5 * (high - low)
        precision = 1.0 + max(high - 2.0 * middle + low, 0.0)  # in units of 1 / variance
        return mean + step * (generator.standard_normal() / math.sqrt(precision) - slope / precision)
    now = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, x, height, by, left)
    level = -0.5 * (x - mean) ** 2 / variance - now - generator.standard_exponential()
    half = math.sqrt(-2.0 * variance * level)
    low = mean - half
    high = mean + half
    while high - low > 1e-300:
        new = low + (high - low) * generator.random()
        loss = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, new, height, by, left)
        if -0.5 * (new - mean) ** 2 / variance - loss > level:
            return new
        if new < x:
            low = new
        else:
            high = new
    return x


@njit
def draw_upper_latent(
    generator: np.random.Generator, terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, cells: Cells,
    family: int, factor: Floats, j: int, ri: int, z: float, mean: float, sd: float, tells: bool,
    height: Floats, by: Floats, left: Floats,
) -> float:  # fmt: skip
    """The latent of a missing measurement of level 2 that is not Normal itself, now z: a slice."""
    if not tells:
        return mean + sd * generator.standard_normal()
    law, least, most = cells.law2[ri], cells.bounds2[ri, 0], cells.bounds2[ri, 1]
    x = measured(law, least, most, z)
    loss = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, x, height, by, left)
    level = -0.5 * ((z - mean) / sd) ** 2 - loss - generator.standard_exponential()
    if not level > -np.inf:  # a state that cannot be: any other is better
        return mean + sd * generator.standard_normal()
    half = sd * math.sqrt(-2.0 * level)
    low = mean - half
    high = mean + half
    for _ in range(MOST_STEPS):
        new = low + (high - low) * generator.random()
        x = measured(law, least, most, new)
        loss = loss_at(terms, outcome, rest, interest, cells, family, factor, j, ri, x, height, by, left)
        if -0.5 * ((new - mean) / sd) ** 2 - loss > level:
            return new
        if new < z:
            low = new
        else:
            high = new
    return z


@njit
def draw_upper_number(
    generator: np.random.Generator, terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, cells: Cells,
    family: int, factor: Floats, j: int, ri: int, now: float, mean: float, sd: float, height: Floats, by: Floats,
    left: Floats,
) -> float:  # fmt: skip
    """The latent, now `now`, of a measurement that is missing or of a count; N(mean, sd²) but for its group's rows."""
    scale, origin = cells.scale2[ri], cells.fit2[j, ri]
    law, middle, spread = cells.law2[ri], origin + scale * mean, scale * sd
    tells = terms.used2[ri] == 1
    if cells.gap2[j, ri] != 1:
        return (draw_between(generator, law, cells.value2[j, ri], middle, spread) - origin) / scale
    if law != PLAIN:
        x = draw_upper_latent(
            generator, terms, outcome, rest, interest, cells, family, factor, j, ri, origin + scale * now, middle,
            spread, tells, height, by, left,
        )  # fmt: skip
        cells.value2[j, ri] = measured(law, cells.bounds2[ri, 0], cells.bounds2[ri, 1], x)
        return (x - origin) / scale
    x = draw_upper_measurement(
        generator, terms, outcome, rest, interest, cells, family, factor, j, ri, middle, spread * spread, tells,
        height, by, left,
    )  # fmt: skip
    cells.value2[j, ri] = x
    return (x - origin) / scale


@njit
def draw_upper(
    generator: np.random.Generator, dims: Dims, groups: Groups, state: State, z: Floats, cells: Cells, terms: Terms,
    outcome: Outcome, rest: Rest, interest: Interest, family: int, factor: Floats, j: int, M: Floats,
    linear: Floats, fixed: Floats, work: Work, height: Floats, by: Floats, left: Floats,
) -> None:  # fmt: skip
    """Latents and missing cells of z_j, whose residual v has precision M and linear term `linear`, one by one."""
    p2 = linear.size
    for ri in range(cells.dim2.size):
        e = cells.dim2[ri]
        d = groups.base + e
        width = dims.width[d]
        missing = cells.gap2[j, ri] == 1
        tells = terms.used2[ri] == 1
        if dims.kind[d] == NORMAL and cells.gap2[j, ri] == 0:
            continue
        mean = linear[e]
        for f in range(p2):
            if f != e:
                mean -= M[e, f] * (z[f] - fixed[f])
        mean = fixed[e] + mean / M[e, e]
        sd = 1.0 / math.sqrt(M[e, e])
        if dims.kind[d] == NORMAL:
            z[e] = draw_upper_number(
                generator,
                terms,
                outcome,
                rest,
                interest,
                cells,
                family,
                factor,
                j,
                ri,
                z[e],
                mean,
                sd,
                height,
                by,
                left,
            )
            continue
        if missing:
            for c in range(dims.categories[d]):
                work.loss[c] = 0.0
                if tells:
                    work.loss[c] = loss_at(
                        terms,
                        outcome,
                        rest,
                        interest,
                        cells,
                        family,
                        factor,
                        j,
                        ri,
                        1.0 * (c + cells.origin2[ri]),
                        height,
                        by,
                        left,
                    )
        if dims.kind[d] == INTERVAL:
            if missing:
                c = draw_category(generator, state.tau, d, dims.categories[d], mean, sd, work.loss)
                cells.value2[j, ri] = c + cells.origin2[ri]
                groups.code[j, e] = c
            low = (state.tau[d, groups.code[j, e]] - mean) / sd
            high = (state.tau[d, groups.code[j, e] + 1] - mean) / sd
            z[e] = mean + sd * normal_between(generator, low, high)
        elif missing:
            propose_block(generator, cells, groups, z, j, ri, e, width, M, linear, fixed, work)
        else:
            for a in range(e, e + width):
                mean = linear[a]
                for f in range(p2):
                    if f != a:
                        mean -= M[a, f] * (z[f] - fixed[f])
                mean = fixed[a] + mean / M[a, a]
                sd = 1.0 / math.sqrt(M[a, a])
                low, high = maximum_bounds(groups.code[j, a], a - e, width, z, e)
                z[a] = mean + sd * normal_between(generator, (low - mean) / sd, (high - mean) / sd)


@njit
def propose_block(
    generator: np.random.Generator, cells: Cells, groups: Groups, z: Floats, j: int, ri: int, e: int, width: int,
    M: Floats, linear: Floats, fixed: Floats, work: Work,
) -> None:  # fmt: skip
    """The latents of a missing Unordered variable from their conditional Normal, accepted by the ratio of work.loss."""
    for a in range(width):
        s = linear[e + a]
        for f in range(linear.size):
            if f < e or f >= e + width:
                s -= M[e + a, f] * (z[f] - fixed[f])
        work.linear[a] = s
        for b in range(width):
            work.precision[a, b] = M[e + a, e + b]
    if not draw_canonical(generator, work.precision, work.linear, width, work.block):
        return
    for a in range(width):
        work.block[a] += fixed[e + a]
    c = category_of(work.block, 0, width)
    at = cells.dim.size + ri
    cells.tried[at, 0] += 1
    if work.loss[int(cells.value2[j, ri]) - cells.origin2[ri]] - work.loss[c] > -generator.standard_exponential():
        cells.tried[at, 1] += 1
        cells.value2[j, ri] = c + cells.origin2[ri]
        for a in range(width):
            z[e + a] = work.block[a]
            groups.code[j, e + a] = c


@njit
def draw_groups(
    generator: np.random.Generator, dims: Dims, c: Class, state: State, cells: Cells,
    terms: Terms, outcome: Outcome, rest: Rest, interest: Interest, family: int, work: Work,
) -> bool:  # fmt: skip
    """Draw (z_j, u_j) of every group: z with both models' effects integrated out, then the covariates' u given z."""
    groups, basis, u, z, residual = c.groups, c.basis, c.effects.u, c.effects.z, c.sums.residual
    p1 = basis.D.size
    p2 = basis.Qv.shape[0]
    q = terms.random.size
    r, w, share = np.empty(p1), np.empty(p1), np.empty(p1)
    M, linear, fixed = np.empty((p2, p2)), np.empty(p2), np.empty(p2)
    factor, inverse, root = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    height, by, left = np.empty(terms.shape.size), np.empty(outcome.column.shape[1]), np.empty(q)
    for a in range(q):
        for b in range(q):
            root[a, b] = interest.omega[a, b]
    if q > 0 and not inverse_spd(root, inverse, q):
        return False
    for j in range(groups.size.size):
        n = groups.size[j]
        for k in range(p1):
            s = 0.0
            for d in range(p1):
                s += basis.C[k, d] * residual[j, d]
            r[k] = s
            share[k] = 1.0 / (1.0 + n * basis.D[k])
            w[k] = basis.D[k] * s
        if p2 > 0:
            for e in range(p2):
                s = 0.0
                for k in range(p1):
                    s += basis.G[k, e] * r[k] * share[k]
                linear[e] = s
                for f in range(e + 1):
                    s = basis.Qv[e, f]
                    for k in range(p1):
                        s += basis.G[k, e] * basis.G[k, f] * n * share[k]
                    M[e, f] = s
                    M[f, e] = s
            fixed_part(dims, groups, state.theta, j, fixed)
            loose = groups.missing[j] == 1 and family == GAUSSIAN
            if loose and not random_factor(terms, outcome.cross[j], inverse, interest.sigma2[0], factor):
                return False
            draw_upper(
                generator, dims, groups, state, z[j], cells, terms, outcome, rest, interest, family, factor, j, M,
                linear, fixed, work, height, by, left,
            )  # fmt: skip
            for k in range(p1):
                for e in range(p2):
                    w[k] += basis.G[k, e] * (z[j, e] - fixed[e])
        for k in range(p1):
            w[k] = share[k] * w[k] + math.sqrt(basis.D[k] * share[k]) * generator.standard_normal()
        for d in range(p1):
            s = 0.0
            for k in range(p1):
                s += basis.B[d, k] * w[k]
            u[j, d] = s
    return True
