"""Stata .dta, all versions that pandas reads. Extended missing values .a to .z are missing.

Values come from pandas; value labels and date formats from pyreadstat's metadata, which names them per column.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat

from templates_engine.data.dataset import code_text
from templates_engine.data.readers import refused
from templates_engine.data.readers.raw import Raw

_UNITS = {"%tm": "months", "%tq": "quarters", "%tw": "weeks", "%th": "half-years"}


def read_raw(path: Path, shown: str) -> Raw:
    _check_end(path)
    try:
        with path.open("rb") as file:
            options: Any = {"convert_categoricals": False, "convert_dates": False, "preserve_dtypes": False}
            reader: Any = pd.read_stata(file, iterator=True, **options)
            with reader:
                frame = reader.read()
                titles = reader.variable_labels()
    except KeyError as error:  # long texts as haven 2.5.1 writes them, which no library reads rightly
        if b"GSO" not in path.read_bytes():
            raise
        text = f"{shown} holds long texts (strL) that cannot be read. Save it without them, or as .csv, and try again."
        raise refused("long-texts", text) from error
    raw = Raw([str(c) for c in frame.columns], [frame.iloc[:, i] for i in range(frame.shape[1])])
    raw.titles = {i: titles.get(name, "") for i, name in enumerate(raw.names)}
    _metadata(path, raw)
    return raw


def _check_end(path: Path) -> None:
    """Since version 117 a file ends with a mark; without it labels may be lacking though all values are there."""
    with path.open("rb") as file:
        if not file.read(11).startswith(b"<stata_dta>"):
            return
        file.seek(max(0, path.stat().st_size - 64))
        if b"</stata_dta>" not in file.read():
            raise ValueError("its end is missing")


def _metadata(path: Path, raw: Raw) -> None:
    """Value labels, and date formats with which day and clock columns become text."""
    meta = None
    for encoding in (None, "LATIN1"):
        try:
            _, meta = pyreadstat.read_dta(str(path), metadataonly=True, encoding=encoding)
            break
        except Exception:  # labels are a help, the values are already read
            continue
    if meta is None:
        raw.notes.append("The value labels in this file could not be read; the values were.")
        return
    for i, name in enumerate(raw.names):
        labels = meta.variable_value_labels.get(name, {})
        raw.labels[i] = {code_text(k): str(v) for k, v in labels.items() if isinstance(k, (int, float))}
        kind = str(meta.original_variable_types.get(name, ""))
        if kind.startswith(("%td", "%d")) and not kind.startswith("%dt"):
            raw.columns[i] = _dates(raw.columns[i], 86_400_000)
        elif kind.startswith(("%tc", "%tC")):
            raw.columns[i] = _dates(raw.columns[i], 1)
        elif kind[:3] in _UNITS:
            raw.notes.append(f"{name}: dates counted in {_UNITS[kind[:3]]} since the beginning of 1960.")


def _dates(series: pd.Series, milliseconds: int) -> pd.Series:
    """Days or milliseconds since 1 January 1960 as dates."""
    if not pd.api.types.is_numeric_dtype(series.dtype):
        return series
    count = series.to_numpy(np.float64)
    gaps = np.isnan(count)
    stamps = np.datetime64("1960-01-01", "ms") + (np.where(gaps, 0, count) * milliseconds).astype("timedelta64[ms]")
    stamps[gaps] = np.datetime64("NaT")
    return pd.Series(stamps)
