"""Both course documents, and lme4's fits, as a user meets them: the template's tables against the references.

Monte Carlo: estimates at the largest K within 4.5 standard errors of simulation (plus 2 % of a standard error for the
rest of the prior, where the reference is the maximum likelihood estimate). About 60 such comparisons: false alarms
under 1 in 1,000 for fresh seeds. Exact numbers are held to the digits of their reference.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from beside import figures
from running import Ran, run, shared_data

from templates_engine.data.dataset import Dataset

LIGHT = {"tests": "No", "predict": "No"}


def reference(name: str = "lmm_dc") -> dict:
    return figures(name)


def breeding(name: str) -> Dataset:
    data, truth = shared_data(f"lmm_dc_{name}.csv"), shared_data(f"lmm_dc_{name}_truth.csv")
    at = np.searchsorted(truth["id"], data["id"])
    return data.with_columns(alpha=truth["alpha"][at])


def answers(**more: str) -> dict[str, str]:
    return {"y": "y", "C1": "id", "x": "cons", "truth": "alpha", "priors": "Documents 1", **more}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("LMM/DC", breeding("m2"), answers(profile="sigma2_u"), tmp_path_factory.mktemp("m2"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("lmm_dc", breeding("m1"), answers(clones="1,10,25"), tmp_path_factory.mktemp("m1"))


def by(table: pd.DataFrame, column: str = "parameter") -> pd.DataFrame:
    return table.set_index(column)


def assert_cloned(ran: Ran, expected: dict[str, float], ses: dict[str, float]) -> None:
    """Coefficients near the maximum likelihood estimate; dcsd within 7 %."""
    found = by(ran.table("Coefficients"))
    tables = ran.table("DCTable")
    last = tables[tables["clones"] == tables["clones"].max()].set_index("parameter")
    for name, value in expected.items():
        mcse = last.loc[name, "sd"] / np.sqrt(last.loc[name, "ess_bulk"])
        assert abs(found.loc[name, "estimate"] - value) < 4.5 * mcse + 0.02 * ses[name], name
        assert found.loc[name, "dcsd"] == pytest.approx(ses[name], rel=0.07), name


def test_two_observations_each(two: Ran) -> None:
    """Maximum likelihood and REML to the reference's digits; the cloned estimate beside it; all estimable."""
    exact = reference()["exact"]["m2"]
    mle = by(two.table("MLE"))
    names = {"beta_0": "mu", "sigma2": "sigma_sq", "sigma2_u": "tau_sq"}
    for ours, theirs in names.items():
        assert mle.loc[ours, "estimate"] == pytest.approx(exact["ml"][theirs], rel=1e-6)
        assert mle.loc[ours, "se"] == pytest.approx(exact["ml"]["se"][theirs], rel=1e-4)
        assert mle.loc[ours, "reml"] == pytest.approx(exact["reml"][theirs], rel=1e-6)
    assert mle.loc["sigma2_u+sigma2", "se"] == pytest.approx(exact["ml"]["se"]["sum"], rel=1e-6)
    fit = by(two.table("ModelFit"), "measure")["value"]
    assert fit["logLik"] == pytest.approx(exact["ml"]["loglik"], abs=1e-6)
    at50 = next(r for r in reference()["exact_cloned_posterior"]["m2"] if r["K"] == 50)
    means = {ours: at50["mean"][theirs] for ours, theirs in names.items()}
    ses = {ours: at50["dc_sd"][theirs] for ours, theirs in names.items()}
    assert_cloned(two, means, ses)
    assert set(two.table("Estimability")["verdict"]) == {"estimable"}
    assert list(two.table("Coefficients").columns[:5]) == ["parameter", "estimate", "dcsd", "lower", "upper"]


