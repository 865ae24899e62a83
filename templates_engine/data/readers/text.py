"""Delimited text, .csv and .txt: delimiter, decimal comma, encoding and header found from the file itself."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd

from templates_engine.data.readers import MAX_COLUMNS, refused
from templates_engine.data.readers.assemble import check_size
from templates_engine.data.readers.cells import MISSING_SPELLINGS
from templates_engine.data.readers.raw import Raw

SAMPLE: Final = 1 << 18
SPACES: Final = " "  # any run of blanks and tabs
NAMED = {",": "comma", ";": "semicolon", "\t": "tab", SPACES: "spaces"}
_ESCAPED = r"^'(?='*[=+\-@\t\r])"  # the apostrophe that writers.py puts before cells a spreadsheet would run
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass
class Layout:
    delimiter: str
    header: list[str]
    skip: int  # physical lines before the first row of data
    decimal: str


@dataclass(frozen=True)
class Told:
    """What is said of a text instead of being found from it; None: found."""

    delimiter: str | None = None
    decimal: str | None = None
    names: bool | None = None  # whether the first line holds the names; without them V1, V2, ...
    missing: tuple[str, ...] = ()  # words that mean a missing value, beside the usual ones
    strict: bool = False  # a line with too few fields is refused; else what it lacks is missing, with a note


def read_raw(path: Path, shown: str) -> Raw:
    notes: list[str] = []
    data, encoding = _open(path, shown, notes)
    with data:
        return _read(data, encoding, shown, notes, Told())


def read_text(text: str, shown: str, told: Told) -> Raw:
    """As of a file that holds this text."""
    notes: list[str] = []
    with io.BytesIO(text.replace("\r\n", "\n").replace("\r", "\n").encode()) as data:
        return _read(data, _encoding(data, shown, notes), shown, notes, told)


def _read(data: BinaryIO, encoding: str, shown: str, notes: list[str], told: Told) -> Raw:
    layout = _layout(data, encoding, shown, notes, told)
    frame = _parse(data, encoding, layout, shown, told)
    check_size(shown, len(frame), frame.shape[1])
    if told.strict:
        _refuse_uneven(data, encoding, layout, shown)
    notes += _cut_lines(data, encoding, layout, len(frame), shown)
    gaps = bool(frame.isna().any(axis=None))
    spellings = _spellings(data, layout.delimiter, told.missing) if gaps else []
    if spellings:
        notes.append("Read as missing values: empty cells and " + ", ".join(f"“{s}”" for s in spellings) + ".")
    raw = Raw([], [], notes=notes, free_text=True, decimal=layout.decimal)
    for i, name in enumerate(layout.header):
        column = frame.iloc[:, i]
        if not name and bool(column.isna().all()):
            continue  # a delimiter at the end of each line
        if isinstance(column.dtype, pd.StringDtype):
            column = column.str.replace(_ESCAPED, "", regex=True)
            if told.decimal == "," and _all_points(column):
                at = f"{name or i + 1}: numbers with a point"
                raw.notes.append(f"{at} were read as decimals, though the decimal mark is said to be the comma.")
        raw.names.append(name)
        raw.columns.append(column)
    return raw


def _open(path: Path, shown: str, notes: list[str]) -> tuple[BinaryIO, str]:
    """(a seekable binary file, its encoding). UTF-16 and lines that end in CR alone are rewritten in memory."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            whole = (head + file.read()).decode("utf-16")
            return io.BytesIO(whole.encode()), "utf-8"
        if b"\n" not in head and b"\r" in head:
            whole_bytes = (head + file.read()).replace(b"\r", b"\n")
            return io.BytesIO(whole_bytes), _encoding(io.BytesIO(whole_bytes), shown, notes)
        file.seek(0)
        encoding = _encoding(file, shown, notes)
    return path.open("rb"), encoding


