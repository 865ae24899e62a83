"""SPSS .sav through pyreadstat. User-missing codes are missing; value labels are kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyreadstat

from templates_engine.data.dataset import code_text
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import Reading


def read_raw(path: Path, shown: str, told: Reading) -> Raw:
    notes: list[str] = []
    try:
        frame, meta = pyreadstat.read_sav(str(path))
        _, codes = pyreadstat.read_sav(str(path), metadataonly=True, user_missing=True)
    except UnicodeDecodeError:
        frame, meta = pyreadstat.read_sav(str(path), encoding="LATIN1")
        _, codes = pyreadstat.read_sav(str(path), metadataonly=True, user_missing=True, encoding="LATIN1")
        notes.append("The file does not say how its letters are written; they were read as Latin-1 (Western European).")
    raw = Raw(
        [str(c) for c in frame.columns],
        [frame.iloc[:, i] for i in range(frame.shape[1])],
        notes=notes,
        kinds=told.kinds,
    )
    for i, name in enumerate(raw.names):
        labels = meta.variable_value_labels.get(name, {})
        raw.labels[i] = {code_text(k): str(v) for k, v in labels.items() if isinstance(k, (int, float, str))}
        raw.titles[i] = meta.column_names_to_labels.get(name) or ""
    ranges = {name: found for name, found in (codes.missing_ranges or {}).items() if found}
    if ranges:
        shown_codes = [f"{name} ({_codes(found)})" for name, found in list(ranges.items())[:8]]
        more = f" and {len(ranges) - 8} more columns" if len(ranges) > 8 else ""
        notes.append("User-missing codes were read as missing: " + "; ".join(shown_codes) + more + ".")
    return raw


def _codes(ranges: Iterable[Any]) -> str:
    words = []
    for one in ranges:
        low, high = (one["lo"], one["hi"]) if isinstance(one, dict) else (one, one)
        words.append(_code(low) if low == high else f"{_code(low)} to {_code(high)}")
    return ", ".join(words)


def _code(value: Any) -> str:
    if isinstance(value, float) and abs(value) > 1e300:  # SPSS's LOWEST and HIGHEST
        return "lowest" if value < 0 else "highest"
    return code_text(value) if isinstance(value, (int, float, str)) else str(value)
