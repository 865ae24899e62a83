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
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from templates_engine.figures import curves, style
from templates_engine.figures.describe import describe, details
from templates_engine.sampling.diagnostics import measures

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 932, 748  # pixels; a figure of 72 dots an inch makes one pixel of each point
_LEFTS, _TOPS = (56, 524), (92, 326, 560)  # of the axes, with 56 for their labels
_W, _H = 352, 150  # of the axes; another 56 at the right for labels at the lines' ends


def sixway(values: Array, title: str, first: int = 1, thin: int = 1) -> bytes:
    """SVG of the draws (chain, draw) of one parameter.

    first: iteration of the first draw; thin: iterations between draws. Any draws give a picture: what cannot be
    drawn is replaced by a line that says why. A draw that is not finite leaves a gap.
    """
    values = _drawable(np.asarray(values, dtype=np.float64))
    numbers = measures(values[None])
    words = describe(values, numbers)
    more = details(values, numbers)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor=style.WHITE)
        canvas: Any = FigureCanvasSVG(figure)
        figure.text(0, 1 - 18 / HEIGHT, title, size=17, color=style.INK, va="baseline", weight="bold")
        figure.text(0, 1 - 42 / HEIGHT, words, size=13, color=style.INK_2, va="baseline")
        usable = values[:, np.isfinite(values).all(axis=0)] if values.size else values
        joined = usable.reshape(-1)
        _trace(_axes(figure, 0, 0, "Trace"), values, first, thin)
        _density(_axes(figure, 0, 1, "Density"), usable)
        _acf(_axes(figure, 1, 0, f"Autocorrelation, lag 0 to {curves.ACF_LAGS}"), joined)
        _pacf(_axes(figure, 1, 1, f"Partial autocorrelation, lag 1 to {curves.PACF_LAGS}"), joined)
        _mcse(_axes(figure, 2, 0, "Monte Carlo standard error of the mean"), float(numbers["mcse"][0]), joined.size)
        _bgr(_axes(figure, 2, 1, "Brooks–Gelman–Rubin ratio, aim 1.0"), usable, thin)
        out = io.StringIO()
        canvas.print_svg(out, metadata={"Date": None})
    return style.finish(out.getvalue(), title, f"{words} {more}".strip(), WIDTH, HEIGHT)


def _drawable(values: Array) -> Array:
    """Without sizes whose squares no double can hold: they are drawn as missing, or as zero."""
    size = np.abs(values)
    values = np.where(size > 1e100, np.nan, values)
    return np.where(size < 1e-100, 0.0, values)


# The plots


def _trace(axes: Axes, values: Array, first: int, thin: int) -> None:
    chains, kept = values.shape
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return _say(axes, "There are no draws to show.")
    for k in range(chains):
        if kept == 1:
            axes.plot([first], values[k], "o", ms=5, color=style.SERIES[k % 4])
            continue
        where, drawn = curves.thinned(values[k])
        axes.add_line(Line2D(first + thin * where, drawn, lw=0.7, color=style.SERIES[k % 4], solid_joinstyle="bevel"))
    last = first + thin * (kept - 1)
    low, high = _padded(float(finite.min()), float(finite.max()))
    _scales(axes, (first - thin, max(last, first + 1)), (low, high))
    return None


def _density(axes: Axes, values: Array) -> None:
    chains, kept = values.shape
    if kept < 2 or np.ptp(values) == 0:
        return _say(axes, "The draws do not vary." if kept >= 2 else "One draw a chain has no density.")
    # One draw in a thousand may lie outside: a long tail would squeeze the rest into a spike.
    tails = np.quantile(values, [0.0005, 0.9995])
    low, high = _padded(float(tails[0]), float(tails[1]), 0.1)
    if values.min() > 0:
        low = max(low, 0.0)
    top = 0.0
    for k in range(chains):
        where, height = curves.density(values[k], low, high)
        axes.add_line(Line2D(where, height, lw=1.5, **style.look(k)))
        top = max(top, float(height.max()))
    _scales(axes, (low, high), (0.0, 1.08 * (top or 1.0)))
    if chains > 1:
        _key(axes, chains)
    return None


def _acf(axes: Axes, joined: Array) -> None:
    if joined.size < 3 or np.ptp(joined) == 0:
        return _say(axes, _too_few(joined))
    rho = curves.autocorrelation(joined)
    _bars(axes, np.arange(len(rho)), rho, joined.size, 1.8)
    low = _lowest(rho, joined.size)
    return _scales(axes, (-1, curves.ACF_LAGS + 1), (low, 1.05), [0, 25, 50, 75, 100], _halves(low))


def _pacf(axes: Axes, joined: Array) -> None:
    if joined.size < 3 or np.ptp(joined) == 0:
        return _say(axes, _too_few(joined))
    phi = curves.partial_autocorrelation(joined)
    _bars(axes, 1 + np.arange(len(phi)), phi, joined.size, 5)
    lags, low = curves.PACF_LAGS, _lowest(phi, joined.size)
    return _scales(axes, (0.5, lags + 0.5), (low, 1.05), list(range(1, lags + 1)), _halves(low))


def _mcse(axes: Axes, mcse: float, draws: int) -> None:
    if not np.isfinite(mcse):
        return _say(axes, "Needs draws that vary, at least four a chain.")
    length, error = curves.standard_error(mcse, draws)
    axes.add_line(Line2D(length, error, lw=1.5, color=style.SERIES[0]))
    _label(axes, draws, mcse, style.number(mcse, 2))
    return _scales(axes, (0, draws), (0.0, 1.05 * float(error[0])))


