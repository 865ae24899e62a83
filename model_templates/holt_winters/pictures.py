"""From a smoothed series to its four pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from templates_engine import Table
from templates_engine.figures import Figure
from templates_engine.smoothing import season_trends

from . import phases, plots
from .figures import components, forecast
from .figures_residuals import Fences, residuals
from .figures_seasons import seasons
from .figures_story import Story
from .reporting import p_text
from .smoothed import Smoothed, season_names
from .spec import Spec
from .tables import trends_table
from .timeline import Timeline, split_at, usable

MOST_SEASONS = 24  # plots in one picture


def series_words(spec: Spec, name: str) -> str:
    """A series as titles say it: "shop 16", whether the data call it "16" or "shop 16"."""
    column = spec.series.casefold()
    return name if name.casefold().startswith(column) else f"{spec.series} {name}"


def story_of(spec: Spec, line: Timeline, one: Smoothed) -> Story:
    fit = one.fit
    name = f"{spec.y}, {series_words(spec, one.name)}" if spec.series else spec.y
    titles = ("Season",) if len(one.season_columns) == 1 else tuple(f"Season of {m}" for m in fit.model.periods)
    mark = f"cut at {spec.k:g} scales" if spec.robust else "beyond the outer fences"
    return Story(
        name=name,
        clock=line.clock,
        start=one.series.start,
        period=spec.period,
        y=fit.y,
        fitted=fit.fitted,
        level=fit.levels,
        slope=fit.trends if fit.model.trend else None,
        seasons={title: fit.seasons[:, k] for k, title in enumerate(titles)} if one.season_columns else {},
        point=one.forecast.point,
        bands=one.bands,
        flagged=one.flagged,
        multiplicative=fit.model.seasonal == "multiplicative",
        robust=spec.robust,
        mark=mark,
        cleaned=fit.robust.cleaned if fit.robust is not None else None,
    )


@dataclass(frozen=True)
class Picture:
    """One picture: its name, the stored SVG, what the page draws, and the table that belongs to it."""

    name: str
    svg: bytes
    data: Figure
    table: Table | None = None


def draw(spec: Spec, line: Timeline, one: Smoothed) -> Iterator[Picture]:
    """Every picture of a series, in the order of reading."""
    story = story_of(spec, line, one)
    yield Picture("forecast", forecast(story), plots.forecast(story))
    yield Picture("components", components(story), plots.components(story))
    checks = one.checks
    sentence = (
        f"Mean {checks.mean:.3g}, Durbin–Watson {checks.durbin_watson:.2f}, runs test {p_text(checks.runs_p)}, "
        f"Ljung–Box {p_text(checks.ljung_box_p)} at {checks.ljung_box_lag} lags."
    ).replace("-", "−")
    fences = Fences(checks.inner, checks.outer)
    yield Picture("residuals", residuals(story, fences, sentence), plots.residuals(story, fences))
    split = split_at(line, one.series, spec.phase) if spec.phase else None
    if split is not None and usable(story.y, split):
        found = phases.phases_of(story.y, split)
        yield Picture("phases", phases.picture(story, found), phases.data(story, found))
    m = max((p for p in spec.periods if 1 < p <= MOST_SEASONS), default=0)
    if m:
        first, names = season_names(line.clock, one.series.start, m)
        trends = season_trends(story.y, m, first, names)
        if any(len(t.values) for t in trends):
            cyclic = replace(story, period=m)
            yield Picture("seasons", seasons(cyclic, trends), plots.seasons(cyclic, trends), trends_table(trends))
