"""Cells of a table of one or two variables, and the association of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Job, Problem, Result, Table
from templates_engine.data import levels, unique

if TYPE_CHECKING:
    from .template import Spec

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Notes = tuple[str, ...]
FEW = 5.0  # expected counts below it make the chi-squared approximation doubtful (Cochran 1954)


def counts_of(rows: Codes, columns: Codes, shape: tuple[int, int]) -> Array:
    """(R + 1, C + 1) number of rows in each cell; the last line and column are totals."""
    inside = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return _with_totals(inside)


def _with_totals(inside: Array) -> Array:
    down = np.vstack([inside, inside.sum(axis=0)])
    return np.column_stack([down, down.sum(axis=1)])


def moments(rows: Codes, columns: Codes, values: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """(R + 1, C + 1) observed values, mean and SD (divisor n - 1) of `values` in each cell and over the margins."""
    seen = ~np.isnan(values)
    rows, columns, values = rows[seen], columns[seen], values[seen]
    size = (shape[0] + 1) * (shape[1] + 1)
    # each row counts in its cell, in its line's total, in its column's total and in the grand total
    every_row, every_column = np.full_like(rows, shape[0]), np.full_like(columns, shape[1])
    cells = np.concatenate([r * (shape[1] + 1) + c for r in (rows, every_row) for c in (columns, every_column)])
    values = np.tile(values, 4)
    n = np.bincount(cells, minlength=size).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cells, values, size) / n
        squares = np.bincount(cells, (values - mean[cells]) ** 2, size)
        sd = np.sqrt(np.where(n > 1, squares / (n - 1), np.nan))
    grid = (shape[0] + 1, shape[1] + 1)
    return n.reshape(grid), mean.reshape(grid), sd.reshape(grid)


def chi_squared(inside: Array) -> tuple[float, int, float, float, float] | None:
    """(statistic, df, p, Cramér's V, smallest expected count) of (R, C) counts; None unless 2 by 2 or larger.

    Pearson's test without continuity correction; lines and columns without rows are left out.
    """
    from scipy.stats import chi2

    inside = inside[inside.sum(axis=1) > 0][:, inside.sum(axis=0) > 0]
    if min(inside.shape, default=0) < 2:
        return None
    n = inside.sum()
    expected = np.outer(inside.sum(axis=1), inside.sum(axis=0)) / n
    statistic = float(((inside - expected) ** 2 / expected).sum())
    df = (inside.shape[0] - 1) * (inside.shape[1] - 1)
    v = float(np.sqrt(statistic / (n * (min(inside.shape) - 1))))
    return statistic, df, float(chi2.sf(statistic, df)), v, float(expected.min())


def _table(first: str, words: Sequence[str], heads: Sequence[str], cells: Array, title: str, notes: Notes) -> Table:
    """A line a group and the totals; a cell that is not defined is empty."""
    rows = []
    for word, line in zip((*words, "Total"), cells, strict=True):
        rows.append((word, *(None if np.isnan(v) else float(v) for v in line)))
    return Table((first, *heads), tuple(rows), title, notes)


def _counted(table: Table, *which: str) -> Table:
    """With the cells of these columns (of all without any) as whole numbers."""
    whole = [k > 0 and (not which or head in which) for k, head in enumerate(table.columns)]
    rows = tuple(
        tuple(int(c) if w and isinstance(c, float) else c for c, w in zip(row, whole, strict=True))
        for row in table.rows
    )
    return Table(table.columns, rows, table.title, table.notes)


@dataclass(frozen=True)
class _Grid:
    """The rows that are used, in the cells of a table."""

    down: tuple[str, ...]
    across: tuple[str, ...]  # () for a table of one variable
    rows: Codes
    columns: Codes
    used: npt.NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.down), len(self.across) or 1


def _grid(spec: Spec, data: Dataset) -> _Grid:
    down = levels(data, spec.row, gaps=spec.gaps, taken=("Total",))
    across = levels(data, spec.column, gaps=spec.gaps, taken=(spec.row, "Total")) if spec.column else None
    columns = across.codes if across is not None else np.zeros(data.n_rows, np.int64)
    used = (down.codes >= 0) & (columns >= 0)
    return _Grid(down.words, across.words if across is not None else (), down.codes[used], columns[used], used)


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    grid = _grid(spec, data)
    left = int((~grid.used).sum())
    notes: Notes = (f"{left:,} of {data.n_rows:,} rows are left out because a value is missing.",) if left else ()
    both = f"{spec.row} by {spec.column}" if spec.column else spec.row
    tables = _of_another(spec, data, grid, both, notes) if spec.of else _of_counts(spec, grid, both, notes)
    if spec.column and not spec.of:
        inside = counts_of(grid.rows, grid.columns, grid.shape)[:-1, :-1]
        if (found := chi_squared(inside)) is not None:
            tables["Association"] = _association(found, int(inside.sum()), both, spec.gaps, job)
    for name, table in tables.items():
        job.table(name, table)
    return Result(tables=tables, info={"n": float(grid.used.sum())})


def _of_counts(spec: Spec, grid: _Grid, both: str, notes: Notes) -> dict[str, Table]:
    counts = counts_of(grid.rows, grid.columns, grid.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        if not spec.column:
            heads = unique([spec.row, "N", "Percent"])[1:]
            cells = np.column_stack([counts[:, 0], 100 * counts[:, 0] / counts[-1, 0]])
            table = _table(spec.row, grid.down, heads, cells, f"Rows by {both}", notes)
            return {"Tabulation": _counted(table, heads[0])}
        heads = [*grid.across, "Total"]
        whole = _counted(_table(spec.row, grid.down, heads, counts, f"Rows by {both}", notes))
        if spec.statistic == "Count":
            return {"Tabulation": whole}
        shares = 100 * counts / (counts[:, -1:] if spec.statistic == "Row percent" else counts[-1:, :])
    title = f"{spec.statistic}, {both}"
    return {"Tabulation": _table(spec.row, grid.down, heads, shares, title, notes), "Counts": whole}


def _of_another(spec: Spec, data: Dataset, grid: _Grid, both: str, notes: Notes) -> dict[str, Table]:
    """Means or SDs of another variable, with the number of values behind each."""
    values = np.asarray(data[spec.of])[grid.used]
    n, mean, sd = moments(grid.rows, grid.columns, values, grid.shape)
    cells = mean if spec.statistic == "Mean" else sd
    if gone := int(np.isnan(values).sum()):
        notes = (*notes, f"{gone:,} rows lack {spec.of}.")
    title = f"{spec.statistic} of {spec.of} by {both}"
    if not spec.column:
        heads = unique([spec.row, spec.statistic, "N"])[1:]
        table = _table(spec.row, grid.down, heads, np.column_stack([cells[:, 0], n[:, 0]]), title, notes)
        return {"Tabulation": _counted(table, heads[1])}
    heads = [*grid.across, "Total"]
    counts = _table(spec.row, grid.down, heads, n, f"Values of {spec.of} in each cell", ())
    return {"Tabulation": _table(spec.row, grid.down, heads, cells, title, notes), "Counts": _counted(counts)}


def _association(found: tuple[float, int, float, float, float], n: int, both: str, gaps: bool, job: Job) -> Table:
    heads = ("Test", "Chi-squared", "df", "p", "Cramér's V", "Smallest expected count", "N")
    first = "Without continuity correction. Rows are taken as independent: with units in groups p is too small."
    notes: Notes = (first, "Missing values count as a value of their own.") if gaps else (first,)
    if found[-1] < FEW:
        message = f"The smallest expected count is {found[-1]:.2g}; below {FEW:g} the chi-squared p is doubtful."
        job.note(Problem("small-counts", message, level="notice"))
    return Table(heads, (("Pearson", *found, n),), f"Association of {both}", notes)
