"""How badly one response fits at a linear predictor: minus its log likelihood, less what it is at its best.

Never negative, so that a prior alone bounds where a slice can lie.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import one_row

GAUSSIAN = -1  # beside the links of sampling.glm, which stand for the other families
NEGATIVE_BINOMIAL = 4


@njit
def misfit(family: int, y: float, trials: float, best: float, eta: float, spread: float) -> float:
    """spread: σ² of a Normal response, α of a negative binomial one. best: see `best_of`."""
    if family == GAUSSIAN:
        return 0.5 * (y - eta) * (y - eta) / spread
    if family == NEGATIVE_BINOMIAL:
        top = one_row(family, y, trials, math.log(y), spread)[0] if y > 0.0 else 0.0
        return top - one_row(family, y, trials, eta, spread)[0]
    return best - one_row(family, y, trials, eta, spread)[0]


def best_of(family: int, y: npt.NDArray[np.float64], trials: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) the highest log likelihood of each row over all predictors; 0 where misfit does not need it."""
    if family in (GAUSSIAN, NEGATIVE_BINOMIAL):
        return np.zeros(y.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        if family == 3:  # Poisson
            return np.asarray(np.where(y > 0, y * np.log(y) - y, 0.0))
        share = y / trials
        parts = np.where(y > 0, y * np.log(share), 0.0) + np.where(trials > y, (trials - y) * np.log1p(-share), 0.0)
    return np.asarray(np.nan_to_num(parts))
