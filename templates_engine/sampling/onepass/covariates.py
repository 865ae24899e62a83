"""One round of the covariate model's own steps, those of sampling.joint with the one-pass draw of level 2 between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import (
    Base,
    Class,
    Dims,
    Priors,
    Rows,
    RowSums,
    State,
    centred_effects,
    class_step,
    conditional_effects,
    diagonalise,
    draw_covariance,
    finish_sums,
    group_residuals,
    inverse,
    less_effects,
    residual_products,
    subtract_effects,
    thresholds_of_class,
)
from templates_engine.sampling.onepass.arrays import Cells, Floats, Interest, Outcome, Rest, Terms, Work
from templates_engine.sampling.onepass.groups import draw_groups


class Joint(NamedTuple):
    """The covariate model's arrays together; `upper` is its one classification."""

    dims: Dims
    rows: Rows
    base: Base
    priors: Priors
    state: State
    sums: RowSums
    upper: Class


@njit
def independent_variances(generator: np.random.Generator, joint: Joint, S: Floats, n: float, flat: bool) -> None:
    """Level 1 variances without correlations: each inverse gamma, flat or of an inverse Wishart's form for one."""
    omega, scale = joint.state.omega1, joint.priors.scale
    for a in range(joint.priors.others.size):
        d = joint.priors.others[a]
        shape = 0.5 * n - 1.0 if flat else 0.5 * (n + joint.priors.df)
        omega[d, d] = 0.5 * (S[d, d] + scale[d, d]) / generator.standard_gamma(shape)


@njit
def covariate_steps(
    generator: np.random.Generator, joint: Joint, cells: Cells, terms: Terms, outcome: Outcome, rest: Rest,
    interest: Interest, family: int, work: Work, grouped: bool, correlated: bool, flat: bool, n: float, turn: int,
) -> bool:  # fmt: skip
    """After the pass over the rows: coefficients, level 2 variables and effects, both covariance matrices."""
    dims, priors, state, sums, upper = joint.dims, joint.priors, joint.state, joint.sums, joint.upper
    p1, p, J = state.omega1.shape[0], upper.effects.omega.shape[0], upper.effects.u.shape[0]
    S1 = np.empty((p1, p1))
    finish_sums(joint.rows, joint.base, sums)
    if grouped and not thresholds_of_class(generator, dims, upper, state, priors):
        return False
    T = sums.by_design.copy()
    subtract_effects(T, upper)
    if not conditional_effects(generator, dims, joint.base.cross, T, priors, state):
        return False
    if grouped:
        Q = np.empty((p, p))
        if not inverse(upper.effects.omega, p, Q):
            return False
        if not centred_effects(generator, dims, upper, Q, priors, state):
            return False
        if not diagonalise(state.omega1, upper.effects.omega, upper.basis):
            return False
    group_residuals(dims, upper, state.theta)
    if grouped and not draw_groups(generator, dims, upper, state, cells, terms, outcome, rest, interest, family, work):
        return False
    residual_products(dims, joint.base.cross, state.theta, sums, S1)
    less_effects(upper, S1)
    for d in range(p1):
        for e in range(d):
            S1[e, d] = S1[d, e]
    if correlated:
        for d in range(p1):
            for e in range(p1):
                S1[d, e] += priors.scale[d, e]
        df = n + priors.df
        if not draw_covariance(generator, state.omega1, S1, df, priors.others, priors.fixed, priors.block):
            return False
    else:
        independent_variances(generator, joint, S1, n, flat)
    if not grouped:
        return True
    residual = np.empty((J, p))
    return class_step(generator, dims, priors, state, upper, 0, turn, residual) == 0