def test_diagnostics_of_two_observations_each(two: Ran) -> None:
    """lambda.max falls as 1/K to 0.002651/K (10 %), the posterior becomes Normal, chains agree."""
    found = two.table("DCDiag")
    assert list(found["clones"]) == [1, 10, 25, 50]
    scaled = found["lambda.max"] * found["clones"]
    assert scaled.iloc[-1] == pytest.approx(0.002651, rel=0.10)
    np.testing.assert_allclose(found["lambda.scaled"], found["expected"], rtol=0.15)
    assert (found["r.hat"] < 1.05).all()
    assert (found["ms.error"].iloc[1:] < 0.05).all()
    assert (found["r.squared"].iloc[1:] < 0.01).all()


def test_bayesian_fits_under_the_documents_priors(two: Ran) -> None:
    """First set: exact moments at K = 1. Second set: against quadrature here, on a grid of both variances."""
    table = two.table("Bayes")
    first = by(table[table["prior"] == "Documents 1"])
    expected = reference()["exact_cloned_posterior"]["m2"][0]
    for ours, theirs in {"beta_0": "mu", "sigma2": "sigma_sq", "sigma2_u": "tau_sq"}.items():
        sd = expected["sd"][theirs]
        assert abs(first.loc[ours, "mean"] - expected["mean"][theirs]) < 4.5 * sd / np.sqrt(3500)
        assert first.loc[ours, "sd"] == pytest.approx(sd, rel=0.07)
    second = by(table[table["prior"] == "Documents 2"])
    exact = reference()["exact"]["m2"]
    sigma2, tau2 = np.meshgrid(np.linspace(0.02, 0.09, 300), np.linspace(0.1, 0.6, 400), indexing="ij")
    lam = sigma2 + 2 * tau2
    precision, data = 1.0 + 200 / lam, 200 * exact["mu"] / lam
    quadratic = 200 * exact["mu"] ** 2 / lam + 100.0 - (data + 10.0) ** 2 / precision
    log = -0.5 * (100 * np.log(sigma2) + 100 * np.log(lam) + exact["SSW"] / sigma2 + exact["SSB"] / lam)
    log += -0.5 * (np.log(precision) + quadratic) + (0.01 - 1) * np.log(tau2) - 0.01 * tau2
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    for name, grid in {"beta_0": (data + 10.0) / precision, "sigma2": sigma2, "sigma2_u": tau2}.items():
        wanted = float((weight * grid).sum())
        assert abs(second.loc[name, "mean"] - wanted) < 4.5 * second.loc[name, "sd"] / np.sqrt(3500), name


def test_prediction_lets_the_data_in_once(two: Ran, tmp_path) -> None:
    """sd 0.148 without feedback (coverage 93 of 100), 0.1446 with the data twice (92), 0.1404 plugged in (91)."""
    expected = reference()["prediction"]["m2"]
    effects = two.table("RandomEffects")
    assert effects["sd"].mean() == pytest.approx(0.1482, abs=0.002)
    np.testing.assert_allclose(effects["estimate"], expected["no_feedback"]["est"], atol=4.5 * 0.148 / np.sqrt(4000))
    assert two.table("Coverage")["covered"].iloc[0] in (92, 93, 94)
    for method, key, sd, covered in (("Data twice", "feedback_as_seed", 0.1446, 92), ("Plug-in", "", 0.1404, 91)):
        other = run("LMM/DC", breeding("m2"), answers(predmethod=method, tests="No"), tmp_path / method)
        effects = other.table("RandomEffects")
        assert effects["sd"].mean() == pytest.approx(sd, abs=0.0015)
        assert abs(other.table("Coverage")["covered"].iloc[0] - covered) <= 1
        if key:
            np.testing.assert_allclose(effects["estimate"], expected[key]["est"], atol=4.5 * 0.145 / np.sqrt(3000))


def test_profile_interval_is_that_of_lme4(two: Ran) -> None:
    low, high = reference()["exact"]["m2"]["lme4"]["profile_ci_ml"][0]["2.5 %"], 0.5772453211967
    interval = two.table("ProfileInterval").iloc[0]
    assert np.sqrt(interval["lower"]) == pytest.approx(low, abs=2e-4)
    assert np.sqrt(interval["upper"]) == pytest.approx(high, abs=2e-4)


