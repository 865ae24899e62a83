"""The compiled steps of the sampler for binomial and count responses with N classifications.

What they are and whose, in nlevel_glm.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm_families import information, row
from templates_engine.sampling.glm_steps import noise_back
from templates_engine.sampling.linalg import cholesky, draw_inverse_wishart, inverse_spd, solve, solve_upper
from templates_engine.sampling.nlevel_normal import Prior, shift_nested

Array = Any  # inside kernels: float64 arrays
NEGATIVE_BINOMIAL = 4  # after the links of glm_families


class Data(NamedTuple):
    """Rows in their own order, and for each classification the rows sorted by unit."""

    link: int
    y: Array  # (n,)
    trials: Array  # (n,)
    design: Array  # (n, p)
    z: Array  # (n, Σ q)
    column: Array  # (N,) first column of z of each classification
    q: Array  # (N,)
    groups: Array  # (N,)
    unit: Array  # (N,) first unit
    rows_of: Array  # (N, n)
    first: Array  # (units,) where a unit's rows begin in rows_of
    last: Array
    pairs: Array  # nested pairs, as in nlevel_stats.Layout
    parent_ptr: Array
    parent: Array
    shared_ptr: Array
    shared: Array


class State(NamedTuple):
    """Where the chain is; changed in place."""

    gamma: Array  # (p,)
    u: Array  # (units, Q)
    omega: Array  # (N, Q, Q)
    inverse: Array  # (N, Q, Q)
    eta: Array  # (n,)
    score: Array  # (n,)
    value: Array  # (n,) log likelihood
    alpha: Array  # (1,) negative binomial: Var(y) = μ + α μ²
    counts: Array  # (4, 2) accepted and tried: γ, u, scales, α


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
def one_row(link: int, y: float, n: float, eta: float, alpha: float) -> Any:
    """(log likelihood, score) at the linear predictor eta; negative binomial: without the terms in α and y alone."""
    if link == 4:
        total = 1.0 + alpha * y
        if eta > 30.0:
            e = math.exp(-eta)
            return y * eta - total * (eta + math.log(alpha + e)) / alpha, y - total / (alpha + e)
        e = math.exp(eta)
        return y * eta - total * math.log1p(alpha * e) / alpha, y - total * e / (1.0 + alpha * e)
    return row(link, y, n, eta)


@njit
def weight_of(link: int, n: float, eta: float, alpha: float) -> float:
    """Fisher information of the linear predictor."""
    if link == 4:
        e = math.exp(min(eta, 700.0))
        return e / (1.0 + alpha * e)
    return information(link, n, eta)


@njit
def ends_of(data: Data, alpha: float) -> float:
    """The negative binomial's terms in α and y alone, Σ_i Σ_{k<y} log(1 + kα) (log y! left out); 0 for the others."""
    if data.link != 4:
        return 0.0
    total = 0.0
    for i in range(len(data.y)):
        total += rising(alpha, data.y[i])
    return total


@njit
def rising(alpha: float, y: float) -> float:
    """log Γ(r + y) - log Γ(r) - y log r, r = 1/α; by the sum where the difference would cancel."""
    if y <= 200.0 or alpha < 1e-4:
        total = 0.0
        for k in range(1, int(y)):
            total += math.log1p(alpha * k)
        return total
    r = 1.0 / alpha
    return math.lgamma(r + y) - math.lgamma(r) - y * math.log(r)


@njit
def evaluate(data: Data, alpha: float, eta: Array, score: Array, value: Array) -> float:
    """Log likelihood of all rows; fills scores and values. -inf where a row is impossible."""
    total = 0.0
    for i in range(len(eta)):
        value[i], score[i] = one_row(data.link, data.y[i], data.trials[i], eta[i], alpha)
        total += value[i]
    return total if total == total else -np.inf


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
    """Fill what depends on Ω_c. False when a matrix is not positive definite."""
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


@njit
def slope_along(
    data: Data, prior: Prior, state: State, shape: Shape, c: int, gamma: Array, u: Array, score: Array, out: Array
) -> None:
    """Gradient of the log posterior along γ → γ + δ, u_cj → u_cj - B_j δ, at δ = 0."""
    p, q, column = data.design.shape[1], data.q[c], data.column[c]
    for a in range(p):
        out[a] = 0.0
        for b in range(p):
            out[a] -= prior.precision[a, b] * (gamma[b] - prior.mean[b])
    for i in range(len(score)):
        for a in range(p):
            out[a] += score[i] * data.design[i, a]
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        for k in range(q):
            pull = 0.0
            for m in range(q):
                pull += state.inverse[c, k, m] * u[j, m]
            for t in range(data.first[j], data.last[j]):
                i = data.rows_of[c, t]
                pull -= data.z[i, column + k] * score[i]
            for a in range(p):
                out[a] += shape.shift[j, k, a] * pull


