"""Where the effects of several classifications stand when one of them is eliminated (glm.laplace_likelihood).

The classification with most effects is eliminated: its part of Z'WZ is block diagonal. The effects of the others, the
core, fall into parts that share no unit of it, so that what is left is dense within each part and empty between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from templates_engine.sampling.normal import Factor, Floats, Ints
from templates_engine.sampling.sparse.eliminated import Eliminated, Factored


@dataclass(frozen=True)
class Elimination:
    """Classifications in the kernel's order, the eliminated one first; rows sorted by its units."""

    order: tuple[int, ...]
    turn: Ints  # (n,) the rows in this order
    sizes: tuple[tuple[int, int], ...]  # (J, q), in this order
    unit: Ints  # (n,) of the eliminated classification
    core_at: Ints  # (n, Q - q) the effect that each other column of z belongs to
    place: Ints  # (n, Q - q) the same among the effects that the row's unit meets
    first: tuple[Ints, ...]  # first effect of each unit
    part: Ints  # (J,) of each unit of the eliminated classification
    part_ptr: Ints
    meet_ptr: Ints
    meet: Ints

    @property
    def q(self) -> int:
        return self.sizes[0][1] if self.sizes else 0

    @property
    def count(self) -> int:
        """Number of effects."""
        return sum(groups * q for groups, q in self.sizes)

    @property
    def work(self) -> float:
        """Multiplications of a factorisation, but for the rows."""
        met, size = np.diff(self.meet_ptr).astype(float), np.diff(self.part_ptr).astype(float)
        return float(self.q * np.sum(met**2) + np.sum(size**3))

    @property
    def cells(self) -> float:
        """Numbers that a factorisation holds."""
        return float(self.q * self.meet_ptr[-1] + np.sum(np.diff(self.part_ptr).astype(float) ** 2))

    def pattern(self, link: int, y: Floats, trials: Floats) -> Eliminated:
        """As the kernel reads it; y and trials in this order of rows."""
        units = self.sizes[0][0] if self.sizes else 0
        squares = np.concatenate([[0], np.cumsum(np.diff(self.part_ptr) ** 2)]).astype(np.int64)
        return Eliminated(
            link, y, trials, self.q, self.unit, np.searchsorted(self.unit, np.arange(units + 1)).astype(np.int64),
            self.core_at, self.place, self.meet_ptr, self.meet, self.part, self.part_ptr, squares,
        )  # fmt: skip

    def matrix(self) -> Factored:
        """Room for a factorisation."""
        units = self.sizes[0][0] if self.sizes else 0
        square = int(np.sum(np.diff(self.part_ptr) ** 2))
        return Factored(np.zeros((units, self.q, self.q)), np.zeros(int(self.q * self.meet_ptr[-1])), np.zeros(square))


def eliminate(factors: Sequence[Factor], n: int) -> Elimination:
    """For n rows; any number of factors. Units of the core are ordered by the part that they are in."""
    order = sorted(range(len(factors)), key=lambda c: (-factors[c].size, c))
    none, empty = np.zeros((n, 0), dtype=np.int64), np.zeros(0, dtype=np.int64)
    zero = np.zeros(1, dtype=np.int64)
    if not order:
        return Elimination((), np.arange(n), (), np.zeros(n, dtype=np.int64), none, none, (), empty, zero, zero, empty)
    sizes = tuple((factors[c].groups, factors[c].q) for c in order)
    units, q = sizes[0]
    turn = np.argsort(factors[order[0]].codes, kind="stable")
    one = factors[order[0]].codes[turn].astype(np.int64)
    own = np.arange(units) * q
    if len(order) == 1:
        nothing = np.zeros(units + 1, dtype=np.int64)
        return Elimination(tuple(order), turn, sizes, one, none, none, (own,), nothing[:-1], zero, nothing, empty)
    others = [factors[c] for c in order[1:]]
    base = np.concatenate([[0], np.cumsum([f.groups for f in others])]).astype(np.int64)
    node = np.stack([f.codes[turn] + b for f, b in zip(others, base[:-1], strict=True)], axis=1)
    count = int(base[-1])
    ends = (np.ones(node.size), (np.repeat(one, len(others)), units + node.ravel()))
    graph = sparse.coo_matrix(ends, shape=(units + count, units + count))
    parts, label = sparse.csgraph.connected_components(graph, directed=False)
    rank = np.empty(count, dtype=np.int64)
    by_part = np.argsort(label[units:], kind="stable")
    rank[by_part] = np.arange(count)
    width = np.concatenate([np.full(f.groups, f.q) for f in others]).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(width[by_part])]).astype(np.int64)  # of the effects, by rank
    size = np.bincount(label[units:], weights=width, minlength=parts).astype(np.int64)
    part_ptr = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    cells, which = np.unique(one[:, None] * count + rank[node], return_inverse=True)
    unit, mine = cells // count, cells % count
    widths = width[by_part][mine]
    ptr = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    meet_ptr = np.append(ptr[np.searchsorted(unit, np.arange(units))], ptr[-1])
    local = start[mine] - part_ptr[label[units:][by_part][mine]]
    meet = np.repeat(local, widths) + np.arange(ptr[-1]) - np.repeat(ptr[:-1], widths)
    first = [units * q + start[rank[b : b + f.groups]] for f, b in zip(others, base[:-1], strict=True)]
    at = np.stack([f[o.codes[turn]] for f, o in zip(first, others, strict=True)], axis=1)
    return Elimination(
        tuple(order), turn, sizes, one, _spread(at, others),
        _spread(ptr[which.reshape(node.shape)] - meet_ptr[one][:, None], others), (own, *first),
        label[:units].astype(np.int64), part_ptr, meet_ptr, meet,
    )  # fmt: skip


def _spread(first: Ints, factors: Sequence[Factor]) -> Ints:
    """(n, Σ q) the places of all random coefficients from those of the first ones, (n, classifications)."""
    return np.ascontiguousarray(
        np.concatenate([first[:, c, None] + np.arange(f.q) for c, f in enumerate(factors)], axis=1)
    )
