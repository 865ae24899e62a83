"""Agreement with R's HoltWinters, a separate implementation's optimum, and the robust reference implementation.

Targets: tests/reference (see its README). R's multiplicative limits are wrong and are not targets.
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Any

import numpy as np
import pytest
from beside import data_file, figures

from templates_engine.smoothing import Model, Start, fit, forecast, residual_diagnostics
from templates_engine.smoothing.robust import biweight_constant, tau_square
from templates_engine.smoothing.starts import repeated_median

PERIODS = {"AirPassengers": 12, "UKgas": 4, "JohnsonJohnson": 4, "co2": 12}
ROBUST = {"AAA": (True, "additive"), "MAM": (True, "multiplicative"), "AAN": (True, "none"), "ANN": (False, "none")}


@cache
def reference(name: str) -> dict[str, Any]:
    return figures(name)


@cache
def series(name: str) -> np.ndarray:
    with (data_file(f"ts/{name}.csv")).open() as file:
        return np.array([float(row["value"]) for row in csv.DictReader(file)])


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
@pytest.mark.parametrize("name", PERIODS)
def test_seasonal_fit_as_r(name: str, kind: str) -> None:
    """Protects start values, recursion, optimum, forecasts and intervals of the seasonal models (to R's digits)."""
    y, m = series(name), PERIODS[name]
    r = reference("holtwinters")[name][f"HoltWinters_{kind}"]
    model = Model(True, False, kind, (m,))  # type: ignore[arg-type]
    at_r = fit(y, model, alpha=r["alpha"], beta=r["beta"], gamma=r["gamma"])
    assert at_r.start.first == m
    assert at_r.start.level == pytest.approx(r["start_values"]["l_start"], abs=1e-8)
    assert at_r.start.trend == pytest.approx(r["start_values"]["b_start"], abs=1e-8)
    np.testing.assert_allclose(at_r.start.seasons[0], r["start_values"]["s_start"], atol=1e-8)
    np.testing.assert_allclose(at_r.fitted[m:], r["fitted_xhat"], atol=1e-8)
    ahead = forecast(at_r, 12)
    np.testing.assert_allclose(ahead.point, r["forecast"], rtol=1e-9)
    if "interval" in r:
        np.testing.assert_allclose(ahead.sd, r["interval"]["formula_se_h"], rtol=1e-8)
    if kind == "additive":
        np.testing.assert_allclose(ahead.upper, r["upper95"], rtol=1e-8)
        np.testing.assert_allclose(ahead.lower, r["lower95"], rtol=1e-8)
    found = fit(y, model)
    assert found.converged
    assert found.sse <= r["SSE"] * (1 + 1e-7)
    assert found.sse <= r["optimum_check"]["SSE_best"] * (1 + 1e-9)
    assert 0 < found.constants.alpha <= 1  # the fit never leaves the box
    assert 0 <= found.constants.gamma[0] <= 1


@pytest.mark.parametrize(("kind", "trend"), [("Holt", True), ("SES", False)])
@pytest.mark.parametrize("name", PERIODS)
def test_without_season_as_r(name: str, kind: str, trend: bool) -> None:
    """Protects Holt's and simple smoothing: start, recursion, optimum and limits."""
    r = reference("holtwinters")[name][kind]
    model = Model(trend, False, "none")
    at_r = fit(series(name), model, alpha=r["alpha"], beta=r["beta"])
    np.testing.assert_allclose(at_r.fitted[1 + trend :], r["fitted_xhat"], atol=1e-8)
    np.testing.assert_allclose(forecast(at_r, 12).upper, r["upper95"], rtol=1e-8)
    assert fit(series(name), model).sse <= r["SSE"] * (1 + 1e-7)


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_half_years_as_r(kind: str) -> None:
    """Protects the period of two: two trend values, 38 points, 2 lost to the start."""
    with (data_file("ts/synthetic_halfyear.csv")).open() as file:
        y = np.array([float(row["value"]) for row in csv.DictReader(file)])
    r = reference("holtwinters")["synthetic_halfyear"][kind]
    model = Model(True, False, kind, (2,))  # type: ignore[arg-type]
    fixed = fit(y, model, alpha=0.3, beta=0.1, gamma=0.1)
    assert (fixed.start.level, fixed.start.trend) == pytest.approx((r["start"]["l"], r["start"]["b"]), abs=1e-8)
    assert fixed.n_used == 36
    assert fixed.sse == pytest.approx(r["fixed"]["SSE"], rel=1e-9)
    np.testing.assert_allclose(forecast(fixed, 3).point, r["fixed"]["forecast3"], rtol=1e-9)
    assert fit(y, model).sse <= r["SSE"] * (1 + 1e-7)


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
@pytest.mark.parametrize("name", PERIODS)
def test_residual_figures(name: str, kind: str) -> None:
    """Protects the diagnostics: statsmodels' and SciPy's values in the reference."""
    node = reference("holtwinters")[name][f"HoltWinters_{kind}"]
    r = node.get("residual_diagnostics_at_fixed_0.3_0.1_0.1")
    if r is None:
        pytest.skip("no diagnostics stored for this series")
    model = Model(True, False, kind, (PERIODS[name],))  # type: ignore[arg-type]
    done = fit(series(name), model, alpha=0.3, beta=0.1, gamma=0.1)
    found = residual_diagnostics(done.residuals)
    assert (found.n, found.runs, found.n_above) == (r["n"], r["runs_median"]["runs"], r["runs_median"]["n_above"])
    ours = [found.mean, found.sd, found.durbin_watson, found.runs_z, found.runs_p, found.q1, found.q3]
    theirs = [r[k] for k in ("mean", "sd", "durbin_watson")] + [r["runs_median"][k] for k in ("z", "p")]
    np.testing.assert_allclose(ours, [*theirs, r["q1"], r["q3"]], rtol=1e-8)
    np.testing.assert_allclose(found.inner + found.outer, r["inner"] + r["outer"], rtol=1e-8)
    assert len(found.mild) + len(found.extreme) == r["n_beyond_inner"]
    assert len(found.extreme) == r["n_beyond_outer"]
    np.testing.assert_allclose([found.jarque_bera, found.jarque_bera_p], r["jarque_bera"], rtol=1e-7)
    np.testing.assert_allclose([found.shapiro, found.shapiro_p], r["shapiro"], rtol=1e-5)
    np.testing.assert_allclose([found.ljung_box, found.ljung_box_p], r["ljung_box_10"], rtol=1e-7)
    theirs = [r[k] for k in ("mse", "rmse", "mae", "mape")]
    np.testing.assert_allclose([done.mse, done.rmse, done.mae, done.mape], theirs)


def test_building_blocks_of_the_robust_fit() -> None:
    """Protects tau^2, the repeated median and the constant of the biweight (2.5153 and 4.1211 as published)."""
    r = reference("robets")
    x = np.array(r["tau2_check"]["x"])
    assert tau_square(x, len(x)) == pytest.approx(r["tau2_check"]["tau2"], rel=1e-10)
    line = repeated_median(np.array(r["repeated_median_check"]["x"]))
    np.testing.assert_allclose(line, [r["repeated_median_check"][k] for k in ("level", "slope")], rtol=1e-10)
    assert biweight_constant(2.0) == pytest.approx(2.5153, abs=5e-5)
    assert biweight_constant(3.0) == pytest.approx(4.1211, abs=5e-5)


def robust_start(name: str, trend: bool, seasonal: str, states: list[float]) -> Start:
    """The reference's states (scale, level, slope, s_0 most recent, ...; the last season by its sum) as a Start."""
    m, seasons = PERIODS[name], ()
    if seasonal != "none":
        s = list(states[2 + trend :])
        s += [(m if seasonal == "multiplicative" else 0) - sum(s)] if len(s) < m else []
        seasons = (np.array([s[(m - 1 - p) % m] for p in range(m)]),)
    return Start("user", states[1], states[2] if trend else 0.0, seasons, 0, states[0])


ROBUST_CASES = [(n, d) for n in ("AirPassengers", "UKgas", "co2") for d in ("clean", "outliers")]


@pytest.mark.parametrize(("name", "data"), ROBUST_CASES)
def test_robust_recursion(name: str, data: str) -> None:
    """Protects the robust recursion: errors, scales, tau^2, criterion and last states at given constants, to 1e-10."""
    y = series(name + ("_3outliers" if data == "outliers" else ""))
    for r in reference("robets")[name][data]["fixed"]:
        trend, seasonal = ROBUST[r["model"]]
        model = Model(trend, False, seasonal, (PERIODS[name],) if seasonal != "none" else ())  # type: ignore[arg-type]
        done = fit(
            y, model, start=robust_start(name, trend, seasonal, r["init"]), robust=True, k=float(r["k"]),
            alpha=r["alpha"], beta=r["beta"] / r["alpha"], gamma=r["gamma"] / (1 - r["alpha"]),
        )  # fmt: skip
        assert done.robust is not None
        errors = done.residuals / done.fitted if seasonal == "multiplicative" else done.residuals
        size = np.abs(r["e"]).max()
        np.testing.assert_allclose(errors, r["e"], atol=1e-10 * max(1.0, size))
        np.testing.assert_allclose(done.robust.scale[:9], r["sigma_path_first10"][1:], rtol=1e-10)
        assert done.robust.tau2 == pytest.approx(r["tau2"], rel=1e-10)
        assert done.robust.objective == pytest.approx(r["roblik"], rel=1e-10)
        assert done.last_level == pytest.approx(r["state_last"][1], rel=1e-10)


@pytest.mark.parametrize(("name", "data"), ROBUST_CASES)
def test_robust_optimum(name: str, data: str) -> None:
    """Protects the search: from the same start states the criterion is no worse than the reference's (to 1e-7)."""
    y, m = series(name + ("_3outliers" if data == "outliers" else "")), PERIODS[name]
    for key, r in reference("robets")[name][data].items():
        if not isinstance(r, dict) or key == "ZZZ":
            continue
        trend, seasonal = ROBUST[key[:3]]
        p = r["par"]
        states = [p["sigma0"], p["initstate.l"]] + ([p["initstate.b"]] if trend else [])
        states += [p[f"initstate.s{j}"] for j in range(m) if f"initstate.s{j}" in p]
        model = Model(trend, False, seasonal, (m,) if seasonal != "none" else ())  # type: ignore[arg-type]
        start = robust_start(name, trend, seasonal, states)
        done = fit(y, model, start=start, robust=True, k=float(p["k"]), criterion=r["crit"])
        assert done.robust is not None
        theirs = r["roblik"] if r["crit"] == "roblik" else r["tau2"]
        assert done.robust.objective <= theirs + 1e-7 * abs(theirs), key


@pytest.mark.parametrize("name", ["AirPassengers", "UKgas", "co2"])
def test_own_robust_start(name: str) -> None:
    """Protects start states against the reference's (right for additive seasons) and its defect: sigma_0 too large."""
    for r in reference("robets")[name]["clean"]["fixed"][::2][:2]:
        trend, seasonal = ROBUST[r["model"]]
        theirs = robust_start(name, trend, seasonal, r["init"])
        ours = fit(series(name), Model(trend, False, seasonal, (PERIODS[name],)), robust=True, alpha=0.3).start  # type: ignore[arg-type]
        assert ours.level == pytest.approx(theirs.level, rel=1e-10)
        np.testing.assert_allclose(ours.seasons[0], theirs.seasons[0], rtol=1e-9, atol=1e-9)
        assert ours.sigma is not None
        assert theirs.sigma is not None
        if seasonal == "additive":
            assert ours.sigma == pytest.approx(theirs.sigma, rel=1e-8)
        else:
            assert ours.sigma < 0.25 * theirs.sigma


def rmse_of_last_year(name: str, train: np.ndarray, model: Model, **options: Any) -> float:
    e = series(name)[-12:] - forecast(fit(train, model, **options), 12, method="analytic").point
    return float(np.sqrt(np.mean(e**2)))


@pytest.mark.parametrize(("name", "kind"), [("co2", "additive"), ("UKgas", "multiplicative")])
def test_robust_forecasts_better_on_contaminated_series(name: str, kind: str) -> None:
    """Protects the point of the variant: trained with three planted outliers, it forecasts the last twelve better."""
    model = Model(True, False, kind, (PERIODS[name],))  # type: ignore[arg-type]
    train = planted(name)
    robust = rmse_of_last_year(name, train, model, robust=True, k=2.0)
    assert robust < rmse_of_last_year(name, train, model)


def test_counterexample() -> None:
    """Shows that robust is not always better. AirPassengers has no outliers, and there the robust forecasts are worse
    than the classical ones; with planted outliers the published comparison (28.1 classical, 28.8 for the reference
    implementation) rests on that implementation's defective start values. UKgas with k = 3 is worse though planted."""
    model = Model(True, False, "additive", (12,))
    clean = series("AirPassengers")[:-12]
    classical = rmse_of_last_year("AirPassengers", clean, model)
    assert classical == pytest.approx(15.955649720053, rel=1e-3)  # R's own value
    assert classical < rmse_of_last_year("AirPassengers", clean, model, robust=True, k=2.0)
    quarterly = Model(True, False, "multiplicative", (4,))
    classical = rmse_of_last_year("UKgas", planted("UKgas"), quarterly)
    assert classical == pytest.approx(80.615, rel=1e-3)  # R's own value
    assert classical < rmse_of_last_year("UKgas", planted("UKgas"), quarterly, robust=True, k=3.0)


def planted(name: str) -> np.ndarray:
    node = reference("robets")[name]["holdout_rmse_last12"]
    train = series(name)[:-12].copy()
    for at, factor in zip(node["train_outlier_positions"], node["factors"], strict=True):
        train[at - 1] *= factor
    return train
