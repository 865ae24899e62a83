"""Tests and fences for one-step errors, as a crop-insurance study of smoothing reports them, and Ljung-Box.

Runs test: Wald and Wolfowitz (1940), normal approximation without continuity correction, about the median.
Durbin-Watson: the statistic of regression residuals, here descriptive. Fences: Tukey (1977), quartiles by linear
interpolation (type 7 of Hyndman and Fan 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from templates_engine.smoothing.models import Array, Whole

NAN = float("nan")


@dataclass(frozen=True)
class Diagnostics:
    """Figures of n residuals; a test that cannot be done (too few values, no spread) is NaN.

    mild: beyond the inner fences but not the outer; extreme: beyond the outer; both row numbers of the array given.
    """

    n: int
    mean: float
    sd: float
    mean_p: float  # t test that the mean is 0 (approximate: residuals are not independent draws)
    durbin_watson: float
    runs: int
    n_above: int
    n_below: int
    runs_z: float
    runs_p: float
    ljung_box_lag: int
    ljung_box: float
    ljung_box_p: float
    q1: float
    median: float
    q3: float
    inner: tuple[float, float]
    outer: tuple[float, float]
    mild: Whole
    extreme: Whole
    jarque_bera: float
    jarque_bera_p: float
    shapiro: float
    shapiro_p: float


def residual_diagnostics(residuals: Array, *, lags: int = 10) -> Diagnostics:
    """All figures of (n,) residuals; missing ones are left out, and rows across a gap taken as neighbours."""
    rows = np.flatnonzero(np.isfinite(residuals))
    e = np.asarray(residuals, np.float64)[rows]
    n = len(e)
    mean = float(e.mean()) if n else NAN
    sd = float(e.std(ddof=1)) if n > 1 else NAN
    spread = n > 1 and sd > 0
    q1, median, q3 = (float(q) for q in np.quantile(e, [0.25, 0.5, 0.75])) if n else (NAN, NAN, NAN)
    iqr = q3 - q1
    inner, outer = (q1 - 1.5 * iqr, q3 + 1.5 * iqr), (q1 - 3 * iqr, q3 + 3 * iqr)
    far = (e < outer[0]) | (e > outer[1])
    near = ((e < inner[0]) | (e > inner[1])) & ~far
    runs, above, below, z = runs_test(e, median)
    lag = min(lags, n - 1)
    box, box_p = ljung_box(e, lag) if spread and lag >= 1 else (NAN, NAN)
    bera = stats.jarque_bera(e) if spread and n > 2 else None
    wilk = stats.shapiro(e) if spread and 3 <= n <= 5000 else None
    square = float(e @ e)
    return Diagnostics(
        n=n,
        mean=mean,
        sd=sd,
        mean_p=float(2 * stats.t.sf(abs(mean) / (sd / math.sqrt(n)), n - 1)) if spread else NAN,
        durbin_watson=float(np.sum(np.diff(e) ** 2)) / square if square > 0 else NAN,
        runs=runs,
        n_above=above,
        n_below=below,
        runs_z=z,
        runs_p=float(2 * stats.norm.sf(abs(z))),
        ljung_box_lag=lag,
        ljung_box=box,
        ljung_box_p=box_p,
        q1=q1,
        median=median,
        q3=q3,
        inner=inner,
        outer=outer,
        mild=rows[near],
        extreme=rows[far],
        jarque_bera=float(bera.statistic) if bera else NAN,
        jarque_bera_p=float(bera.pvalue) if bera else NAN,
        shapiro=float(wilk.statistic) if wilk else NAN,
        shapiro_p=float(wilk.pvalue) if wilk else NAN,
    )


def runs_test(e: Array, cut: float) -> tuple[int, int, int, float]:
    """Runs of (n,) values at or above `cut` and below it: (runs, above, below, z); z is NaN with one side empty."""
    side = e >= cut
    above, below = int(side.sum()), int((~side).sum())
    runs = 1 + int(np.sum(side[1:] != side[:-1])) if len(e) else 0
    n, both = above + below, 2.0 * above * below
    if both == 0 or both <= n:
        return runs, above, below, NAN
    variance = both * (both - n) / (n**2 * (n - 1))
    return runs, above, below, (runs - both / n - 1) / math.sqrt(variance)


def ljung_box(e: Array, lags: int) -> tuple[float, float]:
    """Ljung and Box (1978) on (n,) values with `lags` lags: statistic and p value (lags degrees of freedom)."""
    n = len(e)
    d = e - e.mean()
    whole = float(d @ d)
    total = sum((float(d[k:] @ d[:-k]) / whole) ** 2 / (n - k) for k in range(1, lags + 1))
    statistic = n * (n + 2) * total
    return statistic, float(stats.chi2.sf(statistic, lags))
