"""Rows become series: times of many writings are read, sorted, laid on a grid; what is wrong is told with its row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model_templates.holt_winters.spec import Spec
from model_templates.holt_winters.timeline import arrange
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

SPEC = Spec(
    y="y", time="time", series="", periods=(4,), method="Holt-Winters", damped=False, seasonal="Additive", robust=False,
    k=2.0, start="decompose", alpha=None, beta=None, gamma=None, phi=None, outside=False, horizon=4, level=95.0, seed=1,
)  # fmt: skip


def data(times: Any, values: Any = None, **more: Any) -> Dataset:
    values = np.arange(1.0, len(times) + 1) if values is None else values
    return Dataset("d", {"time": np.asarray(times), "y": np.asarray(values, float), **more})


WRITINGS = [  # times in order, the time after the last, the unit, steps a year
    (["2019-01", "2019-02", "2019-03"], "2019-04", "month", 12),
    (["2019/11", "2019/12"], "2020/01", "month", 12),
    (["2019-Q3", "2019-Q4", "2020-Q1"], "2020-Q2", "quarter", 4),
    (["2019q4", "2020q1"], "2020q2", "quarter", 4),
    (["2019-H1", "2019-H2"], "2020-H1", "half", 2),
    (["2019", "2020", "2021"], "2022", "year", 1),
    (["2020-W52", "2020-W53", "2021-W01"], "2021-W02", "week", None),
    (["2020-02-27", "2020-02-28", "2020-02-29"], "2020-03-01", "day", None),
    (["2019-11-30", "2019-12-31", "2020-01-31", "2020-02-29"], "2020-03-31", "month", 12),
    (["2019-03-31", "2019-06-30", "2019-09-30"], "2019-12-31", "month", 4),
    (["2019-01-15", "2019-02-15"], "2019-03-15", "month", 12),
    (["2024-01-01", "2024-01-08", "2024-01-15"], "2024-01-22", "day", None),
    (["2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12"],
     "2024-01-15", "weekday", None),
    (["2024-01-01T22:00", "2024-01-01T23:00", "2024-01-02T00:00"], "2024-01-02T01:00", "second", None),
    (["2024-01-01 00:00:00", "2024-02-01 00:00:00"], "2024-03-01 00:00:00", "month", 12),
    (["01.03.2024", "02.03.2024", "03.03.2024"], "04.03.2024", "day", None),
    (["31.01.2019", "28.02.2019", "31.03.2019"], "30.04.2019", "month", 12),
    (["30/12/2019", "31/12/2019", "01/01/2020"], "02/01/2020", "day", None),
    (["12/30/2019", "12/31/2019", "01/01/2020"], "01/02/2020", "day", None),
    (["1-12-2019", *(f"1-{m}-2020" for m in range(1, 13)), "1-1-2021"], "1-2-2021", "month", 12),
    (["31.12.2019 22:00", "31.12.2019 23:00", "01.01.2020 00:00"], "01.01.2020 01:00", "second", None),
    (["30/11/2019 9:30", "1/12/2019 9:30", "2/12/2019 9:30"], "3/12/2019 9:30", "second", None),
    (["31.12.2019 00:00:00", "01.01.2020 00:00:00"], "02.01.2020 00:00:00", "day", None),
    (["11/1949", "12/1949"], "01/1950", "month", 12),
    (["9.1949", "10.1949"], "11.1949", "month", 12),
    (["Nov 1949", "Dec 1949", "Jan 1950"], "Feb 1950", "month", 12),
    (["NOV1949", "DEC1949"], "JAN1950", "month", 12),
    (["November 1949", "December 1949"], "January 1950", "month", 12),
    (["Okt. 1949", "Nov. 1949"], "Dez. 1949", "month", 12),
    (["Januar 2019", "Februar 2019"], "März 2019", "month", 12),
    (["2019 Nov", "2019 Dec"], "2020 Jan", "month", 12),
    (["30-Jan-1949", "31-Jan-1949"], "01-Feb-1949", "day", None),
    (["28. Februar 2019", "1. März 2019"], "2. März 2019", "day", None),
    (["30DEC1949", "31DEC1949"], "01JAN1950", "day", None),
    (["1949M11", "1949M12"], "1950M01", "month", 12),
    (["1949 M11", "1949 M12"], "1950 M01", "month", 12),
    (["Q3 1949", "Q4 1949"], "Q1 1950", "quarter", 4),
    (["2020 H1", "2020 H2"], "2021 H1", "half", 2),
    (["Nov-98", "Dec-98", "Jan-99"], "Feb-99", "month", 12),
    (["Nov-99", "Dec-99", "Jan-00"], "Feb-00", "month", 12),
    (["Nov '49", "Dec '49"], "Jan '50", "month", 12),
    (["okt. 98", "nov. 98"], "dez. 98", "month", 12),
    (["30-Dec-99", "31-Dec-99"], "01-Jan-00", "day", None),
    (["11/98", "12/98"], "01/99", "month", 12),
    (["Q3-98", "Q4-98"], "Q1-99", "quarter", 4),
    (["30.12.98", "31.12.98"], "01.01.99", "day", None),
    (["12/30/98", "12/31/98"], "01/01/99", "day", None),
    ([42005.0, 42036.0, 42064.0], 42095.0, "month", 12),
    ([42369.0, 42400.0, 42429.0, 42460.0], 42490.0, "month", 12),
    ([42100.0, 42101.0, 42102.0, 42103.0, 42104.0, 42107.0], 42108.0, "weekday", None),
    ([42000.0, 42001.0, 42002.0], 42003.0, "number", None),
    ([40000.0, 40007.0, 40014.0, 40021.0], 40028.0, "number", None),
    ([11.1949, 12.1949, 1.195, 2.195], 3.195, "month", 12),
    ([200111.0, 200112.0, 200201.0], 200202.0, "month", 12),
    ([20200228.0, 20200229.0, 20200301.0], 20200302.0, "day", None),
    ([1.0, 2.0, 3.0], 4.0, "number", None),
    ([1949.0, 1949.083333, 1949.166667, 1949.25], 1949.333333, "number", 12),
    ([1960.0, 1960.25, 1960.5], 1960.75, "number", 4),
    ([2001.0, 2002.0, 2003.0], 2004.0, "number", 1),
]  # fmt: skip


@pytest.mark.parametrize(("times", "after", "unit", "per_year"), WRITINGS, ids=[str(w[0][-1]) for w in WRITINGS])
def test_times_are_read_and_continued(times: list[Any], after: Any, unit: str, per_year: int | None) -> None:
    """A forecast stands at the right time, written as the data write theirs; nothing is taken for a gap."""
    line = arrange(SPEC, data(times))
    (one,) = line.series
    assert one.fault == ""
    assert len(one.values) == len(times)
    assert np.array_equal(one.values, np.arange(1.0, len(times) + 1))
    assert (line.clock.unit, line.clock.per_year) == (unit, per_year)
    found = [line.time(one.start + k) for k in range(len(times) + 1)]
    if isinstance(after, str):
        assert found == [*times, after]
    else:
        assert found == pytest.approx([*times, after], abs=1e-6)


def test_day_counts_of_a_spreadsheet_are_said_as_dates() -> None:
    line = arrange(SPEC, data([42005.0, 42036.0, 42064.0]))
    assert line.words(3) == "2015-04-01"
    assert "42005, which is 1 Jan 2015" in line.notices[0].message


def test_years_of_two_digits_are_told() -> None:
    line = arrange(SPEC, data(["Nov-99", "Dec-99", "Jan-00"]))
    assert "years of two digits, read as 1999 to 2000" in line.notices[0].message


def test_rounded_years_over_a_century_do_not_drift() -> None:
    """1/12 written with three decimals, over 1,200 months: every month keeps its place."""
    times = np.round(1900 + np.arange(1200) / 12, 3)
    line = arrange(SPEC, data(times))
    assert len(line.series[0].values) == 1200
    assert line.time(1199) == pytest.approx(times[-1], abs=1e-3)


def test_rows_are_sorted_and_gaps_become_missing() -> None:
    """The order of rows has no meaning once there is a time; a missing row is a missing value, and told."""
    line = arrange(SPEC, data(["2019-05", "2019-01", "2019-02", "2019-04"], [5, 1, 2, 4]))
    (one,) = line.series
    assert np.array_equal(one.values, [1, 2, np.nan, 4, 5], equal_nan=True)
    assert one.rows.tolist() == [1, 2, -1, 3, 0]
    codes = {p.code: p for p in line.notices}
    assert {"rows-sorted", "gaps", "missing-values"} <= set(codes)
    assert "2019-03" in codes["gaps"].message
    assert all(p.level == "notice" and p.key in ("time", "y", "period") for p in line.notices)


def test_first_and_last_missing_values_are_left_out() -> None:
    """A series goes from where it is first observed to where it is last: forecasts begin right behind that."""
    line = arrange(SPEC, data([1, 2, 3, 4, 5, 6], [np.nan, 2, 3, np.nan, 5, np.nan]))
    (one,) = line.series
    assert (one.start, one.left_out, one.ahead) == (1, 1, 1)
    assert np.array_equal(one.values, [2, 3, np.nan, 5], equal_nan=True)
    assert {"leading-missing", "trailing-missing"} <= {p.code for p in line.notices}


FAULTY = [  # times, words the message must hold
    (["2019-01", "2019-02", "2019-02", "2019-03"], ["2019-02", "rows 2 and 3", "time"]),
    ([1, 2, 2, 2, 3, 3, 4], ["2 times", "2, 3"]),
    (["2019-01-01", "2019-01-09", "2019-01-11", "2019-02-28", "2019-03-01"], ["irregular", "rows"]),
    ([1, 2, 3.4, 4, 5, 6, 7], ["irregular", "3.4"]),
]


@pytest.mark.parametrize(("times", "words"), FAULTY, ids=["twice", "several", "days", "number"])
def test_bad_times_are_told_with_their_rows(times: list[Any], words: list[str]) -> None:
    (one,) = arrange(SPEC, data(times)).series
    assert one.fault
    for word in words:
        assert word in one.fault


@pytest.mark.parametrize(
    ("times", "word", "row"),
    [
        (["2019-01", "Feb 2019", "2019-03"], "Feb 2019", "row 2"),
        (["31/01/2019", "30/02/2019"], "30/02/2019", "row 2"),
        (["31/01/2019", "01/31/2019"], "/31/2019", "row 2"),
        (["28.02.2019", "31/03/2019"], "31/03/2019", "row 2"),
        (["31.01.2019 12:00", "31.01.2019 25:00"], "31.01.2019 25:00", "row 2"),
        (["12/2019", "13/2019"], "13/2019", "row 2"),
        (["Jan 2019", "Foo 2019"], "Foo 2019", "row 2"),
        (["31.12.18", "31.12.2019"], "31.12.2019", "row 2"),
        (["2019-02-28", "2019-02-30"], "2019-02-30", "row 2"),
        (["2019-Q1", "2019-Q5"], "2019-Q5", "row 2"),
        (["2019-01", "2019-13"], "2019-13", "row 2"),
        (["2021-W52", "2021-W53"], "2021-W53", "row 2"),
        (["2019-01", ""], "no value", "row 2"),
    ],
)
def test_what_is_no_time_is_refused(times: list[str], word: str, row: str) -> None:
    """The word, its row, and the writings that are read."""
    with pytest.raises(Refused) as caught:
        arrange(SPEC, data(times))
    (problem,) = caught.value.problems
    assert problem.key == "time"
    assert word in problem.message
    assert row in problem.message


def test_dates_that_may_be_read_in_two_ways_are_refused_with_both() -> None:
    """The first of each month of one year, or the first twelve days of January: equal steps either way."""
    with pytest.raises(Refused) as caught:
        arrange(SPEC, data([f"01/{month:02d}/2019" for month in range(1, 13)]))
    (problem,) = caught.value.problems
    assert (problem.key, problem.code) == ("time", "ambiguous-time")
    assert "“01/02/2019”, which may be 1 February 2019 or 2 January 2019" in problem.message


def test_the_order_of_day_and_month_is_told() -> None:
    """Thirteen months, which are not equal steps with the month first; and a day above 12."""
    firsts = [f"01/{k % 12 + 1:02d}/{2019 + k // 12}" for k in range(13)]
    for times, said in ((firsts, "day, month, year"), (["01/12/2020", "01/13/2020"], "month, day, year")):
        (notice,) = [p for p in arrange(SPEC, data(times)).notices if p.code == "time-read"]
        assert f"{times[0]}, read as {said}" in notice.message
    assert "time-read" not in {p.code for p in arrange(SPEC, data(["01.02.2019", "02.02.2019"])).notices}


def test_steps_of_a_panel_tell_the_order_of_day_and_month() -> None:
    """Two series of 14 months, far apart: which of the readings gives equal steps is judged within each."""
    times = [f"01/{k % 12 + 1:02d}/{year + k // 12}" for year in (1989, 2019) for k in range(14)]
    line = arrange(replace(SPEC, series="shop"), data(times, shop=np.repeat(["a", "b"], 14)))
    assert [len(s.values) for s in line.series] == [14, 14]
    assert line.clock.unit == "month"


def test_numbers_of_one_year_or_of_one_month_stay_numbers() -> None:
    """1.2, 2.2, 3.2 may be any numbers, and so may 1.18, 1.19, 1.2."""
    for times in ([1.2, 2.2, 3.2], [1.18, 1.19, 1.2]):
        assert arrange(SPEC, data(times)).clock.unit == "number"


def test_one_bad_series_does_not_spoil_the_others() -> None:
    """Three series in mixed rows: one with a time twice, one all missing, one right."""
    shop = np.array(["a", "b", "a", "b", "c", "c", "a", "b"])
    times = np.array(["2019", "2019", "2020", "2019", "2020", "2021", "2021", "2020"])
    values = np.array([1, 2, 3, 4, np.nan, np.nan, 5, 6])
    line = arrange(replace(SPEC, series="shop"), data(times, values, shop=shop))
    assert [s.name for s in line.series] == ["a", "b", "c"]
    assert line.series[0].values.tolist() == [1, 3, 5]
    assert "2019" in line.series[1].fault
    assert "no observed value" in line.series[2].fault


def test_without_times_rows_are_counted_within_each_series() -> None:
    shop = np.array([2.0, 1.0, 2.0, 1.0, 2.0])
    spec = replace(SPEC, series="shop", time="")
    line = arrange(spec, Dataset("d", {"y": np.arange(5.0), "shop": shop}))
    assert [(s.name, s.values.tolist()) for s in line.series] == [("1", [1, 3]), ("2", [0, 2, 4])]
    assert line.time(line.series[1].start + 2) == 3.0


def test_a_row_without_a_series_is_refused_at_that_question() -> None:
    spec = replace(SPEC, series="shop", time="")
    with pytest.raises(Refused) as caught:
        arrange(spec, Dataset("d", {"y": np.arange(3.0), "shop": np.array([1.0, np.nan, 1.0])}))
    assert (caught.value.problems[0].key, caught.value.problems[0].column) == ("series", "shop")
    assert "row 2" in caught.value.problems[0].message


def test_a_period_that_does_not_suit_the_times_is_told() -> None:
    """Months with a period of 4: perhaps meant, but worth a look."""
    times = [f"{2019 + k // 12}-{k % 12 + 1:02d}" for k in range(24)]
    line = arrange(SPEC, data(times))
    assert "period-and-time" in {p.code for p in line.notices}
    assert "period-and-time" not in {p.code for p in arrange(replace(SPEC, periods=(12,)), data(times)).notices}


def test_a_thousand_series_are_arranged_in_a_moment(cost: Callable[..., float]) -> None:
    """Linear in the rows: 200 series and 1,000 differ by about five, never by twenty-five."""

    def series(n: int) -> Dataset:
        month = np.array([f"{2010 + k // 12}-{k % 12 + 1:02d}" for k in range(120)])
        return Dataset("d", {
            "y": np.ones(120 * n), "time": np.tile(month, n), "shop": np.repeat(np.arange(float(n)), 120),
        })  # fmt: skip

    few, many, asked = series(200), series(1000), replace(SPEC, series="shop")
    assert len(arrange(asked, many).series) == 1000
    assert cost(lambda: arrange(asked, many), beside=lambda: arrange(asked, few)) < 12
