"""Where the names stand: lines above them, names in two rows, no names at all.

Works on the first rows of a text file or a sheet, as texts ("" empty), so that both are judged by one rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from templates_engine.data.readers import numerals
from templates_engine.data.readers.typed import MISSING_SPELLINGS

MOST_ABOVE = 40  # rows looked through for the names
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")

Row = Sequence[str]


@dataclass
class Heading:
    """The rows above the data."""

    above: int  # rows before the first row of names (or of data, where there are no names)
    rows: int  # rows of names: 0, 1 or more
    names: list[str]
    titles: dict[int, str] = field(default_factory=dict)  # position -> its own label
    notes: list[str] = field(default_factory=list)


def is_value(cell: str) -> bool:
    """A number, in any country's writing, or a word for a missing value."""
    text = numerals.plain(cell)
    return text in MISSING_SPELLINGS or numerals.take(text) is not None


def heading(
    rows: Sequence[Row],
    merged: Callable[[int, int], tuple[int, int]] | None = None,
    first: int | None = None,
    used: int | None = None,
) -> Heading:
    """The heading of a table's first rows.

    first, used: the position of the first row of names and how many there are, where that is told.
    merged: for a cell (row, column) the first and last column of the merged cells it belongs to, where that is known.
    """
    at = _first(rows) if first is None else first
    above = [cell.strip() for row in rows[:at] for cell in row if cell.strip()]
    notes = [f"Lines above the names were left out: {_shown(above)}."] if above else []
    if at >= len(rows) or used == 0:
        return Heading(at, 0, [], {}, notes)
    names = [cell.strip() for cell in rows[at]]
    width = max(len(row) for row in rows[at:])
    second = _second(rows, at, merged) if used is None else min(at + used, len(rows)) - 1
    if second == at:
        return Heading(at, 1, names, {}, notes)
    names, titles = _joined(rows, at, second, width, merged)
    first, last = at + 1, second + 1
    numbered = f"{first} and {last}" if last == first + 1 else f"{first} to {last}"
    if titles:
        notes.append(f"The names stand in row {first}; the text below them (row {last}) became the columns' labels.")
    else:
        notes.append(f"The names stand in rows {numbered} and were joined: {_shown([n for n in names if n])}.")
    return Heading(at, second - at + 1, names, titles, notes)


def _filled(row: Row) -> list[int]:
    return [j for j, cell in enumerate(row) if cell.strip()]


def _first(rows: Sequence[Row]) -> int:
    """The first row that is no title, comment or blank."""
    later = sorted(len(_filled(row)) for row in rows if _filled(row))
    usual = later[len(later) // 2] if later else 0
    at = 0
    while at < min(len(rows), MOST_ABOVE):
        filled = _filled(rows[at])
        if filled and not _stands_above(rows, at, filled, usual):
            return at
        at += 1
    return next((i for i, row in enumerate(rows) if _filled(row)), len(rows))


def _stands_above(rows: Sequence[Row], at: int, filled: list[int], usual: int) -> bool:
    """A title (one text at the left, where rows have several) or a comment, with a row of names somewhere below."""
    first = rows[at][filled[0]].strip()
    title = len(filled) == 1 and filled[0] == 0 and usual >= 2
    pair = usual >= 4 and len(filled) == 2 and filled == [0, 1] and first.endswith(":")
    comment = first.startswith(("#", "//")) and (len(filled) < usual or usual == 1)
    if not (title or comment or pair):
        return False
    for i in range(at + 1, min(len(rows), at + MOST_ABOVE)):
        below = _filled(rows[i])
        if len(below) >= max(2, min(usual, 2)) or (comment and below and not rows[i][0].startswith("#")):
            return not any(is_value(rows[i][j]) for j in below) or (comment and not is_value(first))
    return False


def _second(rows: Sequence[Row], at: int, merged: Callable[[int, int], tuple[int, int]] | None) -> int:
    """The last row of names: rows below the first that hold words where the data hold numbers."""
    last = at
    while last - at < 2 and last + 2 < len(rows) and _more_names(rows, at, last + 1, merged):
        last += 1
    return last


def _more_names(
    rows: Sequence[Row], at: int, candidate: int, merged: Callable[[int, int], tuple[int, int]] | None
) -> bool:
    row, filled = rows[candidate], _filled(rows[candidate])
    body = [r for r in rows[candidate + 1 :] if _filled(r)]
    if len(filled) < 2 or not body or any(is_value(row[j]) or _DATE.fullmatch(row[j].strip()) for j in filled):
        return False
    top = rows[candidate - 1]
    width = max(len(row), len(top))
    numbers = []
    for j in range(width):
        cells = [r[j] for r in body if j < len(r) and r[j].strip()]
        if cells and sum(is_value(c) for c in cells) >= 0.8 * len(cells):
            numbers.append(j)
        elif j in filled and any(c.strip() == row[j].strip() for c in cells):
            return False  # the word occurs among the data, so it is one of them
    if any(j not in filled and (j >= len(top) or not top[j].strip()) for j in numbers):
        return False
    gaps = any(j >= len(top) or not top[j].strip() for j in filled)
    spans = merged is not None and any(merged(candidate - 1, j)[1] > merged(candidate - 1, j)[0] for j in range(width))
    named = [j for j in numbers if j in filled]
    if gaps and (named or spans):
        return True
    return len(named) >= 2 and len({row[j].strip() for j in named}) > 1


def _joined(
    rows: Sequence[Row], at: int, last: int, width: int, merged: Callable[[int, int], tuple[int, int]] | None
) -> tuple[list[str], dict[int, str]]:
    """(a name for each column, or names of the first row with the second as labels)."""
    top = [*(c.strip() for c in rows[at]), *[""] * width][:width]
    if last == at + 1 and all(top[j] for j in _filled(rows[last])) and len(set(top)) == len(top):
        below = [*(c.strip() for c in rows[last]), *[""] * width][:width]
        return top, {j: f"{top[j]} ({text})" if len(text) <= 12 else text for j, text in enumerate(below) if text}
    names = [""] * width
    for i in range(at, last + 1):
        words = [*(c.strip() for c in rows[i]), *[""] * width][:width]
        if i < last:
            words = _carried(words, i, merged)
        names = [f"{a} {b}" if a and b and a != b else a or b for a, b in zip(names, words, strict=True)]
    return names, {}


def _carried(words: list[str], i: int, merged: Callable[[int, int], tuple[int, int]] | None) -> list[str]:
    """A group's name over all columns of the group: of the merged cells, or up to the next name."""
    found = list(words)
    for j in range(1, len(words)):
        if not words[j]:
            found[j] = words[merged(i, j)[0]] if merged is not None else found[j - 1]
    return found


def _shown(words: Sequence[str]) -> str:
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return ", ".join(f"“{word[:60]}”" for word in words[:5]) + more
