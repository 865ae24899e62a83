"""The values of a new column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Job, Problem, Result, Table
from templates_engine.data import QUARTILES, SKEWNESS, SUMMARY, expressions, levels, summary, told, work_out
from templates_engine.sampling import streams

from .asking import Constant, Draws, Expression, GroupMean, Parts, Sequence, Spec

Array = npt.NDArray[np.float64]


def sequence(parts: Sequence, data: Dataset) -> Array:
    """Numbers in row order, within groups where there are some; missing on rows without a group."""
    if not parts.by:
        return np.asarray(parts.start + parts.step * np.arange(data.n_rows), np.float64)
    codes = levels(data, parts.by).codes
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(ordered)), 0))
    place = np.empty(len(codes))
    place[order] = np.arange(len(ordered)) - first
    return np.where(codes < 0, np.nan, parts.start + parts.step * place)


def draws(parts: Draws, data: Dataset) -> Array:
    """Independent draws, one a row or one a group (groups in their order); missing on rows without a group."""
    groups = levels(data, parts.by) if parts.by else None
    n = len(groups) if groups is not None else data.n_rows
    rng = streams(parts.seed, 1)[0]
    first, second = parts.parameters
    if parts.distribution == "Normal":
        made: Array = first + second * rng.standard_normal(n)
    elif parts.distribution == "Uniform":
        made = rng.uniform(first, second, n)
    elif parts.distribution == "Binomial":
        made = rng.binomial(int(first), second, n).astype(np.float64)
    else:
        made = rng.poisson(first, n).astype(np.float64)
    if groups is None:
        return made
    return np.where(groups.codes < 0, np.nan, np.append(made, np.nan)[groups.codes])


def group_mean(parts: GroupMean, data: Dataset) -> Array:
    """Each row's group's mean over the observed values; missing on rows without a group or in an empty group."""
    groups, values = levels(data, parts.by), data[parts.of]
    use = ~np.isnan(values) & (groups.codes >= 0)
    sums = np.bincount(groups.codes[use], values[use], minlength=len(groups))
    counts = np.bincount(groups.codes[use], minlength=len(groups))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return np.append(means, np.nan)[groups.codes]


def make(parts: Parts, data: Dataset) -> tuple[Array, list[str], str]:
    """(values, what there is to say of them, the column's title)."""
    if isinstance(parts, Constant):
        return np.full(data.n_rows, parts.value), [], f"Constant ({parts.value:g})"
    if isinstance(parts, Sequence):
        return sequence(parts, data), [], f"Sequence within {parts.by}" if parts.by else "Sequence"
    if isinstance(parts, Draws):
        numbers = [f"{p:g}" for p in parts.parameters][: 1 if parts.distribution == "Poisson" else 2]
        where = f", one for each {parts.by}" if parts.by else ""
        return draws(parts, data), [], f"{parts.distribution}({', '.join(numbers)}) draws{where}, seed {parts.seed}"
    if isinstance(parts, GroupMean):
        return group_mean(parts, data), [], f"Mean of {parts.of} in {parts.by}"
    assert isinstance(parts, Expression)
    values, undefined = work_out(expressions.read(parts.text), data)
    return values, told(undefined), parts.text[:200]


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    values, said, title = make(spec.parts, data)
    for sentence in said:
        job.note(Problem("undefined", sentence, key="expression", column=spec.name, level="notice"))
    if data.n_rows and np.isnan(values).all():
        job.note(Problem("all-missing", f"Every value of {spec.name} is missing.", column=spec.name, level="notice"))
    labels = {name: words for name, words in data.labels.items() if name != spec.name}
    made = replace(
        data.with_columns({spec.name: values}),
        name=spec.outdata,
        labels=labels,
        titles={**data.titles, spec.name: title},
        notes=(f"{data.name} with the column {spec.name}: {title}.",),
    )
    table = Table(("Variable", *SUMMARY), ((spec.name, *summary(values)),), "The new column", (QUARTILES, SKEWNESS))
    job.table("NewColumn", table)
    job.dataset(spec.outdata, made, made.notes[0][:400], listed=True)
    return Result(tables={"NewColumn": table}, info={"n": made.n_rows, "missing": float(np.isnan(values).sum())})