def _encoding(file: BinaryIO, shown: str, notes: list[str]) -> str:
    """utf-8 (with or without mark), or latin-1 with a note. Zero bytes are not text: refused."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8-sig" if file.read(3) == codecs.BOM_UTF8 else "utf-8"
    file.seek(0)
    while chunk := file.read(1 << 20):
        if b"\x00" in chunk:
            raise refused("wrong-format", f"{shown} is not a text file.")
        if encoding != "latin-1":
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                encoding = "latin-1"
    if encoding == "latin-1":
        notes.append("The file is not in UTF-8; its letters were read as Latin-1 (Western European).")
    return encoding


def _layout(data: BinaryIO, encoding: str, shown: str, notes: list[str], told: Told) -> Layout:
    """Delimiter, names and decimal sign, from the first lines where they are not told."""
    data.seek(0)
    head = data.read(SAMPLE)
    whole = len(head) < SAMPLE
    if not whole:  # whole lines only
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
    delimiter = told.delimiter or (line.group(1) if line and line.group(1) in NAMED else _sniff(lines, told.decimal))
    rows = list(itertools.islice(_fields(iter(lines), delimiter), 200))
    if not rows:
        raise refused("damaged-file", f"{shown}: its first line cannot be divided into column names.")
    (header, used), body = rows[0], [row for row, _ in rows[1:] if any(row)]
    if len(header) > MAX_COLUMNS:
        check_size(shown, 1, len(header))
    decimal = told.decimal or _decimal([*body, header], delimiter)
    if told.names is False:
        return Layout(delimiter, [f"V{i}" for i in range(1, len(header) + 1)], skip, decimal)
    if told.names is None and all(_is_value(cell, decimal) for cell in header) and any(cell.strip() for cell in header):
        notes.append(f"The first line holds only numbers, so the columns were named c1 to c{len(header)}.")
        header, used = [f"c{i}" for i in range(1, len(header) + 1)], 0
    elif body and all(len(row) == len(header) + 1 for row in body):
        if all(not row[-1].strip() for row in body):
            header = [*header, ""]
        else:  # as R's write.table does
            header = ["row", *header]
            notes.append("The lines have one field more than there are names; the first was named row.")
    return Layout(delimiter, [name.strip() for name in header], skip + used, decimal)


def _sniff(lines: list[str], decimal: str | None = None) -> str:
    """The delimiter that splits the first lines into the same number of fields, more than one; else the commonest.

    Where the comma is known to mark decimals, it is tried last, as in lines whose numbers stand in quotes.
    """
    first = [line for line in lines[:30] if line.strip()]
    counts: dict[str, list[int]] = {}
    for delimiter in ("\t", ";", SPACES, ",") if decimal == "," else ("\t", ";", ",", SPACES):
        counts[delimiter] = [len(row) for row, _ in _fields(iter(first), delimiter)]
        low, high = min(counts[delimiter], default=0), max(counts[delimiter], default=0)
        if low > 1 and high - low <= (1 if counts[delimiter][0] == low else 0):
            return delimiter
    at = max(("\t", ";") if decimal == "," else ("\t", ";", ","), key=lambda d: sum(counts[d][:1]))
    return at if sum(counts[at][:1]) > 1 or decimal == "," else ","


def _fields(lines: Iterator[str], delimiter: str) -> Iterator[tuple[list[str], int]]:
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
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(cell)) for cell in cells)
    points = sum("." in cell and bool(_NUMBER.fullmatch(cell)) for cell in cells)
    return "," if commas > points else "."


def _all_points(column: pd.Series) -> bool:
    """Is every value a number, some with a point?"""
    seen = column.dropna()
    return bool(seen.str.contains(".", regex=False).any()) and bool(pd.to_numeric(seen, errors="coerce").notna().all())


def _is_value(cell: str, decimal: str) -> bool:
    text = cell.strip()
    return text in MISSING_SPELLINGS or bool(_NUMBER.fullmatch(text.replace(decimal, ".") if decimal == "," else text))


def _parse(data: BinaryIO, encoding: str, layout: Layout, shown: str, told: Told) -> pd.DataFrame:
    """The rows under the header, numbers exact to the last digit."""
    data.seek(0)
    for _ in range(layout.skip):
        data.readline()
    separator = r"\s+" if layout.delimiter == SPACES else layout.delimiter
    exact: Any = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                data,
                sep=separator,
                header=None,
                names=list(range(len(layout.header))),
                index_col=False,
                na_values=[*MISSING_SPELLINGS, *told.missing],
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=len(layout.header) > 1,
                decimal=layout.decimal,
                encoding="utf-8" if encoding == "utf-8-sig" else encoding,
                low_memory=False,
                **exact,
            )
    except pd.errors.EmptyDataError:
        raise refused("no-rows", f"{shown} has column names but no rows.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        said = str(error)
        if opened := re.search(r"EOF inside string starting at row (\d+)", said):
            text = f"{shown}: the text that begins in row {int(opened.group(1)) + 1} has no closing quotation mark."
            raise refused("open-quote", text) from error
        for line, count in _uneven(data, encoding, layout):
            if count > len(layout.header):
                raise refused("uneven-lines", _uneven_text(shown, line, count, layout)) from error
        if found := re.search(r"in line (\d+), saw (\d+)", said):  # where quotes are read in two ways
            line, count = layout.skip + int(found.group(1)), int(found.group(2))
            raise refused("uneven-lines", _uneven_text(shown, line, count, layout)) from error
        raise


def _uneven_text(shown: str, line: int, count: int, layout: Layout) -> str:
    fields = f"{count} field{'' if count == 1 else 's'}"
    return (
        f"{shown}, line {line}: {fields}, but there are {len(layout.header)} columns "
        f"(read as separated by {NAMED[layout.delimiter]})."
    )


def _uneven(data: BinaryIO, encoding: str, layout: Layout) -> Iterator[tuple[int, int]]:
    """(line, fields) of the records that do not have one field for each column. Slow; for files known to have some."""
    data.seek(0)
    lines = (line.decode(encoding, "replace") for line in data)
    for _ in range(layout.skip):
        next(lines)
    for row, used in _fields(lines, layout.delimiter):
        if row and len(row) != len(layout.header):
            yield layout.skip + used, len(row)


def _refuse_uneven(data: BinaryIO, encoding: str, layout: Layout, shown: str) -> None:
    """Refuse the first line that has not one field for each column. Blank lines are passed over."""
    data.seek(0)
    lines = (line.decode(encoding, "replace") for line in data)
    for _ in range(layout.skip):
        next(lines)
    p = len(layout.header)
    for row, used in _fields(lines, layout.delimiter):
        if len(row) != p and (len(row) > 1 or any(cell.strip() for cell in row)):
            raise refused("uneven-lines", _uneven_text(shown, layout.skip + used, len(row), layout))


def _cut_lines(data: BinaryIO, encoding: str, layout: Layout, n_rows: int, shown: str) -> list[str]:
    """A note when lines are too short, as in a file that was cut off: pandas fills them up in silence.

    Delimiters are counted, which quoted ones would mislead; then only the end of the file is looked at.
    """
    p = len(layout.header)
    if p < 2 or layout.delimiter == SPACES:
        return []
    data.seek(0)
    for _ in range(layout.skip):
        data.readline()
    start, delimiter, total, quoted = data.tell(), layout.delimiter.encode(), 0, False
    while chunk := data.read(1 << 20):
        total += chunk.count(delimiter)
        quoted = quoted or b'"' in chunk
    if quoted:
        data.seek(max(start, data.tell() - 4096))
        last = data.read().decode(encoding, "replace").rstrip("\r\n").rsplit("\n", 1)[-1]
        if last.count('"') % 2 or len(next(csv.reader([last], delimiter=layout.delimiter))) == p:
            return []
    elif total >= (p - 1) * n_rows:
        return []
    for line, count in _uneven(data, encoding, layout):
        if count < p:
            return [_uneven_text(shown, line, count, layout) + " What it lacks was taken as missing."]
    return []


def _spellings(data: BinaryIO, delimiter: str, more: tuple[str, ...] = ()) -> list[str]:
    """The ways of writing a missing value that the file uses, besides the empty cell."""
    edge = rb"[\s" + re.escape(delimiter.encode()) + rb"\"]"
    words = {word: re.escape(word.encode()) for word in (*MISSING_SPELLINGS[1:], *more)}
    sought = {w: re.compile(e + rb"(?=" + edge + rb"|\Z)(?<=" + edge + e + rb")") for w, e in words.items()}
    used: set[str] = set()
    data.seek(0)
    overlap = max(len(word.encode()) for word in words) + 3
    before = b"\n"
    while chunk := data.read(1 << 20):
        chunk = before + chunk
        used |= {w for w, found in sought.items() if w not in used and w.encode() in chunk and found.search(chunk)}
        before = chunk[-overlap:]
    return [word for word in sought if word in used]
