"""Series against one x: points or lines, told apart by colour and by shape; many points as hexagons of counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.figures import style
from templates_engine.figures.canvas import cut, picture
from templates_engine.figures.curves import thinned
from templates_engine.figures.panel import MARGIN, PlotPanel

Array = npt.NDArray[np.float64]
MOST_POINTS = 5000  # drawn one by one; more become hexagons
TOGETHER = 4  # series in one panel; more get a panel each
_SHADES = ("#d5e2f0", "#a3c1df", "#6799c6", "#2f6fa8", "#0b3e6e")  # few to many points in a hexagon
_HEXAGON = 7.0  # pixels from its centre to a corner
_SHAPES: tuple[Array | None, ...] = (  # corners around the point for a radius of 1; None is a circle
    None,
    np.array([(-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)]),
    np.array([(0.0, 1.35), (1.17, -0.67), (-1.17, -0.67)]),
    np.array([(0.0, 1.25), (1.25, 0.0), (0.0, -1.25), (-1.25, 0.0)]),
)


@dataclass(frozen=True)
class Series:
    """One y: its name and its points, none of them missing."""

    name: str
    x: Array
    y: Array


def scatter(series: Sequence[Series], x_name: str, lines: bool, title: str, words: str) -> bytes:
    """SVG of the series. Lines join the points in order of x."""
    counted = hexagons(series, lines)
    apart = len(series) > TOGETHER or (counted and len(series) > 1)
    groups = [[one] for one in series] if apart else [list(series)]

    def paint(k: int, make: Callable[[str], PlotPanel]) -> None:
        mine = groups[k]
        panel = make(mine[0].name if len(mine) == 1 else "")
        xs, ys = (np.concatenate([getattr(one, axis) for one in mine]) for axis in ("x", "y"))
        if not len(xs):
            return panel.say("There are no points to show.")
        panel.scales(_range(xs), _range(ys))
        panel.under(x_name)
        for place, one in enumerate(mine):
            if lines:
                _line(panel, one, 0 if apart else place)
            elif counted:
                _hexagons(panel, one)
            else:
                _points(panel, one, 0 if apart else place, 3.0 if sum(len(s.x) for s in mine) <= 1000 else 2.0)
        if len(mine) > 1:
            _key(panel, mine, lines)
        return None

    return picture(title, words, len(groups), paint)


def hexagons(series: Sequence[Series], lines: bool) -> bool:
    """Whether there are so many points that their density is drawn."""
    return not lines and sum(len(one.x) for one in series) > MOST_POINTS


def _range(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) if high > low else 0.1 * abs(low) or 1.0
    return low - room, high + room


def _points(panel: PlotPanel, one: Series, place: int, radius: float) -> None:
    shape = _SHAPES[place]
    if shape is None:
        panel.dots(one.x, one.y, style.SERIES[place], radius)
    else:
        panel.polygons(panel.pixels(one.x, one.y)[:, None, :] + radius * shape[None], style.SERIES[place])


def _line(panel: PlotPanel, one: Series, place: int) -> None:
    order = np.argsort(one.x, kind="stable")
    at, drawn = thinned(one.y[order])
    panel.line(one.x[order][at.astype(int)], drawn, style.SERIES[place], 1.5, style.DASHES[place])


def _key(panel: PlotPanel, series: Sequence[Series], lines: bool) -> None:
    """Shape, colour and name of each series, in a row over the plot."""
    y, room = panel.bottom + panel.height + 20, panel.width / len(series)
    for place, one in enumerate(series):
        x = panel.left + place * room
        if lines:
            panel.sample(x, x + 26, y, style.SERIES[place], style.DASHES[place])
        else:
            shape = _SHAPES[place]
            centre = np.array([x + 13, y])
            corners = _circle() if shape is None else shape
            panel.polygons((centre + 4.5 * corners)[None], style.SERIES[place])
        panel.text(x + 34, y, cut(one.name, room - 44))


def _circle(corners: int = 24) -> Array:
    angle = 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _hexagons(panel: PlotPanel, one: Series) -> None:
    """Counts in a lattice of hexagons (Carr et al. 1987), in classes that double or grow tenfold."""
    centres, counts = lattice(panel.pixels(one.x, one.y), _HEXAGON)
    steps = classes(int(counts.max()))
    angle = np.pi / 6 + np.pi / 3 * np.arange(6)
    corners = _HEXAGON * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x, y = panel.left - MARGIN, panel.bottom - 54
    panel.text(x, y, "Points")
    x += 48
    for k, low in enumerate(steps):
        last = steps[k + 1] - 1 if k + 1 < len(steps) else int(counts.max())
        inside = (counts >= low) & (counts <= last)
        panel.polygons(centres[inside][:, None, :] + corners[None], _SHADES[k])
        panel.polygons((np.array([x + 6, y]) + corners)[None], _SHADES[k])
        word = f"{low:,}" if last == low else f"{low:,}–{last:,}"
        panel.text(x + 16, y, word)
        x += 26 + 6.6 * len(word)


def lattice(at: Array, radius: float) -> tuple[Array, npt.NDArray[np.int64]]:
    """(k, 2) centres of the hexagons that hold points (n, 2), and how many each holds."""
    width, height = np.sqrt(3.0) * radius, 3.0 * radius  # of the two rectangular lattices that make one of hexagons
    scaled = at / [width, height]
    first, second = np.rint(scaled), np.floor(scaled) + 0.5
    squares = [(((scaled - c) * [width, height]) ** 2).sum(axis=1) for c in (first, second)]
    nearest = np.where((squares[0] <= squares[1])[:, None], first, second)
    found, counts = np.unique(np.rint(2 * nearest).astype(np.int64), axis=0, return_counts=True)
    return found / 2 * [width, height], counts


def classes(most: int) -> list[int]:
    """Lower limits of at most five classes of counts from 1 to `most`, growing by one factor."""
    factor = next(f for f in (2, 3, 4, 5, 10, 20, 50, 100, 1000, 10**4, 10**6, 10**9) if f**5 > most)
    return [factor**k for k in range(5) if factor**k <= most]
