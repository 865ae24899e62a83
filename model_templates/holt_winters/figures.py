"""The forecast and the components of one series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .figures_canvas import BANDS, FITTED, FLAG, FORECAST, OBSERVED, Picture, Plot, padded
from .figures_story import MARGIN, WIDE, Story, listed, said, time_ticks

Array = npt.NDArray[np.float64]


def forecast(story: Story) -> bytes:
    """The series with fitted values, and the forecast with fans of 50, 80 and 95 %."""
    n, h = len(story.y), len(story.point)
    shown = max(6 * story.period, 3 * h, 80)
    first = n - shown if n > shown + shown // 2 else 0
    steps, ahead = np.arange(first, n), np.arange(n - 1, n + h)
    # The fan begins at the last observed value.
    last = story.y[n - 1] if np.isfinite(story.y[n - 1]) else story.fitted[n - 1]
    point = np.concatenate([[last], story.point])
    seen = np.concatenate([story.y[first:], *(np.concatenate(band) for band in story.bands.values()), story.point])
    low, high = padded(seen)
    if np.nanmin(seen) >= 0:
        low = max(low, 0.0)
    words = _forecast_words(story, first)
    picture = Picture(420, f"{story.name}: series and forecast", words, _subtitle(story, first))
    looks = [("observed", "line", OBSERVED), ("fitted", "dashed", FITTED), ("forecast", "line", FORECAST)]
    looks += [(f"{level}%", f"band{opacity}", FORECAST) for level, opacity in reversed(BANDS) if level in story.bands]
    if len(story.flagged):
        looks.append((story.mark or "outlier", "o^", FLAG))
        if story.cleaned is not None:
            looks.append(("replaced by", "oo", FLAG))
    picture.key(MARGIN, 66, looks)
    ticks = time_ticks(story.clock, story.start, first, n + h - 1)
    plot = Plot(picture, MARGIN, 84, WIDE, 296, (first - 0.5, n + h - 0.5), (low, high), x_ticks=ticks, up=5)
    for level, opacity in BANDS:
        if level in story.bands:
            lower, upper = (np.concatenate([[last], side]) for side in story.bands[level])
            plot.band(ahead, lower, upper, FORECAST, opacity)
    plot.upright(n - 0.5, "forecast" if h > 6 * n / 100 else "")
    thin = 1.1 if n - first > 250 else 1.6
    plot.line(steps, story.fitted[first:], FITTED, thin, "dashed")
    plot.line(steps, story.y[first:], OBSERVED, thin)
    _lonely(plot, steps, story.y[first:])
    plot.line(ahead, point, FORECAST, 2.0, z=3)
    if h <= 3:
        plot.marks(ahead[1:], story.point, "o", FORECAST, 4)
    flagged = story.flagged[(story.flagged >= first) & np.isfinite(story.y[story.flagged])]
    if len(flagged):
        if story.cleaned is not None:
            for step in flagged:
                plot.line(np.array([step, step]), np.array([story.y[step], story.cleaned[step]]), FLAG, 1, "dotted")
            plot.marks(flagged, story.cleaned[flagged], "oo", FLAG, 6)
        plot.marks(flagged, story.y[flagged], "o^", FLAG, 8)
    return picture.svg()


def _lonely(plot: Plot, steps: npt.NDArray[np.int64], y: Array) -> None:
    """A dot for each value that has missing values at both sides, which no line shows."""
    there = np.isfinite(y)
    alone = there & ~np.concatenate([[False], there[:-1]]) & ~np.concatenate([there[1:], [False]])
    if alone.any():
        plot.marks(steps[alone], y[alone], "o", OBSERVED, 3)


def _subtitle(story: Story, first: int) -> str:
    parts = []
    if first:
        parts.append(f"From {story.time(first)}; the series begins at {story.time(0)}.")
    if story.bands:
        parts.append(f"Bands hold {listed([f'{b}' for b in sorted(story.bands)])}% of the forecast distribution.")
    return " ".join(parts)


def _forecast_words(story: Story, first: int) -> str:
    n, h = len(story.y), len(story.point)
    error = story.residual[np.isfinite(story.residual)]
    words = [
        (
            f"{n:,} values of {story.name} from {story.time(0)} to {story.time(n - 1)}, between "
            f"{said(np.nanmin(story.y))} and {said(np.nanmax(story.y))}."
        ),
        f"The fitted values are {said(float(np.sqrt((error**2).mean())))} away on average (root mean square).",
        f"Forecast for {story.time(n)}: {said(float(story.point[0]))}",
    ]
    if 95 in story.bands:
        lower, upper = story.bands[95]
        words[-1] += f" (95% from {said(float(lower[0]))} to {said(float(upper[0]))})"
        if h > 1:
            words[-1] += f"; for {story.time(n + h - 1)}: {said(float(story.point[-1]))}"
            words[-1] += f" (from {said(float(lower[-1]))} to {said(float(upper[-1]))})"
    words[-1] += "."
    if len(story.flagged):
        some = [story.time(int(s)) for s in story.flagged[:6]]
        more = f" and {len(story.flagged) - 6} more" if len(story.flagged) > 6 else ""
        words.append(f"Marked ({story.mark or 'outliers'}): {', '.join(some)}{more}.")
    return " ".join(words)


def components(story: Story) -> bytes:
    """The series and its level, trend and season, one plot under another on one time axis."""
    n = len(story.y)
    rows: list[tuple[str, Array, str]] = [("Level", story.level, FORECAST)]
    if story.slope is not None:
        rows.append(("Trend, change in one step", story.slope, FORECAST))
    kind = "factor" if story.multiplicative else "difference from the level"
    rows += [(f"{title}, {kind}", values, FORECAST) for title, values in story.seasons.items()]
    tall, gap = 110, 44
    height = 76 + (len(rows) + 1) * (tall + gap) - 8
    words = _component_words(story)
    picture = Picture(height, f"{story.name}: components", words, "What the smoothing has made of the series.")
    ticks = time_ticks(story.clock, story.start, 0, n - 1)
    span = (-0.5, n - 0.5)
    thin = 1.1 if n > 250 else 1.6
    steps = np.arange(n)
    plot = Plot(picture, MARGIN, 76, WIDE, tall, span, padded(story.y), title="Series", x_ticks=_bare(ticks), up=3)
    plot.line(steps, story.y, OBSERVED, thin)
    _lonely(plot, steps, story.y)
    for k, (title, values, colour) in enumerate(rows, start=1):
        last = k == len(rows)
        top = 76 + k * (tall + gap)
        plot = Plot(
            picture,
            MARGIN,
            top,
            WIDE,
            tall,
            span,
            padded(values),
            title=title,
            x_ticks=ticks if last else _bare(ticks),
            up=3,
        )
        if title.startswith("Trend") and plot.y[0] < 0 < plot.y[1]:
            plot.level(0.0)
        if title.startswith("Season"):
            plot.level(1.0 if story.multiplicative else 0.0)
        plot.line(steps, values, colour, thin)
    return picture.svg()


def _bare(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(place, "") for place, _ in ticks]


def _component_words(story: Story) -> str:
    good = np.isfinite(story.level)
    level = story.level[good]
    words = [f"The level goes from {said(float(level[0]))} to {said(float(level[-1]))}."]
    if story.slope is not None:
        slope = story.slope[np.isfinite(story.slope)]
        words.append(f"The trend at the end is {said(float(slope[-1]))} a step, between {said(float(slope.min()))} and "
                    f"{said(float(slope.max()))} over the series.")  # fmt: skip
    for title, values in story.seasons.items():
        last = values[-story.period :]
        what = "factors" if story.multiplicative else "differences"
        words.append(f"{title}: the last {what} lie between {said(float(last.min()))} and {said(float(last.max()))}.")
    return " ".join(words)
