"""Rubin's rules against exact arithmetic, their limits, and their coverage."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from templates_engine.imputation.pooling import (
    COLUMNS,
    Pooled,
    complete_cases_table,
    degrees_of_freedom,
    fmi_interval,
    fmi_sentence,
    imputations_needed,
    rubin,
    table,
    verdicts,
)
from templates_engine.outputs import Table

# Five fits of one parameter, pooled in fractions from the printed formulas, not from the code.
Q = [Fraction(10), Fraction(12), Fraction(11), Fraction(9), Fraction(13)]
SE = [Fraction(2), Fraction(3), Fraction(2), Fraction(2), Fraction(3)]


def by_hand(complete_df: int | None) -> dict[str, Fraction]:
    m = len(Q)
    mean = sum(Q) / m
    within = sum(s * s for s in SE) / m
    between = sum((q - mean) ** 2 for q in Q) / (m - 1)
    total = within + (1 + Fraction(1, m)) * between
    riv = (1 + Fraction(1, m)) * between / within
    lam = (1 + Fraction(1, m)) * between / total
    df = (m - 1) / lam**2
    if complete_df is not None:
        observed = Fraction(complete_df + 1, complete_df + 3) * complete_df * (1 - lam)
        df = df * observed / (df + observed)
    fmi = (riv + 2 / (df + 3)) / (1 + riv)
    return {"mean": mean, "total": total, "between": between, "riv": riv, "df": df, "fmi": fmi, "m": Fraction(m)}


@pytest.mark.parametrize("complete_df", [None, 20, 4053])
def test_every_number_is_that_of_exact_arithmetic(complete_df: int | None) -> None:
    """Rubin (1987) and Barnard and Rubin (1999), computed in fractions: Q = 11, U = 6, B = 5/2, T = 9."""
    exact = by_hand(complete_df)
    assert (exact["mean"], exact["between"], exact["total"], exact["riv"]) == (11, Fraction(5, 2), 9, Fraction(1, 2))
    (p,) = rubin([[float(q)] for q in Q], [[float(s)] for s in SE], [complete_df])
    assert p.estimate == pytest.approx(11, rel=1e-14)
    assert p.se == pytest.approx(3, rel=1e-14)
    assert p.riv == pytest.approx(0.5, rel=1e-14)
    assert p.df == pytest.approx(float(exact["df"]), rel=1e-12)
    assert p.fmi == pytest.approx(float(exact["fmi"]), rel=1e-12)
    assert p.mcse == pytest.approx(float(exact["between"] / exact["m"]) ** 0.5, rel=1e-14)
    half = stats.t.ppf(0.975, float(exact["df"])) * 3
    assert (p.lower, p.upper) == (pytest.approx(11 - half, rel=1e-9), pytest.approx(11 + half, rel=1e-9))


def test_the_degrees_of_freedom_in_whole_numbers() -> None:
    """lambda = 1/3 and m = 5: Rubin's df are 4 / (1/9) = 36; with 20 for complete data 1/(1/36 + 69/840)."""
    assert degrees_of_freedom(5, 0.5, None) == pytest.approx(36, rel=1e-12)
    observed = Fraction(21, 23) * 20 * Fraction(2, 3)
    assert degrees_of_freedom(5, 0.5, 20) == pytest.approx(float(36 * observed / (36 + observed)), rel=1e-12)


@given(m=st.integers(2, 60), riv=st.floats(0, 50), df=st.one_of(st.none(), st.floats(1, 1e7)))
def test_limits_of_the_degrees_of_freedom(m: int, riv: float, df: float | None) -> None:
    """Never more than the data give, nor than the imputations give; without limit, that of the other."""
    found = degrees_of_freedom(m, riv, df)
    assert found > 0
    lam = riv / (1 + riv)
    if lam > 1e-100:
        assert found <= (m - 1) / lam**2 * (1 + 1e-12)
    if df is not None:
        assert found <= df * (df + 1) / (df + 3) * (1 + 1e-12)
    if riv > 0.01:
        assert degrees_of_freedom(m, riv, 1e15) == pytest.approx(degrees_of_freedom(m, riv, None), rel=1e-6)


