"""What the pictures of one series are drawn from, and the words and ticks they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from templates_engine.data.times import Clock
from templates_engine.figures import style

from .figures_canvas import WIDTH

Array = npt.NDArray[np.float64]

MARGIN = 64.0  # left of a plot that goes across the picture
WIDE = WIDTH - MARGIN - 16.0


@dataclass(frozen=True)
class Story:
    """What the pictures of one series are drawn from. All arrays but those of the forecast have one entry a step."""

    name: str  # "sales", or "sales, shop 5"
    clock: Clock
    start: int  # grid position of the first value
    period: int  # of the season; the longest where there are several, 1 for none
    y: Array  # NaN where missing
    fitted: Array  # NaN before the first fitted value
    level: Array
    slope: Array | None
    seasons: Mapping[str, Array]  # title -> index in force at each step; several with several periods
    point: Array  # (h,) forecasts
    bands: Mapping[int, tuple[Array, Array]]  # per cent -> lower, upper, each (h,)
    flagged: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # steps
    multiplicative: bool = False
    robust: bool = False
    mark: str = ""  # what a flag means, in words
    cleaned: Array | None = None  # what the robust recursion went on with

    @property
    def residual(self) -> Array:
        return self.y - self.fitted

    def time(self, step: int) -> str:
        """The time of a step, in words."""
        return self.clock.words(self.start + step)


def time_ticks(clock: Clock, start: int, first: float, last: float, wanted: int = 8) -> list[tuple[float, str]]:
    """(step, label) of ticks from step `first` to `last`: whole years where the times are calendar times."""
    low, high = clock.in_years(start + first), clock.in_years(start + last)
    if low is not None and high is not None and high - low >= 2.5:
        gap = next((g for g in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500) if (high - low) / g <= wanted + 1.5), 1000)
        per_step = (high - low) / (last - first)
        years = np.arange(np.ceil(low / gap - 1e-6), np.floor(high / gap + 1e-6) + 1) * gap
        return [(first + (year - low) / per_step, f"{year:.0f}") for year in years]
    if clock.unit == "number":
        scale = clock.step
        ticks = style.ticks(clock.origin + scale * (start + first), clock.origin + scale * (start + last), wanted)
        names = [label.replace(",", "") for label in style.labels(ticks)] if ticks[-1] < 10_000 else style.labels(ticks)
        return [((t - clock.origin) / scale - start, name) for t, name in zip(ticks, names, strict=True)]
    each = max(1, int(np.ceil((last - first) / 5)))
    return [(float(step), str(clock.at(start + step))) for step in range(int(first), int(last) + 1, each)]


def apart(places: list[float], gap: float) -> list[float]:
    """Move labels that would overlap, keeping their order from below."""
    order = np.argsort(places, kind="stable")
    moved = np.array(places, dtype=float)[order]
    for _ in range(20):
        for k in range(len(moved) - 1):
            short = gap - (moved[k + 1] - moved[k])
            if short > 1e-9:
                moved[k] -= short / 2
                moved[k + 1] += short / 2
    back = np.empty_like(moved)
    back[order] = moved
    return [float(x) for x in back]


def said(value: float) -> str:
    return style.number(float(value))


def listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)
