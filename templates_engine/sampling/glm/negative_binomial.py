"""The negative binomial likelihood beside those of glm.families, and one row of any of them.

A count with mean μ = exp(η) and variance μ + α μ². With r = 1/α

    log p(y) = Σ_{k<y} log(1 + kα) - log y! + y η - (y + r) log(1 + α μ)

whose first sum depends on α and y alone and is kept apart: it changes only when α does. α → 0 is the Poisson
distribution. For maximum likelihood, which has to see α = 0 itself and digits of counts of millions, the same is
written as a departure from the Poisson likelihood, t = α (μ - y) / (1 + αy):

    log p(y) = log Poisson(y | μ) + (μ - y) (1 - log(1 + t)/t) - log(1 + αy)/2 + s(r + y) - s(r)

with s the remainder of Stirling's formula (families.stirling); the last three terms, 0 for y = 0, are `ends`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.glm.families import Floats, information, row, stirling, stirling_small

NEGATIVE_BINOMIAL = 4  # after the links of glm.families
DIRECT = 200.0  # counts up to this have their sum over k < y taken term by term


@njit_inlined
def one_row(link: int, y: float, n: float, eta: float, alpha: float) -> Any:
    """(log likelihood, score) at the linear predictor eta; negative binomial: without the terms in α and y alone."""
    if link == 4:
        total = 1.0 + alpha * y
        if eta > 30.0:
            e = math.exp(-eta)
            return y * eta - total * (eta + math.log(alpha + e)) / alpha, y - total / (alpha + e)
        e = math.exp(eta)
        return y * eta - total * math.log1p(alpha * e) / alpha, y - total * e / (1.0 + alpha * e)
    return row(link, y, n, eta)


@njit
def weight_of(link: int, n: float, eta: float, alpha: float) -> float:
    """Fisher information of the linear predictor."""
    if link == 4:
        e = math.exp(min(eta, 700.0))
        return e / (1.0 + alpha * e)
    return information(link, n, eta)


@njit
def rising(alpha: float, y: float) -> float:
    """Σ_{k<y} log(1 + kα) = log Γ(r + y) - log Γ(r) - y log r; of large counts by Stirling's formula."""
    if y <= DIRECT:
        total = 0.0
        for k in range(1, int(y)):
            total += math.log1p(alpha * k)
        return total
    r = 1.0 / alpha
    return (r + y - 0.5) * math.log1p(alpha * y) - y + stirling_small(r + y) - stirling_small(r)


@njit
def rising_slope(alpha: float, y: float) -> float:
    """Derivative of `rising` in log α; by a difference where `rising` is by Stirling's formula."""
    if y <= DIRECT:
        total = 0.0
        for k in range(1, int(y)):
            total += alpha * k / (1.0 + alpha * k)
        return total
    return (rising(alpha * 1.0001, y) - rising(alpha / 1.0001, y)) / (2.0 * math.log(1.0001))


@njit
def departure(y: float, mu: float, alpha: float) -> Any:
    """((μ - y)(1 - log(1 + t)/t), its derivative in α): how far a row's log likelihood departs from Poisson's."""
    away = mu - y
    t = alpha * away / (1.0 + alpha * y)
    if abs(t) < 0.01:
        part = t * (1 / 2 - t * (1 / 3 - t * (1 / 4 - t * (1 / 5 - t * (1 / 6 - t / 7)))))
        slope = 1 / 2 - t * (2 / 3 - t * (3 / 4 - t * (4 / 5 - t * (5 / 6 - t * 6 / 7))))
    else:
        ratio = math.log1p(t) / t
        part = 1.0 - ratio
        slope = (ratio - 1.0 / (1.0 + t)) / t
    return away * part, slope * (away / (1.0 + alpha * y)) ** 2


def ends(alpha: float, y: Floats) -> tuple[Floats, Floats]:
    """The terms in α and y alone that complete `departure`, and their derivatives in α; α may be 0."""
    if alpha == 0.0:
        return np.zeros(len(y)), -0.5 * y
    r = 1.0 / alpha
    grown = 1.0 + alpha * y
    value = -0.5 * np.log1p(alpha * y) + stirling(r + y) - stirling(np.full(1, r))
    slope = -0.5 * y / grown - _stirling_slope(r + y) / np.square(grown) + _stirling_slope(np.full(1, r))
    return np.where(y > 0, value, 0.0), np.where(y > 0, slope, 0.0)


def _stirling_slope(x: Floats) -> Floats:
    """x² s'(x), s the remainder of Stirling's formula."""
    low, high = np.minimum(x, 16.0), np.maximum(x, 16.0)
    near = np.square(low) * (special.digamma(low) - np.log(low) + 0.5 / low)
    r = 1.0 / np.square(high)
    series = -1.0 / 12.0 + r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0)))
    return np.asarray(np.where(x < 16.0, near, series))


@njit
def _pointwise(y: Any, alpha: Any, eta: Any) -> None:
    for i in range(eta.shape[0]):
        for s in range(eta.shape[1]):
            eta[i, s] = one_row(4, y[i], 1.0, eta[i, s], alpha[s])[0] + rising(alpha[s], y[i])


def pointwise(y: Floats, alpha: Floats, eta: Floats) -> None:
    """Replace linear predictors (rows, draws) by the log likelihood of each row, all constants kept; alpha (draws,)."""
    _pointwise(y, alpha, eta)
    eta -= np.asarray(special.gammaln(y + 1))[:, None]
