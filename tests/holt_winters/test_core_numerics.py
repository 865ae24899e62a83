"""Gradients, starts, intervals, missing values, panels, choice and refusals of exponential smoothing.

Expected numbers come from finite differences, simulation, algebra or another library, never from the code itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from templates_engine.problems import Refused
from templates_engine.smoothing import (
    Model,
    Start,
    choose,
    fit,
    fit_many,
    forecast,
    forecast_many,
    forecastable_radius,
    problems,
    rolling_origin,
)
from templates_engine.smoothing.gradients import settle, squared_errors
from templates_engine.smoothing.layout import layout
from templates_engine.smoothing.models import Constants
from templates_engine.smoothing.residuals import runs_test

ADDITIVE = Model(True, False, "additive", (4,))
MULTIPLICATIVE = Model(True, False, "multiplicative", (4,))
MODELS = [
    Model(False, False, "none"),
    Model(True, False, "none"),
    Model(True, True, "none"),
    ADDITIVE,
    MULTIPLICATIVE,
    Model(True, True, "multiplicative", (4,)),
    Model(False, False, "additive", (4,)),
    Model(True, False, "additive", (2, 6)),
    Model(True, True, "multiplicative", (2, 6)),
]


def simulated(model: Model, n: int, rng: np.random.Generator, sd: float = 1.0, extra: int = 0) -> np.ndarray:
    """A series from the model itself: constants 0.3, 0.05, 0.15, phi 0.9; level 100; written out independently."""
    alpha, beta, gamma = 0.3, 0.05 if model.trend else 0.0, 0.15
    phi = 0.9 if model.damped else 1.0
    level, trend = 100.0, 0.2 if model.trend else 0.0
    many = model.seasonal == "multiplicative"
    seasons = [np.cos(2 * np.pi * np.arange(m) / m + m) for m in model.periods]
    seasons = [1 + 0.1 * s if many else 5 * s for s in seasons]
    y = np.empty(n + extra)
    for t in range(n + extra):
        now = [s[t % m] for s, m in zip(seasons, model.periods, strict=True)]
        total = float(np.prod(now)) if many else float(sum(now))
        base = level + phi * trend
        y[t] = (base * total if many else base + total) + sd * rng.standard_normal()
        new = alpha * (y[t] / total if many else y[t] - total) + (1 - alpha) * base
        trend = beta * (new - level) + (1 - beta) * phi * trend
        level = new
        for s, m, value in zip(seasons, model.periods, now, strict=True):
            left = y[t] / (level * total / value) if many else y[t] - level - (total - value)
            s[t % m] = gamma * left + (1 - gamma) * value
    return y


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("start", ["decompose", "optimal"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_gradient(model: Model, start: str, relative: bool) -> None:
    """Protects the derivatives with respect to every constant and start state: central differences to 1e-5 relative.
    A missing value lies inside."""
    if relative and model.seasonal != "multiplicative":
        pytest.skip("relative errors are for multiplicative seasons")
    y = simulated(model, 40, np.random.default_rng(3))
    y[20] = np.nan
    lay = layout(model, None, None, None, None)
    z = np.zeros(lay.size)
    z[: lay.constants] = [0.35, 0.15, 0.9 if model.damped else 1.0, *[0.25] * len(model.periods)]
    z[lay.constants], z[lay.constants + 1] = 98.0, 0.3 if model.trend else 0.0
    z[lay.constants + 2 :] = 1.0 if model.seasonal == "multiplicative" else 0.0
    columns = lay.columns(start)
    settle(z, lay.constants, lay.periods, lay.offsets, lay.kind)

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        gradient, matrix = np.empty(len(columns)), np.empty((len(columns), len(columns)))
        settle(at, lay.constants, lay.periods, lay.offsets, lay.kind)
        shape = (lay.constants, lay.periods, lay.offsets, lay.kind, relative, columns, gradient, matrix)
        return squared_errors(y, 0, at, *shape), 2 * gradient

    slopes = []
    for e in columns:
        h = 1e-5 * max(1.0, abs(z[e]))
        up, down = z.copy(), z.copy()
        up[e] += h
        down[e] -= h
        slopes.append((cost(up)[0] - cost(down)[0]) / (2 * h))
    np.testing.assert_allclose(cost(z)[1], slopes, rtol=1e-5, atol=1e-5 * np.abs(slopes).max())


@pytest.mark.parametrize("start", ["decompose", "hyndman", "regression", "backcast", "optimal", "robust"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_starts_recover_an_exact_series(model: Model, start: str) -> None:
    """Protects every start: on a series without errors (straight line, fixed season) forecasts are exact from the first
    fitted value on, in exact arithmetic; for damped or multiplicative lines the season alone is exact, so a level."""
    t = np.arange(60.0)
    line = 50 + (0.5 * t if model.trend and not model.damped and model.seasonal != "multiplicative" else 0 * t)
    if model.seasonal == "none" and not model.trend:
        pytest.skip("a constant series is refused")
    y = line.copy()
    for m in model.periods:
        pattern = np.sin(2 * np.pi * (t % m + 0.5) / m) + 0.3 * ((t % m) == 0)
        y = y * (1 + 0.1 * (pattern - pattern[:m].mean())) if model.seasonal == "multiplicative" else y + 4 * pattern
    if model.seasonal == "none" and model.damped:
        pytest.skip("a damped line is no straight line")
    if start == "decompose" and model.seasonal != "none" and model.trend and line[0] != line[1]:
        pytest.skip("R's level is that of half a period before the first fitted value")
    if len(model.periods) > 1 and (model.seasonal == "multiplicative" or start == "robust"):
        pytest.skip("nested patterns are told apart only by sums of means")
    done = fit(y, model, start=start, alpha=0.3, phi=0.9 if model.damped else None)
    rows = slice(done.start.first, None)
    tolerance = 0.6 if model.damped else (1e-5 if start != "optimal" else 1e-4)
    np.testing.assert_allclose(done.fitted[rows], y[rows], atol=tolerance)


def test_user_start_is_used_as_given() -> None:
    """Protects the meaning of a given start: the first forecast is level + trend + season of row 0."""
    y = simulated(ADDITIVE, 24, np.random.default_rng(1))
    start = Start("user", 90.0, 1.5, (np.array([4.0, -1.0, -2.0, -1.0]),))
    assert fit(y, ADDITIVE, start=start).fitted[0] == pytest.approx(95.5, abs=1e-12)


def test_optimal_start_beats_the_others() -> None:
    """Protects the joint search: no other start with its own constants has a smaller squared error (same rows)."""
    for seed in range(8):
        y = simulated(ADDITIVE, 60, np.random.default_rng(seed))
        best = fit(y, ADDITIVE, start="optimal").sse
        for start in ("hyndman", "regression", "backcast"):
            assert best <= fit(y, ADDITIVE, start=start).sse * (1 + 1e-8)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("model", [ADDITIVE, MULTIPLICATIVE, MODELS[-1]], ids=lambda m: m.title)
def test_interval_formulas_by_simulation(model: Model, robust: bool) -> None:
    """The formula's standard errors agree with 40,000 simulated paths within 3 % (sampling error 0.35 %: never by
    chance; the formula for multiplicative seasons is an approximation)."""
    done = fit(simulated(model, 120, np.random.default_rng(5)), model, robust=robust, alpha=0.3, beta=0.05, gamma=0.15)
    exact = forecast(done, 13, method="analytic")
    drawn = forecast(done, 13, method="simulate", n_paths=40_000, generator=np.random.default_rng(2))
    np.testing.assert_allclose(exact.sd, drawn.sd, rtol=0.03)
    np.testing.assert_allclose(exact.point, drawn.point)


def test_missing_values_carry_the_forecast() -> None:
    """Protects the treatment of gaps: the states stay on their forecast and the next error is that of the last states;
    a leading gap shifts the season's places and changes nothing else."""
    y = simulated(ADDITIVE, 60, np.random.default_rng(9))
    gap = y.copy()
    gap[30:33] = np.nan
    constants = {"alpha": 0.3, "beta": 0.1, "gamma": 0.2}
    done = fit(gap, ADDITIVE, **constants)  # type: ignore[arg-type]
    before = fit(gap[:30], ADDITIVE, **constants)  # type: ignore[arg-type]
    np.testing.assert_allclose(done.fitted[30:34], forecast(before, 4).point, rtol=1e-12)
    assert done.n_used == 60 - 4 - 3
    late = fit(np.concatenate([np.full(3, np.nan), y]), ADDITIVE, **constants)  # type: ignore[arg-type]
    plain = fit(y, ADDITIVE, **constants)  # type: ignore[arg-type]
    np.testing.assert_allclose(late.fitted[3:], plain.fitted, rtol=1e-12)
    np.testing.assert_allclose(forecast(late, 5).point, forecast(plain, 5).point, rtol=1e-12)


