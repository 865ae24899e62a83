"""WhichTemplate: what it proposes for a model and its gaps, and that the opened template's answers are complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run

from app.leads import offered
from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import Dataset
from templates_engine.problems import Problem

NAME = "WhichTemplate"


def made() -> Dataset:
    """x, k (1 or 2), c (three names) and h (of the groups) have gaps; w and y have none."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20.0), 10)
    x, w, k = rng.standard_normal(200), rng.standard_normal(200), rng.integers(1, 3, 200).astype(float)
    c = np.array(["a", "b", "c"])[rng.integers(0, 3, 200)]
    h = rng.standard_normal(20)[g.astype(int)]
    for column in (x, k):
        column[rng.random(200) < 0.2] = np.nan
    h[g == 4] = np.nan
    columns = {"y": rng.standard_normal(200), "x": x, "w": w, "k": k, "h": h, "g": g}
    columns |= {"g2": np.tile(np.arange(10.0), 20), "c": np.where(rng.random(200) < 0.1, "", c)}
    columns |= {name: rng.integers(0, top, 200).astype(float) for name, top in (("yes", 2), ("count", 5))}
    return Dataset("made", columns)


BASE = {"y": "y", "D": "Normal", "x": "x,w", "curved": "No", "groups": "g", "slopes": "", "mnar": "No"}
CURVED = {"curved": "Yes", "squares": "", "numinter": "0"}


@pytest.mark.parametrize(
    ("changes", "template", "words"),
    [
        ({"x": "w", "mnar": ""}, "2LevelMod", "no explanatory variable"),
        ({"x": "w", "mnar": "", "groups": ""}, "1LevelMod", "no explanatory variable"),
        ({"x": "w", "mnar": "", "slopes": "w"}, "2LevelRS", "no explanatory variable"),
        ({"x": "w", "mnar": "", "groups": "g,g2"}, "NLevelMod", "no explanatory variable"),
        ({}, "2LevelImpute", "linear in the incomplete"),
        ({"x": "x,w,k,h,c"}, "2LevelImpute", "lacks"),
        ({"slopes": "w"}, "2LevelImpute", "linear in the incomplete"),
        ({"groups": ""}, "2LevelImpute", "linear in the incomplete"),
        ({"y": "yes", "D": "Binomial", "n": "cons"}, "2LevelImpute", "linear in the incomplete"),
        ({"groups": "g,g2"}, "NLevelImpute", "2 classifications"),
        ({"groups": "g,g2", "slopes": "x"}, "NLevelImpute", "too small"),
        ({"slopes": "x"}, "2LevelMissingOnePass", "effect of x differs"),
        ({**CURVED, "squares": "x"}, "2LevelMissingOnePass", "square of x"),
        ({**CURVED, "squares": "w"}, "2LevelMissingOnePass", "squares and interactions itself"),
        ({**CURVED, "x": "x,w,k,h,c", "numinter": "1", "xinter0": "x,w"}, "2LevelMissingOnePass", "interaction of"),
        ({"y": "count", "D": "Negative binomial"}, "2LevelMissingOnePass", "negative binomial"),
        ({"mnar": "Yes"}, "2LevelMissingOnePass", "because of what they are"),
    ],
)  # fmt: skip
def test_what_is_proposed_and_why(changes: dict[str, str], template: str, words: str) -> None:
    """The rules of docs and manual; the opened template's answers end in a model that its rows allow."""
    data = made()
    answers = {key: text for key, text in {**BASE, **changes}.items() if text or key in ("groups", "slopes", "squares")}
    if not answers["groups"]:
        del answers["slopes"]
    form = registry.get(NAME)
    walked = walk(form, answers, data.schema(), strict_keys=True)
    spec = walked.require()
    (said,) = form.check(spec, form.rows(data))
    assert said.lead == template, said
    assert words in said.message
    assert template in {lead.name for lead in offered(form, walked.answers)}
    other = registry.get(template)
    opened = walk(other, form.carried(template, answers, spec, form.rows(data)), data.schema(), strict_keys=True)
    assert not [p for p in opened.problems if p.level == "error"]
    found: list[Problem] = other.check(opened.require(), other.rows(data))
    assert not [p for p in found if p.level == "error"], found


def test_squares_of_complete_variables_are_no_columns_yet() -> None:
    """Regression templates take them as columns: the reason says so, and nothing is opened without the square."""
    form, data = registry.get(NAME), made()
    answers = {**BASE, **CURVED, "x": "w", "squares": "w"}
    del answers["mnar"]
    (said,) = form.check(walk(form, answers, data.schema()).require(), form.rows(data))
    assert said.lead == ""
    assert "Make w^2 with Generate first" in said.message


def test_the_proposal_is_kept(tmp_path: Path) -> None:
    ran = run(NAME, made(), {**BASE, "slopes": "x"}, tmp_path)
    table = ran.table("Proposal")
    assert list(table["template"]) == ["2LevelMissingOnePass", "2LevelImpute", "2LevelRS"]
    assert list(table["fits"]) == ["yes", "no", "no"]
