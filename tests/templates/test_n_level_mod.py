"""NLevelMod and NLevelRS as a user meets them: outputs under their names, numbers beside lme4, clear refusals.

The samplers are held to exact answers in tests/sampling; here what is told, named and refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beside import figures
from running import Ran, run, shared_data

from templates_engine import inputs, registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import tutorial as simulate
from templates_engine.running import summaries
from templates_engine.running.job import Job
from templates_engine.running.store import Store

SHORT = {"nchains": "2", "burnin": "100", "iterations": "400"}
SCOTS = {"y": "attain", "numclass": "2", "C1": "primary", "C2": "second", "x": "cons,verbal,girl,social"}


@pytest.fixture(scope="module")
def schools() -> Dataset:
    return simulate.SUPPLIED["crossed_schools"]()


@pytest.fixture(scope="module")
def scots(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("NLevelMod", shared_data("scotssec.csv"), SCOTS, tmp_path_factory.mktemp("scots"))


def test_outputs_under_their_names(scots: Ran) -> None:
    """Scripts, super-templates and the pages find these by name; classifications are numbered as they were answered."""
    names = {path.name for path in scots.folder.iterdir()}
    assert {
        "ModelResults.csv",
        "ModelParameters.csv",
        "ModelFit.csv",
        "MLE.csv",
        "Verdicts.csv",
        "equation.tex",
    } <= names
    assert {"algorithm.tex", "Inputs.txt", "script.py", "out.dta", "residuals_u1.dta", "residuals_u2.dta"} <= names
    table = scots.table("ModelResults")
    assert tuple(table.columns) == summaries.COLUMNS
    assert list(table["parameter"]) == [*(f"beta_{k}" for k in range(4)), "sigma2_u1", "sigma2_u2", "sigma2"]
    assert list(table["variable"][4:6]) == ["primary", "second"]
    assert (table["rhat"] < 1.02).all()
    more, draws = scots.table("ModelParameters").set_index("parameter")["mean"], scots.result.draws
    assert list(more.index[-3:]) == ["deviance", "vpc_1", "vpc_2"]
    assert draws is not None
    one, two, rest = (draws[name] for name in ("sigma2_u1", "sigma2_u2", "sigma2"))
    for name, part in (("vpc_1", one), ("vpc_2", two)):
        assert more[name] == pytest.approx((part / (one + two + rest)).mean(), rel=1e-6)
    for k, (name, units) in enumerate((("primary", 148), ("second", 19)), start=1):
        effects = pd.read_stata(scots.folder / f"residuals_u{k}.dta")
        assert list(effects.columns) == [name, "u0", "u0_sd"]
        assert len(effects) == units
        assert abs(effects["u0"].mean()) < 0.1
    fit = scots.table("ModelFit").set_index("measure")["value"]
    assert (fit["n"], fit["units of primary"], fit["units of second"]) == (3435, 148, 19)
    # effective parameters: four coefficients, a variance, and a share of the units' effects
    assert 5 < fit["pD"] < 5 + 148 + 19


def test_degrees_of_freedom_for_pooling(scots: Ran) -> None:
    """Between-within: the intercept, constant in the units of both, has the 19 - 1 of the smaller classification; the
    three that vary within both have n less all units and themselves."""
    info = scots.result.info
    assert [info[f"df:beta_{k}"] for k in range(4)] == [18, *[3435 - 148 - 19 - 3] * 3]
    assert (info["n"], info["groups1"], info["groups2"]) == (3435, 148, 19)


def test_the_answer_is_lme4s(scots: Ran) -> None:
    """MLE to 1e-4 of lme4's REML; posterior means of coefficients within 0.1 sd of it, residual variance within 0.2 sd.
    The variances' posteriors lie about REML: primary within half a sd; second, all but unidentified, above it."""
    reference = figures("imputation")["NLevelImpute_scots"]["full_data"]
    expected = reference["moi_social_linear"]
    wanted = [v["est"] for v in (*expected["fixed"].values(), *expected["varcomp"].values())]
    errors = [v["se"] for v in (*expected["fixed"].values(), *expected["varcomp"].values())]
    mle, table = scots.table("MLE"), scots.table("ModelResults")
    np.testing.assert_allclose(mle["estimate"], wanted, rtol=1e-4)
    np.testing.assert_allclose(mle["se"], errors, rtol=2e-3)
    away = (table["mean"] - wanted) / table["sd"]
    assert (away[:4].abs() < 0.1).all()
    assert abs(away[4]) < 0.5
    assert 0.0 < away[5] < 1.5
    assert abs(away[6]) < 0.2


