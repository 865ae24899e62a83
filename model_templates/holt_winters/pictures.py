"""From a smoothed series to its four pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from templates_engine.outputs import Table

from .figures import components, forecast
from .figures_residuals import Fences, residuals
from .figures_seasons import seasons
from .figures_story import Story
from .reporting import p_text
from .smoothed import Smoothed, season_names
from .spec import Spec
from .tables import trends_table
from .timeline import Timeline
from .trends import season_trends

MOST_SEASONS = 24  # plots in one picture


def story_of(spec: Spec, line: Timeline, one: Smoothed) -> Story:
    fit = one.fit
    name = f"{spec.y}, {spec.series} {one.name}" if spec.series else spec.y
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


def draw(spec: Spec, line: Timeline, one: Smoothed) -> Iterator[tuple[str, str, bytes, Table | None]]:
    """(name, title, SVG, table that belongs to it) of each picture, in the order of reading."""
    story = story_of(spec, line, one)
    yield "forecast", f"{story.name}: series and forecast", forecast(story), None
    yield "components", f"{story.name}: components", components(story), None
    checks = one.checks
    sentence = (
        f"Mean {checks.mean:.3g}, Durbin–Watson {checks.durbin_watson:.2f}, runs test {p_text(checks.runs_p)}, "
        f"Ljung–Box {p_text(checks.ljung_box_p)} at {checks.ljung_box_lag} lags."
    ).replace("-", "−")
    yield "residuals", f"{story.name}: residuals", residuals(story, Fences(checks.inner, checks.outer), sentence), None
    m = max((p for p in spec.periods if 1 < p <= MOST_SEASONS), default=0)
    if m:
        first, names = season_names(line.clock, one.series.start, m)
        trends = season_trends(story.y, m, first, names)
        if any(len(t.values) for t in trends):
            picture = seasons(replace(story, period=m), trends)
            yield "seasons", f"{story.name}: season by season", picture, trends_table(trends)
