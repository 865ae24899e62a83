"""Prediction intervals of every model cover what they say: thousands of series from the model itself."""

from __future__ import annotations

import numpy as np
import pytest

from model_templates.holt_winters.api import Model, fit_many, forecast_many

SERIES, ROWS, HORIZON = 4000, 480, 9  # 120 cycles of 4, 80 of 6
MODELS = [
    Model(False, False, "none"),
    Model(True, False, "none"),
    Model(True, True, "none"),
    *[Model(trend, damped, "additive", (4,)) for trend, damped in ((False, False), (True, False), (True, True))],
    *[Model(trend, damped, "multiplicative", (4,)) for trend, damped in ((False, False), (True, False), (True, True))],
    Model(True, False, "additive", (2, 6)),
    Model(True, True, "multiplicative", (2, 6)),
]


def from_model(model: Model, n: int, rng: np.random.Generator) -> np.ndarray:
    """(SERIES, n) series with constants 0.3, 0.05, 0.15, phi 0.9 and errors N(0, 1), all series a row at a time."""
    alpha, beta, gamma, phi = 0.3, 0.05 if model.trend else 0.0, 0.15, 0.9 if model.damped else 1.0
    many = model.seasonal == "multiplicative"
    level, trend = np.full(SERIES, 100.0), np.full(SERIES, 0.2 if model.trend else 0.0)
    waves = [np.cos(2 * np.pi * np.arange(m) / m + m) for m in model.periods]
    seasons = [np.tile((1 + 0.1 * w if many else 5 * w)[:, None], SERIES) for w in waves]
    y = np.empty((SERIES, n))
    for t in range(n):
        now = [s[t % m] for s, m in zip(seasons, model.periods, strict=True)]
        total = np.prod(now, axis=0) if many else np.sum(now, axis=0)
        base = level + phi * trend
        y[:, t] = (base * total if many else base + total) + rng.standard_normal(SERIES)
        new = alpha * (y[:, t] / total if many else y[:, t] - total) + (1 - alpha) * base
        trend = beta * (new - level) + (1 - beta) * phi * trend
        level = new
        for s, m, value in zip(seasons, model.periods, [v.copy() for v in now], strict=True):
            left = y[:, t] / (level * total / value) if many else y[:, t] - level - (total - value)
            s[t % m] = gamma * left + (1 - gamma) * value
    return y


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_coverage(model: Model) -> None:
    """95 % intervals 1, 4 and 9 steps ahead (beyond a period) cover 93 to 97 % of 4,000 series.

    The standard error is 0.35 points. Estimated constants take a little: with 160 rows a damped trend's intervals 9
    steps ahead cover 93.2 to 93.5 %, which is why the series are longer here. At a true coverage of 94.4 % a check
    fails by chance once in 30,000.
    """
    # An undamped line wanders: in longer series the level of some goes through zero, where factors mean nothing.
    rows = 160 if model.seasonal == "multiplicative" and not model.damped else ROWS
    y = from_model(model, rows + HORIZON, np.random.default_rng(11))
    start = "optimal" if model.seasonal == "none" else "decompose"  # y_2 - y_1 as first trend widens all intervals
    ahead = forecast_many(fit_many(y[:, :rows], model, start=start, tries=1, threads=1), HORIZON)
    inside = ((y[:, rows:] >= ahead.lower) & (y[:, rows:] <= ahead.upper)).mean(axis=0)
    assert np.all((inside[[0, 3, 8]] >= 0.93) & (inside[[0, 3, 8]] <= 0.97))