def test_wide_form_is_the_same_data(two: Ran, tmp_path) -> None:
    """Two columns of responses give the exact fit of the long form; the truth stands once a row."""
    data, truth = shared_data("lmm_dc_m2.csv"), shared_data("lmm_dc_m2_truth.csv")
    pairs = {f"y{r}": data["y"][data["rep"] == r] for r in (1, 2)}
    wide = Dataset("wide", {**pairs, "alpha": truth["alpha"]})
    ran = run("LMM/DC", wide, {"y": "y1,y2", "x": "cons", "truth": "alpha", "clones": "1,10"}, tmp_path)
    pd.testing.assert_frame_equal(ran.table("MLE"), two.table("MLE"), rtol=1e-9)
    assert ran.table("Coverage")["groups"].iloc[0] == 100


def test_one_observation_each_is_not_estimable(one: Ran) -> None:
    """The variances have no estimate at all; their sum, 0.298, and the mean do. The flat direction is named."""
    verdicts = by(one.table("Estimability"))["verdict"]
    assert verdicts[["sigma2_u", "sigma2"]].tolist() == ["not estimable"] * 2
    assert verdicts[["beta_0", "sigma2_u+sigma2"]].tolist() == ["estimable"] * 2
    notes = json.loads((one.folder / "Estimability.json").read_text())["notes"]
    assert "along sigma2_u − sigma2; they tell sigma2_u + sigma2" in notes[0]
    found = by(one.table("Coefficients"))
    assert found.loc[["sigma2_u", "sigma2"], ["estimate", "dcsd", "lower", "upper"]].isna().all().all()
    exact = reference()["exact"]["m1"]["ml"]
    expected = {"beta_0": exact["mu"], "sigma2_u+sigma2": 0.29879}  # the exact mean at K = 25
    assert_cloned(one, expected, {"beta_0": exact["se_mu"], "sigma2_u+sigma2": exact["se_sum"]})
    mle = by(one.table("MLE"))
    assert mle.loc["sigma2_u+sigma2", "estimate"] == pytest.approx(exact["sum"], rel=1e-8)
    assert mle.loc["sigma2_u+sigma2", "se"] == pytest.approx(exact["se_sum"], rel=1e-8)
    assert mle.loc[["sigma2_u", "sigma2"], "estimate"].isna().all()
    assert by(one.table("ModelFit"), "measure")["value"]["logLik"] == pytest.approx(exact["loglik"], abs=1e-6)
    assert not (one.folder / "RandomEffects.csv").exists()
    assert {"estimability", "not-predicted"} <= {p.code for p in one.notes}


def test_variance_that_does_not_fall(one: Ran) -> None:
    """lambda.max stays at 0.0437 (K = 10) for all parameters, and falls as 1/K for the mean and the sum."""
    every, sums = one.table("DCDiag"), one.table("DCDiagSum")
    assert every["lambda.max"].iloc[1] == pytest.approx(0.0437, rel=0.05)
    assert every["lambda.max"].iloc[2] > 0.9 * every["lambda.max"].iloc[1]
    np.testing.assert_allclose(sums["lambda.max"].iloc[1:], [2.993e-4, 1.195e-4], rtol=0.1)
    assert (every["r.hat"] < 1.05).all()


