"""Maximum likelihood by the Laplace approximation: binomial, Poisson and negative binomial responses with any nested or
crossed classifications and random coefficients, or with none.

The effects are integrated out by a Normal approximation at their joint mode, in which the curvature is Fisher's
information, as in glmer of lme4 with nAGQ = 1 (Bates, Mächler, Bolker and Walker 2015; Breslow and Clayton 1993,
equation 5). β, the covariance factors T_c (Ω_c = T_c T_c') and log α are searched together with exact first derivatives
(glm.laplace_likelihood). Standard errors come from their differences: the whole observed information, as glmer has
them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from templates_engine.sampling.glm.data import grouped
from templates_engine.sampling.glm.families import CODES, constant
from templates_engine.sampling.glm.laplace_likelihood import laplace
from templates_engine.sampling.glm.negative_binomial import NEGATIVE_BINOMIAL
from templates_engine.sampling.glm.quadrature_fit import fixed_only
from templates_engine.sampling.normal import Factor, Floats, orthonormal
from templates_engine.sampling.sparse import eliminate

MOST_WORK = 4e7  # multiplications a step of Newton's method
MOST_CELLS = 2e7  # numbers held
MOST_STEPS = 30
DIRECT = 100_000  # counts up to this have their sum over k < y taken term by term
_SMALL = 5e-3  # a standard deviation on the scale of η that counts as zero
_LARGE = 50.0
_ALPHA = (math.log(1e-6), math.log(1e4))


@dataclass(frozen=True)
class LaplaceFit:
    """Maximum likelihood estimates. `finite` False: the likelihood has no maximum at finite values (separation), and
    the coefficients are those of a fit without effects, where it stopped."""

    beta: Floats  # (p,)
    beta_se: Floats
    omega: tuple[Floats, ...]  # (q, q) by classification
    omega_se: tuple[Floats, ...]  # packed lower triangles; NaN on the boundary
    alpha: float  # NaN but for a negative binomial response
    alpha_se: float
    deviance: float  # -2 log likelihood, all constants kept
    modes: tuple[Floats, ...]  # (J, q) of the effects
    finite: bool
    singular: bool  # a covariance matrix on its boundary, or α at zero


def affordable(p: int, factors: Sequence[Factor]) -> bool:
    """Whether `fit` takes seconds at most; p is the number of coefficients."""
    parameters = p + sum(f.q * (f.q + 1) // 2 for f in factors)
    if not factors:
        return True
    n = len(factors[0].codes)
    shape = eliminate(factors, n)
    work = 2.0 * shape.work + n * (5.0 + sum(f.q for f in factors)) ** 2
    return shape.cells <= MOST_CELLS and work * (1.0 + parameters / 20.0) <= MOST_WORK


class Criterion:
    """Half the deviance, as a function of (δ, the L_c packed, log α).

    γ = start + spread δ; T_c = R_c^-1 L_c with L_c lower triangular and Z_c = Q_c R_c, Q'Q = n I, so that neither the
    units of a random coefficient nor where its zero lies (a year such as 2001) make the search any harder.
    """

    def __init__(
        self, link: str, y: Floats, x: Floats, factors: Sequence[Factor], trials: Floats | None,
        offset: Floats | None, negative: bool,
    ):  # fmt: skip
        n = len(y)
        self.shape = eliminate(factors, n)
        turn, self.order, self.sizes = self.shape.turn, self.shape.order, [(f.groups, f.q) for f in factors]
        sort = [None if v is None else np.asarray(v, dtype=float)[turn] for v in (trials, offset)]
        self.data = grouped(link, y[turn], x[turn], trials=sort[0], offset=sort[1])
        self.one = fixed_only(self.data)
        self.negative = negative
        both = [orthonormal(f.z) for f in factors]
        self.z = [np.ascontiguousarray(both[c][0][turn]) for c in self.order]
        self.back = [np.asarray(np.linalg.inv(triangle), dtype=float) for _, triangle in both]  # R_c^-1
        self.p = self.data.p
        self.spread = np.linalg.cholesky(self.one.gamma_covariance + 1e-12 * np.eye(self.p))
        code = NEGATIVE_BINOMIAL if negative else CODES[link]
        self.pattern, self.matrix = self.shape.pattern(code, self.data.y, self.data.trials), self.shape.matrix()
        self.effects = np.zeros(self.shape.count)
        self.constant = constant(CODES[link], self.data.y, self.data.trials)
        counts = self.data.y if negative else np.zeros(0)
        self.large = counts[counts > DIRECT]
        few = counts[counts <= DIRECT].astype(np.int64)
        # how many are above 0, above 1, ...
        self.above = np.cumsum(np.bincount(few)[:0:-1])[::-1] if len(few) else few
        self.diagonal = np.concatenate(
            [np.zeros(0, dtype=bool), *(np.eye(q, dtype=bool)[np.tril_indices(q)] for _, q in self.sizes)]
        )

    def roots(self, theta: Floats) -> list[Floats]:
        """L_c by classification."""
        found, at = [], self.p
        for _, q in self.sizes:
            root = np.zeros((q, q))
            size = q * (q + 1) // 2
            root[np.tril_indices(q)] = theta[at : at + size]
            found.append(root)
            at += size
        return found

    def gamma(self, theta: Floats) -> Floats:
        return self.one.gamma + self.spread @ theta[: self.p]

    def at(
        self, gamma: Floats, roots: Sequence[Floats], alpha: float = 0.0
    ) -> tuple[float, Floats, list[Floats], float]:
        """(value without the terms in α and y alone, its gradient in γ, in each root (q, q), in α). The roots are the
        L_c, or any other matrices F_c with R_c^-1 F_c F_c'R_c^-T = Ω_c. The value is not finite where there is none."""
        n = self.data.n
        parts = [z @ roots[c] for c, z in zip(self.order, self.z, strict=True)]
        turned = np.ascontiguousarray(np.concatenate(parts, axis=1)) if parts else np.zeros((n, 0))
        by_row, by_effect, by_alpha = np.empty(n), np.empty(turned.shape), np.zeros(1)
        fixed = self.data.offset + self.data.q_matrix @ gamma
        value = laplace(self.pattern, alpha, fixed, turned, self.effects, self.matrix, by_row, by_effect, by_alpha)
        if not np.isfinite(value):
            self.effects[:] = 0.0
            return value, np.zeros(self.p), [np.zeros_like(root) for root in roots], 0.0
        slopes: list[Floats] = [np.zeros(0)] * len(roots)
        lead = 0
        for c, z in zip(self.order, self.z, strict=True):
            q = self.sizes[c][1]
            slopes[c] = z.T @ by_effect[:, lead : lead + q]
            lead += q
        return value, self.data.q_matrix.T @ by_row, slopes, float(by_alpha[0])

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """(value, gradient); a huge value where there is none."""
        roots = self.roots(theta)
        alpha = math.exp(theta[-1]) if self.negative else 0.0
        value, by_gamma, slopes, by_alpha = self.at(self.gamma(theta), roots, alpha)
        gradient = np.zeros(len(theta))
        if not np.isfinite(value):
            return 1e300, gradient
        gradient[: self.p] = self.spread.T @ by_gamma
        packed = [slope[np.tril_indices(len(slope))] for slope in slopes]
        gradient[self.p : self.p + len(self.diagonal)] = np.concatenate([np.zeros(0), *packed])
        if self.negative:  # Σ_i Σ_{k < y_i} log(1 + αk), and its derivative
            k, r = np.arange(len(self.above)), 1.0 / alpha
            rising = special.gammaln(r + self.large) - special.gammaln(r) - self.large * math.log(r)
            slope = r * self.large - r * r * (special.digamma(r + self.large) - special.digamma(r))
            value -= float(self.above @ np.log1p(alpha * k) + rising.sum())
            gradient[-1] = alpha * (by_alpha - float(self.above @ (k / (1.0 + alpha * k)) + slope.sum()))
        return value - self.constant, gradient  # not far from 0, so that its relative change says something

    def modes(self, roots: Sequence[Floats]) -> tuple[Floats, ...]:
        """u_c = T_c b_c by classification, at the parameters of the last call; roots: L_c."""
        found: list[Floats] = [np.zeros(0)] * len(roots)
        for first, c in zip(self.shape.first, self.order, strict=True):
            spherical = self.effects[first[:, None] + np.arange(self.sizes[c][1])]
            found[c] = spherical @ (self.back[c] @ roots[c]).T
        return tuple(found)