def test_an_outlier_moves_the_robust_states_by_a_bounded_amount() -> None:
    """Protects the cleaning: at most k scales from the forecast, so the level moves by at most alpha k scales."""
    y = simulated(ADDITIVE, 80, np.random.default_rng(4))
    y[50] += 1000.0
    done = fit(y, ADDITIVE, robust=True, k=2.0)
    assert done.robust is not None
    assert done.robust.flags[50]
    assert done.robust.cleaned[50] == pytest.approx(done.fitted[50] + 2.0 * done.robust.scale[50], rel=1e-12)
    moved = done.levels[50] - done.levels[49] - done.trends[49]
    assert abs(moved) <= done.constants.alpha * 2.0 * done.robust.scale[50] * (1 + 1e-9)


def test_panel_equals_single_fits_for_any_threads() -> None:
    """Protects the panel: the same numbers as one series at a time; a bad series is named and spoils no other."""
    rng = np.random.default_rng(21)
    rows = [simulated(MULTIPLICATIVE, n, rng) for n in (40, 55, 70) for _ in range(30)]
    rows[4] = np.zeros(40)
    rows[7] = rows[7][:6]
    rows[9][:5] = np.nan
    rows[11][3] = -1.0
    one, two = fit_many(rows, MULTIPLICATIVE, threads=1), fit_many(rows, MULTIPLICATIVE, threads=2)
    assert [bool(s) for s in one.status] == [i in (4, 7, 11) for i in range(len(rows))]
    np.testing.assert_array_equal(one.constants, two.constants)
    ahead = forecast_many(one, 6)
    for i in (0, 9, 40, 89):
        alone = fit(rows[i], MULTIPLICATIVE, tries=5)
        assert (alone.sse, alone.aicc, alone.sigma) == (one.sse[i], one.aicc[i], one.sigma[i])
        np.testing.assert_allclose(ahead.upper[i], forecast(alone, 6, method="analytic").upper, rtol=1e-12)


