"""Reading .dta, .sav, .xlsx and .parquet: missing codes, labels, dates, types."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

NAN = float("nan")


def equal(data: Dataset, name: str, expected: list[float]) -> bool:
    return np.array_equal(data[name], np.array(expected), equal_nan=True)


# --- Stata


@pytest.mark.parametrize("version", [114, 117, 118, 119])
def test_stata_labels_titles_and_texts(tmp_path: Path, version: int) -> None:
    frame = pd.DataFrame({"girl": [0.0, 1.0, NAN], "place": ["x", "", "ünder" if version > 117 else "under"]})
    frame.to_stata(
        tmp_path / "d.dta",
        write_index=False,
        version=version,  # type: ignore[arg-type]
        value_labels={"girl": {0: "boy", 1: "girl"}},
        variable_labels={"girl": "Sex of pupil"},
    )
    data = readers.read(tmp_path / "d.dta")
    assert equal(data, "girl", [0, 1, NAN])
    assert data["place"].tolist() == frame["place"].tolist()
    assert data.labels == {"girl": {"0": "boy", "1": "girl"}}
    assert data.titles == {"girl": "Sex of pupil"}


def test_stata_extended_and_legacy_missing_values(tmp_path: Path) -> None:
    """.a to .z, written by hand into the bytes that hold them, and MLwiN's code as double and float."""
    frame = pd.DataFrame(
        {
            "small": np.array([1, 2, 3], np.int8),
            "wide": [1.0, -9.999e29, 2.5],
            "single": np.array([1, -9.999e29, 2.5], np.float32),
        }
    )
    path = tmp_path / "d.dta"
    frame.to_stata(path, write_index=False, version=118)
    data = bytearray(path.read_bytes())
    start = data.index(b"<data>") + len(b"<data>")
    data[start] = 102  # .a of a byte
    data[start + 1 : start + 9] = np.float64(np.uint64(0x7FE0020000000000).view(np.float64)).tobytes()  # .b of a double
    path.write_bytes(data)
    read = readers.read(path)
    assert equal(read, "small", [NAN, 2, 3])
    assert equal(read, "wide", [NAN, NAN, 2.5])
    assert equal(read, "single", [1, NAN, 2.5])
    assert read.notes == (
        "wide: the missing value code -9.999e29 was read as missing (1 cells).",
        "single: the missing value code -9.999e29 was read as missing (1 cells).",
    )


def test_stata_dates(tmp_path: Path) -> None:
    """Days and clock times become text; months stay counts, and say from when."""
    days = pd.to_datetime(["2020-01-31", None, "1959-12-31"])
    frame = pd.DataFrame({"day": days, "time": days + pd.Timedelta("3h"), "month": days})
    path = tmp_path / "d.dta"
    frame.to_stata(path, write_index=False, convert_dates={"day": "td", "time": "tc", "month": "tm"})
    data = readers.read(path)
    assert data["day"].tolist() == ["2020-01-31", "", "1959-12-31"]
    assert data["time"].tolist() == ["2020-01-31T03:00:00", "", "1959-12-31T03:00:00"]
    assert equal(data, "month", [720, NAN, -1])
    assert data.notes == (
        "month: dates counted in months since the beginning of 1960.",
        "Dates and times are kept as text: day, time.",
    )


def test_stata_long_texts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": ["a", "b" * 2000, ""], "x": [1.0, 2.0, 3.0]})
    frame.to_stata(tmp_path / "d.dta", write_index=False, version=118, convert_strl=["t"])
    assert readers.read(tmp_path / "d.dta")["t"].tolist() == frame["t"].tolist()


# --- SPSS


