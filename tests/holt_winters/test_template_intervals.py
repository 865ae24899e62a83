"""Intervals by formula, simulated and resampled agree where they must; the mean of the residuals added on request.

Tolerances are five standard errors of a quantile, sqrt(p (1 - p) / m) / density: of m = 20,000 simulated futures,
and where n residuals stand for their distribution of these too. Five errors at the some thirty limits that are
compared are a false alarm in 50,000 runs. Seen to fail with residuals that are not centred, with the sign of the
mean turned, and with normal errors in place of the residuals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from smoothing import MANY, holt_winters, run, series, shops

from model_templates.holt_winters.smoothed import PATHS, Smoothed, complete
from model_templates.holt_winters.spec import Spec
from model_templates.holt_winters.timeline import Series
from templates_engine import smoothing as api
from templates_engine.data.dataset import Dataset
from templates_engine.smoothing.intervals.sampled import draws_of

N = 6000
SPEC = Spec(
    "y", "", "", (4,), "Holt-Winters", False, "Additive", False, 2.0, "hyndman", 0.3, 0.05, (0.1,), None, False, 12,
    95.0, 1,
)  # fmt: skip
TAIL = 0.025


def smoothed(errors: np.ndarray, **changes: object) -> Smoothed:
    """A long additive series whose one-step errors at SPEC's constants are exactly `errors` from row 4 on."""
    level, trend, season = 100.0, 0.01, [3.0, -1.0, -4.0, 2.0]
    y = np.empty(len(errors))
    for t, e in enumerate(errors):
        s = season[t % 4]
        y[t] = level + trend + s + e
        now = 0.3 * (y[t] - s) + 0.7 * (level + trend)
        trend = 0.05 * (now - level) + 0.95 * trend
        season[t % 4], level = 0.1 * (y[t] - now) + 0.9 * s, now
    fitted = api.fit(y, api.Model(True, False, "additive", (4,)), start="hyndman", alpha=0.3, beta=0.05, gamma=0.1)
    return complete(replace(SPEC, **changes), Series("", y, 0, np.arange(len(y))), fitted)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def normal() -> np.ndarray:
    return 2.0 * np.random.default_rng(11).standard_normal(N)


@pytest.mark.parametrize("how", ["normal", "resample"])
def test_simulated_intervals_of_a_long_normal_series_are_those_of_the_formula(how: str, normal: np.ndarray) -> None:
    density = np.exp(-(1.959964**2) / 2) / np.sqrt(2 * np.pi)
    m = 1 / (1 / PATHS + (1 / N if how == "resample" else 0))
    error = 5 * np.sqrt(TAIL * (1 - TAIL) / m) / density
    formula, simulated = smoothed(normal), smoothed(normal, intervals=how)
    assert (formula.forecast.method, simulated.forecast.method) == ("analytic", "simulated")
    assert simulated.forecast.point == pytest.approx(formula.forecast.point, abs=0)
    for side in ("lower", "upper"):
        apart = (getattr(simulated.forecast, side) - getattr(formula.forecast, side)) / formula.forecast.sd
        assert np.abs(apart).max() < error, side
    for level in (50, 80, 95):
        assert simulated.bands[level][1] == pytest.approx(formula.bands[level][1], rel=0.02)


def test_resampled_intervals_keep_the_skewness_of_the_residuals() -> None:
    """One step ahead the limits are quantiles of the residuals about their mean; normal limits are far from them."""
    skew = np.random.default_rng(12).exponential(1.0, N) - 0.5  # their mean is not zero
    one = smoothed(skew, intervals="resample")
    e = one.fit.residuals[np.isfinite(one.fit.residuals)]
    e = e - e.mean()
    point = one.forecast.point[0]
    for limit, p, density in ((one.forecast.lower, TAIL, 1 - TAIL), (one.forecast.upper, 1 - TAIL, TAIL)):
        error = 5 * np.sqrt(TAIL * (1 - TAIL) / PATHS) / density  # the density of an exponential at its quantile
        assert limit[0] - point == pytest.approx(np.quantile(e, p), abs=error)
    plain = smoothed(skew, intervals="normal").forecast
    assert plain.lower[0] < one.forecast.lower[0] - 0.5, "normal errors reach further down than these can"


