"""The compiled part of data cloning for a Normal response: the target's density and the chain.

One iteration costs one evaluation of the likelihood (the independence proposal), and every `SLICE_EVERY`-th about five
more for each coordinate (slices). Where the target is not regular a wide proposal is added, and a change of sign of
what is left of a covariance matrix when one variance vanishes. The coefficients are drawn from what the last accepted
evaluation left, at no further cost.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.cloning.boundary_proposals import mixture_density, propose_mixture
from templates_engine.sampling.cloning.joined_groups import reduced
from templates_engine.sampling.cloning.priors import log_prior
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import cholesky, log_determinant, solve_lower, solve_upper
from templates_engine.sampling.sparse import reduced_classes

SLICE_EVERY = 8  # iterations, where the target is regular
WIDE = 60.0  # standard deviation of the wide proposal, about that of the prior
FARTHEST = 600.0  # of a logarithm of a variance: exp stays within the range of numbers
NOTHING = -40.0  # of a logarithm of a relative sd: below, the likelihood does not notice, and numbers would underflow


class Arrays(NamedTuple):
    """A target for the kernels."""

    several: bool  # classifications: `pattern`, else the cells of one
    n: int
    clones: float
    triangles: Any  # the cells of one classification
    counts: Any
    moments: Any
    base: Any
    pattern: Any
    q: Any  # (N,) random coefficients, by classification
    root: Any  # (N,) where T_c starts among the roots
    unit: Any  # of the random coefficients relative to σ, by classification
    spread: float
    fixed: float  # variance of effects that are parameters; 0 with smoothing
    mean: Any  # (p,) prior of γ
    precision: Any
    variances: Any  # (2, 3) priors of the variances
    tails: Any  # coordinates along which a variance vanishes
    below: Any  # (tails, d) the coordinates under each in its column of the factor, -1 behind them


class Room(NamedTuple):
    """What an evaluation works in, and leaves: the factor of γ's posterior precision, and L^-1 (its linear term)."""

    roots: Any
    relative: Any  # (q, q) of one classification
    matrix: Any  # (P, P)
    linear: Any  # (p,)
    sparse: Any


@njit
def variances(m: Any, theta: Any, roots: Any) -> float:
    """σ² of coordinates; the relative factors T_c into roots. NaN where outside the range of numbers."""
    if abs(theta[0]) > FARTHEST:
        return np.nan
    if m.fixed > 0.0:
        sigma2 = math.exp(theta[0])
        roots[0] = math.sqrt(m.fixed / sigma2)
        return sigma2
    if not m.several and m.q[0] == 1:
        if abs(theta[1]) > FARTHEST:
            return np.nan
        roots[0] = math.exp(0.5 * theta[1])
        return math.exp(theta[0] - math.log1p(m.spread * math.exp(theta[1])))
    at, first = 1, 0
    for c in range(len(m.q)):
        q = m.q[c]
        for a in range(q):
            for b in range(q):
                place = m.root[c] + a * q + b
                if b > a:
                    roots[place] = 0.0
                    continue
                if abs(theta[at]) > (100.0 if a == b else 1e100):
                    return np.nan
                roots[place] = m.unit[first + a] * (math.exp(max(theta[at], NOTHING)) if a == b else theta[at])
                at += 1
        first += q
    return math.exp(theta[0])


@njit
def _log_prior(m: Any, theta: Any, sigma2: float) -> float:
    residual = math.log(sigma2)
    total = log_prior(m.variances[0], residual)
    if m.fixed > 0.0:
        return total
    if not m.several and m.q[0] == 1:
        return total + log_prior(m.variances[1], residual + theta[1])
    at, first = 1, 0
    for c in range(len(m.q)):
        for a in range(m.q[c]):
            for b in range(a + 1):
                if a == b:
                    total += log_prior(m.variances[1], residual + 2.0 * (math.log(m.unit[first + a]) + theta[at]))
                else:
                    total -= 0.5 * theta[at] * theta[at] / m.variances[1, 2]
                at += 1
        first += m.q[c]
    return total


@njit
def marginal(m: Any, w: Any) -> float:
    """R into the room's matrix; returns log|V|, at the roots that stand in the room."""
    if m.several:
        return reduced_classes(m.pattern, w.roots, w.sparse, w.matrix)
    q = m.q[0]
    for a in range(q):
        for b in range(q):
            w.relative[a, b] = 0.0
            for k in range(min(a, b) + 1):
                w.relative[a, b] += w.roots[a * q + k] * w.roots[b * q + k]
    return reduced(m.triangles, m.counts, m.moments, m.base, w.relative, w.matrix)


