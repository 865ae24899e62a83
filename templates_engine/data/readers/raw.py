"""What each format's reader hands over, before names and cells are put in order."""

from __future__ import annotations

from dataclasses import dataclass, field

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
