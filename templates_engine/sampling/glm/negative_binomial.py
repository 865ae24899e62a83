"""The negative binomial likelihood beside those of glm.families, and one row of any of them.

A count with mean μ = exp(η) and variance μ + α μ². With r = 1/α

    log p(y) = Σ_{k<y} log(1 + kα) - log y! + y η - (y + r) log(1 + α μ)

whose first sum depends on α and y alone and is kept apart: it costs as much as the counts are large, and changes only
when α does. α → 0 is the Poisson distribution.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.glm.families import Floats, information, row

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
    """Σ_{k<y} log(1 + kα) = log Γ(r + y) - log Γ(r) - y log r; by the sum where the difference would cancel."""
    if y <= DIRECT or alpha < 1e-4:
        total = 0.0
        for k in range(1, int(y)):
            total += math.log1p(alpha * k)
        return total
    r = 1.0 / alpha
    return math.lgamma(r + y) - math.lgamma(r) - y * math.log(r)


@njit
def rising_slope(alpha: float, y: float) -> float:
    """Derivative of `rising` in log α; by a difference where `rising` is one of gamma functions."""
    if y <= DIRECT or alpha < 1e-4:
        total = 0.0
        for k in range(1, int(y)):
            total += alpha * k / (1.0 + alpha * k)
        return total
    return (rising(alpha * 1.0001, y) - rising(alpha / 1.0001, y)) / (2.0 * math.log(1.0001))


@njit
def _pointwise(y: Any, alpha: Any, eta: Any) -> None:
    for i in range(eta.shape[0]):
        for s in range(eta.shape[1]):
            eta[i, s] = one_row(4, y[i], 1.0, eta[i, s], alpha[s])[0] + rising(alpha[s], y[i])


def pointwise(y: Floats, alpha: Floats, eta: Floats) -> None:
    """Replace linear predictors (rows, draws) by the log likelihood of each row, all constants kept; alpha (draws,)."""
    _pointwise(y, alpha, eta)
    eta -= np.asarray(special.gammaln(y + 1))[:, None]
