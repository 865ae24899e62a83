"""Predictions, WAIC and PSIS-LOO, starting values and live traces of the regression templates, as a user meets them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from running import Ran, run, shared_data
from scipy import stats

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused
from templates_engine.running.job import Job
from templates_engine.running.store import Store
from templates_engine.sampling.saving import Live

TICKS = {"y": "TICKS", "D": "Poisson", "x": "cons,YEAR:cat,cHEIGHT", "nchains": "2", "burnin": "100"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shared_data("tutmiss.csv")


@pytest.fixture(scope="module")
def ticks() -> Dataset:
    found = shared_data("lmm/grouseticks.csv")
    return found.with_columns(cons=np.ones(found.n_rows))


def fit_of(ran: Ran) -> pd.Series:
    return ran.table("ModelFit").set_index("measure")["value"]


def test_criteria_beside_arviz_on_all_draws(ticks: Dataset, tmp_path: Path) -> None:
    """One level: log likelihoods by scipy from the draws as they are stored (float32 at the least), all 4,000 of them.
    The table has 500; between them stands Monte Carlo error, of p_loo under a tenth."""
    ran = run("1LevelMod", ticks, {**TICKS, "iterations": "2000"}, tmp_path)
    draws = pd.read_stata(tmp_path / "out.dta")
    x = np.column_stack([ticks["cons"], ticks["YEAR"] == 95, ticks["YEAR"] == 96, ticks["cHEIGHT"]])
    eta = x @ draws[[f"beta_{k}" for k in range(4)]].to_numpy(float).T
    block = stats.poisson(np.exp(eta)).logpmf(ticks["TICKS"][:, None])
    elpd, k, p = array_stats.loo(block[:, None, :])
    fit = fit_of(ran)
    assert fit["p_loo"] == pytest.approx(p.sum(), rel=0.15)
    assert fit["LOOIC"] == pytest.approx(-2 * elpd.sum(), abs=0.3 * p.sum())
    assert fit["se of LOOIC"] == pytest.approx(2 * np.sqrt(len(elpd) * elpd.var(ddof=1)), rel=0.02)
    assert abs(fit["rows with Pareto k above 0.7"] - (k > 0.7).sum()) <= 2
    assert fit["p_waic"] == pytest.approx(block.var(axis=1, ddof=1).sum(), rel=0.15)
    assert fit["DIC"] == pytest.approx(fit["WAIC"], rel=0.05)
    notes = ran.result.tables["ModelFit"].notes
    assert any("from 500 draws" in note for note in notes)
    assert not any("its group is not" in note for note in notes)


def test_criteria_are_conditional_on_the_groups_and_absent_in_a_child(ticks: Dataset, tmp_path: Path) -> None:
    """With 118 broods p_waic and p_loo count the effects; the note says what is left out. A called run has neither, so
    that a fit inside 2LevelImpute costs what it did."""
    answers = {**TICKS, "iterations": "1000", "L2ID": "BROOD"}
    ran = run("2LevelMod", ticks, answers, tmp_path / "own")
    fit = fit_of(ran)
    # Counts more spread than a Poisson's: both penalties are above the 122 parameters, and LOO says it is in trouble.
    assert 60 < fit["p_loo"] < 250
    assert 60 < fit["p_waic"] < 250
    notes = ran.result.tables["ModelFit"].notes
    assert any("its group is not" in note for note in notes)
    assert fit["rows with Pareto k above 0.7"] > 0
    assert any("not to be relied on" in note for note in notes)
    with Job(Store(tmp_path / "child")) as job:
        result = job.call("2LevelMod", answers, ticks, prefix="Model1_")
    measures = result.tables["ModelFit"].column("measure")
    assert "WAIC" not in measures
    assert "DIC" in measures
    assert result.draws is not None
    assert ran.result.draws is not None
    np.testing.assert_array_equal(result.draws.values, ran.result.draws.values)


def test_predictions_for_every_row_with_predictors(data: Dataset, tmp_path: Path) -> None:
    """A response taken away is predicted, a missing predictor leaves a gap, the original columns stay as they were.
    Posterior means equal x'β̄ + ū, linear as they are, within Monte Carlo error of the 2,000 draws used."""
    score = data["normexam"].copy()
    score[::50] = np.nan
    cut = data.with_columns(normexam=score)
    answers = {"y": "normexam", "L2ID": "school", "x": "cons,standlrtmiss,girl", "x2": "cons,standlrtmiss"}
    ran = run("2LevelRS", cut, {**answers, "makepred": "Yes"}, tmp_path)
    made = pd.read_stata(tmp_path / "prediction.dta")
    names = ["pred", "pred_sd", "pred_lower", "pred_upper", "residual"]
    assert list(made.columns) == [*data.columns, *names]
    assert len(made) == data.n_rows
    gap = np.isnan(cut["standlrtmiss"])
    for name in names[:4]:
        np.testing.assert_array_equal(np.isnan(made[name]), gap)
    np.testing.assert_array_equal(np.isnan(made["residual"]), gap | np.isnan(score))
    beta = ran.table("ModelResults")["mean"][:3].to_numpy()
    effects = pd.read_stata(tmp_path / "residuals.dta").set_index("school")
    u = effects.loc[made["school"]]
    slope = cut["standlrtmiss"]
    mean = beta[0] + beta[1] * slope + beta[2] * cut["girl"] + u["u0"].to_numpy() + u["u1"].to_numpy() * slope
    away = (made["pred"] - mean)[~gap] / made["pred_sd"][~gap]
    assert np.abs(away).max() < 6 / np.sqrt(1000)
    assert np.all((made["pred_lower"] < made["pred"]) == ~gap)
    inside = (made["pred_upper"] - made["pred_lower"])[~gap] / made["pred_sd"][~gap]
    assert inside.between(3.3, 4.6).all()
    np.testing.assert_allclose(made["residual"], score - made["pred"], atol=1e-6)


