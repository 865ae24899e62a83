"""The pictures of a series as numbers, for the page to draw: the same contents as the stored SVGs, the whole series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from templates_engine.figures import Axis, Figure, Look, Panel, Rule, Trace, curves
from templates_engine.smoothing import SeasonTrend

from .figures_residuals import Fences, bins, lags_shown, normal_curve, normal_places, quartile_line
from .figures_seasons import season_range
from .figures_story import Story

Array = npt.NDArray[np.float64]
OPACITY = {95: 0.14, 80: 0.22, 50: 0.34}
DASH = ("solid", "dashed", "dotted", "dashdot")
LOOK = ("s1", "s2", "s3", "s4")


def axis_of(story: Story, steps: int) -> Axis:
    """The times of steps 0 to `steps` - 1: days where they are calendar times, else as the data count."""
    labels = [story.time(k) for k in range(steps)]
    days = [story.clock.in_days(story.start + k) for k in range(steps)]
    if all(day is not None for day in days):
        return Axis(np.array(days, np.float64), labels, "time")
    clock = story.clock
    return Axis(clock.origin + clock.step * (story.start + np.arange(steps)), labels)


def forecast(story: Story) -> Figure:
    """The series, fitted values, forecast with its fan, and what was flagged."""
    n, h = len(story.y), len(story.point)
    axis = axis_of(story, n + h)
    traces = [
        Trace("band", f"{level}%", upper, low=lower, first=n, look="s1", opacity=OPACITY.get(level, 0.2))
        for level, (lower, upper) in sorted(story.bands.items(), reverse=True)
    ]
    values = np.asarray(axis.values)
    thin = 1.2 if n > 400 else 1.6
    # The fan opens from the last value; what joins them is no forecast and is not read out.
    last = story.y[n - 1] if np.isfinite(story.y[n - 1]) else story.fitted[n - 1]
    joint = values[n - 1 : n + 1]
    traces += [
        replace(fan, y=[last, np.asarray(fan.y)[0]], low=[last, np.asarray(fan.low)[0]], first=0, x=joint)
        for fan in traces
    ]
    traces += [
        Trace("line", "fitted", story.fitted, look="s2", dash="dashed", width=thin),
        Trace("line", "observed", story.y, look="ink", width=thin),
        Trace("line", "forecast", story.point, first=n, look="s1", width=2.2),
        Trace("line", "forecast", [last, story.point[0]], x=joint, look="s1", width=2.2),
    ]
    if h == 1:
        traces.append(Trace("points", "", story.point, first=n, look="s1", key=False))
    seen = story.flagged[np.isfinite(story.y[story.flagged])]
    if len(seen):
        mark = story.mark or "outlier"
        traces.append(Trace("points", mark, story.y[seen], at=seen, look="s4", marker="triangle", hollow=True))
        if story.cleaned is not None:
            traces.append(Trace("points", "replaced by", story.cleaned[seen], at=seen, look="s4", hollow=True))
    shown = max(6 * story.period, 3 * h, 80)
    first = n - shown if n > shown + shown // 2 else 0
    half = 0.5 * (values[-1] - values[0]) / max(1, n + h - 1)
    border = Rule(x=float((values[n - 1] + values[n]) / 2), label="forecast" if h > 0.06 * n else "", dash="dotted")
    low = np.concatenate([story.y[np.isfinite(story.y)], *(np.concatenate(band) for band in story.bands.values())])
    view = (float(values[first]) - half, float(values[-1]) + half) if first else None
    return Figure(
        f"{story.name}: series and forecast",
        [Panel(traces, rules=[border], floor=bool(low.min() >= 0))],
        axis,
        view,
        note=f"The view begins at {story.time(first)}; Show all has the {n:,} values." if first else "",
    )


def components(story: Story) -> Figure:
    """The series over its level, trend and season, on one axis."""
    rows: list[tuple[str, npt.NDArray[np.float64], Look, tuple[Rule, ...]]]
    rows = [
        ("Series", story.y, "ink", ()),
        ("Level", story.level, "s1", ()),
    ]
    if story.slope is not None:
        rows.append(("Trend, change in one step", story.slope, "s1", (Rule(y=0.0),)))
    kind = "factor" if story.multiplicative else "difference from the level"
    middle = (Rule(y=1.0 if story.multiplicative else 0.0),)
    rows += [(f"{title}, {kind}", values, "s1", middle) for title, values in story.seasons.items()]
    panels = [
        Panel([Trace("line", title.split(",")[0], values, look=look)], title, rules, height=120, bare=k < len(rows) - 1)  # type: ignore[arg-type]
        for k, (title, values, look, rules) in enumerate(rows)
    ]
    return Figure(f"{story.name}: components", panels, axis_of(story, len(story.y)))


def residuals(story: Story, fences: Fences) -> Figure:
    """Residuals in order with their fences; their histogram, autocorrelations and normal quantiles."""
    steps = np.flatnonzero(np.isfinite(story.residual))
    error = story.residual[steps]
    outside = (error < fences.inner[0]) | (error > fences.inner[1])
    extreme = (error < fences.outer[0]) | (error > fences.outer[1])
    order = [
        Trace("sticks", "residual", story.residual, width=1.6)
        if len(error) > 120
        else Trace("line", "residual", story.residual, width=1.2)
    ]
    if (outside & ~extreme).any():
        some = steps[outside & ~extreme]
        order.append(Trace("points", "outside the inner fences", story.residual[some], at=some, look="s4",
                           marker="triangle", hollow=True))  # fmt: skip
    if extreme.any():
        some = steps[extreme]
        order.append(Trace("points", "outside the outer fences", story.residual[some], at=some, look="s4",
                           marker="triangle"))  # fmt: skip
    rules = [
        Rule(y=0.0, dash="solid"),
        Rule(y=fences.inner[0], dash="dotted"),
        Rule(y=fences.inner[1], dash="dotted", label="inner fence"),
        Rule(y=fences.outer[0], fit=True),
        Rule(y=fences.outer[1], fit=True, label="outer fence"),
    ]
    panels = [Panel(order, "Residuals in order", rules, height=230)]
    panels += [_histogram(error), _acf(error, story.period), _quantiles(error, [story.time(int(s)) for s in steps])]
    return Figure(f"{story.name}: residuals", panels, axis_of(story, len(story.y)))


def _histogram(error: Array) -> Panel:
    counts, edges = np.histogram(error, bins=bins(error))
    grid, curve = normal_curve(error, edges)
    labels = [f"{low:.4g} to {high:.4g}".replace("-", "−") for low, high in pairwise(edges)]
    traces = [
        Trace("boxes", "residuals", counts, look="s1", opacity=0.36, key=False),
        Trace("line", "normal curve", curve, x=grid, look="s2", width=1.8, key=False, read=True),
    ]
    axis = Axis((edges[:-1] + edges[1:]) / 2, labels)
    return Panel(traces, "Histogram and normal curve", height=200, x=axis, row=3)


def _acf(error: Array, period: int) -> Panel:
    title = "Autocorrelation by lag"
    if len(error) < 3 or np.ptp(error) == 0:
        return Panel([], f"{title}: too few residuals, or no variation", height=200, x=Axis([1.0, 2.0]), row=3)
    lags = lags_shown(len(error), period)
    chance = 1.96 / np.sqrt(len(error))
    rules = [Rule(y=0.0, dash="solid"), Rule(y=chance, fit=True), Rule(y=-chance, fit=True)]
    axis = Axis(np.arange(1.0, lags + 1), [f"lag {k}" for k in range(1, lags + 1)], "whole")
    trace = Trace("sticks", "autocorrelation", curves.autocorrelation(error, lags)[1:], width=3, key=False)
    return Panel([trace], title, rules, height=200, x=axis, row=3)


def _quantiles(error: Array, times: Sequence[str]) -> Panel:
    order = np.argsort(error, kind="stable")
    theory = normal_places(len(error))
    ends = np.array([theory[0], theory[-1]])
    traces = [
        Trace("line", "line through the quartiles", quartile_line(error, ends), x=ends, look="edge", dash="dashed",
              width=1.2, key=False),
        Trace("points", "residual", error[order], key=False),
    ]  # fmt: skip
    return Panel(traces, "Normal quantiles", height=200, x=Axis(theory, [times[k] for k in order]), row=3)


def seasons(story: Story, trends: Sequence[SeasonTrend]) -> Figure:
    """Each season's own series over the cycles, with its exponential trend."""
    first = min(float(t.cycles[0]) for t in trends if len(t.cycles))
    last = max(float(t.cycles[-1]) for t in trends if len(t.cycles))
    cycles = np.arange(first, last + 1)
    years = None
    if story.clock.per_year == story.period and (begin := story.clock.in_years(story.start)) is not None:
        years = int(np.floor(begin + 1e-6))
    labels = [f"{years + int(c)}" if years is not None else f"cycle {int(c) + 1}" for c in cycles]
    axis = Axis(cycles + (years if years is not None else 1), labels, "whole", "" if years is not None else "cycle")
    together = len(trends) <= 4
    grouped = [_season(t, cycles, k if together else 0, together) for k, t in enumerate(trends)]
    about = "An exponential trend of each season, by least squares on the log scale; R² is on that scale."
    title = f"{story.name}: season by season"
    if together:
        return Figure(
            title, [Panel([t for group in grouped for t in group], floor=_positive(trends))], axis, note=about
        )
    height = season_range(trends)
    panels = [
        Panel(group, trend.heading, height=116, range=height, row=4 if len(trends) > 6 else 3)
        for group, trend in zip(grouped, trends, strict=True)
    ]
    return Figure(title, panels, axis, note=about)


def _positive(trends: Sequence[SeasonTrend]) -> bool:
    return all((t.values >= 0).all() for t in trends)


def _season(trend: SeasonTrend, cycles: Array, k: int, together: bool) -> list[Trace]:
    """The values of one season at the cycles, and its trend."""
    values = np.full(len(cycles), np.nan)
    values[np.rint(trend.cycles - cycles[0]).astype(int)] = trend.values
    name = trend.name if together else "observed"
    traces = [Trace("line", name, values, look=LOOK[k], dash=DASH[k], width=1.4)]  # type: ignore[arg-type]
    if trend.curve is not None:
        curve = np.where((cycles >= trend.cycles[0]) & (cycles <= trend.cycles[-1]), trend.curve(cycles), np.nan)
        said = f"trend of {trend.name}" if together else "trend"
        traces.append(Trace("line", said, curve, look=LOOK[k] if together else "s2", width=2.2))  # type: ignore[arg-type]
    return traces