@njit
def log_prior(data: Data, prior: Prior, state: State, c: int, gamma: Array, u: Array) -> float:
    """Log density of γ and u_c, without constants, at the present Ω_c."""
    q = data.q[c]
    total = 0.0
    for a in range(len(gamma)):
        for b in range(len(gamma)):
            total -= 0.5 * prior.precision[a, b] * (gamma[a] - prior.mean[a]) * (gamma[b] - prior.mean[b])
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        for a in range(q):
            for b in range(q):
                total -= 0.5 * state.inverse[c, a, b] * u[j, a] * u[j, b]
    return total


@njit
def accept(state: State, work: Work) -> None:
    for i in range(len(state.eta)):
        state.eta[i] = work.eta[i]
        state.score[i] = work.score[i]
        state.value[i] = work.value[i]


@njit
def total_of(values: Array) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@njit
def move_fixed(
    rng: Any, data: Data, prior: Prior, state: State, shape: Shape, work: Work, c: int, walking: bool
) -> None:
    """Step 1: γ, every u_cj moving along."""
    p, q, column = data.design.shape[1], data.q[c], data.column[c]
    step, gradient, gamma, shift = np.empty(p), np.empty(p), np.empty(p), np.empty(q)
    log_ratio = 0.0
    for a in range(p):
        step[a] = rng.standard_normal()
        log_ratio += 0.5 * step[a] * step[a]
    solve_upper(shape.hessian, step, p)
    if walking:
        for a in range(p):
            step[a] *= 2.38 / math.sqrt(p)
    else:
        slope_along(data, prior, state, shape, c, state.gamma, state.u, state.score, gradient)
        solve(shape.hessian, gradient, p)
        for a in range(p):
            step[a] += gradient[a]
    for a in range(p):
        gamma[a] = state.gamma[a] + step[a]
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        for k in range(q):
            total = 0.0
            for a in range(p):
                total += shape.shift[j, k, a] * step[a]
            shift[k] = total
            work.u[j, k] = state.u[j, k] - total
        for t in range(data.first[j], data.last[j]):
            i = data.rows_of[c, t]
            total = state.eta[i]
            for a in range(p):
                total += data.design[i, a] * step[a]
            for k in range(q):
                total -= data.z[i, column + k] * shift[k]
            work.eta[i] = total
    gain = evaluate(data, state.alpha[0], work.eta, work.score, work.value) - total_of(state.value)
    gain += log_prior(data, prior, state, c, gamma, work.u) - log_prior(data, prior, state, c, state.gamma, state.u)
    if not walking and gain > -1e300:
        slope_along(data, prior, state, shape, c, gamma, work.u, work.score, gradient)
        gain += log_ratio - noise_back(shape.hessian, step, gradient, p)
    state.counts[0, 1] += 1.0
    if math.log(rng.random()) < gain:
        state.counts[0, 0] += 1.0
        for a in range(p):
            state.gamma[a] = gamma[a]
        for j in range(data.unit[c], data.unit[c] + data.groups[c]):
            for k in range(q):
                state.u[j, k] = work.u[j, k]
        accept(state, work)


@njit
def unit_gradient(data: Data, state: State, c: int, j: int, u: Array, score: Array, out: Array) -> None:
    """Gradient of the log posterior in u_cj."""
    q, column = data.q[c], data.column[c]
    for k in range(q):
        out[k] = 0.0
        for m in range(q):
            out[k] -= state.inverse[c, k, m] * u[j, m]
    for t in range(data.first[j], data.last[j]):
        i = data.rows_of[c, t]
        for k in range(q):
            out[k] += data.z[i, column + k] * score[i]