def test_without_the_question_there_is_no_prediction(data: Dataset, tmp_path: Path) -> None:
    run("Regression1", data, {"y": "normexam", "x": "cons,standlrt", "iterations": "50"}, tmp_path)
    assert not (tmp_path / "prediction.dta").exists()
    found = walk(registry.get("Regression1"), {"y": "normexam", "x": "cons", "outdata": "prediction"}, data.schema())
    assert [p.key for p in found.problems] == ["outdata"]


@pytest.mark.parametrize(
    ("template", "answers", "starts"),
    [
        ("2LevelMod", {"y": "normexam", "L2ID": "school", "x": "cons,standlrt"},
         {"start_sigma2_u": "5", "start_sigma2": "0.01"}),
        ("2LevelMod", {"y": "girl", "L2ID": "school", "D": "Binomial", "n": "cons", "x": "cons,standlrt"},
         {"start_sigma2_u": "0.2", "startbeta": "-1, 1"}),
        ("1LevelMod", {"y": "girl", "D": "Binomial", "n": "cons", "x": "cons,standlrt"}, {"startbeta": "1"}),
        ("2LevelRS", {"y": "normexam", "L2ID": "school", "x": "cons,standlrt", "x2": "cons,standlrt"},
         {"start_omega_u": "2", "start_sigma2": "3"}),
    ],
)  # fmt: skip
def test_starting_values_are_forgotten(
    template: str, answers: dict[str, str], starts: dict[str, str], data: Dataset, tmp_path: Path
) -> None:
    """From far values and from the estimates: means within 5 Monte Carlo standard errors of each other (about 20
    comparisons in all, false alarm under 1 in 50,000); the answers repeat the run."""
    length = {"burnin": "600", "iterations": "1500", "nchains": "2"}
    one = run(template, data, {**answers, **length}, tmp_path / "default")
    two = run(template, data, {**answers, **length, "defaultsv": "No", **starts}, tmp_path / "own")
    a, b = one.table("ModelResults"), two.table("ModelResults")
    assert np.all(np.abs(a["mean"] - b["mean"]) < 5 * np.hypot(a["mcse"], b["mcse"]))
    again = walk(registry.get(template), two.walked.answers, data.schema(), strict_keys=True)
    assert again.spec == two.walked.spec
    text = (tmp_path / "own" / "Inputs.txt").read_text()
    assert all(f"'{key}': '{value}'" in text for key, value in starts.items())