def fit(
    link: str,
    y: Floats,
    x: Floats,
    factors: Sequence[Factor],
    *,
    trials: Floats | None = None,
    offset: Floats | None = None,
    negative_binomial: bool = False,
) -> LaplaceFit:
    """The maximum likelihood estimates; `factors` may be empty. link: logit, probit, cloglog, or log for counts.
    y, trials and offset (n,), x (n, p). Raises CollinearError when the columns of x are dependent."""
    criterion = Criterion(link, y, x, factors, trials, offset, negative_binomial)
    one, p = criterion.one, criterion.p
    if not one.finite:
        return _infinite(criterion)
    free = criterion.diagonal
    tail = [_ALPHA] if negative_binomial else []
    bounds = [(None, None)] * p + [(0.0 if d else -_LARGE, _LARGE) for d in free] + tail
    best: Any = None
    for sd in (0.5, 0.05) if len(free) else (0.5,):
        start = np.concatenate([np.zeros(p), np.where(free, sd, 0.0), np.full(len(tail), math.log(0.5))])
        found = optimize.minimize(
            criterion, start, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-6, "maxiter": 500},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-6:
            best = found
    theta = np.asarray(best.x, dtype=float)
    flat, at = np.zeros(len(theta), dtype=bool), p  # parameters on the boundary
    for c, (_, q) in enumerate(criterion.sizes):
        root = criterion.roots(theta)[c]
        here = slice(at, at + q * (q + 1) // 2)
        at = here.stop
        flat[here] = np.linalg.svd(root, compute_uv=False)[-1] < _SMALL
        if np.linalg.norm(root) < _SMALL:
            theta[here] = 0.0
    without = negative_binomial and math.exp(theta[-1]) * float(np.mean(y)) < 1e-4  # no more variation than Poisson
    flat[-1:] |= without
    theta, covariance = _settle(criterion, theta, ~flat)
    value, _ = criterion(theta)
    roots = criterion.roots(theta)
    modes = criterion.modes(roots)
    turn = criterion.data.coordinates.inverse @ criterion.spread
    beta_se = _root(np.einsum("ab,bc,ac->a", turn, covariance[:p, :p], turn))
    omega_se, at = [], p
    for c, root in enumerate(roots):
        size = len(root) * (len(root) + 1) // 2
        omega_se.append(_omega_se(root, criterion.back[c], covariance[at : at + size, at : at + size], flat[at]))
        at += size
    nan = float("nan")
    alpha = (0.0 if without else math.exp(theta[-1])) if negative_binomial else nan
    alpha_se = alpha * float(_root(covariance[-1, -1])) if negative_binomial and not without else nan
    inside = bool(np.all(np.abs(theta[p : p + len(free)]) < _LARGE - 1e-6))
    return LaplaceFit(
        criterion.data.coordinates.beta(criterion.gamma(theta)), beta_se,
        tuple(b @ r @ r.T @ b.T for r, b in zip(roots, criterion.back, strict=True)), tuple(omega_se), alpha, alpha_se,
        2.0 * value, modes,
        inside and value < 1e299, bool(flat.any()),
    )  # fmt: skip


def _settle(criterion: Criterion, theta: Floats, free: Any) -> tuple[Floats, Floats]:
    """(θ after Newton's method in its free part, the covariance matrix of that part, zero elsewhere).

    One step as a rule, for the Hessian is needed anyway; more where the search before stopped on the way. Second
    derivatives are differences of first ones; where they are negative their size is taken.
    """
    places = np.flatnonzero(free)
    covariance = np.zeros((len(theta), len(theta)))
    for _ in range(MOST_STEPS):
        value, gradient = criterion(theta)
        hessian = np.empty((len(places), len(places)))
        for row, k in enumerate(places):
            step = 1e-3 * np.eye(len(theta))[k]
            hessian[row] = (criterion(theta + step)[1] - criterion(theta - step)[1])[places] / 2e-3
        curved, axes = np.linalg.eigh((hessian + hessian.T) / 2.0)
        curved[np.abs(curved) < 1e-12 * np.abs(curved).max(initial=1e-300)] = np.inf  # nothing moves along these
        covariance[np.ix_(places, places)] = (axes / curved) @ axes.T
        move = np.zeros(len(theta))
        move[places] = -(axes / np.abs(curved)) @ (axes.T @ gradient[places])
        size, decrement = 1.0, -float(move @ gradient)
        while size > 1e-6 and not criterion(theta + size * move)[0] <= value:
            size /= 2.0
        if size > 1e-6:
            theta = theta + size * move
        if size <= 1e-6 or decrement < 1e-8:
            break
    return theta, covariance


def _root(variance: Any) -> Floats:
    """Standard errors; NaN where the likelihood is not curved downwards."""
    return np.asarray(np.sqrt(np.where(variance > 0, variance, np.nan)), dtype=float)


def _omega_se(root: Floats, back: Floats, covariance: Floats, flat: bool) -> Floats:
    """Standard errors of the packed Ω = R^-1 LL'R^-T from the covariance of L, by the delta method."""
    q = len(root)
    rows, columns = np.tril_indices(q)
    if flat:
        return np.full(len(rows), np.nan)
    jacobian = np.empty((len(rows), len(rows)))
    for k, (a, b) in enumerate(zip(rows, columns, strict=True)):
        change = np.zeros((q, q))
        change[a, b] = 1.0
        change = back @ change @ root.T @ back.T
        jacobian[:, k] = (change + change.T)[rows, columns]
    return _root(np.einsum("ab,bc,ac->a", jacobian, covariance, jacobian))


def _infinite(criterion: Criterion) -> LaplaceFit:
    """What there is when coefficients run off: the fit without effects, where it stopped."""
    one, nan = criterion.one, float("nan")
    return LaplaceFit(
        one.beta, one.beta_se, tuple(np.full((q, q), nan) for _, q in criterion.sizes),
        tuple(np.full(q * (q + 1) // 2, nan) for _, q in criterion.sizes), nan, nan, one.deviance,
        tuple(np.zeros(size) for size in criterion.sizes), False, False,
    )  # fmt: skip
