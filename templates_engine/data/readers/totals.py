"""Rows of sums at the end of a table: "Total", "Gesamt".

A row is one of sums where a cell of it says so and its numbers are the sums of the rows above. Then it is left out.
Where the word stands and the sums do not fit, the row is kept, and told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from templates_engine.data.readers import numerals
from templates_engine.data.readers.raw import Raw

# fmt: off
WORDS = frozenset((
    "total", "totals", "totale", "totales", "totaal", "totalt", "grand total",
    "sum", "sums", "summe", "summa", "suma", "somme", "soma",
    "insgesamt", "gesamt", "gesamtsumme", "total général", "total general", "i alt", "ogółem",
    "razem", "итого", "всего", "összesen", "celkem", "yhteensä", "toplam",
))  # "total" in the languages of spreadsheets
# fmt: on
MOST = 3  # rows at the end


@dataclass(frozen=True)
class Totals:
    rows: int  # at the end
    word: str  # the cell that says so
    sure: bool  # the sums fit


def look(raw: Raw) -> Totals | None:
    """The rows of sums at the end of the columns, None where there are none."""
    n = len(raw.columns[0]) if raw.columns else 0
    texts = [c for c in raw.columns if not pd.api.types.is_numeric_dtype(c.dtype)]
    rows, word = 0, ""
    while rows < min(MOST, n - 2):
        found = next((str(c.iloc[n - 1 - rows]) for c in texts if _is_word(c.iloc[n - 1 - rows])), "")
        if not found:
            break
        rows, word = rows + 1, found
    if not rows:
        return None
    return Totals(rows, word, all(_fits(raw.columns, n - rows + k, n - rows) for k in range(rows)))


def _is_word(cell: object) -> bool:
    return isinstance(cell, str) and " ".join(cell.casefold().strip(" :.").split()) in WORDS


def _fits(columns: list[pd.Series], at: int, end: int) -> bool:
    """Whether a number of row `at` is the sum of at least two numbers of the rows before `end`, not all zero."""
    for column in columns:
        cell, above = _number(column.iloc[at]), column.iloc[:end]
        if cell is None or cell == 0:
            continue
        values = np.array([v for v in map(_number, above.tolist()) if v is not None])
        if len(values) < 2 or np.count_nonzero(values) < 2:
            continue
        if abs(values.sum() - cell) <= 1e-9 * np.abs(values).sum():
            return True
    return False


def _number(cell: object) -> float | None:
    """The number in a cell; marks as in the cell alone."""
    if isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool):
        return None if np.isnan(float(cell)) else float(cell)
    if not isinstance(cell, str):
        return None
    written = numerals.read([cell])
    settled = numerals.settle(written, set(), "") if not written.wrong else None
    part = written.parts[0]
    return numerals.value(part, settled.marks) if settled and part is not None else None
