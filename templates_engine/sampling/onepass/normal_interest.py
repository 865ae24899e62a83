"""The model of interest with a Normal response, given the completed covariates: from each group's cross-products alone.

1. β with u integrated out, then u given β: one joint draw (Chib and Carlin, 1999, Statistics and Computing 9, 17-26).
2. The scale of each random coefficient with its row and column of Ω: a generalised Gibbs move (Liu and Sabatti, 2000),
   by slice sampling, as in sampling.normal.
3. Ω given u: inverse Wishart. 4. σ² given β and u: inverse gamma.
O(J (K² + K q² + H²)) an iteration, whatever the number of rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import draw_canonical
from templates_engine.sampling.linalg import cholesky, draw_inverse_wishart, inverse_spd, solve_lower, solve_upper
from templates_engine.sampling.normal import slice_scale
from templates_engine.sampling.onepass.arrays import Floats, Interest, InterestPriors, Outcome, Terms


class Sweep(NamedTuple):
    """What the steps hand on to one another, by group."""

    factor: Floats  # (J, q, q) Cholesky factor of S'S / σ² + Ω^-1
    left: Floats  # (J, q) S'(y - Tβ)
    square: Floats  # (J,) (y - Tβ)'(y - Tβ)
    inverse: Floats  # (q, q) Ω^-1


@njit
def draw_coefficients(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, height: Floats, outcome: Outcome,
    interest: Interest, sweep: Sweep,
) -> bool:  # fmt: skip
    """Step 1, β: generalised least squares over the groups, each with variance σ² I + S Ω S'."""
    cross, sigma2 = outcome.cross, interest.sigma2[0]
    K, q, H = terms.fixed.size, terms.random.size, outcome.column.shape[1]
    root = interest.omega.copy()
    if q > 0 and not inverse_spd(root, sweep.inverse, q):
        return False
    M = priors.precision.copy()
    b = priors.linear.copy()
    half, scaled = np.empty((q, K)), np.empty(q)
    for j in range(cross.shape[0]):
        for a in range(q):
            ha = terms.shape[terms.random[a]]
            for c in range(a + 1):
                s = cross[j, ha, terms.shape[terms.random[c]]]
                sweep.factor[j, a, c] = s / sigma2 + sweep.inverse[a, c]
        if not cholesky(sweep.factor[j], q):
            return False
        for a in range(q):
            ha = terms.shape[terms.random[a]]
            s = cross[j, ha, H] / sigma2
            for c in range(a):
                s -= sweep.factor[j, a, c] * scaled[c]
            scaled[a] = s / sweep.factor[j, a, a]
            for k in range(K):
                m = terms.fixed[k]
                s = height[j, m] * cross[j, ha, terms.shape[m]] / sigma2
                for c in range(a):
                    s -= sweep.factor[j, a, c] * half[c, k]
                half[a, k] = s / sweep.factor[j, a, a]
        for k in range(K):
            m = terms.fixed[k]
            hk = height[j, m]
            s = hk * cross[j, terms.shape[m], H] / sigma2
            for a in range(q):
                s -= half[a, k] * scaled[a]
            b[k] += s
            for c in range(k + 1):
                o = terms.fixed[c]
                s = hk * height[j, o] * cross[j, terms.shape[m], terms.shape[o]] / sigma2
                for a in range(q):
                    s -= half[a, k] * half[a, c]
                M[k, c] += s
    return draw_canonical(generator, M, b, K, interest.beta)


@njit
def draw_effects(
    generator: np.random.Generator, terms: Terms, height: Floats, outcome: Outcome, interest: Interest, sweep: Sweep
) -> None:
    """Step 1, u given β; leaves each group's residual sums behind."""
    cross, sigma2 = outcome.cross, interest.sigma2[0]
    q, H = terms.random.size, outcome.column.shape[1]
    by = np.empty(H)
    for j in range(cross.shape[0]):
        for h in range(H):
            by[h] = 0.0
        for k in range(terms.fixed.size):
            m = terms.fixed[k]
            by[terms.shape[m]] += interest.beta[k] * height[j, m]
        total = cross[j, H, H]
        for a in range(H):
            s = -2.0 * cross[j, a, H]
            for c in range(H):
                s += cross[j, a, c] * by[c]
            total += by[a] * s
        sweep.square[j] = total
        u = interest.u[j]
        for a in range(q):
            ha = terms.shape[terms.random[a]]
            s = cross[j, ha, H]
            for c in range(H):
                s -= cross[j, ha, c] * by[c]
            sweep.left[j, a] = s
            u[a] = s / sigma2
        solve_lower(sweep.factor[j], u, q)
        for a in range(q):
            u[a] += generator.standard_normal()
        solve_upper(sweep.factor[j], u, q)