def test_chains_start_where_they_are_told(data: Dataset, tmp_path: Path) -> None:
    """Without a burn-in the first draw of a Metropolis chain is within its first step of the start."""
    answers = {"y": "girl", "D": "Binomial", "n": "cons", "x": "cons,standlrt", "burnin": "0", "iterations": "3",
               "nchains": "4", "defaultsv": "No", "startbeta": "2,-1"}  # fmt: skip
    ran = run("1LevelMod", data, answers, tmp_path)
    assert ran.result.draws is not None
    first = ran.result.draws.values[:, 0, :]
    assert np.all(first[:, 0] > 0.7)
    assert np.all(first[:, 1] < 0.0)
    # A Gibbs chain forgets its start within a sweep or two, but its first draws differ with the same random numbers.
    answers = {"y": "normexam", "L2ID": "school", "x": "cons", "burnin": "0", "iterations": "3", "nchains": "4"}
    far = {"defaultsv": "No", "start_sigma2_u": "0.09", "start_sigma2": "10000"}
    default, own = (run("2LevelMod", data, {**answers, **more}, tmp_path / str(len(more))) for more in ({}, far))
    assert own.result.draws is not None
    assert default.result.draws is not None
    assert np.all(own.result.draws["sigma2_u"][:, 0] != default.result.draws["sigma2_u"][:, 0])


@pytest.mark.parametrize(
    ("starts", "code"), [("1,2,3", "too-many-starts"), ("1e9", "start-too-far"), ("a", "wrong-form")]
)
def test_wrong_starting_values_are_told(starts: str, code: str, data: Dataset, tmp_path: Path) -> None:
    answers = {"y": "girl", "D": "Binomial", "n": "cons", "x": "cons,standlrt", "defaultsv": "No", "startbeta": starts}
    with pytest.raises(Refused) as refused:
        run("1LevelMod", data, answers, tmp_path)
    assert [(p.code, p.key) for p in refused.value.problems] == [(code, "startbeta")]


def test_published_keys(data: Dataset) -> None:
    """defaultalg has one working answer, and says so."""
    template, answers = registry.get("Regression1"), {"y": "normexam", "x": "cons"}
    guide = {"defaultalg": "Yes", "makepred": "No", "defaulstv": "Yes"}
    assert walk(template, {**answers, **guide}, data.schema(), strict_keys=True).spec is not None
    found = walk(template, {**answers, "defaultalg": "No"}, data.schema(), strict_keys=True)
    assert [p.key for p in found.problems] == ["defaultalg"]


@pytest.mark.parametrize(
    ("template", "answers", "parameter"),
    [
        ("2LevelMod", {"L2ID": "BROOD", **TICKS}, "sigma2_u"),
        ("1LevelMod", TICKS, "beta_0"),
        ("1LevelMod", {**TICKS, "D": "Normal"}, "sigma2"),
        ("2LevelMod", {"L2ID": "BROOD", **TICKS, "D": "Normal"}, "sigma2_u"),
    ],
)
def test_live_traces_are_the_draws(
    template: str, answers: dict[str, str], parameter: str, ticks: Dataset, tmp_path: Path, monkeypatch
) -> None:
    """What the running page shows are the very draws of that parameter, nothing before they are drawn."""
    seen: list[tuple[str, Sequence[str], Sequence[Live]]] = []

    def watch(self: Job, shown: str, names: Sequence[str], chains: Sequence[Live]) -> None:
        assert all(chain.draws().size == 0 for chain in chains)
        seen.append((shown, names, chains))

    monkeypatch.setattr(Job, "watch", watch)
    if answers["D"] == "Normal":
        answers = {key: value for key, value in answers.items() if key != "offset"}
    ran = run(template, ticks, {**answers, "iterations": "120", "thinning": "2"}, tmp_path)
    ((shown, names, chains),) = seen
    assert shown == parameter
    draws = ran.result.draws
    assert draws is not None
    assert tuple(names) == draws.parameters
    np.testing.assert_allclose(np.stack([chain.draws() for chain in chains]), draws.values, rtol=1e-12)
