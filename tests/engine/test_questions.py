"""The kinds of question: a table of accepted and refused texts for each."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from engine.fixtures import schemas, tutmiss
from templates_engine.asking.columns import Columns, Names, OneColumn
from templates_engine.asking.questions import (
    Choice,
    Chosen,
    Dataset,
    Integer,
    Number,
    Option,
    Question,
    TemplateBug,
    Term,
    Text,
    YesNo,
    choice_options,
)
from templates_engine.data.schema import Column, Schema
from templates_engine.problems import Invalid

KEY: dict[str, Any] = {"key": "k", "label": "Label"}
NAMES = Names(tutmiss())
WORDS = Names(schemas()["words"])


def choice(**extra: Any) -> Choice:
    options = choice_options(["1 level", "2 levels", Option("3 levels", "Three", allowed=False, reason="not yet")])
    return Choice(**KEY, choices=options, **extra)


def column(optional: bool = False, **rules: Any) -> OneColumn:
    rules = {"text_ok": False, "where": None, "why": "", "exclude": (), **rules}
    return OneColumn(**KEY, among=NAMES, barred=NAMES.barred(**rules), optional=optional)


def columns(among: Names = NAMES, where: Any = None, **extra: Any) -> Columns:
    categorical = extra.get("categorical", False)
    return Columns(**KEY, among=among, barred=among.barred(categorical, where, "it has missing values", ()), **extra)


ACCEPTED: list[tuple[Question, str, Any, str]] = [  # question, text, value, canonical text
    (choice(), "2 levels", "2 levels", "2 levels"),
    (choice(), "2 LEVELS", "2 levels", "2 levels"),
    (choice(), " 2levels ", "2 levels", "2 levels"),
    (choice(spellings={"two": "2 levels"}), "Two", "2 levels", "2 levels"),
    (YesNo(**KEY), "Yes", True, "Yes"),
    (YesNo(**KEY), "no", False, "No"),
    (YesNo(**KEY), "True", True, "Yes"),
    (YesNo(**KEY), " y ", True, "Yes"),
    (Integer(**KEY), "10", 10, "10"),
    (Integer(**KEY), " 007 ", 7, "7"),
    (Integer(**KEY), "+5", 5, "5"),
    (Integer(**KEY), "−5", -5, "-5"),
    (Integer(**KEY, min=1, max=3), "3", 3, "3"),
    (Number(**KEY), "0.001", 0.001, "0.001"),
    (Number(**KEY), "1e-3", 0.001, "0.001"),
    (Number(**KEY), ".5", 0.5, "0.5"),
    (Number(**KEY), "2.", 2.0, "2"),
    (Number(**KEY, min=0), "0", 0.0, "0"),
    (Text(**KEY), "out", "out", "out"),
    (Text(**KEY, optional=True), "", "", ""),
    (Text(**KEY, pattern="[a-z]+"), "abc", "abc", "abc"),
    (Text(**KEY, lines=True), "a\r\n\tb\rc\n", "a\n\tb\nc\n", "a\n\tb\nc\n"),
    (Text(**KEY, lines=True, longest=3), "a\r\nb", "a\nb", "a\nb"),
    (column(), "normexam", "normexam", "normexam"),
    (column(), " school ", "school", "school"),
    (column(), "norm exam", "normexam", "normexam"),
    (column(optional=True), "girl", "girl", "girl"),
    (column(optional=True), "", "", "none"),
    (column(optional=True), " None ", "", "none"),
    (columns(), "cons,girl", (Term("cons"), Term("girl")), "cons,girl"),
    (columns(), " girl , cons ,", (Term("girl"), Term("cons")), "girl,cons"),
    (columns(), "cons,standlrt\n miss", (Term("cons"), Term("standlrtmiss")), "cons,standlrtmiss"),
    (columns(categorical=True), "cons,vrband:cat", (Term("cons"), Term("vrband", True)), "cons,vrband:cat"),
    (columns(categorical=True), "vrband : CAT", (Term("vrband", True),), "vrband:cat"),
    (columns(WORDS, categorical=True), "region", (Term("region", True),), "region:cat"),
    (columns(minimum=0), "", (), ""),
    (columns(extra=("a*b", "cons*girl")), "girl*cons,cons", (Term("cons*girl"), Term("cons")), "cons*girl,cons"),
    (Dataset(**KEY, among=schemas()), "small", schemas()["small"], "small"),
]


@pytest.mark.parametrize(("question", "text", "value", "canonical"), ACCEPTED)
def test_accepted(question: Question, text: str, value: Any, canonical: str) -> None:
    """The value that is meant, and one canonical text for it, which is read as the same value."""
    assert question.read(text) == value
    assert question.write(question.read(text)) == canonical
    assert question.read(canonical) == value


REFUSED: list[tuple[Question, str, str, str]] = [  # question, text, code, the nearest valid word
    (choice(), "2 level", "not-a-choice", "2 levels"),
    (choice(), "many", "not-a-choice", ""),
    (choice(), "", "empty", ""),
    (choice(), "3 levels", "not-allowed", ""),
    (YesNo(**KEY), "maybe", "not-a-choice", ""),
    (YesNo(**KEY), "Yess", "not-a-choice", "Yes"),
    (YesNo(**KEY), "1", "not-a-choice", ""),
    (YesNo(**KEY), " ", "empty", ""),
    (Integer(**KEY), "１２", "not-a-number", "12"),
    (Integer(**KEY), "1_000", "not-a-number", "1000"),
    (Integer(**KEY), "1,000", "not-a-number", "1000"),
    (Integer(**KEY), "10.0", "not-a-number", "10"),
    (Integer(**KEY), "1e3", "not-a-number", ""),
    (Integer(**KEY), "ten", "not-a-number", ""),
    (Integer(**KEY), "", "empty", ""),
    (Integer(**KEY), "9" * 5000, "not-a-number", ""),
    (Integer(**KEY, min=1), "0", "out-of-range", "1"),
    (Integer(**KEY, max=9), "10", "out-of-range", "9"),
    (Number(**KEY), "0,5", "not-a-number", "0.5"),
    (Number(**KEY), "inf", "not-a-number", ""),
    (Number(**KEY), "nan", "not-a-number", ""),
    (Number(**KEY), "1e999", "not-a-number", ""),
    (Number(**KEY), "0x10", "not-a-number", ""),
    (Number(**KEY, min=0), "-0.5", "out-of-range", "0"),
    (Text(**KEY), "  ", "empty", ""),
    (Text(**KEY, pattern="[a-z]+"), "A1", "wrong-form", ""),
    (Text(**KEY, longest=5), "abcdef", "too-long", ""),
    (column(), "normexm", "not-a-column", "normexam"),
    (column(), "NORMEXAM", "not-a-column", "normexam"),
    (column(), "zzzz", "not-a-column", ""),
    (column(), "", "empty", ""),
    (column(optional=True), "normexm", "not-a-column", "normexam"),
    (column(), "what,girl", "too-many", "girl"),
    (column(where=lambda c: c.complete), "girlmiss", "not-allowed", ""),
    (column(exclude=("girl",)), "girl", "not-allowed", ""),
    (columns(), "cons,avlrltmiss", "not-a-column", "avslrtmiss"),
    (columns(), "cons,cons", "repeated", ""),
    (columns(), "girl:cat", "not-categorical", "girl"),
    (columns(categorical=True), "girl:dog", "not-a-term", "girl:cat"),
    (columns(), " , ", "empty", ""),
    (columns(minimum=2), "cons", "too-few", ""),
    (columns(where=lambda c: c.complete), "cons,girlmiss", "not-allowed", ""),
    (columns(WORDS), "region", "not-allowed", ""),
    (Dataset(**KEY, among=schemas()), "smal", "not-a-dataset", "small"),
    (Dataset(**KEY, among={}), "x", "not-a-dataset", ""),
]


@pytest.mark.parametrize(("question", "text", "code", "nearest"), REFUSED)
def test_refused(question: Question, text: str, code: str, nearest: str) -> None:
    """A refused text has a stable code, the nearest valid word, and a message of readable length."""
    with pytest.raises(Invalid) as caught:
        question.read(text)
    assert (caught.value.code, caught.value.nearest) == (code, nearest)
    assert 5 < len(str(caught.value)) < 400


@pytest.mark.parametrize("question", [q for q, *_ in ACCEPTED] + [q for q, *_ in REFUSED])
@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(question: Question, text: str) -> None:
    """No text raises anything but Invalid; what is read has a canonical text of the same value."""
    try:
        value = question.read(text)
    except Invalid:
        return
    assert question.read(question.write(value)) == value


@pytest.mark.parametrize(
    ("most", "said"),
    [(2**32 - 1, "from 0 to 4,294,967,295"), (10_000_000, "from 0 to 10,000,000"), (1000, "from 0 to 1000")],
)
def test_a_range_is_written_as_people_write_numbers(most: int, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Integer(**KEY, min=0, max=most).read("-1")


def test_every_fault_of_a_list_is_told() -> None:
    """Three wrong names of five: three faults, each with its word, and a stand-in of five columns."""
    reading = columns().judge("cons,standlrtmis,xyzzy,girl,girlmis")
    assert [(f.word, f.nearest) for f in reading.faults] == [
        ("standlrtmis", "standlrtmiss"),
        ("xyzzy", ""),
        ("girlmis", "girlmiss"),
    ]
    assert len({term.name for term in reading.value}) == 5


def test_ten_thousand_wrong_names_cost_little() -> None:
    reading = columns().judge(",".join(f"wrong{k}" for k in range(10_000)))
    assert len(reading.faults) == 21  # twenty told, the rest counted
    assert "9980 more" in str(reading.faults[-1])


def test_a_barred_column_says_why() -> None:
    option = next(o for o in columns(where=lambda c: c.complete).options() if o.value == "girlmiss")
    assert (option.allowed, option.reason) == (False, "it has missing values")


def test_a_column_called_none_is_that_column() -> None:
    """Where a column may be left out, a column of that name can still be chosen, and leaving it out has a text."""
    names = Names(Schema("odd", 2, (Column("none", "number", 2, 0, n_levels=2), Column("y", "number", 2, 0))))
    question = OneColumn(**KEY, among=names, barred={}, optional=True)
    assert question.read("none") == "none"
    assert question.read(question.write("")) == ""
    assert [o.value for o in question.options()] == ["", "none", "y"]
    assert [o.value for o in column(optional=True).options()][:2] == ["none", "school"]


def test_a_choice_refuses_comparison_with_a_non_option() -> None:
    """`== "Binomal"` is never true and nobody would notice."""
    chosen = choice().read("2 levels")
    assert chosen == "2 levels"
    assert chosen != "1 level"
    assert chosen in ("1 level", "2 levels")
    assert {"2 levels": 1}[chosen] == 1
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    with pytest.raises(TemplateBug):
        _ = chosen == "two levels"
    with pytest.raises(TemplateBug):
        _ = chosen in ("1 lvl",)
    assert Chosen("a") == "a"  # without choices it is plain text


def test_two_choices_that_read_the_same_are_a_bug() -> None:
    with pytest.raises(TemplateBug):
        choice_options(["Normal", "normal"])


@pytest.mark.parametrize("kind", [Choice, YesNo, Integer, Number, Text, Dataset, OneColumn, Columns])
def test_each_kind_says_what_it_is(kind: type[Question]) -> None:
    assert kind.kind
    assert kind.description
    assert kind.example