def test_cost_is_linear(cost: Callable[..., float]) -> None:
    """Protects the cost: 8 times the series or 8 times the rows take less than 16 times as long (the search ends after
    about as many passes for any length; factor 2 for a busy machine, best of three)."""
    rng = np.random.default_rng(2)
    rows = np.array([simulated(ADDITIVE, 800, rng) for _ in range(40)])

    def fitted(series: np.ndarray) -> Callable[[], object]:
        return lambda: fit_many(series, ADDITIVE, threads=1)

    short, many = rows[:, :100], np.repeat(rows[:, :100], 8, axis=0)
    fitted(rows[:2])()
    assert cost(fitted(rows), beside=fitted(short)) < 16
    assert cost(fitted(many), beside=fitted(short)) < 16


def test_choice_finds_the_kind_of_series() -> None:
    """Protects the automatic choice: a strong season is found, its kind too; none where there is none (clear cases)."""
    rng = np.random.default_rng(8)
    t = np.arange(96)
    shape = np.array([0.5, 1.5, 0.8, 1.2])[t % 4]
    growing = (50 + 4 * t) * shape * (1 + 0.02 * rng.standard_normal(96))
    best = choose(growing, (4,))[0]
    assert best.chosen
    assert best.model.seasonal == "multiplicative"
    steady = 50 + 4 * t + 40 * (shape - 1) + 3 * rng.standard_normal(96)
    assert choose(steady + 0.0, (4,))[0].model.seasonal == "additive"
    noise = 10 + rng.standard_normal(96)
    assert choose(noise, (4,))[0].model.seasonal == "none"


