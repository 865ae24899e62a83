"""Blank rows at the end of a series, and weeks with closing days: the shared cases with their right values."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import beside
import numpy as np
import pytest
from smoothing import Ran, run
from test_time_cases import SPEC

from model_templates.holt_winters.timeline import arrange
from templates_engine import Dataset
from templates_engine.data import readers


def ran(case: str, folder: Path, data: Dataset | None = None) -> Ran:
    place = beside.case(case)
    template, text = (place.parent / "inputs.txt").read_text().split("\n", 1)
    return run(template.strip(), data or readers.read(place), ast.literal_eval(text.strip()), folder)


def test_blank_rows_at_the_end_are_the_first_of_the_forecast(tmp_path: Path) -> None:
    """Values and limits equal those of the series cut there, month by month; from where they run is said."""
    whole = ran("85", tmp_path / "whole")
    data = readers.read(beside.case("85"))
    cut = Dataset("cut", {name: data[name][:44] for name in data.names})
    alone = ran("85", tmp_path / "cut", cut)
    assert whole.table("Forecast").equals(alone.table("Forecast"))
    assert whole.table("Forecast")["time"].tolist()[0] == "2018-09-01"
    (said,) = [p for p in whole.notes if p.code == "trailing-missing"]
    assert "the forecast begins there, at 2018-09-01" in said.message


def test_six_day_weeks_are_the_series_without_its_sundays(tmp_path: Path) -> None:
    """Forecasts equal those of the same values without times; Mondays are about 105; the closing day is told."""
    timed, plain = ran("86b", tmp_path / "timed"), ran("86c", tmp_path / "plain")
    one, two = timed.table("Forecast"), plain.table("Forecast")
    np.testing.assert_array_equal(one[["point", "lower", "upper"]], two[["point", "lower", "upper"]])
    mondays = [date.fromisoformat(t).weekday() == 0 for t in one["time"]]
    assert not any(date.fromisoformat(t).weekday() == 6 for t in one["time"])
    np.testing.assert_allclose(one["point"][mondays], 105.0, atol=0.3)
    assert any(p.code == "calendar" and "no Sundays" in p.message for p in timed.notes)


@pytest.mark.parametrize("opened", [(0, 1, 2, 3, 4), (1, 2, 3, 4, 5), (0, 3), (5, 6), (0, 1, 2, 3, 4, 6)])
def test_any_set_of_open_days_is_a_grid(opened: tuple[int, ...]) -> None:
    """Ten weeks, one of the days a holiday: that one is a gap and nothing else is; times are written back."""
    every = [date(2022, 1, 3) + timedelta(k) for k in range(70)]
    days = [d for d in every if d.weekday() in opened]
    gap = len(days) // 2
    holiday = days.pop(gap)
    times = np.array([d.isoformat() for d in days])
    line = arrange(
        replace(SPEC, periods=(len(opened),)), Dataset("d", {"time": times, "y": np.arange(len(days)) * 1.0})
    )
    (series,) = line.series
    assert line.clock.per_week == len(opened)
    assert np.flatnonzero(np.isnan(series.values)).tolist() == [gap]
    assert line.words(gap) == holiday.isoformat()
    written = [line.words(k) for k in range(len(series.values)) if not np.isnan(series.values[k])]
    assert written == times.tolist()
    assert line.clock.in_days(0) == (days[0] - date(1970, 1, 1)).days


def test_daily_values_and_irregular_days_stay_days() -> None:
    every = [date(2022, 1, 3) + timedelta(k) for k in range(70)]
    for chosen in (every, every[::7], [d for k, d in enumerate(every) if k % 7 in (0, 1, 2, 3, 4, 5) or k == 13]):
        times = np.array([d.isoformat() for d in chosen])
        data = Dataset("d", {"time": times, "y": np.arange(len(times)) * 1.0})
        assert arrange(replace(SPEC, periods=(1,)), data).clock.unit == "day"


@pytest.mark.parametrize(("step", "period", "right"), [(timedelta(1), 6, 7), (timedelta(hours=1), 12, 24)])
def test_a_period_that_does_not_fit_is_told_with_the_one_that_does(step: timedelta, period: int, right: int) -> None:
    from datetime import datetime

    times = np.array([(datetime(2022, 1, 3) + k * step).isoformat() for k in range(100)])
    data = Dataset("d", {"time": times, "y": np.arange(100.0)})
    (said,) = [n for n in arrange(replace(SPEC, periods=(period,)), data).notices if n.code == "period-and-time"]
    assert f"The period that fits is {right}." in said.message
    fitting = arrange(replace(SPEC, periods=(right,)), data).notices
    assert not any(n.code == "period-and-time" for n in fitting)