@njit
def log_target(m: Any, theta: Any, w: Any) -> float:
    """Log density of θ with γ integrated out; constants in the data are kept."""
    sigma2 = variances(m, theta, w.roots)
    if not sigma2 > 0.0:
        return -np.inf
    prior = _log_prior(m, theta, sigma2)
    if not prior > -np.inf:
        return -np.inf
    logs = marginal(m, w)
    if logs != logs:
        return -np.inf
    p = len(m.mean)
    times = m.clones / sigma2
    constant = times * w.matrix[p, p]
    for i in range(p):
        w.linear[i] = times * w.matrix[i, p]
        for j in range(p):
            w.linear[i] += m.precision[i, j] * m.mean[j]
            constant += m.mean[i] * m.precision[i, j] * m.mean[j]
            w.matrix[i, j] = times * w.matrix[i, j] + m.precision[i, j]
    if not cholesky(w.matrix, p):
        return -np.inf
    solve_lower(w.matrix, w.linear, p)
    for i in range(p):
        constant -= w.linear[i] * w.linear[i]
    value = m.clones * (m.n * math.log(2.0 * math.pi * sigma2) + logs) + constant + log_determinant(w.matrix, p)
    return prior - 0.5 * value if value == value else -np.inf


@njit
def _keep(w: Any, matrix: Any, linear: Any) -> None:
    matrix[:, :] = w.matrix
    linear[:] = w.linear


@njit
def sample(
    rng: Any, progress: Any, theta: Any, m: Any, w: Any, proposal: Any, mode: Any, regular: bool, every: int,
    widths: Any, first: int, burnin: int, iterations: int, thin: int, kept: int, out: Any, tally: Any,
) -> int:  # fmt: skip
    """The iterations from `first` on, `kept` draws being there. Fills out (draw, d + p) with θ and γ; tally: accepted
    and tried proposals, other evaluations. θ is where the chain stands. Returns how many iterations are done.

    every: iterations from one round of slices to the next.
    """
    d, p = len(theta), len(m.mean)
    other, beta = np.empty(d), np.empty(p)
    matrix, linear = np.empty((p + 1, p + 1)), np.empty(p)
    value = log_target(m, theta, w)
    _keep(w, matrix, linear)
    density = mixture_density(proposal, theta)
    for sweep in range(first, burnin + iterations):
        if progress[1] == 1:
            return sweep
        there = propose_mixture(rng, proposal, other)
        new = log_target(m, other, w)
        tally[1] += 1.0
        if math.log(rng.random()) < new - value - there + density:
            theta[:] = other
            value, density = new, there
            _keep(w, matrix, linear)
            tally[0] += 1.0
        if not regular and len(m.tails) > 0:
            # A wide proposal of one tail's coordinate: from one end of a ridge to the other.
            chosen = m.tails[int(len(m.tails) * rng.random())] if len(m.tails) > 1 else m.tails[0]
            other[:] = theta
            other[chosen] = mode[chosen] + WIDE * rng.standard_normal()
            new = log_target(m, other, w)
            tally[2] += 1.0
            before, after = theta[chosen] - mode[chosen], other[chosen] - mode[chosen]
            if math.log(rng.random()) < new - value + 0.5 * (after * after - before * before) / (WIDE * WIDE):
                theta[chosen] = other[chosen]
                value = new
                _keep(w, matrix, linear)
            row = int(len(m.tails) * rng.random()) if len(m.tails) > 1 else 0
            if m.below[row, 0] >= 0:
                other[:] = theta
                for k in range(d):
                    if m.below[row, k] < 0:
                        break
                    other[m.below[row, k]] = -theta[m.below[row, k]]
                new = log_target(m, other, w)
                tally[2] += 1.0
                if math.log(rng.random()) < new - value:
                    theta[:] = other
                    value = new
                    _keep(w, matrix, linear)
            density = mixture_density(proposal, theta)
        if sweep % every == 0:
            for k in range(d):
                level = value + math.log(rng.random())
                here = theta[k]
                low = here - widths[k] * rng.random()
                high = low + widths[k]
                for side in range(2):
                    for _ in range(40):
                        theta[k] = low if side == 0 else high
                        tally[2] += 1.0
                        if not log_target(m, theta, w) > level:
                            break
                        if side == 0:
                            low -= widths[k]
                        else:
                            high += widths[k]
                for _ in range(200):
                    theta[k] = low + (high - low) * rng.random()
                    new = log_target(m, theta, w)
                    tally[2] += 1.0
                    if new > level:
                        value = new
                        _keep(w, matrix, linear)
                        break
                    if theta[k] < here:
                        low = theta[k]
                    else:
                        high = theta[k]
                else:
                    theta[k] = here
            density = mixture_density(proposal, theta)
        progress[0] = sweep + 1
        at = sweep - burnin
        if at >= 0 and (at + 1) % thin == 0:
            for k in range(p):  # the coefficients given these variances: N(H^-1 h, H^-1)
                beta[k] = linear[k] + rng.standard_normal()
            solve_upper(matrix, beta, p)
            for k in range(d):
                out[kept, k] = theta[k]
            for k in range(p):
                out[kept, d + k] = beta[k]
            kept += 1
    return burnin + iterations
