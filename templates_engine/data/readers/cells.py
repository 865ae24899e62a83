"""One column's cells as float64 (NaN missing) or unicode ("" missing), with notes on what was decided.

bool → 0/1     dates, times → ISO text     whole numbers beyond 2^53 → text (a float would merge them)
code below -9.99e29 → missing     infinite → a Problem     typed texts that are all numbers → numbers (typed.py)
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from templates_engine.data.dataset import Values, code_text
from templates_engine.data.readers import typed
from templates_engine.data.readers.found import Found
from templates_engine.data.readers.identifiers import EXACT_WHOLE, LONG
from templates_engine.data.readers.raw import Raw


def values_of(name: str, series: pd.Series, found: Found, raw: Raw) -> Values | typed.Open:
    """The column's values, or Open where other columns must be seen first; refusals and notes go to `found`."""
    dtype = series.dtype
    if kind := raw.kinds.get(name):
        return _as_told(name, kind, series, found, raw)
    if isinstance(dtype, pd.CategoricalDtype):
        return values_of(name, series.astype(dtype.categories.dtype), found, raw)
    if pd.api.types.is_bool_dtype(dtype):
        found.yes_no.append(name)
        return series.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(dtype):
        if raw.separator and pd.api.types.is_float_dtype(dtype) and not raw.told:
            _learn_decimal(series.to_numpy(np.float64, na_value=np.nan), found, raw.decimal)
        return _numbers(name, series, found)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        found.dates.append(name)
        return iso_dates(series)
    cells = series.to_numpy(object)
    absent = np.asarray(pd.isna(series))
    if absent.all():
        return np.full(len(series), np.nan)
    seen = pd.Series(cells[~absent], dtype=object)
    inferred = pd.api.types.infer_dtype(seen)
    if inferred == "boolean":
        found.yes_no.append(name)
        return _spread(seen.to_numpy(np.float64), absent)
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        if inferred == "integer" and max(abs(v) for v in (seen.min(), seen.max())) > EXACT_WHOLE:
            return _long(name, seen.map(str), absent, found)
        return _numbers(name, pd.Series(_spread(seen.to_numpy(np.float64), absent)), found)
    if inferred in ("datetime64", "datetime"):
        found.dates.append(name)
        return iso_dates(pd.to_datetime(series))
    if inferred in ("date", "time", "timedelta"):
        found.dates.append(name)
        return _texts(name, seen.map(str), absent, found)
    if inferred == "bytes":
        seen = seen.map(lambda b: b.decode("utf-8", "replace"))
    elif inferred != "string":
        seen = seen.map(_cell_text)
    if raw.free_text:
        return typed.begin(name, seen, absent, found, raw)
    return _texts(name, seen, absent, found)


def _as_told(name: str, kind: str, series: pd.Series, found: Found, raw: Raw) -> Values:
    """The values of the kind that the user states; numbers that are no texts need no marks."""
    from templates_engine.data.readers.as_told import as_told

    if kind != "text" and pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        return _numbers(name, series, found)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        series = pd.Series(iso_dates(series).astype(object)).replace("", None)
    absent = np.asarray(pd.isna(series))
    seen = pd.Series(series.to_numpy(object)[~absent], dtype=object).map(_cell_text)
    return as_told(name, kind, seen, absent, found, raw)


def iso_dates(series: pd.Series) -> Values:
    """Dates as text: 2020-01-31, with the time of day where there is one in the column; missing is ""."""
    stamps = pd.DatetimeIndex(series).tz_localize(None) if getattr(series.dtype, "tz", None) else series
    days = stamps.to_numpy("datetime64[s]")
    whole = bool((days[~np.isnat(days)].astype(np.int64) % 86400 == 0).all())
    text = np.datetime_as_string(days.astype("datetime64[D]") if whole else days)
    return np.where(np.isnat(days), "", text)


def _learn_decimal(values: npt.NDArray[np.float64], found: Found, decimal: str) -> None:
    """The decimal mark is certain where a number has a fraction: doubtful ones have come as texts."""
    if decimal not in found.decimals and bool((values > np.floor(values)).any()):
        found.decimals.add(decimal)


def _numbers(name: str, series: pd.Series, found: Found) -> Values:
    if pd.api.types.is_integer_dtype(series.dtype) and len(series):
        low, high = series.min(), series.max()
        if not pd.isna(low) and max(int(high), -int(low)) > EXACT_WHOLE:  # compared as whole numbers, not as doubles
            gaps = np.asarray(series.isna())
            return _long(name, series[~gaps].astype(str), gaps, found)
    return found.finite(name, series.to_numpy(np.float64, na_value=np.nan))


def _long(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found) -> Values:
    found.identifiers.setdefault(LONG, []).append((name, str(seen.iloc[0])))
    return _texts(name, seen, absent, found)


def _texts(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found) -> Values:
    codes = np.full(len(absent), -1, np.intp)
    inside, different = pd.factorize(seen.to_numpy(object))
    codes[~absent] = inside
    return found.texts(name, pd.Series(different, dtype=object), codes)


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