def _bgr(axes: Axes, values: Array, thin: int) -> None:
    found = curves.brooks_gelman_rubin(values)
    if found is None:
        one = values.shape[0] < 2
        return _say(axes, "Compares chains: this run has one." if one else "Needs draws that vary, 20 a chain.")
    last = thin * values.shape[1]
    ratio = found.ratio[np.isfinite(found.ratio)]
    # A first ratio of 30 would flatten everything after it: the scale follows the later curve.
    later = ratio[len(ratio) // 4 :]
    high = max(1.1, 1.05 * float(later.max(initial=1.0)))
    low = min(0.9, float(found.within.min()), float(found.between.min())) - 0.02
    axes.axhline(1.0, lw=1, color=style.EDGE, dashes=(1, 2))
    lines = (
        ("ratio", found.ratio, style.RATIO, style.DASHES[0]),
        ("between", found.between, style.BETWEEN, style.DASHES[1]),
        ("within", found.within, style.WITHIN, style.DASHES[2]),
    )
    for _, curve, colour, dash in lines:
        line = Line2D(thin * found.length, curve, lw=1.7, color=colour)
        if dash:
            line.set_dashes(dash)
        axes.add_line(line)
    _scales(axes, (0, last), (low, high))
    places = _apart([min(float(curve[-1]), high) for _, curve, _, _ in lines], 15 / _H * (high - low))
    for (name, _, _, _), place in zip(lines, places, strict=True):
        _label(axes, last, place, name)
    return None


# Their parts


def _axes(figure: Figure, row: int, column: int, title: str) -> Axes:
    """Axes without a frame: a title at the left, a light horizontal grid, one line at the bottom."""
    left, top = _LEFTS[column], _TOPS[row]
    axes = figure.add_axes((left / WIDTH, 1 - (top + _H) / HEIGHT, _W / WIDTH, _H / HEIGHT))
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(color=style.EDGE, linewidth=1)
    axes.patch.set_visible(False)
    axes.tick_params(axis="both", length=0, labelsize=12, labelcolor=style.INK_2, pad=6)
    axes.tick_params(axis="x", length=4, color=style.EDGE, pad=4)
    axes.set_axisbelow(True)
    axes.xaxis.set_minor_locator(NullLocator())
    figure.text((left - 56) / WIDTH, 1 - (top - 14) / HEIGHT, title, size=13, color=style.INK, va="baseline")
    return axes


def _scales(
    axes: Axes,
    x: tuple[float, float],
    y: tuple[float, float],
    x_ticks: list[int] | None = None,
    y_ticks: list[float] | None = None,
) -> None:
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    across = [float(t) for t in x_ticks] if x_ticks else style.ticks(*x)
    up = y_ticks or style.ticks(*y)
    axes.xaxis.set_major_locator(FixedLocator(across))
    axes.xaxis.set_major_formatter(FixedFormatter(style.labels(across)))
    axes.yaxis.set_major_locator(FixedLocator(up))
    axes.yaxis.set_major_formatter(FixedFormatter(style.labels(up)))
    grid = [[(x[0], t), (x[1], t)] for t in up]
    axes.add_collection(LineCollection(grid, colors=style.RULE, linewidths=1, zorder=0.5), autolim=False)


def _say(axes: Axes, sentence: str) -> None:
    """A sentence where a plot cannot be."""
    axes.xaxis.set_major_locator(NullLocator())
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["bottom"].set_visible(False)
    axes.text(-56 / _W, 0.94, sentence, transform=axes.transAxes, size=13, color=style.INK_2, va="center")


def _bars(axes: Axes, lags: npt.NDArray[Any], heights: Array, n: int, width: float) -> None:
    bars = [[(lag, 0.0), (lag, float(h))] for lag, h in zip(lags, heights, strict=True) if np.isfinite(h)]
    axes.add_collection(LineCollection(bars, colors=style.SERIES[0], linewidths=width, capstyle="butt"), autolim=False)
    chance = 1.96 / np.sqrt(n)
    for level in (-chance, chance):
        axes.axhline(level, lw=1, color=style.EDGE, dashes=(4, 3), zorder=0.8)


def _lowest(heights: Array, n: int) -> float:
    lowest = float(np.nanmin(heights)) if np.isfinite(heights).any() else 0.0
    return min(-0.15, 1.1 * lowest, -1.2 * 1.96 / float(np.sqrt(n)))


def _halves(low: float) -> list[float]:
    return [t for t in (-1.0, -0.5, 0.0, 0.5, 1.0) if t >= low]


def _key(axes: Axes, chains: int) -> None:
    """Which dash is which chain; beyond eight the first eight stand for the rule."""
    shown = min(chains, 8)
    for k in range(shown):
        y = _H - 8 - 16 * k
        line = Line2D([_W - 68, _W - 42], [y, y], lw=1.5, transform=_pixels(axes), **style.look(k))
        axes.add_line(line)
        axes.text(_W - 36, y, str(k + 1), transform=_pixels(axes), size=12, color=style.INK, va="center")
    axes.text(_W - 74, _H - 8, "Chain", transform=_pixels(axes), size=12, color=style.INK_2, va="center", ha="right")
    if chains > shown:
        y = _H - 8 - 16 * shown
        axes.text(_W - 68, y, f"and {chains - shown} more", transform=_pixels(axes), size=12, va="center")


def _pixels(axes: Axes) -> Any:
    """Pixels from the lower left corner of the axes."""
    from matplotlib.transforms import Affine2D

    return Affine2D().scale(1 / _W, 1 / _H) + axes.transAxes


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    """A label at a line's end, in ink, outside the axes."""
    axes.annotate(
        text, (x, y), (6, 0), textcoords="offset points", size=12, color=style.INK, va="center", annotation_clip=False
    )


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
