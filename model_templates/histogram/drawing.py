"""Bars of a histogram: their limits, their heights, the picture and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Dataset, Job, Result, Table
from templates_engine.data import code_text, levels, unique
from templates_engine.figures import Bins, histogram, number

if TYPE_CHECKING:
    from .template import Spec

Array = npt.NDArray[np.float64]
FEW_VALUES = 30  # whole values that get a bar each
MOST_BINS = 200


def bins_of(values: Array, wanted: int, labels: dict[str, str]) -> Bins:
    """The bars for observed values (n,): `wanted` of equal width, or with 0 as the data suggest.

    Few whole values get a bar each; others the width of Freedman and Diaconis (1981), 2 IQR n^(-1/3), or where half
    of the values are equal Sturges' (1926) number, 1 + log2 n.
    """
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.rint(values)).all())
    if not wanted and whole and high - low < FEW_VALUES:
        codes = np.arange(low, high + 1)
        words = tuple(labels.get(code_text(float(c)), code_text(float(c))) for c in codes) if labels else ()
        return Bins(np.arange(low - 0.5, high + 1), words, separate=True)
    if high == low:
        room = 0.5 if abs(low) < 1e15 else abs(low) * 1e-3
        return Bins(np.array([low - room, high + room]))
    if not wanted:
        first, third = np.quantile(values, [0.25, 0.75])
        width = 2 * float(third - first) / len(values) ** (1 / 3)
        sturges = int(np.ceil(1 + np.log2(len(values))))
        wanted = int(np.ceil(min(MOST_BINS, (high - low) / width))) if width > 0 else sturges
    return Bins(np.linspace(low, high, max(1, wanted) + 1))


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    values = np.asarray(data[spec.variable])
    seen = ~np.isnan(values)
    bins = bins_of(values[seen], spec.bins, dict(data.labels.get(spec.variable, {})))
    groups = levels(data, spec.by) if spec.by else None
    used = [seen] if groups is None else [seen & groups.rows(k) for k in range(len(groups))]
    counts = [np.histogram(values[rows], bins.edges)[0] for rows in used]
    heads, columns = _columns(bins, counts, groups.words if groups is not None else ())
    n = int(seen.sum())
    gone = data.n_rows - n
    notes = ["A bar holds its lower limit; the last holds its upper limit too."]
    if gone:
        notes.append(f"{gone:,} of {data.n_rows:,} rows are left out because {spec.variable} is missing.")
    rows = tuple(zip(*columns, strict=True))
    table = Table(tuple(heads), rows, f"Distribution of {spec.variable}", tuple(notes))
    job.table("Bins", table)

    title = f"{spec.variable} by {spec.by}" if spec.by else spec.variable
    shares = [100 * c / max(1, c.sum()) for c in counts]
    panels = (
        [f"{w} (n = {c.sum():,})" for w, c in zip(groups.words, counts, strict=True)] if groups is not None else [""]
    )
    heights = shares if groups is not None else [c.astype(np.float64) for c in counts]
    unit = "Percent" if groups is not None else "Rows"
    name = data.titles.get(spec.variable) or spec.variable
    svg = histogram(bins, heights, panels, unit, name, title, in_words(values[seen], gone, len(counts[0])))
    job.figure("histogram.svg", svg, f"Histogram of {title}")
    return Result(tables={"Bins": table}, info={"n": n, "bins": len(bins.edges) - 1})


Columns = list[list[Cell]]


def _columns(bins: Bins, counts: list[npt.NDArray[np.int64]], words: tuple[str, ...]) -> tuple[list[str], Columns]:
    """Heads and columns of the table: limits (or the value), rows and percent of each group."""
    edges = bins.edges
    if bins.separate:
        heads = ["Value"]
        said = bins.words or tuple(code_text(float(c)) for c in bins.centres)
        columns: Columns = [list(said)]
    else:
        heads, columns = ["Lower limit", "Upper limit"], [[float(e) for e in edges[:-1]], [float(e) for e in edges[1:]]]
    for word, count in zip(words or ("",), counts, strict=True):
        heads += [f"{word}, rows" if word else "Rows", f"{word}, percent" if word else "Percent"]
        columns += [[int(c) for c in count], [100 * float(c) / max(1, int(count.sum())) for c in count]]
    return unique(heads, 200), columns


def in_words(values: Array, gone: int, bars: int) -> str:
    """One line on the values for the picture's head and for screen readers."""
    middle = f"median {number(float(np.median(values)))}, mean {number(float(values.mean()))}"
    sd = f", SD {number(float(values.std(ddof=1)))}" if len(values) > 1 else ""
    lost = f"; {gone:,} missing" if gone else ""
    return f"{len(values):,} values in {bars} bars: {middle}{sd}{lost}."
