"""What each format's reader hands over, before names and cells are put in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass
class Raw:
    """Columns as the file has them. Positions, not names, identify them: names may repeat or be empty."""

    names: list[str]
    columns: list[pd.Series]
    labels: dict[int, dict[str, str]] = field(default_factory=dict)  # position -> {code: label}
    titles: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    free_text: bool = False  # cells were typed by people: "NA" means missing, "12" in a text column is a number
    decimal: str = "."  # the mark by which the columns of numbers were read
    separator: str = ""  # what stands between the fields of a text file
    told: str = ""  # the decimal mark, where the user states it
    kinds: Mapping[str, str] = field(default_factory=dict)  # column -> its kind, where the user states it
    totals: str | None = None  # what is said of rows of sums at the end
    how: dict[str, Any] = field(default_factory=dict)  # what was found of the file's form, as JSON has it
