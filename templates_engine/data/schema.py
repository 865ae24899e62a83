"""What the questions may know of a dataset: names, kinds, counts. Never its rows.

Imports no numerics, so that asking questions stays light.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Column:
    """One variable, as the list of variables shows it."""

    name: str
    kind: str  # "number", "whole" (whole numbers), "binary" (two values), "constant", "text", "empty" (all missing)
    n: int  # rows
    n_missing: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sd: float | None = None  # divisor n - 1, over the observed values
    n_levels: int = 0  # distinct observed values
    levels: tuple[float | str, ...] = ()  # the distinct values in order, when there are at most 100
    labels: dict[str, str] = field(default_factory=dict)  # value label of a code, the code written as in str(int)
    title: str = ""  # the variable's own label in its file
    doubt: str = ""  # what is not certain of its numbers: told wherever the column is used

    @property
    def is_text(self) -> bool:
        return self.kind == "text"

    @property
    def complete(self) -> bool:
        return self.n_missing == 0


@dataclass(frozen=True)
class Schema:
    """A dataset's columns in order."""

    name: str
    n_rows: int
    columns: tuple[Column, ...]
    images: bool = False  # the rows are of images

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names, so that finding one takes no search."""
        return {c.name: c for c in self.columns}

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    def nearest(self, name: str) -> str:
        """The column whose name is most like `name`, or ""."""
        found = difflib.get_close_matches(name, self.names, n=1, cutoff=0.5)
        return found[0] if found else ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        columns = tuple(Column(**{**c, "levels": tuple(c.get("levels", ()))}) for c in data["columns"])
        return cls(data["name"], data["n_rows"], columns, bool(data.get("images")))
