"""Protects: what a template declares of its outputs decides how pages show them, and pages know no template by name.

Noticed when tried: a name of a template or of one of its tables written into a page; an output that a template makes
and does not declare; a child's output that is taken for the parent's.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from app.declared import Declared
from app.models import Artifact, Run
from app.pages.listing import first_of, first_picture, groups
from templates_engine import registry
from templates_engine.outputs import HEADS, Output, declared, in_words

APP = Path(__file__).parents[2] / "app"
PLAIN = {"Columns", "Summary", "Fit", "Verdicts"}  # words that a page has uses for beside a table's name


def _texts(file: Path) -> list[tuple[int, str]]:
    """(line, text) of what a file says: strings of Python that are no docstrings, whole lines of HTML."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        return list(enumerate(source.splitlines(), start=1))
    tree = ast.parse(source)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]


def test_no_page_knows_a_question_of_one_template() -> None:
    """Which column groups the rows is said by the question (groups=True); a key such as L2ID stands in no page."""
    keys = {"L2ID", "MOIlevel", "numlevs", "MOIdist", "yimp1", "xvars", "clones", "period", "networks", "epochsall"}
    found = [f"{f.name}:{line} {text}" for f in sorted([*APP.rglob("*.py"), *APP.rglob("*.html")])
             for line, text in _texts(f) if any(re.search(rf"(?<!\w){key}(?!\w)", text) for key in keys)]  # fmt: skip
    assert found == []


def test_no_file_of_the_application_names_a_template_or_one_of_its_outputs() -> None:
    """Templates nowhere, not inside a sentence either; outputs not as a name, where a word of a page may be alike."""
    every = registry.all()
    outputs = {o.name for t in every.values() for o in t.outputs if not re.search(r"[<{]", o.name)} - PLAIN
    assert {"ResultsTable:Imputation", "ModelResults"} <= outputs
    names = "|".join(map(re.escape, sorted({*every, *(t.slug for t in every.values() if "_" in t.slug)}, key=len)))
    template = re.compile(rf"(?<![\w/])({names})(?![\w])")
    quoted = re.compile("[\"'](" + "|".join(map(re.escape, sorted(outputs))) + ")[\"']")
    common = {name for name in every if name.isalpha() and name[1:].islower()}  # Histogram, Merge, Take, …
    found = []
    for file in sorted([*APP.rglob("*.py"), *APP.rglob("*.html")]):
        for line, text in _texts(file):
            named = {m for m in template.findall(text) if m not in common or m == text}
            if file.suffix == ".html":
                named |= set(quoted.findall(text))
            elif text in outputs or text.startswith(tuple(o for o in outputs if ":" in o)):
                named.add(text)
            found += [f"{file.relative_to(APP)}:{line}: {name}" for name in sorted(named)]
    assert not found


def test_the_first_declaration_that_fits_holds_and_its_fields_are_filled_in() -> None:
    said = (
        Output("Model<k>_<output>", part="Single fits", shown="{k}: {output}"),
        Output("<picture>.svg", part="Pictures"),
    )
    assert declared(said, "Model12_MLE")[1:] == ("Single fits", "12: MLE")  # type: ignore[index]
    assert declared(said, "Model_beta.svg")[1:] == ("Pictures", "Model_beta.svg")  # type: ignore[index]
    assert declared(said, "ModelFit") is None
    assert Output("{outdata}").answered({"outdata": "mine"}).fits("mine") == {}
    assert Output("a.b").fits("axb") is None


def test_words_hold_where_their_variable_is() -> None:
    words = {"sigma<k>": "Spread of {variable}", "sigma": "Spread"}
    found = in_words(words, [("sigma", ""), ("sigma", "x"), ("sigma2", "x"), ("sigma2", ""), ("tau", "")])
    assert found == {("sigma", ""): "Spread", ("sigma2", "x"): "Spread of x"}


def _run(number: int, template: str, prefix: str = "", **answers: str) -> Run:
    return Run(id=number, template=template, prefix=prefix, answers=answers, parent_id=1 if prefix else None)


def _made(*names: str) -> list[Artifact]:
    kinds = {".svg": "figure", ".tex": "equation"}
    return [Artifact(name=n, file=n, kind=kinds.get(n[-4:], "table"), title="", state="ready") for n in names]


def test_outputs_of_a_child_are_folded_and_described_by_its_own_template() -> None:
    parent = _run(1, "2LevelImpute", L2ID="school")
    children = [_run(2, "2LevelMod", "CompleteCasesModel_"), _run(3, "2LevelMod", "Model1_"), _run(4, "Gone", "Odd_")]
    known = Declared(parent, children)
    made = _made("CompleteCasesModel_ModelResults", "Model1_beta_1.svg", "Odd_thing", "CombinedResults", "new")
    said = [known.of(one) for one in made]
    assert [(s.part, s.shown) for s in said] == [
        ("Complete cases", "ModelResults"),
        ("Single fits", "1: beta_1.svg"),
        ("Odd", "thing"),
        ("", "CombinedResults"),
        ("", "new"),
    ]
    assert [s.output.order for s in said] == [1, 0, 0, 3, 0]
    assert [s.by.id for s in said] == [2, 3, 4, 1, 1]
    # A child by itself is described by its own template alone.
    alone = Declared(children[0]).of(made[0])
    assert (alone.part, alone.shown, alone.own) == ("", "ModelResults", "ModelResults")
    # The parent's own results come before a child's, whatever the child thinks of its own.
    listed = groups(_made("CompleteCasesModel_ModelResults", "CombinedResults"), known)
    assert first_of(listed).name == "CombinedResults"  # type: ignore[union-attr]


@pytest.mark.parametrize(("series", "first"), [("none", "Coefficients"), ("shop", "Fit")])
def test_of_many_series_the_ranking_is_shown_first(series: str, first: str) -> None:
    known = Declared(_run(1, "HoltWinters", series=series))
    listed = groups(_made("Fit", "Coefficients", "Forecast"), known)
    assert [e.name for e in listed[0].entries] == ["Coefficients", "Fit", "Forecast"]
    assert first_of(listed).name == first  # type: ignore[union-attr]


def test_the_picture_under_the_first_table_is_that_of_a_slope() -> None:
    known = Declared(_run(1, "2LevelMod"))
    listed = groups(_made("beta_0.svg", "beta_1.svg", "sigma2.svg"), known)
    assert [e.shown for e in listed[0].entries] == ["beta_0", "beta_1", "sigma2"]
    assert first_picture(listed).name == "beta_1.svg"  # type: ignore[union-attr]
    assert first_picture(groups(_made("beta_0.svg", "sigma2.svg"), known)).name == "beta_0.svg"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", sorted(registry.all()))
def test_declarations_are_sound(name: str) -> None:
    """Every name can be met, fields that are used exist, and what stands beside is declared."""
    template = registry.all()[name]
    assert template.outputs, "what the template gives is not said"
    names = [output.name for output in template.outputs]
    assert len(names) == len(set(names))
    for output in template.outputs:
        fields = dict.fromkeys(re.findall(r"<(\w+)>", output.name), "1")
        output.part.format(**fields), output.shown.format(**fields)
        assert not set(output.heads) & set(HEADS)  # what means the same everywhere is said once
        if output.beside:
            assert output.beside.table in names
    assert all(template.lengths.values())
