"""Parquet through pyarrow, which is an extra: without it the refusal says what to install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from templates_engine.data.readers import refused
from templates_engine.data.readers.assemble import check_size
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import Reading

OURS = b"statgrove"  # the key under which writers.py keeps labels and titles


def read_raw(path: Path, shown: str, told: Reading) -> Raw:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        text = "Parquet files need the package pyarrow: pip install 'statgrove[parquet]'."
        raise refused("not-installed", f"{shown}: {text}") from None
    with pq.ParquetFile(path) as file:
        schema: Any = file.schema_arrow
        check_size(shown, file.metadata.num_rows, len(schema.names))  # a few bytes may stand for any number of rows
        nested = [f.name for f in schema if pa.types.is_nested(f.type)]
        if nested:
            text = f"{shown}: columns that hold lists or records cannot be read: {', '.join(nested[:8])}."
            raise refused("nested-column", text, nested[0])
        table: Any = file.read()
    names = [str(name) for name in table.column_names]
    own = {"__index_level_0__"} & set(names) if b"pandas" in (schema.metadata or {}) else set()
    keep = [i for i, name in enumerate(names) if name not in own]
    raw = Raw([names[i] for i in keep], [_series(pa, table.column(i)) for i in keep])
    raw.kinds = told.kinds
    about = _about(schema.metadata or {})
    raw.labels = {i: about["labels"][n] for i, n in enumerate(raw.names) if n in about["labels"]}
    raw.titles = {i: about["titles"][n] for i, n in enumerate(raw.names) if n in about["titles"]}
    return raw


def _series(pa: Any, column: Any) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_integer(kind) and column.null_count:
        return pd.Series(column.to_pylist(), dtype="Int64" if not pa.types.is_uint64(kind) else "UInt64")
    elif pa.types.is_null(kind):
        return pd.Series([None] * len(column), dtype=object)
    series: pd.Series = column.to_pandas()
    return series


def _about(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """Labels and titles that a file of our own carries."""
    try:
        about = json.loads(metadata.get(OURS, b"{}"))
        labels = {str(c): {str(k): str(v) for k, v in d.items()} for c, d in about.get("labels", {}).items()}
        titles = {str(c): str(t) for c, t in about.get("titles", {}).items()}
    except (ValueError, AttributeError):
        return {"labels": {}, "titles": {}}
    return {"labels": labels, "titles": titles}
