"""What is told of a file's form is obeyed; what is found is kept with the dataset."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset, how
from templates_engine.data.readers import Reading
from templates_engine.problems import Refused


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Dataset]:
    def read(content: str | bytes, name: str = "file.csv", **options: str) -> Dataset:
        path = tmp_path / f"upload{Path(name).suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        told = {k.replace("kind_", "kind:"): v for k, v in options.items()}
        return readers.read(path, name, Reading.of(told))

    return read


Read = Callable[..., Dataset]


def test_what_was_found_goes_with_the_dataset(read: Read, tmp_path: Path) -> None:
    data = read("Study of 2020\n\nschool;x\n007;1,5\n07;2,5\n")
    assert data.how["separator"] == "semicolon"
    assert (data.how["decimal"], data.how["first"], data.how["names"]) == ("comma", 3, 1)
    assert data.how["others"] == {"school": "number"}
    data.save(tmp_path / "kept.npz")
    assert how(tmp_path / "kept.npz") == data.how


def test_an_identifier_becomes_a_number_and_a_number_text(read: Read) -> None:
    data = read("school,x\n007,1.50\n12,2\n", kind_school="number", kind_x="text")
    assert data["school"].tolist() == [7, 12]
    assert data["x"].tolist() == ["1.50", "2"], "as the file has it"
    merged = read("school\n007\n07\n7\n", kind_school="number")
    assert merged["school"].tolist() == [7, 7, 7]
    assert any("became one" in note for note in merged.notes)


@pytest.mark.parametrize(("kind", "values"), [("decimal point", [1.234, 5.678]), ("decimal comma", [1234, 5678])])
def test_a_mark_in_doubt_is_settled_and_the_doubt_goes(read: Read, kind: str, values: list[float]) -> None:
    text = "k\tx\na\t1.234\nb\t5.678\n"
    assert read(text).how["others"] == {"x": "decimal comma"}
    data = read(text, kind_x=kind)
    assert data["x"].tolist() == values
    assert not data.doubts


def test_cells_that_are_no_numbers_are_missing_and_named(read: Read) -> None:
    rows = "".join(f"{i},{i}\n" for i in range(1, 9))
    data = read("id,x\n" + rows + "9,ill\n", kind_x="number")
    assert data["x"][:8].tolist() == list(range(1, 9))
    assert data.missing("x")[8]
    assert any("row 9 ('ill')" in note for note in data.notes)
    with pytest.raises(Refused, match="does not hold numbers"):
        read("x\na\nb\n", kind_x="number")


def test_names_lines_words_and_encodings(read: Read) -> None:
    text = "title,,\na,b,c\nx,y,z\n1,2,-9\n3,4,5\n"
    data = read(text, first="2", names="2", missing="-9")
    assert data.names == ("a", "b", "c")
    assert data.missing("c").tolist() == [True, False]
    assert read("5,6\n1,2\n", names="1").names == ("5", "6")
    assert read("5,6\n1,2\n", names="0").names == ("V1", "V2")
    assert read("5,6\n1,2\n3,4\n", names="0", first="2")["V1"].tolist() == [1, 3]
    greek = read("όνομα,x\nα,1\n".encode("iso-8859-7"), encoding="iso-8859-7")
    assert greek.names == ("όνομα", "x")
    found = read("name,x\nÉcole,1\nÜbung,2\n".encode("cp1252"))
    assert found.how["encodings"][0][0] == "cp1252"
    assert "Übung" in found.how["encodings"][0][1]


def test_sums_at_the_end_are_left_out_only_where_they_fit(read: Read) -> None:
    body = "school,n,mean\n1,10,2.5\n2,20,3.5\n3,5,3\n"
    data = read(body + "Total,35,3.0\n")
    assert data["school"].tolist() == [1, 2, 3]
    assert data.how["totals"] == {"rows": 1, "word": "Total", "sure": True, "out": True}
    assert any("left out" in note for note in data.notes)
    assert read(body + "Total,35,3.0\n", totals="keep").n_rows == 4
    doubtful = read(body + "Total,36,3.1\n")
    assert doubtful.n_rows == 4
    assert any("no sums of the rows above" in note for note in doubtful.notes)
    assert read(body + "Total,36,3.1\n", totals="leave out").n_rows == 3
    assert read(body + "Gesamt;35\n".replace(";", ",") + "").n_rows == 3


def _book() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "About"
    sheet.append(["This is", "no data"])
    sheet.append(["but", "words"])
    more = book.create_sheet("Data")
    for row in (["id", "x"], ["007", 1.5], ["12", -9], ["Summe", -7.5]):
        more.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_sheet_is_chosen(read: Read) -> None:
    data = read(_book(), "b.xlsx", sheet="Data", missing="-9")
    assert data["id"].tolist() == ["007", "12", "Summe"], "with -9 missing the sum does not fit"
    data = read(_book(), "b.xlsx", sheet="Data", kind_id="number")
    assert data["id"].tolist() == [7, 12]
    assert data["x"].tolist() == [1.5, -9]
    assert data.how["sheets"] == ["About", "Data"]
    with pytest.raises(Refused, match="no sheet"):
        read(_book(), "b.xlsx", sheet="Dato")


def test_the_child_process_is_told_too(read: Read, tmp_path: Path) -> None:
    import pandas as pd
    import pyreadstat

    pyreadstat.write_sav(pd.DataFrame({"g": [1.0, 2.0]}), str(tmp_path / "g.sav"))
    assert read((tmp_path / "g.sav").read_bytes(), "g.sav", kind_g="text")["g"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decimal": "dot"}, "accepted are point, comma"),
        ({"first": "0"}, "whole numbers from 1"),
        ({"encoding": "klingon"}, "utf-8"),
        ({"encoding": "hex"}, "utf-8"),
        ({"sheet": "A"}, "without the option sheet"),
        ({"colour": "red"}, "no option"),
        ({"kind_y": "number"}, "no column y"),
        ({"kind_x": "date"}, "accepted are number"),
        ({"first": "99"}, "no line 99"),
        ({"encoding": "utf-16"}, "not written in utf-16"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(read: Read, options: dict[str, str], words: str) -> None:
    with pytest.raises(Refused) as caught:
        read("x\n1\n22\n", **options)
    assert words in caught.value.problems[0].message


def test_options_survive_as_texts() -> None:
    texts = {
        "encoding": "cp1252",
        "separator": "tab",
        "first": "3",
        "names": "2",
        "kind:a b": "text",
        "missing": "-9, x",
    }
    assert Reading.of(texts).texts() == texts
