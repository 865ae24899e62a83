"""What the sampler of non-Normal responses works on, and the quadratic approximation that its proposals rest on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.negative_binomial import weight_of
from templates_engine.sampling.linalg import cholesky, inverse_spd, solve
from templates_engine.sampling.normal import Prior

Array = Any  # inside kernels: float64 arrays


class Data(NamedTuple):
    """Rows, and for each classification c the rows sorted by unit. Units of all classifications are numbered on.

    A model without classifications has one here with one unit and no random coefficients.
    """

    link: int
    y: Array  # (n,)
    trials: Array  # (n,)
    design: Array  # (n, p)
    z: Array  # (n, Σ q)
    column: Array  # (N,) first column of z of each classification
    q: Array  # (N,)
    groups: Array  # (N,)
    unit: Array  # (N,) first unit
    rows_of: Array  # (N, n), unsigned: Numba then leaves out the look for negative indices
    first: Array  # (units,) where a unit's rows begin in rows_of
    last: Array
    pairs: Array  # nested pairs, as in normal.classified_stats.Layout
    parent_ptr: Array
    parent: Array
    shared_ptr: Array
    shared: Array
    above: Array  # negative binomial: how many counts, of those up to 200, are above k = 1, 2, ...; else empty
    large: Array  # and the counts above 200


class State(NamedTuple):
    """Where the chain is; changed in place."""

    gamma: Array  # (p,)
    u: Array  # (units, Q)
    omega: Array  # (N, Q, Q)
    inverse: Array  # (N, Q, Q) of omega, made anew in each sweep
    eta: Array  # (n,)
    score: Array  # (n,)
    value: Array  # (n,) log likelihood
    total: Array  # (1,) its sum
    alpha: Array  # (1,) negative binomial: Var(y) = μ + α μ²
    counts: Array  # (4, 2) accepted and tried: γ, u, scales, α


class Tuning(NamedTuple):
    """What the burn-in sets; changed in place."""

    width: Array  # (N, Q) of the walks on the scales
    alpha_width: Array  # (1,)
    weight: Array  # (n,) Fisher information at which the quadratic approximation is made
    weight_sum: Array  # (n,) since it was last renewed
    weight_count: Array  # (1,) how many terms that has


class Shape(NamedTuple):
    """The quadratic approximation at the reference weights, and at the present Ω."""

    fixed: Array  # (p, p) X'WX, lower
    cross: Array  # (units, Q, p) Z_j'WX_j
    random: Array  # (units, Q, Q) Z_j'WZ_j
    factors: Array  # (units, Q, Q) Cholesky factors of Z_j'WZ_j + Ω^-1
    shift: Array  # (units, Q, p) B_j
    hessian: Array  # (p, p) Cholesky factor of the precision of γ along the move


class Work(NamedTuple):
    """Room for proposals."""

    eta: Array
    score: Array
    value: Array
    u: Array


@njit
def add_weights(data: Data, state: State, out: Array) -> None:
    """Add the present Fisher information of every row."""
    for i in range(len(out)):
        out[i] += weight_of(data.link, data.trials[i], state.eta[i], state.alpha[0])


@njit
def set_metric(data: Data, weight: Array, shape: Shape) -> None:
    """Fill shape.fixed, cross and random from the weights."""
    p = data.design.shape[1]
    for a in range(p):
        for b in range(p):
            shape.fixed[a, b] = 0.0
    for i in range(len(weight)):
        for a in range(p):
            weighted = weight[i] * data.design[i, a]
            for b in range(a + 1):
                shape.fixed[a, b] += weighted * data.design[i, b]
    for c in range(len(data.q)):
        q, column = data.q[c], data.column[c]
        for j in range(data.unit[c], data.unit[c] + data.groups[c]):
            for a in range(q):
                for b in range(p):
                    shape.cross[j, a, b] = 0.0
                for b in range(q):
                    shape.random[j, a, b] = 0.0
            for t in range(data.first[j], data.last[j]):
                i = data.rows_of[c, t]
                for a in range(q):
                    weighted = weight[i] * data.z[i, column + a]
                    for b in range(p):
                        shape.cross[j, a, b] += weighted * data.design[i, b]
                    for b in range(q):
                        shape.random[j, a, b] += weighted * data.z[i, column + b]


@njit
def set_shape(data: Data, prior: Prior, state: State, shape: Shape, c: int) -> bool:
    """Fill what depends on Ω_c, its inverse among it. False when a matrix is not positive definite."""
    p, q = data.design.shape[1], data.q[c]
    column, local = np.empty(q), np.empty((q, q))
    for a in range(q):
        for b in range(q):
            local[a, b] = state.omega[c, a, b]
    if not inverse_spd(local, state.inverse[c], q):
        return False
    for a in range(p):
        for b in range(a + 1):
            shape.hessian[a, b] = shape.fixed[a, b] + prior.precision[a, b]
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        if q == 1:  # the same by hand: calls with arrays cost more than this
            total = shape.random[j, 0, 0] + state.inverse[c, 0, 0]
            if not total > 0.0:
                return False
            shape.factors[j, 0, 0] = np.sqrt(total)
            for a in range(p):
                shape.shift[j, 0, a] = shape.cross[j, 0, a] / total
        elif q > 1:
            factor = shape.factors[j]
            for a in range(q):
                for b in range(a + 1):
                    factor[a, b] = shape.random[j, a, b] + state.inverse[c, a, b]
            if not cholesky(factor, q):
                return False
            for a in range(p):
                for k in range(q):
                    column[k] = shape.cross[j, k, a]
                solve(factor, column, q)
                for k in range(q):
                    shape.shift[j, k, a] = column[k]
        for a in range(p):
            for b in range(a + 1):
                for k in range(q):
                    shape.hessian[a, b] -= shape.cross[j, k, a] * shape.shift[j, k, b]
    return cholesky(shape.hessian, p)
