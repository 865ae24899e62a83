"""Design matrices from chosen terms, and checks of columns against each other and against groups.

A term is anything with `.name` and `.categorical`. No intercept is implied: the user chooses a column of ones.
A categorical term becomes one dummy for each level but the LAST, which is the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset, Values, code_text, missing
from templates_engine.problems import Problem, Refused

MAX_LEVELS = 1000  # more dummies than this is a mistake, not a model
TOLERANCE = 1e-7  # a column is collinear when what others leave of it is below this share of its length


class TermLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def categorical(self) -> bool: ...


@dataclass(frozen=True)
class Design:
    """(n, p) float64 in C order, the columns' names ("cons", "vrband_1"), and the data column behind each."""

    matrix: npt.NDArray[np.float64]
    names: tuple[str, ...]
    variables: tuple[str, ...]

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """(n,) True where no predictor is missing."""
        return np.asarray(~np.isnan(self.matrix).any(axis=1))


def design(
    dataset: Dataset,
    terms: Sequence[TermLike],
    levels: Mapping[str, Sequence[float | str]] | None = None,
    *,
    gaps: Literal["keep", "refuse"] = "keep",
) -> Design:
    """The design matrix of the terms, in their order.

    `levels` fixes a categorical column's levels, so that imputed copies of a dataset have the same dummies as the
    observed data; without it they are the distinct observed values, sorted. A missing value gives NaN in its row's
    cells of that term, or with gaps="refuse" a refusal. All faults are reported together.
    """
    given = levels or {}
    problems: list[Problem] = []
    parts: list[npt.NDArray[np.float64]] = []
    names: list[str] = []
    variables: list[str] = []
    for term in terms:
        try:
            part, part_names = _term(dataset, term, given.get(term.name), gaps)
        except Refused as refused:
            problems += refused.problems
            continue
        parts.append(part)
        names += part_names
        variables += [term.name] * len(part_names)
    if problems:
        raise Refused(problems)
    matrix = np.concatenate(parts, axis=1) if parts else np.zeros((dataset.n_rows, 0))
    return Design(np.ascontiguousarray(matrix), tuple(names), tuple(variables))


def levels_of(values: Values) -> list[float | str]:
    """The distinct observed values in order: numbers by size, texts by letter."""
    return list(np.unique(values[~missing(values)]).tolist())


def _term(
    dataset: Dataset, term: TermLike, levels: Sequence[float | str] | None, gaps: str
) -> tuple[npt.NDArray[np.float64], list[str]]:
    name = term.name
    if name not in dataset:
        nearest = dataset.schema().nearest(name)
        raise _refuse("not-a-column", name, f"The dataset has no column {name}.", nearest=nearest)
    values = dataset[name]
    absent = missing(values)
    if gaps == "refuse" and absent.any():
        text = f"{name} has {int(absent.sum())} missing values (first: row {int(absent.argmax()) + 1})."
        raise _refuse("missing-values", name, text)
    if not term.categorical:
        if values.dtype.kind == "U":
            text = f"{name} holds text, so it can only be used as categories: {name}:cat."
            raise _refuse("text-column", name, text, nearest=f"{name}:cat")
        return values[:, None], [name]
    known = list(levels) if levels is not None else levels_of(values)
    if len(known) < 2:
        text = f"{name} has {len(known) or 'no'} observed level{'' if len(known) == 1 else 's'}; categories need two."
        raise _refuse("constant-column", name, text)
    if len(known) > MAX_LEVELS:
        text = f"{name} has {len(known)} distinct values, too many to be used as categories (at most {MAX_LEVELS})."
        raise _refuse("too-many-levels", name, text)
    array = np.asarray(known, dtype=values.dtype if values.dtype.kind != "U" else str)
    strange = ~absent & ~np.isin(values, array)
    if strange.any():
        at = int(strange.argmax())
        text = f"{name}, row {at + 1}: {code_text(values[at].item())} is not one of the levels "
        raise _refuse("unknown-level", name, text + ", ".join(map(code_text, known)) + ".")
    dummies = (values[:, None] == array[None, :-1]).astype(np.float64)
    dummies[absent] = np.nan
    return dummies, [f"{name}_{code_text(level)}" for level in known[:-1]]


def _refuse(code: str, column: str, text: str, nearest: str = "") -> Refused:
    return Refused(Problem(code, text, column=column, nearest=nearest))


def collinear(matrix: Design, tolerance: float = TOLERANCE) -> list[str]:
    """Names of the columns that are linear combinations of columns before them (complete rows only), in order.

    The triangular factor R of X = QR has the geometry of the columns of X at the size (p, p); in it each column is
    projected twice (against rounding) on those kept before it. Equal in effect to R's lm(), tolerance 1e-7.
    """
    rows = matrix.matrix[matrix.complete]
    p = rows.shape[1]
    if not p or not len(rows):
        return list(matrix.names)
    scale = np.abs(rows).max(axis=0)
    scaled = rows / np.where(scale > 0, scale, 1.0)
    small = np.asarray(np.linalg.qr(scaled, mode="r"), dtype=np.float64)
    kept = np.zeros((small.shape[0], 0))
    dependent = []
    for j in range(p):
        column = small[:, j]
        rest = column - kept @ (kept.T @ column)
        rest -= kept @ (kept.T @ rest)
        size, left = float(np.linalg.norm(column)), float(np.linalg.norm(rest))
        if size == 0.0 or left <= tolerance * size:
            dependent.append(matrix.names[j])
        else:
            kept = np.column_stack([kept, rest / left])
    return dependent


def first_in_group(codes: npt.NDArray[np.int64], values: Values, n_groups: int | None = None) -> Values:
    """(J,) each group's first observed value, in row order; missing where a group has none."""
    size = n_groups if n_groups is not None else (int(codes.max()) + 1 if len(codes) else 0)
    text = values.dtype.kind == "U"
    first: npt.NDArray[Any] = np.full(size, "" if text else np.nan, dtype=values.dtype if text else np.float64)
    seen = np.flatnonzero(~missing(values))[::-1]
    first[codes[seen]] = values[seen]  # the last assignment stands, and the order is reversed
    return first


def varies_within(codes: npt.NDArray[np.int64], values: Values) -> npt.NDArray[np.int64]:
    """The groups in which the observed values are not all the same, in increasing order."""
    first = first_in_group(codes, values)
    seen = ~missing(values)
    return np.unique(codes[seen & (values != first[codes])])
