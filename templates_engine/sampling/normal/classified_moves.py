"""The steps of the Normal sampler with N classifications, compiled; which is whose, in normal.classified."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import cholesky, draw_inverse_wishart, draw_precision, inverse_spd, solve_upper
from templates_engine.sampling.normal.classified_stats import Layout
from templates_engine.sampling.normal.two_level import slice_scale

Array = Any  # inside kernels: float64 arrays


class Prior(NamedTuple):
    """As the kernel reads it; γ in orthonormal coordinates."""

    mean: Array  # (p,)
    precision: Array  # (p, p)
    shape: float
    scale: float
    df: Array  # (N,)
    spread: Array  # (N, Q, Q)


class State(NamedTuple):
    """Where the chain is; changed in place. Effects are deviations from their base."""

    core: Array  # (P,) γ and the core's effects
    effects: Array  # (D,)
    omega: Array  # (N, Q, Q)
    inverse: Array  # (N, Q, Q)
    held: Array  # (L, P) core'Z_c u_c of each large classification
    low: Array  # (D,) Z_c'Σ Z_d u_d over earlier classifications
    off: Array  # (D,) and over all others
    factor: Array  # Cholesky factors, as `diagonal`
    half: Array  # L^-1 of the coupling, as `core_val`
    right: Array  # (D,)


@njit
def draw_block(
    rng: Any, lay: Layout, prior: Prior, state: State, c: int, sigma2: float, high: Array, pull: Array
) -> bool:
    """Step 1 for large classification c. False when a matrix is not positive definite."""
    size, p, q = len(state.core), lay.p, lay.q[c]
    weight = 1.0 / sigma2
    classes = len(lay.q)
    for a in range(size):
        total = lay.core_pull[a]
        for d in range(lay.large):
            if d != c:
                total -= state.held[d, a]
        pull[a] = total * weight
        for b in range(a + 1):
            high[a, b] = lay.core[a, b] * weight
    for a in range(p):
        for b in range(p):
            pull[a] += prior.precision[a, b] * prior.mean[b]
        for b in range(a + 1):
            high[a, b] += prior.precision[a, b]
    for d in range(lay.large, classes):
        width = lay.q[d]
        for j in range(lay.groups[d]):
            at = lay.start[d] + j * width
            for a in range(width):
                for b in range(width):
                    pull[at + a] -= state.inverse[d, a, b] * lay.core_base[at + b]
                for b in range(a + 1):
                    high[at + a, at + b] += state.inverse[d, a, b]
    local = np.empty((q, q))
    for j in range(lay.groups[c]):
        first = lay.start[c] + j * q
        block = lay.block[c] + j * q * q
        for a in range(q):
            for b in range(a + 1):
                local[a, b] = lay.diagonal[block + a * q + b] * weight + state.inverse[c, a, b]
        if not cholesky(local, q):
            return False
        for a in range(q):
            for b in range(a + 1):
                state.factor[block + a * q + b] = local[a, b]
            row = first + a
            low = 0.0
            for t in range(lay.low_ptr[row], lay.low_ptr[row + 1]):
                low += lay.low_val[t] * state.effects[lay.low_col[t]]
            up = 0.0
            for t in range(lay.up_ptr[row], lay.up_ptr[row + 1]):
                up += lay.up_val[t] * state.effects[lay.up_col[t]]
            state.low[row] = low
            state.off[row] = low + up
            total = (lay.pull[row] - low - up) * weight
            for b in range(q):
                total -= state.inverse[c, a, b] * lay.base[first + b]
            for b in range(a):
                total -= local[a, b] * state.right[first + b]
            state.right[row] = total / local[a, a]
        where, stop = lay.core_ptr[lay.unit[c] + j], lay.core_ptr[lay.unit[c] + j + 1]
        values = lay.value_ptr[lay.unit[c] + j]
        columns = stop - where
        for a in range(q):
            mine = values + a * columns
            for t in range(columns):
                total = lay.core_val[mine + t] * weight
                for b in range(a):
                    total -= local[a, b] * state.half[values + b * columns + t]
                state.half[mine + t] = total / local[a, a]
            for t in range(columns):
                one = state.half[mine + t]
                row = lay.core_col[where + t]
                pull[row] -= one * state.right[first + a]
                for s in range(t + 1):
                    high[row, lay.core_col[where + s]] -= one * state.half[mine + s]
    if not draw_precision(rng, high, pull, size):
        return False
    for a in range(size):
        state.core[a] = pull[a]
    draw = np.empty(q)
    for a in range(size):
        state.held[c, a] = 0.0
    for j in range(lay.groups[c]):
        first = lay.start[c] + j * q
        block = lay.block[c] + j * q * q
        where, stop = lay.core_ptr[lay.unit[c] + j], lay.core_ptr[lay.unit[c] + j + 1]
        values = lay.value_ptr[lay.unit[c] + j]
        columns = stop - where
        for a in range(q):
            total = state.right[first + a] + rng.standard_normal()
            for t in range(columns):
                total -= state.half[values + a * columns + t] * state.core[lay.core_col[where + t]]
            draw[a] = total
            for b in range(a + 1):
                local[a, b] = state.factor[block + a * q + b]
        solve_upper(local, draw, q)
        for a in range(q):
            state.effects[first + a] = draw[a]
    return True


@njit
def scale_large(rng: Any, lay: Layout, prior: Prior, state: State, c: int, sigma2: float) -> None:
    """Step 2 for large classification c, right after its draw; renews held."""
    q = lay.q[c]
    gradient = np.empty((lay.groups[c], q))
    for j in range(lay.groups[c]):
        first = lay.start[c] + j * q
        block = lay.block[c] + j * q * q
        where, stop = lay.core_ptr[lay.unit[c] + j], lay.core_ptr[lay.unit[c] + j + 1]
        values = lay.value_ptr[lay.unit[c] + j]
        for a in range(q):
            total = lay.pull[first + a] - state.off[first + a]
            for t in range(stop - where):
                total -= lay.core_val[values + a * (stop - where) + t] * state.core[lay.core_col[where + t]]
            for b in range(q):
                total -= lay.diagonal[block + a * q + b] * state.effects[first + b]
            gradient[j, a] = total
    for k in range(q):
        along, square = 0.0, 0.0
        for j in range(lay.groups[c]):
            row = lay.start[c] + j * q + k
            u = lay.base[row] + state.effects[row]
            along += u * gradient[j, k]
            square += u * u * lay.diagonal[lay.block[c] + j * q * q + k * q + k]
        grow = draw_scale(rng, prior, state, c, q, k, along, square, sigma2)
        for j in range(lay.groups[c]):
            row = lay.start[c] + j * q + k
            more = (grow - 1.0) * (lay.base[row] + state.effects[row])
            state.effects[row] += more
            for a in range(q):
                gradient[j, a] -= lay.diagonal[lay.block[c] + j * q * q + a * q + k] * more


@njit
def hold(lay: Layout, state: State, c: int) -> None:
    """Renew core'Z_c u_c."""
    q = lay.q[c]
    for a in range(len(state.core)):
        state.held[c, a] = 0.0
    for j in range(lay.groups[c]):
        first = lay.start[c] + j * q
        where, stop = lay.core_ptr[lay.unit[c] + j], lay.core_ptr[lay.unit[c] + j + 1]
        values = lay.value_ptr[lay.unit[c] + j]
        for a in range(q):
            for t in range(stop - where):
                state.held[c, lay.core_col[where + t]] += (
                    lay.core_val[values + a * (stop - where) + t] * state.effects[first + a]
                )


