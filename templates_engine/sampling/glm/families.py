"""Binomial and Poisson likelihoods of one row, as functions of the linear predictor, inside compiled kernels.

For each link: log likelihood (without the constants log C(n, y) and log y!), its derivative (the score) and the
Fisher information (the weight of iteratively reweighted least squares). Accurate in both tails.

Where counts, or trials with the logit link, are large, a row's log likelihood is counted from the highest that it can
have, at the mean y: y η - μ would be some y log y, in whose last digit everything that a likelihood tells is lost
(counts of 5e8 in 240 rows: an error of 5e-4). `constants` has what that takes away.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from templates_engine.sampling.compiled import njit

Floats = npt.NDArray[np.float64]

LOGIT, PROBIT, CLOGLOG, LOG = 0, 1, 2, 3
CODES = {"logit": LOGIT, "probit": PROBIT, "cloglog": CLOGLOG, "log": LOG}
_HALF_LOG_2PI = 0.9189385332046727
LARGE = 1000.0  # counts and trials from here on have their log likelihood counted from the highest


@njit
def stirling_small(x: float) -> float:
    """log Γ(x) - (x - 1/2) log x + x - log(2π)/2, the remainder of Stirling's formula, x > 0 (DLMF 5.11.1)."""
    if x < 16.0:
        return math.lgamma(x) - (x - 0.5) * math.log(x) + x - _HALF_LOG_2PI
    r = 1.0 / (x * x)
    return (1.0 - r * (1.0 / 30.0 - r * (1.0 / 105.0 - r * (1.0 / 140.0 - r / 99.0)))) / (12.0 * x)


def stirling(x: Floats) -> Floats:
    """The same of an array."""
    low = np.minimum(np.maximum(x, 1e-300), 16.0)
    with np.errstate(divide="ignore", over="ignore"):
        r = 1.0 / np.square(np.maximum(x, 16.0))
        series = (1.0 - r * (1.0 / 30.0 - r * (1.0 / 105.0 - r * (1.0 / 140.0 - r / 99.0)))) / (
            12.0 * np.maximum(x, 16.0)
        )
    near = special.gammaln(low) - (low - 0.5) * np.log(low) + low - _HALF_LOG_2PI
    return np.asarray(np.where(x < 16.0, near, series))


@njit
def log_cdf(x: float) -> float:
    """log Φ(x): by erfc, and by its asymptotic series where that would underflow (Abramowitz and Stegun 26.2.12)."""
    if x > -35.0:
        if x > 5.0:
            return math.log1p(-0.5 * math.erfc(x * 0.7071067811865476))
        return math.log(0.5 * math.erfc(-x * 0.7071067811865476))
    r = 1.0 / (x * x)
    return -0.5 * x * x - math.log(-x) - _HALF_LOG_2PI + math.log1p(-r * (1.0 - 3.0 * r * (1.0 - 5.0 * r)))


@njit
def log_one_plus(e: float) -> float:
    """log(1 + e) for 0 <= e <= 1 to 1e-12, in a third of the time of log1p: by its series where the sum would round."""
    if e < 1e-4:
        return e * (1.0 - e * (0.5 - e * (0.3333333333333333 - 0.25 * e)))
    return math.log(1.0 + e)


