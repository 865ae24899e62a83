"""Gibbs sampler of the Normal two-level model on sufficient statistics: O(J (p + q)²) an iteration, nothing a row.

One sweep (the schemes that each step follows):
1. γ with the group effects integrated out, then u given γ: one joint draw of (γ, u) (Chib and Carlin 1999,
   algorithm 2). With K_j = σ²I + T_j Ω T_j' (q x q), γ has precision S_QQ/σ² + Σ C_j'K_j^-1 C_j. u_j is drawn by
   conditioning a draw from the prior (Matheron's rule; Hoffman and Ribak 1991), which needs no inverse of Ω and
   so works up to a zero variance.
2. For each random coefficient k the scale of u_k and of row and column k of Ω together, u_k → a u_k: a generalised
   Gibbs move on the scale group (Liu and Sabatti 2000; it does the work of the non-centred half of the interweaving
   of Yu and Meng 2011), by slice sampling log a (Neal 2003). It keeps a small variance from sticking near zero.
3. Ω given u: inverse Wishart (inverse gamma for q = 1).
4. σ² given γ and u: inverse gamma.

Statistics and coordinates: normal.two_level_stats. Without groups (J = 0) steps 1 to 4 are the Normal linear model,
and with flat β each σ², β pair is all but independent of the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.kept_effects import put, shelf
from templates_engine.sampling.linalg import cholesky, cholesky_semi, draw_inverse_wishart, inverse_spd, solve_upper
from templates_engine.sampling.normal.priors import Priors
from templates_engine.sampling.normal.two_level_stats import Statistics
from templates_engine.sampling.saving import Live, Saved, saved

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chain:
    """One chain; only complete draws, also when it was stopped early."""

    beta: Floats  # (draw, p)
    omega: Floats  # (draw, q (q + 1) / 2), packed lower triangle by rows
    sigma2: Floats  # (draw,)
    deviance: Floats  # (draw,), -2 log p(y | β, u, σ²)
    effect_mean: Floats  # (J, q), over the kept draws
    effect_sd: Floats  # (J, q)
    # Evenly spaced draws whose group effects were kept: which draws, and the effects (draw, J, q)
    kept_at: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    kept_effects: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)))
    saved: Saved | None = None  # where it stands, to go on from


def packed(q: int) -> list[tuple[int, int]]:
    """Rows and columns of a packed lower triangle: (0,0), (1,0), (1,1), ..."""
    return [(i, j) for i in range(q) for j in range(i + 1)]


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
    omega: Floats | None = None,
    room: int = 0,
    resume: Saved | None = None,
    live: Live | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept, from the given starting variances.

    room: of how many draws to keep the group effects. resume: go on from there, to `iterations` in all; rng and the
    starting values are then not used. live: shows β, packed Ω and σ² while the chain runs.
    """
    p, q, groups = stats.p, stats.q, stats.groups
    mean, precision = priors.beta(p)
    gamma_mean, gamma_precision = stats.coordinates.prior(mean, precision)
    out = np.full((iterations // thin, p + q * (q + 1) // 2 + 2), np.nan)  # what is not filled is cut off below
    effects = np.zeros((2, groups, q))
    start, variance = np.eye(q), np.array([float(sigma2)])
    if omega is not None:
        start[:] = omega
    some = shelf(room, groups, q)
    first = done = 0
    if resume is not None:
        rng, first, done = resume.generator(), resume.sweeps, resume.fill("out", out)
        for name, array in (("effects", effects), ("omega", start), ("sigma2", variance)):
            array[...] = resume.arrays[name]
        some.restore(resume)
    if live is not None:
        variances = p if groups else p + q * (q + 1) // 2  # without groups there is no Ω
        live.show(out, lambda rows: np.column_stack([stats.coordinates.beta(rows[:, :p]), rows[:, variances:-1]]))
    sweeps = _gibbs(
        rng, cells, stats.n, stats.t, stats.c, stats.triangles, stats.within_matrix, stats.within_centre,
        stats.within_rss, gamma_mean, gamma_precision, priors.sigma2.shape, priors.sigma2.scale, priors.omega.df,
        priors.scale(q), first, burnin, iterations, thin, done, variance, start, out,
        effects, some.effects, some.at, some.pace,
    )  # fmt: skip
    if sweeps < 0:
        raise ArithmeticError("the covariance of the fixed effects is not positive definite")
    done = max(sweeps - burnin, 0) // thin
    out = out[:done]
    now = saved(sweeps, rng, out=out, effects=effects, omega=start, sigma2=variance, **some.arrays)
    sd = np.sqrt(effects[1] / max(done - 1, 1))
    beta = stats.coordinates.beta(out[:, :p])
    return Chain(beta, out[:, p:-2], out[:, -2], out[:, -1], effects[0], sd, *some.filled, now)


def deviance_at(stats: Statistics, beta: Floats, effects: Floats, sigma2: float) -> float:
    """-2 log p(y | β, u, σ²), for the plug-in part of DIC. beta (p,), effects (J, q)."""
    gamma = stats.coordinates.triangle @ (beta - stats.coordinates.centre)
    away = gamma - stats.within_centre
    left = stats.t - stats.c @ gamma - np.einsum("jab,jb->ja", stats.triangles, effects)
    rss = stats.within_rss + away @ stats.within_matrix @ away + float(np.sum(left * left))
    return float(stats.n * math.log(2 * math.pi * sigma2) + rss / sigma2)


@njit
def slice_scale(rng: Any, rss0: float, rss1: float, rss2: float, lift: float, s1: float, s2: float) -> float:
    """One slice draw of b = log a from exp f(b), starting at b = 0 (Neal 2003, stepping out and shrinkage).

    f(b) = -(rss0 - 2 (e^b - 1) rss1 + (e^b - 1)² rss2) + lift b - s1 e^-b - s2 e^-2b
    """
    level = -(rss0 + s1 + s2) - rng.standard_exponential()
    width = 1.0
    low = -width * rng.random()
    high = low + width
    # A limit on the number of steps, shared at random between the two sides, keeps the move reversible.
    steps_low = int(12.0 * rng.random())
    steps_high = 11 - steps_low
    while steps_low > 0 and _log_scale(low, rss0, rss1, rss2, lift, s1, s2) > level:
        low -= width
        steps_low -= 1
    while steps_high > 0 and _log_scale(high, rss0, rss1, rss2, lift, s1, s2) > level:
        high += width
        steps_high -= 1
    for _ in range(200):
        b = low + (high - low) * rng.random()
        if _log_scale(b, rss0, rss1, rss2, lift, s1, s2) > level:
            return b
        if b < 0.0:
            low = b
        else:
            high = b
    return 0.0


@njit
def _log_scale(b: float, rss0: float, rss1: float, rss2: float, lift: float, s1: float, s2: float) -> float:
    more = math.expm1(b)
    value = lift * b - (rss0 - 2.0 * more * rss1 + more * more * rss2)
    if s2 > 0.0:
        value -= s1 * math.exp(-b) + s2 * math.exp(-2.0 * b)
    return value


@njit
def _gibbs(
    rng: Any, cells: Any, n: int, t: Any, c: Any, triangles: Any, within: Any, centre: Any, within_rss: float,
    prior_mean: Any, prior_precision: Any, shape: float, scale: float, df: float, prior_scale: Any,
    first: int, burnin: int, iterations: int, thin: int, kept: int, variance: Any, omega: Any, out: Any, effects: Any,
    some: Any, some_at: Any, pace: Any,
) -> int:  # fmt: skip
    """The sweeps from `first` on, `kept` draws being there; fills out (kept draw: γ, packed Ω, σ², deviance) and
    effects (mean, sum of squares about it). Ω and σ² (variance) are where the chain stands.

    Returns how many sweeps are done: fewer than asked for when cells[1] became 1; -1 when a matrix was not positive
    definite.
    """
    groups, q, p = c.shape
    precision, pull = np.empty((p, p)), np.empty(p)
    fixed_pull = np.zeros(p)  # prior_precision prior_mean
    for a in range(p):
        for b in range(p):
            fixed_pull[a] += prior_precision[a, b] * prior_mean[b]
    factors = np.empty((groups, q, q))  # Cholesky factors of K_j
    scaled_c, scaled_t = np.empty((q, p)), np.empty(q)
    root, work, inverse = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    star, noise, left = np.empty(q), np.empty(q), np.empty(q)
    u, e = np.zeros((groups, q)), np.empty((groups, q))
    gamma = np.zeros(p)
    sigma2 = variance[0]
    for sweep in range(first, burnin + iterations):
        if cells[1] == 1:
            return sweep
        cells[0] = sweep + 1
        # 1a. γ given Ω and σ², u integrated out
        for a in range(p):
            pull[a] = fixed_pull[a]
            for b in range(p):
                pull[a] += within[a, b] * centre[b] / sigma2
            for b in range(a + 1):
                precision[a, b] = prior_precision[a, b] + within[a, b] / sigma2
        for j in range(groups):
            factor = factors[j]
            for a in range(q):  # work = T Ω, using that T is upper triangular
                for b in range(q):
                    total = 0.0
                    for k in range(a, q):
                        total += triangles[j, a, k] * omega[k, b]
                    work[a, b] = total
            for a in range(q):
                for b in range(a + 1):
                    total = sigma2 if a == b else 0.0
                    for k in range(b, q):
                        total += work[a, k] * triangles[j, b, k]
                    factor[a, b] = total
            if not cholesky(factor, q):
                return -1
            for a in range(q):
                for b in range(p):
                    total = c[j, a, b]
                    for k in range(a):
                        total -= factor[a, k] * scaled_c[k, b]
                    scaled_c[a, b] = total / factor[a, a]
                total = t[j, a]
                for k in range(a):
                    total -= factor[a, k] * scaled_t[k]
                scaled_t[a] = total / factor[a, a]
                for b in range(p):
                    pull[b] += scaled_c[a, b] * scaled_t[a]
                    for k in range(b + 1):
                        precision[b, k] += scaled_c[a, b] * scaled_c[a, k]
        if not cholesky(precision, p):
            return -1
        for a in range(p):
            total = pull[a]
            for k in range(a):
                total -= precision[a, k] * gamma[k]
            gamma[a] = total / precision[a, a]
        for a in range(p):
            gamma[a] += rng.standard_normal()
        solve_upper(precision, gamma, p)
        # 1b. u given γ, by conditioning a draw (u*, e*) from the prior
        for a in range(q):
            for b in range(a + 1):
                root[a, b] = omega[a, b]
        cholesky_semi(root, q)
        sigma = math.sqrt(sigma2)
        for j in range(groups):
            factor = factors[j]
            for a in range(q):
                noise[a] = rng.standard_normal()
            for a in range(q):
                star[a] = 0.0
                for k in range(a + 1):
                    star[a] += root[a, k] * noise[k]
            for a in range(q):
                total = t[j, a]
                for b in range(p):
                    total -= c[j, a, b] * gamma[b]
                e[j, a] = total  # t - Cγ for now
                total -= sigma * rng.standard_normal()
                for k in range(a, q):
                    total -= triangles[j, a, k] * star[k]
                left[a] = total
            for a in range(q):  # K^-1 left
                total = left[a]
                for k in range(a):
                    total -= factor[a, k] * left[k]
                left[a] = total / factor[a, a]
            for a in range(q - 1, -1, -1):
                total = left[a]
                for k in range(a + 1, q):
                    total -= factor[k, a] * left[k]
                left[a] = total / factor[a, a]
            for a in range(q):  # T' K^-1 left
                noise[a] = 0.0
                for k in range(a + 1):
                    noise[a] += triangles[j, k, a] * left[k]
            for a in range(q):
                total = star[a]
                for k in range(q):
                    total += omega[a, k] * noise[k]
                u[j, a] = total
            for a in range(q):
                for k in range(a, q):
                    e[j, a] -= triangles[j, a, k] * u[j, k]
        if groups > 0:
            # 2. scale moves, one random coefficient at a time
            for k in range(q):
                rss0 = rss1 = rss2 = 0.0
                for j in range(groups):
                    for a in range(k + 1):
                        along = triangles[j, a, k] * u[j, k]
                        rss0 += e[j, a] * e[j, a]
                        rss1 += e[j, a] * along
                        rss2 += along * along
                s1 = s2 = 0.0
                if prior_scale[k, k] > 0.0:
                    for a in range(q):
                        for b in range(q):
                            work[a, b] = omega[a, b]
                    if not inverse_spd(work, inverse, q):
                        return -1
                    s2 = 0.5 * prior_scale[k, k] * inverse[k, k]
                    for a in range(q):
                        if a != k:
                            s1 += prior_scale[k, a] * inverse[k, a]
                half = 0.5 / sigma2
                by = slice_scale(rng, rss0 * half, rss1 * half, rss2 * half, -df, s1, s2)
                grow = math.exp(by)
                for j in range(groups):
                    for a in range(k + 1):
                        e[j, a] -= (grow - 1.0) * triangles[j, a, k] * u[j, k]
                    u[j, k] *= grow
                for a in range(q):
                    omega[a, k] *= grow
                    omega[k, a] *= grow
            # 3. Ω given u
            for a in range(q):
                for b in range(a + 1):
                    total = prior_scale[a, b]
                    for j in range(groups):
                        total += u[j, a] * u[j, b]
                    root[a, b] = total
            if not draw_inverse_wishart(rng, df + groups, root, omega, work, q):
                return -1
        # 4. σ² given γ and u
        rss = within_rss
        for a in range(p):
            away = gamma[a] - centre[a]
            for b in range(p):
                rss += away * within[a, b] * (gamma[b] - centre[b])
        for j in range(groups):
            for a in range(q):
                rss += e[j, a] * e[j, a]
        sigma2 = (scale + 0.5 * rss) / rng.standard_gamma(shape + 0.5 * n)
        variance[0] = sigma2
        if sweep >= burnin and (sweep - burnin + 1) % thin == 0:
            for a in range(p):
                out[kept, a] = gamma[a]
            at = p
            for a in range(q):
                for b in range(a + 1):
                    out[kept, at] = omega[a, b]
                    at += 1
            out[kept, at] = sigma2
            out[kept, at + 1] = n * math.log(2.0 * math.pi * sigma2) + rss / sigma2
            kept += 1
            put(kept, u, some, some_at, pace)
            for j in range(groups):
                for a in range(q):
                    change = u[j, a] - effects[0, j, a]
                    effects[0, j, a] += change / kept
                    effects[1, j, a] += change * (u[j, a] - effects[0, j, a])
    return burnin + iterations
