"""The residual picture: order with fences, histogram with normal curve, autocorrelations, normal quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.figures import curves, style

from .figures_canvas import FITTED, FLAG, FORECAST, WIDTH, Picture, Plot, padded
from .figures_story import MARGIN, WIDE, Story, apart, said, time_ticks

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fences:
    """Tukey's fences of the residuals: inner at 1.5, outer at 3 interquartile ranges."""

    inner: tuple[float, float]
    outer: tuple[float, float]


def residuals(story: Story, fences: Fences, sentence: str) -> bytes:
    """Residuals in order with fences, their histogram, autocorrelations and normal quantiles."""
    picture = Picture(664, f"{story.name}: residuals", _residual_words(story, fences, sentence), sentence)
    steps = np.flatnonzero(np.isfinite(story.residual))
    error = story.residual[steps]
    low, high = padded(np.concatenate([error, fences.outer]))
    ticks = time_ticks(story.clock, story.start, float(steps[0]), float(steps[-1]))
    span = (float(steps[0]) - 0.5, float(steps[-1]) + 0.5)
    wide = WIDE - 74
    plot = Plot(picture, MARGIN, 84, wide, 212, span, (low, high), title="Residuals in order", x_ticks=ticks, up=5)
    levels = (*fences.inner, *fences.outer)
    places = apart(list(levels), 15 / 212 * (high - low))
    for k, (value, place) in enumerate(zip(levels, places, strict=True)):
        plot.level(value, "dotted" if k < 2 else "dashed")
        plot.note(span[1] + 8 / wide * (span[1] - span[0]), place, "inner fence" if k < 2 else "outer fence",
                  va="center_baseline")  # fmt: skip
    plot.level(0.0, "line")
    if len(error) > 120:
        plot.bars(steps, error, FORECAST, max(1.0, min(2.5, 500 / len(error))))
    else:
        plot.line(steps, error, FORECAST, 1.0)
        plot.marks(steps, error, "o", FORECAST, 3.5)
    _flags(plot, story, steps, error, fences)
    third = (WIDTH - 16 - 3 * MARGIN) / 3
    lefts = [MARGIN + k * (third + MARGIN) for k in range(3)]
    lefts[2] += 4
    _histogram(picture, lefts[0], third, error)
    _acf(picture, lefts[1], third, error, story.period)
    _quantiles(picture, lefts[2], third, error)
    return picture.svg()


_LOWER = (380.0, 232.0)  # top and height of the three plots below


def _flags(plot: Plot, story: Story, steps: npt.NDArray[np.int64], error: Array, fences: Fences) -> None:
    """Triangles at residuals outside the inner fences, filled outside the outer ones; the most extreme are named."""
    outside = (error < fences.inner[0]) | (error > fences.inner[1])
    extreme = (error < fences.outer[0]) | (error > fences.outer[1])
    if (outside & ~extreme).any():
        plot.marks(steps[outside & ~extreme], error[outside & ~extreme], "o^", FLAG, 8)
    if extreme.any():
        plot.marks(steps[extreme], error[extreme], "^", FLAG, 8)
    shown: list[float] = []
    for k in sorted(np.flatnonzero(outside), key=lambda k: -abs(error[k]))[:12]:
        at = float(plot.across(np.array([float(steps[k])]))[0])
        if len(shown) < 6 and all(abs(at - other) > 76 for other in shown):
            right = at > plot.left + plot.width - 90
            beside = (-8 if right else 8) / plot.width * (plot.x[1] - plot.x[0])
            where = {"ha": "right" if right else "left", "va": "center_baseline"}
            plot.note(float(steps[k]) + beside, float(error[k]), story.time(int(steps[k])), **where)
            shown.append(at)


def _histogram(picture: Picture, left: float, width: float, error: Array) -> None:
    """Bins by Freedman and Diaconis (1981), with the normal curve of the same mean and sd."""
    top, height = _LOWER
    counts, edges = np.histogram(error, bins=bins(error))
    low, high = float(edges[0]), float(edges[-1])
    grid, curve = normal_curve(error, edges)
    most = 1.08 * max(float(counts.max()), float(curve.max()))
    x_ticks = style.ticks(low, high, 4)
    counted = [t for t in style.ticks(0.0, most, 5) if float(t).is_integer()]
    plot = Plot(picture, left, top, width, height, (low, high), (0.0, most), title="Histogram and normal curve",
                x_ticks=list(zip(x_ticks, style.labels(x_ticks), strict=True)), y_ticks=counted)  # fmt: skip
    plot.boxes(edges, counts.astype(np.float64), "#a9c1d9")
    plot.line(grid, curve, FITTED, 1.8)


