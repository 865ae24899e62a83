"""What reading the columns brought to light, and the care that every column needs: finite numbers, short texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from templates_engine.data.dataset import Values
from templates_engine.data.readers import identifiers
from templates_engine.problems import Problem

LEGACY_MISSING = -9.99e29  # MLwiN's -9.999e29, compared by < because single precision holds -9.998999764e29
TEXT_BUDGET = 64_000_000  # characters in one column's array: 256 MB
LONGEST_TEXT = 2045  # what a Stata file holds


@dataclass
class Found:
    """Notes and problems of all columns, and the decimal marks that are certain in some."""

    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    spellings: set[str] = field(default_factory=set)
    yes_no: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    identifiers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # kind -> [(column, a text of it)]
    decimals: set[str] = field(default_factory=set)
    thousands: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    brackets: list[str] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)  # column -> what is not certain of its numbers
    others: dict[str, str] = field(default_factory=dict)  # column -> the kind that it could be as well

    def finite(self, name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The values, MLwiN's code as missing; an infinite one is a problem."""
        infinite = np.isinf(values)
        if infinite.any():
            row = int(infinite.argmax()) + 1
            text = f"{name}, row {row}: infinite value; accepted are finite numbers or empty cells."
            self.problems.append(Problem("infinite-value", text, column=name))
            return values
        legacy = values < LEGACY_MISSING
        if legacy.any():
            values = np.where(legacy, np.nan, values)
            cells = int(legacy.sum())
            self.notes.append(f"{name}: the missing value code -9.999e29 was read as missing ({cells} cells).")
        return values

    def texts(self, name: str, different: pd.Series, codes: npt.NDArray[np.intp]) -> Values:
        """(n,) the texts that the codes stand for, "" for -1; too long ones cut, with a note."""
        longest = min(LONGEST_TEXT, max(32, TEXT_BUDGET // max(1, len(codes))))
        widths = different.str.len().to_numpy(np.int64)
        too_long = widths > longest
        if too_long.any():
            cells = int(np.isin(codes, np.flatnonzero(too_long)).sum())
            self.notes.append(f"{name}: texts longer than {longest} characters were cut ({cells} cells).")
        width = max(1, min(longest, int(widths.max(initial=1))))
        words: npt.NDArray[np.str_] = np.full(len(different) + 1, "", dtype=f"<U{width}")
        words[:-1] = different.to_numpy(object)
        return words[codes]

    def all_notes(self) -> list[str]:
        """One sentence for each thing told of several columns, then those of single ones."""
        notes = []
        for kind, columns in self.identifiers.items():
            said = identifiers.WHY[kind].replace("{sample}", columns[0][1][:40])
            notes += listed([name for name, _ in columns], partial(str.replace, said, "{names}"))
        notes += listed(self.thousands, lambda s: f"Thousands marks were left out: {s}.")
        notes += listed(self.units, lambda s: f"Signs beside numbers were left out (30% is 30): {s}.")
        notes += listed(self.brackets, lambda s: f"Numbers in brackets were read as negative: {s}.")
        notes += list(self.doubts.values()) + self.notes
        spelled = [f"“{s}”" for s in sorted(self.spellings)]
        notes += listed(spelled, lambda s: f"Read as missing values: empty cells and {s}.")
        notes += listed(self.yes_no, lambda s: f"True and false became 1 and 0: {s}.")
        notes += listed(self.dates, lambda s: f"Dates and times are kept as text: {s}.")
        return notes


def listed(names: Sequence[str], what: Callable[[str], str]) -> list[str]:
    """[what("a, b, c")] for names, nothing for none."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [what(", ".join(names[:8]) + more)] if names else []