@njit
def row(link: int, y: float, n: float, eta: float) -> Any:
    """(log likelihood, score) of y successes of n trials, or of a count y, at the linear predictor eta."""
    if link == 3:  # Poisson, log
        if y >= 1000.0:
            away = eta - math.log(y)
            grown = math.expm1(away)
            return y * (away - grown), -y * grown
        mu = math.exp(eta)
        return y * eta - mu, y - mu
    if link == 0:  # logit
        if n >= 1000.0 and 0.0 < y < n:
            away, share = eta - math.log(y / (n - y)), y / n
            if away > 0.0:
                away, share = -away, (n - y) / n
            e = math.exp(-abs(eta))
            here = n / (1.0 + e) if eta > 0.0 else n * e / (1.0 + e)
            return n * (share * away - math.log1p(share * math.expm1(away))), y - here
        if eta > 0.0:
            e = math.exp(-eta)
            return (y - n) * eta - n * log_one_plus(e), y - n / (1.0 + e)
        e = math.exp(eta)
        return y * eta - n * log_one_plus(e), y - n * e / (1.0 + e)
    if link == 1:  # probit
        low, high = log_cdf(eta), log_cdf(-eta)
        density = -0.5 * eta * eta - _HALF_LOG_2PI
        return y * low + (n - y) * high, y * math.exp(density - low) - (n - y) * math.exp(density - high)
    m = math.exp(eta)  # complementary log-log: 1 - p = exp(-exp(eta))
    value, score = 0.0, 0.0
    if y > 0.0 and m < 1e-16:
        value += y * eta
        score += y
    elif y > 0.0:
        value += y * math.log(-math.expm1(-m))
        score += y * (m / math.expm1(m) if m < 700.0 else 0.0)
    if n > y:
        value -= (n - y) * m
        score -= (n - y) * m
    return value, score


@njit
def information(link: int, n: float, eta: float) -> float:
    """Fisher information of the linear predictor."""
    if link == 3:
        return math.exp(eta)
    if link == 0:
        e = math.exp(-abs(eta))
        return n * e / ((1.0 + e) * (1.0 + e))
    if link == 1:
        low, high = log_cdf(eta), log_cdf(-eta)
        return n * math.exp(-eta * eta - 2.0 * _HALF_LOG_2PI - low - high)
    m = math.exp(eta)
    if m > 700.0:
        return 0.0
    return n * m * m / math.expm1(m) if m > 1e-300 else 0.0


@njit
def rows(link: int, y: Any, n: Any, eta: Any, score: Any, a: int, b: int) -> float:
    """Log likelihood of rows a..b-1; fills their scores. -inf where a row is impossible."""
    total = 0.0
    for i in range(a, b):
        value, slope = row(link, y[i], n[i], eta[i])
        total += value
        score[i] = slope
    return total if total == total else -np.inf


@njit
def informations(link: int, n: Any, eta: Any, out: Any) -> None:
    """Fisher information of every row."""
    for i in range(len(eta)):
        out[i] = information(link, n[i], eta[i])


@njit
def pointwise(link: int, y: Any, n: Any, eta: Any) -> None:
    """Replace linear predictors (rows, draws) by the log likelihood of each row, without constants."""
    for i in range(eta.shape[0]):
        for s in range(eta.shape[1]):
            eta[i, s] = row(link, y[i], n[i], eta[i, s])[0]


def mean(link: int, eta: Floats) -> Floats:
    """The expected share of successes, or the expected count, at linear predictors of any shape."""
    if link == LOG:
        return np.asarray(np.exp(eta))
    if link == LOGIT:
        return np.asarray(special.expit(eta))
    if link == PROBIT:
        return np.asarray(special.ndtr(eta))
    return np.asarray(-np.expm1(-np.exp(eta)))


def constants(link: int, y: Floats, n: Floats) -> Floats:
    """Each row's part of the log likelihood that depends on the data alone."""
    if link == LOG:
        high = np.maximum(y, LARGE)
        top = -_HALF_LOG_2PI - 0.5 * np.log(high) - stirling(high)  # log p(y | μ = y)
        return np.asarray(np.where(y < LARGE, -special.gammaln(np.minimum(y, LARGE) + 1), top))
    number = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
    if link != LOGIT:
        return np.asarray(number)
    relative = (n >= LARGE) & (y > 0) & (y < n)
    some, all_, rest = np.where(relative, y, 1.0), np.where(relative, n, 2.0), np.where(relative, n - y, 1.0)
    top = 0.5 * np.log(all_ / some / rest) - _HALF_LOG_2PI + stirling(all_) - stirling(some) - stirling(rest)
    return np.asarray(np.where(relative, top, number))


def constant(link: int, y: Floats, n: Floats) -> float:
    """The part of the log likelihood that depends on the data alone."""
    return float(constants(link, y, n).sum())
