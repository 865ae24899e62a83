"""The compiled steps of the binomial and Poisson sampler; what they are and whose, in glm_sampler."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm_families import informations, rows
from templates_engine.sampling.linalg import (
    cholesky,
    draw_inverse_wishart,
    inverse_spd,
    solve,
    solve_lower,
    solve_upper,
)
from templates_engine.sampling.mixed_kept import put

Array = Any  # inside kernels: float64 arrays


class Data(NamedTuple):
    """Rows sorted by group."""

    link: int
    y: Array  # (n,)
    trials: Array  # (n,)
    design: Array  # (n, p)
    z: Array  # (n, q)
    starts: Array  # (J + 1,)


class Prior(NamedTuple):
    """γ ~ N(mean, precision^-1), Ω ~ inverse Wishart(df, scale)."""

    mean: Array
    precision: Array
    df: float
    scale: Array


class State(NamedTuple):
    """Where the chain is; changed in place."""

    gamma: Array  # (p,)
    u: Array  # (J, q)
    omega: Array  # (q, q)
    eta: Array  # (n,)
    score: Array  # (n,)
    held: Array  # log likelihood of each group, or of all rows without groups
    counts: Array  # (3, 2): accepted and tried, for γ, u and scales


class Shape(NamedTuple):
    """The quadratic approximation at the reference weights, and at the present Ω."""

    fixed: Array  # (p, p) X'WX, lower
    cross: Array  # (J, q, p) Z_j'WX_j
    random: Array  # (J, q, q) Z_j'WZ_j
    inverse: Array  # (q, q) Ω^-1
    factors: Array  # (J, q, q) Cholesky factors of Z_j'WZ_j + Ω^-1
    shift: Array  # (J, q, p) B_j
    hessian: Array  # (p, p) Cholesky factor of the precision of γ along the move


class Work(NamedTuple):
    """Room for proposals."""

    eta: Array
    score: Array
    held: Array
    gamma: Array
    u: Array


class Record(NamedTuple):
    """Where the draws go."""

    out: Array  # (draw, p + q (q + 1) / 2 + 1): γ, packed Ω, log likelihood without constants
    summary: Array  # (2, J, q): means of the effects and sums of squares about them
    effects: Array  # (room, J, q), at (room,) and pace: see mixed_kept
    at: Array
    pace: Array
    seen: Array  # (draw,) the first variance, or coefficient without groups
    first: Array  # (p,) the first coefficient as a combination of γ


@njit
def set_metric(data: Data, weight: Array, shape: Shape) -> None:
    """Fill shape.fixed, cross and random from the weights."""
    groups, q, p = shape.cross.shape
    for a in range(p):
        for b in range(p):
            shape.fixed[a, b] = 0.0
    for j in range(groups):
        for a in range(q):
            for b in range(p):
                shape.cross[j, a, b] = 0.0
            for b in range(q):
                shape.random[j, a, b] = 0.0
    for i in range(len(weight)):
        for a in range(p):
            weighted = weight[i] * data.design[i, a]
            for b in range(a + 1):
                shape.fixed[a, b] += weighted * data.design[i, b]
    for j in range(groups):
        for i in range(data.starts[j], data.starts[j + 1]):
            for a in range(q):
                weighted = weight[i] * data.z[i, a]
                for b in range(p):
                    shape.cross[j, a, b] += weighted * data.design[i, b]
                for b in range(q):
                    shape.random[j, a, b] += weighted * data.z[i, b]


@njit
def set_shape(prior: Prior, omega: Array, shape: Shape) -> bool:
    """Fill the parts of the shape that depend on Ω. False when a matrix is not positive definite."""
    groups, q, p = shape.cross.shape
    column = np.empty(q)
    if groups > 0 and not inverse_spd(omega.copy(), shape.inverse, q):
        return False
    for a in range(p):
        for b in range(a + 1):
            shape.hessian[a, b] = shape.fixed[a, b] + prior.precision[a, b]
    for j in range(groups):
        factor = shape.factors[j]
        for a in range(q):
            for b in range(a + 1):
                factor[a, b] = shape.random[j, a, b] + shape.inverse[a, b]
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


@njit
def likelihood(data: Data, groups: int, eta: Array, score: Array, held: Array) -> float:
    """Log likelihood of all rows; fills the scores and the groups' parts."""
    if groups == 0:
        held[0] = rows(data.link, data.y, data.trials, eta, score, 0, len(eta))
        return held[0]
    total = 0.0
    for j in range(groups):
        held[j] = rows(data.link, data.y, data.trials, eta, score, data.starts[j], data.starts[j + 1])
        total += held[j]
    return total


