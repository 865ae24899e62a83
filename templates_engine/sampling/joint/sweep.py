"""The Gibbs sampler's sweep: the steps that look at rows, those of each classification, and the record of an iteration.

row_step        thresholds, latents and missing cells of level 1; the sums that all else is drawn from
effects_step    fixed effects and effects of each classification in turn
residual_step   level 1 covariance
class_step      a classification's own latents, location, scale and covariance given its effects
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import (
    Base,
    Class,
    Crossing,
    Dims,
    Floats,
    Ints,
    Patterns,
    Priors,
    Rows,
    RowSums,
    State,
)
from templates_engine.sampling.joint.basis import diagonalise
from templates_engine.sampling.joint.covariance import draw_covariance, draw_variances
from templates_engine.sampling.joint.fixed_effects import (
    centred_effects,
    collapsed_effects,
    conditional_effects,
    marginal_effects,
    subtract_effects,
)
from templates_engine.sampling.joint.group_effects import (
    class_residuals,
    draw_cells_given_effects,
    draw_groups,
    group_residuals,
    remove_others,
    shift_latents,
)
from templates_engine.sampling.joint.latents import draw_rows, finish_sums, fitted_values, pattern_regressions
from templates_engine.sampling.joint.linalg import copy_into, inverse_within
from templates_engine.sampling.joint.nesting import recentre_nested
from templates_engine.sampling.joint.rescaling import scale_latents
from templates_engine.sampling.joint.thresholds import thresholds_level1, thresholds_of_class

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
    scale: Floats  # (D,) unit of each dimension
    free1: Ints  # (f1, 2) monitored elements of omega1
    free: Ints  # (f, 5) those of the classifications: classification, row, column, and the dimensions of these two
    thresholds: Ints  # (t, 2) dimension and place in its row of tau


@njit
def residual_products(dims: Dims, cross: Floats, theta: Floats, sums: RowSums, S: Floats) -> None:
    """Lower triangle of S = cross-products of y - X beta, from sums alone."""
    for d in range(S.shape[0]):
        for e in range(d + 1):
            s = sums.products[d, e]
            for a in range(dims.terms[d]):
                s -= theta[dims.offset[d] + a] * sums.by_design[dims.first[d] + a, e]
            for a in range(dims.terms[e]):
                s -= theta[dims.offset[e] + a] * sums.by_design[dims.first[e] + a, d]
            for a in range(dims.terms[d]):
                for c in range(dims.terms[e]):
                    s += (
                        theta[dims.offset[d] + a]
                        * cross[dims.first[d] + a, dims.first[e] + c]
                        * theta[dims.offset[e] + c]
                    )
            S[d, e] = s


@njit
def less_effects(c: Class, S: Floats) -> None:
    """Lower triangle of S less a classification's effects; its residual is less the effects removed before."""
    size, u, residual = c.groups.size, c.effects.u, c.sums.residual
    p = S.shape[0]
    for j in range(u.shape[0]):
        for d in range(p):
            for e in range(d + 1):
                S[d, e] += size[j] * u[j, d] * u[j, e] - residual[j, d] * u[j, e] - residual[j, e] * u[j, d]


@njit
def record(output: Output, state: State, classes: tuple[Class, ...], line: Floats) -> None:
    """One line of values: coefficients, free elements of the classifications' matrices and of omega1, thresholds."""
    P = output.origin.size
    for i in range(P):
        s = output.origin[i]
        for k in range(P):
            s += output.back[i, k] * state.theta[k]
        line[i] = s
    at = P
    for f in range(output.free.shape[0]):
        omega = classes[output.free[f, 0]].effects.omega
        units = output.scale[output.free[f, 3]], output.scale[output.free[f, 4]]
        line[at] = omega[output.free[f, 1], output.free[f, 2]] * units[0] * units[1]
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
def row_step(
    generator: np.random.Generator,
    dims: Dims,
    rows: Rows,
    patterns: Patterns,
    base: Base,
    priors: Priors,
    state: State,
    sums: RowSums,
    moved: int,
) -> int:
    """Thresholds, latents and missing cells of level 1. 0, or the step in STEPS that failed."""
    fitted_values(dims, rows, state.theta, sums.fitted)
    if not thresholds_level1(generator, dims, rows, state, sums.fitted, priors):
        return 1
    if not pattern_regressions(patterns, state.omega1):
        return 2
    draw_rows(generator, dims, rows, patterns, state, sums, moved)
    finish_sums(rows, base, sums)
    return 0


