"""Parameter values for a prediction: drawn on an unbounded scale around the cloned estimate, or fixed at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from templates_engine.sampling.cloning import Centre, Cloned, target as glm_target
from templates_engine.sampling.normal import Floats

from .fitting import Fitted
from .spec import NORMAL

_RIDGE = 1e-10  # of a covariance matrix drawn near its boundary, relative to its size


@dataclass(frozen=True)
class Values:
    """S parameter values."""

    gamma: Floats  # (S, p) coefficients in orthonormal coordinates
    omegas: list[Floats]  # (S, q, q) by classification
    sigma2: Floats  # (S,); NaN unless Normal


def unbounded(fitted: Fitted, chain: Cloned) -> Floats:
    """(draw, ·) γ, then log σ_u and log σ for a random intercept, else the sampler's own coordinates."""
    if fitted.spec.copied:
        packed = [_logs(omega) for omega in fitted.matrices(chain.omega)]
        return np.concatenate([chain.beta @ fitted.coordinates.triangle.T, *packed], axis=1)
    if fitted.spec.family != NORMAL:
        return chain.theta
    if not _plain(fitted):
        return np.concatenate([chain.gamma, chain.theta], axis=1)
    sds = 0.5 * np.log(np.stack([chain.omega[:, 0], chain.sigma2], axis=1))
    return np.concatenate([chain.gamma, sds], axis=1)


def _logs(omega: Floats) -> Floats:
    """(S, q (q + 1) / 2) packed log-Cholesky factors of (S, q, q): half the logarithm of a single variance."""
    q = omega.shape[1]
    rows, columns = np.tril_indices(q)
    root = np.linalg.cholesky(omega + (_RIDGE * np.trace(omega, axis1=1, axis2=2))[:, None, None] * np.eye(q))
    packed = root[:, rows, columns]
    packed[:, rows == columns] = np.log(packed[:, rows == columns])
    return packed


def _plain(fitted: Fitted) -> bool:
    """One random coefficient of one classification."""
    return [factor.q for factor in fitted.parts.factors] == [1]


def values_of(fitted: Fitted, at: Floats) -> Values:
    """Parameters of unbounded values (S, ·)."""
    p = len(fitted.exact.beta)
    gamma, rest = at[:, :p], at[:, p:]
    if fitted.spec.copied:
        omegas, start = [], 0
        for factor in fitted.parts.factors:
            rows, columns = np.tril_indices(factor.q)
            packed = rest[:, start : start + len(rows)].copy()
            packed[:, rows == columns] = np.exp(np.clip(packed[:, rows == columns], -30.0, 7.0))
            root = np.zeros((len(at), factor.q, factor.q))
            root[:, rows, columns] = packed
            omegas.append(root @ root.transpose(0, 2, 1))
            start += len(rows)
        return Values(gamma, omegas, np.full(len(at), math.nan))
    if fitted.data is not None:
        omega = glm_target(fitted.data, fitted.prior, 1).omega(at)
        return Values(gamma, [omega], np.full(len(at), math.nan))
    if _plain(fitted):
        return Values(gamma, [np.exp(2 * rest[:, :1])[:, :, None]], np.exp(2 * rest[:, 1]))
    packed, sigma2 = fitted.normal(fitted.prior, 1).natural(rest)
    return Values(gamma, fitted.matrices(packed), sigma2)


def best(fitted: Fitted, pooled: Floats, size: int, edges: Sequence[int]) -> Values:
    """The cloned estimate on the unbounded scale, repeated; the exact one where a variance is zero. edges: the
    classifications whose covariance matrix lies on its boundary."""
    if fitted.spec.copied:
        found = values_of(fitted, np.tile(pooled.mean(axis=0), (size, 1)))
        for edge in edges:
            found.omegas[edge][:] = fitted.omegas[edge]
        return found
    if not (fitted.exact.singular and fitted.spec.family == NORMAL):
        return values_of(fitted, np.tile(pooled.mean(axis=0), (size, 1)))
    c = fitted.coordinates
    gamma = c.triangle @ (fitted.exact.beta - c.centre)
    sigma2 = float(fitted.exact.variances[-1])
    omegas = [np.tile(omega + 1e-20 * sigma2 * np.eye(len(omega)), (size, 1, 1)) for omega in fitted.omegas]
    return Values(np.tile(gamma, (size, 1)), omegas, np.full(size, sigma2))


def likelihood(fitted: Fitted) -> Callable[[Floats], float]:
    """log L of one unbounded value; its Laplace approximation where the copies are written out."""
    if fitted.spec.copied:
        centre = centre_of(fitted)

        def approximate(at: Floats) -> float:
            values = values_of(fitted, at[None])
            roots = [np.linalg.cholesky(w[0] + 1e-12 * np.eye(len(w[0]))) for w in values.omegas]
            return centre.at(fitted.coordinates.beta(values.gamma)[0], roots)

        return approximate
    if fitted.data is not None:
        return glm_target(fitted.data, fitted.prior, 1).likelihood
    of = fitted.normal(fitted.prior, 1)

    def log_likelihood(at: Floats) -> float:
        values = values_of(fitted, at[None])
        sigma2 = float(values.sigma2[0])
        ridge = 1e-13 * np.eye(max(of.q))
        roots = [np.linalg.cholesky(w[0] / sigma2 + ridge[: w.shape[1], : w.shape[1]]) for w in values.omegas]
        matrix, logs = of.reduced(roots)
        point = np.append(values.gamma[0], -1.0)
        return -0.5 * (of.n * math.log(2 * math.pi * sigma2) + logs + float(point @ matrix @ point) / sigma2)

    return log_likelihood


def centre_of(fitted: Fitted) -> Centre:
    """The Laplace approximation of the effects of several classifications."""
    r = fitted.rows
    return Centre(fitted.spec.link, r.y, r.x, fitted.parts.factors, trials=r.trials, offset=r.offset)
