"""From the pasted text to the dataset, and how each column was read."""

from __future__ import annotations

from dataclasses import replace

from templates_engine import Cell, Column, Dataset, Job, Problem, Refused, Result, Table
from templates_engine.data import code_text, readers

from .template import SEPARATORS, Spec

KINDS = {
    "number": "numbers",
    "whole": "whole numbers",
    "binary": "two values",
    "constant": "one value",
    "text": "text",
    "empty": "no values",
}
SHOWN = 3  # first values of a column
LONGEST = 30  # characters of one of them


def dataset(spec: Spec) -> Dataset:
    """The table. Refused, with the line, where its rows are not equally long."""
    end = spec.text.find("\n", len(spec.text.rstrip()))  # blank lines at the end are no rows
    names = {"Yes": 1, "No": 0}.get(spec.names)
    told = readers.Reading(
        delimiter=SEPARATORS.get(spec.separator),
        decimal={"Point": ".", "Comma": ","}.get(spec.decimal),
        first=None if names is None else 1,
        names=names,
        missing=spec.missing,
        strict=True,
    )
    return readers.read_text(spec.text if end < 0 else spec.text[:end], spec.outdata, "The text", told)


def faults(spec: Spec) -> list[Problem]:
    try:
        dataset(spec)
    except Refused as refused:
        return [replace(problem, key="text") for problem in refused.problems]
    return []


def described(data: Dataset, column: Column) -> tuple[Cell, ...]:
    """One row of the table: name, kind, n, missing, minimum, maximum, first values."""
    gaps = data.missing(column.name)[:SHOWN]
    values = [
        "(missing)" if gap else code_text(value) for value, gap in zip(data[column.name].tolist(), gaps, strict=False)
    ]
    first = ", ".join(value if len(value) <= LONGEST else value[: LONGEST - 1] + "…" for value in values)
    kind = KINDS[column.kind]
    return column.name, kind, column.n - column.n_missing, column.n_missing, column.minimum, column.maximum, first


def run(spec: Spec, job: Job) -> Result:
    made = dataset(spec)
    for note in made.notes:
        job.note(Problem("reading", note, key="text", level="notice"))
    rows = tuple(described(made, column) for column in made.schema().columns)
    heads = ("Column", "Kind", "n", "Missing", "Minimum", "Maximum", "First values")
    table = Table(heads, rows, "How the columns were read", (f"{made.n_rows:,} rows, {len(rows):,} columns.",))
    job.table("Columns", table)
    job.dataset(spec.outdata, made, "Pasted text", listed=True)
    return Result(tables={"Columns": table}, info={"n": made.n_rows, "columns": len(rows)})
