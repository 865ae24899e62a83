"""The six-part picture of one parameter: trace, density, ACF, PACF, Monte Carlo error, Brooks-Gelman-Rubin.

Chains are drawn apart in the trace and the density, joined for the autocorrelations and the Monte Carlo error,
and compared in the last plot. The same draws give the same bytes.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from templates_engine.figures import curves, style
from templates_engine.figures.describe import Numbers, describe, details, numbers_of
from templates_engine.figures.panel import HEIGHT as PLOT_HEIGHT, MARGIN, PlotPanel

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 932, 748  # pixels; a figure of 72 dots an inch makes one pixel of each point
_LEFTS, _TOPS = (MARGIN, 468 + MARGIN), (92, 326, 560)
_KEYED = 8  # chains with a line in the key


def sixway(values: Array, title: str, first: int = 1, thin: int = 1, numbers: Numbers | None = None) -> bytes:
    """SVG of the draws (chain, draw) of one parameter.

    first: iteration of the first draw; thin: iterations between draws; numbers: its mean, sd, mcse, rhat and so on
    (figures.describe.numbers_of), if they are there already. Any draws give a picture: what cannot be drawn is
    replaced by a line that says why. A draw that is not finite leaves a gap.
    """
    values = np.asarray(values, dtype=np.float64)
    numbers = numbers or numbers_of(values)
    values = _drawable(values)
    usable = values[:, np.isfinite(values).all(axis=0)] if values.size else values
    joined = usable.reshape(-1)
    gelman = curves.brooks_gelman_rubin(usable)
    words = describe(values, numbers)
    more = details(values, numbers, gelman)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor=style.WHITE)
        canvas: Any = FigureCanvasSVG(figure)
        figure.text(0, 1 - 18 / HEIGHT, title, size=17, color=style.INK, va="baseline", weight="bold")
        figure.text(0, 1 - 42 / HEIGHT, words, size=13, color=style.INK_2, va="baseline")
        _trace(_panel(figure, 0, 0, "Trace"), values, first, thin)
        _density(_panel(figure, 0, 1, "Density"), usable)
        _acf(_panel(figure, 1, 0, f"Autocorrelation, lag 0 to {curves.ACF_LAGS}"), joined)
        _pacf(_panel(figure, 1, 1, f"Partial autocorrelation, lag 1 to {curves.PACF_LAGS}"), joined)
        _mcse(_panel(figure, 2, 0, "Monte Carlo standard error of the mean"), numbers["mcse"], joined.size)
        _bgr(_panel(figure, 2, 1, "Brooks–Gelman–Rubin ratio, aim 1.0"), gelman, usable, thin)
        out = io.StringIO()
        canvas.print_svg(out, metadata={"Date": None})
    return style.finish(out.getvalue(), title, f"{words} {more}".strip(), WIDTH, HEIGHT)


def _panel(figure: Figure, row: int, column: int, title: str) -> PlotPanel:
    return PlotPanel(figure, _LEFTS[column], HEIGHT - _TOPS[row] - PLOT_HEIGHT, title)


def _drawable(values: Array) -> Array:
    """Without sizes whose squares no double can hold: they are drawn as missing, or as zero."""
    size = np.abs(values)
    values = np.where(size > 1e100, np.nan, values)
    return np.where(size < 1e-100, 0.0, values)


# The plots


def _trace(panel: PlotPanel, values: Array, first: int, thin: int) -> None:
    chains, kept = values.shape
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return panel.say("There are no draws to show.")
    last = first + thin * (kept - 1)
    panel.scales((first - thin, max(last, first + 1)), _padded(float(finite.min()), float(finite.max())))
    for k in range(chains):
        colour, _ = style.look(k)
        if kept == 1:
            panel.points(np.array([float(first)]), values[k], colour)
        else:
            where, drawn = curves.thinned(values[k])
            panel.line(first + thin * where, drawn, colour, 0.7, join="bevel")
    return None


def _density(panel: PlotPanel, values: Array) -> None:
    chains, kept = values.shape
    if kept < 2 or np.ptp(values) == 0:
        return panel.say("The draws do not vary." if kept >= 2 else "One draw a chain has no density.")
    # One draw in a thousand may lie outside: a long tail would squeeze the rest into a spike.
    tails = np.quantile(values, [0.0005, 0.9995])
    low, high = _padded(float(tails[0]), float(tails[1]), 0.1)
    if values.min() > 0:
        low = max(low, 0.0)
    found = [curves.density(values[k], low, high) for k in range(chains)]
    top = max(float(height.max()) for _, height in found) or 1.0
    panel.scales((low, high), (0.0, 1.08 * top))
    for k, (where, height) in enumerate(found):
        panel.line(where, height, *_coloured(k))
    if chains > 1:
        rest = f"and {chains - _KEYED} more" if chains > _KEYED else ""
        panel.key("Chain", [(str(k + 1), *style.look(k)) for k in range(min(chains, _KEYED))], rest)
    return None


def _acf(panel: PlotPanel, joined: Array) -> None:
    if joined.size < 3 or np.ptp(joined) == 0:
        return panel.say(_too_few(joined))
    rho = curves.autocorrelation(joined)
    low = _lowest(rho, joined.size)
    panel.scales((-1, curves.ACF_LAGS + 1), (low, 1.05), [0, 25, 50, 75, 100], _halves(low))
    return _bars(panel, np.arange(len(rho), dtype=np.float64), rho, joined.size, 1.8)


def _pacf(panel: PlotPanel, joined: Array) -> None:
    if joined.size < 3 or np.ptp(joined) == 0:
        return panel.say(_too_few(joined))
    phi = curves.partial_autocorrelation(joined)
    lags, low = curves.PACF_LAGS, _lowest(phi, joined.size)
    panel.scales((0.5, lags + 0.5), (low, 1.05), list(range(1, lags + 1)), _halves(low))
    return _bars(panel, np.arange(1, len(phi) + 1, dtype=np.float64), phi, joined.size, 5)


def _mcse(panel: PlotPanel, mcse: float, draws: int) -> None:
    if not np.isfinite(mcse) or draws == 0:
        return panel.say("Needs draws that vary, at least four a chain.")
    length, error = curves.standard_error(mcse, draws)
    panel.scales((0, draws), (0.0, 1.05 * float(error[0])))
    panel.line(length, error, style.SERIES[0])
    return panel.label(mcse, style.number(mcse, 2))


def _bgr(panel: PlotPanel, found: curves.Gelman | None, values: Array, thin: int) -> None:
    if found is None:
        one = values.shape[0] == 1
        return panel.say("Compares chains: this run has one." if one else "Needs draws that vary, 20 a chain.")
    ratio = found.ratio[np.isfinite(found.ratio)]
    # A first ratio of 30 would flatten everything after it: the scale follows the later curve.
    high = max(1.1, 1.05 * float(ratio[len(ratio) // 4 :].max(initial=1.0)))
    low = min(0.9, float(found.within.min()), float(found.between.min())) - 0.02
    panel.scales((0, thin * values.shape[1]), (low, high))
    panel.level(1.0, (1, 2))
    lines = (
        ("ratio", found.ratio, style.RATIO, style.DASHES[0]),
        ("between", found.between, style.BETWEEN, style.DASHES[1]),
        ("within", found.within, style.WITHIN, style.DASHES[2]),
    )
    ends = []
    for _, curve, colour, dashes in lines:
        panel.line(thin * found.length.astype(np.float64), curve, colour, 1.7, dashes)
        ends.append(min(float(curve[-1]), high) if np.isfinite(curve[-1]) else high)
    for (name, *_), place in zip(lines, _apart(ends, 15 / PLOT_HEIGHT * (high - low)), strict=True):
        panel.label(place, name)
    return None


# Their parts


def _coloured(chain: int) -> tuple[str, float, tuple[float, ...]]:
    colour, dashes = style.look(chain)
    return colour, 1.5, dashes


def _bars(panel: PlotPanel, lags: Array, heights: Array, n: int, width: float) -> None:
    """Bars, and between dashed lines what 95% of uncorrelated series would show."""
    for level in (-1.96, 1.96):
        panel.level(level / float(np.sqrt(n)), (4, 3))
    panel.bars(lags, heights, width)


def _lowest(heights: Array, n: int) -> float:
    lowest = float(np.nanmin(heights)) if np.isfinite(heights).any() else 0.0
    return min(-0.15, 1.1 * lowest, -1.2 * 1.96 / float(np.sqrt(n)))


def _halves(low: float) -> list[float]:
    return [t for t in (-1.0, -0.5, 0.0, 0.5, 1.0) if t >= low]


def _apart(places: list[float], gap: float) -> list[float]:
    """Move labels that would overlap, keeping their order from below."""
    order = np.argsort(places, kind="stable")
    moved = np.array(places, dtype=float)[order]
    for _ in range(20):
        for k in range(len(moved) - 1):
            short = gap - (moved[k + 1] - moved[k])
            if short > 1e-9:
                moved[k] -= short / 2
                moved[k + 1] += short / 2
    back = np.empty_like(moved)
    back[order] = moved
    return [float(x) for x in back]


def _padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    if high <= low:
        room = 0.1 * abs(low) or 1.0
        return low - room, high + room
    return low - share * (high - low), high + share * (high - low)


def _too_few(joined: Array) -> str:
    return "The draws do not vary." if joined.size >= 3 else "Too few draws."