def test_auto_is_the_formula_for_additive_and_a_simulation_for_multiplicative(tmp_path: Path) -> None:
    air = series("AirPassengers")
    notes = {
        kind: (tmp_path / kind).joinpath("Forecast.json").read_text()
        for kind in ("Additive", "Multiplicative")
        if holt_winters(tmp_path / kind, air, period="12", seasonal=kind, horizon="3")
    }
    assert "by formula, with normal errors" in notes["Additive"]
    assert "simulated (20,000 futures, seed 1), with normal errors" in notes["Multiplicative"]
    holt_winters(tmp_path / "own", air, period="12", horizon="3", intervals="resample")
    assert "errors drawn again from the residuals" in (tmp_path / "own" / "Forecast.json").read_text()
    assert "errors drawn again from the residuals" in (tmp_path / "own" / "Methods.txt").read_text()


def test_the_mean_of_the_residuals_is_added_on_request(normal: np.ndarray) -> None:
    """Forecast, limits and bands move by the mean; the fit and its residuals stay."""
    without, with_it = smoothed(normal + 0.2), smoothed(normal + 0.2, correct=True)
    mean = float(np.nanmean(without.fit.residuals))
    assert abs(mean) > 0.001
    assert with_it.shift == pytest.approx(mean)
    for side in ("point", "lower", "upper"):
        moved = getattr(with_it.forecast, side) - getattr(without.forecast, side)
        assert moved == pytest.approx(np.full(12, mean), abs=1e-9)
    assert with_it.bands[80][0] - without.bands[80][0] == pytest.approx(np.full(12, mean), abs=1e-9)
    assert with_it.fit.residuals == pytest.approx(without.fit.residuals, nan_ok=True, abs=0)


def test_a_correction_is_told_wherever_forecasts_are(tmp_path: Path) -> None:
    air = series("AirPassengers")
    plain = holt_winters(tmp_path / "plain", air, period="12", horizon="3", alpha="0.3", beta="0.1", gamma="0.1")
    moved = holt_winters(
        tmp_path / "moved", air, period="12", horizon="3", alpha="0.3", beta="0.1", gamma="0.1", correct="Yes"
    )
    mean = float(plain.table("Fitted")["residual"].mean())
    apart = moved.table("Forecast")["point"] - plain.table("Forecast")["point"]
    assert apart.to_numpy() == pytest.approx(np.full(3, mean), rel=1e-9)
    assert "is added to the forecasts" in (tmp_path / "moved" / "Forecast.json").read_text()
    assert "was added to the forecasts" in (tmp_path / "moved" / "Methods.txt").read_text()
    assert "known at an origin is added" in (tmp_path / "moved" / "Accuracy.json").read_text()
    assert moved.table("Accuracy").loc[0, "mae"] != plain.table("Accuracy").loc[0, "mae"]
    assert moved.table("Accuracy").loc[1:, "mae"].tolist() == plain.table("Accuracy").loc[1:, "mae"].tolist()


def test_rolling_origins_add_the_mean_known_at_each(normal: np.ndarray) -> None:
    """Three origins by hand: fit, forecast and mean residual of the values before each."""
    y = np.cumsum(0.1 + normal[:60])
    model = api.Model(False, False, "none", ())
    found = api.rolling_origin(y, model, horizon=2, n_origins=3, alpha=0.4, correct=True)
    errors = []
    for origin in (56, 57, 58):
        fitted = api.fit(y[:origin], model, alpha=0.4)
        shift = np.nanmean(fitted.residuals)
        errors.append(y[origin : origin + 2] - api.forecast(fitted, 2).point - shift)
    assert found.rows[0].mae == pytest.approx(np.abs(errors).mean())


def test_resampled_intervals_of_a_series_among_many_are_those_it_has_alone(tmp_path: Path) -> None:
    data = shops().take(shops()["shop"] <= 2)
    many = run("HoltWinters", data, {**MANY, "intervals": "resample", "correct": "Yes"}, tmp_path / "many")
    alone = {k: v for k, v in MANY.items() if k != "series"}
    one = run("HoltWinters", data.take(data["shop"] == 2), {**alone, "intervals": "resample", "correct": "Yes"},
              tmp_path / "one")  # fmt: skip
    mine = many.table("Forecast")
    mine = mine[mine["series"] == 2]
    for column in ("point", "lower", "upper"):
        assert mine[column].to_numpy() == pytest.approx(one.table("Forecast")[column].to_numpy(), rel=1e-9)


KNOWN = {"alpha": "0.3", "beta": "0.1", "gamma": "0.2"}


