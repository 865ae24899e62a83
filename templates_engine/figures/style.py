"""How stored figures look: the light colours on white, dashes beside every colour, light horizontal grids."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

WHITE, INK, INK_2, RULE, EDGE = "#ffffff", "#1b1c1e", "#565a60", "#dddcd7", "#7d8086"
SERIES = ("#0b4f8a", "#d0661c", "#1f9c86", "#772236")
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 3), (8, 3, 2, 3))
BETWEEN, WITHIN, RATIO = "#1f9c86", "#0b4f8a", "#a8201a"  # green, blue, red, as TREE draws them

_LAYOUT_FONT = "DejaVu Sans"  # comes with matplotlib, so that the layout is the same on every machine
_FONTS = "-apple-system, &quot;Segoe UI&quot;, Roboto, &quot;Helvetica Neue&quot;, &quot;Noto Sans&quot;, "
_FONTS += "&quot;Liberation Sans&quot;, Arial, sans-serif"

RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "statgrove",
    "font.family": [_LAYOUT_FONT],
    "font.size": 12,
    "path.simplify": True,
    "path.simplify_threshold": 0.1,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a dollar in a name is a dollar
}


def look(chain: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dash of a chain. From the fifth the colours come again with other dashes: 16 differ."""
    return SERIES[chain % 4], DASHES[(chain + chain // 4) % 4]


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """About `wanted` round numbers from `low` to `high`: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    unit = 10.0 ** math.floor(math.log10(span / wanted))

    def badness(step: float) -> float:
        """Too many or too few ticks; and a little for ends that have no tick."""
        missed = sum(abs(end / step - round(end / step)) > 1e-6 for end in (low, high))
        return abs(math.log(span / step / wanted)) + 0.15 * missed

    step = min((unit * f for f in (1, 2, 2.5, 5, 10, 20)), key=badness)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def labels(places: list[float]) -> list[str]:
    """The same number of decimals for all, thousands commas, true minus; powers of ten when very large or small."""
    largest = max((abs(p) for p in places), default=0.0)
    step = min((b - a for a, b in pairwise(places)), default=largest)
    if step <= 0:
        return [number(p) for p in places]
    power = math.floor(math.log10(largest)) if largest else 0
    if power >= 7 or power <= -5:
        scaled = [p / 10.0**power for p in places]
        exponent = f"e{power}".replace("-", "−")
        return [plain + ("" if p == 0 else exponent) for p, plain in zip(scaled, labels(scaled), strict=True)]
    decimals = next((d for d in range(12) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * step * 10**d), 12)
    return ["0" if p == 0 and decimals > 2 else f"{p + 0.0:,.{decimals}f}".replace("-", "−") for p in places]


def number(x: float, digits: int = 3) -> str:
    """Three significant digits, in words of a page: 1,290, 0.0012, −0.41."""
    if x == 0 or not math.isfinite(x):
        return "0" if x == 0 else str(x)
    power = math.floor(math.log10(abs(x)))
    if power >= 9 or power <= -6:
        return f"{x:.{digits - 1}e}".replace("-", "−")
    return f"{x:,.{max(0, digits - 1 - power)}f}".replace("-", "−")


def finish(svg: str, title: str, description: str, width: int, height: int) -> bytes:
    """matplotlib's SVG made fit to keep: size in pixels, web fonts, short numbers, and words for screen readers."""
    body = svg[svg.index("<defs>") :]
    body = body.replace(f"'{_LAYOUT_FONT}'", _FONTS)
    body = re.sub(r' d="[^"]+"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), body)
    head = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{escape(title, {chr(34): "&quot;"})}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n<title>{escape(title)}</title>\n<desc>{escape(description)}</desc>\n'
    )
    return (head + body).encode()
