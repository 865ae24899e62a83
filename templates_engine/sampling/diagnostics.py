"""What the draws are worth in numbers: moments, quantiles, effective sample size, Monte Carlo error, R-hat.

Rank-normalised split R-hat, bulk and tail ESS: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian
Analysis 16, 667-718, by the array functions of arviz-stats. Imported when first used, because they bring SciPy.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

MEASURES = ("mean", "sd", "q025", "median", "q975", "ess_bulk", "ess_tail", "mcse", "rhat")

Array = npt.NDArray[np.float64]

# arviz-stats sets warning filters while it works, which belong to the whole process: one thread at a time.
_one_at_a_time = threading.Lock()


def warm() -> None:
    """Import what `measures` needs (about half a second), so that the first run does not wait for it."""
    _stats()


def measures(values: Array) -> dict[str, Array]:
    """MEASURES as arrays, NaN where there is no number. values: (parameter, chain, draw)."""
    with np.errstate(all="ignore"):  # what overflows becomes infinite, and is then no number of the table
        return _measures(values)


def _measures(values: Array) -> dict[str, Array]:
    parameters, chains, kept = values.shape
    out = {name: np.full(parameters, np.nan) for name in MEASURES}
    pooled = values.reshape(parameters, -1)
    if chains * kept == 0:
        return out
    good: npt.NDArray[np.bool_] = np.asarray(np.isfinite(pooled).all(axis=1))
    if not good.any():
        return out
    pooled = pooled[good]
    out["mean"][good] = pooled.mean(axis=1)
    if chains * kept > 1:
        out["sd"][good] = pooled.std(axis=1, ddof=1)
    out["q025"][good], out["median"][good], out["q975"][good] = np.quantile(pooled, [0.025, 0.5, 0.975], axis=1)

    spread = np.ptp(pooled, axis=1)
    moving = good.copy()
    moving[good] = spread > 1e-12 * np.maximum(np.abs(pooled).max(axis=1), 1e-300)
    if kept < 4 or not moving.any():
        return out
    # Scaled to unit size: arviz takes a spread under 1e-15 for none at all, and no result depends on the scale.
    at = values[moving]
    centre = at.mean(axis=(1, 2), keepdims=True)
    size = np.ptp(at.reshape(len(at), -1), axis=1)
    at = (at - centre) / size[:, None, None]
    stats = _stats()
    with _one_at_a_time:
        out["ess_bulk"][moving] = stats.ess(at, method="bulk")
        out["ess_tail"][moving] = stats.ess(at, method="tail", prob=(0.05, 0.95))
        out["mcse"][moving] = stats.mcse(at, method="mean") * size
        out["rhat"][moving] = stats.rhat(at, method="rank") if chains > 1 else _rhat_of_one(stats, at)
    return out


def _rhat_of_one(stats: Any, values: Array) -> Array:
    """Split R-hat, rank-normalised, of single chains: their halves compared. values: (parameter, 1, draw)."""
    half = values.shape[2] // 2
    halves = np.concatenate([values[:, :, :half], values[:, :, -half:]], axis=1)
    if half < 4:
        return np.full(len(values), np.nan)
    folded = np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True))
    # arviz-stats' own rank method would halve the halves once more.
    bulk, tail = (stats.rhat(_rank_normalised(x), method="identity") for x in (halves, folded))
    return np.maximum(bulk, tail)


def _rank_normalised(values: Array) -> Array:
    """Normal scores of the ranks over all chains; equation 14 of the paper. values: (parameter, chain, draw)."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(values.reshape(len(values), -1), axis=1).reshape(values.shape)
    return np.asarray(ndtri((ranks - 3 / 8) / (values[0].size + 1 / 4)))


def _stats() -> Any:
    from arviz_stats.base.array import array_stats

    return array_stats
