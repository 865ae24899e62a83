"""Protects: numbers, times and axes are written as journals and the voice of the pages ask."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from app.pages import format as fmt
from app.pages.intervals import PAD, WIDTH, axis
from app.pages.plain_names import plain_name
from app.pages.tables import as_latex, as_markdown, interval_places, journal, named
from templates_engine.data.schema import Column, Schema
from templates_engine.imputation import outputs as imputation
from templates_engine.outputs import HEADS
from templates_engine.regression.words import random_of, words_of

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
    known = {**HEADS, **imputation.HEADS}
    shown = journal(table, SCHOOL, words=words_of(named(table), {}, SCHOOL), known=known)
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
    several = [("sigma2_u2", "second"), ("omega_u1_2", "school"), ("vpc_1", "school"), ("sigma2", "")]
    words = words_of(several, {}, SCHOOL)
    assert plain_name("sigma2_u2", "second", SCHOOL, words) == ("Between units of second, variance", "sigma2_u2")
    assert plain_name("omega_u1_2", "school", SCHOOL, words) == ("Between units of school, (co)variance", "omega_u1_2")
    assert plain_name("vpc_1", "school", None, words) == ("Share of school in the variance", "vpc_1")
    assert plain_name("sigma2", "", None, words) == ("Residual variance", "sigma2")
    assert plain_name("sigma2", "", None) == ("sigma2", "sigma2")


def test_a_small_coefficient_beside_large_ones_is_not_zero() -> None:
    """Income per euro beside an intercept: 0.000 (0.000), 0.00 to 0.00 would say that there is nothing."""
    columns = ["parameter", "variable", "estimate", "se", "lower", "upper", "p"]
    table = {
        "columns": columns,
        "rows": [
            ["beta_0", "cons", 3.1, 0.2, 2.71, 3.49, 3e-9],
            ["beta_1", "x", 0.000232, 0.0000412, 0.000151, 0.000313, 2e-8],
            ["beta_2", "sex_0", 0.2, 0.1, 0.004, 0.396, 0.0456],
        ],
    }
    shown = journal(table, SCHOOL)
    assert [c.text for c in shown.lines[0].cells] == ["3.100", "0.200", "2.71 to 3.49", "<0.001"]
    assert [c.text for c in shown.lines[1].cells] == ["0.000232", "0.000041", "0.00015 to 0.00031", "<0.001"]
    assert [c.text for c in shown.lines[2].cells] == ["0.200", "0.100", "0.00 to 0.40", "0.046"]


@pytest.mark.parametrize(
    ("values", "places"),
    [([0.00031, 0.00028, 0.0004], 5), ([0.5, 0.02], 3), ([12.5, 0.001], 2), ([1e-17, 0.0], 3), ([3, 4], 0)],
)
def test_a_column_of_small_numbers_shows_two_digits(values: list[float], places: int) -> None:
    assert fmt.decimals_for(values) == places
    assert interval_places([0.00031, 0.00062]) == 4


def test_names_of_the_data_stay_as_they_are_and_numbers_at_the_left_are_aligned() -> None:
    shown = journal({"columns": ["sex", "mixed", "other_word"], "rows": [["a", 1, 2]]}, SCHOOL)
    assert (shown.first, [h.text for h in shown.heads]) == ("sex", ["mixed", "Other word"])
    bars = journal({"columns": ["lower_limit", "rows"], "rows": [[-0.965, 3], [0.02206, 4], [1.009, 2]]}, None)
    assert [line.name for line in bars.lines] == ["−0.965", "0.022", "1.009"]
    assert all(line.number for line in bars.lines)
    assert as_markdown(bars).splitlines()[1] == "| ---: | ---: |"


def test_the_covariances_of_random_slopes_have_names() -> None:
    """Packed lower triangle: variance of the first, covariance, variance of the second."""
    random = random_of({"x": "cons,x", "x2": "cons,sex:cat"}, SCHOOL)
    assert random == {"u": ("cons", "sex_0", "sex_1")}
    answers = {"x": "cons,x", "x2": "cons,sex:cat"}
    said = words_of([(f"omega_u_{k}", "") for k in range(6)], answers, SCHOOL)
    words = [plain_name(f"omega_u_{k}", "", SCHOOL, said)[0].removeprefix("Between groups, ") for k in range(6)]
    assert words == [
        "variance of the intercept",
        "covariance of intercept and slope of sex_0",
        "variance of the slope of sex_0",
        "covariance of intercept and slope of sex_1",
        "covariance of slope of sex_0 and slope of sex_1",
        "variance of the slope of sex_1",
    ]
    two = words_of([(f"omega_u1_{k}", "school") for k in range(3)], {"x2_1": "cons,x", "x2_2": "cons"}, SCHOOL)
    assert plain_name("omega_u1_2", "school", SCHOOL, two)[0] == "Between units of school, variance of the slope of x"
    rows = [[f"omega_u_{k}", "", 1.0] for k in range(3)]
    table = {"columns": ["parameter", "variable", "estimate"], "rows": rows}
    slopes = words_of(named(table), {"x2": "cons,x"}, SCHOOL)
    assert journal(table, SCHOOL, words=slopes).lines[1].name.endswith("covariance of intercept and slope of x")
    # A matrix of another size is not this one: no name rather than a wrong one.
    assert journal(table, SCHOOL, words=words_of(named(table), answers, SCHOOL)).lines[1].name == "omega_u_1"


def test_the_category_that_others_are_compared_with_is_named() -> None:
    school = Column("school", "text", 9, 0, n_levels=3, levels=("Gym", "Real_schule", "Volks"))
    code = Column("code", "whole", 9, 0, n_levels=3, levels=(1.0, 2.0, 9.0), labels={"9": "other"})
    schema = Schema("d", 9, (*SCHOOL.columns, school, code))
    rows = [["beta_0", "cons", 1.0], ["beta_1", "school_Gym", 1.0], ["beta_2", "school_Real_schule", 1.0]]
    table = {"columns": ["parameter", "variable", "estimate"], "rows": rows, "notes": ["N = 9."]}
    shown = journal(table, schema)
    assert shown.notes == ("N = 9.", "Categories of school are compared with Volks.")
    assert [line.name for line in shown.lines][2] == "school, category Real_schule"
    table["rows"] = [["beta_1", "code_1", 1.0], ["beta_2", "code_2", 1.0], ["beta_3", "x", 1.0]]
    assert journal(table, schema).notes[1:] == ("Categories of code are compared with 9, other.",)
    # A category that had no complete row has no indicator either: then nothing is claimed.
    table["rows"] = [["beta_1", "code_1", 1.0]]
    assert journal(table, schema).notes == ("N = 9.",)


def test_equations_of_several_parts_are_set_apart() -> None:
    part = r"\begin{aligned}a &= b\end{aligned}"
    assert fmt.tex_blocks(rf"\begin{{array}}{{l}}{part}\\[8pt] {part}\end{{array}}") == [part, part]
    assert fmt.tex_blocks(part) == [part]
    assert fmt.tex_blocks("") == []
