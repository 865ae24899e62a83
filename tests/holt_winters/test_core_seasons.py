"""Several seasons at once: the compiled recursion, its forecasts and its limit of one season, against plain Python.

No other program fits this model with R's updates, so the equations of recursions.py are written out a second time.
"""

from __future__ import annotations

import numpy as np
import pytest

from templates_engine.smoothing import Fit, Model, Start, fit, forecast
from templates_engine.smoothing.layout import layout
from templates_engine.smoothing.search import squares_at

PERIODS = (3, 4, 7)
GAMMAS = (0.2, 0.35, 0.1)
ALPHA, BETA, PHI = 0.3, 0.15, 0.9


def data(kind: str, n: int = 80) -> np.ndarray:
    rng = np.random.default_rng(31)
    t = np.arange(n)
    swing = sum((k + 1) * np.sin(2 * np.pi * t / m) for k, m in enumerate(PERIODS))
    y = (50 + 0.3 * t) * (1 + 0.03 * swing) if kind == "multiplicative" else 50 + 0.3 * t + swing
    y = y + rng.standard_normal(n)
    y[20] = np.nan
    return y


def start_of(kind: str) -> Start:
    base = 1.0 if kind == "multiplicative" else 0.0
    seasons = tuple(base + 0.05 * (np.arange(m) - (m - 1) / 2) for m in PERIODS)
    return Start("user", 48.0, 0.5, seasons)


def plain(y: np.ndarray, kind: str, start: Start, horizon: int) -> tuple[list[float], list[float]]:
    """One-step forecasts and forecasts ahead by Taylor's equations for K seasons, with lists and no cleverness."""
    level, b = start.level, start.trend
    s = [list(x) for x in start.seasons]
    fitted = []
    for t, value in enumerate(y):
        used = [s[i][t % m] for i, m in enumerate(PERIODS)]
        fitted.append((level + PHI * b) * np.prod(used) if kind == "multiplicative" else level + PHI * b + sum(used))
        if np.isnan(value):
            level, b = level + PHI * b, PHI * b
            continue
        if kind == "multiplicative":
            new = ALPHA * value / np.prod(used) + (1 - ALPHA) * (level + PHI * b)
        else:
            new = ALPHA * (value - sum(used)) + (1 - ALPHA) * (level + PHI * b)
        b = BETA * (new - level) + (1 - BETA) * PHI * b
        level = new
        for i, m in enumerate(PERIODS):
            others = [u for j, u in enumerate(used) if j != i]
            own = value / (level * np.prod(others)) if kind == "multiplicative" else value - level - sum(others)
            s[i][t % m] = GAMMAS[i] * own + (1 - GAMMAS[i]) * used[i]
    ahead = []
    for h in range(1, horizon + 1):
        used = [s[i][(len(y) + h - 1) % m] for i, m in enumerate(PERIODS)]
        line = level + sum(PHI**k for k in range(1, h + 1)) * b
        ahead.append(line * np.prod(used) if kind == "multiplicative" else line + sum(used))
    return fitted, ahead


def fixed(y: np.ndarray, kind: str, start: Start) -> Fit:
    model = Model(True, True, kind, PERIODS)  # type: ignore[arg-type]
    return fit(y, model, start=start, alpha=ALPHA, beta=BETA, gamma=GAMMAS, phi=PHI)


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_three_seasons_as_written_out(kind: str) -> None:
    """Protects fitted values, forecasts and the search's own pass (which writes no rows), a missing value inside."""
    y, start = data(kind), start_of(kind)
    done = fixed(y, kind, start)
    fitted, ahead = plain(y, kind, start, 15)
    np.testing.assert_allclose(done.fitted, fitted, rtol=1e-12)
    np.testing.assert_allclose(forecast(done, 15, method="analytic").point, ahead, rtol=1e-12)
    lay = layout(done.model, None, None, None, None)
    z = np.array([ALPHA, BETA, PHI, *GAMMAS, start.level, start.trend, *np.concatenate(start.seasons)])
    relative = kind == "multiplicative"
    shape = (lay.constants, lay.periods, lay.offsets, lay.kind)
    e = (y - np.array(fitted))[~np.isnan(y)]
    assert squares_at(y, 0, z, *shape, False, np.empty(len(y))) == pytest.approx(float(e @ e), rel=1e-11)
    if relative:  # G e / x, with G the geometric mean of the forecasts x
        x = np.array(fitted)[~np.isnan(y)]
        likelihood = float(np.sum((e / x) ** 2) * np.exp(2 * np.mean(np.log(x))))
        assert squares_at(y, 0, z, *shape, True, np.empty(len(y))) == pytest.approx(likelihood, rel=1e-11)


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
@pytest.mark.parametrize("robust", [False, True])
def test_idle_second_season_changes_nothing(kind: str, robust: bool) -> None:
    """Protects the limit: with a second season of no effect that never moves, numbers are those of one season alone."""
    y = data(kind)
    quiet = np.full(7, 1.0 if kind == "multiplicative" else 0.0)
    first = start_of(kind).seasons[1]
    known = {"alpha": ALPHA, "beta": BETA, "robust": robust}
    one = fit(y, Model(True, False, kind, (4,)), start=Start("user", 48.0, 0.5, (first,)), gamma=0.3, **known)  # type: ignore[arg-type]
    both = Model(True, False, kind, (4, 7))  # type: ignore[arg-type]
    sigma = one.start.sigma
    two = fit(y, both, start=Start("user", 48.0, 0.5, (first, quiet), 0, sigma), gamma=(0.3, 0.0), **known)  # type: ignore[arg-type]
    np.testing.assert_allclose(two.fitted, one.fitted, rtol=1e-12)
    np.testing.assert_allclose(two.last_seasons[1], quiet, atol=1e-15)
    np.testing.assert_allclose(
        forecast(two, 9, method="analytic").sd, forecast(one, 9, method="analytic").sd, rtol=1e-9
    )
    if robust:
        assert one.robust is not None
        assert two.robust is not None
        np.testing.assert_allclose(two.robust.scale, one.robust.scale, rtol=1e-12)
        assert two.robust.objective == pytest.approx(one.robust.objective, rel=1e-12)