@pytest.mark.parametrize("seed", range(2, 12))
def test_verdicts_do_not_depend_on_luck(seed: int) -> None:
    """Ten seeds of each document's data at the sampler's level: never a false verdict."""
    from model_templates.lmm_dc.fitting import gather, prepare, tasks
    from model_templates.lmm_dc.rows import rows_of
    from model_templates.lmm_dc.verdicts import judge
    from templates_engine import registry
    from templates_engine.asking import walk
    from templates_engine.sampling.chains import Progress

    for name, expected in (("m1", {"sigma2_u", "sigma2"}), ("m2", set())):
        data = breeding(name)
        short = answers(seed=str(seed), clones="1,10,50", iterations="500", burnin="200", **LIGHT)
        short.pop("truth")
        spec = walk(registry.get("LMM/DC"), short, data.schema(), strict_keys=True).require()
        fitted = prepare(spec, rows_of(spec, data))
        gather(fitted, [task(None, Progress()) for task in tasks(fitted)])
        assert {k for k, v in judge(fitted).words.items() if v != "estimable"} == expected


def test_without_smoothing(tmp_path) -> None:
    """Neyman and Scott: σ² tends to half its value, 0.021448 (SSW / n m); the mean and the effects are not estimable,
    their sums are. At one clone the diffuse prior of the effects integrates them out: 0.0439."""
    more = answers(smoothing="No", tests="No")
    more.pop("truth")
    ran = run("LMM/DC", breeding("m2"), more, tmp_path)
    verdicts = by(ran.table("Estimability"))["verdict"]
    assert verdicts[["beta_0", "u_1", "u_100"]].tolist() == ["not estimable"] * 3
    assert {verdicts["sigma2"], verdicts["beta_0 + u_1"], verdicts["u_1 − u_100"]} == {"estimable"}
    half = reference()["exact"]["m2"]["neyman_scott_sigma_sq"]
    assert by(ran.table("MLE")).loc["sigma2", "estimate"] == pytest.approx(half, rel=1e-9)
    # With K clones and effects all but fixed: inverse gamma with n m K - n degrees of freedom, mean SSW K / (df - 2).
    table = ran.table("DCTable")
    for clones, sd in table[table["parameter"] == "sigma2"][["clones", "sd"]].to_numpy():
        mean = table[(table["parameter"] == "sigma2") & (table["clones"] == clones)]["mean"].iloc[0]
        wanted = 200 * half * clones / (200 * clones - 100 - 2)
        assert abs(mean - wanted) < 4.5 * sd / np.sqrt(3000) + 2e-4 * wanted
    sentence = by(ran.table("Estimability")).loc["sigma2", "sentence"]
    assert "tends to 0.5 of the true variance" in sentence


def lmm(name: str) -> Dataset:
    return shared_data(f"lmm/{name}.csv")


@pytest.mark.parametrize(
    ("data", "key", "given", "names"),
    [
        ("Dyestuff", "dyestuff_ml", {"y": "Yield", "C1": "Batch"}, ["sigma2_u", "sigma2"]),
        ("sleepstudy", "sleep_int_ml", {"y": "Reaction", "C1": "Subject", "x": "cons,Days"}, ["sigma2_u", "sigma2"]),
        (
            "sleepstudy",
            "sleep_slope_ml",
            {"y": "Reaction", "C1": "Subject", "x": "cons,Days", "x2_1": "cons,Days"},
            ["omega_u_0", "omega_u_2", "omega_u_1", "sigma2"],
        ),
    ],
)
def test_normal_models_of_lme4(data: str, key: str, given: dict, names: list[str], tmp_path) -> None:
    """Coefficients, variances and log likelihood by our own maximum likelihood and by cloning (K = 50 and 200)."""
    expected = reference("lme4")[key]
    ran = run("LMM/DC", lmm(data), {**given, "clones": "1,50,200", **LIGHT}, tmp_path)
    mle, found = by(ran.table("MLE")), by(ran.table("Coefficients"))
    fixed = expected["fixef"] if isinstance(expected["fixef"], dict) else {"": expected["fixef"]}
    ses = expected["se"] if isinstance(expected["se"], dict) else dict(zip(fixed, expected["se"], strict=True))
    pairs = [(f"beta_{k}", v, ses[n]) for k, (n, v) in enumerate(fixed.items())]
    pairs += [(n, row["vcov"], mle.loc[n, "se"]) for n, row in zip(names, expected["varcorr"], strict=True)]
    for name, value, se in pairs:
        assert mle.loc[name, "estimate"] == pytest.approx(value, rel=2e-3, abs=1e-4 * se)
        # at K = 200 what is left of skewness and prior is below 4 % of a standard error
        assert abs(found.loc[name, "estimate"] - value) < 0.04 * se + 4.5 * se / np.sqrt(200 * 2500), name
        assert found.loc[name, "dcsd"] == pytest.approx(se, rel=0.07)
    fit = by(ran.table("ModelFit"), "measure")["value"]
    assert fit["logLik"] == pytest.approx(expected["loglik"], abs=2e-4)
    assert fit["AIC"] == pytest.approx(expected["aic"], abs=1e-3)
    assert fit["BIC"] == pytest.approx(expected["bic"], abs=1e-3)


