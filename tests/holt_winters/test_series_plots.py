"""The pictures' numbers for the page: they are those of the series, at their times; two phases; days of any clock."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from test_series_figures import FENCES, MONTHLY, STORIES, draw

from model_templates.holt_winters import phases, plots
from templates_engine.data.times.clock import MONTHS, ROWS, Clock
from templates_engine.figures.interactive import Figure, as_json
from templates_engine.smoothing.trends import season_trends


def named(figure: Figure, panel: int = 0) -> dict[str, Any]:
    """The traces of a panel as the page reads them, by name; of two of one name the first that is read out."""
    found: dict[str, Any] = {}
    for trace in json.loads(as_json(figure))["panels"][panel]["traces"]:
        if trace["name"] not in found or "x" in found[trace["name"]]:
            found[trace["name"]] = trace
    return found


@pytest.mark.parametrize("name", STORIES)
def test_every_story_has_numbers_for_the_page(name: str) -> None:
    story = STORIES[name]
    names = MONTHS if story.period == 12 else [f"season {k + 1}" for k in range(story.period)]
    trends = season_trends(story.y, story.period, 0, names)
    made = [
        plots.forecast(story),
        plots.components(story),
        plots.residuals(story, FENCES),
        plots.seasons(story, trends),
    ]
    for figure in made:
        assert as_json(figure) == as_json(figure)
        assert json.loads(as_json(figure))["panels"]


def test_the_forecast_holds_the_series_at_its_times() -> None:
    story = STORIES["flagged"]
    figure = plots.forecast(story)
    found, axis = named(figure), json.loads(as_json(figure))["x"]
    n, h = len(story.y), len(story.point)
    assert axis["labels"] == [story.time(k) for k in range(n + h)]
    assert found["observed"]["y"] == pytest.approx(story.y, rel=1e-6)
    assert (found["fitted"]["first"], found["fitted"]["y"][0]) == (12, pytest.approx(story.fitted[12], rel=1e-6))
    assert (found["forecast"]["first"], found["forecast"]["y"]) == (n, pytest.approx(story.point, rel=1e-6))
    lower, upper = story.bands[95]
    assert (found["95%"]["y"], found["95%"]["low"]) == (pytest.approx(upper, rel=1e-6), pytest.approx(lower, rel=1e-6))
    assert found["replaced by"]["at"] == [20, 50]


def test_the_residual_panels_hold_what_the_stored_picture_draws() -> None:
    story = STORIES["months"]
    error = story.residual[np.isfinite(story.residual)]
    figure = plots.residuals(story, FENCES)
    assert named(figure, 0)["residual"]["y"] == pytest.approx(error, rel=1e-6)
    assert sum(named(figure, 1)["residuals"]["y"]) == len(error)
    first = np.corrcoef(error[1:], error[:-1])[0, 1]
    assert named(figure, 2)["autocorrelation"]["y"][0] == pytest.approx(first, abs=0.03)  # other ends of the means
    assert named(figure, 3)["residual"]["y"] == pytest.approx(np.sort(error), rel=1e-6)


def test_season_panels_hold_every_value_once() -> None:
    story = STORIES["half-years"]
    trends = season_trends(story.y, 2, 0, ("a", "b"))
    found = named(plots.seasons(story, trends))
    assert found["a"]["y"] == pytest.approx(story.y[0::2], rel=1e-6)
    assert found["b"]["y"] == pytest.approx(story.y[1::2], rel=1e-6)
    curve = trends[1].curve
    assert curve is not None
    assert found["trend of b"]["y"] == pytest.approx(curve(np.arange(19.0)), rel=1e-6)


def test_days_of_every_clock_are_those_of_the_calendar() -> None:
    def days(year: int, month: int, day: int) -> int:
        return (date(year, month, day) - date(1970, 1, 1)).days

    months = Clock("month", 12 * 2019, 3, str)
    assert [months.in_days(k) for k in (0, 1, 5)] == [days(2019, 1, 1), days(2019, 4, 1), days(2020, 4, 1)]
    assert [MONTHLY.in_days(k) for k in (0, 1, 14)] == [days(1949, 1, 1), days(1949, 2, 1), days(1950, 3, 1)]
    half = Clock("half", 2 * 2000, 1, str)
    assert [half.in_days(k) for k in (0, 1)] == [days(2000, 1, 1), days(2000, 7, 1)]
    origin = date(2024, 2, 28).toordinal() - 1  # days since 1 January of year 1
    assert Clock("day", origin, 1, str).in_days(2) == pytest.approx(days(2024, 3, 1), abs=1e-6)
    assert Clock("second", 86400 * origin, 3600, str).in_days(30) == pytest.approx(days(2024, 2, 29) + 0.25, abs=1e-6)
    friday = date(2024, 3, 1).toordinal() - 1
    working = Clock("weekday", friday // 7 * 5 + friday % 7, 1, str)
    assert working.in_days(1) == pytest.approx(days(2024, 3, 4), abs=1e-6)
    assert ROWS.in_days(0) is None


def test_two_phases_are_cut_at_the_split_and_compared_step_by_step() -> None:
    story = STORIES["half-years"]
    found = phases.phases_of(story.y, 18)
    assert (len(found.first), len(found.second)) == (18, 20)
    assert found.correlation == pytest.approx(np.corrcoef(story.y[:18], story.y[18:36])[0, 1])
    told = phases.words(story, found)
    assert "Phase I, 2000-H1 to 2008-H2: 18 values" in told
    assert "Phase II, 2009-H1 to 2018-H2: 20 values" in told
    assert f"correlation is {found.correlation:.2f}" in told
    assert phases.picture(story, found) == phases.picture(story, found)
    traces = list(named(phases.data(story, found)).values())
    assert traces[0]["y"] == pytest.approx(story.y[:18], rel=1e-6)
    assert (traces[1]["right"], traces[1]["y"]) == (True, pytest.approx(story.y[18:], rel=1e-6))


def test_phases_without_shared_values_have_no_correlation() -> None:
    y = np.array([1.0, np.nan, 2.0, np.nan, 3.0, 4.0])
    assert np.isnan(phases.phases_of(y, 3).correlation)
    assert "correlation" not in phases.words(STORIES["rows"], phases.phases_of(y, 3))


def test_pictures_and_numbers_are_of_the_same_contents() -> None:
    """Whatever the stored pictures draw, the page's have a figure for."""
    story = STORIES["months"]
    assert len(draw(story)) == 4
    long = plots.forecast(STORIES["hours"])
    assert long.view is not None
    assert json.loads(as_json(long))["x"]["labels"][0] == STORIES["hours"].time(0), "the part not shown is there too"