@njit
def others_removed(classes: tuple[Class, ...], crossings: tuple[Crossing, ...], k: int, last: int) -> None:
    """total of classification k = by_group less the effects of the other classifications before `last`."""
    N = len(classes)
    if N == 1:
        return  # total is by_group
    c = classes[k]
    copy_into(c.sums.total, c.sums.by_group)
    for m in range(last):
        if m != k:
            remove_others(c.sums.total, crossings[k * N + m], classes[m].effects.u)


@njit
def effects_step(
    generator: np.random.Generator,
    marginal: bool,
    dims: Dims,
    base: Base,
    priors: Priors,
    state: State,
    sums: RowSums,
    classes: tuple[Class, ...],
    crossings: tuple[Crossing, ...],
) -> int:
    """Fixed effects, effects of every classification and its own responses. 0, or the step in STEPS that failed."""
    N = len(classes)
    for k in range(N):
        if not thresholds_of_class(generator, dims, classes[k], state, priors):
            return 1
    if not marginal:
        T = sums.by_design.copy()
        for k in range(N):
            subtract_effects(T, classes[k])
        if not conditional_effects(generator, dims, base.cross, T, priors, state):
            return 3
    for k in range(N):
        c = classes[k]
        others_removed(classes, crossings, k, N)
        if not marginal and N == 1:
            Q = np.empty(c.effects.omega.shape)
            if not inverse_within(c.effects.omega, c.prior.within, Q):
                return 3
            if not centred_effects(generator, dims, c, Q, priors, state):
                return 3
        if not diagonalise(state.omega1, c.effects.omega, c.basis):
            return 4
        if marginal:
            T = sums.by_design.copy()
            for m in range(N):
                if m != k:
                    subtract_effects(T, classes[m])
            if not marginal_effects(generator, dims, base.cross, T, c, priors, state):
                return 3
        elif N > 1:
            group_residuals(dims, c, state.theta)
            if not collapsed_effects(generator, dims, c, priors, state):
                return 3
        group_residuals(dims, c, state.theta)
        if not draw_groups(generator, dims, c, state):
            return 4
    return 0


@njit
def residual_step(
    generator: np.random.Generator,
    dims: Dims,
    base: Base,
    priors: Priors,
    state: State,
    sums: RowSums,
    classes: tuple[Class, ...],
    crossings: tuple[Crossing, ...],
    n: float,
    S: Floats,
) -> int:
    """The level 1 covariance given residuals of n rows. 0, or the step in STEPS that failed. S: room (p1, p1)."""
    residual_products(dims, base.cross, state.theta, sums, S)
    for k in range(len(classes)):
        if k > 0:
            others_removed(classes, crossings, k, k)
            group_residuals(dims, classes[k], state.theta)
        elif len(classes) > 1:
            copy_into(classes[0].sums.total, classes[0].sums.by_group)
            group_residuals(dims, classes[0], state.theta)
        less_effects(classes[k], S)
    for d in range(S.shape[0]):
        for e in range(d):
            S[e, d] = S[d, e]
    for d in range(S.shape[0]):
        for e in range(S.shape[0]):
            S[d, e] += priors.scale[d, e]
    df = n + priors.df
    if not draw_covariance(generator, state.omega1, S, df, priors.others, priors.fixed, priors.block):
        return 5
    return 0