@njit
def draw_scale(
    rng: Any, prior: Prior, state: State, c: int, q: int, k: int, along: float, square: float, sigma2: float
) -> float:
    """The factor a of step 2; Ω_c and its inverse change with it. RSS(a) - RSS = -2 (a-1) along + (a-1)² square."""
    s1 = s2 = 0.0
    if prior.spread[c, k, k] > 0.0:
        s2 = 0.5 * prior.spread[c, k, k] * state.inverse[c, k, k]
        for a in range(q):
            if a != k:
                s1 += prior.spread[c, k, a] * state.inverse[c, k, a]
    half = 0.5 / sigma2
    grow = math.exp(slice_scale(rng, 0.0, along * half, square * half, -prior.df[c], s1, s2))
    for a in range(q):
        state.omega[c, a, k] *= grow
        state.omega[c, k, a] *= grow
        state.inverse[c, a, k] /= grow
        state.inverse[c, k, a] /= grow
    return grow


@njit
def scale_core(rng: Any, lay: Layout, prior: Prior, state: State, c: int, sigma2: float) -> None:
    """Step 2 for a classification of the core."""
    q, size = lay.q[c], len(state.core)
    for k in range(q):
        along, square = 0.0, 0.0
        for j in range(lay.groups[c]):
            row = lay.start[c] + j * q + k
            gradient = lay.core_pull[row]
            for d in range(lay.large):
                gradient -= state.held[d, row]
            for b in range(size):
                gradient -= lay.core[row, b] * state.core[b]
            u = lay.core_base[row] + state.core[row]
            along += u * gradient
            square += u * u * lay.core[row, row]  # different units share no rows
        grow = draw_scale(rng, prior, state, c, q, k, along, square, sigma2)
        for j in range(lay.groups[c]):
            row = lay.start[c] + j * q + k
            state.core[row] += (grow - 1.0) * (lay.core_base[row] + state.core[row])


