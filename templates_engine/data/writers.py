"""Writing a Dataset as .dta, .csv or .parquet. Reading the file again gives the same values, to the last bit.

Bytes depend on the data alone (no clock), so that the same run gives the same files. What a format cannot hold is
Refused before anything is written; a file appears whole or not at all.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from templates_engine.data.dataset import Dataset, Values
from templates_engine.data.names import unique
from templates_engine.problems import Problem, Refused

EXTENSIONS = (".dta", ".csv", ".parquet")
STATA_NAME = 32
STATA_TITLE = 80
STATA_TEXT = 2045  # bytes; longer texts go to strL
STATA_LARGEST = 8.988465674311579e307
STATA_LONG = (-2_147_483_647, 2_147_483_620)
EXACT_WHOLE = 2**53

_RESERVED = """
aggregate array boolean break byte case catch class colvector complex const continue default delegate delete do double
else eltypedef end enum explicit export external float for friend function global goto if import in inline int local
long mata matrix namespace new numeric NULL operator orgtypedef pointer polymorphic pragma private protected public
quad real return rowvector scalar short signed static strL string struct super switch template this throw transmorphic
try typedef typename union using vector version virtual void volatile while with
_all _b _coef _cons _n _N _pi _pred _rc _se _skip
"""
STATA_WORDS = frozenset(_RESERVED.split())  # Stata's and Mata's


def write(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Write to `path`, the format taken from its extension."""
    target = Path(path)
    writers: dict[str, Callable[[Dataset, Path], None]] = {".dta": _stata, ".csv": _csv, ".parquet": _parquet}
    if target.suffix.lower() not in writers:
        text = f"{target.name}: datasets are written as {', '.join(EXTENSIONS)}."
        raise Refused(Problem("unknown-format", text))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.stem[:40], suffix=target.suffix)
    os.close(handle)
    part = Path(name)
    try:
        writers[target.suffix.lower()](dataset, part)
        part.chmod(0o644)
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _whole(values: Values, low: int, high: int) -> bool:
    """True where every observed value is a whole number from low to high (minus zero is not one)."""
    seen = values[~np.isnan(values)]
    if not len(seen) or seen.min() < low or seen.max() > high:
        return False
    return bool((seen == np.rint(seen)).all() and not (np.signbit(seen) & (seen == 0)).any())


def _csv(dataset: Dataset, path: Path) -> None:
    """UTF-8; missing cells empty; texts quoted, with an apostrophe before those that a spreadsheet would run."""
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(dataset.names)
        alone = '""' if len(dataset.columns) == 1 else ""  # an empty line would be no row
        for start in range(0, dataset.n_rows, 50_000):
            columns = [_cells(values[start : start + 50_000], alone) for values in dataset.columns.values()]
            file.write("".join(f"{line}\n" for line in map(",".join, zip(*columns, strict=True))))


def _cells(values: Values, gap: str) -> list[str]:
    """Numbers as the shortest decimals that read back as the same double; whole ones without a point."""
    if values.dtype.kind == "U":
        risky, texts = re.compile(r"(?='*[=+\-@\t\r])"), values.tolist()
        escaped = (("'" if risky.match(t) else "") + t.replace('"', '""').replace("\0", "") for t in texts)
        return [f'"{t}"' if t else gap for t in escaped]
    written: list[str]
    if _whole(values, -EXACT_WHOLE, EXACT_WHOLE):
        written = list(map(str, np.where(np.isnan(values), 0, values).astype(np.int64).tolist()))
    else:
        written = list(map(repr, values.tolist()))
        for i in np.flatnonzero((np.abs(values) > EXACT_WHOLE) & (np.abs(values) < 1e16)).tolist():
            written[i] = np.format_float_scientific(values[i])  # with a point before its end it would be a code
    for i in np.flatnonzero(np.isnan(values)).tolist():
        written[i] = gap
    return written


