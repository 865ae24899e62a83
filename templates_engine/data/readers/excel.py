"""Excel .xlsx: the first sheet with cells; its names may stand below a title, in two rows, and in merged cells.

The file is a zip archive, so what it unpacks to is counted, byte by byte, before anything is parsed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from templates_engine.data.dataset import code_text
from templates_engine.data.readers import refused
from templates_engine.data.readers.assemble import check_size
from templates_engine.data.readers.found import listed
from templates_engine.data.readers.headers import Heading, heading
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import Reading
from templates_engine.data.readers.sheet import Sheet, letters, look
from templates_engine.problems import Problem, Refused

MAX_UNPACKED = 800 << 20  # bytes; a sheet of 200,000 x 14 numbers takes about 120 MB
MAX_SWELL, SWELL_FROM = (
    100,
    64 << 20,
)  # times its own size, counted from so many bytes on: real tables swell 5 to 30 times
MAX_MEMBERS = 5_000
LOOKED_AT = 200  # rows from which the heading is judged
_ERRORS = frozenset(("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!"))

Rows = list[tuple[int, tuple[Any, ...]]]  # (row of the sheet, from 1; its cells)


def read_raw(path: Path, shown: str, told: Reading) -> Raw:
    _check_archive(path, shown)
    book: Any = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        sheets = book.worksheets
        if not sheets:
            raise refused("no-columns", f"{shown} has no sheet with cells.")
        rows: Rows = []
        titles = [str(sheet.title) for sheet in sheets]
        if told.sheet is not None and told.sheet not in titles:
            text = f"{shown} has no sheet “{told.sheet[:60]}”; there are {', '.join(titles[:20])}."
            raise Refused(Problem("reading", text, key="sheet"))
        for sheet in sheets if told.sheet is None else [sheets[titles.index(told.sheet)]]:
            sheet.reset_dimensions()  # what the file claims of its size may be wrong
            every = enumerate(sheet.iter_rows(values_only=True), 1)
            rows = [(i, row) for i, row in every if any(_filled(cell) for cell in row)]
            if rows:
                break
        else:
            raise refused(
                "empty-file",
                f"{shown}: its {'first sheet' if told.sheet is None else 'sheet “' + told.sheet + '”'} is empty.",
            )
        first = "Only the first of" if sheet is sheets[0] else "Only one of"
        notes = (
            [f"{first} {len(sheets)} sheets, “{sheet.title}”, was read."]
            if len(sheets) > 1 and told.sheet is None
            else []
        )
        about = look(path, str(getattr(sheet, "_worksheet_path", "")))
    finally:
        book.close()
    raw = _table(rows, about, shown, told)
    raw.notes = notes + raw.notes
    raw.how |= {"sheets": titles, "sheet": str(sheet.title)}
    return raw


def _table(rows: Rows, about: Sheet, shown: str, told: Reading) -> Raw:
    """The columns below the heading."""
    width = max(i + 1 for _, row in rows for i in range(len(row) - 1, -1, -1) if _filled(row[i]))
    head = _heading(rows, about, width, told, shown)
    body = rows[head.above + head.rows :]
    check_size(shown, len(body), width)
    places = {number: k for k, (number, _) in enumerate(body)}
    columns: list[list[Any]] = [[None] * len(body) for _ in range(width)]
    errors: list[str] = []
    for r, (number, row) in enumerate(body):
        for c, cell in enumerate(row[:width]):
            if _filled(cell) and not (told.missing and _text(cell) in told.missing):
                columns[c][r] = cell
            elif isinstance(cell, str) and cell in _ERRORS:
                errors.append(f"{letters(c)}{number} ({cell})")
    notes = head.notes + _merged_down(columns, places, about)
    notes += listed(errors, lambda s: f"Cells in error were read as missing: {s}.")
    without = "has formulas" if len(about.uncalculated) > 1 else "has a formula"
    text = f"The file {without} without stored values, read as missing: {{}}. Open it in a spreadsheet and save it."
    notes += listed(about.uncalculated, text.format)
    raw = Raw([], [], notes=notes, free_text=True, kinds=told.kinds, totals=told.totals, told=told.decimal or "")
    raw.how = {"first": rows[head.above][0] if head.above < len(rows) else 1, "names": head.rows}
    names = [*(head.names or ([f"V{i}" for i in range(1, width + 1)] if told.names == 0 else [])), *[""] * width][
        :width
    ]
    for c, (name, cells) in enumerate(zip(names, columns, strict=True)):
        if name or any(cell is not None for cell in cells):
            if title := head.titles.get(c):
                raw.titles[len(raw.names)] = title
            raw.names.append(name)
            raw.columns.append(pd.Series(cells, dtype=object))
    return raw


def _heading(rows: Rows, about: Sheet, width: int, told: Reading, shown: str) -> Heading:
    first = [[_text(cell) if _filled(cell) else "" for cell in (*row, *[None] * width)[:width]] for _, row in rows]
    numbers = [number for number, _ in rows[:LOOKED_AT]]

    def span(i: int, j: int) -> tuple[int, int]:
        return about.span(numbers[i], j)

    at = None if told.first is None else sum(number < told.first for number in numbers)
    if at is not None and at >= len(numbers):
        raise Refused(Problem("reading", f"{shown} has no row {told.first} from which it could be read.", key="first"))
    return heading(first[:LOOKED_AT], span, 0 if told.names == 0 and at is None else at, told.names)


def _merged_down(columns: list[list[Any]], places: dict[int, int], about: Sheet) -> list[str]:
    """Cells merged over several rows hold their value in each of them."""
    filled: list[str] = []
    for top, bottom, left, _ in about.merged:
        if bottom == top or top not in places or left >= len(columns):
            continue
        value = columns[left][places[top]]
        inside = [places[i] for i in range(top + 1, min(bottom, max(places)) + 1) if i in places]
        if value is None or any(columns[left][k] is not None for k in inside):
            continue
        for k in inside:
            columns[left][k] = value
        if letters(left) not in filled:
            filled.append(letters(left))
    return listed(filled, lambda s: f"Merged cells: their value was taken for every row they cover (columns {s}).")


def _filled(cell: Any) -> bool:
    """Cells in error (#DIV/0!, #N/A, ...) and blanks hold nothing."""
    return cell is not None and not (isinstance(cell, str) and (not cell.strip() or cell in _ERRORS))


def _text(cell: Any) -> str:
    return code_text(cell) if isinstance(cell, (int, float)) else str(cell)


def _check_archive(path: Path, shown: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members: Sequence[zipfile.ZipInfo] = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise refused("wrong-format", f"{shown} is a zip archive, but not an Excel file.")
            if len(members) > MAX_MEMBERS:
                raise refused("too-large", f"{shown} holds {len(members):,} parts; at most {MAX_MEMBERS:,} are read.")
            total, packed = 0, path.stat().st_size
            for member in members:
                with archive.open(member) as part:  # the sizes that the archive states may be wrong
                    start = part.read(2048)
                    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
                        raise refused("wrong-format", f"{shown} has parts that no Excel file has (entities).")
                    total += len(start)
                    while chunk := part.read(1 << 20):
                        total += len(chunk)
                        if total > SWELL_FROM and total > MAX_SWELL * packed:
                            text = f"{shown} unpacks to more than {MAX_SWELL} times its size, which no table does. "
                            raise refused("too-large", text + "Save it as .csv and try again.")
                        if total > MAX_UNPACKED:
                            text = f"{shown} unpacks to more than {MAX_UNPACKED >> 20} MB and is not read. "
                            raise refused("too-large", text + "Save it as .csv or .parquet and try again.")
    except (zipfile.BadZipFile, EOFError) as error:
        text = f"{shown} cannot be read as an Excel file: it is damaged or incomplete ({error})."
        raise refused("damaged-file", text) from error
