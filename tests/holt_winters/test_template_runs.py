"""HoltWinters from answers to files: R's numbers, the core's numbers, every output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from beside import figures
from smoothing import coefficients, holt_winters, run, series

from templates_engine import smoothing as api
from templates_engine.data.simulate import SUPPLIED
from templates_engine.data.simulate.series import OUTLIERS

REFERENCE = figures("holtwinters")
SERIES = {"AirPassengers": "12", "UKgas": "4", "JohnsonJohnson": "4", "co2": "12"}
FIXED = {"alpha": "0.3", "beta": "0.1", "gamma": "0.1"}


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_the_numbers_at_fixed_constants_are_those_of_r(name: str, kind: str, tmp_path: Path) -> None:
    """R's HoltWinters at (0.3, 0.1, 0.1): start values, squared error, last states and forecasts to 1e-8."""
    there = REFERENCE[name].get(f"HoltWinters_{kind}_fixed_0.3_0.1_0.1")
    if there is None:
        pytest.skip("R was not run on this")
    period = SERIES[name]
    ran = holt_winters(tmp_path, series(name), time="time", period=period, seasonal=kind, horizon="12", **FIXED)
    mine = coefficients(ran)
    assert ran.table("Fit").loc[0, "sse"] == pytest.approx(there["SSE"], rel=1e-10)
    for state, value in there["coefficients"].items():
        assert mine[state] == pytest.approx(value, rel=1e-8, abs=1e-8)
    assert ran.table("Forecast")["point"].to_numpy() == pytest.approx(np.array(there["forecast12"]), rel=1e-8)
    start = REFERENCE[name][f"HoltWinters_{kind}"]["start_values"]
    assert (mine["l_start"], mine["b_start"]) == pytest.approx((start["l_start"], start["b_start"]), rel=1e-8)
    found = [mine[f"s_start{k + 1}"] for k in range(int(period))]
    assert found == pytest.approx(start["s_start"], rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_the_optimum_is_no_worse_than_that_of_r(name: str, kind: str, tmp_path: Path) -> None:
    there = REFERENCE[name][f"HoltWinters_{kind}"]
    ran = holt_winters(tmp_path, series(name), time="time", period=SERIES[name], seasonal=kind, horizon="12")
    assert ran.table("Fit").loc[0, "sse"] <= there["SSE"] * (1 + 1e-7)
    point = ran.table("Forecast")["point"].to_numpy()
    assert point == pytest.approx(np.array(there["forecast"])[:12], rel=2e-3)


def test_additive_intervals_are_those_of_r_at_its_constants(tmp_path: Path) -> None:
    """R's additive limits are right; its constants are given so that only the formula is compared."""
    there = REFERENCE["AirPassengers"]["HoltWinters_additive"]
    given = {name: repr(there[name]) for name in ("alpha", "beta", "gamma")}
    ran = holt_winters(tmp_path, series("AirPassengers"), period="12", horizon="24", **given)
    table = ran.table("Forecast").iloc[: len(there["upper95"])]
    assert table["upper"].to_numpy() == pytest.approx(np.array(there["upper95"]), rel=1e-8)
    assert table["lower"].to_numpy() == pytest.approx(np.array(there["lower95"]), rel=1e-8)


def test_multiplicative_intervals_are_simulated_and_near_the_right_formula(tmp_path: Path) -> None:
    """Half the width is 1.96 standard errors; 20,000 futures give it within 3 % (five Monte Carlo errors)."""
    there = REFERENCE["AirPassengers"]["HoltWinters_multiplicative"]
    given = {name: repr(there[name]) for name in ("alpha", "beta", "gamma")}
    ran = holt_winters(tmp_path, series("AirPassengers"), period="12", seasonal="Multiplicative", horizon="12", **given)
    table = ran.table("Forecast")
    se = np.array(there["interval"]["formula_se_h"])[:12]
    assert (table["upper"] - table["lower"]).to_numpy() / (2 * 1.959964) == pytest.approx(se, rel=0.03)


def test_residual_figures_are_those_of_the_reference(tmp_path: Path) -> None:
    there = REFERENCE["AirPassengers"]["HoltWinters_additive"]["residual_diagnostics_at_fixed_0.3_0.1_0.1"]
    ran = holt_winters(tmp_path, series("AirPassengers"), period="12", horizon="3", **FIXED)
    table = ran.table("ResidualDiagnostics").set_index("statistic")
    value, p = table["value"], table["p"]
    assert value["n"] == there["n"]
    for mine, theirs in (
        ("mean", "mean"),
        ("sd", "sd"),
        ("durbin_watson", "durbin_watson"),
        ("q1", "q1"),
        ("q3", "q3"),
    ):
        assert value[mine] == pytest.approx(there[theirs], rel=1e-9)
    assert (value["runs"], value["runs_z"]) == (there["runs_median"]["runs"], pytest.approx(there["runs_median"]["z"]))
    assert p["runs_z"] == pytest.approx(there["runs_median"]["p"], rel=1e-6)
    assert [value["lower_inner_fence"], value["upper_inner_fence"]] == pytest.approx(there["inner"], rel=1e-9)
    assert [value["lower_outer_fence"], value["upper_outer_fence"]] == pytest.approx(there["outer"], rel=1e-9)
    assert (value["beyond_inner"], value["beyond_outer"]) == (there["n_beyond_inner"], there["n_beyond_outer"])
    assert [value["jarque_bera"], p["jarque_bera"]] == pytest.approx(there["jarque_bera"], rel=1e-8)
    fit = ran.table("Fit").loc[0]
    for name in ("mse", "rmse", "mae", "mape"):
        assert fit[name] == pytest.approx(there[name], rel=1e-9)


def test_tables_hold_what_the_core_gives(tmp_path: Path) -> None:
    """Nothing is lost, moved or rounded between the fit and the files."""
    data = SUPPLIED["quarterly_sales"]()
    ran = run("HoltWinters", data, {
        "y": "sales", "time": "quarter", "period": "4", "seasonal": "Multiplicative", "robust": "Yes", "k": "3",
        "horizon": "6",
    }, tmp_path)  # fmt: skip
    model = api.Model(True, False, "multiplicative", (4,))
    fit = api.fit(data["sales"], model, robust=True, k=3.0)
    assert fit.robust is not None
    table = ran.table("Fitted")
    for column, values in {
        "observed": fit.y, "fitted": fit.fitted, "residual": fit.residuals, "level": fit.levels, "trend": fit.trends,
        "season": fit.seasons[:, 0], "cleaned": fit.robust.cleaned, "outlier": fit.robust.flags.astype(float),
    }.items():  # fmt: skip
        assert table[column].to_numpy() == pytest.approx(values, nan_ok=True, abs=0), column
    assert table["time"].tolist() == data["quarter"].tolist()
    ahead = api.forecast(fit, 6, method="analytic")
    forecast = ran.table("Forecast")
    assert forecast["point"].to_numpy() == pytest.approx(ahead.point, abs=0)
    assert forecast["time"].tolist() == ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2"]
    outliers = ran.table("Outliers")
    cut = outliers[outliers["cut"] == "Yes"]
    assert sorted(cut["time"]) == data["quarter"][fit.robust.flags].tolist()
    assert outliers["residual"].abs().is_monotonic_decreasing, "the largest first"
    in_time = cut.sort_values("time")
    assert in_time["replaced_by"].to_numpy() == pytest.approx(fit.robust.cleaned[fit.robust.flags])
    planted = set(data["quarter"][list(OUTLIERS)])
    assert planted <= set(cut["time"]), "the three planted outliers are found"
    mine = coefficients(ran)
    assert mine["alpha"] == fit.constants.alpha
    assert mine["a"] == fit.last_level
    assert [mine[f"s{k + 1}"] for k in range(4)] == [fit.last_seasons[0][(60 + k) % 4] for k in range(4)]


def test_every_output_is_there_under_its_name(tmp_path: Path) -> None:
    ran = run("HoltWinters", SUPPLIED["halfyear_insured"](), {
        "y": "insured", "time": "half", "period": "2", "seasonal": "Multiplicative", "start": "hyndman", "horizon": "3",
    }, tmp_path)  # fmt: skip
    for name in ("Coefficients", "Fit", "Fitted", "Forecast", "ResidualDiagnostics", "Outliers", "Accuracy", "Verdicts",
                 "SeasonTrends"):  # fmt: skip
        assert (tmp_path / f"{name}.csv").exists(), name
        assert (tmp_path / f"{name}.json").exists(), name
    for name in ("forecast.svg", "components.svg", "residuals.svg", "seasons.svg", "forecast.svg.json",
                 "components.svg.json", "residuals.svg.json", "seasons.svg.json", "fitted.dta", "forecast.dta",
                 "equation.tex", "Methods.txt"):  # fmt: skip
        assert (tmp_path / name).stat().st_size > 100, name
    assert ran.table("Forecast").columns.tolist() == ["h", "time", "point", "lower", "upper", "median"]
    assert ran.table("Coefficients").columns.tolist()[:3] == ["parameter", "value", "fixed"]
    assert ran.table("Accuracy")["method"].tolist()[1:] == ["Naive", "Seasonal naive"]
    assert set(ran.table("Verdicts")["word"]) <= {"Fine", "Read with care", "Model in doubt"}
    tex = (tmp_path / "equation.tex").read_text()
    assert r"\hat{y}_t &= (\ell_{t-1} + b_{t-1})\,s_{t-2}" in tex
    assert f"{coefficients(ran)['alpha']:.4f}".rstrip("0") in tex
    trends = ran.table("SeasonTrends")
    y = SUPPLIED["halfyear_insured"]()["insured"]
    slope, intercept = np.polyfit(np.arange(19), np.log(y[1::2]), 1)
    assert (trends.loc[1, "b"], np.log(trends.loc[1, "a"])) == pytest.approx((slope, intercept))


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    """Tables, datasets and pictures; the seed is the only source of chance."""
    answers = {"y": "sales_clean", "time": "quarter", "period": "4", "seasonal": "Multiplicative", "horizon": "4"}
    data = SUPPLIED["quarterly_sales"]()
    files: list[dict[str, bytes]] = []
    for k, seed in enumerate(("1", "1", "2")):
        folder = tmp_path / str(k)
        run("HoltWinters", data, {**answers, "seed": seed}, folder)
        files.append({f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.suffix != ".dta"})
    assert files[0] == files[1]
    assert files[0]["Forecast.csv"] != files[2]["Forecast.csv"], "simulated intervals follow the seed"
    assert files[0]["Fit.csv"] == files[2]["Fit.csv"], "the fit does not"


def test_gaps_are_filled_with_missing_rows_and_told(tmp_path: Path) -> None:
    """Four quarters taken out, rows shuffled: the grid has its 60 quarters again, forecasts follow the last."""
    data = SUPPLIED["quarterly_sales"]()
    keep = np.setdiff1d(np.random.default_rng(1).permutation(60), [13, 14, 33, 50], assume_unique=True)
    ran = run(
        "HoltWinters", data.take(keep), {"y": "sales_clean", "time": "quarter", "period": "4", "horizon": "1"}, tmp_path
    )
    table = ran.table("Fitted")
    assert table["time"].tolist() == data["quarter"].tolist()
    assert np.flatnonzero(table["observed"].isna()).tolist() == [13, 14, 33, 50]
    assert table["fitted"].iloc[4:].notna().all()
    assert ran.table("Forecast").loc[0, "time"] == "2025-Q1"
    said = " ".join(n.message for n in ran.notes)
    assert "4 quarters" in said
    assert "2013-Q2" in said
    assert "forecast is carried on" in said


def test_constants_outside_are_used_on_request_with_the_reason(tmp_path: Path) -> None:
    """The published constants, one of which lies outside: used as given, and the spectral radius is told."""
    ran = run("HoltWinters", SUPPLIED["halfyear_insured"](), {
        "y": "insured", "period": "2", "seasonal": "Multiplicative", "start": "hyndman", "alpha": "1.414",
        "beta": "0.11",
        "gamma": "0.46", "outside": "Yes", "horizon": "3",
    }, tmp_path)  # fmt: skip
    mine = coefficients(ran)
    assert (mine["alpha"], mine["beta"], mine["gamma"]) == (1.414, 0.11, 0.46)
    assert set(ran.table("Coefficients").loc[:2, "fixed"]) == {"Yes"}
    assert any("1.253" in n.message for n in ran.notes)


def test_a_given_constant_stays_and_the_others_are_chosen(tmp_path: Path) -> None:
    ran = holt_winters(tmp_path, series("AirPassengers"), period="12", alpha="0.5", horizon="1")
    table = ran.table("Coefficients").set_index("parameter")
    assert (table.loc["alpha", "value"], table.loc["alpha", "fixed"]) == (0.5, "Yes")
    assert table.loc[["beta", "gamma"], "fixed"].tolist() == ["No", "No"]


def test_two_seasons_at_once(tmp_path: Path) -> None:
    """Hours with a day and a week: a constant for each, and better forecasts than with the day alone."""
    data = SUPPLIED["hourly_demand"]()
    both = run("HoltWinters", data, {"y": "demand", "period": "24,168", "horizon": "48"}, tmp_path / "both")
    day = run("HoltWinters", data, {"y": "demand", "period": "24", "horizon": "48"}, tmp_path / "day")
    names = set(both.table("Coefficients")["parameter"])
    assert {"gamma_24", "gamma_168", "s24_1", "s168_168"} <= names
    assert {"season_24", "season_168"} <= set(both.table("Fitted").columns)
    assert both.table("Accuracy").loc[0, "mae"] < day.table("Accuracy").loc[0, "mae"]


def test_methods_name_the_model_and_its_numbers(tmp_path: Path) -> None:
    ran = holt_winters(
        tmp_path, series("AirPassengers"), time="time", period="12", seasonal="Multiplicative", horizon="12"
    )
    text = (tmp_path / "Methods.txt").read_text()
    assert "144 values" in text
    assert f"α = {coefficients(ran)['alpha']:.3f}" in text
    assert "95% prediction intervals, simulated (20,000 futures, seed 1)" in text
    assert "rolling origins" in text