def test_no_spread_between_imputations_leaves_the_complete_data_answer() -> None:
    """B = 0 (a parameter that imputation does not touch): no division by zero, FMI 0, df of the data alone."""
    p, q = rubin([[0.1, 0.1]] * 3, [[0.3, 0.3]] * 3, [10, None])
    assert (p.estimate, p.riv, p.fmi, p.mcse) == (pytest.approx(0.1, rel=1e-15), 0, 0, 0)
    assert p.se == pytest.approx(0.3, rel=1e-15)
    assert p.df == pytest.approx(10 * 11 / 13, rel=1e-12)
    assert q.df == np.inf
    assert q.upper - q.estimate == pytest.approx(1.959964 * 0.3, rel=1e-6)
    assert table(["a", "b"], ["", ""], [p, q]).column("df") == [p.df, None]  # an infinity is an empty cell


@pytest.mark.parametrize(
    ("estimates", "ses", "words"),
    [
        ([[1.0]], [[1.0]], "at least two"),
        ([[1.0], [2.0]], [[1.0]], "differ in shape"),
        ([[1.0], [np.nan]], [[1.0], [1.0]], "finite"),
        ([[1.0], [2.0]], [[1.0], [0.0]], "zero or negative"),
    ],
)
def test_what_cannot_be_pooled_is_refused(estimates: list[list[float]], ses: list[list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rubin(estimates, ses)
    with pytest.raises(ValueError, match="one value for each"):
        rubin([[1.0], [2.0]], [[1.0], [1.0]], [1, 2])
    with pytest.raises(ValueError, match="positive"):
        rubin([[1.0], [-2.0]], [[1.0], [1.0]], positive=[True])


def test_a_variance_is_pooled_on_the_log_scale() -> None:
    """Its interval, df, FMI and RIV are those of the logarithms; estimate and SE those of Rubin's rules as they are."""
    rng = np.random.default_rng(7)
    q, s = np.exp(rng.normal(-2.5, 0.2, (6, 1))), np.full((6, 1), 0.02)
    (p,) = rubin(q, s, [63], positive=[True])
    (plain,) = rubin(q, s, [63])
    (log,) = rubin(np.log(q), s / q, [63])
    assert (p.estimate, p.se, p.mcse) == (plain.estimate, plain.se, plain.mcse)
    assert (p.df, p.fmi, p.riv) == (log.df, log.fmi, log.riv)
    assert (np.log(p.lower), np.log(p.upper)) == (pytest.approx(log.lower), pytest.approx(log.upper))
    assert p.lower > 0
    far = rubin(10 * q, 10 * s, [63], positive=[True])[0]  # a change of unit changes no judgement
    assert (far.fmi, far.df, far.lower) == (pytest.approx(p.fmi), pytest.approx(p.df), pytest.approx(10 * p.lower))


def test_order_and_units_of_the_imputations_do_not_matter() -> None:
    rng = np.random.default_rng(8)
    q, s = rng.normal(size=(9, 2)), rng.uniform(0.5, 1, (9, 2))
    one, two = rubin(q, s, [50, None]), rubin(-3 * q[::-1], 3 * s[::-1], [50, None])
    for a, b in zip(one, two, strict=True):
        assert (b.estimate, b.se) == (pytest.approx(-3 * a.estimate), pytest.approx(3 * a.se))
        assert (b.fmi, b.df, b.riv) == (pytest.approx(a.fmi), pytest.approx(a.df), pytest.approx(a.riv))


def test_intervals_cover_at_their_level_and_would_not_without_the_between_variance() -> None:
    """Mean of 40 Normal values, half of them missing at random, imputed properly 5 times: 2,000 data sets.

    At exactly 95 per cent coverage the bounds 93 and 97 are 4.1 standard errors away: a false alarm in about 4 runs
    of 100,000. Intervals from the within-variance alone cover far less, so the test can fail.
    """
    rng = np.random.default_rng(2024)
    n, seen, m, sets = 40, 20, 5, 2000
    inside = naive = 0
    for _ in range(sets):
        y = rng.normal(size=seen)
        # Proper imputation under the usual prior: sigma^2 from its scaled inverse chi-square, then mu, then values.
        sigma = np.sqrt((seen - 1) * y.var(ddof=1) / rng.chisquare(seen - 1, m))
        mu = y.mean() + sigma / np.sqrt(seen) * rng.normal(size=m)
        filled = np.hstack([np.tile(y, (m, 1)), mu[:, None] + sigma[:, None] * rng.normal(size=(m, n - seen))])
        q, s = filled.mean(axis=1), filled.std(axis=1, ddof=1) / np.sqrt(n)
        (p,) = rubin(q[:, None], s[:, None], [n - 1])
        inside += p.lower <= 0 <= p.upper
        naive += abs(q.mean()) <= 2.02 * np.sqrt((s**2).mean())
    assert 0.93 <= inside / sets <= 0.97
    assert naive / sets < 0.90


def _pooled(between: float, within: float, m: int) -> Pooled:
    se = (within + (1 + 1 / m) * between) ** 0.5
    return Pooled(1.0, se, 50, 0, 2, 0.3, 0.3, m, (between / m) ** 0.5)


@given(st.floats(0.001, 10), st.floats(0.01, 10), st.integers(2, 50))
def test_the_number_of_imputations_is_the_least_that_is_enough(between: float, within: float, m: int) -> None:
    """With that many the Monte Carlo error is within 10 per cent of the SE, with one fewer it is not."""
    needed = imputations_needed([_pooled(between, within, m)])
    enough = _pooled(between, within, needed)
    assert enough.mcse <= 0.10 * enough.se * (1 + 1e-6)
    if needed > 2:
        fewer = _pooled(between, within, needed - 1)
        assert fewer.mcse > 0.10 * fewer.se * (1 - 1e-6)
    assert imputations_needed([_pooled(0.0, 1.0, 4)]) == 2


def test_verdicts_speak_as_the_page_does() -> None:
    words = verdicts(["beta_3"], [_pooled(0.3, 0.7, 20)])
    assert words[0][0] == "Too few imputations"
    assert "beta_3" in words[0][1]
    assert "About 30 imputations" in words[0][1]
    assert verdicts(["a"], [_pooled(0.01, 1, 20)])[0][0] == "Fine"
    assert verdicts([], []) == []
    lean = Pooled(1.0, 1.0, 50, 0, 2, 0.9, 5.0, 1000, 0.01)
    assert [word for word, _ in verdicts(["u"], [lean])] == ["Fine", "Read with care"]


def test_an_fmi_from_few_imputations_is_said_to_be_noise() -> None:
    """Four imputations: 0.36 may well be 0.16 (the guide's printed example). The interval must hold it."""
    low, high = fmi_interval(0.36, 4)
    assert 0 < low < 0.16 < 0.36 < high < 1
    assert fmi_interval(0.36, 400)[0] > 0.32
    assert fmi_interval(0.0, 4) == (0.0, 0.0)
    sentence = fmi_sentence(["a", "b"], [_pooled(0.0, 1, 4), _pooled(0.5, 1, 4)])
    assert "4 imputations" in sentence
    assert fmi_sentence([], []) == ""


def test_the_fmi_interval_covers() -> None:
    """Known FMI 0.3 with 10 imputations, B's estimate chi-square: 4,000 draws; nominal 95, here 90 to 99 is asked,

    for the interval is approximate (delta method): the exact false-alarm rate is below 1e-6 if it covers 92 to 98.
    """
    rng = np.random.default_rng(5)
    m, true = 10, 0.3
    b = true * rng.chisquare(m - 1, 4000) / (m - 1)
    u = 1 - true
    inside = 0
    for x in b:
        low, high = fmi_interval(x / (u + x), m)
        inside += low <= true <= high
    assert 0.90 <= inside / 4000 <= 0.99


def test_both_tables_are_read_side_by_side() -> None:
    """The same columns; what has no meaning for complete cases is empty."""
    columns = ("parameter", "variable", "mean", "sd", "q025", "median", "q975", "ess_bulk", "ess_tail", "mcse", "rhat")
    cases = complete_cases_table(
        Table(columns, (("beta_0", "cons", 1.0, 2.0, -3.0, 1.1, 5.0, 100.0, 90.0, 0.2, 1.0),)), "Complete cases"
    )
    assert cases.columns == COLUMNS
    assert cases.rows == (("beta_0", "cons", 1.0, 2.0, None, -3.0, 5.0, None, None, 0.2),)
    assert table(["beta_0"], ["cons"], [_pooled(0.1, 1, 5)]).columns == COLUMNS
