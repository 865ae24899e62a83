"""Reading .csv and .txt: delimiter, header, decimal comma, encoding, missing cells, types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

Read = Callable[..., Dataset]


def content(data: Dataset) -> dict[str, list[object]]:
    """Columns as lists, None for missing."""
    return {
        n: [None if gap else v for v, gap in zip(data[n].tolist(), data.missing(n), strict=True)] for n in data.names
    }


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1.5,x,\n-2,y z,3\n",
        "a, b, c\n1.5, x,\n-2, y z, 3\n",
        "a;b;c\n1,5;x;\n-2;y z;3\n",
        "a\tb\tc\n1.5\tx\t\n-2\ty z\t3\n",
        "a\tb\tc\r\n1,5\tx\tNA\r\n-2\ty z\t3\r\n",
        '"a" "b"   "c"\n  1.5 x .\n-2 "y z" 3\n',
        "\ufeffa,b,c\n1.5,x,NULL\n-2,y z,3",
        "\n\na,b,c\r1.5,x,N/A\r-2,y z,3\r".replace("\n", "\r"),
        "sep=;\na;b;c\n1.5;x;\n-2;y z;3\n",
        "a,b,c,\n1.5,x,NaN,\n-2,y z,3,\n",
        '"","a","b","c"\n"1",1.5,"x",NA\n"2",-2,"y z",3\n',
        "a b c\n1 1.5 x NA\n2 -2 'y_z' 3\n".replace("'y_z'", '"y z"'),
    ],
)
@pytest.mark.parametrize("filename", ["file.csv", "file.TXT"])
def test_the_same_table_written_in_many_ways(read_text: Read, text: str, filename: str) -> None:
    """What people's programs write: Excel in English and German, R, MLwiN, tabs, old Macs, byte order marks."""
    found = content(read_text(text, filename))
    table = {name: found[name] for name in ("a", "b", "c")}
    assert table == {"a": [1.5, -2.0], "b": ["x", "y z"], "c": [None, 3.0]}
    assert len(found) <= 4


def test_utf16_as_excel_writes_it(read_text: Read) -> None:
    assert content(read_text("é\tb\n1\tü\n".encode("utf-16"))) == {"é": [1.0], "b": ["ü"]}


def test_letters_of_an_older_encoding_are_read_with_a_note(read_text: Read) -> None:
    data = read_text("name,x\nJosé,1\n".encode("latin-1"))
    assert data["name"].tolist() == ["José"]
    assert any("Windows-1252" in note for note in data.notes)
    assert read_text("name,x\nJosé,1\n").notes == ()


def test_numbers_are_read_to_the_last_bit(read_text: Read) -> None:
    """A reader that is off by one unit in the last place would make results differ between formats."""
    values = np.random.default_rng(5).exponential(size=2000) * 10.0 ** np.arange(-100, 100).repeat(10)
    assert read_text("x\n" + "\n".join(map(repr, values.tolist())))["x"].tobytes() == values.tobytes()


def test_missing_spellings_are_noted(read_text: Read) -> None:
    data = read_text("x,y,t\n1,.,NA\n,2,NULL\nNaN,3,b\n")
    assert content(data) == {"x": [1.0, None, None], "y": [None, 2.0, 3.0], "t": [None, None, "b"]}
    assert data.notes == ("Read as missing values: empty cells and “NA”, “.”, “NaN”, “NULL”.",)
    assert read_text("x,t\n1.5,NAPLES\n,1.2.3\n").notes == (), "only whole cells count"


def test_the_legacy_missing_code(read_text: Read) -> None:
    """MLwiN's -9.999e29, also after a passage through single precision."""
    data = read_text("x,y\n-9.999e29,1\n-9.998999764e+29,2\n3,-9.9e29\n")
    assert content(data) == {"x": [None, None, 3.0], "y": [1.0, 2.0, -9.9e29]}
    assert data.notes == ("x: the missing value code -9.999e29 was read as missing (2 cells).",)


def test_an_empty_line_of_a_single_column_is_a_missing_value(read_text: Read) -> None:
    assert content(read_text("x\n1\n\n3\n")) == {"x": [1.0, None, 3.0]}


def test_mostly_numbers_with_a_slip_is_named_with_its_row(read_text: Read) -> None:
    rows = "\n".join(f"{i},{'12kg' if i == 17 else i / 2}" for i in range(1, 31))
    data = read_text("id,weight\n" + rows)
    assert data.notes == ("weight: row 17 holds '12kg'; the column is kept as text.",)
    assert data.schema()["weight"].kind == "text"
    assert read_text("t\nred\nblue\n1\n").notes == (), "a column of texts with one number is no slip"


def test_a_slip_among_decimal_commas_is_named_too(read_text: Read) -> None:
    """Else a whole column of marks would turn into categories without a word."""
    rows = "\n".join(f"{i};{'k.A.' if i in (3, 5) else f'{i},5'}" for i in range(1, 31))
    data = read_text("id;note\n" + rows)
    assert data.notes == ("note: row 3 holds 'k.A.', row 5 'k.A.'; the column is kept as text.",)
    assert content(data)["note"][:3] == ["1,5", "2,5", "k.A."]
    spaced = read_text("id;note\n1;2,5\n2; 1.234,5\n3;3,5\n")
    assert content(spaced)["note"] == [2.5, 1234.5, 3.5]
    assert spaced.notes == ("Thousands marks were left out: note (point).",)


