"""What a run and a drawer say to each other: a line of JSON, then bytes whose number the line gives.

to the drawer   {"title", "shape", "first", "thin", "numbers"} and the draws as little-endian float64
from it         {"length", "fault"} and the SVG
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from templates_engine.figures.describe import Numbers


@dataclass(frozen=True)
class Picture:
    """What a six-part picture is drawn from."""

    values: npt.NDArray[np.float64]  # (chain, draw)
    title: str
    first: int = 1  # iteration of the first draw
    thin: int = 1  # iterations between draws
    numbers: Numbers | None = None  # R-hat and so on, so that a drawer need not import what computes them


def send_picture(stream: IO[bytes], picture: Picture) -> None:
    about = {"title": picture.title, "shape": picture.values.shape, "first": picture.first, "thin": picture.thin}
    numbers = None if picture.numbers is None else dict(picture.numbers)
    head = json.dumps({**about, "numbers": numbers}).encode()  # with NaN, which Python's own JSON reads
    stream.write(head + b"\n" + np.ascontiguousarray(picture.values, dtype="<f8").tobytes())
    stream.flush()


def receive_picture(stream: IO[bytes]) -> Picture | None:
    """The next picture to draw; None when there are no more."""
    line = stream.readline()
    if not line:
        return None
    head = json.loads(line)
    chains, draws = head["shape"]
    values = np.frombuffer(_exactly(stream, 8 * chains * draws), dtype="<f8").reshape(chains, draws)
    return Picture(values, head["title"], head["first"], head["thin"], head["numbers"])


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


def draw(picture: Picture) -> tuple[bytes, str]:
    """(SVG, ""), or, when it cannot be drawn, (a picture that says so, why)."""
    from templates_engine.figures.sixway import sixway

    try:
        return sixway(picture.values, picture.title, picture.first, picture.thin, picture.numbers), ""
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
        return apology(picture.title, reason), reason


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
