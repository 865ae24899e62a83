"""Pictures that hold photographs: rows of images with a line of words under each, as one SVG.

Photographs are kept as PNG inside the SVG, at their own size; the reader's program enlarges them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from templates_engine.figures import style
from templates_engine.figures.canvas import WIDTH, cut

Pixels = npt.NDArray[np.uint8]  # (height, width, 3)
_TOP, _ROW, _CAPTION, _GAP, _FOOT = 64, 30, 40, 14, 20
# Blue to white to red (ColorBrewer's RdBu, which readers with any common colour blindness can tell apart).
_SCALE = np.array(
    [[5, 48, 97], [67, 147, 195], [209, 229, 240], [247, 247, 247], [253, 219, 199], [214, 96, 77], [103, 0, 31]], float
)


@dataclass(frozen=True)
class Photo:
    """One picture and up to two short lines under it. sharp: cells are enlarged as squares, not smoothed."""

    pixels: Pixels
    lines: tuple[str, ...] = ()
    sharp: bool = False


@dataclass(frozen=True)
class Row:
    title: str
    photos: Sequence[Photo]


def diverging(values: npt.NDArray[np.floating], clip: float) -> Pixels:
    """(…, 3) colours of values from -clip (blue) over 0 (white) to clip (red); beyond, those of the ends."""
    at = (np.clip(np.asarray(values, np.float64) / clip, -1, 1) + 1) / 2 * (len(_SCALE) - 1)
    low = np.minimum(at.astype(int), len(_SCALE) - 2)
    part = (at - low)[..., None]
    return np.rint(_SCALE[low] * (1 - part) + _SCALE[low + 1] * part).astype(np.uint8)


def photos(
    title: str, words: str, rows: Sequence[Row], side: int = 140, scale: tuple[float, str, str] | None = None
) -> bytes:
    """The SVG. side: pixels of a picture; scale: (clip, words of its blue end, of its red end) draws a colour scale."""
    each = max(1, (WIDTH + _GAP) // (side + _GAP))
    body: list[str] = []
    y = _TOP
    if scale is not None:
        body += _bar(y, *scale)
        y += 52
    for row in rows:
        if row.title:
            body.append(_text(0, y + 14, row.title, 13, style.INK))
            y += _ROW
        for first in range(0, len(row.photos), each):
            for k, photo in enumerate(row.photos[first : first + each]):
                x = k * (side + _GAP)
                body.append(_image(photo, x, y, side))
                for i, line in enumerate(photo.lines):
                    body.append(_text(x, y + side + 15 + 15 * i, cut(line, side * 1.05), 12, style.INK_2))
            y += side + _GAP + (_CAPTION if any(p.lines for p in row.photos) else 0)
    head = [
        _text(0, 18, cut(title, 0.7 * WIDTH), 17, style.INK, "bold"),
        _text(0, 42, cut(words, 0.98 * WIDTH), 13, style.INK_2),
    ]
    back = f'<defs></defs><rect width="{WIDTH}" height="{y + _FOOT}" fill="{style.WHITE}"/>'
    svg = "\n".join([back, *head, *body, "</svg>"])
    return style.finish(svg, title, words, WIDTH, y + _FOOT)


def _image(photo: Photo, x: float, y: float, side: float) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(photo.pixels).save(out, "PNG", optimize=False)
    data = base64.b64encode(out.getvalue()).decode()
    look = ' style="image-rendering:pixelated"' if photo.sharp else ""
    named = quoteattr(" ".join(photo.lines) or "picture")
    return (
        f'<image x="{x}" y="{y}" width="{side}" height="{side}" preserveAspectRatio="xMidYMid meet"{look} role="img" '
        f'aria-label={named} href="data:image/png;base64,{data}"/>'
    )


def _bar(y: float, clip: float, low: str, high: str) -> list[str]:
    wide = 240
    colours = diverging(np.linspace(-clip, clip, 24), clip)
    step = wide / len(colours)
    cells = [
        f'<rect x="{k * step:.2f}" y="{y}" width="{step + 0.3:.2f}" height="12" fill="rgb({r},{g},{b})"/>'
        for k, (r, g, b) in enumerate(colours.tolist())
    ]
    ends = [
        (0.0, f"−{style.number(clip)}", "start"),
        (wide / 2, "0", "middle"),
        (float(wide), style.number(clip), "end"),
    ]
    cells += [_text(x, y + 27, word, 12, style.INK_2, anchor=anchor) for x, word, anchor in ends]
    return [*cells, _text(wide + 20, y + 11, f"blue: {low}; red: {high}", 12, style.INK_2)]


def _text(x: float, y: float, text: str, size: int, colour: str, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-family="\'DejaVu Sans\'" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    ).replace("font-family=\"'DejaVu Sans'\"", "style=\"font-family: 'DejaVu Sans'\"")
