"""Data cloning of the Normal model: chains on the variances alone, at a cost that K clones do not raise.

The target is the posterior of the variances under the K-fold likelihood with all group effects and the coefficients
integrated out, K log L(β, Ω, σ²) + log prior over β in closed form; β is then drawn exactly given the variances.
(Collapsing: Liu 1994, JASA 89, 958-966; the same law as Gibbs sampling on K copies of the data, Lele, Dennis and
Lutscher 2007.) Coordinates, all unbounded:

    a random intercept   s = log(σ² + c τ²), ρ = log(τ² / σ²); c the mean group size. With groups of one the likelihood
                         depends on s alone, and the ridge of what cannot be estimated is a straight line along ρ.
    otherwise            log σ², and for each classification the log-Cholesky factor of Ω_c/σ² in units of the columns
    effects as parameters (no smoothing)   log σ²; the effects' variance is that of their prior

One iteration: an independence proposal (Student with 8 degrees of freedom at the mode, and a part for each face on
which a variance vanishes, cloning.boundary_proposals), and every eighth time slice sampling of each coordinate with
stepping out (Neal 2003, Annals of Statistics 31, 705-767). Where the target has not one interior mode, a wide
independence proposal of one logarithm of a standard deviation is added, which reaches the far end of a ridge in one
step, and there are more slices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.cloning.boundary_proposals import mixture
from templates_engine.sampling.cloning.joined_groups import Cells, cells
from templates_engine.sampling.cloning.laplace_proposal import Laplace, laplace
from templates_engine.sampling.cloning.normal_kernel import SLICE_EVERY, Arrays, Room, log_target, marginal, sample
from templates_engine.sampling.cloning.priors import LOG_SD, Prior
from templates_engine.sampling.normal import Coordinates, Floats, Statistics
from templates_engine.sampling.saving import Saved, saved
from templates_engine.sampling.sparse import Classes, Pattern, Work

_FAR = 25.0  # log density below the mode at which a tail is not worth a visit
_SLICES_OF_FACES = 4  # iterations, where the proposal has parts for the faces


@dataclass(frozen=True)
class Cloned:
    """One chain: natural parameters of each kept draw."""

    beta: Floats  # (draw, p)
    omega: Floats  # (draw, ·) packed lower triangles of Ω_1, Ω_2, …; (draw, 1) of zeros without smoothing
    sigma2: Floats  # (draw,)
    theta: Floats  # (draw, d) coordinates of the sampler
    gamma: Floats  # (draw, p) coefficients in orthonormal coordinates
    accepted: float  # share of the independence proposals
    evaluations: float = math.nan  # of the likelihood, an iteration
    saved: Saved | None = None  # where it stands, to go on from


@dataclass(frozen=True)
class Target:
    """The K-fold posterior of one model. `fixed`: variance of effects that are parameters; 0 with smoothing."""

    data: Cells | Classes
    coordinates: Coordinates
    clones: int
    mean: Floats  # (p,) prior of γ
    precision: Floats  # (p, p)
    variances: Floats  # (2, 3)
    unit: tuple[Floats, ...]  # by classification: of the random coefficients relative to σ
    spread: float
    fixed: float

    @property
    def n(self) -> int:
        return self.data.n

    @property
    def p(self) -> int:
        return self.data.p

    @property
    def q(self) -> tuple[int, ...]:
        """Random coefficients, by classification."""
        return tuple(len(u) for u in self.unit)

    @property
    def single(self) -> bool:
        """One random intercept, which has coordinates of its own."""
        return isinstance(self.data, Cells) and self.q == (1,)

    @property
    def d(self) -> int:
        return 1 if self.fixed > 0 else 2 if self.single else 1 + sum(q * (q + 1) // 2 for q in self.q)

    @cached_property
    def tails(self) -> list[int]:
        """Coordinates that go to minus infinity where a variance vanishes."""
        if self.fixed > 0 or self.single:
            return [] if self.fixed > 0 else [1]
        found, at = [], 1
        for q in self.q:
            rows, columns = np.tril_indices(q)
            found += [at + int(k) for k in np.flatnonzero(rows == columns)]
            at += len(rows)
        return found

    @cached_property
    def arrays(self) -> Arrays:
        data = self.data
        several = isinstance(data, Classes)
        size = np.array(self.q, dtype=np.int64)
        if isinstance(data, Classes):
            parts = (np.zeros((0, 1, 1)), np.zeros(0), np.zeros((0, 1, 1, 1, 1)), np.zeros((0, 0)), data.pattern)
            root = np.zeros(len(size), dtype=np.int64)
            root[list(data.order)] = data.pattern.root
        else:
            parts = (data.triangles, data.counts, data.moments, data.base, _NO_PATTERN)
            root = np.zeros(1, dtype=np.int64)
        return Arrays(
            several, data.n, float(self.clones), *parts, size, root, np.concatenate(self.unit), self.spread, self.fixed,
            self.mean, self.precision, self.variances, np.array(self.tails, dtype=np.int64), self._below,
        )  # fmt: skip

    @property
    def _below(self) -> npt.NDArray[np.int64]:
        """(tails, d) coordinates under each tail in its column of the factor, -1 behind them."""
        found = np.full((max(len(self.tails), 1), self.d), -1)
        if self.fixed > 0 or self.single:
            return found
        at, row = 1, 0
        for q in self.q:
            rows, columns = np.tril_indices(q)
            for k in range(q):
                under = at + np.flatnonzero((columns == k) & (rows > k))
                found[row, : len(under)] = under
                row += 1
            at += len(rows)
        return found

    def room(self) -> Room:
        data, p, q = self.data, self.p, max(self.q)
        inner = data.room() if isinstance(data, Classes) else _NO_ROOM
        total = sum(k * k for k in self.q)
        return Room(np.zeros(total), np.zeros((q, q)), np.empty((p + 1, p + 1)), np.empty(p), inner)

    def __call__(self, theta: Floats) -> float:
        """Log density of θ, γ integrated out; the constants in the data are kept."""
        return float(log_target(self.arrays, np.ascontiguousarray(theta, dtype=float), self._room))

    @cached_property
    def _room(self) -> Room:
        return self.room()

    def reduced(self, roots: Sequence[Floats]) -> tuple[Floats, float]:
        """(R, log|V|) at relative factors T_c by classification: -2 log L = n log 2πσ² + log|V| + (γ,-1)R(γ,-1)'/σ²."""
        room = self._room
        for root, at in zip(roots, self.arrays.root, strict=True):
            room.roots[at : at + root.size] = root.ravel()
        logs = float(marginal(self.arrays, room))
        return room.matrix.copy(), logs

    def natural(self, theta: Floats) -> tuple[Floats, Floats]:
        """(packed Ω (S, ·), σ² (S,)) of coordinates (S, d)."""
        if self.fixed > 0:
            return np.full((len(theta), 1), self.fixed), np.exp(theta[:, 0])
        if self.single:
            sigma2 = np.exp(theta[:, 0] - np.log1p(self.spread * np.exp(theta[:, 1])))
            return (sigma2 * np.exp(theta[:, 1]))[:, None], sigma2
        sigma2 = np.exp(theta[:, 0])
        found, at = [], 1
        for unit in self.unit:
            q = len(unit)
            rows, columns = np.tril_indices(q)
            values = theta[:, at : at + len(rows)].copy()
            at += len(rows)
            values[:, rows == columns] = np.exp(values[:, rows == columns])
            factors = np.zeros((len(theta), q, q))
            factors[:, rows, columns] = values
            factors *= unit[None, :, None]
            omega = factors @ factors.transpose(0, 2, 1) * sigma2[:, None, None]
            found.append(omega[:, rows, columns])
        return np.concatenate(found, axis=1), sigma2

    def theta(self, omega: Sequence[Floats], sigma2: float) -> Floats:
        """Coordinates of variances; a variance of zero becomes a very small one."""
        if self.fixed > 0:
            return np.array([math.log(sigma2)])
        if self.single:
            rho = math.log(max(float(omega[0][0, 0]) / sigma2, 1e-6 * self.unit[0][0] ** 2))
            return np.array([math.log(sigma2) + math.log1p(self.spread * math.exp(rho)), rho])
        parts = [np.array([math.log(sigma2)])]
        for matrix, unit in zip(omega, self.unit, strict=True):
            relative = matrix / sigma2 / np.outer(unit, unit) + 1e-4 * np.eye(len(unit))
            factor = np.linalg.cholesky(relative)
            rows, columns = np.tril_indices(len(unit))
            packed = factor[rows, columns]
            packed[rows == columns] = np.log(packed[rows == columns])
            parts.append(packed)
        return np.concatenate(parts)


