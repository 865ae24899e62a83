"""What a sheet's own text says beside its values: merged cells, and formulas whose result was never stored.

A scan of the unpacked part, block by block; the library that reads the values passes both over.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

MOST_MERGED = 100_000
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_CELL = re.compile(
    rb'<(?:\w+:)?c\s(?=[^>]*?\br="([A-Z]{1,3}\d{1,7})")[^>]*>\s*<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>)\s*'
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)


@dataclass
class Sheet:
    """merged: (first row, last row, first column, last column), rows from 1, columns from 0."""

    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    uncalculated: list[str] = field(default_factory=list)  # "C2"

    def span(self, row: int, column: int) -> tuple[int, int]:
        """First and last column of the merged cells that a cell belongs to; its own column where it is alone."""
        for top, bottom, left, right in self.merged:
            if top <= row <= bottom and left <= column <= right:
                return left, right
        return column, column


def look(path: Path, part: str) -> Sheet:
    """The facts about the sheet in this part of the archive."""
    sheet = Sheet()
    with zipfile.ZipFile(path) as archive:
        name = part.lstrip("/")
        if name not in archive.namelist():
            return sheet
        with archive.open(name) as file:
            before = b""
            while chunk := file.read(1 << 20):
                whole = before + chunk
                cut = max(whole.rfind(b"<c "), whole.rfind(b"<mergeCell "), 0) or len(whole)
                _scan(whole[:cut], sheet)
                before = whole[cut:] if len(whole) - cut < 1 << 21 else b""
            _scan(before, sheet)
    return sheet


def _scan(text: bytes, sheet: Sheet) -> None:
    if b"<f" in text or b":f" in text:
        sheet.uncalculated += [found[1].decode() for found in _CELL.finditer(text)]
    if b"mergeCell " in text and len(sheet.merged) < MOST_MERGED:
        for found in _MERGED.finditer(text):
            left, top, right, bottom = (part.decode() for part in found.groups())
            sheet.merged.append((int(top), int(bottom), column(left), column(right)))


def column(name: str) -> int:
    """Position of the column called so: A is 0, AA is 26."""
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - 64
    return number - 1


def letters(position: int) -> str:
    """The column's letters: 0 is A, 26 is AA."""
    name, number = "", position + 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name
