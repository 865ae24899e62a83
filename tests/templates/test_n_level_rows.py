"""Predictions, starting values, likelihood fits and longer runs of NLevelMod and NLevelRS, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import tutorial as simulate
from templates_engine.regression import fits
from templates_engine.sampling.glm import laplace as glm_laplace

TWO = {"numclass": "2", "C1": "primary", "C2": "second", "nchains": "2"}
NORMAL = {"y": "attain", **TWO, "x": "cons,verbal"}
BINOMIAL = {"y": "passed", **TWO, "D": "Binomial", "n": "cons", "x": "cons,verbal"}
NB = {"y": "absences", **TWO, "D": "Negative binomial", "offset": "logdays", "x": "cons,verbal"}
SHORT = {"burnin": "200", "iterations": "400"}


@pytest.fixture(scope="module")
def schools() -> Dataset:
    return simulate.SUPPLIED["crossed_schools"]()


def notes_of(folder: Path) -> str:
    return " ".join(json.loads((folder / "ModelResults.json").read_text())["notes"])


def test_predictions_of_a_normal_model_are_means_of_means(schools: Dataset, tmp_path: Path) -> None:
    """All 800 draws are kept, and the expected response is linear: pred is the posterior mean of x'β plus the means of
    both units' effects, to the seven digits of the files. Rows without a response have one, those without a predictor
    none."""
    y, verbal = schools["attain"].copy(), schools["verbal"].copy()
    y[:5], verbal[5:9] = np.nan, np.nan
    data = schools.with_columns(attain=y, verbal=verbal)
    ran = run("NLevelMod", data, {**NORMAL, **SHORT, "makepred": "Yes"}, tmp_path)
    made = pd.read_stata(tmp_path / "prediction.dta")
    beta = ran.table("ModelResults")["mean"][:2].to_numpy()
    eta = beta[0] + beta[1] * verbal
    for k, name in enumerate(("primary", "second"), start=1):
        effects = pd.read_stata(tmp_path / f"residuals_u{k}.dta").set_index(name)["u0"]
        eta = eta + effects.reindex(schools[name]).to_numpy(float)
    np.testing.assert_allclose(made["pred"], eta, rtol=2e-5, atol=2e-4)
    assert np.isnan(made["pred"][5:9]).all()
    np.testing.assert_allclose(made["residual"], y - made["pred"], atol=1e-4)
    assert (made["pred_lower"] < made["pred_upper"])[9:].all()
    fit = ran.table("ModelFit").set_index("measure")["value"]
    assert abs(fit["p_waic"] / fit["pD"] - 1) < 0.15
    assert abs(fit["LOOIC"] / fit["WAIC"] - 1) < 0.01
    plain = run("NLevelMod", schools, {**NORMAL, "burnin": "5", "iterations": "60"}, tmp_path / "plain")
    assert "prediction.dta" not in {file.name for file in plain.folder.iterdir()}


@pytest.mark.parametrize(("answers", "starts"), [
    (NORMAL, {"start_sigma2_u1": "0.001", "start_sigma2_u2": "30", "start_sigma2": "50"}),
    (BINOMIAL, {"start_sigma2_u1": "3", "start_sigma2_u2": "0.01", "startbeta": "2"}),
    (NB, {"start_sigma2_u1": "3", "start_sigma2_u2": "0.01", "start_alpha": "5", "startbeta": "1,-1"}),
])  # fmt: skip
def test_results_do_not_depend_on_the_start(
    answers: dict[str, str], starts: dict[str, str], schools: Dataset, tmp_path: Path
) -> None:
    """Far starts, other draws, the same posterior: coefficients, and medians of the logarithms of variances, within
    4.5 Monte Carlo errors of each other (false alarms under 1e-4 for the file); the script says the starts."""
    long = {"burnin": "400", "iterations": "1500"}
    one = run("NLevelMod", schools, {**answers, **long}, tmp_path / "one")
    two = run("NLevelMod", schools, {**answers, **long, "defaultsv": "No", **starts}, tmp_path / "two")
    assert not np.array_equal(one.result.draws.values[:, 0], two.result.draws.values[:, 0])
    for k, name in enumerate(one.result.draws.parameters):
        a, b = (ran.result.draws.values[:, :, k] for ran in (one, two))
        if not name.startswith("beta"):
            a, b = np.log(a), np.log(b)
        sizes = [float(ran.table("ModelResults")["ess_bulk"][k]) for ran in (one, two)]
        error = np.hypot(a.std() / np.sqrt(sizes[0]), b.std() / np.sqrt(sizes[1]))
        assert abs(a.mean() - b.mean()) < 4.5 * error, name
    script = (tmp_path / "two" / "script.py").read_text()
    assert all(f"'{key}': '{value}'" in script for key, value in starts.items())


def test_starting_values_of_random_slopes(schools: Dataset, tmp_path: Path) -> None:
    """One variance for each classification; the questions name them by number; a run from them ends well."""
    answers = {"y": "attain", **TWO, "x": "cons,verbal", "x2_1": "cons,verbal", "x2_2": "cons", "defaultsv": "No",
               "start_omega_u1": "2", "start_omega_u2": "0.5", "start_sigma2": "3", **SHORT}  # fmt: skip
    ran = run("NLevelRS", schools, answers, tmp_path)
    assert (ran.table("ModelResults")["rhat"] < 1.1).all()
    asked = walk(registry.get("NLevelRS"), {**answers, "start_omega_u2": "-1"}, schools.schema())
    assert [p.key for p in asked.problems] == ["start_omega_u2"]
    far = walk(registry.get("NLevelMod"), {**BINOMIAL, "defaultsv": "No", "startbeta": "1,2,3"}, schools.schema())
    found = registry.get("NLevelMod").check(far.require(), schools)
    assert "too-many-starts" in [p.code for p in found]


@pytest.mark.parametrize(("template", "answers"), [
    ("NLevelMod", NORMAL),
    ("NLevelRS", {**NB, "x2_1": "cons", "x2_2": "cons"}),
])  # fmt: skip
def test_a_longer_run_has_the_draws_of_one_run(
    template: str, answers: dict[str, str], schools: Dataset, tmp_path: Path
) -> None:
    """60 iterations and then 90 in all: every file but the pictures as from 90 in one go."""
    asked = {**answers, "burnin": "40", "makepred": "Yes"}
    run(template, schools, {**asked, "iterations": "60"}, tmp_path / "first")
    longer = run(template, schools, {**asked, "iterations": "90"}, tmp_path / "longer", continues=tmp_path / "first")
    whole = run(template, schools, {**asked, "iterations": "90"}, tmp_path / "whole")
    np.testing.assert_array_equal(longer.result.draws.values, whole.result.draws.values)
    for name in ("ModelResults.csv", "ModelFit.csv", "prediction.dta", "residuals_u1.dta", "residuals_u2.dta"):
        assert (tmp_path / "longer" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(("answers", "method"), [(NORMAL, "REML"), (BINOMIAL, "maximum likelihood")])
def test_where_a_likelihood_fit_would_take_minutes(
    answers: dict[str, str], method: str, schools: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run starts from one classification at a time, has no MLE, and says so; the posterior is the same."""
    monkeypatch.setattr(glm_laplace, "affordable", lambda p, factors: False)
    monkeypatch.setattr(fits, "_reduced", lambda rows: None)
    slopes = {"x2_1": "cons,verbal", "x2_2": "cons"}
    ran = run("NLevelRS", schools, {**answers, **slopes, **SHORT}, tmp_path / "alone")
    assert "MLE" not in ran.result.tables
    notes = notes_of(tmp_path / "alone")
    assert f"No {method} estimates" in notes
    assert f"q × {method} estimate with that classification alone" in notes
    monkeypatch.undo()
    whole = run("NLevelRS", schools, {**answers, **slopes, **SHORT}, tmp_path / "whole")
    assert f"q × {method} estimate." in notes_of(tmp_path / "whole")
    one, two = ran.table("ModelResults"), whole.table("ModelResults")
    assert (((one["mean"] - two["mean"]) / two["sd"])[:2].abs() < 0.5).all()