def test_random_slopes_have_packed_names(schools: Dataset, tmp_path: Path) -> None:
    """omega_u1_0.. is the first classification's lower triangle by rows; diagonal means within 20 % of REML."""
    answers = {"y": "attain", "numclass": "2", "C1": "primary", "C2": "second", "x": "cons,verbal",
               "x2_1": "cons,verbal", "x2_2": "cons"}  # fmt: skip
    ran = run("NLevelRS", schools, answers, tmp_path)
    table, mle = ran.table("ModelResults"), ran.table("MLE")
    assert list(table["parameter"][2:]) == ["omega_u1_0", "omega_u1_1", "omega_u1_2", "omega_u2_0", "sigma2"]
    assert list(mle["parameter"]) == list(table["parameter"])
    assert (np.abs(table["mean"][:2] - mle["estimate"][:2]) < 0.1 * table["sd"][:2]).all()
    ratio = (table["mean"] / mle["estimate"])[[2, 4, 5, 6]]
    assert ((ratio > 0.95) & (ratio < 1.3)).all()
    assert list(pd.read_stata(tmp_path / "residuals_u1.dta").columns) == ["primary", "u0", "u0_sd", "u1", "u1_sd"]


@pytest.mark.parametrize("name", ["NLevelMod", "NLevelRS"])
def test_every_example_runs(name: str, schools: Dataset, tmp_path: Path) -> None:
    """Each ends in draws that have settled roughly, with coefficients at the maximum likelihood estimates beside them:
    within two thirds of a standard deviation (Monte Carlo error is some 0.15, the rest skewness)."""
    for example in registry.get(name).examples:
        answers = {**inputs.read(example.inputs).answers, **SHORT}
        ran = run(name, schools, answers, tmp_path / example.name)
        table = ran.table("ModelResults")
        assert np.isfinite(table[["mean", "sd"]].to_numpy()).all()
        assert (table["rhat"] < 1.1).all()
        mle = ran.table("MLE")
        assert list(mle["parameter"]) == list(table["parameter"])
        fixed = table["parameter"].str.startswith("beta")
        assert (((table["mean"] - mle["estimate"]) / table["sd"])[fixed].abs() < 0.67).all()
        fit = ran.table("ModelFit").set_index("measure")["value"]
        assert abs(fit["DIC"] / fit["WAIC"] - 1) < 0.05
    if name == "NLevelMod":
        assert "alpha" in set(run(name, schools, {**answers_of("negative_binomial"), **SHORT}, tmp_path / "nb").table(
            "ModelResults")["parameter"])  # fmt: skip


def answers_of(example: str) -> dict[str, str]:
    (found,) = (e for e in registry.get("NLevelMod").examples if e.name == example)
    return dict(inputs.read(found.inputs).answers)


def test_script_and_input_string_repeat_the_run(scots: Ran) -> None:
    command = (scots.folder / "script.py").read_text().split("\n\n")[1]
    parsed = inputs.read(command)
    assert (parsed.template, parsed.problems) == ("NLevelMod", [])
    schema = shared_data("scotssec.csv").schema()
    again = walk(registry.get("NLevelMod"), parsed.answers, schema, strict_keys=True)
    assert again.spec == scots.walked.spec


def test_same_seed_same_tables_whatever_the_threads(schools: Dataset, tmp_path: Path) -> None:
    template = registry.get("NLevelMod")
    for example in ("crossed", "binomial"):
        spec = walk(template, {**answers_of(example), **SHORT, "iterations": "100"}, schools.schema()).require()
        texts = []
        for threads in (1, 3):
            folder = tmp_path / f"{example}{threads}"
            with Job(Store(folder), threads=threads) as job:
                template.run(spec, schools, job)
            texts.append((folder / "ModelResults.csv").read_bytes())
        assert texts[0] == texts[1]


def toy(**columns: object) -> Dataset:
    n = 24
    rng = np.random.default_rng(1)
    base = {
        "g": np.repeat(np.arange(6.0), 4), "h": np.tile(np.arange(4.0), 6), "cons": np.ones(n),
        "x": rng.normal(size=n), "y": rng.normal(size=n), "count": rng.integers(0, 5, n).astype(float),
        "yes": np.tile([0.0, 1.0, 1.0, 0.0], 6), "n": np.full(n, 5.0),
    }  # fmt: skip
    return Dataset("toy", {**base, **{k: np.asarray(v) for k, v in columns.items()}})


