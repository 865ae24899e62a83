"""Two phases of a series on two axes: does the later part repeat the pattern of the earlier one at another size?

The second figure of the crop-insurance article: the first phase is measured at the left, the second at the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.figures import Axis, Figure, Panel, Trace, style

from .figures_canvas import Picture, Plot, padded
from .figures_story import MARGIN, WIDE, Story, said, time_ticks

Array = npt.NDArray[np.float64]
FIRST, SECOND = "Phase I", "Phase II"
_FRAME = (104.0, 276.0)  # top and height


@dataclass(frozen=True)
class Phases:
    """Steps `split` and later are the second phase; correlation over the steps that both have, NaN without three."""

    split: int
    first: Array
    second: Array
    correlation: float


def phases_of(y: Array, split: int) -> Phases:
    """y: (n,) with NaN for missing."""
    first, second = y[:split], y[split:]
    both = min(len(first), len(second))
    seen = np.isfinite(first[:both]) & np.isfinite(second[:both])
    a, b = first[:both][seen], second[:both][seen]
    varied = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return Phases(split, first, second, float(np.corrcoef(a, b)[0, 1]) if varied else float("nan"))


def _title(story: Story) -> str:
    return f"{story.name}: two phases"


def _span(story: Story, first: int, count: int) -> str:
    return f"{story.time(first)} to {story.time(first + count - 1)}"


def words(story: Story, found: Phases) -> str:
    """What the picture shows, in sentences."""
    told = []
    for name, values, begin in ((FIRST, found.first, 0), (SECOND, found.second, found.split)):
        seen = values[np.isfinite(values)]
        told.append(
            f"{name}, {_span(story, begin, len(values))}: {len(seen):,} values between {said(float(seen.min()))} and "
            f"{said(float(seen.max()))}."
        )
    if np.isfinite(found.correlation):
        both = min(len(found.first), len(found.second))
        text = f"{found.correlation:.2f}".replace("-", "−")
        told.append(f"Step by step over the first {both} of each, their correlation is {text}.")
    return " ".join(told)


def picture(story: Story, found: Phases) -> bytes:
    """The first phase against the axes below and at the left, the second against those above and at the right."""
    about = "Each phase is counted from its own beginning and measured on an axis of its own."
    made = Picture(430, _title(story), words(story, found), about)
    looks = (
        (FIRST, "line", found.first, 0, "left, below"),
        (SECOND, "dashed", found.second, found.split, "right, above"),
    )
    keys = [
        (f"{name}, {_span(story, begin, len(values))} ({side})", shape, style.SERIES[k])
        for k, (name, shape, values, begin, side) in enumerate(looks)
    ]
    made.key(MARGIN, 66, keys)
    top, height = _FRAME
    longest = max(len(found.first), len(found.second))
    across, wide = (-0.5, longest - 0.5), WIDE - 48
    below = [t for t in time_ticks(story.clock, story.start, 0, longest - 1) if t[0] <= len(found.first) - 0.5]
    ranges = [_range(found.first), _range(found.second)]
    left = Plot(made, MARGIN, top, wide, height, across, ranges[0], x_ticks=below, up=5)
    right = Plot(made, MARGIN, top, wide, height, across, ranges[1], x_ticks=[], y_ticks=[])
    places = list(style.ticks(*ranges[1], 5))
    for place, label in zip(right.ups(np.array(places)), style.labels(places), strict=True):
        made.text(MARGIN + wide + 8, made.height - float(place), label, 12, style.INK_2, va="center_baseline")
    above = time_ticks(story.clock, story.start + found.split, 0, len(found.second) - 1)
    for place, label in above:
        made.text(float(right.across(np.array([place]))[0]), top - 8, label, 12, style.INK_2, ha="center")
    for k, (plot, values) in enumerate(((left, found.first), (right, found.second))):
        steps = np.arange(len(values))
        plot.line(steps, values, style.SERIES[k], 1.6, "line" if k == 0 else "dashed")
        plot.marks(steps, values, "o" if k == 0 else "os", style.SERIES[k], 4)
    return made.svg()


def _range(values: Array) -> tuple[float, float]:
    """From zero where that is near: two axes are compared by eye."""
    low, high = padded(values)
    near = 0 <= np.nanmin(values) < 0.5 * np.nanmax(values)
    return (0.0, high) if near else (low, high)


def data(story: Story, found: Phases) -> Figure:
    """The same for the page."""
    n, m = len(found.first), len(found.second)
    labels = []
    for k in range(max(n, m)):
        both = ([story.time(k)] if k < n else []) + ([story.time(found.split + k)] if k < m else [])
        labels.append(" and ".join(both))
    traces = [
        Trace("line", f"{FIRST}, {_span(story, 0, n)} (left)", found.first, look="s1"),
        Trace("line", f"{SECOND}, {_span(story, found.split, m)} (right)", found.second, look="s2", dash="dashed",
              right=True),
    ]  # fmt: skip
    floor = bool(min(np.nanmin(found.first), np.nanmin(found.second)) >= 0)
    axis = Axis(np.arange(1.0, max(n, m) + 1), labels, "whole", "step within the phase")
    return Figure(_title(story), [Panel(traces, floor=floor)], axis)
