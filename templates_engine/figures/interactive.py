"""A picture as numbers and looks, which the page draws in place of the stored SVG: pointed at, zoomed, read by keys.

    Axis    the places that the traces of one or several panels share, with what is said at each
    Trace   a line, band, points, sticks or boxes over an axis
    Rule    a straight line across a panel, at a height or at a place
    Panel   traces in one frame; panels without an axis of their own share the figure's and are zoomed together
    Figure  panels, from above

`as_json` is what `Job.figure(..., data=figure)` keeps beside `name.svg` as `name.svg.json`; static/js/figure draws
it. Numbers are rounded to nine digits: the tables hold them in full.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Look = Literal["ink", "edge", "s1", "s2", "s3", "s4"]  # ink, axis grey, and the four colours of series
DIGITS = 9
PLACE_DIGITS = 13  # of places: minutes of a day, counted in days since 1970


@dataclass(frozen=True)
class Axis:
    """Places across, rising. kind "time": days since 1970-01-01 (UTC), ticked by the calendar; "whole": numbers that
    are names, such as years and lags, ticked without fractions and commas."""

    values: npt.ArrayLike  # (n,)
    labels: Sequence[str] = ()  # (n,) what is said at each; without them the value
    kind: Literal["number", "whole", "time"] = "number"
    title: str = ""


@dataclass(frozen=True)
class Trace:
    """Values at the places of the panel's axis, NaN for a gap.

    y: (n,) from place `first` on; or (k,) at the places `at`; or (k,) over coordinates `x` of its own, rising, which
    are drawn, and with `read` also read out at the axis's places, on the straight line between two of its own. low:
    the lower edge of a band, shaped as y.
    """

    kind: Literal["line", "band", "points", "sticks", "boxes"]
    name: str
    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    first: int = 0
    at: npt.ArrayLike | None = None
    x: npt.ArrayLike | None = None
    look: Look = "s1"
    dash: Literal["solid", "dashed", "dotted", "dashdot"] = "solid"
    width: float = 1.6
    opacity: float = 1.0
    marker: Literal["dot", "triangle", "square"] = "dot"
    hollow: bool = False
    key: bool = True  # named in the key
    right: bool = False  # measured on an axis at the right
    read: bool = False  # read out though it has coordinates of its own


@dataclass(frozen=True)
class Rule:
    """A thin line at a height `y` or a place `x` (in the axis's values); `fit` keeps a height within the frame."""

    y: float | None = None
    x: float | None = None
    label: str = ""
    dash: Literal["solid", "dashed", "dotted"] = "dashed"
    fit: bool = False


@dataclass(frozen=True)
class Panel:
    """One frame. row: how many panels like it stand side by side where there is room."""

    traces: Sequence[Trace]
    title: str = ""
    rules: Sequence[Rule] = ()
    height: int = 300  # pixels of the frame
    x: Axis | None = None
    range: tuple[float, float] | None = None  # of y; without it that of what is in view
    floor: bool = False  # where no value is under zero and zero is near, the frame begins there
    bare: bool = False  # the panel under it has the labels of the axis
    row: int = 1


@dataclass(frozen=True)
class Figure:
    """view: the first and last place shown at first; the reader can have the others."""

    title: str
    panels: Sequence[Panel]
    x: Axis | None = None
    view: tuple[float, float] | None = None
    note: str = ""


def as_json(figure: Figure) -> bytes:
    """The figure as the page reads it: what has its usual value is left out. The same figure gives the same bytes."""
    content = {
        "title": figure.title,
        "note": figure.note,
        "x": _axis(figure.x),
        "view": [_number(v, PLACE_DIGITS) for v in figure.view] if figure.view else None,
        "panels": [_panel(panel) for panel in figure.panels],
    }
    return (json.dumps(_kept(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def _kept(content: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in content.items() if v is not None and v is not False and v not in ("", [])}


def _number(value: float, digits: int = DIGITS) -> float | int | None:
    value = float(value)
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _numbers(values: npt.ArrayLike, digits: int = DIGITS) -> list[float | int | None]:
    return [_number(v, digits) for v in np.asarray(values, np.float64).tolist()]


def _axis(axis: Axis | None) -> dict[str, Any] | None:
    """Equal steps, to a millionth of one, are written as (from, step, n)."""
    if axis is None:
        return None
    values = np.asarray(axis.values, np.float64)
    if (np.diff(values) < 0).any():
        raise ValueError("the places of an axis rise")
    if axis.labels and len(axis.labels) != len(values):
        raise ValueError(f"{len(axis.labels)} labels for {len(values)} places")
    place: dict[str, Any] = {"values": _numbers(values, PLACE_DIGITS)}
    n = len(values)
    step = float(values[-1] - values[0]) / (n - 1) if n > 1 else 0.0
    if step > 0 and np.abs(values - (values[0] + step * np.arange(n))).max() < 1e-6 * step:
        place = {"from": float(values[0]), "step": step, "n": n}
    kind = axis.kind if axis.kind != "number" else ""
    return _kept({**place, "labels": list(axis.labels), "kind": kind, "title": axis.title})


def _panel(panel: Panel) -> dict[str, Any]:
    return _kept({
        "title": panel.title, "height": panel.height, "x": _axis(panel.x),
        "range": [_number(v) for v in panel.range] if panel.range else None,
        "floor": panel.floor, "bare": panel.bare, "row": panel.row if panel.row > 1 else None,
        "traces": [_trace(trace) for trace in panel.traces],
        "rules": [_rule(rule) for rule in panel.rules],
    })  # fmt: skip


def _trace(trace: Trace) -> dict[str, Any]:
    y = np.asarray(trace.y, np.float64)
    low = None if trace.low is None else np.asarray(trace.low, np.float64)
    found = _kept({
        "kind": trace.kind, "name": trace.name, "look": trace.look,
        "dash": trace.dash if trace.dash != "solid" else "", "hollow": trace.hollow, "right": trace.right,
        "marker": trace.marker if trace.kind == "points" else "",
        "width": trace.width if trace.kind != "points" else None,
        "opacity": trace.opacity if trace.opacity < 1 else None, "nokey": not trace.key,
    })  # fmt: skip
    if trace.at is not None:
        found["at"] = [int(k) for k in np.asarray(trace.at).tolist()]
    elif trace.x is not None:
        found["x"] = _numbers(trace.x, PLACE_DIGITS)
        found |= {"read": True} if trace.read else {}
    else:
        seen = np.flatnonzero(np.isfinite(y))
        begin, end = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
        y, low = y[begin:end], None if low is None else low[begin:end]
        found |= {"first": trace.first + begin} if trace.first + begin else {}
    found["y"] = _numbers(y)
    if low is not None:
        found["low"] = _numbers(low)
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    dash = rule.dash if rule.dash != "dashed" else ""
    place = {"y": None if rule.y is None else _number(rule.y), "x": None if rule.x is None else float(rule.x)}
    return _kept({**place, "label": rule.label, "dash": dash, "fit": rule.fit})