def test_commas_in_quoted_numbers(read_text: Read) -> None:
    """Other than three digits after it, a comma marks decimals; before three it is asked about."""
    assert content(read_text('id,x\n1,"2,5"\n2,"3,5"\n'))["x"] == [2.5, 3.5]
    thousands = read_text('id,x\n1,"2,500"\n2,"3,500"\n')
    assert content(thousands)["x"] == [2500, 3500]
    assert thousands.doubts["x"].startswith("x: the comma was read as a thousands mark (2,500 (row 1) is 2500).")
    assert read_text('id,place\n1,"Leeds, York"\n2,"Ely, 3"\n').notes == ()


def test_types(read_text: Read) -> None:
    text = "yes,day,none,id\nTRUE,2020-01-31,,12345678901234567\nfalse,2020-02-01,,12345678901234568\n"
    data = read_text(text)
    assert content(data)["yes"] == [1.0, 0.0]
    assert content(data)["day"] == ["2020-01-31", "2020-02-01"]
    assert data.schema()["none"].kind == "empty"
    assert content(data)["id"] == ["12345678901234567", "12345678901234568"], "as floats they would be one group"
    assert any("more than 15 digits" in note for note in data.notes)
    huge = read_text("id\n123456789012345678901234\n5\n")
    assert content(huge)["id"] == ["123456789012345678901234", "5"]


def test_names_stay_as_people_gave_them(read_text: Read) -> None:
    """Only those that are empty or repeated, or run over lines, change."""
    data = read_text('"a, b",vr:cat,2x,x,x,,"it\'s","Größe (cm)",_u.v,"two\nlines"\n1,2,3,4,5,6,7,8,9,10\n')
    assert data.names == ("a, b", "vr:cat", "2x", "x", "x_2", "column6", "it's", "Größe (cm)", "_u.v", "two lines")
    assert data.titles == {"x_2": "x"}
    assert data.notes == (
        "Column names that occur more than once were numbered: x.",
        "Renamed: x → x_2, (no name) → column6.",
    )
    assert read_text("x_2,x,x\n1,2,3\n").names == ("x_2", "x", "x_3")


def test_a_file_without_names_is_data_from_its_first_line(read_text: Read) -> None:
    data = read_text("1 2.5 NA\n3 4 5\n", "old.txt")
    assert content(data) == {"c1": [1.0, 3.0], "c2": [2.5, 4.0], "c3": [None, 5.0]}
    assert "only numbers" in data.notes[0]


def test_lines_cut_short_are_told(read_text: Read) -> None:
    """The sign of a file that was cut off on its way."""
    told = "file.csv, line 4: 2 fields, but there are 3 columns (read as separated by comma). "
    for text in ("a,b,c\n1,2,3\n4,5,6\n7,8", 'a,b,c\n1,"x",3\n4,"y,",6\n7,"z"', "a,b,c\n1,2,3\n4,5,6\n7,8\n9,9,9\n"):
        assert read_text(text).notes == (told + "What it lacks was taken as missing.",)
    assert read_text('a,b,c\n1,"x\ny",3\n4,"y,",6\n').notes == ()


def test_lines_that_are_too_long_are_refused_with_their_number(read_text: Read) -> None:
    for text, line, fields in (
        ("a,b\n1,2\n1,2,3\n", 3, 3),
        ("a,b\n1,2,3,4\n1,2\n", 2, 4),
        ('a,b\n"x\ny",2\n1,2,3\n', 4, 3),
    ):
        with pytest.raises(Refused, match=rf"file\.csv, line {line}: {fields} fields, but there are 2 columns"):
            read_text(text)


def test_a_very_long_text_is_cut_with_a_note(read_text: Read) -> None:
    """One long comment must not blow the column up to rows x its length."""
    data = read_text("t\n" + "x" * 5000 + "\ny\n")
    assert [len(t) for t in data["t"]] == [2045, 1]
    assert data.notes == ("t: texts longer than 2045 characters were cut (1 cells).",)


def test_the_shared_tutorial_file_is_read_as_published(shared_data: Path) -> None:
    data = readers.read(shared_data / "tutmiss.csv")
    assert (data.name, data.n_rows, data.notes) == ("tutmiss", 4059, ())
    assert {c.name: c.n_missing for c in data.schema().columns if c.n_missing} == {
        "schgendmiss": 439,
        "avslrtmiss": 431,
        "standlrtmiss": 400,
        "girlmiss": 435,
        "nonmixedmiss": 439,
    }
    assert readers.read(shared_data / "tutmiss.dta").sha256() == data.sha256(), "both formats hold the same data"


def test_a_large_file_costs_little_beyond_pandas(tmp_path: Path, cost: Callable[..., float]) -> None:
    """200,000 x 14: four times what pandas takes alone, so nothing loops over rows."""
    path = tmp_path / "big.csv"
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(200_000, 14)).round(4)).add_prefix("x")
    frame.iloc[::7, 3] = np.nan
    frame.to_csv(path, index=False, na_rep="NA")

    readers.read(path)  # imports
    assert cost(lambda: readers.read(path).schema(), beside=lambda: pd.read_csv(path)) < 10