@njit
def draw_omega(rng: Any, lay: Layout, prior: Prior, state: State, c: int, work: Array, other: Array) -> bool:
    """Step 3: Ω_c given u_c, and its inverse."""
    q = lay.q[c]
    for a in range(q):
        for b in range(a + 1):
            total = prior.spread[c, a, b]
            for j in range(lay.groups[c]):
                row = lay.start[c] + j * q
                if c < lay.large:
                    total += (lay.base[row + a] + state.effects[row + a]) * (lay.base[row + b] + state.effects[row + b])
                else:
                    one = lay.core_base[row + a] + state.core[row + a]
                    total += one * (lay.core_base[row + b] + state.core[row + b])
            work[a, b] = total
    if not draw_inverse_wishart(rng, prior.df[c] + lay.groups[c], work, state.omega[c], other, q):
        return False
    return invert(state, c, q, work)


@njit
def invert(state: State, c: int, q: int, work: Array) -> bool:
    """state.inverse[c] from state.omega[c]."""
    for a in range(q):
        for b in range(q):
            work[a, b] = state.omega[c, a, b]
    return inverse_spd(work, state.inverse[c], q)


@njit
def residual_sum(lay: Layout, state: State) -> float:
    """RSS from the statistics; needs low and held of the present effects."""
    size = len(state.core)
    total = lay.rss
    for a in range(size):
        one = -2.0 * lay.core_pull[a]
        for d in range(lay.large):
            one += 2.0 * state.held[d, a]
        for b in range(size):
            one += lay.core[a, b] * state.core[b]
        total += one * state.core[a]
    for c in range(lay.large):
        q = lay.q[c]
        part = 0.0
        for j in range(lay.groups[c]):
            first = lay.start[c] + j * q
            block = lay.block[c] + j * q * q
            for a in range(q):
                one = 2.0 * (state.low[first + a] - lay.pull[first + a])
                for b in range(q):
                    one += lay.diagonal[block + a * q + b] * state.effects[first + b]
                part += one * state.effects[first + a]
        total += part
    return max(total, 0.0)


@njit
def shift_nested(
    rng: Any, pairs: Array, parent_ptr: Array, parent: Array, shared_ptr: Array, shared: Array, q: Array, groups: Array,
    start: Array, stride: Array, base: Array, effects: Array, inverse: Array,
) -> bool:  # fmt: skip
    """Step 5 for all nested pairs. effects are deviations from base; unit j of c has its at start[c] + j stride[c]."""
    for pair in range(len(pairs)):
        d, c = pairs[pair, 0], pairs[pair, 1]
        s0 = shared_ptr[pair]
        count = shared_ptr[pair + 1] - s0
        pull = np.zeros((groups[d], count))
        inside = np.zeros(groups[d])
        for j in range(groups[c]):
            k = parent[parent_ptr[pair] + j]
            inside[k] += 1.0
            row = start[c] + j * stride[c]
            for s in range(count):
                for b in range(q[c]):
                    pull[k, s] += inverse[c, shared[s0 + s, 1], b] * (base[row + b] + effects[row + b])
        precision = np.empty((count, count))
        for k in range(groups[d]):
            row = start[d] + k * stride[d]
            for s in range(count):
                for b in range(q[d]):
                    pull[k, s] -= inverse[d, shared[s0 + s, 0], b] * (base[row + b] + effects[row + b])
                for t in range(s + 1):
                    precision[s, t] = (
                        inverse[d, shared[s0 + s, 0], shared[s0 + t, 0]]
                        + inside[k] * inverse[c, shared[s0 + s, 1], shared[s0 + t, 1]]
                    )
            if not draw_precision(rng, precision, pull[k], count):
                return False
            for s in range(count):
                effects[row + shared[s0 + s, 0]] += pull[k, s]
        for j in range(groups[c]):
            k = parent[parent_ptr[pair] + j]
            for s in range(count):
                effects[start[c] + j * stride[c] + shared[s0 + s, 1]] -= pull[k, s]
    return True
