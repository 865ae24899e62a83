"""The expression grammar: precedence and values as mathematics has them, gaps, faults with their place, no way out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from templates_engine.data.dataset import Dataset
from templates_engine.data.expressions import DEEPEST, ExpressionError, columns_of, faults, read
from templates_engine.data.working_out import work_out

NAN = np.nan
DATA = Dataset(
    "d",
    {
        "x": np.array([1.0, 2.0, NAN, 4.0]),
        "y": np.array([0.0, -1.0, 3.0, 4.0]),
        "one": np.ones(4),
        "zero": np.zeros(4),
        "gap": np.full(4, NAN),
        "and": np.array([5.0, 6.0, 7.0, 8.0]),
        "town": np.array(["A", "B", "", "A"]),
    },
)


def value(text: str) -> list[float]:
    node = read(text)
    assert not faults(node, DATA.schema())
    return [float(v) for v in work_out(node, DATA)[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-2^2", -4), ("2^3^2", 512), ("2^-1", 0.5), ("8 / 4 / 2", 1),
        ("7 - 3 - 2", 2), ("- -3", 3), ("2 * -3", -6), ("1 < 2", 1), ("2 <= 1", 0), ("3 == 3", 1), ("3 != 3", 0),
        ("1 + 1 > 1", 1), ("not 0", 1), ("not 1 == 2", 1), ("0 and 0 or 1", 1), ("1 or 1 and 0", 1), (".5 + 1e1", 10.5),
        ("log(exp(2))", 2), ("sqrt(16) + abs(-2)", 6), ("floor(-1.5)", -2), ("round(2.5)", 2),
        ("round(1.256, 2)", 1.26),
        ("round(1234, -2)", 1200), ("min(3, 1, 2)", 1), ("max(3, 1, 2)", 3), ("if(1 > 2, 10, 20)", 20),
        ("missing(1)", 0), ("if(2, 1, 0)", 1),
    ],
)  # fmt: skip
def test_precedence_and_functions(text: str, expected: float) -> None:
    """By the rules of mathematics, not by another program."""
    np.testing.assert_allclose(value(text), [expected] * 4, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + y", [1, 1, NAN, 8]),
        ("x == 4", [0, 0, NAN, 1]),
        ("missing(x)", [0, 0, 1, 0]),
        ("if(missing(x), 0, x)", [1, 2, 0, 4]),
        ("if(x > 1, 1, 0)", [0, 1, NAN, 1]),
        ("min(x, y)", [0, -1, NAN, 4]),
        ("mean(x)", [7 / 3] * 4),
        ("sd(y)", [np.sqrt(17 / 3)] * 4),
        ("rank(y - y^2)", [4, 3, 2, 1]),
        ("rank(one)", [2.5] * 4),
        ("rank(x)", [1, 2, NAN, 3]),
        ("`and` + 1", [6, 7, 8, 9]),
        ('town == "A"', [1, 0, NAN, 1]),
        ("town != 'A'", [0, 1, NAN, 0]),
        ("missing(town)", [0, 0, 1, 0]),
        ("mean(gap)", [NAN] * 4),
    ],
)
def test_columns_and_gaps(text: str, expected: list[float]) -> None:
    np.testing.assert_allclose(value(text), expected, rtol=1e-12)


def test_the_logic_of_gaps_is_kleenes() -> None:
    """All nine pairs of yes, no and missing."""
    words = {"one": 1.0, "zero": 0.0, "gap": NAN}
    for a, p in words.items():
        for b, q in words.items():
            unknown = np.isnan(p) or np.isnan(q)
            both = 0.0 if 0.0 in (p, q) else NAN if unknown else 1.0
            either = 1.0 if 1.0 in (p, q) else NAN if unknown else 0.0
            np.testing.assert_array_equal(value(f"{a} and {b}"), [both] * 4)
            np.testing.assert_array_equal(value(f"{a} or {b}"), [either] * 4)


@pytest.mark.parametrize(
    ("text", "reason", "rows"),
    [
        ("1 / y", "a division by zero", 1),
        ("log(y)", "the logarithm of a number that is not positive", 2),
        ("sqrt(y)", "the square root of a negative number", 1),
        ("exp(1000 * x)", "a result too large", 3),
        ("1e300 * 1e300 * x", "a result too large", 4),
        ("y ^ 0.5", "a power that is not defined", 1),
        ("10 ^ 400", "a result too large", 4),
        ("if(y > 0, log(y), 0)", "", 0),
        ("if(y >= 0, log(y), 0)", "the logarithm of a number that is not positive", 1),
    ],
)
def test_what_is_not_defined_is_missing_and_counted(text: str, reason: str, rows: int) -> None:
    """Only on rows where the value would have been used; never infinite, never a warning."""
    values, undefined = work_out(read(text), DATA)
    assert undefined == ({reason: rows} if rows else {})
    assert not np.isinf(values).any()


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 1, "write an expression"),
        ("x +", 3, "is needed, and the expression ends"),
        ("x y", 3, "operator"),
        ("(x + 1", 1, "not closed"),
        ("x + 1)", 6, "operator"),
        ("log x", 5, "operator"),
        ("lgo(x)", 1, "no function “lgo”. Did you mean “log”"),
        ("log(x, y)", 1, "log takes 1 value, and 2 are given"),
        ("if(x)", 1, "if takes 3 values, and 1 are given"),
        ("min(x)", 1, "min takes at least 2 values"),
        ("x = 1", 3, "Did you mean “==”"),
        ("x ** 2", 3, "Did you mean “^”"),
        ("x && y", 3, "Did you mean “and”"),
        ("1 < x < 2", 7, "write a < b and b < c"),
        ("2x", 1, "means nothing"),
        ("x; y", 2, "means nothing"),
        ("x.__class__()", 1, "no function"),
        ("'text", 1, "has no end"),
        ("1e999", 1, "too large"),
        ("x[0]", 2, "means nothing"),
        ("-" * 500 + "1", 61, "nested"),
        ("1" + "+1" * 400, 120, "joined"),
        ("(" * 900, 61, "nested"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, at: int, words: str) -> None:
    with pytest.raises(ExpressionError) as error:
        read(text)
    assert words in str(error.value)
    assert str(error.value).startswith(f"Character {at}: ")


@pytest.mark.parametrize(
    ("text", "places", "words"),
    [
        ("xx + yy", [1, 6], "Did you mean “x”"),
        ("town + 1", [1], "“town” is a text"),
        ("town == 1", [6], "a text is compared with a number"),
        ("town", [1], "the result is a text"),
        ("'a'", [1], "the result is a text"),
        ("__import__ + 1", [1], "there is no column"),
    ],
)
def test_every_wrong_column_is_told(text: str, places: list[int], words: str) -> None:
    told = faults(read(text), DATA.schema())
    assert [fault.at + 1 for fault in told] == places
    assert words in str(told[0])


def test_the_columns_of_an_expression() -> None:
    assert columns_of(read("x + log(`and`) * x")) == ("x", "and")


TOKENS = ["x", "y", "town", "gap", "`and`", "1", "2.5", "+", "-", "*", "/", "^", "(", ")", ",", "<", "==", "and", "or"]
TOKENS += ["not", "log(", "if(", "rank(", "missing(", "'A'", "round(", "min(", " ", "=", "@", "\n"]


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=14).map(" ".join)))
def test_any_text_is_worked_out_or_refused(text: str) -> None:
    """Nothing but ExpressionError comes out of any text; values are finite or missing."""
    try:
        node = read(text)
    except ExpressionError:
        return
    assert node.depth <= DEEPEST
    if faults(node, DATA.schema()):
        return
    values, _ = work_out(node, DATA)
    assert values.shape == (4,)
    assert not np.isinf(values).any()
