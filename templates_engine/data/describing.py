"""Describing columns: the groups of a variable under their labels, summaries of numbers, tables of missing patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset, code_text, missing
from templates_engine.data.gaps import missing_patterns
from templates_engine.data.names import unique
from templates_engine.outputs import Cell, Table

Array = npt.NDArray[np.float64]
MOST_PATTERNS = 50  # rows of a table of patterns; rarer ones are joined

SUMMARY = ("N", "Missing", "Mean", "SD", "Min", "Q1", "Median", "Q3", "Max", "Skewness")
QUARTILES = "Quartiles are interpolated linearly between the ordered values (Hyndman and Fan 1996, type 7)."
SKEWNESS = "Skewness is the adjusted Fisher-Pearson coefficient; a symmetric distribution has 0."


@dataclass(frozen=True)
class Levels:
    """The groups of a variable: each row's group (-1 where it has none) and the groups' words, in order."""

    codes: npt.NDArray[np.int64]  # (n,)
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def rows(self, k: int) -> npt.NDArray[np.bool_]:
        """(n,) True in group k."""
        return np.asarray(self.codes == k)


def levels(data: Dataset, name: str, *, gaps: bool = False, taken: Sequence[str] = ()) -> Levels:
    """The observed values of a column as groups, numbers by size and texts by letter, under their value labels.

    gaps: rows without a value are a group of their own, "Missing", the last. Words in `taken`, and those that would
    stand twice, get a number.
    """
    values = data[name]
    absent = missing(values)
    found, inside = np.unique(values[~absent], return_inverse=True)
    codes = np.full(len(values), -1, np.int64)
    codes[~absent] = inside
    labels = data.labels.get(name, {})
    texts = [code_text(value) for value in found.tolist()]
    words = [labels.get(text, text) for text in texts]
    repeated = {word for word in words if words.count(word) > 1} if labels else set()
    words = [f"{word} ({text})" if word in repeated else word for word, text in zip(words, texts, strict=True)]
    if gaps and absent.any():
        codes[absent] = len(words)
        words.append("Missing")
    return Levels(codes, tuple(unique([*taken, *words], 200)[len(taken) :]))


def skewness(seen: Array) -> float | None:
    """Adjusted Fisher-Pearson coefficient G1 (Joanes and Gill 1998, equation 4); None below three different values."""
    n = len(seen)
    if n < 3:
        return None
    centred = seen - seen.mean()
    second = float(np.mean(centred**2))
    if second <= 1e-28 * float(np.mean(seen**2)):
        return None
    g1 = float(np.mean((centred / np.sqrt(second)) ** 3))
    return g1 * float(np.sqrt(n * (n - 1))) / (n - 2)


def summary(values: Array) -> tuple[Cell, ...]:
    """The cells of SUMMARY for one column of numbers; NaN is missing, SD has divisor n - 1."""
    seen = values[~np.isnan(values)]
    counts: tuple[Cell, ...] = (len(seen), len(values) - len(seen))
    if not len(seen):
        return counts + (None,) * (len(SUMMARY) - 2)
    with np.errstate(all="ignore"):
        low, first, middle, third, high = (float(q) for q in np.quantile(seen, [0, 0.25, 0.5, 0.75, 1]))
        sd = float(seen.std(ddof=1)) if len(seen) > 1 else None
        return (*counts, float(seen.mean()), sd, low, first, middle, third, high, skewness(seen))


def correlation(x: Array, y: Array) -> float | None:
    """Pearson's correlation over the rows that have both values; None where one of them does not vary."""
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    # scaled first, so that the squares of very large or small values stay in range
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / length, -1, 1)) if length > 0 else None


def patterns_table(data: Dataset, names: Sequence[str]) -> Table:
    """Which of the columns are missing together: a row a pattern, the commonest first."""
    found = missing_patterns(data, names)
    rows: list[tuple[Cell, ...]] = []
    for k, (gaps, n) in enumerate(found[:MOST_PATTERNS]):
        share = 100 * n / data.n_rows
        rows.append((str(k + 1), *("missing" if gap else "" for gap in gaps), n, share))
    notes = [f"{data.n_rows:,} rows. An empty cell is an observed value."]
    if len(found) > MOST_PATTERNS:
        left = found[MOST_PATTERNS:]
        notes.append(f"{len(left):,} rarer patterns, {sum(n for _, n in left):,} rows together, are left out.")
    heads = unique(["Pattern", *names, "Rows", "Percent"], 200)
    return Table(tuple(heads), tuple(rows), "Which values are missing together", tuple(notes))
