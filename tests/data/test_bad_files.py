"""Files that cannot be used: each gives one clear sentence that names the file, and never a traceback."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given, settings, strategies as st

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.data.names import column_name, column_names, dataset_name
from templates_engine.data.readers import apart, excel
from templates_engine.problems import Refused

Read = Callable[..., Dataset]
FRAME = pd.DataFrame({"x": np.arange(300) / 7, "t": ["abc"] * 300})


def bytes_of(kind: str, tmp_path: Path) -> bytes:
    path = tmp_path / f"whole{kind}"
    if kind == ".dta":
        FRAME.to_stata(path, write_index=False, version=118)
    elif kind == ".dta114":
        FRAME.to_stata(path, write_index=False, version=114)
    elif kind == ".sav":
        pyreadstat.write_sav(FRAME, str(path))
    elif kind == ".xlsx":
        FRAME.to_excel(path, index=False)
    elif kind == ".parquet":
        pytest.importorskip("pyarrow")
        FRAME.to_parquet(path)
    else:
        FRAME.to_csv(path, index=False)
    return path.read_bytes()


@pytest.mark.parametrize("kind", [".dta", ".dta114", ".sav", ".xlsx", ".parquet"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_wherever_it_was_cut(
    read_text: Read, tmp_path: Path, kind: str, share: float
) -> None:
    whole = bytes_of(kind, tmp_path)
    with pytest.raises(Refused) as caught:
        read_text(whole[: max(1, int(len(whole) * share))], "grades" + kind.rstrip("14"))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].code in ("damaged-file", "wrong-format")
    assert "grades" in caught.value.problems[0].message
    assert "\n" not in caught.value.problems[0].message


@pytest.mark.parametrize("filename", ["a.csv", "a.txt", "a.dta", "a.sav", "a.xlsx", "a.parquet"])
@pytest.mark.parametrize("content", [b"", b"  \n\r\n \n"])
def test_an_empty_file(read_text: Read, filename: str, content: bytes) -> None:
    with pytest.raises(Refused, match=rf"^{filename} is empty\.$"):
        read_text(content, filename)


def test_names_without_rows(read_text: Read, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for text in ("x,y\n", "x,y", "\ufeffx\n"):
        with pytest.raises(Refused, match=r"file\.csv has column names but no rows\."):
            read_text(text)
    for kind, write in ((".dta", "to_stata"), (".parquet", "to_parquet"), (".xlsx", "to_excel")):
        path = tmp_path / f"d{kind}"
        getattr(FRAME.iloc[:0], write)(path, **({"write_index": False} if kind == ".dta" else {"index": False}))
        with pytest.raises(Refused, match="has column names but no rows"):
            readers.read(path)


def test_unknown_extensions_list_the_accepted_ones(read_text: Read) -> None:
    with pytest.raises(Refused, match=r"a\.rds: .* Accepted are \.dta, \.csv, \.txt, \.sav, \.xlsx, \.parquet\."):
        read_text("x\n1\n", "a.rds")
    with pytest.raises(Refused, match="a file without an extension"):
        read_text("x\n1\n", "../../etc/passwd")


@pytest.mark.parametrize(
    ("holds", "called", "says"),
    [
        (".dta", "a.csv", "is not what its name says, a text file; it looks like a Stata file"),
        (".xlsx", "a.csv", "a text file; it looks like an Excel file"),
        (".csv", "a.dta", "a Stata file; it looks like a text file"),
        (".csv", "a.xlsx", "an Excel file; it looks like a text file"),
        (".sav", "a.parquet", "a Parquet file; it looks like an SPSS file"),
        (".dta114", "a.sav", "an SPSS file; it looks like a Stata file"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(
    read_text: Read, tmp_path: Path, holds: str, called: str, says: str
) -> None:
    with pytest.raises(Refused, match=f"{called[0]}{called[1:]} is not what|is not what") as caught:
        read_text(bytes_of(holds, tmp_path), called)
    assert says in str(caught.value)


def test_a_crash_of_the_reading_library_is_the_file_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library for .sav ends its process on some damaged files; the application must live on."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nkill -SEGV $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(apart.sys, "executable", str(script))
    (tmp_path / "up").write_bytes(bytes_of(".sav", tmp_path))
    with pytest.raises(Refused, match=r"^grades\.sav cannot be read: it is damaged or incomplete\.$"):
        readers.read(tmp_path / "up", "../grades.sav")


def test_a_quotation_mark_that_is_never_closed(read_text: Read) -> None:
    with pytest.raises(Refused, match=r"file\.csv: the text that begins in row 2 has no closing quotation mark\."):
        read_text('a,b\n1,x\n2,"y\n3,z\n')


@settings(max_examples=200, deadline=None)
@given(content=st.binary(min_size=1, max_size=60) | st.text(st.sampled_from(list('ab1,;\t\n\r" .-')), max_size=40))
def test_any_text_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    """Whatever is uploaded as .csv: a dataset or a refusal that names no Python exception."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        data = readers.read(path, "any.csv")
    except Refused:
        return
    assert data.n_rows > 0
    assert data.schema().names == data.names


