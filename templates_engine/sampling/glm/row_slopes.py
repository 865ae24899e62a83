"""One row of any response in a search for the maximum: its log likelihood and derivatives in η, in compiled kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.families import information, log_cdf, row
from templates_engine.sampling.glm.negative_binomial import departure

_HALF_LOG_2PI = 0.9189385332046727


@njit
def slopes_of(link: int, y: float, n: float, eta: float, alpha: float) -> Any:
    """(score, observed information, Fisher information, its derivative) in η."""
    if link == 3:
        mu = math.exp(eta)
        return y - mu, mu, mu, mu
    if link == 4:
        h = math.exp(-min(max(eta, -700.0), 700.0))  # 1/μ
        s = h + alpha
        return (y * h - 1.0) / s, h * (1.0 + alpha * y) / (s * s), 1.0 / s, h / (s * s)
    score, weight = row(link, y, n, eta)[1], information(link, n, eta)
    if link == 0:
        return score, weight, weight, -weight * math.tanh(0.5 * eta)
    if link == 1:
        density = -0.5 * eta * eta - _HALF_LOG_2PI
        low, high = math.exp(density - log_cdf(eta)), math.exp(density - log_cdf(-eta))
        seen = y * low * (eta + low) + (n - y) * high * (high - eta)
        return score, seen, weight, weight * (high - low - 2.0 * eta)
    m = math.exp(eta)
    if m > 700.0:
        return score, (n - y) * m, 0.0, 0.0
    ratio = m / math.expm1(m) if m > 1e-300 else 1.0
    return score, (n - y) * m - y * ratio * (1.0 - m - ratio), weight, weight * (2.0 - m - ratio)


@njit
def log_row(link: int, y: float, n: float, eta: float, alpha: float) -> float:
    """Log likelihood of a row without constants; negative binomial: as far as it depends on η."""
    if link != 4:
        return row(link, y, n, eta)[0]
    if eta > 600.0:
        return -np.inf
    if y >= 1000.0 and alpha * y > 1.0:  # the same in terms as large as 1/α, not as large as y
        r = 1.0 / alpha
        return -r * (eta - math.log(y)) - (r + y) * (math.log1p(r * math.exp(-eta)) - math.log1p(r / y))
    return row(3, y, n, eta)[0] + departure(y, math.exp(eta), alpha)[0]
