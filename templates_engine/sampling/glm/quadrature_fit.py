"""Maximum likelihood for binomial and Poisson models: with one level by Fisher scoring, with one classification by
adaptive Gauss-Hermite quadrature (glm.marginal) and Newton's method with exact second derivatives.

The search is in γ and the triangular factor T of Ω = T T', in which the likelihood is even: a variance of zero is an
ordinary point of it. Whether it is the maximum the likelihood tells, by its value there and its slope, whatever the
size of the variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from templates_engine.sampling import newton
from templates_engine.sampling.covariance_edges import factor_errors, reduced
from templates_engine.sampling.glm.data import Grouped
from templates_engine.sampling.glm.families import constant, informations, rows
from templates_engine.sampling.glm.marginal import likelihood, product_rule
from templates_engine.sampling.glm.separation import separated
from templates_engine.sampling.normal import Floats, Ints

NODES = 15
GRID: tuple[int, ...] = (0, NODES, 9, 7)  # nodes in each direction, for 1, 2 or 3 random coefficients
_LARGEST = 100.0  # a standard deviation on the scale of η: there the likelihood has no maximum
_SAME = 1e-8  # log likelihoods that differ by no more say the same


@dataclass(frozen=True)
class GlmFit:
    """Estimates; NaN among the standard errors of variances on the boundary."""

    gamma: Floats  # (p,) in orthonormal coordinates
    beta: Floats  # (p,)
    beta_se: Floats  # NaN where the likelihood is not curved downwards
    gamma_covariance: Floats  # (p, p)
    omega: Floats  # (q, q); (0, 0) without groups
    omega_se: Floats  # packed
    modes: Floats  # (J, q) of the group effects
    deviance: float  # -2 log likelihood, all constants kept
    finite: bool  # False: no maximum at finite coefficients (separation) or variances
    singular: bool = False  # Ω on its boundary
    sure: bool = True  # False: the search did not converge, or the Hessian is not that of a maximum

    @property
    def sigma2_u(self) -> float:
        """Of a random intercept; NaN without groups."""
        return float(self.omega[0, 0]) if len(self.omega) else float("nan")

    @property
    def sigma2_u_se(self) -> float:
        return float(self.omega_se[0]) if len(self.omega_se) else float("nan")


def fit(data: Grouped, nodes: int = 0) -> GlmFit:
    """The maximum likelihood estimates with one level or one classification with q ≤ 3 random coefficients; nodes in
    each direction, GRID's if not given."""
    one = fixed_only(data)
    return one if not data.groups or not one.finite else _quadrature(data, one, nodes or GRID[data.q])


def fixed_only(data: Grouped) -> GlmFit:
    """Fisher scoring with step halving; groups are left out."""
    gamma = np.zeros(data.p)
    start = _start(data)
    gamma = data.q_matrix.T @ (start - data.offset) / data.n
    score, weight, eta = np.empty(data.n), np.empty(data.n), data.offset + data.q_matrix @ gamma
    value = rows(data.link, data.y, data.trials, eta, score, 0, data.n)
    converged = False
    for _ in range(100):
        informations(data.link, data.trials, eta, weight)
        matrix = (data.q_matrix * weight[:, None]).T @ data.q_matrix
        slope = data.q_matrix.T @ score
        step = np.linalg.lstsq(matrix, slope, rcond=1e-14)[0]
        size, better = 1.0, -np.inf
        while size > 1e-6:
            trial = gamma + size * step
            eta = data.offset + data.q_matrix @ trial
            better = rows(data.link, data.y, data.trials, eta, score, 0, data.n)
            if better >= value - 1e-12 * abs(value):
                break
            size /= 2.0
        gamma = gamma + size * step
        gain, value = better - value, better
        if abs(gain) < 1e-12 * (abs(value) + 1.0) and float(slope @ step) < 1e-8:
            converged = True
            break
    informations(data.link, data.trials, eta, weight)
    matrix = (data.q_matrix * weight[:, None]).T @ data.q_matrix / data.n
    scale = float(np.trace(matrix)) / data.p
    finite = converged and bool(np.linalg.eigvalsh(matrix)[0] > 1e-13 * scale)
    if _at_ends(data, eta) or not finite:
        finite = finite and not separated(data)
    covariance = np.linalg.pinv(matrix, rcond=1e-14) / data.n
    deviance = -2.0 * (value + constant(data.link, data.y, data.trials))
    none = np.zeros((0, 0))
    return GlmFit(gamma, *_beta(data, gamma, covariance), covariance, none, np.zeros(0), none, deviance, finite)