N = np.arange(24.0)
FIRST = np.where(N < 4, N, np.nan)  # only the first unit of g is complete
LAST = np.where(N < 20, np.nan, N)
TWO = {"numclass": "2", "C1": "g", "C2": "h", "x": "cons,x"}
BAD = [
    ("too-few-groups", "NLevelMod", {"y": "y", **TWO}, {"x": FIRST}, "C1", "1 unit"),
    ("more-effects-than-rows", "NLevelMod", {"y": "y", **TWO, "C1": "id"}, {"id": N}, "C1", "24 units"),
    ("more-effects-than-rows", "NLevelRS", {"y": "y", **TWO, "C1": "id", "x2_1": "cons,x"}, {"id": N // 2}, "x2_1",
     "12 units and 2"),
    ("more-effects-than-rows", "NLevelRS", {"y": "count", **TWO, "D": "Poisson", "C1": "id", "x2_1": "cons,x"},
     {"id": N}, "x2_1", "24 units and 2"),
    ("same-classification", "NLevelMod", {"y": "y", **TWO, "C2": "g2"}, {"g2": 10 - np.repeat(np.arange(6.0), 4)}, "C2",
     "g2 divides the rows used in the same 6 units as g"),
    ("collinear", "NLevelMod", {"y": "y", **TWO, "x": "cons,x,z"}, {"z": N * 0 + 2.0}, "x", "z is constant"),
    ("collinear", "NLevelRS", {"y": "y", **TWO, "x2_2": "cons,z"}, {"z": N * 0 + 2.0}, "x2_2", "z can be"),
    ("no-level-1-variance", "NLevelMod", {"y": "y", **TWO}, {"y": (N // 4) ** 2}, "y", "within the units of g"),
    ("negative-count", "NLevelMod", {"y": "y", **TWO, "D": "Poisson"}, {"y": N - 3}, "y", "negative"),
    ("negative-count", "NLevelMod", {"y": "y", **TWO, "D": "Negative binomial"}, {"y": N - 3}, "y", "negative"),
    ("not-a-count", "NLevelMod", {"y": "y", **TWO, "D": "Negative binomial"}, {"y": N + 0.5}, "y", "whole number"),
    ("more-successes-than-trials", "NLevelMod", {"y": "count", **TWO, "D": "Binomial", "n": "n"}, {"count": N}, "y",
     "above n"),
    ("not-binary", "NLevelMod", {"y": "yes", **TWO, "D": "Binomial", "n": "cons"}, {"yes": np.tile([0.0, 1.0, 2.0], 8)},
     "y", "two values"),
    ("improper-posterior", "NLevelMod", {"y": "y", **TWO, "priors": "Uniform"}, {"h": N // 8}, "priors",
     "3 units of h"),
    ("no-complete-rows", "NLevelMod", {"y": "y", **TWO}, {"y": LAST, "x": np.where(N < 20, N, np.nan)}, "", "No row"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "template", "answers", "columns", "key", "words"), BAD)
def test_what_is_wrong_with_the_rows_is_said(
    code: str, template: str, answers: dict[str, str], columns: dict, key: str, words: str
) -> None:
    """Before the run, in words, at the answer it belongs to."""
    found = registry.get(template)
    data = toy(**columns)
    spec = walk(found, answers, data.schema()).require()
    problems = [p for p in found.check(spec, data) if p.level == "error"]
    assert code in [p.code for p in problems]
    (problem,) = (p for p in problems if p.code == code)
    assert problem.key == key
    assert words in problem.message


def test_mistakes_in_answers_are_told_together() -> None:
    """The same classification twice, the response as a classification, a name that is taken: all at once."""
    data = toy(y=np.repeat([1.0, 2.0, 4.0], 8))
    answers = {"y": "y", "numclass": "3", "C1": "g", "C2": "g", "C3": "y", "x": "cons", "outdata": "residuals_u2"}
    found = walk(registry.get("NLevelMod"), answers, data.schema())
    assert found.spec is None
    assert {p.key for p in found.problems} == {"C2", "C3", "outdata"}


def test_a_classification_with_one_unit_cannot_be_chosen() -> None:
    """Where the schema tells already: at the question, with the reason."""
    found = walk(registry.get("NLevelMod"), {"y": "y", **TWO, "C2": "cons"}, toy().schema())
    (problem,) = found.problems
    assert (problem.key, found.spec) == ("C2", None)
    assert "at least two units" in problem.message


@pytest.mark.parametrize(
    ("response", "refused"),
    [
        ({"y": "count", "D": "Poisson"}, False),
        ({"y": "yes", "D": "Binomial", "n": "n"}, False),
        ({"y": "yes", "D": "Binomial", "n": "cons"}, True),
        ({"y": "count", "D": "Negative binomial"}, True),
        ({"y": "y"}, True),
    ],
)
def test_an_effect_a_row_is_welcome_as_extra_variation_only(response: dict[str, str], refused: bool) -> None:
    """Of a count, or of several trials; for yes/no there would be nothing to estimate it from. For one classification
    as for several."""
    data = toy(id=N)
    for name, units in (("NLevelMod", {**TWO, "C1": "id"}), ("2LevelMod", {"L2ID": "id", "x": "cons,x"})):
        template = registry.get(name)
        spec = walk(template, {**units, **response}, data.schema()).require()
        codes = [p.code for p in template.check(spec, data) if p.level == "error"]
        assert ("more-effects-than-rows" in codes) == refused