@njit
def slope_along(data: Data, prior: Prior, shape: Shape, gamma: Array, u: Array, score: Array, out: Array) -> None:
    """Gradient of the log posterior along γ → γ + δ, u_j → u_j - B_j δ, at δ = 0."""
    groups, q, p = shape.cross.shape
    for a in range(p):
        out[a] = 0.0
        for b in range(p):
            out[a] -= prior.precision[a, b] * (gamma[b] - prior.mean[b])
    for i in range(len(score)):
        for a in range(p):
            out[a] += score[i] * data.design[i, a]
    for j in range(groups):
        for k in range(q):
            pull = 0.0
            for m in range(q):
                pull += shape.inverse[k, m] * u[j, m]
            for i in range(data.starts[j], data.starts[j + 1]):
                pull -= data.z[i, k] * score[i]
            for a in range(p):
                out[a] += shape.shift[j, k, a] * pull


@njit
def log_prior(prior: Prior, shape: Shape, gamma: Array, u: Array) -> float:
    """Log density of γ and u, without constants, at the present Ω."""
    groups, q = u.shape
    total = 0.0
    for a in range(len(gamma)):
        for b in range(len(gamma)):
            total -= 0.5 * prior.precision[a, b] * (gamma[a] - prior.mean[a]) * (gamma[b] - prior.mean[b])
    for j in range(groups):
        for a in range(q):
            for b in range(q):
                total -= 0.5 * shape.inverse[a, b] * u[j, a] * u[j, b]
    return total


@njit
def noise_back(factor: Array, move: Array, gradient: Array, size: int) -> float:
    """Half the squared length of L'move + L^-1 gradient: minus the log density of the step back. Spoils gradient."""
    solve_lower(factor, gradient, size)
    half = 0.0
    for a in range(size):
        total = gradient[a]
        for b in range(a, size):
            total += factor[b, a] * move[b]
        half += 0.5 * total * total
    return half


@njit
def accept_rows(state: State, work: Work) -> None:
    """Linear predictor, scores and likelihood parts of the proposal become the state's. (Loops by hand: assigning
    whole arrays costs seconds of compilation.)"""
    for i in range(len(state.eta)):
        state.eta[i] = work.eta[i]
        state.score[i] = work.score[i]
    for j in range(len(state.held)):
        state.held[j] = work.held[j]


@njit
def move_fixed(rng: Any, data: Data, prior: Prior, state: State, shape: Shape, work: Work, walking: bool) -> None:
    """Step 1: γ, every u_j moving along."""
    groups, q, p = shape.cross.shape
    step, gradient = np.empty(p), np.empty(p)
    log_ratio = 0.0
    for a in range(p):
        step[a] = rng.standard_normal()
        log_ratio += 0.5 * step[a] * step[a]
    solve_upper(shape.hessian, step, p)
    if walking:
        for a in range(p):
            step[a] *= 2.38 / math.sqrt(p)
    else:
        slope_along(data, prior, shape, state.gamma, state.u, state.score, gradient)
        solve(shape.hessian, gradient, p)
        for a in range(p):
            step[a] += gradient[a]
    for a in range(p):
        work.gamma[a] = state.gamma[a] + step[a]
    for i in range(len(state.eta)):
        total = state.eta[i]
        for a in range(p):
            total += data.design[i, a] * step[a]
        work.eta[i] = total
    for j in range(groups):
        for k in range(q):
            total = 0.0
            for a in range(p):
                total += shape.shift[j, k, a] * step[a]
            work.u[j, k] = state.u[j, k] - total
            for i in range(data.starts[j], data.starts[j + 1]):
                work.eta[i] -= data.z[i, k] * total
    gain = likelihood(data, groups, work.eta, work.score, work.held)
    for part in state.held:
        gain -= part
    gain += log_prior(prior, shape, work.gamma, work.u) - log_prior(prior, shape, state.gamma, state.u)
    if not walking and gain > -1e300:
        slope_along(data, prior, shape, work.gamma, work.u, work.score, gradient)
        gain += log_ratio - noise_back(shape.hessian, step, gradient, p)
    state.counts[0, 1] += 1.0
    if math.log(rng.random()) < gain:
        state.counts[0, 0] += 1.0
        for a in range(p):
            state.gamma[a] = work.gamma[a]
        for j in range(groups):
            for k in range(q):
                state.u[j, k] = work.u[j, k]
        accept_rows(state, work)


