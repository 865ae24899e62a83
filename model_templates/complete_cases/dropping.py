"""Dropping the incomplete rows, and saying what each variable costs."""

from __future__ import annotations

import numpy as np

from templates_engine import Dataset, Job, Result, Table
from templates_engine.data import patterns_table


def lost(data: Dataset, names: tuple[str, ...]) -> Table:
    """A row a variable: the rows that lack it, those that lack it alone, and the share it lacks."""
    gaps = np.stack([data.missing(name) for name in names])
    how_many = gaps.sum(axis=0)
    rows = [
        (name, int(mine.sum()), int((mine & (how_many == 1)).sum()), 100 * float(mine.mean()))
        for name, mine in zip(names, gaps, strict=True)
    ]
    dropped = int((how_many > 0).sum())
    rows.append(("Any of them", dropped, int((how_many == 1).sum()), 100 * dropped / data.n_rows))
    notes = (
        f"{data.n_rows - dropped:,} of {data.n_rows:,} rows are kept.",
        "Lost by it alone: rows that would be kept without this variable.",
    )
    heads = ("Variable", "Rows lost", "Lost by it alone", "Percent of rows")
    return Table(heads, tuple(rows), "Rows lost to each variable", notes)


def run(names: tuple[str, ...], outdata: str, data: Dataset, job: Job) -> Result:
    tables = {"Lost": lost(data, names), "MissingPatterns": patterns_table(data, names)}
    for name, table in tables.items():
        job.table(name, table)
    kept = data.complete_cases(names).with_name(outdata)
    job.dataset(outdata, kept, f"Rows of {data.name} complete in {', '.join(names)}"[:400], listed=True)
    return Result(tables=tables, info={"n": kept.n_rows, "dropped": data.n_rows - kept.n_rows})
