"""Codes that look like numbers: two different texts never become one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, strategies as st

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset

Read = Callable[..., Dataset]

DIGITS = st.text("0123456789", min_size=1, max_size=20)
CODES = st.one_of(DIGITS, st.builds("{}E{}".format, st.integers(0, 99), st.integers(0, 99)))


def distinct(data: Dataset, name: str) -> int:
    return len(set(data[name][~data.missing(name)].tolist()))


@given(st.lists(CODES, min_size=2, max_size=15, unique=True), st.booleans(), st.booleans())
def test_an_identifier_never_merges_two_different_texts(codes: list[str], gap: bool, quoted: bool) -> None:
    cells = [f'"{c}"' if quoted else c for c in codes] + ([""] if gap else [])
    text = "id,x\n" + "".join(f"{cell},1.5\n" for cell in cells)
    data = readers.read_text(text, "d", "The text", readers.Reading(first=1, names=1))
    assert distinct(data, "id") == len(codes), data.notes
    if data.is_text("id"):
        assert set(codes) <= set(data["id"].tolist()), "as they were written"


@given(st.lists(st.integers(10**15, 10**19), min_size=2, max_size=10, unique=True), st.booleans())
def test_long_identifiers_written_as_decimals(ids: list[int], gap: bool) -> None:
    cells = [f"{i}.0" for i in ids] + ([""] if gap else [])
    data = readers.read_text("id,x\n" + "".join(f"{c},1\n" for c in cells), "d", "The text", readers.Reading())
    assert distinct(data, "id") == len(ids)


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["007", "07", "7"], True),
        (["01", "02", "12"], True),  # a code of two digits
        (["00", "1"], True),
        (["1E2", "10E1", "100"], True),
        (["12e3", "12000"], True),
        (["9007199254740993", "9007199254740992"], True),
        (["9007199254740993.0", "", "9007199254740992.0"], True),
        (["1", "2", "3"], False),
        (["1.5", "1.50"], False),
        (["1.5E-3", "2.5E3"], False),
        (["1E+05", "2E-05", "3"], False),
        (["1e5", "2.5"], False),
        (["0", "1", "10"], False),
        (["0.5", "00.75"], False),
        (["-5", "007"], False),
        (["9007199254740992", "1"], False),  # 2^53 itself is exact
    ],
)
def test_codes_and_measurements(read_text: Read, cells: list[str], kept: bool) -> None:
    data = read_text("x,y\n" + "".join(f"{cell},a\n" for cell in cells))
    assert data.is_text("x") == kept, data.notes
    assert any("kept as text" in note for note in data.notes) == kept


def test_the_same_in_a_workbook(tmp_path: Path) -> None:
    """Texts in cells; numbers in cells are what they are."""
    book = openpyxl.Workbook()
    for row in [["id", "code", "n"], ["007", "1E2", 7], ["07", "10E1", 8], ["7", "2E1", 9]]:
        book.active.append(row)
    book.save(tmp_path / "d.xlsx")
    data = readers.read(tmp_path / "d.xlsx")
    assert data["id"].tolist() == ["007", "07", "7"]
    assert data["code"].tolist() == ["1E2", "10E1", "2E1"]
    assert data["n"].tolist() == [7, 8, 9]


def test_a_large_file_with_codes_costs_one_more_reading(tmp_path: Path, cost: Callable[..., float]) -> None:
    import pandas as pd

    path = tmp_path / "big.csv"
    lines = (f"{i % 1000:04d},{i},{i / 7:.4f},{i / 3:.3f}" for i in range(100_000))
    path.write_text("id,n,x,y\n" + "\n".join(lines))
    assert readers.read(path).is_text("id")
    assert cost(lambda: readers.read(path), beside=lambda: pd.read_csv(path)) < 20
