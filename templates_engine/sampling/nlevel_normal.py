"""Gibbs sampler of the Normal model with N nested or crossed classifications, on sufficient statistics (nlevel_stats).

An iteration costs O(pairs of units that share rows + Σ J_c q_c²), nothing a row. One sweep (whose scheme each step is):

1. For each large classification c: coefficients, core effects and u_c jointly given the other large classifications,
   the first two with u_c integrated out, then u_c given them. This is the collapsed Gibbs sampler for crossed effects
   of Papaspiliopoulos, Roberts and Zanella (2020, Biometrika 107, 25-40), which integrates the intercept with each
   classification in turn: theirs is the intercept alone, here it is all coefficients and the effects of small
   classifications. With one large classification it is an exact joint draw of all coefficients and effects
   (Chib and Carlin 1999).
2. The scale of each random coefficient with its row and column of Ω_c, u_ck → a u_ck: generalised Gibbs on the scale
   group (Liu and Sabatti 2000), by slice sampling log a (Neal 2003); a small variance does not stick.
3. Ω_c given u_c: inverse Wishart.
4. σ² given the rest: inverse gamma, the residual sum of squares from the statistics.
5. Where a large classification is nested in another large one: u_d → u_d + t, u_c → u_c - t for the units within,
   which leaves the likelihood as it is; t drawn from its Normal. The hierarchically centred half of an interweaving
   (Gelfand, Sahu and Carlin 1995; Yu and Meng 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import cholesky, draw_inverse_wishart, draw_precision, inverse_spd, solve_upper
from templates_engine.sampling.mixed_normal import packed, slice_scale
from templates_engine.sampling.mixed_priors import InverseGamma, InverseWishart
from templates_engine.sampling.nlevel_stats import Layout, Statistics

Floats = npt.NDArray[np.float64]
Array = Any


@dataclass(frozen=True)
class Priors:
    """Priors of a model with N classifications. `beta_mean` and `beta_precision` None: flat."""

    sigma2: InverseGamma
    omega: tuple[InverseWishart, ...]
    beta_mean: Floats | None = None
    beta_precision: Floats | None = None


@dataclass(frozen=True)
class Chain:
    """One chain; only complete draws, also when it was stopped early."""

    beta: Floats  # (draw, p)
    omega: Floats  # (draw, ·) packed lower triangles, one classification after the other
    sigma2: Floats  # (draw,); NaN for families without one
    deviance: Floats  # (draw,) -2 log p(y | β, u, σ²)
    effect_mean: tuple[Floats, ...]  # (J, q) by classification, over the kept draws
    effect_sd: tuple[Floats, ...]
    dispersion: Floats  # (draw,), of a negative binomial response; else empty
    acceptance: Floats  # of Metropolis steps; empty where there are none


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


def prior_arrays(priors: Priors, coordinates: Any, p: int, order: tuple[int, ...], most: int) -> Prior:
    """Priors in the kernel's order of classifications, with the shapes it relies on; kernels do not check bounds."""
    mean = np.zeros(p) if priors.beta_mean is None else np.asarray(priors.beta_mean, dtype=float)
    precision = np.zeros((p, p)) if priors.beta_precision is None else np.asarray(priors.beta_precision, dtype=float)
    if mean.shape != (p,) or precision.shape != (p, p) or len(priors.omega) != len(order):
        raise ValueError("the priors are not those of this model")
    gamma_mean, gamma_precision = coordinates.prior(mean, precision)
    df, spread = np.zeros(len(order)), np.zeros((len(order), most, most))
    for place, c in enumerate(order):
        scale = np.asarray(priors.omega[c].scale, dtype=float)
        df[place] = priors.omega[c].df
        spread[place, : len(scale), : len(scale)] = scale
    return Prior(
        np.ascontiguousarray(gamma_mean), np.ascontiguousarray(gamma_precision), float(priors.sigma2.shape),
        float(priors.sigma2.scale), df, spread,
    )  # fmt: skip


