"""One plot of a picture, drawn straight onto the figure in pixels.

matplotlib's own axes make some forty objects for each tick; for six plots that is most of the time a picture
takes. Here a plot is its lines, a grid, and the few texts that are really there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from templates_engine.figures import style

Array = npt.NDArray[np.float64]
Range = tuple[float, float]

WIDTH, HEIGHT = 352, 150  # pixels of the plot itself
MARGIN = 56  # beside it: at the left for its numbers, at the right for labels at the lines' ends


class Panel:
    """A plot whose lower left corner is at (left, bottom) of the figure, in pixels, y upwards.

    Call `scales` before anything is drawn: what is drawn is given in the data's own units.
    """

    def __init__(self, figure: Figure, left: float, bottom: float, title: str):
        self.figure, self.left, self.bottom = figure, left, bottom
        self._x: Range = (0.0, 1.0)
        self._y: Range = (0.0, 1.0)
        self._box = Bbox.from_bounds(left, bottom, WIDTH, HEIGHT)
        self._text(left - MARGIN, bottom + HEIGHT + 14, title, 13, style.INK, va="baseline")

    def scales(
        self, x: Range, y: Range, x_ticks: Sequence[float] | None = None, y_ticks: Sequence[float] | None = None
    ) -> None:
        """The ranges shown; a light line at each tick of y, a short mark at each tick of x, and their numbers."""
        self._x, self._y = x, y
        across, up = list(x_ticks or style.ticks(*x)), list(y_ticks or style.ticks(*y))
        right, low = self.left + WIDTH, self.bottom
        grid = [[(self.left, h), (right, h)] for h in self._up(np.array(up))]
        self._segments(grid, style.RULE, 1)
        marks = [[(w, low), (w, low - 4)] for w in self._across(np.array(across))]
        self._segments([*marks, [(self.left, low), (right, low)]], style.EDGE, 1)
        for place, label in zip(self._across(np.array(across)), style.labels(across), strict=True):
            self._text(place, low - 8, label, 12, style.INK_2, ha="center", va="top")
        for place, label in zip(self._up(np.array(up)), style.labels(up), strict=True):
            self._text(self.left - 6, place, label, 12, style.INK_2, ha="right", va="center_baseline")

    def line(
        self, x: Array, y: Array, colour: str, width: float = 1.5, dashes: Sequence[float] = (), join: str = "round"
    ) -> None:
        """A curve, cut off at the plot's edges; a gap where y is not finite."""
        line = Line2D(self._across(x), self._up(y), lw=width, color=colour, transform=IdentityTransform())
        line.set_solid_joinstyle(join)  # type: ignore[arg-type]
        line.set_clip_box(self._box)
        if dashes:
            line.set_dashes(dashes)
        self.figure.add_artist(line, clip=False)

    def points(self, x: Array, y: Array, colour: str) -> None:
        """A dot for each."""
        dots = Line2D(self._across(x), self._up(y), ls="", marker="o", ms=5, color=colour)
        dots.set_transform(IdentityTransform())
        self.figure.add_artist(dots, clip=False)

    def level(self, y: float, dashes: Sequence[float]) -> None:
        """A thin dashed line across."""
        self.line(np.array(self._x), np.array([y, y]), style.EDGE, 1, dashes)

    def bars(self, x: Array, heights: Array, width: float) -> None:
        """A bar from zero to each height, `width` pixels wide."""
        good = np.isfinite(heights)
        zero = float(self._up(np.zeros(1))[0])
        ends = zip(self._across(x[good]), self._up(heights[good]), strict=True)
        self._segments([[(w, zero), (w, h)] for w, h in ends], style.SERIES[0], width)

    def label(self, y: float, text: str) -> None:
        """A label in ink at the right end of a line."""
        self._text(self.left + WIDTH + 6, float(self._up(np.array([y]))[0]), text, 12, style.INK, va="center_baseline")

    def key(self, title: str, looks: Sequence[tuple[str, str, Sequence[float]]], rest: str = "") -> None:
        """A key at the upper right: (label, colour, dashes) of each line, and what stands for those left out."""
        right, top = self.left + WIDTH, self.bottom + HEIGHT - 8
        self._text(right - 74, top, title, 12, style.INK_2, ha="right", va="center_baseline")
        for k, (label, colour, dashes) in enumerate(looks):
            sample = Line2D([right - 68, right - 42], [top - 16 * k] * 2, lw=1.5, color=colour)
            sample.set_transform(IdentityTransform())
            if dashes:
                sample.set_dashes(dashes)
            self.figure.add_artist(sample, clip=False)
            self._text(right - 36, top - 16 * k, label, 12, style.INK, va="center_baseline")
        if rest:
            self._text(right - 68, top - 16 * len(looks), rest, 12, style.INK_2, va="center_baseline")

    def say(self, sentence: str) -> None:
        """A sentence where a plot cannot be."""
        self._text(self.left - MARGIN, self.bottom + HEIGHT - 10, sentence, 13, style.INK_2, va="center_baseline")

    def _across(self, x: Array) -> Array:
        low, high = self._x
        return np.asarray(self.left + WIDTH * (x - low) / (high - low))

    def _up(self, y: Array) -> Array:
        low, high = self._y
        return np.asarray(self.bottom + HEIGHT * (y - low) / (high - low))

    def _segments(self, segments: Any, colour: str, width: float) -> None:
        lines = LineCollection(segments, colors=colour, linewidths=width, transform=IdentityTransform())
        lines.set_capstyle("butt")
        self.figure.add_artist(lines, clip=False)

    def _text(self, x: float, y: float, text: str, size: float, colour: str, **where: Any) -> None:
        self.figure.add_artist(
            Text(x, y, text, fontsize=size, color=colour, transform=IdentityTransform(), **where), clip=False
        )
