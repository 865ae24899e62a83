"""Delimited text, .csv and .txt: encoding, layout and numbers are found from the file itself.

The rows are read once, numbers as numbers. Columns of numbers that may be identifiers (007, 1E2, 16 digits) or have
marks of thousands are then read a second time, as texts, and judged whole (identifiers.py, numerals.py).
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from templates_engine.data.names import column_names
from templates_engine.data.readers import identifiers, refused
from templates_engine.data.readers.assemble import check_size, refuse_unknown
from templates_engine.data.readers.encodings import candidates, encoding_of, marked
from templates_engine.data.readers.layout import NAMED, SAMPLE, SPACES, Layout, fields, layout_of
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import Reading
from templates_engine.data.readers.typed import MISSING_SPELLINGS
from templates_engine.problems import Problem, Refused

_ESCAPED = r"^'(?='*[=+\-@\t\r])"  # the apostrophe that writers.py puts before cells a spreadsheet would run


def read_raw(path: Path, shown: str, told: Reading) -> Raw:
    notes: list[str] = []
    data, encoding = _told(path, shown, told.encoding) if told.encoding else _open(path, shown, notes)
    with data:
        raw = _read(data, encoding, shown, notes, told)
    raw.how["encoding"] = told.encoding or encoding
    if not told.encoding and encoding not in ("utf-8", "utf-8-sig"):
        raw.how["encodings"] = candidates(path, encoding)
    return raw


def _told(path: Path, shown: str, encoding: str) -> tuple[BinaryIO, str]:
    """The file as UTF-8 in memory, of the encoding that is told."""
    try:
        text = path.read_bytes().decode(encoding)
    except (UnicodeError, ValueError):
        raise Refused(Problem("reading", f"{shown} is not written in {encoding}.", key="encoding")) from None
    if "\0" in text:
        raise Refused(Problem("reading", f"{shown} is not written in {encoding}.", key="encoding"))
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return io.BytesIO(text.encode("utf-8", "replace")), "utf-8"


def read_text(text: str, shown: str, told: Reading) -> Raw:
    """As of a file that holds this text."""
    notes: list[str] = []
    with io.BytesIO(text.replace("\r\n", "\n").replace("\r", "\n").encode()) as data:
        return _read(data, encoding_of(data, shown, notes), shown, notes, told)


def _read(data: BinaryIO, encoding: str, shown: str, notes: list[str], told: Reading) -> Raw:
    layout = layout_of(data, encoding, shown, notes, told)
    frame = _parse(data, encoding, layout, shown, told)
    check_size(shown, len(frame), frame.shape[1])
    if told.strict:
        _refuse_uneven(data, encoding, layout, shown)
    notes += _cut_lines(data, encoding, layout, len(frame), shown)
    gaps = bool(frame.isna().any(axis=None))
    spellings = _spellings(data, layout.delimiter, told.missing) if gaps else []
    if spellings:
        notes.append("Read as missing values: empty cells and " + ", ".join(f"“{s}”" for s in spellings) + ".")
    kept = [i for i, name in enumerate(layout.header) if name or not bool(frame.iloc[:, i].isna().all())]
    texts = _texts_again(data, encoding, layout, shown, told, frame)
    if told.kinds:
        names = column_names([layout.header[i] for i in kept])[0]
        refuse_unknown(told.kinds, names, shown)
        stated = [i for i, name in zip(kept, names, strict=True) if name in told.kinds]
        again = _parse(data, encoding, layout, shown, told, stated)
        texts |= {i: again[i] for i in stated}
    raw = Raw([], [], notes=notes, free_text=True, decimal=layout.decimal, separator=layout.delimiter)
    raw.told, raw.kinds, raw.totals = told.decimal or "", told.kinds, told.totals
    raw.how = {
        "separator": NAMED.get(layout.delimiter, layout.delimiter),
        "decimal": {".": "point", ",": "comma"}[layout.decimal],
        "first": layout.first,
        "names": layout.names,
    }
    for i in kept:  # the others are a delimiter at the end of each line
        name, column = layout.header[i], texts.get(i, frame.iloc[:, i])
        if isinstance(column.dtype, pd.StringDtype) and bool(column.str.startswith("'").any()):
            column = column.str.replace(_ESCAPED, "", regex=True)
        if title := layout.titles.get(i):
            raw.titles[len(raw.names)] = title
        raw.names.append(name)
        raw.columns.append(column)
    return raw


def _open(path: Path, shown: str, notes: list[str]) -> tuple[BinaryIO, str]:
    """(a seekable binary file, its encoding). UTF-16 and lines that end in CR alone are rewritten in memory."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
        sure = marked(head)
        if sure.startswith("utf-16") or sure == "utf-32":
            try:
                whole = (head + file.read()).decode(sure)
            except UnicodeDecodeError:
                raise refused("wrong-format", f"{shown} is not a text file.") from None
            if sure.endswith("e"):
                notes.append("The file has no byte order mark; it was read as UTF-16, as the zeros in it say.")
            return io.BytesIO(whole.replace("\r\n", "\n").replace("\r", "\n").encode()), "utf-8"
        if b"\n" not in head and b"\r" in head:
            whole_bytes = (head + file.read()).replace(b"\r", b"\n")
            return io.BytesIO(whole_bytes), encoding_of(io.BytesIO(whole_bytes), shown, notes)
        file.seek(0)
        encoding = encoding_of(file, shown, notes)
    return path.open("rb"), encoding