_I, _F = np.zeros(0, dtype=np.int64), np.zeros(0)
_NO_PATTERN = Pattern(_I, _I, _I, _I, _I, _I, _I, _F, np.zeros((0, 0)), np.zeros((0, 0)), 0, _I, _I, _I, _I)
_NO_ROOM = Work(_F, _F, _I, np.zeros((0, 0)), _F, np.zeros((0, 0)))


def target(
    data: Statistics | Classes, prior: Prior, clones: int, *, fixed: float = 0.0, joined: Cells | None = None
) -> Target:
    """The target of K clones. With `fixed` the clones share the effects, which have N(0, fixed) as a prior.

    `joined`: the cells of the statistics, where they are there already.
    """
    mean, precision = data.coordinates.prior(prior.mean, np.diag(1.0 / prior.variance))
    several = isinstance(data, Classes)
    if prior.group[0] != LOG_SD and (several or data.q > 1):  # type: ignore[operator]
        raise ValueError("several random coefficients need the prior on log standard deviations")
    precision = np.ascontiguousarray(precision)
    if isinstance(data, Classes):
        return Target(data, data.coordinates, clones, mean, precision, prior.variances, data.unit, 1.0, 0.0)
    joined = cells(data) if joined is None else joined
    unit = np.sqrt(data.n / np.maximum(np.sum(data.triangles**2, axis=(0, 1)), 1e-300))
    spread = joined.spread
    if fixed > 0:
        joined, clones = joined.sharing(clones), 1
    return Target(joined, data.coordinates, clones, mean, precision, prior.variances, (unit,), spread, fixed)