def _at_ends(data: Grouped, eta: Floats) -> bool:
    """Some fitted probability or mean is numerically 0 (or a probability 1) where that costs the likelihood little."""
    at_end = eta < -6.0 if data.link == 3 else np.abs(eta) > (3.0 if data.link == 1 else 6.0)
    free = (data.y == 0) if data.link == 3 else ((data.y == 0) | (data.y == data.trials)) & (data.trials > 0)
    return bool(np.any(at_end & free))


def _start(data: Grouped) -> Floats:
    """A linear predictor that every row can have."""
    if data.link == 3:
        return np.log(data.y + 0.5)
    share = (data.y + 0.5) / (data.trials + 1.0)
    if data.link == 2:
        return np.log(-np.log1p(-share))
    if data.link == 1:
        return 0.6 * np.log(share / (1.0 - share))
    return np.log(share / (1.0 - share))


def _beta(data: Grouped, gamma: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    inverse = data.coordinates.inverse
    variance = np.einsum("ab,bc,ac->a", inverse, covariance, inverse)
    return data.coordinates.beta(gamma), np.sqrt(np.where(variance > 0, variance, np.nan))


class _Surface:
    """Minus the log likelihood as a function of (γ, T packed), without the constants of y."""

    def __init__(self, data: Grouped, nodes: int):
        self.data, self.points = data, product_rule(data.q, nodes)
        self.z = np.ascontiguousarray(data.z)
        self.places = np.tril_indices(data.q)
        self.modes = np.zeros((data.groups, data.q))

    def root(self, theta: Floats) -> Floats:
        root = np.zeros((self.data.q, self.data.q))
        root[self.places] = theta[self.data.p :]
        return root

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        data, size = self.data, len(theta)
        gradient, hessian = np.zeros(size), np.zeros((size, size))
        fixed = data.offset + data.q_matrix @ theta[: data.p]
        value = likelihood(
            data.link, data.y, data.trials, fixed, data.q_matrix, self.z, self.root(theta), data.starts, *self.points,
            self.modes, gradient, hessian,
        )  # fmt: skip
        return (-value if np.isfinite(value) else math.inf), -gradient, -hessian

    def held(self, theta: Floats, free: Floats) -> newton.Function:
        """The same as a function of the free parameters (a mask)."""
        places = np.flatnonzero(free)

        def function(some: Floats) -> tuple[float, Floats, Floats]:
            every = theta.copy()
            every[places] = some
            value, gradient, hessian = self(every)
            return value, gradient[places], hessian[np.ix_(places, places)]

        return function


def scales(data: Grouped, one: GlmFit, z: Floats, codes: Ints) -> tuple[Floats, Floats]:
    """For each column of z (n, q), random over groups (codes, (n,)): the standard deviation that tells as much as a
    typical group's rows do, and a moment estimate of the standard deviation from the fit without effects (DerSimonian
    and Laird 1986), not below the first."""
    weight, score = np.empty(data.n), np.empty(data.n)
    eta = data.offset + data.q_matrix @ one.gamma
    informations(data.link, data.trials, eta, weight)
    rows(data.link, data.y, data.trials, eta, score, 0, data.n)
    found = np.empty((2, z.shape[1]))
    for k in range(z.shape[1]):
        pull = np.bincount(codes, score * z[:, k])
        told = np.maximum(np.bincount(codes, weight * z[:, k] ** 2), 1e-300)
        unit = math.sqrt(len(told) / told.sum())
        excess = (float(np.sum(pull**2 / told)) - len(told)) / float(told.sum())
        found[:, k] = unit, math.sqrt(max(excess, unit**2))
    return found[0], found[1]


def _quadrature(data: Grouped, one: GlmFit, nodes: int) -> GlmFit:
    surface, p = _Surface(data, nodes), data.p
    unit, moment = scales(data, one, surface.z, data.codes)
    diagonal = np.concatenate([np.zeros(p, bool), np.equal(*surface.places)])
    begins = [np.minimum(moment, 20.0), np.minimum(0.3 * moment, 3.0), np.maximum(0.5 * np.ones(data.q), unit)]
    best = _search(surface, one.gamma, [b[surface.places[0]] * diagonal[p:] for b in begins])
    if best is None:
        return _unknown(data, one, finite=True)
    theta, value, hessian, sure = best.at, best.value, best.hessian, best.converged
    root = surface.root(theta)
    free = np.ones(len(theta), bool)
    edge = reduced(root / unit[:, None])
    if edge is not None:
        there = np.append(theta[:p], (edge * unit[:, None])[surface.places])
        free[p:] = there[p:] != 0.0
        again = newton.minimise(surface.held(there, free), there[free])
        if again.converged and again.value <= value + _SAME:
            there[free] = again.at
            theta, value, hessian, sure = there, again.value, again.hessian, True
        else:
            free[:] = True
    root = surface.root(theta)
    singular = not free.all()
    if np.any(np.abs(root) * np.sqrt(np.mean(surface.z**2, axis=0))[:, None] > _LARGEST):
        return _unknown(data, one, finite=False)
    surface(theta)  # the modes there
    covariance = np.zeros((len(theta), len(theta)))
    found = newton.inverse(hessian)
    covariance[np.ix_(free, free)] = np.nan if found is None else found
    upper = covariance[:p, :p]
    errors = factor_errors(root, covariance[p:, p:], singular)
    deviance = 2.0 * (value - constant(data.link, data.y, data.trials))
    beta, beta_se = _beta(data, theta[:p], upper)
    if singular and not root.any():
        beta_se = one.beta_se
    if found is None:
        upper = one.gamma_covariance
    return GlmFit(
        theta[:p], beta, beta_se, upper, root @ root.T, errors, surface.modes @ root.T, deviance, True, singular,
        sure and found is not None,
    )  # fmt: skip


def _search(surface: _Surface, gamma: Floats, begins: Sequence[Floats]) -> newton.Found | None:
    """Newton's method from the best of the beginnings, and from another one; from all of them where these fail."""
    ranked: list[tuple[float, int, Floats]] = []
    for begin in begins:
        theta = np.append(gamma, begin)
        value = surface(theta)[0]
        ranked.append((value, len(ranked), theta))
    ranked.sort(key=lambda one: one[:2])
    best: newton.Found | None = None
    for k, (value, _, theta) in enumerate(ranked):
        if not np.isfinite(value) or (k >= 2 and best is not None and best.converged):
            continue
        found = newton.minimise(surface, theta)
        if best is None or (found.converged, -found.value) > (best.converged, -best.value - 1e-9):
            best = found
    return best


def _unknown(data: Grouped, one: GlmFit, *, finite: bool) -> GlmFit:
    """What there is where no maximum was found: the fit without effects, no standard errors, no variances."""
    q = data.q
    return GlmFit(
        one.gamma, one.beta, np.full(data.p, np.nan), one.gamma_covariance, np.full((q, q), np.nan),
        np.full(q * (q + 1) // 2, np.nan), np.zeros((data.groups, q)), math.nan, finite, False, False,
    )  # fmt: skip