def _texts_again(
    data: BinaryIO, encoding: str, layout: Layout, shown: str, told: Reading, frame: pd.DataFrame
) -> dict[int, pd.Series]:
    """The columns of numbers that may be identifiers or have marks of thousands, as the texts that the file holds."""
    numbers = [i for i, dtype in enumerate(frame.dtypes) if dtype.kind in "iuf"]
    codes = _codes(data, layout) if numbers else set()
    marks, wholes = [], []
    for i in numbers:
        values = frame.iloc[:, i].to_numpy()
        if values.dtype.kind != "f":
            wholes += [i] if codes is None or i in codes else []
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            if ((np.abs(values) >= identifiers.EXACT_WHOLE) & np.isfinite(values)).any() or _may_be_thousands(values):
                marks.append(i)
            elif (codes is None or i in codes) and not (values > np.floor(values)).any():
                wholes.append(i)
    if not marks and not wholes:
        return {}
    again = _parse(data, encoding, layout, shown, told, sorted(marks + wholes))
    found = {i: again[i] for i in marks}
    for i in wholes:
        texts = again[i]
        if codes is not None or bool(texts.str.match(identifiers.HINT, na=False).any()):
            found[i] = texts
    return found


def _may_be_thousands(values: np.ndarray[Any, Any]) -> bool:
    """Could every mark stand before exactly three digits? Not in 0.5 or 1234.5, nor where there is no fraction."""
    head = values[:2000]
    for part in (head, values) if len(values) > len(head) else (values,):
        seen = np.abs(part[~np.isnan(part)])
        broken = seen[seen > np.floor(seen)]
        if len(broken) and (bool((broken < 1).any()) or bool((broken >= 1000).any())):
            return False
        if len(broken) and bool((np.abs(broken * 1000 - np.rint(broken * 1000)) > 1e-6).any()):
            return False
    return bool(len(broken))


def _codes(data: BinaryIO, layout: Layout) -> set[int] | None:
    """The columns in which cells look like codes (007, 1E2); None where that is not seen at once: any may."""
    if layout.delimiter == SPACES:
        return None
    data.seek(0)
    for _ in range(layout.skip):
        data.readline()
    found: set[int] = set()
    rest = b""
    while chunk := data.read(1 << 22):
        lines, end, after = (rest + chunk).rpartition(b"\n")
        if b'"' in lines:
            return None
        found |= identifiers.places(lines + end, layout.delimiter.encode())
        rest = after
    return None if b'"' in rest else found | identifiers.places(rest, layout.delimiter.encode())


def _parse(
    data: BinaryIO, encoding: str, layout: Layout, shown: str, told: Reading, texts: Sequence[int] = ()
) -> pd.DataFrame:
    """The rows under the header, numbers exact to the last digit; or of the columns `texts` the cells as they stand."""
    data.seek(0)
    for _ in range(layout.skip):
        data.readline()
    separator = r"\s+" if layout.delimiter == SPACES else layout.delimiter
    exact: Any = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
    if texts:
        exact = {"usecols": list(texts), "dtype": str}
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
    for row, used in fields(lines, layout.delimiter):
        if row and len(row) != len(layout.header):
            yield layout.skip + used, len(row)


def _refuse_uneven(data: BinaryIO, encoding: str, layout: Layout, shown: str) -> None:
    """Refuse the first line that has not one field for each column. Blank lines are passed over."""
    data.seek(0)
    lines = (line.decode(encoding, "replace") for line in data)
    for _ in range(layout.skip):
        next(lines)
    p = len(layout.header)
    for row, used in fields(lines, layout.delimiter):
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
