"""The chains of one parameter so far, drawn while they grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.pages.format import fixed

WIDTH, HEIGHT, LEFT = 720, 190, 46


@dataclass(frozen=True)
class Trace:
    parameter: str
    lines: tuple[str, ...]  # points of a polyline, one a chain
    ticks: tuple[tuple[float, str], ...]


def trace_of(trace: Mapping[str, Any] | None) -> Trace | None:
    """The picture of at most 200 points a chain; None while there is nothing to draw."""
    if not trace:
        return None
    chains = [[v for v in c if isinstance(v, int | float) and math.isfinite(v)] for c in trace.get("chains") or []]
    values = [v for c in chains for v in c]
    longest = max((len(c) for c in chains), default=0)
    if longest < 2 or min(values) == max(values):
        return None
    # The first draws may come from far away; the scale follows the later ones.
    later = sorted(v for c in chains for v in c[len(c) // 5 :]) or sorted(values)
    low, high = later[0], later[-1]
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room

    def y(v: float) -> float:
        return HEIGHT - 10 - (HEIGHT - 20) * (min(max(v, low), high) - low) / (high - low)

    def x(k: int) -> float:
        return LEFT + (WIDTH - LEFT) * k / (longest - 1)

    lines = tuple(" ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(c)) for c in chains)
    places = max(0, min(6, 2 - math.floor(math.log10(high - low))))
    ticks = tuple((y(v), fixed(v, places)) for v in (low + room, (low + high) / 2, high - room))
    return Trace(str(trace.get("parameter", "")), lines, ticks)


@dataclass(frozen=True)
class Row:
    """R-hat and effective sample size of a parameter so far, as text."""

    parameter: str
    rhat: str
    above: bool  # the chains do not agree yet
    ess: str


AGREED = 1.01  # of R-hat (Vehtari et al. 2021)


def converging_of(rows: Sequence[Mapping[str, Any]] | None) -> list[Row]:
    """R-hat and ESS so far, the worst first."""
    return [
        Row(str(row.get("parameter", "")), _text(row.get("rhat"), 3), (_number(row.get("rhat")) or 0.0) > AGREED,
            _text(row.get("ess"), 0))
        for row in rows or ()
    ]  # fmt: skip


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _text(value: object, places: int) -> str:
    return fixed(_number(value), places) or "–"
