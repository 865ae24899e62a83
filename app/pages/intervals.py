"""The interval plot beside a table of estimates: one shared axis, a line at 0, a filled and a hollow dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.pages.format import fixed

WIDTH, PAD = 190, 10
SMALLEST = 1e-290  # nearer to nothing than this, the steps between ticks are no longer numbers


@dataclass(frozen=True)
class Mark:
    """One estimate with its interval, in pixels."""

    low: float
    at: float
    high: float
    y: float
    series: int
    hollow: bool


@dataclass(frozen=True)
class Axis:
    """Where values stand."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    zero: float | None

    def x(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return round(PAD + (WIDTH - 2 * PAD) * (min(max(value, self.low), self.high) - self.low) / span, 1)


def axis(values: Sequence[float]) -> Axis | None:
    """An axis with round ticks that holds the values and 0; None where there is nothing to draw."""
    found = [v for v in values if math.isfinite(v)]
    if not found:
        return None
    low, high = min([*found, 0.0]), max([*found, 0.0])
    if high - low < SMALLEST:
        return None
    step = _step((high - low) / 6)
    ticks = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    made = Axis(low, high, (), None)
    labels = [fixed(t, places) if abs(t) > step / 2 else "0" for t in ticks]
    return Axis(low, high, tuple(zip(map(made.x, ticks), labels, strict=True)), made.x(0.0))


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m for m in (1, 2, 5, 10) if m * power >= rough) * power


def marks(found: Axis, rows: Sequence[tuple[float, float, float] | None], height: float) -> list[Mark]:
    """The marks of one table row: one for each source, from the top; None where a source has no estimate."""
    made = []
    present = [(k, r) for k, r in enumerate(rows) if r is not None]
    for place, (k, (low, at, high)) in enumerate(present):
        y = height / 2 + (place - (len(present) - 1) / 2) * 11
        made.append(Mark(found.x(low), found.x(at), found.x(high), round(y, 1), k + 1, k > 0))
    return made
