"""Where the names stand: below titles and comments, in two rows, in merged cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset

Read = Callable[..., Dataset]

TABLE = "id{0}score{0}school\n1{0}2.5{0}a\n2{0}3.5{0}b\n3{0}4.5{0}a\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "above",
    [
        "Survey of pupils 2019\n",
        "Survey of pupils 2019\n\n",
        "Survey of pupils{0}{0}\n{0}{0}\n",
        "Survey of pupils\nExported on 2019-03-01\n\n",
        '"Survey of pupils, 2019"\n',
        "# made by a program\n# version 3\n",
        "Table 1: scores of pupils by school and year of entry\n\n\n",
    ],
)
def test_lines_above_the_names(read_text: Read, delimiter: str, above: str) -> None:
    data = read_text((above + TABLE).format(delimiter))
    assert data.names == ("id", "score", "school")
    assert data["score"].tolist() == [2.5, 3.5, 4.5]
    assert data.notes[0].startswith("Lines above the names were left out: “")


@pytest.mark.parametrize(
    "text",
    [
        TABLE.format(","),
        "name,x\nBob,1\nAnn,2\n",
        "x\n1\n2\n",
        "t\nred\nblue\n",
        "id,,x\n1,2,3\n4,5,6\n",
        "only,names\nand,texts\nhere,too\n",
        "#id,x\n1,2\n3,4\n",
        "a b c\n1 2 3\n4 5 6\n",
        "id,note\n1,\n2,\n3,x\n",
        "group,x\nk.A.,k.A.\n1,2\n3,4\n",  # a first row without values is data
    ],
)
def test_nothing_is_taken_away_where_the_names_stand_first(read_text: Read, text: str) -> None:
    data = read_text(text)
    lines = text.strip().split("\n")
    assert data.n_rows == len(lines) - 1
    assert not any("above" in note or "stand in row" in note for note in data.notes)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Pupil,,Test,\nid,sex,maths,reading\n1,0,50,40\n2,1,51,41\n", "Pupil id,Pupil sex,Test maths,Test reading"),
        (",,Test,\nid,sex,maths,reading\n1,0,50,40\n2,1,51,41\n", "id,sex,Test maths,Test reading"),
        ("2019,,2020,\na,b,a,b\n1,0,50,40\n2,1,51,41\n", "2019 a,2019 b,2020 a,2020 b"),
        ("Area;;Score;\ncode;name;t1;t2\n1;York;50,5;40,5\n2;Ely;51,5;41,5\n",
         "Area code,Area name,Score t1,Score t2"),
    ],
)  # fmt: skip
def test_names_in_two_rows_are_joined(read_text: Read, text: str, names: str) -> None:
    data = read_text(text)
    assert [data.titles.get(n, n) for n in data.names] == names.split(",")
    assert data.n_rows == 2


def test_units_and_questions_below_the_names_become_labels(read_text: Read) -> None:
    data = read_text("height,weight,sex\ncm,kg,code\n170.5,60,1\n180,75,2\n")
    assert data.names == ("height", "weight", "sex")
    assert data.titles == {"height": "height (cm)", "weight": "weight (kg)", "sex": "sex (code)"}
    assert data["weight"].tolist() == [60, 75]
    asked = read_text("Q1,Q2\nHow old are you?,How many rooms are there?\n20,3\n30,4\n")
    assert asked.titles["Q2"] == "How many rooms are there?"


def test_row_names(read_text: Read) -> None:
    data = read_text('age,town\n"1",21,Leeds\n"2",22,Ely\n')
    assert data.names == ("row", "age", "town")
    assert data["age"].tolist() == [21, 22]


def workbook(path: Path, rows: list[list[object]], merged: tuple[str, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(path)
    return path


def test_a_title_merged_over_the_sheet(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Survey 2019"], [], ["id", "x", "y"], [1, 2.5, "a"], [2, 3.5, "b"]]
    data = readers.read(workbook(tmp_path / "d.xlsx", rows, ("A1:C1",)))
    assert (data.names, data.n_rows) == (("id", "x", "y"), 2)


def test_merged_names_say_which_columns_they_cover(tmp_path: Path) -> None:
    """In a text file the gap after "id" would be of its group; here the merged cells tell that it is not."""
    rows: list[list[object]] = [
        ["id", None, "Test", None],
        [None, "sex", "t1", "t2"],
        [1, "m", 50, 40],
        [2, "f", 51, 41],
    ]
    data = readers.read(workbook(tmp_path / "d.xlsx", rows, ("A1:A2", "C1:D1")))
    assert [data.titles.get(n, n) for n in data.names] == ["id", "sex", "Test t1", "Test t2"]


def test_cells_merged_down_hold_their_value_in_every_row(tmp_path: Path) -> None:
    rows: list[list[object]] = [["school", "x"], ["A", 1], [None, 2], [None, 3], ["B", 4], [None, 5]]
    data = readers.read(workbook(tmp_path / "d.xlsx", rows, ("A2:A4", "A5:A6")))
    assert data["school"].tolist() == ["A", "A", "A", "B", "B"]
    assert any("Merged cells" in note for note in data.notes)
    alone = readers.read(workbook(tmp_path / "e.xlsx", rows))
    assert alone["school"].tolist() == ["A", "", "", "B", ""], "only where the cells are merged"


def test_the_first_sheet_with_cells_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data")
    sheet.append(["a", "b"])
    sheet.append([1, 2])
    book.save(tmp_path / "d.xlsx")
    data = readers.read(tmp_path / "d.xlsx")
    assert data.names == ("a", "b")
    assert data.notes == ("Only one of 2 sheets, “Data”, was read.",)
