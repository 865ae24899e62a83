"""The Gibbs sampler's sweep: every step in its order, and the record of every iteration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Base, Dims, Floats, Groups, Ints, Patterns, Priors, Rows, State, Sums
from templates_engine.sampling.joint.covariance import draw_covariance
from templates_engine.sampling.joint.fixed_effects import centred_effects, conditional_effects, marginal_effects
from templates_engine.sampling.joint.group_effects import (
    Basis,
    diagonalise,
    draw_groups,
    draw_level2_given_effects,
    fixed_level2,
    group_residuals,
    shift_latents,
)
from templates_engine.sampling.joint.latents import draw_rows, finish_sums, fitted_values, pattern_regressions
from templates_engine.sampling.joint.linalg import copy_into, inverse
from templates_engine.sampling.joint.rescaling import scale_latents
from templates_engine.sampling.joint.thresholds import thresholds_level1, thresholds_level2

# what a sweep was doing when a matrix stopped being positive definite
STEPS = (
    "",
    "thresholds",
    "level 1 responses",
    "fixed effects",
    "group effects",
    "level 1 covariance",
    "level 2 covariance",
)


class Output(NamedTuple):
    """How a state becomes one line of values in the user's units."""

    back: Floats  # (P, P) coefficients = origin + back theta
    origin: Floats  # (P,)
    scale: Floats  # (p,) unit of each dimension
    free2: Ints  # (f2, 2) monitored elements of omega2
    free1: Ints  # (f1, 2)
    thresholds: Ints  # (t, 2) dimension and place in its row of tau


@njit
def residual_products(dims: Dims, groups: Groups, state: State, sums: Sums, S: Floats) -> None:
    """S = cross-products of the level 1 residuals y - X beta - u, from sums alone."""
    p = S.shape[0]
    for d in range(p):
        for e in range(d + 1):
            s = sums.products[d, e]
            for a in range(dims.terms[d]):
                s -= state.theta[dims.offset[d] + a] * sums.by_design[dims.first[d] + a, e]
            for a in range(dims.terms[e]):
                s -= state.theta[dims.offset[e] + a] * sums.by_design[dims.first[e] + a, d]
            for a in range(dims.terms[d]):
                for c in range(dims.terms[e]):
                    s += (
                        state.theta[dims.offset[d] + a]
                        * groups.cross[dims.first[d] + a, dims.first[e] + c]
                        * state.theta[dims.offset[e] + c]
                    )
            S[d, e] = s
    for j in range(groups.size.size):
        for d in range(p):
            for e in range(d + 1):
                S[d, e] += (
                    groups.size[j] * state.u[j, d] * state.u[j, e]
                    - sums.residual[j, d] * state.u[j, e]
                    - sums.residual[j, e] * state.u[j, d]
                )
    for d in range(p):
        for e in range(d):
            S[e, d] = S[d, e]


@njit
def level2_residuals(dims: Dims, groups: Groups, state: State, residual: Floats) -> None:
    """residual (J, p) = (u_j, z_j less its fixed part)."""
    p1 = state.u.shape[1]
    p2 = state.z.shape[1]
    fixed = np.empty(p2)
    for j in range(groups.size.size):
        fixed_level2(dims, groups, state.theta, p1, j, fixed)
        for d in range(p1):
            residual[j, d] = state.u[j, d]
        for e in range(p2):
            residual[j, p1 + e] = state.z[j, e] - fixed[e]


@njit
def record(output: Output, state: State, line: Floats) -> None:
    """One line of values: coefficients, free elements of omega2 and omega1, thresholds."""
    P = output.origin.size
    for i in range(P):
        s = output.origin[i]
        for k in range(P):
            s += output.back[i, k] * state.theta[k]
        line[i] = s
    at = P
    for f in range(output.free2.shape[0]):
        a = output.free2[f, 0]
        b = output.free2[f, 1]
        line[at] = state.omega2[a, b] * output.scale[a] * output.scale[b]
        at += 1
    for f in range(output.free1.shape[0]):
        a = output.free1[f, 0]
        b = output.free1[f, 1]
        line[at] = state.omega1[a, b] * output.scale[a] * output.scale[b]
        at += 1
    for f in range(output.thresholds.shape[0]):
        line[at] = state.tau[output.thresholds[f, 0], output.thresholds[f, 1]]
        at += 1


