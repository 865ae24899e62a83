"""Categories of any coding: numbered from zero for the sampler, and given back as the data write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from templates_engine import Dataset
from templates_engine.data import Values, code_text, levels_of, missing

from .spec import CATEGORICAL, Response


@dataclass(frozen=True)
class Coding:
    """The observed categories of one variable in their order, numbers by size and texts by letter; () of a
    measurement."""

    levels: tuple[float | str, ...] = ()

    @property
    def origin(self) -> int | None:
        """The first code, where the codes are whole numbers from 0 or above in steps of one; None of any others."""
        first = self.levels[0] if self.levels else 0.0
        if isinstance(first, str) or first < 0 or first != int(first):
            return None
        return int(first) if all(v == first + k for k, v in enumerate(self.levels)) else None

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(code_text(v) for v in self.levels)

    def numbered(self, values: Values) -> np.ndarray:
        """Categories as 0, 1, …, missing ones as NaN; measurements as they are."""
        if not self.levels:
            return np.asarray(values, float)
        gaps = missing(values)
        places = np.full(len(values), np.nan)
        places[~gaps] = np.searchsorted(np.asarray(self.levels, values.dtype), values[~gaps])
        return places

    def as_written(self, places: np.ndarray) -> Values:
        """The sampler's numbers as the data's own codes."""
        if not self.levels:
            return places
        known, gaps = np.asarray(self.levels), np.isnan(places)
        codes = known[np.where(gaps, 0, places).astype(np.intp)]
        return np.where(gaps, "" if known.dtype.kind == "U" else np.nan, codes)


def coding(response: Response, table: Dataset) -> Coding:
    return Coding(tuple(levels_of(table[response.name]))) if response.kind in CATEGORICAL else Coding()