def test_rolling_origin_by_hand() -> None:
    """Protects the comparison: naive and seasonal naive errors as worked out directly, MASE with the training scale."""
    y = simulated(ADDITIVE, 60, np.random.default_rng(6))
    table = rolling_origin(y, ADDITIVE, horizon=3, n_origins=5)
    rows = {row.method: row for row in table.rows}
    naive = np.array([[y[o + h] - y[o - 1] for h in range(3)] for o in range(53, 58)])
    seasonal = np.array([[y[o + h] - y[o + h - 4] for h in range(3)] for o in range(53, 58)])
    scale = np.array([[np.abs(y[4:o] - y[: o - 4]).mean()] for o in range(53, 58)])
    assert rows["Naive"].rmse == pytest.approx(math.sqrt((naive**2).mean()), rel=1e-12)
    assert rows["Seasonal naive"].mae == pytest.approx(np.abs(seasonal).mean(), rel=1e-12)
    assert rows["Naive"].mase == pytest.approx((np.abs(naive) / scale).mean(), rel=1e-12)
    assert table.n_origins == 5


def test_refusals() -> None:
    """Protects the messages: every fault of a series and of a request has its own code, all at once."""
    y = simulated(ADDITIVE, 40, np.random.default_rng(1))

    def codes(values: np.ndarray, model: Model = ADDITIVE, **options: object) -> set[str]:
        return {p.code for p in problems(values, model, **options)}  # type: ignore[arg-type]

    assert codes(y) == set()
    assert codes(y[:8]) == {"too-short"}
    assert codes(y[:9]) == set()
    assert codes(y, Model(True, False, "additive", (52,))) == {"season-too-long"}
    assert codes(np.full(40, np.nan)) == {"all-missing"}
    assert codes(np.full(40, 3.0)) == {"constant"}
    assert codes(np.r_[y, np.inf]) == {"infinite"}
    assert codes(np.r_[y, 0.0], MULTIPLICATIVE) == {"not-positive"}
    assert codes(y, Model(True, False, "additive", (1,))) == {"bad-period"}
    assert codes(np.full(40, -3.0), MULTIPLICATIVE, alpha=0.0, start="often") == {
        "constant", "not-positive", "inadmissible", "bad-start",
    }  # fmt: skip
    assert codes(y, start="optimal", robust=True, criterion="roblik") == {"optimal-start"}


def test_published_constants_outside_the_box() -> None:
    """alpha = 1.414 of the crop-insurance study: refused, allowed as a notice on request; with period 2 the additive
    analogue's spectral radius is 1.25 (worked out from its transition matrix), so forecasts diverge."""
    model = Model(True, False, "multiplicative", (2,))
    y = np.abs(simulated(Model(True, False, "multiplicative", (2,)), 38, np.random.default_rng(0)))
    published = {"alpha": 1.414, "beta": 0.11, "gamma": 0.46}
    with pytest.raises(Refused) as refused:
        fit(y, model, **published)  # type: ignore[arg-type]
    assert "1.25" in str(refused.value)
    assert [p.level for p in problems(y, model, allow_inadmissible=True, **published)] == ["notice"]  # type: ignore[arg-type]
    assert fit(y, model, allow_inadmissible=True, **published).constants.alpha == 1.414  # type: ignore[arg-type]
    assert forecastable_radius(model, Constants(1.414, 0.11, (0.46,))) == pytest.approx(1.25, abs=0.005)
    assert forecastable_radius(model, Constants(0.3, 0.1, (0.2,))) == pytest.approx(1.0, abs=1e-8)


def test_runs_by_hand() -> None:
    """Protects the runs test: + + - - + - has 4 runs, E = 4, so z = 0."""
    assert runs_test(np.array([1.0, 2, -1, -2, 3, -3]), 0.0) == (4, 3, 3, 0.0)


def test_never_fails_on_finite_data() -> None:
    """Protects the search: wild but finite series give finite constants in the box, classical and robust."""
    rng = np.random.default_rng(13)
    rows = np.exp(3 * rng.standard_normal((200, 24)))
    rows[:50] = rng.lognormal(0, 1, (50, 24)) * np.linspace(50, 0.01, 24) + 1e-9
    for robust in (False, True):
        for model in (ADDITIVE, MULTIPLICATIVE):
            found = fit_many(rows, model, robust=robust, threads=1)
            assert set(found.status) == {""}
            assert np.isfinite(found.sse).all()
            assert ((found.constants >= 0) & (found.constants <= 1)).all()