@njit
def sweeps(
    generator: np.random.Generator,
    progress: Ints,
    first: int,
    last: int,
    marginal: bool,
    grouped: bool,
    cycles: int,
    dims: Dims,
    rows: Rows,
    patterns: Patterns,
    groups: Groups,
    base: Base,
    priors: Priors,
    state: State,
    sums: Sums,
    basis: Basis,
    output: Output,
    values: Floats,
) -> tuple[int, int]:
    """Iterations first .. last - 1; (iterations done, 0 or the step in STEPS that failed).

    Stops early when progress[1] is 1. cycles: rounds of level 2 an iteration (0 with one level).
    """
    p1 = state.omega1.shape[0]
    p = state.omega2.shape[0]
    J = groups.size.size
    n = 0.0
    for j in range(J):
        n += groups.size[j]
    S1 = np.empty((p1, p1))
    S2 = np.empty((p, p))
    Q = np.empty((p, p))
    residual = np.empty((J, p))
    for t in range(first, last):
        if progress[1] == 1:
            return t, 0
        fitted_values(dims, rows, state.theta, sums.fitted)
        if not thresholds_level1(generator, dims, rows, state, sums, priors):
            return t, 1
        if not pattern_regressions(patterns, state.omega1):
            return t, 2
        draw_rows(generator, dims, rows, patterns, state, sums)
        finish_sums(rows, base.products, base.by_design, base.by_group, sums)

        if not grouped:
            if not conditional_effects(generator, dims, groups, priors, state, sums):
                return t, 3
            group_residuals(dims, groups, state.theta, sums)
        else:
            if not thresholds_level2(generator, dims, groups, state, priors):
                return t, 1
            if marginal:
                if not diagonalise(state.omega1, state.omega2, basis):
                    return t, 4
                if not marginal_effects(generator, dims, groups, priors, basis, state, sums):
                    return t, 3
            else:
                if not conditional_effects(generator, dims, groups, priors, state, sums):
                    return t, 3
                if not centred_effects(generator, dims, groups, priors, state, sums):
                    return t, 3
                if not diagonalise(state.omega1, state.omega2, basis):
                    return t, 4
            group_residuals(dims, groups, state.theta, sums)
            if not draw_groups(generator, dims, groups, basis, state, sums):
                return t, 4

        residual_products(dims, groups, state, sums, S1)
        for d in range(p1):
            for e in range(p1):
                S1[d, e] += priors.scale1[d, e]
        if not draw_covariance(
            generator, state.omega1, S1, n + priors.df1, priors.others1, priors.fixed1, priors.block1
        ):
            return t, 5
        # Level 2 is cheap beside the rows, and its latents mix worst: several rounds given the level 1 residuals
        for cycle in range(cycles):
            if cycle > 0 and not centred_effects(generator, dims, groups, priors, state, sums):
                return t, 3
            level2_residuals(dims, groups, state, residual)
            if not inverse(state.omega2, p, Q):
                return t, 6
            shift_latents(generator, dims, Q, state, sums, residual, t)
            if cycle > 0 and not draw_level2_given_effects(generator, dims, groups, Q, state, residual):
                return t, 4
            if not scale_latents(generator, dims, priors, state, residual):
                return t, 6
            copy_into(S2, priors.scale2)
            for j in range(J):
                for d in range(p):
                    for e in range(d + 1):
                        S2[d, e] += residual[j, d] * residual[j, e]
            for d in range(p):
                for e in range(d):
                    S2[e, d] = S2[d, e]
            df = J + priors.df2
            if not draw_covariance(generator, state.omega2, S2, df, priors.others2, priors.fixed2, priors.block2):
                return t, 6
        record(output, state, values[t])
        progress[0] = t + 1
    return last, 0
