"""Names as people give them: chosen, written into an input string, read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from templates_engine import inputs, registry
from templates_engine.asking import Term, items, quote, walk
from templates_engine.data import Column, Schema
from templates_engine.data.names import column_names

NAMES = st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=30), min_size=1, max_size=6).map(
    lambda given: column_names(given)[0]
)
HARD = ["Größe (cm)", "a, b", "vr:cat", 'say "so"', "it's", "2x", "a\\b", "*", "none", "x:y:cat", "=1+1"]
HARD += ["{}", "é,", '"']


def schema(names: list[str]) -> Schema:
    columns = tuple(
        Column(name, "whole", 40, 0, 1.0, 4.0, 2.0, 1.0, 4, (1.0, 2.0, 3.0, 4.0)) for name in [*names, "answer to all"]
    )
    return Schema("d", 40, columns)


@given(NAMES, st.data())
def test_any_names_go_into_a_list_and_come_back(names: list[str], data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    terms = [Term(name, mark) for name, mark in zip(names, marks, strict=True)]
    text = ",".join(map(str, terms))
    assert [(name, suffix) for name, suffix, _ in items(text)] == [
        (t.name, "cat" if t.categorical else None) for t in terms
    ]


@given(NAMES)
def test_any_names_make_the_round_through_every_writing(names: list[str]) -> None:
    """Canonical string, command, JSON: read again they give the same answers and the same terms."""
    columns = schema(names)
    template = registry.get("1LevelMod")
    x = ",".join([*(str(Term(name, True)) for name in names[1:]), quote("answer to all")])
    found = walk(template, {"y": names[0], "x": x}, columns)
    assert not found.asked["x"].problems, found.asked["x"].problems
    assert found.asked["y"].value == names[0]
    assert [t.name for t in found.asked["x"].value] == [*names[1:], "answer to all"]
    written = inputs.read(inputs.write(found.answers))
    assert not written.problems
    assert written.answers == found.answers
    again = walk(template, written.answers, columns)
    assert again.answers == found.answers
    whole = inputs.read(inputs.command(template.name, "d", found))
    assert {k: v for k, v in whole.answers.items() if k in ("x", "y")} == {k: found.answers[k] for k in ("x", "y")}
    assert inputs.plain(json.loads(json.dumps(found.answers))).answers == found.answers


@pytest.mark.parametrize("name", HARD)
def test_hard_names(name: str) -> None:
    columns = schema([name])
    template = registry.get("1LevelMod")
    for y in (name, quote(name)):
        assert walk(template, {"y": y}, columns).asked["y"].value == name
    found = walk(template, {"y": "answer to all", "x": f"{quote(name)}:cat"}, columns)
    assert found.asked["x"].value == (Term(name, True),)
    listed = inputs.plain({"x": [name]}).answers["x"]
    if ":" not in name and '"' not in name:
        assert walk(template, {"y": "answer to all", "x": listed}, columns).asked["x"].value == (Term(name),)


def test_names_that_need_no_quotes_have_none() -> None:
    assert [quote(name) for name in HARD[:6]] == ["Größe (cm)", '"a, b"', '"vr:cat"', '"say ""so"""', "it's", "2x"]
    assert items("cons, standlrt ,vrband:cat,") == [
        ("cons", None, "cons"),
        ("standlrt", None, "standlrt"),
        ("vrband", "cat", "vrband:cat"),
    ]


def test_a_colon_that_nobody_quoted() -> None:
    """vr:cat is the categories of vr where there is a column vr, else the column of this name."""
    template = registry.get("1LevelMod")
    both = walk(template, {"y": "answer to all", "x": "vr:cat"}, schema(["vr", "vr:cat"]))
    assert both.asked["x"].value == (Term("vr", True),)
    alone = walk(template, {"y": "answer to all", "x": "vr:cat"}, schema(["vr:cat"]))
    assert alone.asked["x"].value == (Term("vr:cat"),)


def test_keys_made_of_names_have_no_blanks() -> None:
    columns = schema(["Größe (cm)", "a b", "ab"])
    given = {"numlevs": "No", "MOIdist": "Normal", "y": "answer to all", "x": "cons", "yimp1": "Größe (cm),a b,ab"}
    given |= {f"bin1_{k}": "Ordered" for k in (1, 2, 3)}
    found = walk(registry.get("2LevelImpute"), given, columns)
    assert {"ncatsGröße(cm)", "ncatsab", "ncatsab_"} <= set(found.asked)
