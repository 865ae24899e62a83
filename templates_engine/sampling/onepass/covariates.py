"""One round of the covariate model's own steps, those of sampling.joint with the one-pass draw of level 2 between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import (
    Base,
    Basis,
    Dims,
    Groups,
    Priors,
    Rows,
    State,
    Sums,
    centred_effects,
    conditional_effects,
    copy_into,
    diagonalise,
    draw_covariance,
    finish_sums,
    group_residuals,
    inverse,
    level2_residuals,
    residual_products,
    scale_latents,
    shift_latents,
    thresholds_level2,
)
from templates_engine.sampling.onepass.arrays import Cells, Floats, Interest, Outcome, Rest, Terms, Work
from templates_engine.sampling.onepass.groups import draw_groups


class Joint(NamedTuple):
    """The covariate model's arrays together."""

    dims: Dims
    rows: Rows
    groups: Groups
    base: Base
    priors: Priors
    state: State
    sums: Sums
    basis: Basis


@njit
def independent_variances(generator: np.random.Generator, joint: Joint, S: Floats, n: float, flat: bool) -> None:
    """Level 1 variances without correlations: each inverse gamma, flat or of an inverse Wishart's form for one."""
    omega, scale = joint.state.omega1, joint.priors.scale1
    for a in range(joint.priors.others1.size):
        d = joint.priors.others1[a]
        shape = 0.5 * n - 1.0 if flat else 0.5 * (n + joint.priors.df1)
        omega[d, d] = 0.5 * (S[d, d] + scale[d, d]) / generator.standard_gamma(shape)


@njit
def covariate_steps(
    generator: np.random.Generator, joint: Joint, cells: Cells, terms: Terms, outcome: Outcome, rest: Rest,
    interest: Interest, family: int, work: Work, grouped: bool, correlated: bool, flat: bool, n: float, turn: int,
) -> bool:  # fmt: skip
    """After the pass over the rows: coefficients, level 2 variables and effects, both covariance matrices."""
    dims, groups, priors, state, sums = joint.dims, joint.groups, joint.priors, joint.state, joint.sums
    p1, p, J = state.omega1.shape[0], state.omega2.shape[0], groups.size.size
    S1 = np.empty((p1, p1))
    finish_sums(joint.rows, joint.base.products, joint.base.by_design, joint.base.by_group, sums)
    if grouped and not thresholds_level2(generator, dims, groups, state, priors):
        return False
    if not conditional_effects(generator, dims, groups, priors, state, sums):
        return False
    if grouped:
        if not centred_effects(generator, dims, groups, priors, state, sums):
            return False
        if not diagonalise(state.omega1, state.omega2, joint.basis):
            return False
    group_residuals(dims, groups, state.theta, sums)
    if grouped and not draw_groups(
        generator, dims, groups, joint.basis, state, sums, cells, terms, outcome, rest, interest, family, work
    ):
        return False
    residual_products(dims, groups, state, sums, S1)
    if correlated:
        for d in range(p1):
            for e in range(p1):
                S1[d, e] += priors.scale1[d, e]
        df = n + priors.df1
        if not draw_covariance(generator, state.omega1, S1, df, priors.others1, priors.fixed1, priors.block1):
            return False
    else:
        independent_variances(generator, joint, S1, n, flat)
    if not grouped:
        return True
    residual, Q, S2 = np.empty((J, p)), np.empty((p, p)), np.empty((p, p))
    level2_residuals(dims, groups, state, residual)
    if not inverse(state.omega2, p, Q):
        return False
    shift_latents(generator, dims, Q, state, sums, residual, turn)
    if not scale_latents(generator, dims, priors, state, residual):
        return False
    copy_into(S2, priors.scale2)
    for j in range(J):
        for d in range(p):
            for e in range(d + 1):
                S2[d, e] += residual[j, d] * residual[j, e]
    for d in range(p):
        for e in range(d):
            S2[e, d] = S2[d, e]
    return bool(
        draw_covariance(generator, state.omega2, S2, J + priors.df2, priors.others2, priors.fixed2, priors.block2)
    )
