"""Stata .dta, all versions that pandas reads. Extended missing values .a to .z are missing.

Read by pandas alone: it is Python, which a damaged file cannot crash, and it reads long texts (strL) rightly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from templates_engine.data.dataset import code_text
from templates_engine.data.readers import refused
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import Reading

STATA_LARGEST_CODE = 2_147_483_620  # beyond are the extended missing values
_UNITS = {"%tm": "months", "%tq": "quarters", "%tw": "weeks", "%th": "half-years"}


def read_raw(path: Path, shown: str, told: Reading) -> Raw:
    _check_end(path)
    try:
        with path.open("rb") as file:
            options: Any = {"convert_categoricals": False, "convert_dates": False, "preserve_dtypes": False}
            reader: Any = pd.read_stata(file, iterator=True, **options)
            with reader:
                frame = reader.read()
                raw = Raw([str(c) for c in frame.columns], [frame.iloc[:, i] for i in range(frame.shape[1])])
                raw.kinds = told.kinds
                titles = reader.variable_labels()
                raw.titles = {i: titles.get(name, "") for i, name in enumerate(raw.names)}
                _metadata(raw, reader)
    except KeyError as error:  # long texts as haven 2.5.1 writes them, which no library reads rightly
        if b"GSO" not in path.read_bytes():
            raise
        text = f"{shown} holds long texts (strL) that cannot be read. Save it without them, or as .csv, and try again."
        raise refused("long-texts", text) from error
    return raw


def _check_end(path: Path) -> None:
    """Since version 117 a file ends with a mark; without it labels may be lacking though all values are there."""
    with path.open("rb") as file:
        if not file.read(11).startswith(b"<stata_dta>"):
            return
        file.seek(max(0, path.stat().st_size - 64))
        if b"</stata_dta>" not in file.read():
            raise ValueError("its end is missing")


def _metadata(raw: Raw, reader: Any) -> None:
    """Value labels, and date formats with which day and clock columns become text.

    pandas gives the sets of labels, but which column has which set, and the formats, only as private attributes.
    """
    sets, used = reader.value_labels(), getattr(reader, "_lbllist", None)
    formats = getattr(reader, "_fmtlist", None)
    if used is None or formats is None:
        raw.notes.append("The value labels in this file could not be read; the values were.")
        return
    for i, (name, kind) in enumerate(zip(raw.names, formats, strict=True)):
        raw.labels[i] = {code_text(int(k)): str(v) for k, v in sets.get(used[i], {}).items() if k <= STATA_LARGEST_CODE}
        if kind.startswith(("%td", "%d")):
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
