"""Tables that describe columns of numbers."""

from __future__ import annotations

import numpy as np

from templates_engine import Cell, Dataset, Job, Result, Table
from templates_engine.data import QUARTILES, SKEWNESS, SUMMARY, correlation, levels, patterns_table, summary, unique

Rows = list[tuple[Cell, ...]]


def overall(data: Dataset, names: tuple[str, ...]) -> Table:
    rows = tuple((name, *summary(data[name])) for name in names)
    return Table(("Variable", *SUMMARY), rows, f"Variables of {data.name}", (QUARTILES, SKEWNESS))


def by_group(data: Dataset, names: tuple[str, ...], by: str) -> Table:
    """A row for each variable in each group; rows without a group are one of their own."""
    groups = levels(data, by, gaps=True)
    rows = tuple(
        (name, groups.words[k], *summary(data[name][groups.rows(k)])) for name in names for k in range(len(groups))
    )
    title = f"Variables of {data.name} by {by}"
    return Table(("Variable", *unique(["Variable", by])[1:], *SUMMARY), rows, title, (QUARTILES, SKEWNESS))


def correlations(data: Dataset, names: tuple[str, ...]) -> tuple[Table, Table]:
    """Pearson correlations over pairwise complete rows (None where a variable is constant), and the rows of each."""
    values = np.stack([data[name] for name in names])
    seen = ~np.isnan(values)
    n = (seen.astype(np.float64) @ seen.T.astype(np.float64)).astype(int)
    found: Rows = []
    for i, name in enumerate(names):
        cells: list[Cell] = [name]
        for j in range(len(names)):
            cells.append(correlation(values[i], values[j]) if i != j else 1.0)
        found.append(tuple(cells))
    heads = tuple(unique(["Variable", *names]))
    least, most = int(n.min()), int(n.max())
    rows = f"{least:,} rows" if least == most else f"{least:,} to {most:,} rows, whichever have both values"
    counts: Rows = [(name, *(int(v) for v in n[i])) for i, name in enumerate(names)]
    return (
        Table(heads, tuple(found), "Correlations", (f"Pearson correlations over {rows}.",)),
        Table(heads, tuple(counts), "Rows behind each correlation"),
    )


def run(names: tuple[str, ...], by: str, data: Dataset, job: Job) -> Result:
    tables = {"Summary": overall(data, names)}
    if by:
        tables["SummaryByGroup"] = by_group(data, names, by)
    gaps = any(data.missing(name).any() for name in names)
    if len(names) > 1:
        tables["Correlations"], pairs = correlations(data, names)
        if gaps:
            tables["Pairs"] = pairs
    if gaps:
        tables["MissingPatterns"] = patterns_table(data, names)
    for name, table in tables.items():
        job.table(name, table)
    return Result(tables=tables, info={"n": data.n_rows})
