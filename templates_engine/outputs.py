"""What a template hands back: tables, draws, and the result that joins them.

Shapes: draws are always (chain, draw, parameter).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Cell = float | int | str | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns. A cell without a meaning is None (an empty field in the CSV)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[Cell]:
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def records(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Draws:
    """Posterior draws of named parameters, burn-in already left out (or marked by `first`)."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]  # the data column behind each parameter, "" for variances
    values: npt.NDArray[np.float64]  # (chain, draw, parameter)
    first: int = 1  # iteration number of the first draw kept
    thin: int = 1

    def __getitem__(self, parameter: str) -> npt.NDArray[np.float64]:
        """(chain, draw) of one parameter."""
        return self.values[:, :, self.parameters.index(parameter)]


@dataclass(frozen=True)
class Result:
    """What a template's run() returns, and what Job.call() gives a super-template."""

    draws: Draws | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    info: Mapping[str, float] = field(default_factory=dict)  # "n", "groups", "df:beta_0", ...


def table_from(columns: Sequence[str], records: Sequence[Mapping[str, Cell]], **kw: object) -> Table:
    """A Table from dictionaries; absent keys become None."""
    rows = tuple(tuple(record.get(c) for c in columns) for record in records)
    return Table(tuple(columns), rows, **kw)  # type: ignore[arg-type]
