"""Gibbs sampler of the Normal model with N nested or crossed classifications, on sufficient statistics
(normal.classified_stats).

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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.kept_effects import put, shelf
from templates_engine.sampling.normal.classified_moves import (
    Prior,
    State,
    draw_block,
    draw_omega,
    hold,
    invert,
    residual_sum,
    scale_core,
    scale_large,
    shift_nested,
)
from templates_engine.sampling.normal.classified_stats import Layout, Statistics
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart
from templates_engine.sampling.saving import Live, Saved, saved

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
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
    # Evenly spaced draws whose effects were kept: which draws, and by classification the effects (draw, J, q)
    kept_at: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    kept_effects: tuple[Floats, ...] = ()
    saved: Saved | None = None  # where it stands, to go on from


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
    room: int = 0,
    resume: Saved | None = None,
    live: Live | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept, from the given starting variances.

    room: of how many draws to keep the effects. resume: go on from there, to `iterations` in all; rng and the starting
    values are then not used. live: shows β, packed Ω's and σ² while the chain runs.
    """
    lay = stats.layout
    count, most = len(stats.order), int(lay.q.max())
    p, size, total = lay.p, lay.core.shape[0], len(lay.pull)
    prior = prior_arrays(priors, stats.coordinates, p, stats.order, most)
    start, variance = np.zeros((count, most, most)), np.array([float(sigma2)])
    for place, c in enumerate(stats.order):
        q = int(lay.q[place])
        if np.shape(priors.omega[c].scale) != (q, q):
            raise ValueError(f"a prior for {np.shape(priors.omega[c].scale)[0]} random coefficients, there are {q}")
        start[place, :q, :q] = np.eye(q) if omega is None else omega[c]
    state = State(
        np.zeros(size), np.zeros(total), start, np.zeros_like(start), np.zeros((lay.large, size)), np.zeros(total),
        np.zeros(total), np.zeros(len(lay.diagonal)), np.zeros(len(lay.core_val)), np.zeros(total),
    )  # fmt: skip
    lengths = np.array([q * (q + 1) // 2 for _, q in stats.sizes], dtype=np.int64)
    place_of = np.argsort(np.array(stats.order)).astype(np.int64)  # where each classification stands
    out = np.full((iterations // thin, p + int(lengths.sum()) + 2), np.nan)  # what is not filled is cut off below
    summary = np.zeros((2, total + size))
    some = shelf(room, total + size, 1)
    # what a sweep needs of the one before: all other arrays of the state are made anew in each
    standing = {
        "effects": state.effects, "held": state.held, "omega": state.omega, "sigma2": variance, "summary": summary,
    }  # fmt: skip
    first = done = 0
    if resume is not None:
        rng, first, done = resume.generator(), resume.sweeps, resume.fill("out", out)
        for name, array in standing.items():
            array[...] = resume.arrays[name]
        some.restore(resume)
    if live is not None:
        live.show(out, lambda rows: np.column_stack([stats.coordinates.beta(rows[:, :p]), rows[:, p:-1]]))
    sweeps = _gibbs(
        rng, cells, stats.n, lay, prior, state, place_of, first, burnin, iterations, thin, done, variance, out, summary,
        some.effects, some.at, some.pace,
    )  # fmt: skip
    if sweeps < 0:
        raise ArithmeticError("a covariance matrix of the sampler is not positive definite")
    done = max(sweeps - burnin, 0) // thin
    out = out[:done]
    now = saved(sweeps, rng, out=out, **standing, **some.arrays)
    sd = np.sqrt(summary[1] / max(done - 1, 1))
    spans = [
        slice(at, at + groups * q)
        for (groups, q), place in zip(stats.sizes, place_of, strict=True)
        for at in [int(lay.start[place]) + (total if place >= lay.large else 0)]
    ]
    each = list(zip(spans, stats.sizes, strict=True))
    kept_at, kept_effects = some.filled
    return Chain(
        stats.coordinates.beta(out[:, :p]), out[:, p:-2], out[:, -2], out[:, -1],
        tuple(summary[0, span].reshape(shape) for span, shape in each),
        tuple(sd[span].reshape(shape) for span, shape in each), np.zeros(0), np.zeros(0), kept_at,
        tuple(kept_effects[:, span, 0].reshape(-1, *shape) for span, shape in each), now,
    )  # fmt: skip


@njit
def _gibbs(
    rng: Any, cells: Any, n: int, lay: Layout, prior: Prior, state: State, place_of: Array, first: int, burnin: int,
    iterations: int, thin: int, kept: int, variance: Array, out: Array, summary: Array, some: Array, some_at: Array,
    pace: Array,
) -> int:  # fmt: skip
    """The sweeps from `first` on, `kept` draws being there; fills out (kept draw: γ, packed Ω's, σ², deviance), summary
    (mean, sum of squares about it: large effects, then the core) and the shelf, in the same order.

    Returns how many sweeps are done: fewer than asked for when cells[1] became 1; -1 when a matrix was not positive
    definite.
    """
    classes, most, size, total = len(lay.q), state.omega.shape[1], len(state.core), len(state.effects)
    high, pull = np.empty((size, size)), np.empty(size)
    work, other = np.empty((most, most)), np.empty((most, most))
    values = np.empty((total + size, 1))
    for c in range(classes):
        if not invert(state, c, lay.q[c], work):
            return -1
    sigma2 = variance[0]
    for sweep in range(first, burnin + iterations):
        if cells[1] == 1:
            return sweep
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
        variance[0] = sigma2
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
            for k in range(total):
                values[k, 0] = lay.base[k] + state.effects[k]
            for k in range(size):
                values[total + k, 0] = lay.core_base[k] + state.core[k]
            put(kept, values, some, some_at, pace)
            for k in range(total + size):
                change = values[k, 0] - summary[0, k]
                summary[0, k] += change / kept
                summary[1, k] += change * (values[k, 0] - summary[0, k])
    return burnin + iterations
