"""Prediction intervals of every model cover what they say in series of 20 cycles: thousands of series from the model.

The constants are estimated, and the intervals allow for that. Taking them as known, the same intervals cover 91 % at 24
steps on average, and 72 % in the worst case: Holt with 80 values. Seen to fail with the best draw alone.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest

from templates_engine.smoothing import Model, fit_many, forecast_many

FEW, MANY = 150, 4000  # series a model in the usual tests and in the long one
STEPS = np.array([1, 4, 12, 24])
TRENDS = ((False, False), (True, False), (True, True))
KINDS = ("additive", "multiplicative")
NONE = [Model(trend, damped, "none") for trend, damped in TRENDS]
CASES = [(model, rows) for rows in (240, 80) for model in NONE]  # 20 cycles of 12, and of 4
CASES += [(Model(*trend, kind, (m,)), 20 * m) for m in (12, 4) for kind in KINDS for trend in TRENDS]  # type: ignore[arg-type]
CASES += [(Model(True, False, "additive", (2, 6)), 120), (Model(True, True, "multiplicative", (2, 6)), 120)]


def from_model(model: Model, series: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """(series, n) with constants 0.3, 0.05, 0.15, phi 0.9 and errors N(0, 1), all series a row at a time."""
    alpha, beta, gamma, phi = 0.3, 0.05 if model.trend else 0.0, 0.15, 0.9 if model.damped else 1.0
    many = model.seasonal == "multiplicative"
    level, trend = np.full(series, 100.0), np.full(series, 0.2 if model.trend else 0.0)
    waves = [np.cos(2 * np.pi * np.arange(m) / m + m) for m in model.periods]
    seasons = [np.tile((1 + 0.1 * w if many else 5 * w)[:, None], series) for w in waves]
    y = np.empty((series, n))
    for t in range(n):
        now = [s[t % m] for s, m in zip(seasons, model.periods, strict=True)]
        total = np.prod(now, axis=0) if many else np.sum(now, axis=0)
        base = level + phi * trend
        y[:, t] = (base * total if many else base + total) + rng.standard_normal(series)
        new = alpha * (y[:, t] / total if many else y[:, t] - total) + (1 - alpha) * base
        trend = beta * (new - level) + (1 - beta) * phi * trend
        level = new
        for s, m, value in zip(seasons, model.periods, [v.copy() for v in now], strict=True):
            left = y[:, t] / (level * total / value) if many else y[:, t] - level - (total - value)
            s[t % m] = gamma * left + (1 - gamma) * value
    return y


@cache
def coverage(model: Model, rows: int, series: int, estimated: bool = True) -> np.ndarray:
    """Share of the series whose value lies inside the 95 % interval, at each of STEPS."""
    seed = zlib.crc32(f"{model.title} {rows}".encode())
    y = from_model(model, series, rows + STEPS[-1], np.random.default_rng(seed))
    seen = np.ascontiguousarray(y[:, :rows])
    start = "optimal" if model.seasonal == "none" else "decompose"  # with y_2 - y_1 as first trend nothing else is seen
    panel = fit_many(seen, model, start=start, tries=1, threads=1)
    ahead = forecast_many(panel, STEPS[-1], series=seen if estimated else None)
    inside = (y[:, rows:] >= ahead.lower) & (y[:, rows:] <= ahead.upper)
    return np.asarray(inside.mean(axis=0)[STEPS - 1])


@pytest.mark.parametrize(("model", "rows"), CASES, ids=lambda v: v.title if isinstance(v, Model) else str(v))
def test_no_model_is_far_off(model: Model, rows: int) -> None:
    """Of 150 series fewer than 85 % are covered once in 3,000 at a coverage of 93 %, in 500,000 at one of 95 %."""
    assert np.all(coverage(model, rows, FEW) >= 0.85)


def test_intervals_cover_over_all_models() -> None:
    """Over all models, 3,000 series, 93 to 97 % at every step; the standard error is 0.4 points.

    The long test has 95.0 to 95.5 % there, four errors or more from the bounds: a false alarm in 20,000 seeds.
    """
    every = np.mean([coverage(model, rows, FEW) for model, rows in CASES], axis=0)
    assert np.all((every >= 0.93) & (every <= 0.97)), every


def test_plug_in() -> None:
    """What is mended: with the estimates taken as known fewer than 93 % are covered far ahead."""
    every = np.mean([coverage(model, rows, FEW, estimated=False) for model, rows in CASES], axis=0)
    assert every[3] < 0.92


@pytest.mark.slow
@pytest.mark.parametrize(("model", "rows"), CASES, ids=lambda v: v.title if isinstance(v, Model) else str(v))
def test_coverage(model: Model, rows: int) -> None:
    """95 % intervals 1, 4, 12 and 24 steps ahead cover 93 to 97 % of 4,000 series; the standard error is 0.35 points.

    Seen: 94.3 to 96.6 %; the one nearest to a bound lies 1.5 standard errors inside, so that another seed may fail.
    """
    inside = coverage(model, rows, MANY)
    print(model.title, rows, np.round(100 * inside, 1))
    assert np.all((inside >= 0.93) & (inside <= 0.97)), inside