def _stata(dataset: Dataset, path: Path) -> None:
    """Stata 14 or later (version 118). Whole numbers as byte, int or long, all others as double; texts as str or strL.

    Names that Stata does not allow are changed and kept in the variable's label.
    """
    problems = []
    for name, values in dataset.columns.items():
        if values.dtype.kind == "f" and (np.abs(values[~np.isnan(values)]) >= STATA_LARGEST).any():
            text = f"{name} holds values that a Stata file cannot hold (infinite, or 9e307 and beyond)."
            problems.append(Problem("out-of-range", text, column=name))
    if problems:
        raise Refused(problems)
    names = stata_names(list(dataset.names))
    columns: dict[str, pd.Series] = {}
    long_texts: list[str] = []
    for name, values in zip(names, dataset.columns.values(), strict=True):
        if values.dtype.kind == "U":
            columns[name] = pd.Series(values.astype(object), dtype=object)
            if values.dtype.itemsize > STATA_TEXT and max(len(t.encode()) for t in values) > STATA_TEXT:
                long_texts.append(name)
        elif _whole(values, *STATA_LONG):
            columns[name] = pd.Series(values).astype(_smallest(values))
        else:
            columns[name] = pd.Series(values)
    titles = {
        new: _stata_title(old, new, dataset.titles.get(old, "")) for new, old in zip(names, dataset.names, strict=True)
    }
    options: Any = {"value_labels": _stata_labels(dataset, names), "convert_strl": long_texts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        pd.DataFrame(columns).to_stata(
            path,
            write_index=False,
            version=118,
            variable_labels=titles,
            data_label=dataset.name[:STATA_TITLE],
            time_stamp=dt.datetime(2000, 1, 1),
            **options,
        )


def _stata_title(name: str, written: str, title: str) -> str:
    """A variable's label: its title; its own name first, where the file has another."""
    if name == written:
        return title[:STATA_TITLE]
    return (f"{name}: {title}" if title and title != name else name)[:STATA_TITLE]


def _smallest(values: Values) -> Any:
    """The pandas type of Stata's byte, int or long, with room for missing values where there are some."""
    low, high = np.nanmin(values), np.nanmax(values)
    kind = "Int8" if low >= -127 and high <= 100 else "Int16" if low >= -32767 and high <= 32740 else "Int32"
    return kind if np.isnan(values).any() else kind.lower()


def _stata_labels(dataset: Dataset, names: list[str]) -> dict[str, dict[int, str]]:
    """Value labels of whole codes; Stata has no others."""
    result = {}
    for new, old in zip(names, dataset.names, strict=True):
        labels = dataset.labels.get(old, {})
        if dataset.is_text(old):
            continue
        codes = {int(k): v[:32000] for k, v in labels.items() if re.fullmatch(r"-?\d{1,9}", k)}
        if codes:
            result[new] = codes
    return result


def stata_names(names: list[str]) -> list[str]:
    """Names as Stata allows: letters, digits and _, at most 32, no word of its own, all different."""
    allowed = []
    for name in names:
        new = re.sub(r"\W", "_", name)
        new = new if not new[:1].isdigit() else "_" + new
        if new in STATA_WORDS or re.fullmatch(r"str\d+", new):
            new += "_"
        allowed.append(new)
    return unique(allowed, STATA_NAME)


def _parquet(dataset: Dataset, path: Path) -> None:
    """Doubles, whole numbers and texts with nulls; labels and titles under the key "statgrove"."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        text = "Parquet files need the package pyarrow: pip install 'statgrove[parquet]'."
        raise Refused(Problem("not-installed", text)) from None
    from templates_engine.data.readers.parquet import OURS

    arrays = []
    for values in dataset.columns.values():
        if values.dtype.kind == "U":
            arrays.append(pa.array(values.astype(object), pa.string(), mask=values == ""))
        else:
            gaps = np.isnan(values)
            whole = _whole(values, -EXACT_WHOLE, EXACT_WHOLE)
            kept = np.where(gaps, 0, values).astype(np.int64) if whole else values
            arrays.append(pa.array(kept, mask=gaps))
    about = {"name": dataset.name, "labels": dataset.labels, "titles": dataset.titles}
    table = pa.table(arrays, names=list(dataset.names)).replace_schema_metadata({OURS: json.dumps(about).encode()})
    pq.write_table(table, path)
