"""Protects: what is uploaded is kept once, under a name of its own; what cannot be used leaves nothing behind."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from run_service import CSV, forget, school

from app import datasets, db
from app.settings import settings
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused


def upload(name: str, content: str | bytes) -> int:
    with db.session() as session:
        raw = content.encode() if isinstance(content, str) else content
        return datasets.upload(session, name, io.BytesIO(raw)).id


def files(home: Path) -> list[str]:
    return sorted(p.name for part in ("datasets", "incoming") for p in (home / part).glob("*"))


def test_kept_and_opened_again(database: str) -> None:
    row = school()
    assert (row.name, row.source, row.n_rows, row.n_columns) == ("school", "upload", 60, 3)
    opened = datasets.open(row)
    assert opened.sha256() == row.sha256
    assert datasets.schema(row)["x"].kind == "binary"
    with db.session() as session:
        assert datasets.get(session, "school").id == datasets.get(session, row.id).id == row.id


def test_same_content_and_name_is_one_dataset(database: str, home: Path) -> None:
    first = upload("a.csv", CSV)
    assert upload("a.csv", CSV) == first
    assert len(files(home)) == 2, "its rows, and the file they were read from"
    second = upload("a.csv", CSV.replace("3.000", "4.000"))
    third = upload("b.csv", CSV)
    with db.session() as session:
        assert [datasets.get(session, i).name for i in (first, second, third)] == ["a", "a_2", "b"]
    assert upload("a.csv", CSV.replace("3.000", "4.000")) == second


def test_unknown_name_suggests_the_nearest(database: str) -> None:
    school()
    with db.session() as session, pytest.raises(Refused) as refused:
        datasets.get(session, "scholl")
    assert refused.value.problems[0].nearest == "school"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("head.csv", b"a,b\n"),
        ("cut.dta", b"<stata_dta><header>"),
        ("x.exe", b"MZ"),
        ("none", b"a\n1\n"),
        ("zip.xlsx", b"PK\x03\x04 not really"),
        ("par.parquet", b"PAR1"),
        ("spss.sav", b"$FL2"),
    ],
)
def test_what_cannot_be_read_leaves_nothing(home: Path, name: str, content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        upload(name, content)
    assert refused.value.problems[0].message
    assert files(home) == []
    with db.session() as session:
        assert datasets.list_all(session) == []


def test_the_limit_is_counted_while_reading(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_MAX_UPLOAD", "300")
    forget()
    with pytest.raises(Refused) as refused:
        upload("a.csv", CSV)
    assert refused.value.problems[0].code == "too-large"
    assert "300 bytes" in str(refused.value)
    assert files(home) == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd.csv", "passwd"),
        ("C:\\data\\My file.csv", "My_file"),
        ("7.csv", "data_7"),
        ("été 1.csv", "été_1"),
        ("a\0b.csv", "a_b"),
        ("'; drop table--.csv", "drop_table"),
    ],
)
def test_names_are_words(home: Path, given: str, name: str) -> None:
    with db.session() as session:
        row = datasets.upload(session, given, io.BytesIO(CSV.encode()))
    assert row.name == name
    assert [p.parent for p in home.rglob("*.npz")] == [home / "datasets"]


def test_supplied_data_are_there_and_said_to_be_simulated(database: str) -> None:
    for _ in range(2):
        with db.session() as session:
            datasets.install_supplied(session)
            rows = datasets.list_all(session)
    assert len({r.name for r in rows}) == len(rows) >= 1
    for row in rows:
        assert row.source == "supplied"
        assert "simulated" in row.note.lower()


def test_two_processes_that_want_one_name(database: str) -> None:
    """The name is taken between looking and writing: the second gets the next."""
    with db.session() as one, db.session() as two:
        data = Dataset("same", {"a": np.arange(3.0)})
        other = Dataset("same", {"a": np.arange(4.0)})
        assert datasets.add(one, data, "run").name == "same"
        assert datasets.add(two, other, "run").name == "same_2"


def test_a_folder_that_is_not_there_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_DATA", str(tmp_path / "a" / "b"))
    forget()
    assert settings().folder("datasets").is_dir()
    forget()