def normal_curve(error: Array, edges: Array) -> tuple[Array, Array]:
    """(160 places, heights) of the normal curve of the same mean and sd, in counts a bin."""
    mean, sd = float(error.mean()), float(error.std(ddof=1)) if len(error) > 1 else 0.0
    grid = np.linspace(edges[0], edges[-1], 160)
    if sd == 0:
        return grid, np.zeros(160)
    wide = len(error) * (edges[1] - edges[0])
    return grid, wide * np.exp(-0.5 * ((grid - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))


def bins(error: Array) -> int:
    """Freedman and Diaconis's number of bins, from 4 to 60."""
    quartiles = np.quantile(error, [0.25, 0.75])
    width = 2 * float(quartiles[1] - quartiles[0]) * len(error) ** (-1 / 3)
    span = float(np.ptp(error))
    return int(np.clip(np.ceil(span / width), 4, 60)) if width > 0 and span > 0 else 8


def lags_shown(n: int, period: int) -> int:
    """Lags in the picture of n residuals: two periods, at least 10, at most 40."""
    return max(2, min(n - 1, 40, max(10, 2 * period)))


def _acf(picture: Picture, left: float, width: float, error: Array, period: int) -> None:
    top, height = _LOWER
    lags = lags_shown(len(error), period)
    if len(error) < 3 or np.ptp(error) == 0:
        Plot(picture, left, top, width, height, (0, 1), (0, 1), title="Autocorrelation", x_ticks=[], y_ticks=[]).say(
            "Too few residuals, or no variation."
        )
        return
    rho = curves.autocorrelation(error, lags)[1:]
    chance = 1.96 / np.sqrt(len(error))
    low = min(-0.3, 1.15 * float(rho.min()), -1.3 * chance)
    high = max(0.4, 1.15 * float(rho.max()), 1.3 * chance)
    gap = next(g for g in (1, 2, 5, 10) if lags / g <= 8)
    if period > 1 and lags // period <= 6 and lags >= period:
        gap = period
    ticks = [(float(lag), f"{lag}") for lag in range(gap, lags + 1, gap)]
    plot = Plot(picture, left, top, width, height, (0.3, lags + 0.7), (low, high), title="Autocorrelation by lag",
                x_ticks=ticks)  # fmt: skip
    plot.level(chance)
    plot.level(-chance)
    plot.level(0.0, "line")
    plot.bars(np.arange(1.0, lags + 1), rho, FORECAST, min(5.0, 0.5 * width / lags))


def _quantiles(picture: Picture, left: float, width: float, error: Array) -> None:
    """Ordered residuals against normal quantiles; the line goes through the quartiles."""
    top, height = _LOWER
    theory = normal_places(len(error))
    ordered = np.sort(error)
    x, y = padded(theory, 0.05), padded(ordered)
    x_ticks = [(float(t), style.labels([float(t)])[0]) for t in range(-4, 5) if x[0] <= t <= x[1]]
    plot = Plot(picture, left, top, width, height, x, y, title="Normal quantiles", x_ticks=x_ticks)
    plot.line(np.array(x), quartile_line(error, np.array(x)), style.EDGE, 1.2, "dashed")
    plot.marks(theory, ordered, "o", FORECAST, 3.5)


def normal_places(n: int) -> Array:
    """(n,) quantiles of the standard normal distribution at (k - 1/2) / n."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(1, n + 1) - 0.5) / n))


def quartile_line(error: Array, x: Array) -> Array:
    """The line through the quartiles of residuals against those of the normal distribution, at places x."""
    low, high = np.quantile(error, [0.25, 0.75])
    return np.asarray((low + high) / 2 + (high - low) / (2 * 0.6744897501960817) * x)


def _residual_words(story: Story, fences: Fences, sentence: str) -> str:
    error = story.residual[np.isfinite(story.residual)]
    steps = np.flatnonzero(np.isfinite(story.residual))
    outside = (error < fences.inner[0]) | (error > fences.inner[1])
    extreme = (error < fences.outer[0]) | (error > fences.outer[1])
    words = [
        f"{len(error):,} residuals from {said(float(error.min()))} to {said(float(error.max()))}.",
        sentence,
        (
            f"Inner fences {said(fences.inner[0])} and {said(fences.inner[1])}, outer fences "
            f"{said(fences.outer[0])} and {said(fences.outer[1])}: {int(outside.sum()):,} residuals outside the inner, "
            f"{int(extreme.sum()):,} outside the outer."
        ),
    ]
    if outside.any():
        words.append("Outside: " + ", ".join(story.time(int(s)) for s in steps[outside][:12]) + ".")
    return " ".join(words)
