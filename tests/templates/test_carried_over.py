"""Answers carried over from the imputation templates to 2LevelMissingOnePass: the same meaning, ready to run."""

from __future__ import annotations

import numpy as np
import pytest

from templates_engine import registry
from templates_engine.asking import Walk, walk
from templates_engine.data import Dataset
from templates_engine.problems import Problem, Refused

ONE_PASS = "2LevelMissingOnePass"


def made() -> Dataset:
    """x and k have gaps; xx is x squared, xw is x times w; h is of the groups; single precision as in a Stata file."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20.0), 10)
    x, w, k = rng.standard_normal(200), rng.standard_normal(200), rng.integers(1, 3, 200).astype(float)
    h = rng.standard_normal(20)[g.astype(int)]
    x[rng.random(200) < 0.2] = np.nan
    k[rng.random(200) < 0.2] = np.nan
    h[g == 4] = np.nan
    y = rng.standard_normal(200)
    single = {"xx": np.float32(x) ** 2, "xw": np.float32(x) * np.float32(w)}
    columns = {"y": y, "x": x, "w": w, "k": k, "h": h, "g": g, "one": np.ones(200)}
    return Dataset("made", columns | {n: v.astype(float) for n, v in single.items()})


TWO = {
    "numlevs": "Yes", "L2ID": "g", "MOIlevel": "2 levels", "MOIdist": "Normal", "MOIslope": "Yes", "y": "y",
    "x": "one,x,xx,w,xw,k,h", "x2": "one,x", "yimp1": "y,x,k,xx", "bin1_1": "Normal", "bin1_2": "Normal",
    "bin1_3": "Binary", "bin1_4": "Normal", "ximp1_0": "one,w", "ximp1_1": "one,w", "ximp1_2": "one", "ximp1_3": "one",
    "want2": "Yes", "yimp2": "h", "bin2_1": "Normal", "ximp2_0": "one", "moreimp": "No", "nchains": "2", "seed": "7",
}  # fmt: skip


def walked(name: str, answers: dict[str, str], data: Dataset) -> Walk:
    template = registry.get(name)
    return walk(template, answers, data.schema())


def notices(name: str, answers: dict[str, str], data: Dataset) -> list[Problem]:
    template = registry.get(name)
    return template.check(walked(name, answers, data).require(), template.rows(data))


def carried(name: str, lead: str, answers: dict[str, str], data: Dataset) -> dict[str, str]:
    found = walked(name, answers, data)
    found.require()
    return registry.get(name).carried(lead, found.answers, found.spec, registry.get(name).rows(data))


def test_powers_interactions_and_slopes_are_carried_over() -> None:
    """Columns that are products become terms made of what is drawn; the response and they are no longer imputed."""
    data = made()
    said = [p for p in notices("2LevelImpute", TWO, data) if p.lead]
    assert {(p.code, p.column) for p in said} == {
        ("built-of-incomplete", "xx"), ("built-of-incomplete", "xw"), ("slope-of-incomplete", "x"),
    }  # fmt: skip
    answers = carried("2LevelImpute", "one-pass", TWO, data)
    expected = {
        "y": "y", "D": "Normal", "L2int": "Yes", "L2ID": "g", "numpoly": "1", "xpoly0": "x", "power0": "2",
        "numinter": "1", "xinter0": "x,w", "xvars": "one,x,x^2,w,x*w,k,h", "x2vars": "one,x", "L1resp": "Yes",
        "yimp": "x,k", "L2imp": "Yes", "L2IDimp": "g", "L2resp": "Yes", "L2Data": "rows", "yimp2": "h",
        "bin1": "Normal", "ximp1": "one,w", "bin2": "Binary", "ximp2": "one", "bin2_1": "Normal", "ximp2_1": "one",
        "compare": "No", "nchains": "2", "seed": "7",
    }  # fmt: skip
    assert answers == expected
    found = walked(ONE_PASS, answers, data)
    found.require()
    template = registry.get(ONE_PASS)
    assert not [p for p in template.check(found.spec, template.rows(data)) if p.level == "error"]


def test_three_answers_from_each_template() -> None:
    """`compare` is offered with every model; it changes one answer of 2LevelMissingOnePass."""
    data = made()
    both = carried("2LevelImpute", "compare", TWO, data)
    assert both == {**carried("2LevelImpute", "one-pass", TWO, data), "compare": "Yes"}
    n_level = registry.get("NLevelImpute").published(TWO) | {"x2_1": TWO["x2"]}
    assert carried("NLevelImpute", "compare", n_level, data) == both
    own = walked(ONE_PASS, {**both, "compare": "No"}, data).answers
    assert carried(ONE_PASS, "compare", own, data) == {**own, "compare": "Yes"}
    for name, answers in (("2LevelImpute", TWO), ("NLevelImpute", n_level), (ONE_PASS, own)):
        assert "compare" in {lead.name for lead in registry.get(name).leads(walked(name, answers, data).answers)}


def test_several_classifications_lead_nowhere() -> None:
    data = made().with_columns({"g2": np.tile(np.arange(10.0), 20)})
    answers = {
        "numclass": "2", "C1": "g", "C2": "g2", "MOIclass": "g,g2", "MOIdist": "Normal", "MOIslope": "No", "y": "y",
        "x": "one,x", "yimp1": "y,x", "bin1_1": "Normal", "bin1_2": "Normal", "ximp1_0": "one", "ximp1_1": "one",
        "want2": "No", "want3": "No",
    }  # fmt: skip
    template = registry.get("NLevelImpute")
    assert not template.leads(walked("NLevelImpute", answers, data).answers)
    with pytest.raises(Refused, match="one classification"):
        carried("NLevelImpute", "one-pass", answers, data)
    assert template.leads(walked("NLevelImpute", {**answers, "MOIclass": "g"}, data).answers)
    assert carried("NLevelImpute", "one-pass", {**answers, "MOIclass": "g"}, data)["L2IDimp"] == "g"


def test_a_copy_or_a_chance_likeness_is_no_product() -> None:
    """Indicators that are products by their coding (girl and girl times one) stay what they are."""
    data = made().with_columns({"copy": made()["w"], "near": made()["w"] ** 2 + 1e-3})
    answers = {**TWO, "x": "one,x,w,copy,near,k"}
    assert {p.column for p in notices("2LevelImpute", answers, data) if p.code == "built-of-incomplete"} == set()
