"""A column read as its kind is told, not as it looks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from templates_engine.data.dataset import Values
from templates_engine.data.readers import identifiers, numerals, typed
from templates_engine.data.readers.found import Found
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.reading import DECIMALS
from templates_engine.problems import Problem

NAMED_ROWS = 5  # rows that the note on cells which are no numbers names


def as_told(name: str, kind: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found, raw: Raw) -> Values:
    """seen: the texts of the cells that are not absent. Numbers asked of a column without any: a problem."""
    column = typed.of(name, seen, absent, found, free_text=raw.free_text)
    if kind == "text":
        return typed.text(column, found)
    written = numerals.read(column.texts)
    decimal = DECIMALS.get(kind.removeprefix("decimal "), raw.told)
    settled = numerals.settle(written, found.decimals, raw.separator, decimal)
    if settled is not None and decimal and settled.marks.thousands == decimal:
        settled = None
    if settled is None or len(written.wrong) == len(column.texts):
        what = "numbers" if kind == "number" else f"numbers with a {kind}"
        found.problems.append(Problem("reading", f"{name} does not hold {what}.", key=f"kind:{name}", column=name))
        return np.full(len(absent), np.nan)
    wrong = set(written.wrong)
    values = np.array(
        [
            np.nan if part is None or i in wrong else numerals.value(part, settled.marks)
            for i, part in enumerate(written.parts)
        ]
    )
    if wrong:
        rows = np.flatnonzero(np.isin(column.codes, written.wrong))
        named = [f"row {r + 1} ('{column.texts[column.codes[r]][:40]}')" for r in rows[:NAMED_ROWS].tolist()]
        more = f" and {len(rows) - NAMED_ROWS:,} more" if len(rows) > NAMED_ROWS else ""
        found.notes.append(f"{name}: read as numbers, as told; no number, and so missing: {', '.join(named)}{more}.")
    if np.isnan(values).all() or (np.abs(values[~np.isnan(values)]) < identifiers.EXACT_WHOLE).all():
        merged = len(values[~np.isnan(values)]) - len(np.unique(values[~np.isnan(values)]))
        said = f"{name}: read as numbers, as told; texts of one value (007 and 7) became one."
    else:
        merged, said = 1, f"{name}: read as numbers, as told; whole numbers of more than 15 digits are not told apart."
    if merged and not settled.marks.thousands and not any("." in t or "," in t for t in column.texts):
        found.notes.append(said)
    typed.tell_marks(column, written, settled, found, raw)
    return found.finite(name, column.spread(values))