@njit
def move_effects(rng: Any, data: Data, state: State, shape: Shape, work: Work, c: int, walking: bool) -> None:
    """Step 2: each u_cj given the rest, accepted or not by itself."""
    q, column = data.q[c], data.column[c]
    move, gradient = np.empty(q), np.empty(q)
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        factor = shape.factors[j]
        log_ratio = 0.0
        for k in range(q):
            move[k] = rng.standard_normal()
            log_ratio += 0.5 * move[k] * move[k]
        solve_upper(factor, move, q)
        if walking:
            for k in range(q):
                move[k] *= 2.38 / math.sqrt(q)
        else:
            unit_gradient(data, state, c, j, state.u, state.score, gradient)
            solve(factor, gradient, q)
            for k in range(q):
                move[k] += gradient[k]
        for k in range(q):
            work.u[j, k] = state.u[j, k] + move[k]
        gain = 0.0
        for t in range(data.first[j], data.last[j]):
            i = data.rows_of[c, t]
            total = state.eta[i]
            for k in range(q):
                total += data.z[i, column + k] * move[k]
            work.eta[i] = total
            work.value[i], work.score[i] = one_row(data.link, data.y[i], data.trials[i], total, state.alpha[0])
            gain += work.value[i] - state.value[i]
        for a in range(q):
            for b in range(q):
                change = work.u[j, a] * work.u[j, b] - state.u[j, a] * state.u[j, b]
                gain -= 0.5 * state.inverse[c, a, b] * change
        if not walking and gain > -1e300:
            unit_gradient(data, state, c, j, work.u, work.score, gradient)
            gain += log_ratio - noise_back(factor, move, gradient, q)
        state.counts[1, 1] += 1.0
        if math.log(rng.random()) < gain:
            state.counts[1, 0] += 1.0
            for k in range(q):
                state.u[j, k] = work.u[j, k]
            for t in range(data.first[j], data.last[j]):
                i = data.rows_of[c, t]
                state.eta[i] = work.eta[i]
                state.score[i] = work.score[i]
                state.value[i] = work.value[i]


@njit
def move_scale(rng: Any, data: Data, prior: Prior, state: State, work: Work, c: int, k: int, width: float) -> int:
    """Step 3: u_ck → a u_ck with row and column k of Ω_c; state.inverse is that of Ω_c. 1 if accepted."""
    q, column = data.q[c], data.column[c]
    by = width * rng.standard_normal()
    grow = math.exp(by)
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        more = (grow - 1.0) * state.u[j, k]
        for t in range(data.first[j], data.last[j]):
            i = data.rows_of[c, t]
            work.eta[i] = state.eta[i] + data.z[i, column + k] * more
    gain = evaluate(data, state.alpha[0], work.eta, work.score, work.value) - total_of(state.value) - prior.df[c] * by
    if prior.spread[c, k, k] > 0.0:
        gain -= 0.5 * prior.spread[c, k, k] * state.inverse[c, k, k] * (1.0 / (grow * grow) - 1.0)
        for a in range(q):
            if a != k:
                gain -= prior.spread[c, k, a] * state.inverse[c, k, a] * (1.0 / grow - 1.0)
    state.counts[2, 1] += 1.0
    if not math.log(rng.random()) < gain:
        return 0
    state.counts[2, 0] += 1.0
    accept(state, work)
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        state.u[j, k] *= grow
    for a in range(q):
        state.omega[c, a, k] *= grow
        state.omega[c, k, a] *= grow
        state.inverse[c, a, k] /= grow
        state.inverse[c, k, a] /= grow
    return 1


@njit
def draw_omega(rng: Any, data: Data, prior: Prior, state: State, c: int) -> bool:
    """Step 4: Ω_c given u_c, and its inverse."""
    q = data.q[c]
    total = np.empty((q, q))
    for a in range(q):
        for b in range(a + 1):
            total[a, b] = prior.spread[c, a, b]
            for j in range(data.unit[c], data.unit[c] + data.groups[c]):
                total[a, b] += state.u[j, a] * state.u[j, b]
    if not draw_inverse_wishart(rng, prior.df[c] + data.groups[c], total, state.omega[c], np.empty((q, q)), q):
        return False
    for a in range(q):
        for b in range(q):
            total[a, b] = state.omega[c, a, b]
    return inverse_spd(total, state.inverse[c], q)


@njit
def move_alpha(rng: Any, data: Data, prior: Prior, state: State, work: Work, width: float) -> int:
    """Step 6: log α by a random walk; α has the inverse gamma prior (shape, scale). 1 if accepted."""
    by = width * rng.standard_normal()
    old, new = state.alpha[0], state.alpha[0] * math.exp(by)
    state.counts[3, 1] += 1.0
    if not 1e-12 < new < 1e12:
        return 0
    gain = evaluate(data, new, state.eta, work.score, work.value) - total_of(state.value)
    gain += ends_of(data, new) - ends_of(data, old)
    gain += -prior.shape * by - prior.scale * (1.0 / new - 1.0 / old)  # with the Jacobian of the log
    if not math.log(rng.random()) < gain:
        return 0
    state.counts[3, 0] += 1.0
    state.alpha[0] = new
    for i in range(len(state.eta)):
        state.score[i] = work.score[i]
        state.value[i] = work.value[i]
    return 1


