"""The pictures: always drawn, the same bytes for the same data, readable, and with words for who cannot see them."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_templates.holt_winters import figures, figures_residuals, figures_seasons
from model_templates.holt_winters.figures_residuals import Fences
from model_templates.holt_winters.figures_story import Story, time_ticks
from templates_engine.data.times.clock import MONTHS, ROWS, Clock
from templates_engine.smoothing.trends import season_trends

MONTHLY = Clock("number", 1949.0, 1 / 12, lambda place: round(place, 6))
FENCES = Fences((-2.5, 2.5), (-4.0, 4.0))


def story(n: int = 72, m: int = 12, h: int = 24, clock: Clock = MONTHLY, seed: int = 1) -> Story:
    """A made-up fit: a line with a season and unit errors, the first period without fitted values."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    level, season = 50 + 0.5 * t, 8 * np.sin(2 * np.pi * t / m)
    fitted = np.where(t >= m, level + season, np.nan)
    y = level + season + rng.standard_normal(n)
    ahead = n + np.arange(h)
    point = 50 + 0.5 * ahead + 8 * np.sin(2 * np.pi * ahead / m)
    bands = {b: (point - z, point + z) for b, z in ((50, 0.7), (80, 1.3), (95, 2.0))}
    return Story("sales", clock, 0, m, y, fitted, np.where(t >= m, level, np.nan), np.where(t >= m, 0.5, np.nan),
                 {"Season": np.where(t >= m, season, np.nan)}, point, bands)  # fmt: skip


def draw(one: Story) -> dict[str, bytes]:
    names = MONTHS if one.period == 12 else [f"season {k + 1}" for k in range(one.period)]
    return {
        "forecast": figures.forecast(one),
        "components": figures.components(one),
        "residuals": figures_residuals.residuals(one, FENCES, "Durbin–Watson 1.92."),
        "seasons": figures_seasons.seasons(one, season_trends(one.y, one.period, 0, names)),
    }


STORIES = {
    "months": story(),
    "half-years": story(38, 2, 3, Clock("half", 4000, 1, lambda p: f"{int(p) // 2}-H{int(p) % 2 + 1}")),
    "rows": story(40, 4, 8, ROWS),
    "hours": story(400, 24, 48, Clock("second", 63_800_000_000, 3600, lambda p: f"{int(p)}")),
    "one step": story(9, 4, 1, ROWS),
    "flagged": replace(story(), flagged=np.array([20, 50]), cleaned=np.full(72, 60.0), robust=True),
    "gaps": replace(story(), y=np.where(np.arange(72) % 7 == 3, np.nan, story().y)),
    "last missing": replace(story(), y=np.where(np.arange(72) >= 70, np.nan, story().y)),
    "exact": replace(story(), y=np.nan_to_num(story().fitted, nan=50.0)),
    "negative": replace(story(), y=story().y - 100, fitted=story().fitted - 100, level=story().level - 100),
    "no season": replace(story(), seasons={}, slope=None),
    "huge": replace(story(), y=1e12 * story().y, fitted=1e12 * story().fitted),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_story_is_drawn_twice_alike(name: str) -> None:
    """The same bytes twice, well-formed, with a title and a summary in words, and no text under 12 px."""
    first, second = draw(STORIES[name]), draw(STORIES[name])
    assert first == second
    for svg in first.values():
        root = ET.fromstring(svg)
        space = {"s": "http://www.w3.org/2000/svg"}
        words = root.findtext("s:desc", "", space)
        assert len(words) > 20
        assert "nan" not in words
        assert root.findtext("s:title", "", space).startswith("sales: ")
        sizes = [float(s) for s in re.findall(rb"font-size: ([\d.]+)px", svg)]
        assert sizes
        assert min(sizes) >= 12
        assert int(root.attrib["width"]) == 932


def test_the_words_hold_the_numbers() -> None:
    """A screen reader gets the forecast, its interval, and the flagged times."""
    one = replace(STORIES["flagged"], mark="outlier")
    words = re.search(rb"<desc>(.*?)</desc>", figures.forecast(one), re.S)[1].decode()
    assert "72 values of sales from Jan 1949 to Dec 1954" in words
    assert f"Forecast for Jan 1955: {one.point[0]:.1f}" in words
    assert "Sep 1950, Mar 1953" in words
    seasons = draw(one)["seasons"].decode()
    assert "R² " in seasons


@pytest.mark.parametrize(
    ("clock", "last", "labels"),
    [
        (MONTHLY, 72, ["1949", "1950", "1951", "1952", "1953", "1954", "1955"]),
        (Clock("number", 1949.0, 1 / 12, float), 600, ["1950", "1960", "1970", "1980", "1990"]),
        (ROWS, 40, ["5", "10", "15", "20", "25", "30", "35", "40"]),
    ],
)
def test_ticks_of_time_are_whole_years_or_round_rows(clock: Clock, last: int, labels: list[str]) -> None:
    found = time_ticks(clock, 0, 0, last)
    assert [label for _, label in found] == labels
    if clock is not ROWS:
        assert [place for place, _ in found][1] == pytest.approx((float(labels[1]) - 1949) * 12)
    else:
        assert [place for place, _ in found] == [4, 9, 14, 19, 24, 29, 34, 39]  # row 10 is position 9


def test_a_season_trend_is_least_squares_on_the_log_scale() -> None:
    """An exact exponential is found, with R2 of 1; numpy's polyfit gives the same for a noisy one."""
    t = np.arange(10.0)
    exact = season_trends(3 * np.exp(0.2 * np.repeat(t, 2)) * np.tile([1, 2], 10), 2, 0, ("a", "b"))
    assert [(s.a, s.b, s.r2) for s in exact] == [pytest.approx((3, 0.2, 1)), pytest.approx((6, 0.2, 1))]
    rng = np.random.default_rng(5)
    y = np.exp(1 + 0.1 * t + 0.3 * rng.standard_normal(10))
    (one,) = season_trends(y, 1, 0, ("a",))
    slope, intercept = np.polyfit(t, np.log(y), 1)
    assert (one.b, np.log(one.a)) == pytest.approx((slope, intercept))
    assert one.r2 == pytest.approx(np.corrcoef(t, np.log(y))[0, 1] ** 2)


def test_a_trend_that_cannot_be_fitted_says_so() -> None:
    for y in (np.array([1.0, 2.0]), np.array([1.0, 0.0, 2.0, 3.0]), np.ones(5)):
        (one,) = season_trends(y, 1, 0, ("a",))
        assert one.r2 is None
        assert "no exponential trend" in one.sentence


def test_drawing_keeps_away_from_pyplot() -> None:
    """pyplot holds figures in a global list and wants a display."""
    code = "import sys, model_templates.holt_winters.figures; print('matplotlib.pyplot' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
