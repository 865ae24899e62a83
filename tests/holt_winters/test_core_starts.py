"""Start values against NumPy: centred moving averages, least squares with dummies, repeated medians.

All constants are fixed, so that nothing is searched. Sources: starts.py names them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from templates_engine.smoothing import Model, fit
from templates_engine.smoothing.models import Fit

KINDS = ["additive", "multiplicative"]
PERIODS = [3, 4]  # the moving average of an even one has half weights at its ends


def data(kind: str, m: int, n: int = 43) -> np.ndarray:
    rng = np.random.default_rng(5)
    t = np.arange(n)
    s = np.array([2.0, -3.0, 1.5, -0.5])[:m][t % m]
    y = 40 + 0.6 * t + rng.standard_normal(n)
    return y * (1 + 0.05 * s) if kind == "multiplicative" else y + s


def started(y: np.ndarray, kind: str, m: int, start: str, trend: bool = True) -> Fit:
    model = Model(trend, False, kind, (m,))  # type: ignore[arg-type]
    beta = 0.1 if trend else None
    return fit(y, model, start=start, alpha=0.3, beta=beta, gamma=0.2, robust=start == "robust")


def dummies(y: np.ndarray, m: int) -> tuple[float, np.ndarray]:
    """Slope, constant a position: least squares on the row (from 1) and m dummies, rows with NaN left out."""
    t, seen = np.arange(len(y)), ~np.isnan(y)
    x = np.column_stack([t + 1.0, t[:, None] % m == np.arange(m)])[seen]
    found = np.linalg.lstsq(x, y[seen], rcond=None)[0]
    return float(found[0]), found[1:]


@pytest.mark.parametrize("m", PERIODS)
@pytest.mark.parametrize("kind", KINDS)
def test_moving_average_starts(kind: str, m: int) -> None:
    """Protects "decompose" and "hyndman": a line through the moving average of two periods, taken back to the row
    before the first for the latter; seasons centred."""
    y = data(kind, m)
    weights = np.r_[0.5, np.ones(m - 1), 0.5] / m if m % 2 == 0 else np.ones(m) / m
    average, half = np.convolve(y[: 2 * m], weights, "valid"), m // 2
    slope, intercept = np.polyfit(np.arange(1, len(average) + 1), average, 1)
    rows = np.arange(half, half + len(average))
    rest = y[rows] / average if kind == "multiplicative" else y[rows] - average
    season = np.array([rest[rows % m == p].mean() for p in range(m)])
    season = season / season.mean() if kind == "multiplicative" else season - season.mean()
    for start, level, first in (("decompose", intercept, m), ("hyndman", intercept - half * slope, 0)):
        found = started(y, kind, m, start).start
        assert (found.level, found.trend) == pytest.approx((level, slope), rel=1e-10)
        assert found.first == first
        np.testing.assert_allclose(found.seasons[0], season, rtol=1e-10, atol=1e-12)
    flat = started(y, kind, m, "hyndman", trend=False).start
    assert (flat.level, flat.trend) == (pytest.approx(y[:m].mean(), rel=1e-12), 0.0)


@pytest.mark.parametrize("m", PERIODS)
@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_of_the_start_are_filled_by_least_squares(kind: str, m: int) -> None:
    """Protects starts with gaps: the numbers are those of the series with a line and a constant a position (of logs,
    when multiplicative) in the gaps, from the first five periods or ten values."""
    y = data(kind, m)
    y[[1, m + 1]] = np.nan
    window = max(5 * m, 10)
    part = np.log(y[:window]) if kind == "multiplicative" else y[:window]
    slope, effects = dummies(part, m)
    filled = y.copy()
    for t in (1, m + 1):
        value = slope * (t + 1) + effects[t % m]
        filled[t] = math.exp(value) if kind == "multiplicative" else value
    one, two = started(y, kind, m, "decompose").start, started(filled, kind, m, "decompose").start
    assert (one.level, one.trend) == pytest.approx((two.level, two.trend), rel=1e-10)
    np.testing.assert_allclose(one.seasons[0], two.seasons[0], rtol=1e-9)


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("m", PERIODS)
@pytest.mark.parametrize("kind", KINDS)
def test_regression_start(kind: str, m: int, gap: bool) -> None:
    """Protects "regression": least squares of the first five periods on a line and dummies, on logs if multiplicative,
    where the level takes the mean of the factors and the trend is the first step of the exponential."""
    y = data(kind, m)
    if gap:
        y[[4, 7]] = np.nan
    part = y[: 5 * m]
    slope, effects = dummies(np.log(part) if kind == "multiplicative" else part, m)
    found = started(y, kind, m, "regression").start
    if kind == "additive":
        level, trend, season = effects.mean(), slope, effects - effects.mean()
    else:
        level = np.exp(effects).mean()
        trend, season = level * (math.exp(slope) - 1), np.exp(effects) / level
    assert (found.level, found.trend) == pytest.approx((level, trend), rel=1e-9)
    np.testing.assert_allclose(found.seasons[0], season, rtol=1e-9)


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("m", PERIODS)
@pytest.mark.parametrize("kind", KINDS)
def test_robust_start(kind: str, m: int, gap: bool) -> None:
    """Protects "robust": repeated median line, medians by position moved to sum 0 (mean 1), the level with them, and
    1.4826 MAD of what is left (relative to line times index, when multiplicative)."""
    y = data(kind, m)
    y[6] *= 3
    if gap:
        y[[4, 7]] = np.nan
    window = max(m * math.ceil(10 / m), 5 * m)
    part = y[:window]
    rows = np.flatnonzero(~np.isnan(part))
    slope = float(np.median([np.median([(part[i] - part[j]) / (i - j) for j in rows if j != i]) for i in rows]))
    level = float(np.median(part[rows] - slope * (rows + 1)))
    line = level + slope * (np.arange(window) + 1)
    rest = part / line if kind == "multiplicative" else part - line
    season = np.array([np.nanmedian(rest[p::m]) for p in range(m)])
    centre = season.mean()
    if kind == "multiplicative":
        season, level, slope = season / centre, level * centre, slope * centre
    else:
        season, level = season - centre, level + centre
    line, s = level + slope * (np.arange(window) + 1), season[np.arange(window) % m]
    left = (part / (line * s) - 1 if kind == "multiplicative" else part - line - s)[rows]
    found = started(y, kind, m, "robust").start
    assert (found.level, found.trend) == pytest.approx((level, slope), rel=1e-10)
    np.testing.assert_allclose(found.seasons[0], season, rtol=1e-9)
    assert found.sigma == pytest.approx(1.4826 * np.median(np.abs(left - np.median(left))), rel=1e-10)


@pytest.mark.parametrize("start", ["decompose", "hyndman", "robust", "regression"])
@pytest.mark.parametrize("trend", [False, True])
def test_starts_without_a_season(start: str, trend: bool) -> None:
    """Protects the starts of Holt's and simple smoothing: R's; a line (mean) through ten values; repeated median."""
    y = data("additive", 3)
    beta = 0.1 if trend else None
    found = fit(y, Model(trend, False, "none"), start=start, alpha=0.3, beta=beta, robust=start == "robust").start
    ten, t = y[:10], np.arange(1, 11)
    if start == "decompose":
        expected = (y[1], y[1] - y[0], 2) if trend else (y[0], 0.0, 1)
    elif start == "robust":
        slope = np.median([np.median([(ten[i] - ten[j]) / (i - j) for j in range(10) if j != i]) for i in range(10)])
        expected = (np.median(ten - slope * t), slope, 0) if trend else (np.median(ten), 0.0, 0)
    else:
        slope, level = np.polyfit(t, ten, 1)
        expected = (level, slope, 0) if trend else (ten.mean(), 0.0, 0)
    assert (found.level, found.trend, found.first) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_robust_start_of_two_periods_and_an_empty_position(kind: str) -> None:
    """Protects several periods: the window and the line are those of the longest, the shorter period's indices are
    taken out first; a position without a value has the index 0 (1) before they are centred."""
    y, periods = data(kind, 4, 61), (3, 4)
    y[2:20:4] = np.nan  # the third position of the longer period, in all of the window of 5 periods of 4
    part = y[:20]
    rows = np.flatnonzero(~np.isnan(part))
    slope = float(np.median([np.median([(part[i] - part[j]) / (i - j) for j in rows if j != i]) for i in rows]))
    level = float(np.median(part[rows] - slope * (rows + 1)))
    line = level + slope * (np.arange(20) + 1)
    many, seasons = kind == "multiplicative", []
    rest = part / line if many else part - line
    for m in periods:
        seen = [rest[p::m][~np.isnan(rest[p::m])] for p in range(m)]
        season = np.array([np.median(v) if len(v) else float(many) for v in seen])
        centre = season.mean()
        season = season / centre if many else season - centre
        level, slope = (level * centre, slope * centre) if many else (level + centre, slope)
        rest = rest / season[np.arange(20) % m] if many else rest - season[np.arange(20) % m]
        seasons.append(season)
    model = Model(True, False, kind, periods)  # type: ignore[arg-type]
    found = fit(y, model, start="robust", robust=True, alpha=0.3, beta=0.1, gamma=(0.2, 0.1)).start
    assert (found.level, found.trend) == pytest.approx((level, slope), rel=1e-10)
    for ours, theirs in zip(found.seasons, seasons, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
