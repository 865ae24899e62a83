"""Priors of data cloning, which must be proper and matter less and less as the clones multiply.

First set of the worked example (Solymos and Lele 2016): coefficients N(0, 10), logarithms of standard deviations
N(0, 1000), variances given. Second set: coefficient N(10, 1), residual variance uniform on (0.001, 5), variance of
the groups Gamma(0.01, 0.01).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.normal import Floats

LOG_SD, UNIFORM, GAMMA, INVERSE_GAMMA = 0.0, 1.0, 2.0, 3.0  # kinds of prior of a variance
LOG_VARIANCE, COEFFICIENT_VARIANCE = 1000.0, 10.0
WEAK, FIRST, SECOND = "Weak", "Documents 1", "Documents 2"
PULL, WIDTH = 50.0, 100.0  # a weak prior moves no estimate by more than 1/50 of its standard error at K = 1


@dataclass(frozen=True)
class Prior:
    """Independent priors: coefficients Normal; `residual` and `group` are (kind, a, b) of a variance.

    kind LOG_SD: log sd ~ N(a, variance b); UNIFORM: variance on (a, b); GAMMA: shape a, rate b; INVERSE_GAMMA: shape
    a, scale b. With several random coefficients `group` is of each diagonal element of the Cholesky factor of Ω, and
    the elements below it, in units of the residual standard deviation, have N(0, b).
    """

    mean: Floats  # (p,)
    variance: Floats  # (p,)
    residual: tuple[float, float, float]
    group: tuple[float, float, float]

    @property
    def variances(self) -> Floats:
        """(2, 3) for the kernels: residual, group."""
        return np.array([self.residual, self.group], dtype=float)


_LOG = (LOG_SD, 0.0, LOG_VARIANCE)


def first(p: int) -> Prior:
    return Prior(np.zeros(p), np.full(p, COEFFICIENT_VARIANCE), _LOG, _LOG)


def second(p: int) -> Prior:
    return Prior(np.full(p, 10.0), np.ones(p), (UNIFORM, 0.001, 5.0), (GAMMA, 0.01, 0.01))


def weak(estimate: Floats, se: Floats) -> Prior:
    """The first set, its coefficients' variances raised where they would pull: max(10, 50 |β̂| se, 100 se²)."""
    variance = np.maximum(COEFFICIENT_VARIANCE, np.maximum(PULL * np.abs(estimate) * se, WIDTH * se * se))
    return Prior(np.zeros(len(estimate)), variance, _LOG, _LOG)


@njit
def log_prior(prior: Any, log_variance: float) -> float:
    """Log density, in the logarithm of the variance, of one row (kind, a, b); constants left out."""
    kind, a, b = prior[0], prior[1], prior[2]
    if kind == 0.0:
        away = 0.5 * log_variance - a
        return -0.5 * away * away / b
    variance = math.exp(log_variance)
    if kind == 1.0:
        return log_variance if a < variance < b else -np.inf
    if kind == 2.0:
        return a * log_variance - b * variance
    return -a * log_variance - b / variance if variance > 0.0 else -np.inf