@njit
def squares(terms: Terms, outcome: Outcome, interest: Interest, sweep: Sweep) -> float:
    """The residual sum of squares of all rows."""
    q = terms.random.size
    total = 0.0
    for j in range(outcome.cross.shape[0]):
        total += sweep.square[j]
        for a in range(q):
            ha = terms.shape[terms.random[a]]
            s = -2.0 * sweep.left[j, a]
            for c in range(q):
                s += outcome.cross[j, ha, terms.shape[terms.random[c]]] * interest.u[j, c]
            total += interest.u[j, a] * s
    return total


@njit
def scale_effects(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, outcome: Outcome, interest: Interest,
    sweep: Sweep,
) -> bool:  # fmt: skip
    """Step 2."""
    q = terms.random.size
    root, inverse = np.empty((q, q)), np.empty((q, q))
    for k in range(q):
        hk = terms.shape[terms.random[k]]
        along = 0.0  # e'(S_k u_k), with e the residuals
        own = 0.0  # (S_k u_k)'(S_k u_k)
        for j in range(outcome.cross.shape[0]):
            s = sweep.left[j, k]
            for c in range(q):
                s -= outcome.cross[j, hk, terms.shape[terms.random[c]]] * interest.u[j, c]
            along += interest.u[j, k] * s
            own += interest.u[j, k] ** 2 * outcome.cross[j, hk, hk]
        s1 = 0.0
        s2 = 0.0
        if priors.scale[k, k] > 0.0:
            for a in range(q):
                for c in range(q):
                    root[a, c] = interest.omega[a, c]
            if not inverse_spd(root, inverse, q):
                return False
            s2 = 0.5 * priors.scale[k, k] * inverse[k, k]
            for a in range(q):
                if a != k:
                    s1 += priors.scale[k, a] * inverse[k, a]
        half = 0.5 / interest.sigma2[0]
        grow = math.exp(slice_scale(generator, 0.0, along * half, own * half, -priors.df, s1, s2))
        for j in range(outcome.cross.shape[0]):
            interest.u[j, k] *= grow
        for a in range(q):
            interest.omega[a, k] *= grow
            interest.omega[k, a] *= grow
    return True


@njit
def draw_interest(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, height: Floats, outcome: Outcome,
    interest: Interest, sweep: Sweep, rows: int,
) -> tuple[bool, float]:  # fmt: skip
    """All steps; (False where a matrix is not positive definite, deviance -2 log p(y | β, u, σ²))."""
    q = terms.random.size
    if not draw_coefficients(generator, terms, priors, height, outcome, interest, sweep):
        return False, 0.0
    draw_effects(generator, terms, height, outcome, interest, sweep)
    if q > 0:
        if not scale_effects(generator, terms, priors, outcome, interest, sweep):
            return False, 0.0
        S, work = np.empty((q, q)), np.empty((q, q))
        for a in range(q):
            for c in range(a + 1):
                s = priors.scale[a, c]
                for j in range(interest.u.shape[0]):
                    s += interest.u[j, a] * interest.u[j, c]
                S[a, c] = s
        if not draw_inverse_wishart(generator, priors.df + interest.u.shape[0], S, interest.omega, work, q):
            return False, 0.0
    total = squares(terms, outcome, interest, sweep)
    interest.sigma2[0] = (priors.rate + 0.5 * total) / generator.standard_gamma(priors.shape + 0.5 * rows)
    deviance = rows * math.log(2.0 * math.pi * interest.sigma2[0]) + total / interest.sigma2[0]
    return total > 0.0, deviance