def approximate(of: Target, omega: Floats | Sequence[Floats], sigma2: float) -> Laplace:
    """The Laplace approximation, from a likelihood estimate: Ω, or Ω_1, Ω_2, …, and σ²."""
    start = of.theta([omega] if isinstance(omega, np.ndarray) else omega, sigma2)
    size = of.n * of.clones
    scale = np.full(of.d, max(1.0 / math.sqrt(size), 1e-3)) * 3.0
    found = laplace(of, start, scale, widest=30.0)
    if of.fixed > 0:
        return found
    if not of.single:
        proposal = mixture(of, found, of.tails, scale)
        return Laplace(found.mode, found.factor, found.regular and len(proposal.logs) == 1, proposal)
    if not found.regular:
        return found
    # The prior of log τ hardly falls: is the far end of small (or of large) ρ worth a visit?
    far = [of(np.array([found.mode[0], found.mode[1] + step])) for step in (-60.0, 60.0)]
    far.append(max(of(np.array([found.mode[0] + ds, found.mode[1] - 60.0])) for ds in np.linspace(-3, 3, 61)))
    return Laplace(found.mode, found.factor, max(far) < of(found.mode) - _FAR)


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
    """`iterations` after `burnin`, every `thin`-th kept, started from an overdispersed draw around the mode. resume: go
    on from there, to `iterations` in all; rng is then not used."""
    d = of.d
    room = of.room()  # the target's own is shared between chains
    out = np.empty((iterations // thin, d + of.p))
    start = np.empty(d)
    for _ in range(100):
        start[:] = approximation.mode + 2.0 * approximation.factor @ rng.standard_normal(d)
        if np.isfinite(log_target(of.arrays, start, room)):
            break
    else:
        start[:] = approximation.mode
    counts = np.zeros(3)
    widths = np.maximum(4.0 * np.sqrt(np.diag(approximation.covariance)), 1e-3)
    if not approximation.regular:
        widths = np.maximum(widths, 1.0)
        if of.single:
            widths[1] = 20.0
        elif d > 2:
            widths = np.maximum(widths, 2.0)
    proposal, every = approximation.proposal, SLICE_EVERY
    if not approximation.regular:
        every = 1 if proposal is None else _SLICES_OF_FACES
    if proposal is None:
        proposal = mixture(of, approximation, (), np.ones(d))
    first = done = 0
    if resume is not None:
        rng, first, done = resume.generator(), resume.sweeps, resume.fill("out", out)
        start[:], counts[:] = resume.arrays["theta"], resume.arrays["counts"]
    sweeps = sample(
        rng, progress, start, of.arrays, room, proposal, approximation.mode, approximation.regular, every, widths,
        first, burnin, iterations, thin, done, out, counts,
    )  # fmt: skip
    done = max(sweeps - burnin, 0) // thin
    out = out[:done]
    now = saved(sweeps, rng, out=out, theta=start, counts=counts)
    theta, gamma = out[:, :d], out[:, d:]
    omega, sigma2 = of.natural(theta)
    if of.fixed > 0:
        omega = np.zeros((done, 1))
    tried = max(counts[1], 1.0)
    return Cloned(
        of.coordinates.beta(gamma), omega, sigma2, theta, gamma, float(counts[0] / tried),
        float((counts[1] + counts[2]) / tried), now,
    )  # fmt: skip
