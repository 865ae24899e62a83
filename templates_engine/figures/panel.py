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
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from templates_engine.figures import style

Array = npt.NDArray[np.float64]
Range = tuple[float, float]

WIDTH, HEIGHT = 352, 150  # pixels of the plot itself
MARGIN = 56  # beside it: at the left for its numbers, at the right for labels at the lines' ends


class PlotPanel:
    """A plot whose lower left corner is at (left, bottom) of the figure, in pixels, y upwards.

    Call `scales` before anything is drawn: what is drawn is given in the data's own units.
    """

    def __init__(
        self, figure: Figure, left: float, bottom: float, title: str, width: float = WIDTH, height: float = HEIGHT
    ):
        self.figure, self.left, self.bottom = figure, left, bottom
        self.width, self.height = width, height
        self._x: Range = (0.0, 1.0)
        self._y: Range = (0.0, 1.0)
        self._box = Bbox.from_bounds(left, bottom, self.width, self.height)
        self._text(left - MARGIN, bottom + self.height + 14, title, 13, style.INK, va="baseline")

    def scales(
        self,
        x: Range,
        y: Range,
        x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None,
        x_words: Sequence[str] | None = None,
    ) -> None:
        """The ranges shown; a light line at each tick of y, a short mark at each tick of x, and their numbers.

        `x_words` stand in the place of the numbers of x_ticks.
        """
        self._x, self._y = x, y
        across, up = list(x_ticks or style.ticks(*x)), list(y_ticks or style.ticks(*y))
        right, low = self.left + self.width, self.bottom
        grid = [[(self.left, h), (right, h)] for h in self._up(np.array(up))]
        self._segments(grid, style.RULE, 1)
        marks = [[(w, low), (w, low - 4)] for w in self._across(np.array(across))]
        self._segments([*marks, [(self.left, low), (right, low)]], style.EDGE, 1)
        for place, label in zip(self._across(np.array(across)), x_words or style.labels(across), strict=True):
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

    def boxes(self, left: Array, right: Array, top: Array, colour: str) -> None:
        """Filled boxes from zero to `top`, with a thin light line between neighbours; all of them one shape."""
        west, east, north = self._across(left), self._across(right), self._up(top)
        south = np.broadcast_to(self._up(np.zeros(1)), north.shape)
        corners = [np.stack(c, axis=1) for c in ((west, south), (west, north), (east, north), (east, south))]
        self.polygons(np.stack(corners, axis=1)[top > 0], colour, style.WHITE, 0.75)

    def polygons(self, corners: Array, colour: str, edge: str = "none", width: float = 0.0) -> None:
        """(k, corners, 2) polygons in pixels, drawn as one shape, so that a thousand cost little."""
        k, n, _ = corners.shape
        if not k:
            return
        points = np.concatenate([corners, corners[:, :1]], axis=1).reshape(-1, 2)
        codes = np.tile([Path.MOVETO, *[Path.LINETO] * (n - 1), Path.CLOSEPOLY], k)
        path = Path(points, codes.astype(np.uint8))
        path.should_simplify = False
        patch = PathPatch(path, facecolor=colour, edgecolor=edge, linewidth=width, transform=IdentityTransform())
        patch.set_zorder(2.5)  # over the grid
        self.figure.add_artist(patch, clip=False)

    def dots(self, x: Array, y: Array, colour: str, radius: float) -> None:
        """Filled circles as one shape: lines of no length with round ends, three times shorter than arcs."""
        at = self.pixels(x, y)
        points = np.stack([at, at + np.array([0.01, 0.0])], axis=1).reshape(-1, 2)
        path = Path(points, np.tile([Path.MOVETO, Path.LINETO], len(at)).astype(np.uint8))
        path.should_simplify = False
        patch = PathPatch(path, fill=False, edgecolor=colour, linewidth=2 * radius, transform=IdentityTransform())
        patch.set_capstyle("round")
        patch.set_zorder(2.5)
        self.figure.add_artist(patch, clip=False)

    def pixels(self, x: Array, y: Array) -> Array:
        """(k, 2) where points of the data lie on the figure."""
        return np.stack([self._across(x), self._up(y)], axis=1)

    def text(self, x: float, y: float, text: str) -> None:
        """Text at a place of the figure, in pixels."""
        self._text(x, y, text, 12, style.INK, va="center_baseline")

    def sample(self, x: float, to: float, y: float, colour: str, dashes: Sequence[float]) -> None:
        """A piece of a line for a key, in pixels."""
        line = Line2D([x, to], [y, y], lw=1.5, color=colour, transform=IdentityTransform())
        if dashes:
            line.set_dashes(dashes)
        self.figure.add_artist(line, clip=False)

    def under(self, text: str) -> None:
        """What x is, under its numbers, at the right end."""
        self._text(self.left + self.width, self.bottom - 30, text, 12, style.INK, ha="right", va="top")

    def label(self, y: float, text: str) -> None:
        """A label in ink at the right end of a line."""
        self._text(
            self.left + self.width + 6, float(self._up(np.array([y]))[0]), text, 12, style.INK, va="center_baseline"
        )

    def key(self, title: str, looks: Sequence[tuple[str, str, Sequence[float]]], rest: str = "") -> None:
        """A key at the upper right: (label, colour, dashes) of each line, and what stands for those left out."""
        right, top = self.left + self.width, self.bottom + self.height - 8
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
        self._text(self.left - MARGIN, self.bottom + self.height - 10, sentence, 13, style.INK_2, va="center_baseline")

    def _across(self, x: Array) -> Array:
        low, high = self._x
        return np.asarray(self.left + self.width * (x - low) / (high - low))

    def _up(self, y: Array) -> Array:
        low, high = self._y
        return np.asarray(self.bottom + self.height * (y - low) / (high - low))

    def _segments(self, segments: Any, colour: str, width: float) -> None:
        lines = LineCollection(segments, colors=colour, linewidths=width, transform=IdentityTransform())
        lines.set_capstyle("butt")
        self.figure.add_artist(lines, clip=False)

    def _text(self, x: float, y: float, text: str, size: float, colour: str, **where: Any) -> None:
        self.figure.add_artist(
            Text(x, y, text, fontsize=size, color=colour, transform=IdentityTransform(), **where), clip=False
        )