def test_binary_content_called_text(read_text: Read) -> None:
    with pytest.raises(Refused, match="not a text file"):
        read_text(b"x,y\n1,2\n" * 1000 + b"\x00\x01\x02")
    with pytest.raises(Refused, match="looks like a PDF"):
        read_text(b"%PDF-1.7 ....")


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e+999"])
def test_an_infinite_value_is_named_with_column_and_row(read_text: Read, value: str) -> None:
    """All such columns at once."""
    with pytest.raises(Refused) as caught:
        read_text(f"x,y,z\n1,2,3\n2,{value},4\n3,4,{value}\n")
    assert [p.message for p in caught.value.problems] == [
        "y, row 2: infinite value; accepted are finite numbers or empty cells.",
        "z, row 3: infinite value; accepted are finite numbers or empty cells.",
    ]
    assert [p.column for p in caught.value.problems] == ["y", "z"]


def test_an_infinite_value_in_a_binary_format(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"x": [1.0, np.inf]}).to_parquet(tmp_path / "d.parquet")
    with pytest.raises(Refused, match="x, row 2: infinite value"):
        readers.read(tmp_path / "d.parquet")


def test_wholly_missing_and_constant_columns_are_legal(read_text: Read) -> None:
    """Whether they can be used is for the template to say."""
    schema = read_text("x,empty,one\n1,,5\n2,,5\n").schema()
    assert [c.kind for c in schema.columns] == ["binary", "empty", "constant"]


def test_too_many_columns(read_text: Read) -> None:
    names = ",".join(f"x{i}" for i in range(20_001))
    with pytest.raises(Refused, match="20,001 columns; at most 20,000"):
        read_text(names + "\n" + ",".join("1" * 20_001) + "\n")


def test_a_few_bytes_that_claim_many_rows(tmp_path: Path) -> None:
    """A constant column of a Parquet file takes no room there, but all of the memory here."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    block = pa.table({"x": pa.array(np.zeros(20_000_000, np.int8))})
    with pq.ParquetWriter(tmp_path / "d.parquet", block.schema) as writer:
        for _ in range(13):
            writer.write_table(block, row_group_size=20_000_000)
    assert (tmp_path / "d.parquet").stat().st_size < 1_000_000
    with pytest.raises(Refused, match="260,000,000 rows"):
        readers.read(tmp_path / "d.parquet")


# --- Excel archives


def test_a_password_protected_workbook(read_text: Read) -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600
    with pytest.raises(Refused, match="protected by a password"):
        read_text(ole + "EncryptedPackage".encode("utf-16-le"), "a.xlsx")
    with pytest.raises(Refused, match=r"old Excel file \(\.xls\)"):
        read_text(ole, "a.xlsx")


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file.getvalue()


def test_zip_bombs_are_counted_not_believed(read_text: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the archive unpacks to is counted, whatever sizes it states."""
    monkeypatch.setattr(excel, "MAX_UNPACKED", 4 << 20)
    bomb = archive({"xl/workbook.xml": b"", "xl/worksheets/sheet1.xml": b"0" * (8 << 20)})
    assert len(bomb) < 20_000
    with pytest.raises(Refused, match="unpacks to more than 4 MB"):
        read_text(bomb, "a.xlsx")
    monkeypatch.setattr(excel, "MAX_MEMBERS", 10)
    with pytest.raises(Refused, match="12 parts"):
        read_text(archive({"xl/workbook.xml": b"", **{f"m{i}": b"" for i in range(11)}}), "a.xlsx")


def test_archives_that_are_no_workbook(read_text: Read) -> None:
    with pytest.raises(Refused, match="a zip archive, but not an Excel file"):
        read_text(archive({"readme.txt": b"hello"}), "a.xlsx")
    entities = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaa">]><x>&a;</x>'
    with pytest.raises(Refused, match="entities"):
        read_text(archive({"xl/workbook.xml": entities}), "a.xlsx")


def test_an_empty_sheet(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    with pytest.raises(Refused, match="its first sheet is empty"):
        readers.read(tmp_path / "a.xlsx")


# --- names


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/grades.csv", "grades"),
        ("..\\..\\windows\\grades.csv", "grades"),
        ("/etc/cron.d/a b.csv", "a_b"),
        ("C:\\data\\my data.2020.dta", "my_data.2020"),
        ("..csv", "csv"),
        ("../..", "data"),
        (".csv", "csv"),
        ("naïve-1.csv", "naïve-1"),
        ("x" * 300 + ".csv", "x" * 64),
        ("a\x00b\n.csv", "a_b"),
    ],
)
def test_a_dataset_is_named_after_its_file_without_folders(filename: str, name: str) -> None:
    assert dataset_name(filename) == name


def test_a_file_name_with_folders_is_read_like_any_other(read_text: Read) -> None:
    data = read_text("x\n1\n2\n", "../../secret/grades.csv")
    assert data.name == "grades"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=8))
def test_any_names_become_usable_and_different(originals: list[str]) -> None:
    """Names stand in input strings between commas, colons and quotes, and in file names."""
    names, _ = column_names(originals)
    assert len(set(names)) == len(names)
    for name in names:
        assert name
        assert len(name) <= 200
        assert " ".join(name.split()) == name
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name)
        assert column_name(name, 1) == name, "names that are right stay as they are"
    dataset = dataset_name(originals[0])
    assert dataset.strip(".") == dataset != ""
    assert not set(dataset) & set("/\\:'\" ")
