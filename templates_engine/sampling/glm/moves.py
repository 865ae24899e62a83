"""The steps of one sweep of the sampler of non-Normal responses, compiled; what they are and whose, in glm.sampler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.glm.metric import Array, Data, Shape, State, Work
from templates_engine.sampling.glm.negative_binomial import one_row, rising, rising_slope
from templates_engine.sampling.linalg import draw_inverse_wishart, inverse_spd, solve, solve_lower, solve_upper
from templates_engine.sampling.normal import Prior

FARTHEST = 3.0  # a Newton step on log α goes no further, in units of its noise


@njit
def evaluate(data: Data, alpha: float, eta: Array, score: Array, value: Array) -> float:
    """Log likelihood of all rows; fills scores and values. -inf where a row is impossible."""
    total = 0.0
    for i in range(len(eta)):
        value[i], score[i] = one_row(data.link, data.y[i], data.trials[i], eta[i], alpha)
        total += value[i]
    return total if total == total else -np.inf


@njit
def ends_of(data: Data, alpha: float) -> float:
    """The negative binomial's terms in α and y alone, Σ_i Σ_{k<y} log(1 + kα); 0 for the others."""
    total = 0.0
    for k in range(len(data.above)):
        total += data.above[k] * math.log1p(alpha * (k + 1))
    for y in data.large:
        total += rising(alpha, y)
    return total


@njit_inlined
def z_of(data: Data, c: int) -> Array:
    """(n, q_c) the columns of z of classification c."""
    return data.z[:, data.column[c] : data.column[c] + data.q[c]]


@njit
def slope_along(
    data: Data, prior: Prior, state: State, shape: Shape, c: int, gamma: Array, u: Array, score: Array, out: Array
) -> None:
    """Gradient of the log posterior along γ → γ + δ, u_cj → u_cj - B_j δ, at δ = 0."""
    p, q = data.design.shape[1], data.q[c]
    z, rows_of, inverse = z_of(data, c), data.rows_of[c], state.inverse[c]
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
                pull += inverse[k, m] * u[j, m]
            for t in range(data.first[j], data.last[j]):
                i = rows_of[t]
                pull -= z[i, k] * score[i]
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


@njit_inlined
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
def accept(state: State, work: Work, total: float) -> None:
    """Linear predictor, scores and likelihood of the proposal become the state's. (Loops by hand: assigning whole
    arrays costs seconds of compilation.)"""
    state.total[0] = total
    for i in range(len(state.eta)):
        state.eta[i] = work.eta[i]
        state.score[i] = work.score[i]
        state.value[i] = work.value[i]


@njit
def move_fixed(
    rng: Any, data: Data, prior: Prior, state: State, shape: Shape, work: Work, c: int, walking: bool
) -> None:
    """Step 1: γ, every u_cj moving along."""
    p, q = data.design.shape[1], data.q[c]
    z, rows_of = z_of(data, c), data.rows_of[c]
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
            i = rows_of[t]
            total = state.eta[i]
            for a in range(p):
                total += data.design[i, a] * step[a]
            for k in range(q):
                total -= z[i, k] * shift[k]
            work.eta[i] = total
    here = evaluate(data, state.alpha[0], work.eta, work.score, work.value)
    gain = here - state.total[0]
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
        accept(state, work, here)


@njit
def move_effects(rng: Any, data: Data, state: State, shape: Shape, work: Work, c: int, walking: bool) -> None:
    """Step 2: each u_cj given the rest, accepted or not by itself."""
    q, link, alpha = data.q[c], data.link, state.alpha[0]
    z, rows_of, inverse = z_of(data, c), data.rows_of[c], state.inverse[c]
    move, gradient = np.empty(q), np.empty(q)
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        factor = shape.factors[j]
        first, last = data.first[j], data.last[j]
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
                    gradient[k] -= inverse[k, m] * state.u[j, m]
            for t in range(first, last):
                i = rows_of[t]
                for k in range(q):
                    gradient[k] += z[i, k] * state.score[i]
            solve(factor, gradient, q)
            for k in range(q):
                move[k] += gradient[k]
        for k in range(q):
            work.u[j, k] = state.u[j, k] + move[k]
            gradient[k] = 0.0
        gain = 0.0
        for t in range(first, last):
            i = rows_of[t]
            total = state.eta[i]
            for k in range(q):
                total += z[i, k] * move[k]
            work.eta[i] = total
            value, score = one_row(link, data.y[i], data.trials[i], total, alpha)
            work.value[i] = value
            work.score[i] = score
            gain += value - state.value[i]
            for k in range(q):
                gradient[k] += z[i, k] * score
        more = gain
        for a in range(q):
            for b in range(q):
                change = work.u[j, a] * work.u[j, b] - state.u[j, a] * state.u[j, b]
                gain -= 0.5 * inverse[a, b] * change
        if not walking and gain > -1e300:
            for k in range(q):
                for m in range(q):
                    gradient[k] -= inverse[k, m] * work.u[j, m]
            gain += log_ratio - noise_back(factor, move, gradient, q)
        state.counts[1, 1] += 1.0
        if math.log(rng.random()) < gain:
            state.counts[1, 0] += 1.0
            state.total[0] += more
            for k in range(q):
                state.u[j, k] = work.u[j, k]
            for t in range(first, last):
                i = rows_of[t]
                state.eta[i] = work.eta[i]
                state.score[i] = work.score[i]
                state.value[i] = work.value[i]


