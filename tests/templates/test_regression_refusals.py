"""What the regression templates refuse, each in one sentence that names the question and the column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run, shared_data

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

MOI = {"y": "normexam", "L2ID": "school", "x": "cons,standlrtmiss,girlmiss,schgendmiss:cat"}
SHORT = {"nchains": "2", "burnin": "50", "iterations": "300"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shared_data("tutmiss.csv")


def toy(**columns: object) -> Dataset:
    n = 24
    rng = np.random.default_rng(1)
    base = {
        "g": np.repeat(np.arange(6.0), 4), "cons": np.ones(n), "x": rng.normal(size=n), "y": rng.normal(size=n),
        "count": rng.integers(0, 5, n).astype(float), "yes": np.tile([0.0, 1.0, 1.0, 0.0], 6), "n": np.full(n, 5.0),
    }  # fmt: skip
    return Dataset("toy", {**base, **{k: np.asarray(v) for k, v in columns.items()}})


TWO = {"L2ID": "g", "x": "cons,x"}
N = np.arange(24.0)
FOUR = np.where(N < 20, np.nan, N)  # four complete rows
LAST = np.where(N < 20, N, np.nan)  # all but the last four
TWELVE = np.tile([1.0, 2.0], 12)
THREE = np.tile([0.0, 1.0, 2.0], 8)
BINOMIAL = {"y": "yes", "D": "Binomial", "n": "n"}
COUNT = {"y": "count", "D": "Poisson"}
NB = "Negative binomial"
BAD = [
    ("not-binary", "2LevelMod", {**BINOMIAL, "n": "cons", **TWO}, {"yes": THREE}, "two values"),
    ("more-successes-than-trials", "2LevelMod", {**BINOMIAL, "y": "count", **TWO}, {"count": N}, "above n"),
    ("not-a-count", "1LevelMod", {"y": "y", "D": "Poisson", "x": "cons"}, {"y": np.abs(np.sin(N))}, "whole number"),
    ("negative-count", "1LevelMod", {"y": "y", "D": "Poisson", "x": "cons"}, {"y": N - 3}, "negative"),
    ("not-a-count", "1LevelMod", {**BINOMIAL, "x": "cons"}, {"n": N + 0.5}, "whole numbers"),
    ("no-trials", "1LevelMod", {**BINOMIAL, "x": "cons"}, {"n": np.zeros(24)}, "no trials"),
    ("collinear", "2LevelMod", {"y": "y", "L2ID": "g", "x": "cons,x,z"}, {"z": N * 0 + 2.0}, "z is constant"),
    (
        "collinear",
        "2LevelMod",
        {"y": "y", "L2ID": "g", "x": "cons,n,m"},
        {"n": TWELVE, "m": 5 - 2 * TWELVE},
        "m can be",
    ),
    ("collinear", "2LevelRS", {"y": "y", **TWO, "x2": "cons,one"}, {"one": N * 0 + 1.0}, "one is"),
    ("more-parameters-than-rows", "1LevelMod", {"y": "y", "x": "cons,x,yes,count"}, {"y": FOUR}, "4 coefficients"),
    ("more-effects-than-rows", "2LevelMod", {"y": "y", "L2ID": "id", "x": "cons"}, {"id": N}, "24 groups"),
    ("more-effects-than-rows", "2LevelRS", {"y": "y", **TWO, "x2": "cons,x"}, {"g": N // 2}, "12 groups"),
    ("more-effects-than-rows", "2LevelRS", {**COUNT, **TWO, "x2": "cons,n:cat"}, {"g": N // 2, "n": N % 3}, "3 random"),
    ("more-effects-than-rows", "2LevelMod", {**COUNT, "D": NB, "L2ID": "id", "x": "cons"}, {"id": N}, "alpha stands"),
    ("negative-count", "2LevelRS", {**COUNT, "D": NB, **TWO, "x2": "cons,x"}, {"count": N - 3}, "negative"),
    ("not-a-count", "1LevelMod", {**COUNT, "D": NB, "x": "cons"}, {"count": N + 0.5}, "a negative binomial response"),
    ("too-few-counts", "1LevelMod", {**COUNT, "D": NB, "x": "cons,x"}, {"count": N // 22}, "2 counts above 0"),
    ("too-few-groups", "2LevelRS", {**COUNT, "D": NB, **TWO, "x2": "cons,x"}, {"count": N // 20}, "1 groups with a"),
    ("collinear", "2LevelRS", {**COUNT, **TWO, "x2": "cons,one"}, {"one": N * 0 + 1.0}, "one is"),
    ("too-few-groups", "2LevelMod", {"y": "y", **TWO}, {"x": np.where(N < 4, N, np.nan)}, "1 group"),
    ("no-complete-rows", "2LevelMod", {"y": "y", **TWO}, {"y": FOUR, "x": LAST}, "y is missing in 20 of 24"),
    ("constant-response", "1LevelMod", {"y": "y", "x": "cons,x"}, {"y": np.maximum(N, 19), "x": LAST}, "19 in every"),
    (
        "constant-response",
        "1LevelMod",
        {"y": "y", "x": "cons,x", "D": "Poisson"},
        {"y": np.maximum(N, 19) - 19, "x": LAST},
        "0 in",
    ),
    ("perfect-fit", "1LevelMod", {"y": "y", "x": "cons,x"}, {"x": N, "y": 3 - 2 * N}, "exact"),
    (
        "no-level-1-variance",
        "2LevelMod",
        {"y": "y", "L2ID": "g", "x": "cons"},
        {"y": (N // 4) ** 2},
        "within the groups",
    ),
    ("separation", "1LevelMod", {**BINOMIAL, "n": "cons", "x": "cons,x"}, {"x": N, "yes": N > 11.0}, "of x has no"),
    ("improper-posterior", "2LevelMod", {"y": "y", **TWO, "priors": "Uniform"}, {"g": N // 8}, "at least 4"),
    (
        "improper-posterior",
        "2LevelRS",
        {"y": "y", **TWO, "x2": "cons,x", "priors": "Uniform"},
        {"g": N // 5},
        "least 6",
    ),
    (
        "improper-posterior",
        "2LevelMod",
        {**BINOMIAL, "n": "cons", **TWO, "priors": "Uniform"},
        {"yes": np.where(N < 12, N % 2, N > 19)},
        "3 groups with both",
    ),
    ("too-few-groups", "2LevelMod", {**BINOMIAL, "n": "cons", **TWO}, {"yes": N // 4 % 2}, "0 groups with both"),
    ("too-few-groups", "2LevelMod", {"y": "y", "L2ID": "g", "x": "cons,w"}, {"g": N // 12, "w": N // 12}, "2 groups"),
]


@pytest.mark.parametrize(("code", "template", "answers", "columns", "words"), BAD, ids=[f"{b[0]}-{b[1]}" for b in BAD])
def test_data_that_cannot_be_fitted_are_refused_in_one_sentence(
    code: str, template: str, answers: dict, columns: dict, words: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        run(template, toy(**columns), answers, tmp_path)
    assert [p.code for p in refused.value.problems] == [code], [p.line() for p in refused.value.problems]
    assert words in refused.value.problems[0].message
    assert not list(tmp_path.iterdir())


def test_questions_refuse_what_the_columns_tell(data: Dataset) -> None:
    """Text as a number, a constant response, the response among its predictors, an unknown distribution."""
    wrong = toy(name=np.array(["a", "b"] * 12), same=np.ones(24))
    found = walk(registry.get("2LevelMod"), {"y": "same", "L2ID": "g", "x": "cons,x", "D": "Gaussian"}, wrong.schema())
    assert {p.key for p in found.problems} == {"y", "D"}
    name = {"y": "name", "L2ID": "g", "D": "Normal", "x": "cons"}
    found = walk(registry.get("2LevelMod"), name, wrong.schema())
    assert [p.key for p in found.problems] == ["D"], "its two texts could be a yes and a no"
    found = walk(registry.get("2LevelMod"), {"y": "y", "L2ID": "g", "x": "cons,y"}, wrong.schema())
    assert [p.key for p in found.problems] == ["x"]
    found = walk(registry.get("1LevelMod"), {"y": "y", "x": "cons,name"}, wrong.schema())
    assert found.spec is not None, "a text column enters by its categories"


def test_a_variance_from_few_groups_is_marked(tmp_path: Path) -> None:
    """Four groups: proper, but the posterior mean of the variance means little; the user is told to read the median."""
    ran = run("2LevelMod", toy(g=N // 6), {"y": "y", **TWO, **SHORT}, tmp_path)
    assert [p.code for p in ran.notes] == ["long-tail"]
    assert np.isfinite(ran.table("ModelResults")["median"]).all()


def test_the_draws_cannot_take_the_name_of_another_output(data: Dataset) -> None:
    found = walk(registry.get("2LevelMod"), {**MOI, "outdata": "residuals"}, data.schema())
    assert [p.key for p in found.problems] == ["outdata"]


def test_several_faults_are_told_together(tmp_path: Path) -> None:
    wrong = toy(yes=THREE, z=np.full(24, 3.0))
    with pytest.raises(Refused) as refused:
        run("2LevelMod", wrong, {"y": "yes", "D": "Binomial", "n": "cons", "L2ID": "g", "x": "cons,z"}, tmp_path)
    assert [p.code for p in refused.value.problems] == ["not-binary", "collinear"]
