"""Refusals and verdicts hang on the question that can be mended, and name rows and groups."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from beside import case
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import readers
from templates_engine.problems import Problem

SHORT = {
    "numimpute": "3",
    "imputefirst": "60",
    "imputeevery": "10",
    "burnin": "50",
    "iterations": "100",
    "nchains": "1",
}


def checked(number: str) -> list[Problem]:
    data = readers.read(case(number))
    name, answers = (case(number).parent / "inputs.txt").read_text(encoding="utf-8").split("\n", 1)
    template = registry.get(name.strip())
    walked = walk(template, ast.literal_eval(answers.strip()), data.schema(), strict_keys=True)
    return walked.problems + template.check(walked.require(), template.rows(data))


def test_a_level_2_variable_that_varies_names_its_group() -> None:
    (said,) = checked("32")
    assert (said.level, said.column) == ("notice", "w")
    assert "1 of the groups of school (5 has " in said.message
    assert "Generate makes a column of group means" in said.message


def test_collinear_responses_hang_on_the_variables_to_impute() -> None:
    (said,) = checked("34b")
    assert (said.level, said.key) == ("error", "yimp1")
    assert said.message == "x and x2 determine one another: leave one out."


def test_separation_hangs_on_the_predictors_of_its_variable() -> None:
    (said,) = checked("46")
    assert (said.level, said.key, said.column) == ("error", "ximp1_1", "p")
    assert said.message.startswith("The predictors of p (cons, x) determine its value")


def test_rows_without_a_group_are_named() -> None:
    (said,) = checked("42")
    assert (said.level, said.key, said.column) == ("error", "L2ID", "school")
    assert "rows 4, 5, 6" in said.message


def test_nothing_missing_needs_one_imputation(tmp_path: Path) -> None:
    (said,) = checked("40")
    assert (said.level, said.code) == ("notice", "nothing-missing")
    data = readers.read(case("40"))
    answers = ast.literal_eval((case("40").parent / "inputs.txt").read_text(encoding="utf-8").split("\n", 1)[1].strip())
    ran = run("2LevelImpute", data, {**answers, **SHORT}, tmp_path)
    words = ran.table("Verdicts")["word"].tolist()
    assert "Too few imputations" not in words
    assert "Nothing imputed" in words


@pytest.mark.parametrize("names", [["", "", "a"], ["a", "a", ""], ["", "b"]])
def test_a_note_names_what_it_is_about(names: list[str]) -> None:
    from templates_engine.data.names import column_names

    assert not any(": ." in note for note in column_names(names)[1])
