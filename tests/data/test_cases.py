"""The shared cases, files like those that people report, each with its right value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from templates_engine.data import readers
from templates_engine.problems import Refused

Case = Callable[[str], Path]


def means(path: Path, by: str, of: str) -> dict[str, float]:
    """The mean of a column in each group of another, by the text that the group has."""
    data = readers.read(path)
    assert data.is_text(by)
    return {g: float(data[of][data[by] == g].mean()) for g in sorted(set(data[by].tolist())) if g}


@pytest.mark.parametrize(
    ("number", "by", "right"),
    [
        ("01", "school", {"007": 30, "07": 10, "12": 40, "7": 20}),
        ("02", "school", {"10E1": 20, "1E2": 10, "2E1": 30}),
        ("03", "id", {"9007199254740992": 20, "9007199254740993": 10, "9007199254740995": 30}),
        ("04", "id", {"90071992547409931": 10, "90071992547409932": 20, "90071992547409933": 30}),
    ],
)
def test_identifiers_are_not_merged(case: Case, number: str, by: str, right: dict[str, float]) -> None:
    """The invented scores scatter by less than 2 around these means."""
    found = means(case(number), by, "score")
    assert found.keys() == right.keys()
    assert all(abs(found[group] - right[group]) < 1.5 for group in right), found


def test_keys_of_two_files_meet_by_their_text(case: Case) -> None:
    pupils, schools = readers.read(case("95b")), readers.read(case("95b/schools.csv"))
    size = dict(zip(schools["school"].tolist(), schools["size"].tolist(), strict=True))
    assert [size[s] for s in pupils["school"].tolist()] == [100, 200, 999]


def test_thousands_and_percent(case: Case) -> None:
    data = readers.read(case("05"))
    assert len(data.names) == 6
    assert [float(data[name].mean()) for name in data.names[4:]] == [1141967.5, 2008935.5]
    assert data[data.names[3]][:2].tolist() == [30, 31]


def test_spaces_of_all_kinds_and_true_minus_signs(case: Case) -> None:
    assert float(readers.read(case("09"))["score"].mean()) == 2.375
    assert float(readers.read(case("10"))["score"].mean()) == 6734.5
    data = readers.read(case("21"))
    assert data["x"].tolist() == [0.5 * k * (-1) ** k for k in range(10)]


def test_a_comma_before_three_digits_is_a_thousands_mark_in_doubt(case: Case) -> None:
    data = readers.read(case("14"))
    assert data["pop"].tolist() == [12345 + 1001 * k for k in range(12)]
    assert data.schema()["pop"].doubt.startswith("pop: the comma was read as a thousands mark")
    assert data.schema()["town"].doubt == ""


def test_letters(case: Case) -> None:
    western = readers.read(case("11"))
    assert {"Children’s score", "café €"} <= {western.titles.get(n, n) for n in western.names}
    assert set(western["group"].tolist()) == {"“A”"}
    cyrillic = readers.read(case("12"))
    assert cyrillic.names == ("имя", "школа", "балл")
    assert cyrillic["имя"][0] == "ученик0"
    assert "Cyrillic (Windows-1251)" in cyrillic.notes[0]


def test_a_line_with_too_many_fields_is_named(case: Case) -> None:
    with pytest.raises(Refused, match="line 12: 4 fields, but there are 3 columns"):
        readers.read(case("16"))


def test_a_title_above_the_names(case: Case) -> None:
    data = readers.read(case("17"))
    assert (data.names, data.n_rows) == (("id", "score", "school", "sex"), 10)
    assert not any(data.is_text(name) for name in data.names)
    assert data.notes == ("Lines above the names were left out: “Survey of pupils 2019”.",)


def test_words_of_truth(case: Case) -> None:
    data = readers.read(case("20"))
    assert np.array_equal(data["pass"][:4], [1, 0, np.nan, 1], equal_nan=True)
    assert "True and false became 1 and 0: pass." in data.notes


def test_a_workbook_with_names_in_two_rows(case: Case) -> None:
    data = readers.read(case("23"))
    assert [data.titles.get(n, n) for n in data.names] == ["Pupil id", "Pupil sex", "Test maths", "Test reading"]
    assert data.n_rows == 20
    assert data[data.names[2]][:3].tolist() == [50, 51, 52]


def test_a_workbook_with_dates_of_1904_and_cells_in_error(case: Case) -> None:
    data = readers.read(case("24"))
    assert data.n_rows == 12
    assert data["month"].tolist() == [f"2019-{month:02d}-01" for month in range(1, 13)]
    assert np.flatnonzero(data.missing("ratio")).tolist() == [3, 7]
    assert "Cells in error were read as missing: D5 (#DIV/0!), D9 (#DIV/0!)." in data.notes


def test_a_workbook_whose_formulas_were_never_calculated(case: Case) -> None:
    data = readers.read(case("26"))
    assert any("formulas without stored values" in note and "C2, C3" in note for note in data.notes)
