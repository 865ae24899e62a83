"""What a run and a drawer say to each other: a line of JSON, then bytes whose number the line gives.

to the drawer   {"title", "shape", "first", "thin"} and the draws as little-endian float64
from it         {"length", "fault"} and the SVG
"""

from __future__ import annotations

import json
from typing import IO
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def send_picture(stream: IO[bytes], values: Values, title: str, first: int, thin: int) -> None:
    head = {"title": title, "shape": values.shape, "first": first, "thin": thin}
    stream.write(json.dumps(head).encode() + b"\n" + np.ascontiguousarray(values, dtype="<f8").tobytes())
    stream.flush()


def receive_picture(stream: IO[bytes]) -> tuple[Values, str, int, int] | None:
    """The next picture to draw; None when there are no more."""
    line = stream.readline()
    if not line:
        return None
    head = json.loads(line)
    chains, draws = head["shape"]
    values = np.frombuffer(_exactly(stream, 8 * chains * draws), dtype="<f8").reshape(chains, draws)
    return values, head["title"], head["first"], head["thin"]


def send_svg(stream: IO[bytes], svg: bytes, fault: str) -> None:
    stream.write(json.dumps({"length": len(svg), "fault": fault}).encode() + b"\n" + svg)
    stream.flush()


def receive_svg(stream: IO[bytes]) -> tuple[bytes, str]:
    """(SVG, what went wrong or ""). EOFError when the drawer has gone."""
    line = stream.readline()
    if not line:
        raise EOFError
    head = json.loads(line)
    return _exactly(stream, head["length"]), head["fault"]


def draw(values: Values, title: str, first: int, thin: int) -> tuple[bytes, str]:
    """(SVG, ""), or, when it cannot be drawn, (a picture that says so, why)."""
    from templates_engine.figures.sixway import sixway

    try:
        return sixway(values, title, first, thin), ""
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
        return apology(title, reason), reason


def apology(title: str, reason: str) -> bytes:
    """A picture in place of one that was not drawn."""
    heading, sentence = escape(title), escape(f"Not drawn: {reason}")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<svg xmlns="http://www.w3.org/2000/svg" width="928" height="80" viewBox="0 0 928 80" role="img">'
        f"<title>{heading}</title><desc>{sentence}</desc>"
        '<rect width="928" height="80" fill="#ffffff"/>'
        '<g font-family="Liberation Sans, Arial, sans-serif" font-size="14" fill="#1b1c1e">'
        f'<text x="16" y="32">{heading}</text><text x="16" y="56" fill="#565a60">{sentence}</text></g></svg>\n'
    ).encode()


def _exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) != length:
        raise EOFError
    return content