@njit
def move_effects(rng: Any, data: Data, state: State, shape: Shape, work: Work, walking: bool) -> None:
    """Step 2: each u_j given γ, accepted or not by itself."""
    groups, q = state.u.shape
    move, gradient = np.empty(q), np.empty(q)
    for j in range(groups):
        factor = shape.factors[j]
        start, stop = data.starts[j], data.starts[j + 1]
        log_ratio = 0.0
        for k in range(q):
            move[k] = rng.standard_normal()
            log_ratio += 0.5 * move[k] * move[k]
        solve_upper(factor, move, q)
        if walking:
            for k in range(q):
                move[k] *= 2.38 / math.sqrt(q)
        else:
            for k in range(q):
                gradient[k] = 0.0
                for m in range(q):
                    gradient[k] -= shape.inverse[k, m] * state.u[j, m]
                for i in range(start, stop):
                    gradient[k] += data.z[i, k] * state.score[i]
            solve(factor, gradient, q)
            for k in range(q):
                move[k] += gradient[k]
        for k in range(q):
            work.u[j, k] = state.u[j, k] + move[k]
        for i in range(start, stop):
            total = state.eta[i]
            for k in range(q):
                total += data.z[i, k] * move[k]
            work.eta[i] = total
        here = rows(data.link, data.y, data.trials, work.eta, work.score, start, stop)
        gain = here - state.held[j]
        for a in range(q):
            for b in range(q):
                change = work.u[j, a] * work.u[j, b] - state.u[j, a] * state.u[j, b]
                gain -= 0.5 * shape.inverse[a, b] * change
        if not walking and gain > -1e300:
            for k in range(q):
                gradient[k] = 0.0
                for m in range(q):
                    gradient[k] -= shape.inverse[k, m] * work.u[j, m]
                for i in range(start, stop):
                    gradient[k] += data.z[i, k] * work.score[i]
            gain += log_ratio - noise_back(factor, move, gradient, q)
        state.counts[1, 1] += 1.0
        if math.log(rng.random()) < gain:
            state.counts[1, 0] += 1.0
            state.held[j] = here
            for k in range(q):
                state.u[j, k] = work.u[j, k]
            for i in range(start, stop):
                state.eta[i] = work.eta[i]
                state.score[i] = work.score[i]


@njit
def move_scale(rng: Any, data: Data, prior: Prior, state: State, work: Work, k: int, width: float) -> int:
    """Step 3: u_k → a u_k with row and column k of Ω. 1 if accepted, 0 if not, -1 when Ω has no inverse."""
    groups, q = state.u.shape
    by = width * rng.standard_normal()
    grow = math.exp(by)
    for j in range(groups):
        more = (grow - 1.0) * state.u[j, k]
        for i in range(data.starts[j], data.starts[j + 1]):
            work.eta[i] = state.eta[i] + data.z[i, k] * more
    gain = likelihood(data, groups, work.eta, work.score, work.held) - prior.df * by
    for part in state.held:
        gain -= part
    if prior.scale[k, k] > 0.0:
        inverse = np.empty((q, q))
        if not inverse_spd(state.omega.copy(), inverse, q):
            return -1
        gain -= 0.5 * prior.scale[k, k] * inverse[k, k] * (1.0 / (grow * grow) - 1.0)
        for a in range(q):
            if a != k:
                gain -= prior.scale[k, a] * inverse[k, a] * (1.0 / grow - 1.0)
    state.counts[2, 1] += 1.0
    if not math.log(rng.random()) < gain:
        return 0
    state.counts[2, 0] += 1.0
    accept_rows(state, work)
    for j in range(groups):
        state.u[j, k] *= grow
    for a in range(q):
        state.omega[a, k] *= grow
        state.omega[k, a] *= grow
    return 1


