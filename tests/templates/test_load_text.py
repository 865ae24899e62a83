"""LoadTextFile: the pasted table is the one that was meant, and what is wrong with it is told where it stands."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from running import Ran, run

from templates_engine import inputs, registry
from templates_engine.asking import walk
from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Problem, Refused

HERE = Dataset("other", {"a": np.array([1.0, 2.0])})  # plays no part
Content = dict[str, list[object]]


def content(data: Dataset) -> Content:
    """Columns as lists, None for missing."""
    return {
        n: [None if gap else v for v, gap in zip(data[n].tolist(), data.missing(n), strict=True)] for n in data.names
    }


def load(folder: Path, text: str, **answers: str) -> tuple[Content, Ran]:
    ran = run("LoadTextFile", HERE, {"text": text, "outdata": "made", **answers}, folder)
    return content(readers.read(ran.folder / "made.dta")), ran


def refused(folder: Path, text: str, **answers: str) -> Problem:
    with pytest.raises(Refused) as caught:
        load(folder, text, **answers)
    (problem,) = caught.value.problems
    return problem


PLAIN = {"a": [1.5, -2.0], "b": ["x", "y z"], "c": [None, 3.0]}
SAME = {  # text, answers
    "commas": ("a,b,c\n1.5,x,\n-2,y z,3\n", {}),
    "lines end as in Windows": ("a,b,c\r\n1.5,x,\r\n-2,y z,3\r\n", {}),
    "no line end at the end": ("a,b,c\n1.5,x,\n-2,y z,3", {}),
    "blank lines around": ("\n\na,b,c\n1.5,x,\n\n-2,y z,3\n\n  \n", {}),
    "commas, told": ("a,b,c\n1.5,x,\n-2,y z,3", {"separator": "Comma", "decimal": "Point", "names": "Yes"}),
    "semicolons": ("a;b;c\n1,5;x;\n-2;y z;3", {}),
    "semicolons, told": ("a;b;c\n1,5;x;\n-2;y z;3", {"separator": "Semicolon", "decimal": "Comma", "names": "Yes"}),
    "tabs": ("a\tb\tc\n1.5\tx\t\n-2\ty z\t3", {}),
    "tabs, told": ("a\tb\tc\n1,5\tx\t\n-2\ty z\t3", {"separator": "Tab", "decimal": "Comma"}),
    "blanks": ('a b   c\n 1.5 x .\n-2 "y z" 3', {}),
    "blanks, told": ('a b   c\n 1,5 x\tNA\n-2 "y z" 3', {"separator": "Blanks", "decimal": "Comma"}),
    "quotes": ('"a","b","c"\n"1.5","x",""\n"-2","y z","3"', {}),
    "decimal commas in quotes": ('a,b,c\n"1,5",x,\n-2,y z,"3,0"', {"decimal": "Comma"}),
    "words for missing": ("a,b,c\n1.5,x,refused\n-2,y z,3", {"missing": " refused ,-99,"}),
    "a number for missing": ("a,b,c\n1.5,x,-99\n-2,y z,3", {"missing": "refused, -99"}),
}


@pytest.mark.parametrize(("text", "answers"), SAME.values(), ids=SAME)
def test_one_table_written_in_many_ways(text: str, answers: dict[str, str], tmp_path: Path) -> None:
    assert load(tmp_path, text, **answers)[0] == PLAIN


OTHER = {  # text, answers, columns
    "names told": ("1,2\n3,4\n5,6", {"names": "Yes"}, {"_1": [3.0, 5.0], "_2": [4.0, 6.0]}),
    "no names": ("a,2\nb,4", {"names": "No"}, {"V1": ["a", "b"], "V2": [2.0, 4.0]}),
    "only numbers": ("1,2\n3,4", {}, {"c1": [1.0, 3.0], "c2": [2.0, 4.0]}),
    "points and commas": ("a;b\n1,5;1.5\n2,5;2.5", {"decimal": "Point"}, {"a": ["1,5", "2,5"], "b": [1.5, 2.5]}),
    "another separator": ("a;b,c\n1;2,3\n4;5,6", {"separator": "Comma"}, {"a_b": ["1;2", "4;5"], "c": [3.0, 6.0]}),
    "decimal commas between blanks": ("a b\n1,5 2,5\n2 3,5", {"decimal": "Comma"}, {"a": [1.5, 2.0], "b": [2.5, 3.5]}),
    "every field with a comma": (
        "1,5 2,5\n2,5 3,5", {"decimal": "Comma", "names": "No"}, {"V1": [1.5, 2.5], "V2": [2.5, 3.5]},
    ),
    "one column of decimal commas": ("a\n1,5\n2,5\n", {"decimal": "Comma"}, {"a": [1.5, 2.5]}),
    "one column, a gap in it": ("a\n1\n\n2\n\n\n", {}, {"a": [1.0, None, 2.0]}),
    "a gap at the end": ("a\tb\n1\t2\n3\t", {}, {"a": [1.0, 3.0], "b": [2.0, None]}),
    "names twice": ("a,a\n1,2", {}, {"a": [1.0], "a_2": [2.0]}),
    "separator and line in quotes": ('a,b\n"x, y",1\n"u\nv",2', {}, {"a": ["x, y", "u\nv"], "b": [1.0, 2.0]}),
    "any script": ("naïve,数\nñ,1", {}, {"naïve": ["ñ"], "数": [1.0]}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "answers", "columns"), OTHER.values(), ids=OTHER)
def test_what_is_told_is_done(text: str, answers: dict[str, str], columns: Content, tmp_path: Path) -> None:
    assert load(tmp_path, text, **answers)[0] == columns


FAULTS = {  # text, answers, key, part of the message
    "a line too short": ("a,b\n1,2\n3\n4,5", {}, "text", "line 3: 1 field, but there are 2 columns"),
    "a short last line": ("a,b\n1,2\n3", {}, "text", "line 3: 1 field"),
    "too short, of blanks": ("a b\n1 2\n3 4\n5", {"separator": "Blanks"}, "text", "line 4: 1 field"),
    "a line too long": ("a,b\n1,2\n3,4,5\n4,5", {}, "text", "line 3: 3 fields, but there are 2 columns"),
    "too long, no names": ("1,2\n3,4,5", {"names": "No"}, "text", "line 2: 3 fields"),
    "no rows": ("a,b", {}, "text", "no rows"),
    "no rows, names told": ("a,b\n", {"names": "Yes"}, "text", "no rows"),
    "no comma": ("a;b\n1,5;2", {"separator": "Comma"}, "separator", "no comma"),
    "no tab": ("a,b\n1,2", {"separator": "Tab"}, "separator", "no tab"),
    "no semicolon": ("a,b\n1,2", {"separator": "Semicolon"}, "separator", "no semicolon"),
    "no blank": ("  a,b  \n1,2", {"separator": "Blanks"}, "separator", "no blank"),
    "an open quote": ('a,b\n1,"x\n2,y', {}, "text", "closing quotation mark"),
    "infinite": ("a,b\n1,inf\n2,3", {}, "text", "infinite"),
    "nothing": ("  \n ", {}, "text", "Write something"),
    "too long a text": ("a\n" + "1\n" * 500_000, {}, "text", "at most 1,000,000 characters"),
}


@pytest.mark.parametrize(("text", "answers", "key", "said"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_told(text: str, answers: dict[str, str], key: str, said: str, tmp_path: Path) -> None:
    problem = refused(tmp_path, text, **answers)
    assert problem.key == key
    assert said in problem.message


def test_the_columns_table_says_how_each_was_read(tmp_path: Path) -> None:
    _, ran = load(tmp_path, "id,x,t\n1,0.5,a\n2,refused,b\n3,-1.5,b\n4,2,c\n", missing="refused")
    table = ran.result.tables["Columns"]
    assert table.columns == ("Column", "Kind", "n", "Missing", "Minimum", "Maximum", "First values")
    assert table.rows == (
        ("id", "whole numbers", 4, 0, 1.0, 4.0, "1, 2, 3"),
        ("x", "numbers", 3, 1, -1.5, 2.0, "0.5, (missing), -1.5"),
        ("t", "text", 4, 0, None, None, "a, b, b"),
    )
    assert [n.message for n in ran.notes] == ["Read as missing values: empty cells and “refused”."]


def test_points_among_decimal_commas_are_told(tmp_path: Path) -> None:
    """1.500 may mean 1500 to the one who wrote it."""
    columns, ran = load(tmp_path, "a;b;c\n1,5;1.5;u.v\n2,5;2.5;1.5", decimal="Comma")
    assert columns == {"a": [1.5, 2.5], "b": [1.5, 2.5], "c": ["u.v", "1.5"]}
    (note,) = ran.notes
    assert note.message.startswith("b: numbers with a point were read as decimals")


@pytest.mark.parametrize("seed", range(12))
def test_an_uploaded_file_of_the_text_gives_the_same(seed: int, tmp_path: Path) -> None:
    """Random tables in random writing: one reader stands behind both."""
    rng = random.Random(seed)
    separator = rng.choice([",", ";", "\t"])
    cells = ["1", "-2.5", "1e3", "", "NA", "x", "y z", '"a, b"', '"say ""so"""', "007", "2020-01-31", "é"]
    width = rng.randint(2, 5)
    rows = [[f"v{i}" for i in range(width)]]
    rows += [[rng.choice(cells) for _ in range(width)] for _ in range(rng.randint(1, 30))]
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    file = tmp_path / "table.csv"
    file.write_bytes(text.encode())
    loaded, ran = load(tmp_path, text)
    uploaded = readers.read(file)
    assert loaded == content(uploaded)
    assert [n.message for n in ran.notes] == list(uploaded.notes)


@settings(max_examples=60, deadline=None)
@given(st.text(st.one_of(st.sampled_from("a1;,\t\n\r\"' .\\-"), st.characters()), max_size=60))
def test_any_text_survives_the_input_string_and_is_read_or_refused(text: str) -> None:
    template = registry.get("LoadTextFile")
    found = walk(template, {"text": text}, HERE.schema(), strict_keys=True)
    if found.spec is None:
        assert found.problems
        return
    answers = inputs.read(inputs.write(found.answers)).answers
    assert walk(template, answers, HERE.schema(), strict_keys=True).spec == found.spec
    assert {p.key for p in template.check(found.spec, HERE)} <= {"text"}


def test_a_long_text_survives_the_input_string(tmp_path: Path) -> None:
    """As long as is accepted, and read as numbers: 1,000,000 characters."""
    text = "a\tb\n" + "1\t2\n" * 249_999
    assert len(text) == 1_000_000
    walked = walk(registry.get("LoadTextFile"), {"text": text}, HERE.schema(), strict_keys=True)
    string = inputs.write(walked.answers)
    assert inputs.read(string).answers == walked.answers
    assert len(load(tmp_path, text)[0]["b"]) == 249_999
