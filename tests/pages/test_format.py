"""Protects: numbers, times and axes are written as journals and the voice of the pages ask."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pages import format as fmt
from app.pages.intervals import PAD, WIDTH, axis
from app.pages.tables import as_latex, as_markdown, journal, plain_name
from templates_engine.data.schema import Column, Schema

SCHOOL = Schema(
    "d",
    3,
    (
        Column("cons", "constant", 3, 0, n_levels=1, levels=(1.0,)),
        Column("x", "number", 3, 0, n_levels=3, title="Reading test"),
        Column("sex", "whole", 3, 0, n_levels=3, levels=(0.0, 1.0, 2.0), labels={"0": "mixed"}, title="Kind of school"),
    ),
)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (-0.4129, 2, "−0.41"),
        (-0.001, 2, "0.00"),
        (4059, 0, "4,059"),
        (None, 2, ""),
        (float("nan"), 2, ""),
        (-1234.5, 1, "−1,234.5"),
    ],
)
def test_numbers(value: float | None, places: int, text: str) -> None:
    assert fmt.fixed(value, places) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0.2 s"), (43.2, "43 s"), (80, "1 min 20 s"), (7500, "2 h 5 min"), (3600, "1 h"), (None, "")],
)
def test_lengths_of_time(seconds: float | None, text: str) -> None:
    assert fmt.duration(seconds) == text


def test_moments() -> None:
    now = datetime(2026, 3, 5, 12, 0).astimezone()
    assert fmt.when(now.replace(hour=9, minute=5), now) == "today 9:05"
    assert fmt.when(now - timedelta(days=1), now) == "yesterday 12:00"
    assert fmt.when(now.replace(month=1, day=2), now) == "2 January 12:00"
    assert fmt.when(now.replace(year=2024), now) == "5 March 2024"


def test_names_are_escaped() -> None:
    assert fmt.names("Type of <b>", ("b",)) == "Type of &lt;<code>b</code>&gt;"
    assert fmt.quoted_names("“a<” is not “x”", {"x"}) == "“a&lt;” is not <code>x</code>"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_axes_hold_their_values(values: list[float]) -> None:
    found = axis(values)
    if found is None:
        assert max(map(abs, values)) < 1e-290
        return
    assert all(PAD <= found.x(v) <= WIDTH - PAD for v in [*values, 0.0])
    assert 1 <= len(found.ticks) <= 9
    assert found.zero == found.x(0.0)


def test_tables_have_equal_decimals_intervals_and_plain_names() -> None:
    table = {
        "title": "Fit",
        "columns": ["parameter", "variable", "estimate", "se", "lower", "upper", "fmi"],
        "rows": [
            ["beta_0", "cons", -0.167, 0.09, -0.37, 0.03, None],
            ["beta_1", "x", 12.5, 1.25, 10.0, 15.0, None],
            ["beta_2", "sex_0", 0.2, 0.1, 0.0, 0.4, None],
            ["sigma2_u", "", 0.08, 0.01, 0.06, 0.1, None],
        ],
        "notes": ["N = 3."],
    }
    shown = journal(table, SCHOOL)
    assert [h.text for h in shown.heads] == ["Estimate", "SE", "95% interval"]  # an empty column is not drawn
    assert [line.name for line in shown.lines] == ["Intercept", "Reading test", "Mixed", "Between groups, variance"]
    assert [line.under for line in shown.lines] == ["cons", "x", "sex_0", "sigma2_u"]
    assert shown.lines[0].cells[0].text == "−0.167"
    assert len({len(line.cells[0].text.partition(".")[2]) for line in shown.lines}) == 1
    assert shown.lines[0].cells[2].text == "−0.37 to 0.03"
    assert [line.block for line in shown.lines] == [False, False, False, True]
    assert as_markdown(shown).splitlines()[2].startswith("| Parameter | Estimate |")
    assert r"sex\_0" in as_latex(shown)
    assert "$-$0.167" in as_latex(shown)


def test_a_parameter_without_a_known_column_keeps_its_name() -> None:
    assert plain_name("beta_7", "gone", SCHOOL) == ("gone", "beta_7")
    assert plain_name("omega_u_3", "", None) == ("omega_u_3", "omega_u_3")
    assert plain_name("sigma2_u2", "second", SCHOOL) == ("Between units of second, variance", "sigma2_u2")
    assert plain_name("omega_u1_2", "school", SCHOOL) == ("Between units of school, (co)variance", "omega_u1_2")
    assert plain_name("vpc_1", "school", None) == ("Share of school in the variance", "vpc_1")


def test_equations_of_several_parts_are_set_apart() -> None:
    part = r"\begin{aligned}a &= b\end{aligned}"
    assert fmt.tex_blocks(rf"\begin{{array}}{{l}}{part}\\[8pt] {part}\end{{array}}") == [part, part]
    assert fmt.tex_blocks(part) == [part]
    assert fmt.tex_blocks("") == []