@njit
def class_step(
    generator: np.random.Generator,
    dims: Dims,
    priors: Priors,
    state: State,
    c: Class,
    cycle: int,
    turn: int,
    residual: Floats,
) -> int:
    """What a classification draws given the level 1 residuals. 0, or the step in STEPS that failed.

    It is cheap beside the rows, and its latents mix worst: in further cycles location and latents are drawn again.
    turn: which latent of an Unordered response moves with its effect, -1 for none; residual: room (J, p).
    """
    omega = c.effects.omega
    p = omega.shape[0]
    Q = np.empty((p, p))
    if cycle > 0:
        if not inverse_within(omega, c.prior.within, Q):
            return 3
        if not centred_effects(generator, dims, c, Q, priors, state):
            return 3
    class_residuals(dims, c, state.theta, residual)
    if not inverse_within(omega, c.prior.within, Q):
        return 6
    if turn >= 0:
        shift_latents(generator, dims, Q, c, residual, turn)
    if cycle > 0 and not draw_cells_given_effects(generator, dims, c, Q, state.tau, residual):
        return 4
    if not scale_latents(generator, dims, c, priors, state, residual):
        return 6
    S = np.empty((p, p))
    copy_into(S, c.prior.scale)
    J = residual.shape[0]
    for j in range(J):
        for d in range(p):
            for e in range(d + 1):
                S[d, e] += residual[j, d] * residual[j, e]
    for d in range(p):
        for e in range(d):
            S[e, d] = S[d, e]
    if c.prior.spread.size > 0:
        return 0 if draw_variances(generator, omega, S, J, c.prior.df, c.prior.spread, c.prior.others) else 6
    df = J + c.prior.df
    return 0 if draw_covariance(generator, omega, S, df, c.prior.others, c.prior.fixed, c.prior.block) else 6


@njit
def sweeps(
    generator: np.random.Generator,
    progress: Ints,
    first: int,
    last: int,
    marginal: bool,
    grouped: bool,
    cycles: Ints,
    dims: Dims,
    rows: Rows,
    patterns: Patterns,
    base: Base,
    priors: Priors,
    state: State,
    sums: RowSums,
    classes: tuple[Class, ...],
    crossings: tuple[Crossing, ...],
    output: Output,
    values: Floats,
) -> tuple[int, int]:
    """Iterations first .. last - 1; (iterations done, 0 or the step in STEPS that failed).

    Stops early when progress[1] is 1. grouped: False with one level, where the one classification is passed by.
    cycles (N,): rounds of class_step an iteration.
    """
    N = len(classes)
    p1 = state.omega1.shape[0]
    n = 0.0
    for j in range(classes[0].groups.size.size):
        n += classes[0].groups.size[j]
    S1 = np.empty((p1, p1))
    widest = 0
    for k in range(N):
        widest = max(widest, classes[k].effects.u.shape[0] * classes[k].effects.omega.shape[0])
    room = np.empty(widest)
    for t in range(first, last):
        if progress[1] == 1:
            return t, 0
        moved = t % N
        failed = row_step(generator, dims, rows, patterns, base, priors, state, sums, moved)
        if failed > 0:
            return t, failed
        if grouped:
            failed = effects_step(generator, marginal, dims, base, priors, state, sums, classes, crossings)
            if failed > 0:
                return t, failed
        else:
            if not conditional_effects(generator, dims, base.cross, sums.by_design, priors, state):
                return t, 3
            group_residuals(dims, classes[0], state.theta)
        failed = residual_step(generator, dims, base, priors, state, sums, classes, crossings, n, S1)
        if failed > 0:
            return t, failed
        if grouped and not recentre_nested(generator, dims, classes, state):
            return t, 4
        for k in range(N):
            J, p = classes[k].effects.u.shape[0], classes[k].effects.omega.shape[0]
            residual = room[: J * p].reshape(J, p)
            for cycle in range(cycles[k]):
                turn = t // N if k == moved else -1
                failed = class_step(generator, dims, priors, state, classes[k], cycle, turn, residual)
                if failed > 0:
                    return t, failed
        record(output, state, classes, values[t])
        progress[0] = t + 1
    return last, 0