@njit
def draw_omega(rng: Any, prior: Prior, state: State) -> bool:
    """Step 4: Ω given u."""
    groups, q = state.u.shape
    total = prior.scale.copy()
    for a in range(q):
        for b in range(a + 1):
            for j in range(groups):
                total[a, b] += state.u[j, a] * state.u[j, b]
    return draw_inverse_wishart(rng, prior.df + groups, total, state.omega, np.empty((q, q)), q)


@njit
def sample(
    rng: Any, cells: Any, data: Data, prior: Prior, state: State, weight: Array, burnin: int, iterations: int,
    thin: int, record: Record,
) -> int:  # fmt: skip
    """The sweeps, from the weights given; fills the record. Returns how many draws were kept, -1 on a matrix not
    positive definite.
    """
    out, summary = record.out, record.summary
    n, p = data.design.shape
    groups, q = state.u.shape
    shape = Shape(
        np.empty((p, p)), np.empty((groups, q, p)), np.empty((groups, q, q)), np.zeros((q, q)),
        np.zeros((groups, q, q)), np.zeros((groups, q, p)), np.empty((p, p)),
    )  # fmt: skip
    work = Work(np.empty(n), np.empty(n), np.empty(len(state.held)), np.empty(p), np.empty((groups, q)))
    weight_sum, weight_count = np.zeros(n), 0
    width = np.full(q, 0.5)
    likelihood(data, groups, state.eta, state.score, state.held)
    set_metric(data, weight, shape)
    kept = 0
    for sweep in range(burnin + iterations):
        if cells[1] == 1:
            break
        cells[0] = sweep + 1
        walking = sweep % 8 == 7
        if not set_shape(prior, state.omega, shape):
            return -1
        move_fixed(rng, data, prior, state, shape, work, walking)
        if groups > 0:
            move_effects(rng, data, state, shape, work, walking)
            for k in range(q):
                accepted = move_scale(rng, data, prior, state, work, k, width[k])
                if accepted < 0:
                    return -1
                if sweep < burnin:  # Robbins and Monro, towards an acceptance of 0.44
                    width[k] *= math.exp((accepted - 0.44) / math.sqrt(1.0 + 0.2 * sweep))
                    width[k] = min(max(width[k], 1e-3), 5.0)
            if not draw_omega(rng, prior, state):
                return -1
        if sweep < burnin:
            if sweep % 4 == 0:
                informations(data.link, data.trials, state.eta, weight)
                for i in range(n):
                    weight_sum[i] += weight[i]
                weight_count += 1
            if (sweep + 1 == burnin // 3 or sweep + 1 == burnin) and weight_count >= 8:
                for i in range(n):
                    weight[i] = weight_sum[i] / weight_count
                    weight_sum[i] = 0.0
                weight_count = 0
                set_metric(data, weight, shape)
            if sweep == burnin - 1:
                for k in range(3):
                    state.counts[k, 0] = state.counts[k, 1] = 0.0
        elif (sweep - burnin + 1) % thin == 0:
            for a in range(p):
                out[kept, a] = state.gamma[a]
            at = p
            for a in range(q):
                for b in range(a + 1):
                    out[kept, at] = state.omega[a, b]
                    at += 1
            out[kept, at] = 0.0
            for part in state.held:
                out[kept, at] += part
            record.seen[kept] = 0.0
            if groups > 0:
                record.seen[kept] = state.omega[0, 0]
            else:
                for a in range(p):
                    record.seen[kept] += record.first[a] * state.gamma[a]
            kept += 1
            put(kept, state.u, record.effects, record.at, record.pace)
            for j in range(groups):
                for a in range(q):
                    change = state.u[j, a] - summary[0, j, a]
                    summary[0, j, a] += change / kept
                    summary[1, j, a] += change * (state.u[j, a] - summary[0, j, a])
    return kept
