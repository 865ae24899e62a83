"""One column's cells as float64 (NaN missing) or unicode ("" missing), with notes on what was decided.

bool → 0/1     dates, times → ISO text     whole numbers beyond 2^53 → text (a float would merge them)
code below -9.99e29 → missing     infinite → a Problem     typed texts that are all numbers → numbers
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from templates_engine.data.dataset import Values, code_text
from templates_engine.problems import Problem

MISSING_SPELLINGS = ("", "NA", "N/A", "n/a", ".", "NaN", "nan", "NULL", "null", "#N/A")
LEGACY_MISSING = -9.99e29  # MLwiN's -9.999e29, compared by < because single precision holds -9.998999764e29
EXACT_WHOLE = 2.0**53
TEXT_BUDGET = 64_000_000  # characters in one column's array: 256 MB
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
SEEN = 1000  # first cells of a column of texts that are looked at for numbers with a comma
LONGEST_TEXT = 2045  # what a Stata file holds


@dataclass
class Found:
    """What reading the columns brought to light."""

    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    spellings: set[str] = field(default_factory=set)
    yes_no: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)


def values_of(name: str, series: pd.Series, found: Found, free_text: bool = False, decimal: str = ".") -> Values:
    """The column's values; refusals and notes go to `found`."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return values_of(name, series.astype(dtype.categories.dtype), found, free_text, decimal)
    if pd.api.types.is_bool_dtype(dtype):
        found.yes_no.append(name)
        return series.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(dtype):
        return _numbers(name, series, found)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        found.dates.append(name)
        return iso_dates(series)
    cells = series.to_numpy(object)
    absent = np.asarray(pd.isna(series))
    if absent.all():
        return np.full(len(series), np.nan)
    seen = pd.Series(cells[~absent], dtype=object)
    kind = pd.api.types.infer_dtype(seen)
    if kind == "boolean":
        found.yes_no.append(name)
        return _spread(seen.to_numpy(np.float64), absent)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        if kind == "integer" and max(abs(v) for v in (seen.min(), seen.max())) > EXACT_WHOLE:
            found.notes.append(_too_long(name))
            return _texts(name, seen.map(str), absent, found)
        return _numbers(name, pd.Series(_spread(seen.to_numpy(np.float64), absent)), found)
    if kind in ("datetime64", "datetime"):
        found.dates.append(name)
        return iso_dates(pd.to_datetime(series))
    if kind in ("date", "time", "timedelta"):
        found.dates.append(name)
        return _texts(name, seen.map(str), absent, found)
    if kind == "bytes":
        seen = seen.map(lambda b: b.decode("utf-8", "replace"))
    elif kind != "string":
        seen = seen.map(_cell_text)
    if free_text:
        return _typed(name, seen, absent, found, decimal)
    return _texts(name, seen, absent, found)


def iso_dates(series: pd.Series) -> Values:
    """Dates as text: 2020-01-31, with the time of day where there is one in the column; missing is ""."""
    stamps = pd.DatetimeIndex(series).tz_localize(None) if getattr(series.dtype, "tz", None) else series
    days = stamps.to_numpy("datetime64[s]")
    whole = bool((days[~np.isnat(days)].astype(np.int64) % 86400 == 0).all())
    text = np.datetime_as_string(days.astype("datetime64[D]") if whole else days)
    return np.where(np.isnat(days), "", text)


def _numbers(name: str, series: pd.Series, found: Found) -> Values:
    if pd.api.types.is_integer_dtype(series.dtype) and len(series):
        low, high = series.min(), series.max()
        if not pd.isna(low) and (high > EXACT_WHOLE or low < -EXACT_WHOLE):
            found.notes.append(_too_long(name))
            gaps = np.asarray(series.isna())
            return _texts(name, series[~gaps].astype(str), gaps, found)
    values = series.to_numpy(np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax()) + 1
        text = f"{name}, row {row}: infinite value; accepted are finite numbers or empty cells."
        found.problems.append(Problem("infinite-value", text, column=name))
    legacy = values < LEGACY_MISSING
    if legacy.any() and not infinite.any():
        values = np.where(legacy, np.nan, values)
        found.notes.append(f"{name}: the missing value code -9.999e29 was read as missing ({int(legacy.sum())} cells).")
    return values


def _typed(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found, decimal: str) -> Values:
    """A column typed by people: missing spellings, numbers among texts, `decimal` their mark."""
    texts = seen.to_numpy(object)
    blank = np.asarray(seen.isin(MISSING_SPELLINGS))
    if blank.any():
        found.spellings.update(set(texts[blank]) - {""})
        absent = absent.copy()
        absent[np.flatnonzero(~absent)[blank]] = True
        texts = texts[~blank]
        if not len(texts):
            return np.full(len(absent), np.nan)
    column = pd.Series(texts, dtype=object)
    written = column.where(~_commas(column), column.str.replace(",", ".")) if decimal == "," else column
    numbers = np.asarray(pd.to_numeric(written, errors="coerce"), np.float64)
    strange = np.isnan(numbers)
    if not strange.any():
        return _numbers(name, pd.Series(_spread(numbers, absent)), found)
    if strange.mean() < 0.5:
        found.notes.append(f"{name}: {_first(texts, strange, absent)}; the column is kept as text.")
    elif decimal != "," and _commas(column[:SEEN]).mean() > 0.5:
        commas = _commas(column)
        meant = "whether its comma marks decimals or thousands is not known, so the column is kept as text"
        found.notes.append(f"{name}: {_first(texts, commas, absent)}; {meant}. LoadTextFile lets you say which.")
    return _texts(name, pd.Series(texts, dtype=object), absent, found)


def _commas(column: pd.Series) -> npt.NDArray[np.bool_]:
    return np.asarray(column.str.strip().str.fullmatch(_DECIMAL_COMMA), bool)


def _first(texts: npt.NDArray[np.object_], strange: npt.NDArray[np.bool_], absent: npt.NDArray[np.bool_]) -> str:
    """ "row 3 holds '1.234,5', and 2 more rows are like it"."""
    at = int(strange.argmax())
    row = int(np.flatnonzero(~absent)[at]) + 1
    more = int(strange.sum()) - 1
    also = f", and {more:,} more row{'s are' if more > 1 else ' is'} like it" if more else ""
    return f"row {row} holds '{str(texts[at])[:40]}'{also}"


def _texts(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found) -> Values:
    longest = min(LONGEST_TEXT, max(32, TEXT_BUDGET // max(1, len(absent))))
    cells = seen.to_numpy(object)
    widths = seen.str.len().to_numpy(np.int64)
    too_long = widths > longest
    if too_long.any():
        found.notes.append(f"{name}: texts longer than {longest} characters were cut ({int(too_long.sum())} cells).")
    result = np.full(len(absent), "", dtype=f"<U{max(1, min(longest, int(widths.max(initial=1))))}")
    result[~absent] = cells
    return result


def _spread(seen: npt.NDArray[np.float64], absent: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    values = np.full(len(absent), np.nan)
    values[~absent] = seen
    return values


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, (int, float)):
        return code_text(cell) if np.isfinite(cell) else str(cell)
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ", "seconds")
    return str(cell)


def _too_long(name: str) -> str:
    return f"{name}: whole numbers of more than 15 digits are kept as text, because calculating would merge them."


def listed(names: list[str], what: Callable[[str], str]) -> list[str]:
    """[what("a, b, c")] for names, nothing for none."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [what(", ".join(names[:8]) + more)] if names else []
