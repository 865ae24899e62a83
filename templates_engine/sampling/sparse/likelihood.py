"""The Normal likelihood with several classifications, nested or crossed, reduced by one sparse factorisation.

    y = X β + Σ_c Z_c u_c + e,   u_cj ~ N(0, σ² T_c T_c'),   e ~ N(0, σ² I)

With Z = [Z_1 Z_2 …], T block-diagonal, W = [Q, r] (orthonormal fixed part, least-squares residual), V = I + Z T T'Z':

    M = I + T'Z'Z T = L L',   B = L^-1 T'Z'W,   log|V| = log|M|,   W'V^-1 W = W'W - B'B

(Bates, Mächler, Bolker and Walker 2015, Journal of Statistical Software 67(1), section 3). The pattern of L is found
once, here; sparse.factor fills it. Classifications are eliminated from the one with most effects down, so that
nested ones cause no fill; where the last ones have become nearly dense, they are kept as a dense block. An evaluation
costs about Σ_j c_j² + t³/3 + c p multiplications (c_j entries in column j, c in all, t the side of the dense block),
whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.normal import Coordinates, Factor, Floats, orthonormal
from templates_engine.sampling.sparse.factor import Pattern, Work, reduced_classes

MOST_ENTRIES = 60_000_000  # of the factor
_DENSE = 0.05  # time of a multiplication in the dense block, relative to one outside it


class TooDense(ValueError):
    """A factor with more entries than MOST_ENTRIES."""


@dataclass(frozen=True)
class Classes:
    """One model's likelihood; p fixed coefficients, D effects."""

    n: int
    coordinates: Coordinates
    pattern: Pattern
    order: tuple[int, ...]  # the classification at each place
    q: tuple[int, ...]  # by classification
    sizes: tuple[int, ...]  # units by classification
    unit: tuple[Floats, ...]  # by classification: relative sds that matter as much as the residual does in one row
    work: float  # multiplications of an evaluation

    @property
    def p(self) -> int:
        return int(self.pattern.base.shape[0]) - 1

    def room(self) -> Work:
        s, d = self.pattern.split, len(self.pattern.pull)
        return Work(
            np.empty(s), np.empty(len(self.pattern.col_row)), np.empty(s, np.int64), np.empty((d - s, d - s)),
            np.zeros(d), np.empty((d, self.p + 1)),
        )  # fmt: skip

    def reduced(self, roots: Sequence[Floats]) -> tuple[Floats, float]:
        """(W'V^-1 W, log|V|) at the relative factors T_c, by classification; NaN where V is not positive definite."""
        matrix = np.empty((self.p + 1, self.p + 1))
        return matrix, float(reduced_classes(self.pattern, self.roots(roots), self._room, matrix))

    @cached_property
    def _room(self) -> Work:
        return self.room()

    def roots(self, factors: Sequence[Floats]) -> Floats:
        """T_c by classification as the kernels have them."""
        return np.concatenate([np.ascontiguousarray(factors[c], dtype=float).ravel() for c in self.order])


def classes(y: Floats, x: Floats, factors: Sequence[Factor]) -> Classes:
    """Reduce the rows y (n,), x (n, p). Raises CollinearError, and TooDense where the factor would be too large."""
    n, p = x.shape
    q_matrix, triangle = orthonormal(x)
    inverse = np.asarray(np.linalg.solve(triangle, np.eye(p)), dtype=float)
    centre, residual = np.zeros(p), y
    for _ in range(2):  # twice, for the digits
        gamma = q_matrix.T @ residual / n
        centre, residual = centre + inverse @ gamma, residual - q_matrix @ gamma
    order = sorted(range(len(factors)), key=lambda c: (-factors[c].size, c))
    chosen = [factors[c] for c in order]
    z = sparse.hstack([f.matrix() for f in chosen]).tocsr()
    w = np.column_stack([q_matrix, residual])
    incidence = sparse.hstack(
        [sparse.csr_matrix((np.ones(n), f.codes, np.arange(n + 1)), shape=(n, f.groups)) for f in chosen]
    ).tocsr()
    met = sparse.tril(incidence.T @ incidence).tocsr()
    met.sort_indices()
    q = np.array([f.q for f in chosen], dtype=np.int64)
    place = np.repeat(np.arange(len(chosen)), [f.groups for f in chosen]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(q[place])]).astype(np.int64)
    later = np.repeat(np.arange(len(place)), np.diff(met.indptr))
    sizes = q[place[later]] * q[place[met.indices]]
    value_ptr = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    value = np.zeros(int(sizes.sum()))
    gram = (z.T @ z).tocsr()
    gram.sort_indices()
    blocks = (met.indptr.astype(np.int64), met.indices.astype(np.int64))
    _fill(gram.indptr, gram.indices, gram.data, place, q, first, *blocks, value_ptr, value)
    ptr, col = _scalar(place, q, first, *blocks)
    parent = _tree(ptr, col)
    counts = _counts(ptr, col, parent)
    starts = [int(first[np.searchsorted(place, c)]) for c in range(len(chosen))] + [int(first[-1])]
    split, work = _choose(counts, starts)
    if float(counts[:split].sum()) + float(first[-1] - split) ** 2 > MOST_ENTRIES:
        raise TooDense("the classifications cross in too many ways for an exact likelihood")
    row_ptr, row_col, col_ptr, col_row = _rows(ptr, col, parent, counts, split)
    pattern = Pattern(
        q, np.concatenate([[0], np.cumsum(q * q)[:-1]]).astype(np.int64), place, first, *blocks, value_ptr, value,
        np.ascontiguousarray(z.T @ w), w.T @ w, split, row_ptr, row_col, col_ptr, col_row,
    )  # fmt: skip
    unit = tuple(np.sqrt(n / np.maximum(np.sum(f.z**2, axis=0), 1e-300)) for f in factors)
    return Classes(
        n, Coordinates(centre, triangle, inverse), pattern, tuple(order), tuple(f.q for f in factors),
        tuple(f.groups for f in factors), unit, work + float(counts.sum()) * (p + 1),
    )  # fmt: skip


