"""The seasons one by one over the cycles, with exponential trends (the third figure of the crop-insurance article)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine.figures import style
from templates_engine.smoothing import SeasonTrend

from .figures_canvas import SHAPES, WIDTH, Picture, Plot, padded
from .figures_story import MARGIN, WIDE, Story, apart


def seasons(story: Story, trends: Sequence[SeasonTrend]) -> bytes:
    """Each season's own series over the cycles, with its exponential trend and R2 on the log scale."""
    m = len(trends)
    said = [f"{t.name}: {t.sentence}" for t in trends]
    about = (
        "One line a season, with an exponential trend fitted by least squares on the log scale; R² is on that scale."
    )
    first = min(float(t.cycles[0]) for t in trends if len(t.cycles))
    last = max(float(t.cycles[-1]) for t in trends if len(t.cycles))
    if m <= 4:
        return _seasons_in_one(story, trends, about, " ".join(said), first, last)
    across = 4 if m > 6 else 3
    down = -(-m // across)
    wide, tall = (WIDTH - 8) / across - 56, 116
    height = 74 + down * (tall + 60)
    picture = Picture(height, f"{story.name}: season by season", " ".join(said), about)
    low, high = season_range(trends)
    for k, trend in enumerate(trends):
        left, top = 52 + (k % across) * (wide + 56), 92 + (k // across) * (tall + 60)
        ticks = _cycle_ticks(story, first, last, 3)
        plot = Plot(picture, left, top, wide, tall, (first - 0.5, last + 0.5), (low, high), title=trend.heading,
                    x_ticks=ticks, up=3)  # fmt: skip
        _season(plot, trend, 0, alone=True)
    return picture.svg()


def _seasons_in_one(
    story: Story, trends: Sequence[SeasonTrend], about: str, words: str, first: float, last: float
) -> bytes:
    picture = Picture(420, f"{story.name}: season by season", words, about)
    low, high = season_range(trends)
    looks = [(trend.heading, SHAPES[k], style.SERIES[k]) for k, trend in enumerate(trends)]
    picture.key(MARGIN, 66, looks)
    plot = Plot(picture, MARGIN, 84, WIDE - 70, 296, (first - 0.5, last + 0.5), (low, high),
                x_ticks=_cycle_ticks(story, first, last, 9), up=5)  # fmt: skip
    ends = [float(t.values[-1]) for t in trends]
    places = apart(ends, 16 / 296 * (high - low))
    for k, trend in enumerate(trends):
        _season(plot, trend, k)
        plot.note(
            float(trend.cycles[-1]) + 10 / plot.width * (last - first + 1), places[k], trend.name, va="center_baseline"
        )
    return picture.svg()


SPACED = 3  # pixels between values from which each is marked on its line


def season_range(trends: Sequence[SeasonTrend]) -> tuple[float, float]:
    """The range of all seasons and their curves, from zero where that is near and nothing lies below."""
    values = np.concatenate([*(t.values for t in trends), *(t.curve(t.cycles) for t in trends if t.curve is not None)])
    low, high = padded(values)
    return (max(low, 0.0) if values.min() >= 0 else low), high


def _season(plot: Plot, trend: SeasonTrend, k: int, alone: bool = False) -> None:
    colour = style.SERIES[k]
    plot.line(trend.cycles, trend.values, colour, 1.3, SHAPES[k])
    if SPACED * len(trend.cycles) <= plot.width:
        plot.marks(trend.cycles, trend.values, "oo"[k % 2 : k % 2 + 1] if k % 2 == 0 else "os", colour, 4)
    if trend.curve is not None:
        grid = np.linspace(trend.cycles[0], trend.cycles[-1], 80)
        plot.line(grid, trend.curve(grid), style.SERIES[1] if alone else colour, 2.2, z=3)


def _cycle_ticks(story: Story, first: float, last: float, wanted: int) -> list[tuple[float, str]]:
    """Ticks at whole cycles, named by the year where a cycle is a year."""
    gap = next((g for g in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500) if (last - first) / g <= wanted), 1000)
    base = 0.0
    if story.clock.per_year == story.period and (years := story.clock.in_years(story.start)) is not None:
        base = float(np.floor(years + 1e-6))
    begin = np.ceil((base + first) / gap) * gap
    return [(year - base, f"{year:.0f}") for year in np.arange(begin, base + last + 1e-9, gap)]
