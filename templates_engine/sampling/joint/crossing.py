"""How classifications lie to one another: rows that units share, which holds which, whether all hang together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine.sampling.joint.arrays import Crossing
from templates_engine.sampling.joint.designs import Whole


def crossings(units: Sequence[Whole]) -> tuple[Crossing, ...]:
    """For each ordered pair (k, m) of classifications, at place k N + m; nothing where k = m. units: (n,) codes."""
    nothing = Crossing(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return tuple(
        nothing if k == m else crossing(one, other) for k, one in enumerate(units) for m, other in enumerate(units)
    )


def crossing(one: Whole, other: Whole) -> Crossing:
    """Rows that units of `one` share with units of `other`."""
    width = int(other.max()) + 1
    cells, count = np.unique(one * width + other, return_counts=True)
    start = np.searchsorted(cells, np.arange(int(one.max()) + 2) * width)
    return Crossing(start.astype(np.int64), (cells % width).astype(np.int64), count.astype(float))


def parent_of(inner: Whole, outer: Whole) -> Whole | None:
    """(J,) the unit of `outer` that holds each unit of `inner`; None where one lies in two."""
    parent = np.zeros(int(inner.max()) + 1, np.int64)
    parent[inner] = outer
    return parent if bool(np.array_equal(parent[inner], outer)) else None


def holders(units: Sequence[Whole]) -> list[tuple[int, Whole] | None]:
    """Of each classification the finest that holds it, with the unit that holds each unit; None where none does."""
    sizes = [int(u.max()) + 1 for u in units]
    found: list[tuple[int, Whole] | None] = []
    for k, inner in enumerate(units):
        held = [
            (sizes[m], m, parent)
            for m, outer in enumerate(units)
            if m != k and sizes[m] < sizes[k] and (parent := parent_of(inner, outer)) is not None
        ]
        found.append(max(held, key=lambda h: h[0])[1:] if held else None)
    return found


def components(one: Whole, other: Whole) -> int:
    """Into how many unconnected parts two classifications fall: units are connected by rows that they share."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    J, M = int(one.max()) + 1, int(other.max()) + 1
    graph = coo_matrix((np.ones(one.size), (one, J + other)), shape=(J + M, J + M))
    return int(connected_components(graph, directed=False, return_labels=False))
