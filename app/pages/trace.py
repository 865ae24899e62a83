"""What grows while a run goes on, drawn: the chains of one parameter, and the curves that a template declares."""

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
class Drawn:
    """A curve: lines of (name, points of a polyline, the last value), ticks of both axes as (place, text)."""

    title: str
    across: str
    about: str
    lines: tuple[tuple[str, str, str], ...]
    ticks: tuple[tuple[float, str], ...]
    along: tuple[tuple[float, str], ...]


def curves_of(curves: Sequence[Mapping[str, Any]] | None) -> list[Drawn]:
    """The pictures of the curves that have a line of two points."""
    found = (_curve(each) for each in curves or ())
    return [drawn for drawn in found if drawn is not None]


def _curve(curve: Mapping[str, Any]) -> Drawn | None:
    lines = {str(line.get("name", "")): [(float(a), float(b)) for a, b in line.get("points") or ()]
             for line in curve.get("lines") or ()}  # fmt: skip
    points = [p for line in lines.values() for p in line]
    if not points or max(map(len, lines.values())) < 2:
        return None
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    bottom, top = low - room, high + room

    def x(v: float) -> float:
        return LEFT + 6 + (WIDTH - LEFT - 12) * (v - left) / ((right - left) or 1.0)

    def y(v: float) -> float:
        return HEIGHT - 10 - (HEIGHT - 20) * (v - bottom) / (top - bottom)

    places = max(0, min(6, 2 - math.floor(math.log10(top - bottom))))
    values = (low, (low + high) / 2, high) if high > low else (low,)
    steps = sorted({round(left + (right - left) * k / 4) for k in range(5)})
    return Drawn(
        str(curve.get("title", "")),
        str(curve.get("across", "")),
        str(curve.get("about", "")),
        tuple(
            (name, " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line), fixed(line[-1][1], places))
            for name, line in lines.items()
            if line
        ),
        tuple((y(v), fixed(v, places)) for v in values),
        tuple((x(v), fixed(v, 0)) for v in steps if left <= v <= right),
    )


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