def _choose(counts: Any, starts: list[int]) -> tuple[int, float]:
    """Where the dense block begins, and the work: at a classification's start, never the first's."""
    total = starts[-1]
    costs = {
        s: float(np.sum((counts[:s] + 1.0) ** 2)) + _DENSE * float(total - s) ** 3 / 3.0
        for s in starts[1:]
        if total - s <= MOST_ENTRIES**0.5
    }
    split = min(costs, key=lambda s: (costs[s], -s))
    return split, costs[split]


@njit
def _fill(
    ptr: Any, col: Any, data: Any, place: Any, q: Any, first: Any, block_ptr: Any, block_col: Any, value_ptr: Any,
    value: Any,
) -> None:  # fmt: skip
    """The blocks of Z'Z, from its rows."""
    for unit in range(len(place)):
        for a in range(q[place[unit]]):
            at = ptr[first[unit] + a]
            stop = ptr[first[unit] + a + 1]
            for k in range(block_ptr[unit], block_ptr[unit + 1]):
                other = block_col[k]
                width = q[place[other]]
                while at < stop and col[at] < first[other] + width:
                    if col[at] >= first[other]:
                        value[value_ptr[k] + a * width + col[at] - first[other]] = data[at]
                    at += 1


@njit
def _scalar(place: Any, q: Any, first: Any, block_ptr: Any, block_col: Any) -> Any:
    """Rows (ptr, col) of the lower triangle without its diagonal, effect by effect."""
    size = first[-1]
    ptr = np.zeros(size + 1, np.int64)
    for sweep in range(2):
        if sweep == 1:
            col = np.empty(ptr[size], np.int64)
        total = 0
        for unit in range(len(place)):
            for a in range(q[place[unit]]):
                i = first[unit] + a
                for k in range(block_ptr[unit], block_ptr[unit + 1]):
                    other = block_col[k]
                    width = a if other == unit else q[place[other]]
                    if sweep == 1:
                        for b in range(width):
                            col[total + b] = first[other] + b
                    total += width
                ptr[i + 1] = total
    return ptr, col


@njit
def _tree(ptr: Any, col: Any) -> Any:
    """The elimination tree (Liu 1990; Davis 2006, Direct Methods for Sparse Linear Systems, section 4.1)."""
    size = len(ptr) - 1
    parent, ancestor = np.full(size, -1), np.full(size, -1)
    for k in range(size):
        for at in range(ptr[k], ptr[k + 1]):
            i = col[at]
            while i != -1 and i < k:
                following = ancestor[i]
                ancestor[i] = k
                if following == -1:
                    parent[i] = k
                i = following
    return parent


@njit
def _counts(ptr: Any, col: Any, parent: Any) -> Any:
    """Entries below the diagonal of every column of the factor."""
    size = len(parent)
    counts, mark = np.zeros(size, np.int64), np.full(size, -1)
    for k in range(size):
        mark[k] = k
        for at in range(ptr[k], ptr[k + 1]):
            i = col[at]
            while mark[i] != k:
                mark[i] = k
                counts[i] += 1
                i = parent[i]
    return counts


@njit
def _rows(ptr: Any, col: Any, parent: Any, counts: Any, split: int) -> Any:
    """Entries of L in columns before `split`: by row, and by column."""
    size = len(parent)
    col_ptr = np.zeros(split + 1, np.int64)
    for j in range(split):
        col_ptr[j + 1] = col_ptr[j] + counts[j]
    total = col_ptr[split]
    row_ptr, row_col, col_row = np.zeros(size + 1, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    used, mark = np.zeros(split, np.int64), np.full(size, -1)
    at_row = 0
    for k in range(size):
        begin = at_row
        mark[k] = k
        for at in range(ptr[k], ptr[k + 1]):
            i = col[at]
            while i < split and mark[i] != k:
                mark[i] = k
                row_col[at_row] = i
                at_row += 1
                i = parent[i]
        row_col[begin:at_row] = np.sort(row_col[begin:at_row])
        for at in range(begin, at_row):
            j = row_col[at]
            col_row[col_ptr[j] + used[j]] = k
            used[j] += 1
        row_ptr[k + 1] = at_row
    return row_ptr, row_col, col_ptr, col_row
