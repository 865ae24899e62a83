"""A picture of any size: its title, a line of words, and plots of one or several panels under them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from templates_engine.figures import style
from templates_engine.figures.panel import MARGIN, PlotPanel

WIDTH = 932  # pixels
_TOP, _BETWEEN, _FOOT = 92, 100, 68  # over the first panels, from panels to those under them, under the last
SINGLE = (816, 380)  # a panel that stands alone
SEVERAL = (352, 200)


def picture(title: str, words: str, n: int, paint: Callable[[int, Callable[[str], PlotPanel]], None]) -> bytes:
    """SVG with `n` panels, two in a row where there are several.

    paint(k, panel) draws the kth: panel(title) makes it. The same calls give the same bytes.
    """
    width, height = SINGLE if n == 1 else SEVERAL
    rows = 1 if n == 1 else -(-n // 2)
    total = _TOP + rows * height + (rows - 1) * _BETWEEN + _FOOT
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(WIDTH / 72, total / 72), dpi=72, facecolor=style.WHITE)
        canvas: Any = FigureCanvasSVG(figure)
        figure.text(0, 1 - 18 / total, cut(title, 0.7 * WIDTH), size=17, color=style.INK, va="baseline", weight="bold")
        figure.text(0, 1 - 42 / total, cut(words, 0.95 * WIDTH), size=13, color=style.INK_2, va="baseline")
        for k in range(n):
            left = MARGIN + (k % 2) * (SEVERAL[0] + 2 * MARGIN + 4)
            bottom = total - _TOP - (k // 2) * (height + _BETWEEN) - height
            paint(k, partial(_panel, figure, left, bottom, width, height))
        out = io.StringIO()
        canvas.print_svg(out, metadata={"Date": None})
    return style.finish(out.getvalue(), title, words, WIDTH, total)


def _panel(figure: Figure, left: float, bottom: float, width: float, height: float, title: str) -> PlotPanel:
    return PlotPanel(figure, left, bottom, title, width, height)


def cut(text: str, pixels: float) -> str:
    """Text of size 12 that fits into so many pixels, about 7 a character."""
    most = max(2, int(pixels / 7))
    return text if len(text) <= most else text[: most - 1] + "…"
