"""Numbers as people write them: what every country's writing says is read back the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.data.readers import numerals
from templates_engine.data.schema import Column

Read = Callable[..., Dataset]

# decimal mark, thousands mark
LOCALES = {
    "en": (".", ","),
    "de": (",", "."),
    "fr": (",", "\u202f"),
    "fr, older": (",", "\u00a0"),
    "ch": (".", "’"),
    "ch, plain": (".", "'"),
    "se": (",", " "),
    "iso": (".", "\u2009"),
    "es, none": (",", ""),
    "none": (".", ""),
}


def write(value: float, decimal: str, thousands: str, places: int, minus: str = "-") -> str:
    whole, _, part = f"{abs(value):,.{places}f}".partition(".")
    text = whole.replace(",", thousands) + (decimal + part if part else "")
    return (minus if value < 0 else "") + text


def column(texts: list[str], separator: str = "\t") -> Dataset:
    quoted = ["k" + separator + "x"] + [f'{i}{separator}"{t}"' for i, t in enumerate(texts)]
    return readers.read_text("\n".join(quoted), "d", "The text", readers.Reading(delimiter=separator, first=1, names=1))


NUMBERS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=12)


@given(numbers=NUMBERS, locale=st.sampled_from(sorted(LOCALES)), places=st.sampled_from([1, 2, 4, 5]),
       minus=st.sampled_from(["-", "\N{MINUS SIGN}", "\N{EN DASH}"]))  # fmt: skip
def test_a_number_written_in_any_locale_is_read_back(numbers: list[int], locale: str, places: int, minus: str) -> None:
    """Other than three digits after the mark, nothing is in doubt."""
    values = [n / 10**places for n in numbers]
    data = column([write(v, *LOCALES[locale], places, minus) for v in values])
    assert not data.is_text("x"), data.notes
    assert data["x"].tolist() == values
    assert data.doubts == {}


@given(numbers=NUMBERS, locale=st.sampled_from(sorted(LOCALES)), lead=st.integers(1, 999))
def test_three_digits_after_the_mark_are_settled_by_a_number_below_one(
    numbers: list[int], locale: str, lead: int
) -> None:
    values = [n / 1000 for n in (lead, *numbers)]
    data = column([write(v, *LOCALES[locale], 3) for v in values])
    assert data["x"].tolist() == values
    assert data.doubts == {}


@given(numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=12), locale=st.sampled_from(sorted(LOCALES)))
def test_whole_numbers_with_two_marks_are_settled(numbers: list[int], locale: str) -> None:
    values = [1_234_567, *numbers]
    data = column([write(v, *LOCALES[locale], 0) for v in values])
    assert data["x"].tolist() == values
    assert data.doubts == {}


@given(st.lists(st.integers(1, 999), min_size=1, max_size=8), st.lists(st.integers(1, 999), min_size=1, max_size=8))
def test_in_doubt_a_point_marks_decimals_and_a_comma_thousands(heads: list[int], tails: list[int]) -> None:
    """With a warning, in whichever direction it is."""
    pairs = list(zip(heads, tails, strict=False))
    points = column([f"{h}.{t:03d}" for h, t in pairs])
    assert points["x"].tolist() == [float(f"{h}.{t:03d}") for h, t in pairs]
    commas = column([f"{h},{t:03d}" for h, t in pairs])
    assert commas["x"].tolist() == [1000 * h + t for h, t in pairs]
    assert "1,000 times as large" in points.doubts["x"]
    assert "a thousandth" in commas.doubts["x"]


@pytest.mark.parametrize(
    ("text", "x", "doubt"),
    [
        ("x;y\n1.234;2,5\n5.678;3,5\n", [1234, 5678], False),  # the other column's decimal mark
        ("x\ty\n1,234\t2.5\n5,678\t3.5\n", [1234, 5678], False),
        ("x\ty\n1.234\t2.5\n5.678\t3.5\n", [1.234, 5.678], False),
        ("x;y\n1,234;a\n5,678;b\n", [1.234, 5.678], False),  # semicolons between the fields
        ("x;y\n1.234;a\n5.678;b\n", [1234, 5678], False),
        ("x\ty\n1,234\ta\n5,678\tb\n", [1234, 5678], True),
        ("x\ty\n1.234\ta\n5.678\tb\n", [1.234, 5.678], True),
        ("x\ty\n1.234\ta\n0.678\tb\n", [1.234, 0.678], False),
        ("x\ty\n1.234\ta\n1234.678\tb\n", [1.234, 1234.678], False),
        ("x\ty\n1.234\ta\n5.67\tb\n", [1.234, 5.67], False),
        ("x\ty\n1.234\ta\n1.234.567\tb\n", [1234, 1234567], False),
        ("x\ty\n1.234\ta\n12345\tb\n", [1.234, 12345], False),  # a large number without a mark
        ("x\ty\n12.345\ta\n1234\tb\n", [12.345, 1234], True),  # in some countries 1234 has none
        ("x\ty\n1,234.5\ta\n5.678\tb\n", [1234.5, 5.678], False),
        ("x\ty\n12,34,567\ta\n1,234\tb\n", [1234567, 1234], False),  # as in India
        ("x;y\n1 234,5;a\n5,678;b\n", [1234.5, 5.678], False),
    ],
)
def test_evidence(read_text: Read, text: str, x: list[float], doubt: bool) -> None:
    data = read_text(text)
    assert data["x"].tolist() == x, data.notes
    assert bool(data.doubts) == doubt


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["30%", "12.5 %", "0%"], [30, 12.5, 0]),
        (["€1.234,50", "€ 5,00"], [1234.5, 5]),
        (["1.234,50 €", "-5,00 €"], [1234.5, -5]),
        (["$1,234.50", "($5.00)", "-$6.10"], [1234.5, -5, -6.1]),
        (["CHF 1'234.50", "CHF 12.05"], [1234.5, 12.05]),
        (["1 234 kr", "12 kr"], [1234, 12]),
        (["£1,000,000", "£5"], [1e6, 5]),
        (["5-", "12.5-", "3"], [-5, -12.5, 3]),
        (["(5)", "(12.5)", "3"], [-5, -12.5, 3]),
        (["−5", "–12.5", "+3"], [-5, -12.5, 3]),
        (["1,5E-3", "2,5E+3"], [0.0015, 2500]),
        ([".5", "-.25", "1."], [0.5, -0.25, 1]),
        (["١٢٣٫٥", "٤٥٫٢٥"], [123.5, 45.25]),
        (["１２３", "４５"], [123, 45]),
        (["\u00a01.5\u00a0", "\u200b2.5"], [1.5, 2.5]),
    ],
)
def test_signs_beside_numbers(cells: list[str], values: list[float]) -> None:
    data = column(cells)
    assert data["x"].tolist() == values, data.notes


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["30%", "0.3", "12%"], "% in some numbers and not in others"),
        (["€5", "$6"], "two units, $ and €"),
        (["(0.12)", "(0.03)"], "brackets around every number"),
    ],
)
def test_what_may_be_two_things_stays_text_and_is_told(cells: list[str], says: str) -> None:
    data = column(cells)
    assert data["x"].tolist() == cells
    assert any(says in note for note in data.notes)


@pytest.mark.parametrize(
    "text", ["", "-", "1 2", "1,2,3", "1.2.3", "2020-01-31", "12:30", "1-2", "--5", "(5", "5)", "a5", "5a", "(-5)", "%"]
)
def test_what_is_no_number(text: str) -> None:
    written = numerals.read([text])
    assert written.wrong == [0]


def test_cells_that_are_no_numbers_are_named(read_text: Read) -> None:
    rows = [f"{i}\t{'unknown' if i in (3, 7) else '-' if i == 9 else i / 2}" for i in range(1, 40)]
    data = read_text("id\tx\n" + "\n".join(rows))
    assert data.notes == ("x: row 3 holds 'unknown', row 7 'unknown', row 9 '-'; the column is kept as text.",)
    many = read_text("id\tx\n" + "\n".join(f"{i}\t{'k.A.' if i % 5 == 0 else i}" for i in range(1, 60)))
    assert many.notes[0].endswith("row 25 'k.A.', and 6 more rows are like these; the column is kept as text.")


def test_a_doubt_goes_along_with_the_column(read_text: Read, tmp_path: object) -> None:
    """Into every question that uses it, and through the store."""
    data = read_text("x\ty\n1,234\ta\n5,678\tb\n")
    data.save(f"{tmp_path}/d.npz")
    again = Dataset.load(f"{tmp_path}/d.npz")
    assert again.doubts == data.doubts
    assert again.rename({"x": "z"}).doubts["z"] == data.doubts["x"]
    assert again.with_columns(x=np.zeros(2)).doubts == {}
    schema = type(data.schema()).from_dict(data.schema().as_dict())
    found = walk(registry.get("SummaryStats"), {"vars": "x", "by": "none"}, schema)
    assert [(p.key, p.column, p.level, p.message) for p in found.said] == [("vars", "x", "notice", data.doubts["x"])]
    assert found.complete
    assert isinstance(schema["x"], Column)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=10))
def test_numbers_as_programs_write_them_are_read_to_the_last_bit(values: list[float]) -> None:
    assume(all(v > -9e29 for v in values))
    told = readers.Reading(first=1, names=1)
    data = readers.read_text("k\tx\n" + "".join(f"a\t{v!r}\n" for v in values), "d", "The text", told)
    if not data.is_text("x"):
        assert np.array_equal(data["x"] + 0.0, np.array(values) + 0.0)
    else:  # whole numbers beyond 2^53 alone are kept as they stand
        assert all(v.is_integer() for v in values)
        assert any(abs(v) > 2**53 for v in values)
