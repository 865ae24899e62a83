"""1LevelMod, 2LevelMod, 2LevelRS, Regression1 as a user meets them: outputs under their names, numbers beside REML and
maximum likelihood, clear refusals. Agreement with lme4 is to 1e-4 for MLE; posteriors are held to it in tests/sampling.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beside import data_file, figures
from running import Ran, run, shared_data
from scipy import stats

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.crossed import crossed_schools
from templates_engine.running import summaries
from templates_engine.running.job import Job
from templates_engine.running.store import Store

MOI = {"y": "normexam", "L2ID": "school", "x": "cons,standlrtmiss,girlmiss,schgendmiss:cat"}
SHORT = {"nchains": "2", "burnin": "50", "iterations": "300"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shared_data("tutmiss.csv")


@pytest.fixture(scope="module")
def complete_cases(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("2LevelMod", data, MOI, tmp_path_factory.mktemp("moi"))


def lmm(name: str) -> Dataset:
    found = shared_data(f"lmm/{name}.csv")
    return found.with_columns(cons=np.ones(found.n_rows))


def reference() -> dict:
    return figures("imputation")["complete_case_tutmiss"]


def test_outputs_under_their_names(complete_cases: Ran) -> None:
    """Super-templates, scripts and the pages find these by name."""
    names = {path.name for path in complete_cases.folder.iterdir()}
    assert {
        "ModelResults.csv",
        "ModelResults.json",
        "ModelParameters.csv",
        "ModelFit.csv",
        "MLE.csv",
        "Verdicts.csv",
    } <= names
    assert {"equation.tex", "algorithm.tex", "Inputs.txt", "script.py", "out.dta", "residuals.dta"} <= names
    table = complete_cases.table("ModelResults")
    assert tuple(table.columns) == summaries.COLUMNS
    assert list(table["parameter"]) == [*(f"beta_{k}" for k in range(5)), "sigma2_u", "sigma2"]
    assert list(table["variable"][:5]) == ["cons", "standlrtmiss", "girlmiss", "schgendmiss_0", "schgendmiss_1"]
    assert table["variable"][5:].isna().all()
    assert (table["rhat"] < 1.01).all()
    draws = pd.read_stata(complete_cases.folder / "out.dta")
    assert {"beta_0", "sigma2_u", "sigma2"} <= set(draws.columns)
    assert len(draws) == 3 * 2000


def test_complete_cases_agree_with_reml(complete_cases: Ran) -> None:
    """MLE to 1e-4 of lme4; posterior means within 0.1 sd of it (Monte Carlo error is 0.015 sd); intercept and dummies
    are against the LAST category. The group variance is above REML by (J - 1)/(J - 3) = 3.6 %, within 3 %."""
    expected = reference()["moi_2levelimpute"]
    fixed = {name: value["est"] for name, value in expected["fixed"].items()}
    one, two = fixed["factor(schgendmiss)1"], fixed["factor(schgendmiss)2"]
    wanted = [fixed["(Intercept)"] + two, fixed["standlrtmiss"], fixed["girlmiss"], -two, one - two]
    mle, posterior = complete_cases.table("MLE"), complete_cases.table("ModelResults")
    np.testing.assert_allclose(mle["estimate"][:5], wanted, rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(
        mle["se"][1:3], [expected["fixed"][k]["se"] for k in ("standlrtmiss", "girlmiss")], rtol=1e-3
    )
    variances = [expected["varcomp"][k]["est"] for k in ("school:(Intercept)", "Residual")]
    np.testing.assert_allclose(mle["estimate"][5:], variances, rtol=1e-4)
    assert np.all(np.abs(posterior["mean"][:5] - wanted) < 0.1 * posterior["sd"][:5])
    assert posterior["mean"][5] / variances[0] == pytest.approx(57 / 55, abs=0.03)
    assert posterior["mean"][6] == pytest.approx(variances[1], rel=0.005)
    fit = complete_cases.table("ModelFit").set_index("measure")["value"]
    assert (fit["n"], fit["groups"], fit["rows left out"]) == (expected["n"], 58, 4059 - expected["n"])
    # Effective parameters: five coefficients, a variance, and nearly one a school.
    assert 5 + 0.7 * 58 < fit["pD"] < 6 + 58


def test_degrees_of_freedom_for_pooling(complete_cases: Ran) -> None:
    """Between-within: 3 predictors constant in schools leave 58 - 3, the other 2 leave n - 58 - 2."""
    info = complete_cases.result.info
    assert [info[f"df:beta_{k}"] for k in range(5)] == [55, 2926 - 60, 2926 - 60, 55, 55]
    assert (info["n"], info["groups"]) == (2926, 58)
    assert complete_cases.result.draws is not None
    assert complete_cases.result.draws.values.shape == (3, 2000, 7)


def test_left_out_rows_are_told(complete_cases: Ran) -> None:
    (notice,) = [p for p in complete_cases.notes if p.code == "rows-dropped"]
    assert "1,133 of 4,059 rows" in notice.message
    assert "2,926" in notice.message


def test_residuals_are_the_group_effects(complete_cases: Ran) -> None:
    """One row a school under its own identifier; shrunken school means of what the fixed part leaves."""
    effects = pd.read_stata(complete_cases.folder / "residuals.dta")
    assert list(effects.columns) == ["school", "u0", "u0_sd"]
    assert len(effects) == 58
    frame = pd.read_csv(data_file("tutmiss.csv")).dropna(subset=["standlrtmiss", "girlmiss", "schgendmiss"])
    beta = complete_cases.table("ModelResults")["mean"].to_numpy()
    dummies = np.column_stack([frame["schgendmiss"] == 0, frame["schgendmiss"] == 1])
    fitted = np.column_stack([np.ones(len(frame)), frame["standlrtmiss"], frame["girlmiss"], dummies]) @ beta[:5]
    groups = (frame["normexam"] - fitted).groupby(frame["school"])
    mean, size = groups.mean(), groups.size()
    shrunk = mean * size * beta[5] / (size * beta[5] + beta[6])
    np.testing.assert_allclose(effects.set_index("school")["u0"], shrunk.to_numpy(), atol=0.02)


def test_script_and_input_string_repeat_the_run(complete_cases: Ran, data: Dataset) -> None:
    from templates_engine import inputs

    command = (complete_cases.folder / "script.py").read_text().split("\n\n")[1]
    parsed = inputs.read(command)
    assert (parsed.template, parsed.problems) == ("2LevelMod", [])
    again = walk(registry.get("2LevelMod"), parsed.answers, data.schema(), strict_keys=True)
    assert again.spec == complete_cases.walked.spec
    assert inputs.read((complete_cases.folder / "Inputs.txt").read_text()).answers == parsed.answers


def test_same_seed_same_tables_whatever_the_threads(data: Dataset, tmp_path: Path) -> None:
    template = registry.get("2LevelMod")
    spec = walk(template, {**MOI, **SHORT, "nchains": "4"}, data.schema()).require()
    texts = []
    for threads in (1, 4):
        with Job(Store(tmp_path / str(threads)), threads=threads) as job:
            template.run(spec, data, job)
        texts.append((tmp_path / str(threads) / "ModelResults.csv").read_bytes())
    assert texts[0] == texts[1]


def test_regression_equals_one_level_and_least_squares(data: Dataset, tmp_path: Path) -> None:
    """Same model, same stream: the same numbers; posterior mean and sd within Monte Carlo error (0.06 sd) of OLS."""
    answers = {"y": "normexam", "x": "cons,standlrt,girl"}
    one = run("Regression1", data, answers, tmp_path / "a")
    two = run("1LevelMod", data, answers, tmp_path / "b")
    pd.testing.assert_frame_equal(one.table("ModelResults"), two.table("ModelResults"))
    frame = pd.read_csv(data_file("tutmiss.csv"))
    x = np.column_stack([np.ones(len(frame)), frame["standlrt"], frame["girl"]])
    beta, rss = np.linalg.lstsq(x, frame["normexam"], rcond=None)[:2]
    sigma2 = rss[0] / (len(x) - 3)
    se = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * sigma2)
    table, mle = one.table("ModelResults"), one.table("MLE")
    np.testing.assert_allclose(mle["estimate"], [*beta, sigma2], rtol=1e-8)
    np.testing.assert_allclose(mle["se"][:3], se, rtol=1e-8)
    assert np.all(np.abs(table["mean"][:3] - beta) < 0.06 * se)
    np.testing.assert_allclose(table["sd"][:3], se, rtol=0.05)
    assert one.table("ModelFit")["value"][1] == pytest.approx(4.0, abs=0.3)


def test_random_slopes_beside_reml(data: Dataset, tmp_path: Path) -> None:
    """Packed lower triangle: variance, covariance, variance. MLE to 1e-3 of lme4 (its own optimiser stops near 1e-4);
    posterior means of variances 0 to 15 % above."""
    ran = run("2LevelRS", data, {"y": "normexam", "L2ID": "school", "x": "cons,standlrtmiss,girlmiss",
                                 "x2": "cons,standlrtmiss"}, tmp_path)  # fmt: skip
    expected = reference()["moi_random_slope"]
    mle, table = ran.table("MLE"), ran.table("ModelResults")
    assert list(table["parameter"]) == [f"beta_{k}" for k in range(3)] + [f"omega_u_{k}" for k in range(3)] + ["sigma2"]
    np.testing.assert_allclose(mle["estimate"][:3], [v["est"] for v in expected["fixed"].values()], rtol=1e-3)
    keys = ("school:(Intercept)", "school:(Intercept),standlrtmiss", "school:standlrtmiss", "Residual")
    wanted = np.array([expected["varcomp"][k]["est"] for k in keys])
    np.testing.assert_allclose(mle["estimate"][3:], wanted, rtol=1e-3)
    ratio = table["mean"][3:].to_numpy() / wanted
    assert np.all((ratio > 0.99) & (ratio < 1.15))
    assert list(pd.read_stata(tmp_path / "residuals.dta").columns) == ["school", "u0", "u0_sd", "u1", "u1_sd"]


def test_binomial_and_poisson_beside_maximum_likelihood(tmp_path: Path) -> None:
    """cbpp and grouseticks: MLE is glmer's (intercepts moved to the LAST category); posterior within 0.3 sd of it; pD
    of a one-level fit is its number of coefficients, within 0.4 (it caught a deviance that never moved)."""
    lme4 = figures("lme4")
    cbpp = {"y": "incidence", "D": "Binomial", "n": "size", "x": "cons,period:cat"}
    two = run("2LevelMod", lmm("cbpp"), {**cbpp, "L2ID": "herd"}, tmp_path / "cbpp")
    fixed = lme4["cbpp_binomial_agq25"]["fixef"]
    mle, table = two.table("MLE"), two.table("ModelResults")
    assert list(table["parameter"]) == ["beta_0", "beta_1", "beta_2", "beta_3", "sigma2_u"]
    last = fixed["period4"]
    wanted = [fixed["(Intercept)"] + last, -last, fixed["period2"] - last, fixed["period3"] - last]
    np.testing.assert_allclose(mle["estimate"][:4], wanted, rtol=1e-4)
    assert np.all(np.abs(table["mean"][:4] - wanted) < 0.3 * table["sd"][:4])
    one = run("1LevelMod", lmm("cbpp"), {**cbpp, "link": "cloglog"}, tmp_path / "one")
    assert one.table("ModelFit")["value"][1] == pytest.approx(4.0, abs=0.4)
    ticks = run("2LevelMod", lmm("grouseticks"), {"y": "TICKS", "L2ID": "BROOD", "D": "Poisson", **SHORT,
                                                 "x": "cons,YEAR:cat,cHEIGHT"}, tmp_path / "ticks")  # fmt: skip
    height = lme4["grouse_poisson_brood_agq25"]["fixef"]["cHEIGHT"]
    assert ticks.table("MLE")["estimate"][3] == pytest.approx(height, rel=1e-4)
    assert ticks.table("ModelResults")["mean"][3] == pytest.approx(height, abs=0.3 * 0.003)


OVERDISPERSED = {"y": "TICKS", "D": "Negative binomial", "x": "cons,YEAR:cat,cHEIGHT", **SHORT, "iterations": "1000"}


@pytest.mark.parametrize(
    ("template", "answers", "parameters"),
    [
        ("1LevelMod", {}, ["alpha"]),
        ("2LevelMod", {"L2ID": "BROOD"}, ["sigma2_u", "alpha"]),
        ("2LevelRS", {"L2ID": "LOCATION", "x2": "cons,cHEIGHT"}, ["omega_u_0", "omega_u_1", "omega_u_2", "alpha"]),
    ],
)
def test_negative_binomial_beside_maximum_likelihood(
    template: str, answers: dict, parameters: list[str], tmp_path: Path
) -> None:
    """Coefficients within 0.4 posterior sd of MLE, sds within 20 % of its standard errors, alpha within half an sd.
    One level: -2 log likelihood at the estimates by scipy, all constants kept; pD is the number of parameters."""
    ticks = lmm("grouseticks")
    ran = run(template, ticks, {**OVERDISPERSED, **answers, "makepred": "Yes"}, tmp_path)
    mle, table = ran.table("MLE"), ran.table("ModelResults")
    assert list(table["parameter"]) == list(mle["parameter"]) == [f"beta_{k}" for k in range(4)] + parameters
    assert np.all(np.abs(table["mean"][:4] - mle["estimate"][:4]) < 0.4 * table["sd"][:4])
    np.testing.assert_allclose(table["sd"][:4], mle["se"][:4], rtol=0.2)
    assert abs(table["mean"].iloc[-1] - mle["estimate"].iloc[-1]) < 0.5 * table["sd"].iloc[-1]
    fit = ran.table("ModelFit").set_index("measure")["value"]
    if template == "1LevelMod":
        x = np.column_stack([ticks["cons"], ticks["YEAR"] == 95, ticks["YEAR"] == 96, ticks["cHEIGHT"]])
        mu, r = np.exp(x @ mle["estimate"][:4].to_numpy()), 1 / mle["estimate"][4]
        exact = -2 * stats.nbinom(r, r / (r + mu)).logpmf(ticks["TICKS"]).sum()
        (note,) = ran.result.tables["MLE"].notes
        assert float(note.split()[3]) == pytest.approx(exact, abs=1e-5)
        assert fit["pD"] == pytest.approx(5.0, abs=0.5)
        assert fit["p_waic"] == pytest.approx(5.0, abs=1.5)
        assert fit["deviance at the means"] == pytest.approx(exact, abs=0.3)
    else:
        assert fit["WAIC"] == pytest.approx(fit["DIC"], rel=0.01)
    made = pd.read_stata(tmp_path / "prediction.dta")
    assert np.isfinite(made["pred"]).all()
    assert "alpha" in (tmp_path / "equation.tex").read_text()
    assert "alpha" in (tmp_path / "algorithm.tex").read_text()


def test_random_slopes_of_a_binomial_response(tmp_path: Path) -> None:
    """Beside the Laplace approximation: coefficients within 0.4 posterior sd, (co)variances between the 5 % and 95 %
    quantiles, but for the slope's variance: its estimate is next to nothing, where a posterior has no room. Residuals
    for both effects, prediction for each row."""
    answers = {"y": "passed", "D": "Binomial", "n": "cons", "L2ID": "primary", "x": "cons,verbal,girl",
               "x2": "cons,verbal", **SHORT, "iterations": "1500", "makepred": "Yes"}  # fmt: skip
    ran = run("2LevelRS", crossed_schools(), answers, tmp_path)
    mle, draws = ran.table("MLE"), ran.result.draws
    assert draws is not None
    assert list(mle["parameter"]) == [*(f"beta_{k}" for k in range(3)), *(f"omega_u_{k}" for k in range(3))]
    assert "Laplace" in ran.result.tables["MLE"].title
    values = draws.values.reshape(-1, 6)
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    assert np.all(low[:5] < mle["estimate"][:5])
    assert np.all(mle["estimate"] < high)
    assert np.all(np.abs(values[:, :3].mean(axis=0) - mle["estimate"][:3]) < 0.4 * values[:, :3].std(axis=0))
    assert list(pd.read_stata(tmp_path / "residuals.dta").columns) == ["primary", "u0", "u0_sd", "u1", "u1_sd"]
    made = pd.read_stata(tmp_path / "prediction.dta")
    assert ((made["pred"] > 0) & (made["pred"] < 1)).all()
    assert made["residual"].abs().mean() < 0.5


def test_random_coefficients_of_categories(data: Dataset, tmp_path: Path) -> None:
    """A term with categories has one coefficient each; all of them are in the tables, the criteria and predictions."""
    answers = {"y": "normexam", "L2ID": "school", "x": "cons,standlrt", "x2": "cons,vrband:cat", **SHORT,
               "iterations": "150", "makepred": "Yes"}  # fmt: skip
    ran = run("2LevelRS", data, answers, tmp_path)
    assert list(ran.table("ModelResults")["parameter"])[2:-1] == [f"omega_u_{k}" for k in range(6)]
    assert "3 df, scale 3" in ran.result.tables["ModelResults"].notes[2]
    assert r"W}^{-1}(J + 3, 3\hat" in (tmp_path / "algorithm.tex").read_text()
    made = pd.read_stata(tmp_path / "prediction.dta")
    assert made["pred_sd"].dropna().between(0.005, 0.5).all()


def test_a_stopped_run_keeps_what_it_drew(data: Dataset, tmp_path: Path, held: Callable[..., threading.Event]) -> None:
    """Stopped while its chains are held in their middle: a sweep draws some 150 numbers, for 65 schools."""
    template = registry.get("2LevelMod")
    spec = walk(template, {**MOI, "nchains": "2", "iterations": "5000", "burnin": "10"}, data.schema()).require()
    there = held(200_000, 250_000)

    def stop_later(job: Job) -> None:
        there.wait(300)
        job.stop()

    with Job(Store(tmp_path)) as job:
        watcher = threading.Thread(target=stop_later, args=(job,), daemon=True)
        watcher.start()
        result = template.run(spec, data, job)
    assert there.is_set()
    assert result.draws is not None
    assert 900 <= result.draws.values.shape[1] < 5000
    assert np.isfinite(result.draws.values).all()
    assert (tmp_path / "ModelResults.csv").exists()


def test_short_runs_of_every_example(data: Dataset, tmp_path: Path) -> None:
    """Every shipped example runs to its tables (here on the real data of the same columns)."""
    from templates_engine import inputs

    for name in ("1LevelMod", "2LevelMod", "2LevelRS", "Regression1"):
        for example in registry.get(name).examples:
            answers = {**inputs.read(example.inputs).answers, **SHORT, "iterations": "60"}
            rows = data if example.dataset == "tutmiss" else crossed_schools()
            ran = run(name, rows, answers, tmp_path / f"{name}-{example.name}")
            assert np.isfinite(ran.table("ModelResults")["mean"]).all()
