"""Data cloning of binomial and Poisson models with one classification: the likelihood once, to the power K.

The group effects are integrated out by adaptive quadrature (cloning.quadrature), so the clones of an effect, which are
alike in law, are never written out: the target K log L(β, Ω) + log prior costs the same for every K. It is sampled in
γ, orthonormal coordinates of β, and the log-Cholesky factor of Ω (log τ for a random intercept), by an independence
proposal with a part for each face on which a variance vanishes (cloning.boundary_proposals), a random walk on γ, and
slices of the other coordinates. One iteration costs one evaluation, each of n M rows for M nodes, and every eighth
time one more and about five for each element of Ω.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.cloning.boundary_proposals import mixture, mixture_density, propose_mixture
from templates_engine.sampling.cloning.laplace_proposal import Laplace, laplace
from templates_engine.sampling.cloning.normal import Cloned
from templates_engine.sampling.cloning.normal_kernel import SLICE_EVERY
from templates_engine.sampling.cloning.priors import Prior, log_prior
from templates_engine.sampling.cloning.quadrature import grid, log_likelihood
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import Grouped
from templates_engine.sampling.normal import Floats
from templates_engine.sampling.saving import Saved, saved

_LOW, _HIGH = -300.0, 7.0  # of the logarithm of a standard deviation: beyond, exp would leave the range of numbers
_SLICES_OF_FACES = 4


class Arrays(NamedTuple):
    """A target for the kernels."""

    clones: float
    link: int
    y: Any
    trials: Any
    offset: Any
    design: Any
    z: Any
    starts: Any
    unit: Any  # (q,)
    points: Any
    logs: Any
    mean: Any
    precision: Any
    variances: Any


class Room(NamedTuple):
    modes: Any  # (J, q) of the standardised effects, improved from one evaluation to the next
    fixed: Any  # (n,)
    scaled: Any  # (n, q)
    root: Any  # (q, q)


@dataclass(frozen=True)
class Target:
    """The K-fold posterior in (γ, packed log-Cholesky of Ω)."""

    data: Grouped
    clones: int
    mean: Floats
    precision: Floats
    variances: Floats
    points: Floats  # (M, q)
    logs: Floats

    @property
    def q(self) -> int:
        return self.data.q

    @property
    def d(self) -> int:
        return self.data.p + self.q * (self.q + 1) // 2

    @property
    def tails(self) -> list[int]:
        """Coordinates that go to minus infinity where a variance vanishes."""
        rows, columns = np.tril_indices(self.q)
        return [self.data.p + int(k) for k in np.flatnonzero(rows == columns)]

    @cached_property
    def unit(self) -> Floats:
        """Scale of each random coefficient: one over the size of its column; 1 for one alone."""
        if self.q == 1:
            return np.ones(1)
        return 1.0 / np.sqrt(np.maximum(np.mean(self.data.z**2, axis=0), 1e-300))

    @cached_property
    def arrays(self) -> Arrays:
        g = self.data
        return Arrays(
            float(self.clones), g.link, g.y, g.trials, g.offset, g.q_matrix, g.z, g.starts, self.unit, self.points,
            self.logs, self.mean, self.precision, self.variances,
        )  # fmt: skip

    def room(self) -> Room:
        g = self.data
        return Room(np.zeros((g.groups, self.q)), np.empty(g.n), np.empty((g.n, self.q)), np.zeros((self.q, self.q)))

    def likelihood(self, theta: Floats, room: Room | None = None) -> float:
        """Log likelihood of one copy of the data, without the constants of y. A room keeps modes for the next."""
        given = np.ascontiguousarray(theta, dtype=float)
        return float(likelihood(self.arrays, given, self.room() if room is None else room))

    def at_root(self, gamma: Floats, root: Floats, room: Room) -> float:
        """The same at a factor T of Ω = T T', which may have zeros on its diagonal."""
        room.root[...] = root
        return float(_at_root(self.arrays, np.ascontiguousarray(gamma), room))

    def __call__(self, theta: Floats) -> float:
        given = np.ascontiguousarray(theta, dtype=float)
        return float(log_target(self.arrays, given, self._room))

    @cached_property
    def _room(self) -> Room:
        return self.room()

    def omega(self, theta: Floats) -> Floats:
        """(S, q, q) of coordinates (S, d)."""
        rows, columns = np.tril_indices(self.q)
        values = theta[:, self.data.p :].copy()
        values[:, rows == columns] = np.exp(values[:, rows == columns])
        root = np.zeros((len(theta), self.q, self.q))
        root[:, rows, columns] = values
        root *= self.unit[None, :, None]
        return root @ root.transpose(0, 2, 1)

    def theta(self, gamma: Floats, omega: Floats) -> Floats:
        """Coordinates; a variance of zero becomes a very small one."""
        scaled = omega / np.outer(self.unit, self.unit)
        root = np.linalg.cholesky(scaled + 1e-4 * np.eye(self.q) * (np.linalg.eigvalsh(scaled)[0] < 1e-4))
        rows, columns = np.tril_indices(self.q)
        packed = root[rows, columns]
        packed[rows == columns] = np.log(packed[rows == columns])
        return np.append(gamma, packed)


