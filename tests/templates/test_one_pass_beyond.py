"""2LevelMissingOnePass beyond the guide, through its questions: group means, counts, skewed and bounded variables,
values that are not missing at random. That the draws are right is shown in tests/sampling/test_onepass_more_sbc.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import Dataset, readers
from templates_engine.problems import Problem

NAME = "2LevelMissingOnePass"
N, J = 800, 80
SHORT = {"nchains": "2", "seed": "1", "burnin": "300", "iterations": "1000"}
BASE = {
    "y": "y", "D": "Normal", "L2int": "Yes", "L2ID": "g", "numpoly": "0", "numinter": "0", "x2vars": "cons",
    "L1resp": "Yes", "yimp": "x", "L2imp": "Yes", "L2IDimp": "g", "L2resp": "No", "bin1": "Normal", "ximp1": "cons",
    "xvars": "cons,x", **SHORT,
}  # fmt: skip


def with_gaps(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(x.size) < share, np.nan, x)


def problems(data: Dataset, answers: dict[str, str]) -> list[Problem]:
    template = registry.get(NAME)
    walked = walk(template, answers, data.schema(), strict_keys=True)
    if walked.spec is None or any(p.level == "error" for p in walked.problems):
        return walked.problems
    return [*walked.problems, *template.check(walked.spec, template.rows(data))]


def test_effect_of_a_group_mean(tmp_path: Path) -> None:
    """The effect between groups is 1.0 above that within, 0.5; half of x is missing, and the column of means is that of
    what is seen. Tolerance 4 posterior sds, false alarm 1e-4; completed data have the means of what was drawn."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(float(J)), N // J)
    x = 0.7 * rng.standard_normal(J)[g.astype(int)] + rng.standard_normal(N)
    mean = (np.bincount(g.astype(int), x) / (N // J))[g.astype(int)]
    y = 0.2 + 0.5 * x + 1.0 * mean + 0.3 * rng.standard_normal(J)[g.astype(int)] + 0.5 * rng.standard_normal(N)
    seen = with_gaps(x, 0.5, rng)
    there = ~np.isnan(seen)
    naive = np.bincount(g[there].astype(int), seen[there], J) / np.bincount(g[there].astype(int), minlength=J)
    data = Dataset("made", {"y": y, "cons": np.ones(N), "x": seen, "xbar": naive[g.astype(int)], "g": g})
    answers = {
        **BASE,
        "xvars": "cons,x,xbar",
        "moreimp": "Yes",
        "gmean": "xbar",
        "gmeanof0": "x",
        "imputeiters": "1000",
    }
    ran = run(NAME, data, answers, tmp_path)
    table = ran.table("ModelResults").set_index("parameter")
    for parameter, truth in (("beta_1", 0.5), ("beta_2", 1.0)):
        assert abs(table.loc[parameter, "mean"] - truth) < 4 * table.loc[parameter, "sd"], parameter
    assert ran.table("Imputed")["drawn"][0] == "exact: Normal, over the rows of its group"
    made = readers.read(ran.folder / "impute_datafile_chain0_iter1000.dta")
    made_mean = (np.bincount(g.astype(int), made["x"]) / (N // J))[g.astype(int)]
    assert np.allclose(made["xbar"], made_mean, atol=1e-6)
    wrong = problems(data, {**answers, "x2vars": "cons,xbar"})
    assert any(p.key == "x2vars" and "cannot vary" in p.message for p in wrong)


KINDS = {
    "Count": (lambda z: np.floor(np.exp(z)), {}),
    "Skewed": (lambda z: 2.0 + np.exp(z), {"lowx": "2"}),
    "Bounded": (lambda z: 100.0 / (1.0 + np.exp(-z)), {"lowx": "0", "highx": "100"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_counts_skewed_and_bounded_variables(kind: str, tmp_path: Path) -> None:
    """What is filled in is of the variable's kind, and the coefficient comes back within 4 posterior sds."""
    rng = np.random.default_rng(9)
    g = np.repeat(np.arange(float(J)), N // J)
    shape, ends = KINDS[kind]
    x = shape(0.8 + 0.5 * rng.standard_normal(J)[g.astype(int)] + 0.6 * rng.standard_normal(N))
    y = 0.2 + x / x.std() + 0.3 * rng.standard_normal(J)[g.astype(int)] + 0.5 * rng.standard_normal(N)
    data = Dataset("made", {"y": y, "cons": np.ones(N), "x": with_gaps(x, 0.3, rng), "g": g})
    ran = run(NAME, data, {**BASE, "bin1": kind, **ends, "imputeiters": "1000"}, tmp_path)
    table = ran.table("ModelResults").set_index("parameter")
    assert abs(table.loc["beta_1", "mean"] - 1 / x.std()) < 4 * table.loc["beta_1", "sd"]
    assert ran.table("Imputed")["drawn"][0] == "slice sampling of its Normal"
    made = readers.read(ran.folder / "impute_datafile_chain1_iter1000.dta")["x"]
    assert not np.isnan(made).any()
    if kind == "Count":
        assert np.array_equal(made, np.floor(made))
    assert made.min() >= (0.0 if kind == "Count" else float(ends["lowx"]))
    assert made.max() <= float(ends.get("highx", "inf"))
    filled = np.isnan(np.asarray(data["x"]))
    spread = made[filled].std() / np.sqrt(filled.sum())
    assert abs(made[filled].mean() - x[filled].mean()) < 6 * spread


@pytest.mark.parametrize(
    ("kind", "ends", "key", "words"),
    [
        ("Count", {}, "bin1", "no whole numbers"),
        ("Skewed", {"lowx": "0"}, "lowx", "not above 0"),
        ("Bounded", {"lowx": "-9", "highx": "0.5"}, "highx", "not between -9 and 0.5"),
        ("Bounded", {"lowx": "9", "highx": "1"}, "highx", "not above 9"),
    ],
)
def test_values_outside_the_range(kind: str, ends: dict[str, str], key: str, words: str) -> None:
    rng = np.random.default_rng(9)
    x, groups = with_gaps(rng.standard_normal(60), 0.2, rng), np.repeat(np.arange(12.0), 5)
    data = Dataset("made", {"y": rng.standard_normal(60), "cons": np.ones(60), "x": x, "g": groups})
    found = problems(data, {**BASE, "bin1": kind, **ends})
    assert any(p.key == key and words in p.message and p.level == "error" for p in found), found


def selected_away() -> tuple[Dataset, np.ndarray]:
    """x is missing the more often, the higher it is."""
    rng = np.random.default_rng(12)
    g = np.repeat(np.arange(float(J)), N // J)
    x = 0.5 * rng.standard_normal(J)[g.astype(int)] + rng.standard_normal(N)
    y = 0.2 + 0.6 * x + 0.3 * rng.standard_normal(J)[g.astype(int)] + 0.8 * rng.standard_normal(N)
    gone = rng.standard_normal(N) < -0.7 + 1.2 * x
    return Dataset("made", {"y": y, "cons": np.ones(N), "x": np.where(gone, np.nan, x), "g": g}), x


def test_selection_model(tmp_path: Path) -> None:
    """Missing by its own value, coefficient 1.2: the mean of x is 0. Taken as missing at random it is put 0.2 too low;
    the selection model has it within 4 posterior sds, and so its own coefficient."""
    data, x = selected_away()
    answers = {
        **BASE,
        "moreimp": "Yes",
        "mnar": "Selection model",
        "selvars": "x",
        "selx0": "cons,y",
        "iterations": "2000",
    }
    ran = run(NAME, data, answers, tmp_path)
    table = ran.table("ModelResults").set_index("parameter")
    plain = run(NAME, data, BASE, tmp_path / "plain").table("ModelResults").set_index("parameter")
    assert table.loc["beta1imp_0", "mean"] > plain.loc["beta1imp_0", "mean"]
    assert abs(table.loc["beta1imp_0", "mean"] - x.mean()) < 4 * table.loc["beta1imp_0", "sd"]
    assert plain.loc["beta1imp_0", "mean"] < x.mean() - 2 * plain.loc["beta1imp_0", "sd"]
    assert list(table.loc[["select1_0", "select1_1", "select1_2"], "variable"]) == ["cons", "y", "x"]
    assert abs(table.loc["select1_2", "mean"] - 1.2) < 4 * table.loc["select1_2", "sd"]
    shown = ran.table("Sensitivity")
    assert list(shown["assumed"][:2]) == ["missing at random", "selection model"]
    own = shown[shown["assumed"] == "selection model"].set_index("parameter")
    assert np.allclose(own["mean"], table.loc[own.index, "mean"], rtol=1e-5)
    other = shown[shown["assumed"] == "missing at random"].set_index("parameter")
    error = 6 * plain.loc[other.index, "mcse"]
    assert (abs(other["mean"] - plain.loc[other.index, "mean"]) < error + 6 * plain["sd"][other.index] / 10).all()
    assert (tmp_path / "Sensitivity.svg").exists()


def test_pattern_mixture(tmp_path: Path) -> None:
    """The run itself is missing at random; upward shifts of x lower the intercept, as the slope is positive."""
    data, _ = selected_away()
    answers = {**BASE, "moreimp": "Yes", "mnar": "Pattern mixture", "shiftvars": "x", "shifts": "-0.8,0.8"}
    ran = run(NAME, data, answers, tmp_path)
    plain = run(NAME, data, BASE, tmp_path / "plain").table("ModelResults").set_index("parameter")
    table = ran.table("ModelResults").set_index("parameter")
    assert np.array_equal(table["mean"], plain["mean"])
    shown = ran.table("Sensitivity").set_index(["parameter", "assumed"])["mean"]
    order = [shown["beta_0", each] for each in ("shifted by -0.8 sd", "missing at random", "shifted by +0.8 sd")]
    assert order[0] > order[1] > order[2]
    wrong = walk(registry.get(NAME), {**answers, "shifts": "20"}, data.schema()).problems
    assert any(p.key == "shifts" and "most" in p.message for p in wrong)