def run_chain(
    stats: Statistics,
    priors: Priors,
    rng: np.random.Generator,
    cells: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    sigma2: float = 1.0,
    omega: tuple[Floats, ...] | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept, from the given starting variances."""
    lay = stats.layout
    count, most = len(stats.order), int(lay.q.max())
    p, size, total = lay.p, lay.core.shape[0], len(lay.pull)
    prior = prior_arrays(priors, stats.coordinates, p, stats.order, most)
    for place, c in enumerate(stats.order):
        q = int(lay.q[place])
        if np.shape(priors.omega[c].scale) != (q, q):
            raise ValueError(f"a prior for {np.shape(priors.omega[c].scale)[0]} random coefficients, there are {q}")
    start = np.zeros((count, most, most))
    for place, c in enumerate(stats.order):
        q = int(lay.q[place])
        start[place, :q, :q] = np.eye(q) if omega is None else omega[c]
    state = State(
        np.zeros(size), np.zeros(total), start, np.zeros_like(start), np.zeros((lay.large, size)), np.zeros(total),
        np.zeros(total), np.zeros(len(lay.diagonal)), np.zeros(len(lay.core_val)), np.zeros(total),
    )  # fmt: skip
    lengths = np.array([q * (q + 1) // 2 for _, q in stats.sizes], dtype=np.int64)
    place_of = np.argsort(np.array(stats.order)).astype(np.int64)  # where each classification stands
    out = np.empty((iterations // thin, p + int(lengths.sum()) + 2))  # rows that are not filled are cut off below
    summary = np.zeros((2, total + size))
    done = _gibbs(
        rng, cells, stats.n, lay, prior, state, place_of, burnin, iterations, thin, float(sigma2), out, summary
    )
    if done < 0:
        raise ArithmeticError("a covariance matrix of the sampler is not positive definite")
    out = out[:done]
    means, sds = [], []
    for c, (groups, q) in enumerate(stats.sizes):
        place = int(place_of[c])
        at = int(lay.start[place]) + (total if place >= lay.large else 0)
        means.append(summary[0, at : at + groups * q].reshape(groups, q))
        sds.append(np.sqrt(summary[1, at : at + groups * q] / max(done - 1, 1)).reshape(groups, q))
    return Chain(
        stats.coordinates.beta(out[:, :p]), out[:, p:-2], out[:, -2], out[:, -1], tuple(means), tuple(sds), np.zeros(0),
        np.zeros(0),
    )  # fmt: skip


__all__ = ["Chain", "Priors", "packed", "run_chain"]


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


@njit
def _gibbs(
    rng: Any, cells: Any, n: int, lay: Layout, prior: Prior, state: State, place_of: Array, burnin: int,
    iterations: int, thin: int, sigma2: float, out: Array, summary: Array,
) -> int:  # fmt: skip
    """The sweeps; fills out (kept draw: γ, packed Ω's, σ², deviance) and summary (mean, sum of squares about it: large
    effects, then the core). Returns how many draws were kept, -1 when a matrix was not positive definite."""
    classes, most, size, total = len(lay.q), state.omega.shape[1], len(state.core), len(state.effects)
    high, pull = np.empty((size, size)), np.empty(size)
    work, other = np.empty((most, most)), np.empty((most, most))
    for c in range(classes):
        if not invert(state, c, lay.q[c], work):
            return -1
    kept = 0
    for sweep in range(burnin + iterations):
        if cells[1] == 1:
            break
        cells[0] = sweep + 1
        for c in range(lay.large):
            if not draw_block(rng, lay, prior, state, c, sigma2, high, pull):
                return -1
            scale_large(rng, lay, prior, state, c, sigma2)
            hold(lay, state, c)
            if not draw_omega(rng, lay, prior, state, c, work, other):
                return -1
        for c in range(lay.large, classes):
            scale_core(rng, lay, prior, state, c, sigma2)
            if not draw_omega(rng, lay, prior, state, c, work, other):
                return -1
        rss = residual_sum(lay, state)
        sigma2 = (prior.scale + 0.5 * rss) / rng.standard_gamma(prior.shape + 0.5 * n)
        if len(lay.pairs) > 0:
            if not shift_nested(
                rng, lay.pairs, lay.parent_ptr, lay.parent, lay.shared_ptr, lay.shared, lay.q, lay.groups, lay.start,
                lay.q, lay.base, state.effects, state.inverse,
            ):  # fmt: skip
                return -1
            for c in range(lay.large):
                hold(lay, state, c)
        if sweep >= burnin and (sweep - burnin + 1) % thin == 0:
            for a in range(lay.p):
                out[kept, a] = state.core[a]
            at = lay.p
            for c in place_of:
                for a in range(lay.q[c]):
                    for b in range(a + 1):
                        out[kept, at] = state.omega[c, a, b]
                        at += 1
            out[kept, at] = sigma2
            out[kept, at + 1] = n * math.log(2.0 * math.pi * sigma2) + rss / sigma2
            kept += 1
            for k in range(total + size):
                value = (
                    lay.base[k] + state.effects[k] if k < total else lay.core_base[k - total] + state.core[k - total]
                )
                change = value - summary[0, k]
                summary[0, k] += change / kept
                summary[1, k] += change * (value - summary[0, k])
    return kept