def test_an_estimate_at_the_edge_is_said_to_be_one(tmp_path) -> None:
    """Dyestuff2: a variance of zero between batches. No standard error is given, and the notice says why."""
    ran = run("LMM/DC", lmm("Dyestuff2"), {"y": "Yield", "C1": "Batch"}, tmp_path)
    expected = reference("lme4")["dyestuff2_ml"]
    assert by(ran.table("Estimability")).loc["sigma2_u", "verdict"] == "on the boundary"
    assert np.isnan(by(ran.table("Coefficients")).loc["sigma2_u", "dcsd"])
    mle = by(ran.table("MLE"))["estimate"]
    assert mle["sigma2_u"] == 0
    assert mle["sigma2"] == pytest.approx(expected["varcorr"][1]["vcov"], rel=1e-6)
    assert any("edge of the parameter space" in p.message for p in ran.notes)
    assert by(ran.table("Tests"), "hypothesis").loc["sigma2_u = 0", "p"] == 1
    assert ran.table("RandomEffects")["estimate"].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("data", "key", "given", "reorder"),
    [
        (
            "cbpp",
            "cbpp_binomial_agq25",
            {"y": "incidence", "C1": "herd", "D": "Binomial", "n": "size", "x": "cons,period:cat", "clones": "1,10,40"},
            ("(Intercept)", "period4", ["period2", "period3"]),
        ),
        (
            "grouseticks",
            "grouse_poisson_brood_agq25",
            {"y": "TICKS", "C1": "BROOD", "D": "Poisson", "x": "cons,YEAR:cat,cHEIGHT", "clones": "1,10,40"},
            ("(Intercept)", "YEAR97", ["YEAR96"]),
        ),
    ],
)
def test_generalised_models_of_lme4(data: str, key: str, given: dict, reorder: tuple, tmp_path) -> None:
    """Against lme4 with 25 quadrature points, whose reference category is the first where ours is the last."""
    expected = reference("lme4")[key]
    fixed = expected["fixef"]
    base, last, others = reorder
    values = [fixed[base] + fixed[last], -fixed[last], *(fixed[o] - fixed[last] for o in others)]
    values += [fixed["cHEIGHT"]] if "cHEIGHT" in fixed else []
    ran = run("LMM/DC", lmm(data), {**given, **LIGHT, "iterations": "1500"}, tmp_path)
    mle, found = by(ran.table("MLE")), by(ran.table("Coefficients"))
    values.append(expected["varcorr"][0]["vcov"])
    for name, value in zip([*(f"beta_{k}" for k in range(len(values) - 1)), "sigma2_u"], values, strict=True):
        se = mle.loc[name, "se"]
        assert mle.loc[name, "estimate"] == pytest.approx(value, abs=2e-3 * se)
        assert abs(found.loc[name, "estimate"] - value) < 0.03 * se + 4.5 * se / np.sqrt(40 * 2500), name
        assert found.loc[name, "dcsd"] == pytest.approx(se, rel=0.08)
    assert set(ran.table("Estimability")["verdict"]) == {"estimable"}
