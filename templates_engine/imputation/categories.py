"""Categories of any coding: numbered from zero for the sampler, and given back as the data write them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.data import Dataset, Values, levels_of, missing
from templates_engine.imputation.spec import Response


def categories(data: Dataset, response: Response) -> Values:
    """(K,) the observed categories in their order, numbers by size and texts by letter."""
    values = data[response.name]
    return np.asarray(levels_of(values), dtype=values.dtype)


def numbered(data: Dataset, response: Response, values: Values) -> npt.NDArray[np.float64]:
    """The values as the sampler takes them: categories as 0, 1, ..., K - 1, missing as NaN."""
    if response.kind == "Normal":
        return np.asarray(values, dtype=float)
    known = categories(data, response)
    gaps = missing(values)
    places = np.full(len(values), np.nan)
    places[~gaps] = np.searchsorted(known, values[~gaps])
    return places


def as_written(data: Dataset, response: Response, places: npt.NDArray[np.float64]) -> Values:
    """The sampler's numbers as the data's own codes."""
    if response.kind == "Normal":
        return places
    known = categories(data, response)
    gaps = np.isnan(places)
    codes = known[np.where(gaps, 0, places).astype(np.intp)]
    return np.where(gaps, "" if known.dtype.kind == "U" else np.nan, codes)
