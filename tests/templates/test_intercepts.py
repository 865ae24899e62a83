"""An intercept is never a dead end: a column of ones is offered where the data have none, and its absence is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import case
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import Dataset, ones, readers, schema_with_intercept, with_intercept

MODELS = ("1LevelMod", "2LevelMod", "2LevelRS", "NLevelMod", "NLevelRS", "Regression1", "LMM/DC", "2LevelImpute")
SHORT = {"nchains": "1", "seed": "1", "burnin": "50", "iterations": "150"}


def pupils(seed: int = 3) -> Dataset:
    """120 pupils of 12 schools, no column of ones; y = 2 + x + u + e."""
    generator = np.random.default_rng(seed)
    school = np.repeat(np.arange(1.0, 13.0), 10)
    x = generator.standard_normal(120)
    y = 2 + x + generator.standard_normal(12)[school.astype(int) - 1] + generator.standard_normal(120)
    return Dataset("pupils", {"school": school, "y": y, "x": x})


def answers(template: str, x: str) -> dict[str, str]:
    given = {"y": "y", "x": x, **SHORT}
    if template.startswith("2") or template == "LMM/DC":
        given["C1" if template == "LMM/DC" else "L2ID"] = "school"
    if template.startswith("N"):
        given |= {"numclass": "1", "C1": "school"}
    if template == "LMM/DC":
        given |= {"clones": "1,5", "tests": "No", "predict": "No"}
    return given


def impute(predictors: str = "cons", moi: str = "cons,x") -> dict[str, str]:
    return {
        "numlevs": "Yes", "L2ID": "school", "MOIlevel": "2 levels", "MOIdist": "Normal", "MOIslope": "No", "y": "y",
        "x": moi, "yimp1": "y,x", "bin1_1": "Normal", "bin1_2": "Normal", "ximp1_0": predictors,
        "ximp1_1": predictors, "want2": "No", "condmarg": "Yes", "numimpute": "2", "imputefirst": "60",
        "imputeevery": "10", "burnin": "50", "iterations": "100", "nchains": "1", "seed": "1",
    }  # fmt: skip


def test_the_column_is_made_only_where_there_is_none() -> None:
    data = pupils()
    assert with_intercept(data).names == ("school", "y", "x", "cons")
    assert schema_with_intercept(data.schema()) == with_intercept(data).schema()
    one = data.with_columns(one=np.ones(120))
    assert with_intercept(one).names[-1] == "cons", "published strings call it so"
    assert ones(one.schema()) == "one"
    assert ones(schema_with_intercept(one.schema())) == "cons"
    codes = data.with_columns(cons=np.arange(120.0))
    assert with_intercept(codes).names[-1] == "_cons"
    assert ones(schema_with_intercept(codes.schema())) == "_cons"
    gaps = data.with_columns(cons=np.where(np.arange(120) < 5, np.nan, 1.0))
    assert with_intercept(gaps).names[-1] == "_cons", "ones with gaps would lose rows"


@pytest.mark.parametrize("name", MODELS)
def test_it_is_offered_and_the_default(name: str) -> None:
    template = registry.get(name)
    found = walk(
        template, {k: v for k, v in answers(name, "").items() if k != "x"} | {"numlevs": "No"}, pupils().schema()
    )
    asked = found.asked["x"]
    offered = {o.value: o.label for o in asked.options if o.allowed}
    assert offered["cons"] == "cons: the intercept (a column of ones)"
    if name != "2LevelImpute":
        assert asked.offered == "cons"


@pytest.mark.parametrize("name", ["1LevelMod", "2LevelMod", "2LevelRS", "NLevelMod", "LMM/DC"])
def test_it_gives_what_a_column_of_ones_gives(name: str, tmp_path: Path) -> None:
    data = pupils()
    given = answers(name, "cons,x")
    made = run(name, data, given, tmp_path / "made")
    own = run(name, data.with_columns(cons=np.ones(120)), given, tmp_path / "own")
    table = next(iter(made.result.tables))
    assert made.result.tables[table].rows == own.result.tables[table].rows
    assert not any(n.code == "no-intercept" for n in made.notes)


def test_imputing_with_it(tmp_path: Path) -> None:
    data = pupils()
    data = data.with_columns(x=np.where(np.arange(120) % 9 == 0, np.nan, data["x"]))
    made = run("2LevelImpute", data, impute(), tmp_path / "made")
    own = run("2LevelImpute", data.with_columns(cons=np.ones(120)), impute(), tmp_path / "own")
    for table, content in made.result.tables.items():
        assert content.rows == own.result.tables[table].rows
    found = walk(registry.get("2LevelImpute"), {k: v for k, v in impute().items() if "imp1_" not in k}, data.schema())
    assert found.asked["ximp1_0"].text == "cons", "the default of every picker"


def notices(name: str, data: Dataset, given: Mapping[str, str]) -> list[Any]:
    template = registry.get(name)
    found = walk(template, given, data.schema(), strict_keys=True)
    problems = template.check(found.require(), template.rows(data))
    return [p for p in problems if p.code == "no-intercept"]


@pytest.mark.parametrize("name", [m for m in MODELS if m != "2LevelImpute"])
def test_a_model_without_one_is_told_in_one_line(name: str) -> None:
    (said,) = notices(name, pupils(), answers(name, "x"))
    assert said.level == "notice"
    assert said.key == "x"
    assert said.message.startswith("There is no intercept: ")
    assert said.message.endswith("Add cons if that is not meant.")


def test_each_part_of_an_imputation_without_one_is_told() -> None:
    data = pupils().with_columns(z=np.arange(120.0), w=np.where(np.arange(120) % 9 == 0, np.nan, 1.5 * np.arange(120)))
    given = {**impute("z", "x"), "ximp1_1": "cons,z"}
    said = notices("2LevelImpute", data, given)
    assert [p.key for p in said] == ["x", "ximp1_0"]
    assert "in the model of interest" in said[0].message
    assert "in the predictors of y" in said[1].message


def test_a_full_set_of_indicators_has_one() -> None:
    data = pupils()
    a = (np.arange(120) % 2).astype(float)
    assert notices("1LevelMod", data.with_columns(a=a, b=1 - a), answers("1LevelMod", "a,b,x")) == []


def test_a_column_called_cons_that_varies_is_told_apart() -> None:
    """Case 63: cons is a constituency; the column of ones that is offered has another name."""
    data = readers.read(case("63"))
    given = {"y": "y", "L2ID": "g", "D": "Normal", "x": "cons,x", **SHORT}
    (said,) = notices("2LevelMod", data, given)
    assert said.message.startswith("cons is a variable with 4 values here, not a column of ones. There is no intercept")
    assert said.message.endswith("Add _cons if that is not meant.")
    assert notices("2LevelMod", data, {**given, "x": "_cons,x"}) == []
    asked = walk(registry.get("2LevelMod"), {"y": "y", "L2ID": "g", "D": "Normal"}, data.schema(), defaults=False)
    assert asked.asked["x"].offered == "_cons"
    random = walk(registry.get("LMM/DC"), {**answers("LMM/DC", "_cons,x"), "C1": "g", "x2_1": "cons"}, data.schema())
    assert random.require().slopes, "a variable called cons is a random slope, no random intercept"
