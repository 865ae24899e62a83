"""A picture in pixels: plots with light grids, lines, bands and marks, and the words that go with them.

The light colours of `templates_engine.figures.style` on white, a dash or a shape beside every colour, text of at
least 12 px. The same data give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from templates_engine.figures import style

from . import figures_thinned

Array = npt.NDArray[Any]  # whole numbers too: places, counts
Range = tuple[float, float]

WIDTH = 932  # pixels of every picture
LEFT, RIGHT = 60, 16  # room for the numbers beside a plot, and for what sticks out at the right
OBSERVED, FITTED, FORECAST, FLAG = style.INK, style.SERIES[1], style.SERIES[0], style.SERIES[3]
BANDS = ((95, 0.14), (80, 0.22), (50, 0.34))  # per cent and opacity of a fan, the widest first


class Picture:
    """One SVG. Coordinates are pixels from the upper left corner."""

    def __init__(self, height: int, title: str, words: str, subtitle: str = ""):
        self.height, self.title, self.words = height, title, words
        with mpl.rc_context(style.RC):
            self.figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor=style.WHITE)
        self._artists: list[Any] = []
        self.text(0, 18, title, 17, style.INK, weight="bold")
        if subtitle:
            self.text(0, 40, subtitle, 13, style.INK_2)

    def text(self, x: float, y: float, words: str, size: float = 12, colour: str = style.INK, **where: Any) -> None:
        """Words whose base line begins at (x, y), or as `ha` and `va` say."""
        with mpl.rc_context(style.RC):
            made = Text(x, self.height - y, words, fontsize=size, color=colour, transform=IdentityTransform(), **where)
        self.add(made)

    def add(self, artist: Any) -> None:
        self.figure.add_artist(artist, clip=False)

    def key(self, x: float, y: float, looks: Sequence[tuple[str, str, str]]) -> None:
        """A key on one line: (label, shape, colour); shape is line, dashed, dotted, band, or a marker."""
        for label, shape, colour in looks:
            middle = self.height - y + 4
            if shape.startswith("band"):
                box = Rectangle((x, middle - 5), 24, 10, facecolor=colour, alpha=float(shape[4:]), lw=0)
                box.set_transform(IdentityTransform())
                self.add(box)
            elif shape in _DASHES:
                line = Line2D([x, x + 24], [middle] * 2, lw=2, color=colour, transform=IdentityTransform())
                if _DASHES[shape]:
                    line.set_dashes(_DASHES[shape])
                self.add(line)
            else:
                self.add(_marks(np.array([x + 12.0]), np.array([middle]), shape, colour))
            self.text(x + 30, y, label, 12, style.INK_2)
            x += 30 + 6.9 * len(label) + 22

    def svg(self) -> bytes:
        with mpl.rc_context(style.RC):
            canvas: Any = FigureCanvasSVG(self.figure)
            out = io.StringIO()
            canvas.print_svg(out, metadata={"Date": None})
        return style.finish(out.getvalue(), self.title, self.words, WIDTH, self.height)


_DASHES: dict[str, tuple[float, ...]] = {
    "line": (),
    "dashed": (3.5, 1.5),
    "dotted": (1, 1.5),
    "dashdot": (4, 1.5, 1, 1.5),
}
SHAPES = ("line", "dashed", "dotted", "dashdot")


class Plot:
    """A plot inside a picture: its upper left corner, width and height in pixels, and the ranges it shows."""

    def __init__(
        self,
        picture: Picture,
        left: float,
        top: float,
        width: float,
        height: float,
        x: Range,
        y: Range,
        *,
        title: str = "",
        x_ticks: Sequence[tuple[float, str]] | None = None,
        y_ticks: Sequence[float] | None = None,
        up: int = 4,
    ):
        self.picture, self.left, self.width, self.height = picture, left, width, height
        self.top, self.bottom = picture.height - top, picture.height - top - height
        self.x, self.y = x, y
        self._box = Bbox.from_extents(left - 1, self.bottom - 1, left + width + 1, self.top + 1)
        if title:
            picture.text(left, top - 12, title, 13, style.INK)
        places = list(style.ticks(*y, up)) if y_ticks is None else list(y_ticks)
        heights = self.ups(np.array(places))
        self._segments([[(left, h), (left + width, h)] for h in heights], style.RULE, 1, 0.5)
        for place, label in zip(heights, style.labels(places), strict=True):
            picture.text(left - 8, picture.height - place, label, 12, style.INK_2, ha="right", va="center_baseline")
        if x_ticks is None:
            found = style.ticks(*x)
            x_ticks = list(zip(found, style.labels(found), strict=True))
        ends = [(left, self.bottom), (left + width, self.bottom)]
        across = self.across(np.array([place for place, _ in x_ticks]))
        self._segments([ends, *([(w, self.bottom), (w, self.bottom - 4)] for w in across)], style.EDGE, 1, 0.9)
        for place, (_, label) in zip(across, x_ticks, strict=True):
            picture.text(float(place), top + height + 8, label, 12, style.INK_2, ha="center", va="top")

    def across(self, x: Array) -> Array:
        low, high = self.x
        return np.asarray(self.left + self.width * (x - low) / (high - low))

    def ups(self, y: Array) -> Array:
        low, high = self.y
        return np.asarray(self.bottom + self.height * (y - low) / (high - low))

    def line(self, x: Array, y: Array, colour: str, width: float = 1.5, shape: str = "line", z: float = 2) -> None:
        """A curve, with a gap where y is not finite."""
        across, up = figures_thinned.line(self.across(x), self.ups(y))
        line = Line2D(across, up, lw=width, color=colour, transform=IdentityTransform(), zorder=z)
        line.set_solid_joinstyle("round")
        line.set_clip_box(self._box)
        if _DASHES[shape]:
            line.set_dashes(_DASHES[shape])
        self.picture.add(line)

    def band(self, x: Array, low: Array, high: Array, colour: str, opacity: float) -> None:
        corners = np.concatenate([
            np.column_stack([self.across(x), self.ups(high)]),
            np.column_stack([self.across(x), self.ups(low)])[::-1],
        ])  # fmt: skip
        if np.isfinite(corners).all():
            shape = Polygon(corners, closed=True, facecolor=colour, alpha=opacity, lw=0, zorder=1)
            shape.set_transform(IdentityTransform())
            shape.set_clip_box(self._box)
            self.picture.add(shape)

    def marks(self, x: Array, y: Array, shape: str, colour: str, size: float = 6) -> None:
        across, up = figures_thinned.marks(self.across(x), self.ups(y))
        self.picture.add(_marks(across, up, shape, colour, size))

    def bars(self, x: Array, y: Array, colour: str, width: float) -> None:
        """A stick from zero to each value."""
        good = np.isfinite(y)
        zero = float(self.ups(np.clip(np.zeros(1), *self.y))[0])
        self._segments(figures_thinned.sticks(self.across(x[good]), self.ups(y[good]), zero), colour, width, 2)

    def boxes(self, edges: Array, heights: Array, colour: str) -> None:
        """The bars of a histogram."""
        for low, high, tall in zip(self.across(edges[:-1]), self.across(edges[1:]), self.ups(heights), strict=True):
            if tall > self.bottom:
                box = Rectangle((low, self.bottom), high - low - 1, tall - self.bottom, lw=0, facecolor=colour)
                box.set_transform(IdentityTransform())
                box.set_zorder(1)
                self.picture.add(box)

    def level(self, y: float, shape: str = "dashed", colour: str = style.EDGE, label: str = "") -> None:
        """A thin line across, with a label above its right end."""
        self.line(np.array(self.x), np.array([y, y]), colour, 1, shape, 0.8)
        if label and self.y[0] <= y <= self.y[1]:
            at = self.picture.height - float(self.ups(np.array([y]))[0])
            self.picture.text(self.left + self.width, at - 4, label, 12, style.INK_2, ha="right")

    def upright(self, x: float, label: str = "") -> None:
        """A dotted line from bottom to top, with a label at its upper right."""
        self.line(np.array([x, x]), np.array(self.y), style.EDGE, 1, "dotted", 0.8)
        if label:
            at = float(self.across(np.array([x]))[0])
            self.picture.text(at + 6, self.picture.height - self.top + 12, label, 12, style.INK_2)

    def note(self, x: float, y: float, words: str, **where: Any) -> None:
        """Words at a place given in the data's units."""
        at = float(self.across(np.array([x]))[0]), float(self.ups(np.array([y]))[0])
        self.picture.text(at[0], self.picture.height - at[1], words, 12, style.INK, **where)

    def say(self, sentence: str) -> None:
        self.picture.text(self.left + 8, self.picture.height - self.top + 20, sentence, 13, style.INK_2)

    def _segments(self, segments: Any, colour: str, width: float, z: float) -> None:
        lines = LineCollection(segments, colors=colour, linewidths=width, transform=IdentityTransform(), zorder=z)
        lines.set_capstyle("butt")
        self.picture.add(lines)


def _marks(across: Array, up: Array, shape: str, colour: str, size: float = 6) -> Line2D:
    """Markers in pixels. Hollow shapes are written with a small o in front: "o^"."""
    hollow = len(shape) > 1 and shape[0] == "o"
    marks = Line2D(across, up, ls="", marker=shape[-1], ms=size, color=colour, transform=IdentityTransform(), zorder=4)
    marks.set_markeredgewidth(1.5)
    if hollow:
        marks.set_markerfacecolor(style.WHITE)
    return marks


def padded(values: Array, share: float = 0.06) -> Range:
    """The range of finite values with some room at both ends."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if high <= low:
        room = 0.1 * abs(low) or 1.0
        return low - room, high + room
    return low - share * (high - low), high + share * (high - low)