def test_spss_user_missing_codes_labels_and_titles(tmp_path: Path) -> None:
    path = tmp_path / "d.sav"
    frame = pd.DataFrame(
        {
            "income": [10.0, 98.0, 99.0, NAN],
            "answer": [1.0, 2.0, -1.0, 9.0],
            "place": ["a", "b", "", "c"],
            "day": [dt.date(2020, 1, 31), None, dt.date(1999, 1, 1), None],
        }
    )
    pyreadstat.write_sav(
        frame,
        str(path),
        column_labels={"income": "Income in thousands"},
        variable_value_labels={"answer": {1.0: "yes", 2.0: "no", 9.0: "refused"}},
        missing_ranges={"income": [{"lo": 97, "hi": 99}], "answer": [-1, 9]},
    )
    data = readers.read(path)
    assert equal(data, "income", [10, NAN, NAN, NAN])
    assert equal(data, "answer", [1, 2, NAN, NAN])
    assert data["place"].tolist() == ["a", "b", "", "c"]
    assert data["day"].tolist() == ["2020-01-31", "", "1999-01-01", ""]
    assert data.labels["answer"] == {"1": "yes", "2": "no", "9": "refused"}
    assert data.titles == {"income": "Income in thousands"}
    assert "User-missing codes were read as missing: income (97 to 99); answer (-1, 9)." in data.notes


# --- Excel


def workbook(path: Path, rows: list[list[object]], more: int = 0) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for _ in range(more):
        book.create_sheet()
    book.save(path)
    return path


def test_excel_cells_of_all_kinds(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        [],
        ["n", "t", "b", "day", "mixed", 2020, "typed", None],
        [1, "x", True, dt.datetime(2020, 1, 31), 1, 5, "1.5", None],
        [None, "NA", None, None, "two", 6, "NA", None],
        [],
        [2.5, "#DIV/0!", False, dt.datetime(2021, 1, 1), 3, 7, 2, None],
    ]
    data = readers.read(workbook(tmp_path / "d.xlsx", rows, more=1))
    assert data.names == ("n", "t", "b", "day", "mixed", "2020", "typed")
    assert equal(data, "n", [1, NAN, 2.5])
    assert data["t"].tolist() == ["x", "", ""]
    assert equal(data, "b", [1, NAN, 0])
    assert data["day"].tolist() == ["2020-01-31", "", "2021-01-01"]
    assert data["mixed"].tolist() == ["1", "two", "3"]
    assert equal(data, "2020", [5, 6, 7])
    assert equal(data, "typed", [1.5, NAN, 2])
    assert any("first of 2 sheets" in note for note in data.notes)
    assert "mixed: row 2 holds 'two'; the column is kept as text." in data.notes


# --- Parquet


def test_parquet_types(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "d.parquet"
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "f": pa.array([1.5, float("nan"), None]),
            "b": pa.array([True, None, False]),
            "t": pa.array(["x", None, "NA"]),
            "k": pa.array(["u", "v", "u"]).dictionary_encode(),
            "d": pa.array([dt.date(2020, 1, 31), None, dt.date(2020, 2, 1)]),
            "s": pa.array([dt.datetime(2020, 1, 31, 3), None, None]),
            "m": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("2.50")]),
            "id": pa.array([2**60, 2**60 + 1, None]),
            "none": pa.nulls(3),
        }
    )
    pq.write_table(table, path)
    data = readers.read(path)
    assert equal(data, "i", [1, NAN, 3])
    assert equal(data, "f", [1.5, NAN, NAN])
    assert equal(data, "b", [1, NAN, 0])
    assert data["t"].tolist() == ["x", "", "NA"], "a typed format means what it says"
    assert data["k"].tolist() == ["u", "v", "u"]
    assert data["d"].tolist() == ["2020-01-31", "", "2020-02-01"]
    assert data["s"].tolist() == ["2020-01-31T03:00:00", "", ""]
    assert equal(data, "m", [1.25, NAN, 2.5])
    assert data["id"].tolist() == [str(2**60), str(2**60 + 1), ""], "as floats they would be one group"
    assert data.schema()["none"].kind == "empty"


def test_parquet_lists_are_refused_by_name(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"x": [1], "lists": [[1, 2]]}), tmp_path / "d.parquet")
    with pytest.raises(Refused, match="lists or records cannot be read: lists"):
        readers.read(tmp_path / "d.parquet")


def test_without_pyarrow_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.parquet").write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Refused, match=r"pip install 'statgrove\[parquet\]'"):
        readers.read(tmp_path / "d.parquet")
