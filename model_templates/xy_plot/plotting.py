"""The plot of series against x, and the table that says what is in it."""

from __future__ import annotations

import numpy as np

from templates_engine import Cell, Dataset, Job, Problem, Result, Table
from templates_engine.data import correlation
from templates_engine.figures import Series, hexagons, scatter
from templates_engine.suggest import one_of


def series_of(y: str, x: str, data: Dataset) -> Series:
    """The rows that have both values."""
    both = ~data.missing(y) & ~data.missing(x)
    return Series(y, np.asarray(data[x][both]), np.asarray(data[y][both]))


def run(names: tuple[str, ...], x: str, lines: bool, data: Dataset, job: Job) -> Result:
    series = [series_of(y, x, data) for y in names]
    rows: list[tuple[Cell, ...]] = []
    for one in series:
        ends = [float(f(v)) if len(v) else None for v in (one.x, one.y) for f in (np.min, np.max)]
        rows.append((one.name, len(one.x), data.n_rows - len(one.x), *ends, correlation(one.x, one.y)))
        if not len(one.x):
            job.note(Problem("no-points", f"No row has both {one.name} and {x}.", column=one.name, level="notice"))
    heads = ("Series", "Points", "Rows left out", "Smallest x", "Largest x", "Smallest y", "Largest y", "Correlation")
    table = Table(heads, tuple(rows), f"What is drawn against {x}", ("Correlations are Pearson's.",))
    job.table("Series", table)

    title = f"{one_of(names, 'and')} against {x}"
    points = sum(len(one.x) for one in series)
    drawn = "lines through" if lines else "hexagons counting" if hexagons(series, lines) else ""
    least, most = min(len(one.x) for one in series), max(len(one.x) for one in series)
    each = "" if len(series) == 1 else f", {least:,} to {most:,} a series" if least < most else f", {least:,} a series"
    words = f"{drawn} {points:,} points{each}.".strip()
    label = data.titles.get(x) or x
    job.figure("graphxy.svg", scatter(series, label, lines, title, words[0].upper() + words[1:]), title)
    return Result(tables={"Series": table}, info={"points": points})