@njit
def move_scale(rng: Any, data: Data, prior: Prior, state: State, work: Work, c: int, k: int, width: float) -> int:
    """Step 3: u_ck → a u_ck with row and column k of Ω_c; state.inverse is that of Ω_c. 1 if accepted."""
    q, z, rows_of = data.q[c], z_of(data, c), data.rows_of[c]
    by = width * rng.standard_normal()
    grow = math.exp(by)
    for j in range(data.unit[c], data.unit[c] + data.groups[c]):
        more = (grow - 1.0) * state.u[j, k]
        for t in range(data.first[j], data.last[j]):
            i = rows_of[t]
            work.eta[i] = state.eta[i] + z[i, k] * more
    here = evaluate(data, state.alpha[0], work.eta, work.score, work.value)
    gain = here - state.total[0] - prior.df[c] * by
    if prior.spread[c, k, k] > 0.0:
        gain -= 0.5 * prior.spread[c, k, k] * state.inverse[c, k, k] * (1.0 / (grow * grow) - 1.0)
        for a in range(q):
            if a != k:
                gain -= prior.spread[c, k, a] * state.inverse[c, k, a] * (1.0 / grow - 1.0)
    state.counts[2, 1] += 1.0
    if not math.log(rng.random()) < gain:
        return 0
    state.counts[2, 0] += 1.0
    accept(state, work, here)
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
def slope_alpha(data: Data, prior: Prior, alpha: float, eta: Array, value: Array, score: Array) -> float:
    """Gradient of the log posterior in log α, from each row's log likelihood and score there: no logarithm a row.

    With L = log(1 + α μ) a row's part is L / α - (1 + α y) μ / (1 + α μ), and the log likelihood y η - (1 + α y) L / α.
    """
    total = prior.scale / alpha - prior.shape
    for i in range(len(eta)):
        y = data.y[i]
        total += (y * eta[i] - value[i]) / (1.0 + alpha * y) - y + score[i]
    for k in range(len(data.above)):
        total += data.above[k] * alpha * (k + 1) / (1.0 + alpha * (k + 1))
    for y in data.large:
        total += rising_slope(alpha, y)
    return total


@njit
def move_alpha(rng: Any, data: Data, prior: Prior, state: State, work: Work, width: float, walking: bool) -> float:
    """Step 6: log α by a Newton step with Normal noise of sd `width`, or by a random walk of no one width, which comes
    back from where the curvature is another; α has the inverse gamma prior (shape, scale).

    Returns what is to be added to log width, times a gain, so that width^-2 becomes the mean curvature.
    """
    old, slope, noise = state.alpha[0], 0.0, rng.standard_normal()
    if walking:
        by = 2.38 * width * noise * math.exp(rng.standard_normal())
    else:
        slope = slope_alpha(data, prior, old, state.eta, state.value, state.score)
        by = min(max(width * width * slope, -FARTHEST * width), FARTHEST * width) + width * noise
    new = old * math.exp(by)
    state.counts[3, 1] += 1.0
    if not 1e-12 < new < 1e12:
        return 0.0
    here = evaluate(data, new, state.eta, work.score, work.value)
    gain = here - state.total[0] + ends_of(data, new) - ends_of(data, old)
    gain += -prior.shape * by - prior.scale * (1.0 / new - 1.0 / old)  # with the Jacobian of the log
    lift = 0.0
    if not walking:
        if not gain > -1e300:
            return -1.0
        back = slope_alpha(data, prior, new, state.eta, work.value, work.score)
        drift = min(max(width * width * back, -FARTHEST * width), FARTHEST * width)
        gain += 0.5 * noise * noise - 0.5 * ((by + drift) / width) ** 2
        if by != 0.0:
            lift = min(max(1.0 + width * width * (back - slope) / by, -1.0), 1.0)
    if math.log(rng.random()) < gain:
        state.counts[3, 0] += 1.0
        state.alpha[0] = new
        state.total[0] = here
        for i in range(len(state.eta)):
            state.score[i] = work.score[i]
            state.value[i] = work.value[i]
    return lift
