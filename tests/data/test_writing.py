"""Writing and reading again gives the same data, to the last bit, in every format."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st

from templates_engine.data import readers, writers
from templates_engine.data.dataset import Dataset
from templates_engine.data.readers.typed import MISSING_SPELLINGS
from templates_engine.data.writers import stata_names, write
from templates_engine.problems import Refused

NAN = float("nan")
NO_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is an extra")
PARQUET = pytest.param(".parquet", marks=NO_PYARROW)
KINDS = [".dta", ".csv", PARQUET]
# From the legacy missing value code to what Stata can hold; the rest is refused or read as missing, tested elsewhere.
DOUBLES = st.floats(-9.9e29, 8.9e307, allow_nan=False) | st.integers(-(2**53), 2**53).map(float) | st.just(NAN)
WHOLE = st.integers(-130, 130).map(float) | st.just(NAN)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
RISKY = st.sampled_from(["=1+1", "+a", "-x", "@b", "\tq", "'=z", "''-y", '"', "a,b", "\n", "\r\n", " blank ", "'plain"])


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    n = draw(st.integers(1, 6))
    columns: dict[str, object] = {}
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["double", "whole", "text"]))
        cells = {"double": DOUBLES, "whole": WHOLE, "text": TEXTS | RISKY}[kind]
        values = draw(st.lists(cells, min_size=n, max_size=n))
        columns[f"c{i}"] = np.array(values, dtype=str if kind == "text" else float)
    return Dataset("d", columns)  # type: ignore[arg-type]


def reads_as_text(texts: list[str]) -> bool:
    """Whether a file without types shows that these cells are text: none is a number, a truth value or a gap."""
    words = [t.strip() for t in texts]
    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").notna()
    return not numbers.any() and not any(w in MISSING_SPELLINGS or w.lower() in ("true", "false") for w in words)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=datasets())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, kind: str, data: Dataset) -> None:
    """Bit for bit, minus zero too (the hash is of the bits). A text column without any text is read as numbers."""
    for name in data.names:
        texts = [t for t in data[name].tolist() if t] if data.is_text(name) else ["x"]
        assume(texts and (kind != ".csv" or reads_as_text(texts)))
    path = tmp_path_factory.getbasetemp() / f"trip{kind}"
    write(data, path)
    again = readers.read(path)
    for name in data.names:
        assert np.array_equal(again[name], data[name], equal_nan=not data.is_text(name))
    assert again.sha256() == data.sha256()


@pytest.mark.parametrize("kind", [".dta", PARQUET])
def test_labels_and_titles_go_with_the_data(tmp_path: Path, kind: str) -> None:
    columns = {"girl": [0.0, 1.0, NAN], "score": [0.5, 1.5, 2.5]}
    labels, titles = {"girl": {"0": "boy", "1": "girl"}}, {"score": "The score", "girl": "Sex"}
    data = Dataset("d", columns, labels, titles)
    write(data, tmp_path / f"d{kind}")
    again = readers.read(tmp_path / f"d{kind}")
    assert (again.labels, again.titles) == (labels, titles)


def test_stata_keeps_whole_numbers_whole_and_doubles_double(tmp_path: Path) -> None:
    """Read by pandas with the file's own types: byte, int, long where exact, double elsewhere."""
    data = Dataset(
        "d",
        {
            "b": [1.0, -127.0, NAN],
            "i": [1.0, 300.0, NAN],
            "l": [1.0, 70000.0, 2.0],
            "toolong": [1.0, 3e9, 2.0],
            "half": [0.5, 1.0, NAN],
            "minuszero": [-0.0, 1.0, 2.0],
        },
    )
    write(data, tmp_path / "d.dta")
    with pd.read_stata(tmp_path / "d.dta", iterator=True, preserve_dtypes=True) as reader:
        assert reader.read(1).dtypes.astype(str).tolist() == ["int8", "int16", "int32", "float64", "float64", "float64"]
    assert readers.read(tmp_path / "d.dta").sha256() == data.sha256()


def test_stata_names_are_legal_unique_and_the_originals_kept(tmp_path: Path) -> None:
    long = "a_name_of_more_than_thirty_two_characters"
    names = ["in", "str5", "a.b", "a_b", long + "_1", long + "_2", "ok"]
    legal = stata_names(names)
    assert legal == ["in_", "str5_", "a_b", "a_b_2", long[:32], long[:30] + "_2", "ok"]
    write(Dataset("d", {n: [1.0] for n in names}), tmp_path / "d.dta")
    again = readers.read(tmp_path / "d.dta")
    assert list(again.names) == legal
    assert again.titles == {new: old for new, old in zip(legal, names, strict=True) if new != old}


def test_stata_texts_longer_than_its_fixed_ones(tmp_path: Path) -> None:
    data = Dataset("d", {"t": ["ü" * 1500, "short", ""]})
    write(data, tmp_path / "d.dta")
    assert readers.read(tmp_path / "d.dta").sha256() == data.sha256()


def test_what_stata_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    data = Dataset("d", {"x": [1.0, np.inf], "y": [1e308, 0.0], "z": [1.0, 2.0]})
    with pytest.raises(Refused) as caught:
        write(data, tmp_path / "d.dta")
    assert [p.column for p in caught.value.problems] == ["x", "y"]
    with pytest.raises(Refused, match=r"written as \.dta, \.csv, \.parquet"):
        write(data, tmp_path / "d.xls")
    assert list(tmp_path.iterdir()) == []


def test_a_csv_runs_nothing_in_a_spreadsheet(tmp_path: Path) -> None:
    """No text cell begins with = + - @ tab or CR; numbers, also negative ones, stay numbers."""
    risky = ["=cmd", "+1x", "-x", "@x", "\tx", "\rx", "'=x", "x"]
    write(Dataset("d", {"t": risky, "n": -np.arange(8.0)}), tmp_path / "d.csv")
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [r[0] for r in rows[1:]] == ["'=cmd", "'+1x", "'-x", "'@x", "'\tx", "'\rx", "''=x", "x"]
    assert [r[1] for r in rows[1:]] == ["0", "-1", "-2", "-3", "-4", "-5", "-6", "-7"] or rows[1][1] == "-0.0"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    """Artifacts' checksums must not depend on the clock."""
    data = Dataset("d", {"x": [1.0, NAN, 0.1], "t": ["a", "", "b"]})
    for name in "ab":
        write(data, tmp_path / f"{name}{kind}")
    assert (tmp_path / f"a{kind}").read_bytes() == (tmp_path / f"b{kind}").read_bytes()


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Refused, match=r"pip install 'statgrove\[parquet\]'"):
        write(Dataset("d", {"x": [1.0]}), tmp_path / "d.parquet")


def test_a_file_that_was_there_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.csv"
    path.write_text("x\n1\n")
    monkeypatch.setattr(writers, "_cells", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(Dataset("d", {"x": [2.0]}), path)
    assert path.read_text() == "x\n1\n"
    assert len(list(tmp_path.iterdir())) == 1
