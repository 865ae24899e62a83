"""Long series in a stored picture: what falls on the same pixels is drawn once, so that nothing seen is lost.

A line keeps, of each column of pixels, its first, lowest, highest and last value (Jugel, Jerzak, Hackenbroich and
Markl 2014, the M4 aggregation); sticks from zero keep each column's ends; marks on the same half pixel are one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # whole numbers too: places, counts
FEW = 4  # values a column of pixels up to which a line is drawn as it is
MANY = 1000  # marks from which those on the same half pixel are drawn once


def line(across: Array, up: Array) -> tuple[Array, Array]:
    """The same polyline in pixels; (n,) each, `across` rising, NaN in `up` for a gap."""
    finite = np.isfinite(up)
    if not len(across) or len(across) <= FEW * (across[-1] - across[0] + 1):
        return across, up
    # A run is a stretch of one column without a gap; each gap keeps one NaN, so that the line still breaks.
    column = np.floor(across)
    new = np.flatnonzero((np.diff(column) != 0) | (np.diff(finite) != 0)) + 1
    starts = np.concatenate([[0], new])
    ends = np.concatenate([new, [len(across)]])
    kept: list[npt.NDArray[np.int64]] = []
    for begin, end in zip(starts, ends, strict=True):
        if not finite[begin]:
            kept.append(np.array([begin]))
            continue
        part = up[begin:end]
        kept.append(np.unique([begin, begin + int(part.argmin()), begin + int(part.argmax()), end - 1]))
    keep = np.concatenate(kept)
    return across[keep], up[keep]


def sticks(across: Array, up: Array, zero: float) -> list[list[tuple[float, float]]]:
    """The segments that sticks from `zero` to each value cover, one a column of pixels where there are more sticks."""
    if len(across) == 0 or len(across) <= across[-1] - across[0] + 1:
        return [[(float(w), zero), (float(w), float(h))] for w, h in zip(across, up, strict=True)]
    columns, place = np.unique(np.floor(across), return_inverse=True)
    low, high = np.full(len(columns), zero), np.full(len(columns), zero)
    np.minimum.at(low, place, up)
    np.maximum.at(high, place, up)
    return [
        [(float(c) + 0.5, float(a)), (float(c) + 0.5, float(b))] for c, a, b in zip(columns, low, high, strict=True)
    ]


def marks(across: Array, up: Array) -> tuple[Array, Array]:
    """The places of marks in pixels, those on the same half pixel once; in the order of their first."""
    if len(across) <= MANY:
        return across, up
    _, first = np.unique(np.rint(2 * np.column_stack([across, up])), axis=0, return_index=True)
    keep = np.sort(first)
    return across[keep], up[keep]
