"""Design matrices: dummies, references, missing values, collinear columns; columns against groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from templates_engine.data.dataset import Dataset
from templates_engine.data.design_matrix import Design, collinear, design, first_in_group, levels_of, varies_within
from templates_engine.problems import Refused

NAN = float("nan")


@dataclass(frozen=True)
class T:
    name: str
    categorical: bool = False


@pytest.fixture
def data() -> Dataset:
    columns = {
        "cons": np.ones(5),
        "x": [0.5, 1.0, NAN, 2.0, 4.0],
        "band": [3.0, 1.0, 2.0, NAN, 3.0],
        "place": np.array(["b", "a", "c", "", "a"]),
    }
    return Dataset("d", columns)


def test_the_last_category_is_the_reference_and_gaps_stay_gaps(data: Dataset) -> None:
    """The published rule (`vrband:cat`), on which every coefficient's meaning rests."""
    X = design(data, [T("cons"), T("band", True), T("x"), T("place", True)])
    assert X.names == ("cons", "band_1", "band_2", "x", "place_a", "place_b")
    assert X.variables == ("cons", "band", "band", "x", "place", "place")
    expected = [
        [1, 0, 0, 0.5, 0, 1],
        [1, 1, 0, 1.0, 1, 0],
        [1, 0, 1, NAN, 0, 0],
        [1, NAN, NAN, 2.0, NAN, NAN],
        [1, 0, 0, 4.0, 1, 0],
    ]
    assert np.array_equal(X.matrix, np.array(expected), equal_nan=True)
    assert X.matrix.flags.c_contiguous
    assert X.complete.tolist() == [True, True, False, False, True]
    assert design(data, []).matrix.shape == (5, 0)


def test_given_levels_make_the_same_dummies_for_every_imputed_copy(data: Dataset) -> None:
    """An imputed copy may lack a level, or hold it only where it was missing; the coefficients must not shift."""
    part = data.take([0, 4])
    assert design(part, [T("band", True)], {"band": levels_of(data["band"])}).names == ("band_1", "band_2")
    with pytest.raises(Refused, match=r"band, row 1: 3 is not one of the levels 1, 2\."):
        design(data, [T("band", True)], {"band": [1.0, 2.0]})


def test_all_faults_are_told_at_once(data: Dataset) -> None:
    with pytest.raises(Refused) as caught:
        design(data, [T("cons", True), T("place"), T("bnad"), T("x")], gaps="refuse")
    assert [(p.code, p.column, p.nearest) for p in caught.value.problems] == [
        ("constant-column", "cons", ""),
        ("missing-values", "place", ""),
        ("not-a-column", "bnad", "band"),
        ("missing-values", "x", ""),
    ]
    with pytest.raises(Refused, match="place:cat"):
        design(data, [T("place")])


def test_collinear_columns_are_named_after_those_they_depend_on() -> None:
    """Protects the refusal "constant column beside the intercept" and the dummy trap."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=50), 2000 + rng.normal(size=50)
    columns = {"cons": np.ones(50), "a": a, "two": np.full(50, 2.0), "b": b, "sum": 3 * a - b + 1, "zero": 0 * a}
    names = ("cons", "a", "two", "b", "sum", "zero")
    X = Design(np.column_stack([columns[n] for n in names]), names, names)
    assert collinear(X) == ["two", "sum", "zero"]
    with_gaps = X.matrix.copy()
    with_gaps[:5, 3] = NAN
    assert collinear(Design(with_gaps, names, names)) == ["two", "sum", "zero"]
    none = Design(np.full((3, 1), NAN), ("x",), ("x",))
    assert collinear(none) == ["x"], "without a complete row nothing can be told apart"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_collinear_finds_exactly_the_dependent_columns(data: st.DataObject) -> None:
    """Against the rank of leading blocks of small whole-number matrices, where rank is not a matter of tolerance."""
    p = data.draw(st.integers(1, 6))
    rows = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=p, max_size=p), min_size=1, max_size=8))
    X = np.array(rows, dtype=np.float64)
    names = tuple(f"x{j}" for j in range(p))
    ranks = [0, *(int(np.linalg.matrix_rank(X[:, : j + 1])) for j in range(p))]
    assert collinear(Design(X, names, names)) == [names[j] for j in range(p) if ranks[j + 1] == ranks[j]]


def test_group_values_by_hand() -> None:
    codes = np.array([0, 0, 1, 1, 2, 2])
    x = np.array([NAN, 4.0, 5.0, 6.0, NAN, NAN])
    assert np.array_equal(first_in_group(codes, x), [4.0, 5.0, NAN], equal_nan=True)
    assert varies_within(codes, x).tolist() == [1]
    t = np.array(["a", "a", "", "bc", "c", "d"])
    assert first_in_group(codes, t).tolist() == ["a", "bc", "c"]
    assert varies_within(codes, t).tolist() == [2]
    assert np.array_equal(first_in_group(np.array([0]), np.array([1.0]), n_groups=2), [1.0, NAN], equal_nan=True)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([NAN, 0.0, 1.0])), min_size=1, max_size=30))
def test_group_values_agree_with_a_loop(rows: list[tuple[int, float]]) -> None:
    codes, values = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    seen = {g: [v for c, v in rows if c == g and v == v] for g in range(int(codes.max()) + 1)}
    expected = [s[0] if s else NAN for s in seen.values()]
    assert np.array_equal(first_in_group(codes, values), expected, equal_nan=True)
    assert varies_within(codes, values).tolist() == [g for g, s in seen.items() if len(set(s)) > 1]
