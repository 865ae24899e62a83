"""Data in long or wide form to the long rows that are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset
from templates_engine.data import missing
from templates_engine.regression import Rows, prepare
from templates_engine.sampling.normal import Factor

from .spec import Spec


@dataclass(frozen=True)
class Parts:
    """The complete rows with their classifications."""

    rows: Rows
    factors: tuple[Factor, ...]
    units: tuple[npt.NDArray[Any], ...]  # (J,) the identifiers' own values, by classification
    labels: tuple[tuple[str, ...], ...]
    z_names: tuple[tuple[str, ...], ...]  # ("",) for a random intercept

    @property
    def groups(self) -> int:
        """Units of the first classification."""
        return self.factors[0].groups


def long(spec: Spec, data: Dataset) -> Dataset:
    """One row an observation. In wide form every response gives a row; other columns are repeated."""
    times = len(spec.y)
    names = {t.name for t in spec.terms} | {spec.trials, spec.offset, spec.truth, *spec.classes}
    columns: dict[str, npt.NDArray[Any]] = {spec.response: np.concatenate([data[name] for name in spec.y])}
    for name in sorted(names - {"", *spec.y}):
        if name in data:
            columns[name] = np.tile(data[name], times)
        elif name == spec.ones:
            columns[name] = np.ones(times * data.n_rows)
    if spec.unit not in columns:
        columns[spec.unit] = np.tile(np.arange(1.0, data.n_rows + 1.0), times)
    labels = {k: v for k, v in data.labels.items() if k in columns and k not in spec.y}
    return Dataset(data.name, columns, labels)


def rows_of(spec: Spec, data: Dataset) -> Parts:
    """The complete rows. Raises Refused for a column that cannot be used."""
    rows = prepare(spec.model, long(spec, data))
    return Parts(rows, rows.factors, rows.units, rows.labels, rows.z_names)


def truths(spec: Spec, data: Dataset, units: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """(J,) each group's true effect: the first that stands in its rows; NaN where none does. units: (J,), sorted."""
    if not spec.truth:
        return None
    table = long(spec, data)
    ids, values = table[spec.unit], table[spec.truth]
    known = ~missing(values) & ~missing(ids)
    found, first = np.unique(ids[known], return_index=True)
    out = np.full(len(units), np.nan)
    at = np.searchsorted(found, units)
    inside = at < len(found)
    match = np.zeros(len(units), bool)
    match[inside] = found[at[inside]] == units[inside]
    out[match] = values[known][first][at[match]]
    return out