@pytest.mark.parametrize("how", ["formula", "normal", "resample"])
@pytest.mark.parametrize("more", [KNOWN, {"robust": "Yes", "method": "SES"}], ids=["given", "robust"])
def test_where_no_constant_was_estimated_by_likelihood_the_answer_changes_nothing(
    how: str, more: dict[str, str], tmp_path: Path
) -> None:
    """All constants given, or the robust variant: the same bytes with Yes and No; the words say which."""
    air = series("AirPassengers")
    tables = []
    for answer in ("Yes", "No"):
        answers = {"period": "12", "horizon": "5", "intervals": how, "estimated": answer, **more}
        holt_winters(tmp_path / answer, air, **answers)
        tables.append((tmp_path / answer / "Forecast.json").read_bytes())
    assert tables[0] == tables[1]
    words = "are those given, and are taken as known" if more is KNOWN else "taken as known, as always in the robust"
    assert words in tables[0].decode()


@pytest.mark.parametrize("how", ["formula", "normal", "resample"])
def test_intervals_allow_for_estimated_constants_unless_told_not_to(how: str, tmp_path: Path) -> None:
    """Yes and No are the core's numbers with and without draws; points are the same; the words say which."""
    air = series("AirPassengers")
    fitted = api.fit(air["value"], api.Model(True, False, "additive", (12,)))
    for answer, words in (("", "having been estimated"), ("No", "the constants are taken as known")):
        more = {"estimated": answer} if answer else {}
        ran = holt_winters(tmp_path / how / (answer or "Yes"), air, period="12", horizon="24", intervals=how, **more)
        mine = ran.table("Forecast")
        ahead = api.forecast(
            fitted, 24, method="analytic" if how == "formula" else "simulate",
            generator=np.random.Generator(np.random.PCG64DXSM(1)),
            errors="bootstrap" if how == "resample" else "normal", draws=None if answer else draws_of(fitted),
        )  # fmt: skip
        for column in ("point", "lower", "upper"):
            assert mine[column].to_numpy() == pytest.approx(getattr(ahead, column), rel=1e-9), column
        folder = tmp_path / how / (answer or "Yes")
        assert words in (folder / "Forecast.json").read_text()
        assert words in (folder / "Methods.txt").read_text()


def test_a_series_too_short_or_without_errors_takes_its_constants_as_known(tmp_path: Path) -> None:
    """Five values of a half-yearly season; a season that repeats itself without an error."""
    for name, values in (("short", [1.0, 3.0, 2.0, 4.0, 3.5]), ("exact", [1.0, 2.0] * 12)):
        ran = holt_winters(tmp_path / name, Dataset("d", {"value": np.array(values)}), period="2", horizon="3")
        assert np.isfinite(ran.table("Forecast")["lower"]).all()
        said = (tmp_path / name / "Forecast.json").read_text()
        assert "taken as known, since the series says too little about them" in said


def test_resampled_errors_have_the_spread_of_each_draw(normal: np.ndarray) -> None:
    """Of 5,996 normal residuals with one constant estimated, drawn again or by formula: the same limits."""
    y = smoothed(normal).fit.y
    fitted = api.fit(y, api.Model(True, False, "additive", (4,)), start="hyndman", beta=0.05, gamma=0.1)
    draws = draws_of(fitted)
    formula = api.forecast(fitted, 8, method="analytic", draws=draws)
    again = api.forecast(
        fitted, 8, method="simulate", errors="bootstrap", generator=np.random.default_rng(3), draws=draws
    )
    density = np.exp(-(1.959964**2) / 2) / np.sqrt(2 * np.pi)
    error = 5 * np.sqrt(TAIL * (1 - TAIL) * (1 / PATHS + 1 / N)) / density
    for side in ("lower", "upper"):
        assert np.abs((getattr(again, side) - getattr(formula, side)) / formula.sd).max() < error, side


def test_a_second_phase_is_drawn_where_it_is_named(tmp_path: Path) -> None:
    """By its time, or by its row where there are no times; elsewhere no picture."""
    y = np.tile([5.0, 9.0], 10) * np.arange(1, 21) + np.random.default_rng(3).standard_normal(20)
    times = np.array([f"{2000 + k // 2}-H{k % 2 + 1}" for k in range(20)])
    data = Dataset("d", {"value": y, "half": times})
    for folder, answers in (("time", {"time": "half", "phase": "2005-h1"}), ("row", {"phase": "11"}), ("no", {})):
        holt_winters(tmp_path / folder, data, period="2", horizon="2", **answers)
        there = (tmp_path / folder / "phases.svg").exists()
        assert there == (folder != "no")
        if there:
            said = (tmp_path / folder / "phases.svg").read_text()
            assert "10 values" in said
            assert (tmp_path / folder / "phases.svg.json").exists()
