"""From rows to units: the first value or the mean of each variable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Dataset, Job, Problem, Result, Table
from templates_engine.data import Values, first_in_group, varies_within


def group_means(codes: npt.NDArray[np.int64], values: Values, n: int) -> npt.NDArray[np.float64]:
    """(n,) each group's mean over its observed values, NaN where it has none."""
    seen = ~np.isnan(values)
    sums = np.bincount(codes[seen], values[seen], minlength=n)
    counts = np.bincount(codes[seen], minlength=n)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def run(unit: str, names: tuple[str, ...], rule: str, outdata: str, data: Dataset, job: Job) -> Result:
    codes, found = data.groups(unit)
    n = len(found)
    columns: dict[str, Values] = {unit: first_in_group(codes, data[unit], n)}
    labels = dict(data.labels)
    rows: list[tuple[Cell, ...]] = []
    differ = []
    for name in names:
        values = data[name]
        first = first_in_group(codes, values, n)
        varying = len(varies_within(codes, values))
        mean = rule == "Mean" and not data.is_text(name) and varying > 0
        columns[name] = group_means(codes, values, n) if mean else first
        if mean:
            labels.pop(name, None)  # the mean of codes is not a code
        empty = int((columns[name] == "").sum()) if data.is_text(name) else int(np.isnan(columns[name]).sum())
        rows.append((name, "Mean" if mean else "First", n, varying, empty))
        if varying and not mean:
            differ.append(name)
            message = f"{name} is not the same on all rows of {varying:,} of {n:,} units; their first value was taken."
            job.note(Problem("varies-within", message, column=name, level="notice"))
    heads = ("Variable", "Value taken", "Units", "Units in which it varies", "Units without a value")
    notes = (f"{data.n_rows:,} rows of {data.name} became {n:,} units of {unit}.",)
    table = Table(heads, tuple(rows), "What was taken", notes)
    job.table("Units", table)
    title = f"One row for each {unit} of {data.name}"
    made = replace(data, name=outdata, columns=columns, labels=labels, notes=(title + ".",))
    job.dataset(outdata, made, title, listed=True)
    return Result(tables={"Units": table}, info={"n": n, "varying": len(differ)})
