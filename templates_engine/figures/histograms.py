"""Histograms: one, or one a group on the same scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.figures import style
from templates_engine.figures.canvas import cut, picture
from templates_engine.figures.panel import PlotPanel

Array = npt.NDArray[np.float64]
_GAP = 0.1  # share of a bar's width left empty between the bars of separate values


@dataclass(frozen=True)
class Bins:
    """Edges (b + 1,), and for a variable of few whole values the word of each bar, "" where the number will do."""

    edges: Array
    words: tuple[str, ...] = ()
    separate: bool = False  # each bar is one value

    @property
    def centres(self) -> Array:
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2)


def histogram(
    bins: Bins, heights: Sequence[Array], panels: Sequence[str], unit: str, name: str, title: str, words: str
) -> bytes:
    """SVG of bars over the bins: `heights` (b,) of each panel, in `unit` ("Rows"), of the variable `name`."""
    top = 1.05 * max((float(h.max(initial=0)) for h in heights), default=1.0) or 1.0
    gap = _GAP * (bins.edges[1:] - bins.edges[:-1]) / 2 if bins.separate else 0.0

    def paint(k: int, make: Callable[[str], PlotPanel]) -> None:
        panel = make(f"{panels[k]}, {unit.lower()}" if panels[k] else unit)
        ticks, said = None, None
        if bins.separate and len(bins.centres) <= 30:
            ticks = [float(c) for c in bins.centres]
            if bins.words:
                said = [cut(word, panel.width / len(ticks)) for word in bins.words]
            elif len(ticks) > panel.width / 40:
                ticks = None
        panel.scales((float(bins.edges[0]), float(bins.edges[-1])), (0.0, top), ticks, None, said)
        panel.boxes(bins.edges[:-1] + gap, bins.edges[1:] - gap, heights[k], style.SERIES[0])
        panel.under(name)

    return picture(title, words, len(heights), paint)