@njit
def sample(
    rng: Any, cells: Any, data: Data, prior: Prior, state: State, burnin: int, iterations: int, thin: int, out: Array,
    summary: Array,
) -> int:  # fmt: skip
    """The sweeps; fills out (kept draw: γ, packed Ω's, α, log likelihood without constants) and summary (2, units, Q):
    means of the effects and sums of squares about them. Returns how many draws were kept, -1 on a matrix not positive
    definite."""
    n, p = data.design.shape
    units, most = state.u.shape
    classes = len(data.q)
    shape = Shape(
        np.empty((p, p)), np.empty((units, most, p)), np.empty((units, most, most)), np.zeros((units, most, most)),
        np.zeros((units, most, p)), np.empty((p, p)),
    )  # fmt: skip
    work = Work(np.empty(n), np.empty(n), np.empty(n), np.zeros((units, most)))
    weight, weight_sum, weight_count = np.empty(n), np.zeros(n), 0
    width = np.full((classes, most), 0.5)
    alpha_width = 0.5
    base, starts, strides = np.zeros(units * most), data.unit * most, np.full(classes, most)
    flat = state.u.reshape(-1)
    evaluate(data, state.alpha[0], state.eta, state.score, state.value)
    for i in range(n):
        weight[i] = weight_of(data.link, data.trials[i], state.eta[i], state.alpha[0])
    set_metric(data, weight, shape)
    kept = 0
    for sweep in range(burnin + iterations):
        if cells[1] == 1:
            break
        cells[0] = sweep + 1
        walking = sweep % 8 == 7
        gain = 1.0 / math.sqrt(1.0 + 0.2 * sweep) if sweep < burnin else 0.0  # Robbins and Monro, towards 0.44
        for c in range(classes):
            if not set_shape(data, prior, state, shape, c):
                return -1
            move_fixed(rng, data, prior, state, shape, work, c, walking)
            move_effects(rng, data, state, shape, work, c, walking)
            for k in range(data.q[c]):
                accepted = move_scale(rng, data, prior, state, work, c, k, width[c, k])
                width[c, k] = min(max(width[c, k] * math.exp((accepted - 0.44) * gain), 1e-3), 5.0)
            if not draw_omega(rng, data, prior, state, c):
                return -1
        if len(data.pairs) > 0 and not shift_nested(
            rng, data.pairs, data.parent_ptr, data.parent, data.shared_ptr, data.shared, data.q, data.groups, starts,
            strides, base, flat, state.inverse,
        ):  # fmt: skip
            return -1
        if data.link == 4:
            accepted = move_alpha(rng, data, prior, state, work, alpha_width)
            alpha_width = min(max(alpha_width * math.exp((accepted - 0.44) * gain), 1e-3), 5.0)
        if sweep < burnin:
            if sweep % 4 == 0:
                for i in range(n):
                    weight_sum[i] += weight_of(data.link, data.trials[i], state.eta[i], state.alpha[0])
                weight_count += 1
            if (sweep + 1 == burnin // 3 or sweep + 1 == burnin) and weight_count >= 8:
                for i in range(n):
                    weight[i] = weight_sum[i] / weight_count
                    weight_sum[i] = 0.0
                weight_count = 0
                set_metric(data, weight, shape)
            if sweep == burnin - 1:
                for k in range(4):
                    state.counts[k, 0] = state.counts[k, 1] = 0.0
        elif (sweep - burnin + 1) % thin == 0:
            for a in range(p):
                out[kept, a] = state.gamma[a]
            at = p
            for c in range(classes):
                for a in range(data.q[c]):
                    for b in range(a + 1):
                        out[kept, at] = state.omega[c, a, b]
                        at += 1
            out[kept, at] = state.alpha[0]
            out[kept, at + 1] = total_of(state.value) + ends_of(data, state.alpha[0])
            kept += 1
            for j in range(units):
                for a in range(most):
                    change = state.u[j, a] - summary[0, j, a]
                    summary[0, j, a] += change / kept
                    summary[1, j, a] += change * (state.u[j, a] - summary[0, j, a])
    return kept