def target(data: Grouped, prior: Prior, clones: int, nodes: int = 0) -> Target:
    """nodes: in each direction; 0 for as many as the number of random coefficients asks."""
    points, logs = grid(data.q, nodes)
    mean, precision = data.coordinates.prior(prior.mean, np.diag(1.0 / prior.variance))
    return Target(data, clones, mean, np.ascontiguousarray(precision), prior.variances, points, logs)


def approximate(of: Target, gamma: Floats, gamma_covariance: Floats, omega: Floats) -> Laplace:
    """The Laplace approximation with its proposal, from the maximum likelihood estimate."""
    root = math.sqrt(of.clones)
    p = of.data.p
    scale = np.append(np.sqrt(np.maximum(np.diag(gamma_covariance), 1e-12)), np.full(of.d - p, 0.3)) / root
    found = laplace(of, of.theta(gamma, omega), scale, widest=4.0 * root)
    proposal = mixture(of, found, of.tails if found.regular else (), scale)
    return Laplace(found.mode, found.factor, found.regular, proposal)


def run_chain(
    of: Target,
    approximation: Laplace,
    rng: np.random.Generator,
    progress: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    resume: Saved | None = None,
) -> Cloned:
    """`iterations` after `burnin`, every `thin`-th kept, from an overdispersed start. resume: go on from there, to
    `iterations` in all; rng is then not used."""
    g, d, p = of.data, of.d, of.data.p
    out = np.empty((iterations // thin, d))
    room = of.room()
    start = approximation.mode + 2.0 * approximation.factor @ rng.standard_normal(d)
    start[of.tails] = np.clip(start[of.tails], _LOW / 2, _HIGH - 1.0)
    if not np.isfinite(log_target(of.arrays, start, room)):
        start = approximation.mode.copy()
        room = of.room()
    walk = np.linalg.cholesky(approximation.covariance[:p, :p]) * (2.0 / math.sqrt(d))
    widths = 4.0 * np.sqrt(np.diag(approximation.covariance))
    every = SLICE_EVERY
    if not approximation.regular or len(approximation.proposal.logs) > 1:
        widths = np.maximum(widths, 2.0)
        every = _SLICES_OF_FACES if approximation.regular else 1
    standing = {"theta": start, "modes": room.modes, "counts": np.zeros(3), "heights": np.full(2, np.nan)}
    first = done = 0
    if resume is not None:
        rng, first, done = resume.generator(), resume.sweeps, resume.fill("out", out)
        for name, array in standing.items():
            array[...] = resume.arrays[name]
    counts = standing["counts"]
    sweeps = sample(
        rng, progress, start, of.arrays, room, approximation.proposal, walk, every, widths, first, burnin, iterations,
        thin, done, out, counts, standing["heights"],
    )  # fmt: skip
    done = max(sweeps - burnin, 0) // thin
    out = out[:done]
    now = saved(sweeps, rng, out=out, **standing)
    rows, columns = np.tril_indices(of.q)
    gamma = np.ascontiguousarray(out[:, :p])
    tried = max(counts[1], 1.0)
    return Cloned(
        g.coordinates.beta(gamma), of.omega(out)[:, rows, columns], np.full(done, np.nan), out, gamma,
        float(counts[0] / tried), float((counts[1] + counts[2]) / tried), now,
    )  # fmt: skip


@njit
def _log_prior(m: Any, theta: Any) -> float:
    p, q = len(m.mean), len(m.unit)
    total = 0.0
    at = p
    for a in range(q):
        for b in range(a + 1):
            if a == b:
                if not _LOW < theta[at] < _HIGH:
                    return -np.inf
                total += log_prior(m.variances[1], 2.0 * (math.log(m.unit[a]) + theta[at]))
            else:
                total -= 0.5 * theta[at] * theta[at] / m.variances[1, 2]
            at += 1
    for i in range(p):
        for j in range(p):
            total -= 0.5 * (theta[i] - m.mean[i]) * m.precision[i, j] * (theta[j] - m.mean[j])
    return total


@njit
def _at_root(m: Any, gamma: Any, w: Any) -> float:
    n, p = m.design.shape
    q = len(m.unit)
    for i in range(n):
        total = m.offset[i]
        for k in range(p):
            total += m.design[i, k] * gamma[k]
        w.fixed[i] = total
        for a in range(q):  # T'z
            w.scaled[i, a] = 0.0
            for e in range(a, q):
                w.scaled[i, a] += w.root[e, a] * m.z[i, e]
    return log_likelihood(m.link, m.y, m.trials, w.fixed, w.scaled, m.starts, m.points, m.logs, w.modes)


@njit
def likelihood(m: Any, theta: Any, w: Any) -> float:
    """Log likelihood of one copy at (γ, packed log-Cholesky)."""
    at = len(m.mean)
    for a in range(len(m.unit)):
        for b in range(a + 1):
            w.root[a, b] = m.unit[a] * (math.exp(theta[at]) if a == b else theta[at])
            at += 1
    return _at_root(m, theta, w)


@njit
def log_target(m: Any, theta: Any, w: Any) -> float:
    prior = _log_prior(m, theta)
    if not prior > -np.inf:
        return -np.inf
    return prior + m.clones * likelihood(m, theta, w)


@njit
def sample(
    rng: Any, progress: Any, theta: Any, m: Any, w: Any, proposal: Any, walk: Any, every: int, widths: Any, first: int,
    burnin: int, iterations: int, thin: int, kept: int, out: Any, tally: Any, heights: Any,
) -> int:  # fmt: skip
    """The iterations from `first` on, `kept` draws being there. Fills out (draw, d); tally: accepted and tried
    proposals, other evaluations. θ is where the chain stands, heights (2,) the log densities of target and proposal
    there (NaN: not known yet). Returns how many iterations are done."""
    d, p = len(theta), len(m.mean)
    other = np.empty(d)
    value, density = heights[0], heights[1]
    if np.isnan(value):
        value = log_target(m, theta, w)
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
            tally[0] += 1.0
        if sweep % every == 0:
            for _ in range(1 if every == SLICE_EVERY else 2):
                other[:] = theta
                for k in range(p):
                    step = rng.standard_normal()
                    for i in range(k, p):
                        other[i] += walk[i, k] * step
                new = log_target(m, other, w)
                tally[2] += 1.0
                if math.log(rng.random()) < new - value:
                    theta[:] = other
                    value = new
            for k in range(p, d):
                level = value + math.log(rng.random())
                here = theta[k]
                low = here - widths[k] * rng.random()
                high = low + widths[k]
                for side in range(2):
                    for _ in range(60):
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
            for k in range(d):
                out[kept, k] = theta[k]
            kept += 1
        heights[0], heights[1] = value, density
    return burnin + iterations
