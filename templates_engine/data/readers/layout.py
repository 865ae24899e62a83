"""How a delimited text is laid out: what separates fields, where the names stand, which mark decimals have."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from templates_engine.data.readers import MAX_COLUMNS, refused
from templates_engine.data.readers.assemble import check_size
from templates_engine.data.readers.headers import heading, is_value
from templates_engine.data.readers.reading import Reading

SAMPLE: Final = 1 << 18
ROWS: Final = 200  # rows from which the layout is judged
SPACES: Final = " "  # any run of blanks and tabs
NAMED = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", SPACES: "spaces"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
MOST_ODD_LINES = 10  # lines above the table, which need not have its fields


@dataclass
class Layout:
    delimiter: str
    header: list[str]
    skip: int  # physical lines before the first row of data
    decimal: str
    titles: dict[int, str] = field(default_factory=dict)
    first: int = 1  # line, from 1, in which the names stand
    names: int = 1  # rows of names


def layout_of(data: BinaryIO, encoding: str, shown: str, notes: list[str], told: Reading) -> Layout:
    """Delimiter, names and decimal mark, from the first lines where they are not told."""
    data.seek(0)
    head = data.read(SAMPLE)
    if len(head) == SAMPLE:  # whole lines only
        head = head[: head.rfind(b"\n") + 1] or head
    lines = [line + "\n" for line in head.decode(encoding, "replace").split("\n")]
    skip = 0
    while skip < len(lines) and not lines[skip].strip():
        skip += 1
    line = re.fullmatch(r"\"?sep=(.)\"?\s*", lines[skip], re.IGNORECASE) if skip < len(lines) else None
    if line:
        skip += 1
    lines = lines[skip:]
    if not lines:
        raise refused("empty-file", f"{shown} is empty.")
    delimiter = told.delimiter or (line.group(1) if line and line.group(1) in NAMED else sniff(lines, told.decimal))
    found = list(itertools.islice(fields(iter(lines), delimiter), ROWS))
    if not found:
        raise refused("damaged-file", f"{shown}: its first line cannot be divided into column names.")
    rows, ends = [row for row, _ in found], [used for _, used in found]
    if len(rows[0]) > MAX_COLUMNS:
        check_size(shown, 1, len(rows[0]))
    decimal = told.decimal or _decimal(rows, delimiter)
    at = 0 if told.first is None else sum(skip + end < told.first for end in ends)
    if at >= len(rows):
        raise refused("no-rows", f"{shown} has no line {told.first} among the first from which its form is found.")
    if told.names == 0:
        before = ends[at - 1] if at else 0
        names = [f"V{i}" for i in range(1, len(rows[at]) + 1)]
        return Layout(delimiter, names, skip + before, decimal, {}, skip + before + 1, 0)
    return _named(rows, ends, delimiter, skip, decimal, notes, told)


def _named(
    rows: list[list[str]], ends: list[int], delimiter: str, skip: int, decimal: str, notes: list[str], told: Reading
) -> Layout:
    """The layout with the columns' names, those of the first row where that is told."""
    at = None if told.first is None else sum(skip + end < told.first for end in ends)
    head = heading(rows, None, at, told.names)
    above, used, titles = head.above, head.rows, head.titles
    notes += head.notes
    names = head.names or [name.strip() for name in rows[0]]
    if told.names is None and used < 2 and any(c.strip() for c in rows[above]) and all(map(is_value, rows[above])):
        notes.append(f"The first line holds only numbers, so the columns were named c1 to c{len(rows[above])}.")
        names, used = [f"c{i}" for i in range(1, len(rows[above]) + 1)], 0
    body = [row for row in rows[above + used :] if any(row)]
    longer = sum(len(row) == len(names) + 1 for row in body)
    if used and body and longer > 0.8 * len(body):
        if all(not row[-1].strip() for row in body if len(row) == len(names) + 1):
            names = [*names, ""]
        else:  # as R's write.table does
            names = ["row", *names]
            titles = {j + 1: text for j, text in titles.items()}
            notes.append("The lines have one field more than there are names; the first was named row.")
    lines_before = ends[above + used - 1] if above + used else 0
    first = skip + (ends[above - 1] if above else 0) + 1
    return Layout(delimiter, names, skip + lines_before, decimal, titles, first, used)


def sniff(lines: Sequence[str], decimal: str | None = None) -> str:
    """The delimiter that splits the first lines into the same number of fields, more than one; else the commonest.

    A few lines above the table may be odd. Where the comma is known to mark decimals, it is tried last, as in lines
    whose numbers stand in quotes.
    """
    first = [line for line in lines[:40] if line.strip()]

    def agree(odd: int, delimiter: str) -> bool:
        counts = [len(row) for row, _ in fields(iter(first[odd : odd + 30]), delimiter)]
        low, high = min(counts, default=0), max(counts, default=0)
        return low > 1 and high - low <= (1 if counts[0] == low else 0)

    order = ("\t", ";", "|", SPACES, ",") if decimal == "," else ("\t", ";", ",", "|", SPACES)
    agreed = [(odd, d) for odd in range(min(MOST_ODD_LINES, max(1, len(first) - 2))) for d in order if agree(odd, d)]
    if agreed and agreed[0][0] == 0:
        tabs = any(d == "\t" for _, d in agreed)
        return "\t" if agreed[0][1] == SPACES and tabs else agreed[0][1]
    for _, delimiter in agreed:
        if delimiter != SPACES:
            return delimiter
    totals = {d: sum(len(row) - 1 for row, _ in fields(iter(first[:1]), d)) for d in ("\t", ";", ",", "|")}
    if decimal == ",":
        totals.pop(",")
    at = max(totals, key=lambda d: totals[d])
    if totals[at] or decimal == ",":
        return at
    below = {d: sum(len(row) - 1 for row, _ in fields(iter(first), d)) for d in totals}
    at = max(below, key=lambda d: below[d])
    return at if below[at] >= max(2, len(first) // 2) else ","


def fields(lines: Iterator[str], delimiter: str) -> Iterator[tuple[list[str], int]]:
    """(fields, physical lines used so far) of each record."""
    lines = (line.rstrip("\r\n").replace("\r", " ") for line in lines)
    if delimiter == SPACES:
        lines = (line.replace("\t", " ").strip() for line in lines)
    lines = (line + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # an absurdly long field
            return
        yield row, reader.line_num


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """The mark by which columns are read first; what does not fit it, or may mean something else, is read again."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(cell)) for cell in cells)
    points = sum("." in cell and bool(_NUMBER.fullmatch(cell)) for cell in cells)
    return "," if commas > points else "."
