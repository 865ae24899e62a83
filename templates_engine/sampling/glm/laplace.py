"""Maximum likelihood by the Laplace approximation: binomial, Poisson and negative binomial responses with any nested or
crossed classifications and random coefficients, or with none.

The effects are integrated out by a Normal approximation at their joint mode, in which the curvature is Fisher's
information, as in glmer of lme4 with nAGQ = 1 (Bates, Mächler, Bolker and Walker 2015; Breslow and Clayton 1993,
equation 5). β, the covariance factors T_c (Ω_c = T_c T_c') and the root of α are searched together with exact first
derivatives (glm.laplace_likelihood). Standard errors come from their differences, of two lengths that have to agree:
the whole observed information, as glmer has it. The likelihood is even in the diagonals of T_c and in the root of α, so
that zero is an ordinary point; whether it is the maximum, the likelihood's value there tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import optimize

from templates_engine.sampling import newton
from templates_engine.sampling.covariance_edges import factor_errors, reduced
from templates_engine.sampling.glm.data import grouped
from templates_engine.sampling.glm.families import CODES, constant
from templates_engine.sampling.glm.laplace_likelihood import laplace
from templates_engine.sampling.glm.negative_binomial import NEGATIVE_BINOMIAL, ends
from templates_engine.sampling.glm.quadrature_fit import fixed_only, scales
from templates_engine.sampling.normal import Factor, Floats, orthonormal
from templates_engine.sampling.sparse import eliminate

MOST_WORK = 4e7  # multiplications a step of Newton's method
MOST_CELLS = 2e7  # numbers held
_LARGE = 100.0  # a standard deviation on the scale of η: there the likelihood has no maximum
_SAME = 1e-8  # log likelihoods that differ by no more say the same


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
    edges: tuple[int, ...] = ()  # the classifications with a covariance matrix on its boundary
    sure: bool = True  # False: the search did not converge, or the Hessian is not that of a maximum
    gamma_covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))  # (p, p), orthonormal coordinates


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
    """Half the deviance, as a function of (δ, the L_c packed, the root of α).

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
        self.codes = [f.codes[turn] for f in factors]
        self.unit: list[Floats] = []  # by classification, a standard deviation that matters (_begins)
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
        self.counts, self.often = np.unique(self.data.y if negative else np.zeros(0), return_counts=True)
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
            self.effects[:] = 0.0  # what a failed search leaves is not for the next
            return value, np.zeros(self.p), [np.zeros_like(root) for root in roots], 0.0
        slopes: list[Floats] = [np.zeros(0)] * len(roots)
        lead = 0
        for c, z in zip(self.order, self.z, strict=True):
            q = self.sizes[c][1]
            slopes[c] = z.T @ by_effect[:, lead : lead + q]
            lead += q
        return value, self.data.q_matrix.T @ by_row, slopes, float(by_alpha[0])

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """(value, gradient); infinite where there is none."""
        roots = self.roots(theta)
        alpha = float(theta[-1]) ** 2 if self.negative else 0.0
        value, by_gamma, slopes, by_alpha = self.at(self.gamma(theta), roots, alpha)
        gradient = np.zeros(len(theta))
        if not np.isfinite(value):
            return math.inf, gradient
        gradient[: self.p] = self.spread.T @ by_gamma
        packed = [slope[np.tril_indices(len(slope))] for slope in slopes]
        gradient[self.p : self.p + len(self.diagonal)] = np.concatenate([np.zeros(0), *packed])
        if self.negative:
            rest, slope = ends(alpha, self.counts)
            value -= float(self.often @ rest)
            gradient[-1] = 2.0 * theta[-1] * (by_alpha - float(self.often @ slope))
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
    found = _search(criterion)
    if found is None:
        return _infinite(criterion, finite=True)
    found, free = _edges(criterion, found)
    theta, roots = found.at, criterion.roots(found.at)
    if any(np.abs(root).max() > _LARGE for root in roots):
        return _infinite(criterion)
    places = np.flatnonzero(free)
    exact = newton.verified(_held(criterion, theta, places), theta[places], found.hessian)
    inverse = None if exact is None else newton.inverse(exact)
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(places, places)] = np.nan if inverse is None else inverse
    value, _ = criterion(theta)
    turned = criterion.spread @ covariance[:p, :p] @ criterion.spread.T
    turn = criterion.data.coordinates.inverse @ criterion.spread
    beta_se = _root(np.einsum("ab,bc,ac->a", turn, covariance[:p, :p], turn))
    errors, edges, at = [], [], p
    for c, root in enumerate(roots):
        here = slice(at, at + len(root) * (len(root) + 1) // 2)
        at = here.stop
        if not free[here].all():
            edges.append(c)
        errors.append(factor_errors(root, covariance[here, here], c in edges, criterion.back[c]))
    alpha = alpha_se = math.nan
    if negative_binomial:
        alpha, alpha_se = float(theta[-1]) ** 2, math.nan
        if free[-1]:
            alpha_se = 2.0 * abs(float(theta[-1])) * float(_root(covariance[-1, -1]))
    return LaplaceFit(
        criterion.data.coordinates.beta(criterion.gamma(theta)), beta_se,
        tuple(b @ r @ r.T @ b.T for r, b in zip(roots, criterion.back, strict=True)), tuple(errors), alpha, alpha_se,
        2.0 * value, criterion.modes(roots), True, not bool(free.all()), tuple(edges),
        found.converged and inverse is not None,
        criterion.one.gamma_covariance if inverse is None else turned,
    )  # fmt: skip


def _begins(criterion: Criterion) -> list[Floats]:
    """Where to begin: variances by moments of what the fit without effects leaves, then fractions of them."""
    data, p = criterion.data, criterion.p
    sds = []
    criterion.unit = []
    by_place = dict(zip(criterion.order, criterion.z, strict=True))
    for c, (_, q) in enumerate(criterion.sizes):
        unit, moment = scales(data, criterion.one, by_place[c], criterion.codes[c])
        criterion.unit.append(unit)
        sds.append(np.diag(np.minimum(moment, 20.0))[np.tril_indices(q)])
    packed = np.concatenate([np.zeros(0), *sds])
    tail = np.zeros(0)
    if criterion.negative:
        mean = np.exp(data.offset + data.q_matrix @ criterion.one.gamma)
        excess = float(np.sum((data.y - mean) ** 2 - data.y)) / float(np.sum(mean**2))
        tail = np.sqrt([min(max(excess, 0.1 / float(mean.mean())), 20.0)])
    return [
        np.concatenate([np.zeros(p), share * packed, other * tail])
        for share, other in ((1.0, 1.0), (0.3, 0.7), (1.0, 0.3), (0.05, 1.0))[: 4 if len(packed) else 2]
    ]


def _search(criterion: Criterion) -> newton.Found | None:
    """Quasi-Newton in units of the curvature at the beginning, then Newton's method until no slope is left; from the
    next beginnings where that does not end in a least value."""
    ranked = sorted(
        ((criterion(theta)[0], k, theta) for k, theta in enumerate(_begins(criterion))), key=lambda one: one[:2]
    )
    best: newton.Found | None = None
    for value, _, theta in ranked:
        if not np.isfinite(value):
            continue
        scale = np.concatenate([np.ones(criterion.p), 0.3 * np.maximum(np.abs(theta[criterion.p :]), 1e-6)])
        scale[criterion.p :] = np.maximum(scale[criterion.p :], 0.1 * np.abs(theta[criterion.p :]).max(initial=1e-6))
        begin = _quasi(criterion, theta, scale)
        found = newton.minimise(newton.differenced(criterion, scale), begin, most=60)
        if best is None or (found.converged, -found.value) > (best.converged, -best.value):
            best = found
        if best.converged:
            break
    return best


def _quasi(criterion: Criterion, theta: Floats, scale: Floats) -> Floats:
    hessian = newton.by_differences(criterion, theta, 0.02 * scale)
    turn = np.diag(scale)
    if np.all(np.isfinite(hessian)):
        curved, axes = np.linalg.eigh(hessian * np.outer(scale, scale))
        turn = scale[:, None] * axes / np.sqrt(np.maximum(np.abs(curved), 1e-3))

    def turned(w: Floats) -> tuple[float, Floats]:
        value, gradient = criterion(theta + turn @ w)
        return (value, turn.T @ gradient) if np.isfinite(value) else (1e300, np.zeros(len(w)))

    found: Any = optimize.minimize(
        turned, np.zeros(len(theta)), jac=True, method="L-BFGS-B", options={"ftol": 1e-11, "gtol": 1e-5, "maxiter": 300}
    )
    there: Floats = theta + turn @ found.x
    return there if np.isfinite(criterion(there)[0]) else theta


def _held(criterion: Criterion, theta: Floats, places: Any) -> newton.Gradient:
    """The criterion as a function of some of its parameters."""

    def function(some: Floats) -> tuple[float, Floats]:
        every = theta.copy()
        every[places] = some
        value, gradient = criterion(every)
        return value, gradient[places]

    return function


def _edges(criterion: Criterion, found: newton.Found) -> tuple[newton.Found, Any]:
    """Covariance matrices of lower rank, and α = 0, where the likelihood is no lower there: (the maximum, a mask of the
    parameters that are free); `hessian` is that of the free ones."""
    free, at = np.ones(len(found.at), dtype=bool), criterion.p
    for c, root in enumerate(criterion.roots(found.at)):
        here = slice(at, at + len(root) * (len(root) + 1) // 2)
        at = here.stop
        edge = reduced(root / criterion.unit[c][:, None])
        if edge is not None:
            found, free = _try(
                criterion, found, free, here, (edge * criterion.unit[c][:, None])[np.tril_indices(len(root))]
            )
    if criterion.negative and found.at[-1] ** 2 * float(np.mean(criterion.data.y)) < 1.0:
        found, free = _try(criterion, found, free, slice(len(free) - 1, len(free)), np.zeros(1))
    return found, free


def _try(criterion: Criterion, found: newton.Found, free: Any, here: slice, values: Floats) -> tuple[newton.Found, Any]:
    """With these parameters at `values`, zeros held: that if the likelihood is no lower, else what there was."""
    theta, mask = found.at.copy(), free.copy()
    theta[here], mask[here] = values, values != 0.0
    places = np.flatnonzero(mask)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(found.hessian)), 1e-300))
    whole = np.ones(len(theta))
    whole[np.flatnonzero(free)] = scale
    again = newton.minimise(newton.differenced(_held(criterion, theta, places), whole[places]), theta[places], most=60)
    if not again.converged or not again.value <= found.value + _SAME:
        return found, free
    theta[places] = again.at
    return newton.Found(theta, again.value, again.gradient, again.hessian, True), mask


def _root(variance: Any) -> Floats:
    """Standard errors; NaN where the likelihood is not curved downwards."""
    return np.asarray(np.sqrt(np.where(variance > 0, variance, np.nan)), dtype=float)


def _infinite(criterion: Criterion, *, finite: bool = False) -> LaplaceFit:
    """What there is when there is no maximum, or (finite) none was found: the fit without effects."""
    one, nan = criterion.one, math.nan
    return LaplaceFit(
        one.beta, np.full(criterion.p, nan), tuple(np.full((q, q), nan) for _, q in criterion.sizes),
        tuple(np.full(q * (q + 1) // 2, nan) for _, q in criterion.sizes), nan, nan, nan,
        tuple(np.zeros(size) for size in criterion.sizes), finite, False, (), False,
        one.gamma_covariance,
    )  # fmt: skip
