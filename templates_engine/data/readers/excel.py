"""Excel .xlsx: the first sheet, its first row that is not empty holding the names.

The file is a zip archive, so what it unpacks to is counted, byte by byte, before anything is parsed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from templates_engine.data.dataset import code_text
from templates_engine.data.readers import refused
from templates_engine.data.readers.assemble import check_size
from templates_engine.data.readers.raw import Raw

MAX_UNPACKED = 800 << 20  # bytes; a sheet of 200,000 x 14 numbers takes about 120 MB
MAX_MEMBERS = 5_000


def read_raw(path: Path, shown: str) -> Raw:
    _check_archive(path, shown)
    book: Any = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        sheets = book.worksheets
        if not sheets:
            raise refused("no-columns", f"{shown} has no sheet with cells.")
        sheet = sheets[0]
        sheet.reset_dimensions()  # what the file claims of its size may be wrong
        rows = [row for row in sheet.iter_rows(values_only=True) if any(_filled(cell) for cell in row)]
        notes = [f"Only the first of {len(sheets)} sheets, “{sheet.title}”, was read."] if len(sheets) > 1 else []
    finally:
        book.close()
    if not rows:
        raise refused("empty-file", f"{shown}: its first sheet is empty.")
    width = max(i + 1 for row in rows for i in range(len(row) - 1, -1, -1) if _filled(row[i]))
    names = ["" if not _filled(cell) else _name(cell) for cell in (*rows[0], *[None] * width)[:width]]
    check_size(shown, len(rows) - 1, width)
    columns: list[list[Any]] = [[None] * (len(rows) - 1) for _ in range(width)]
    for r, row in enumerate(rows[1:]):
        for c, cell in enumerate(row[:width]):
            columns[c][r] = cell if _filled(cell) else None
    raw = Raw([], [], notes=notes, free_text=True)
    for name, cells in zip(names, columns, strict=True):
        if name or any(cell is not None for cell in cells):
            raw.names.append(name)
            raw.columns.append(pd.Series(cells, dtype=object))
    return raw


def _filled(cell: Any) -> bool:
    """Cells in error (#DIV/0!, #N/A, ...) and blanks hold nothing."""
    return cell is not None and not (isinstance(cell, str) and (not cell.strip() or cell in _ERRORS))


_ERRORS = frozenset(("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"))


def _name(cell: Any) -> str:
    return code_text(cell) if isinstance(cell, (int, float)) else str(cell)


def _check_archive(path: Path, shown: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise refused("wrong-format", f"{shown} is a zip archive, but not an Excel file.")
            if len(members) > MAX_MEMBERS:
                raise refused("too-large", f"{shown} holds {len(members):,} parts; at most {MAX_MEMBERS:,} are read.")
            total = 0
            for member in members:
                with archive.open(member) as part:  # the sizes that the archive states may be wrong
                    start = part.read(2048)
                    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
                        raise refused("wrong-format", f"{shown} has parts that no Excel file has (entities).")
                    total += len(start)
                    while chunk := part.read(1 << 20):
                        total += len(chunk)
                        if total > MAX_UNPACKED:
                            text = f"{shown} unpacks to more than {MAX_UNPACKED >> 20} MB and is not read. "
                            raise refused("too-large", text + "Save it as .csv or .parquet and try again.")
    except (zipfile.BadZipFile, EOFError) as error:
        text = f"{shown} cannot be read as an Excel file: it is damaged or incomplete ({error})."
        raise refused("damaged-file", text) from error
