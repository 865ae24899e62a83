"""The compiled part of the sparse Normal likelihood (sparse.likelihood): factor, cross-products, draws of effects."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.compiled import njit

BLOCK, STRIP = 48, 256  # columns of the dense block that are factored together; rows whose update is one product


class Pattern(NamedTuple):
    """Cross-products and the pattern of the factor, for the kernels. Effects in the order of elimination."""

    q: Any  # (N,) random coefficients, by place
    root: Any  # (N,) where T_c starts among the roots
    place: Any  # (units,) the place of each unit's classification
    first: Any  # (units + 1,) first effect of each unit
    block_ptr: Any  # (units + 1,) the earlier units, and itself last, that share rows with each unit
    block_col: Any  # (blocks,)
    value_ptr: Any  # (blocks,) where the cross-product, rows of the later unit, starts
    value: Any
    pull: Any  # (D, p + 1) Z'W
    base: Any  # (p + 1, p + 1) W'W
    split: int  # first effect of the dense block
    row_ptr: Any  # (D + 1,) columns below `split` in which each row of L has an entry, ascending
    row_col: Any
    col_ptr: Any  # (split + 1,) entries below the diagonal of each column of L
    col_row: Any


class Work(NamedTuple):
    """Room for one evaluation; a chain has its own."""

    diagonal: Any  # (split,)
    entries: Any  # below the diagonal, columns before `split`
    used: Any  # (split,)
    dense: Any  # (t, t)
    line: Any  # (D,)
    half: Any  # (D, p + 1), B


@njit
def factorise(s: Any, roots: Any, w: Any) -> bool:
    """L of M = I + T'Z'Z T into the room; False where M is not positive definite, as with NaN among the roots."""
    size, split = len(s.pull), s.split
    line, entries, diagonal, used = w.line, w.entries, w.diagonal, w.used
    for j in range(split):
        used[j] = s.col_ptr[j]
    line[:] = 0.0
    for unit in range(len(s.place)):
        mine = s.place[unit]
        q, root = s.q[mine], s.root[mine]
        for a in range(q):
            i = s.first[unit] + a
            own = 1.0
            for k in range(s.block_ptr[unit], s.block_ptr[unit + 1]):  # row i of T'Z'Z T
                other = s.block_col[k]
                width, theirs = s.q[s.place[other]], s.root[s.place[other]]
                for b in range(a + 1 if other == unit else width):
                    total = 0.0
                    for e in range(a, q):  # T is lower triangular
                        inner = 0.0
                        for f in range(b, width):
                            inner += s.value[s.value_ptr[k] + e * width + f] * roots[theirs + f * width + b]
                        total += roots[root + e * q + a] * inner
                    if other == unit and b == a:
                        own += total
                    else:
                        line[s.first[other] + b] = total
            for at in range(s.row_ptr[i], s.row_ptr[i + 1]):
                j = s.row_col[at]
                value = line[j] / diagonal[j]
                line[j] = 0.0
                if value != 0.0:
                    for k in range(s.col_ptr[j], used[j]):
                        line[s.col_row[k]] -= entries[k] * value
                entries[used[j]] = value
                used[j] += 1
                own -= value * value
            if i < split:
                if not own > 0.0:
                    return False
                diagonal[i] = np.sqrt(own)
            else:
                for k in range(split, i):
                    w.dense[i - split, k - split] = line[k]
                    line[k] = 0.0
                w.dense[i - split, i - split] = own
    return _dense(w.dense, size - split)


@njit
def _dense(a: Any, size: int) -> bool:
    """Cholesky in place, lower triangle: by blocks of BLOCK columns, what they take from the rest by products."""
    for first in range(0, size, BLOCK):
        last = min(first + BLOCK, size)
        for j in range(first, last):
            total = a[j, j]
            for k in range(first, j):
                total -= a[j, k] * a[j, k]
            if not total > 0.0:
                return False
            pivot = np.sqrt(total)
            a[j, j] = pivot
            for i in range(j + 1, size):
                total = a[i, j]
                for k in range(first, j):
                    total -= a[i, k] * a[j, k]
                a[i, j] = total / pivot
        for low in range(last, size, STRIP):  # in strips, of which only those at or below the diagonal are made
            high = min(low + STRIP, size)
            panel = np.ascontiguousarray(a[low:high, first:last])
            others = np.ascontiguousarray(a[last:high, first:last])
            a[low:high, last:high] -= np.dot(panel, others.T)
    return True


@njit
def reduced_classes(s: Any, roots: Any, w: Any, out: Any) -> float:
    """W'V^-1 W into out (P, P); returns log|V|, NaN where V is not positive definite."""
    if not factorise(s, roots, w):
        return np.nan
    size, split, width = len(s.pull), s.split, s.base.shape[0]
    half = w.half
    for unit in range(len(s.place)):
        q, root, begin = s.q[s.place[unit]], s.root[s.place[unit]], s.first[unit]
        for a in range(q):
            for m in range(width):
                half[begin + a, m] = 0.0
            for e in range(a, q):
                for m in range(width):
                    half[begin + a, m] += roots[root + e * q + a] * s.pull[begin + e, m]
    logs = 0.0
    for j in range(split):
        logs += np.log(w.diagonal[j])
        for m in range(width):
            half[j, m] /= w.diagonal[j]
        for k in range(s.col_ptr[j], s.col_ptr[j + 1]):
            value = w.entries[k]
            if value != 0.0:
                for m in range(width):
                    half[s.col_row[k], m] -= value * half[j, m]
    for i in range(size - split):
        logs += np.log(w.dense[i, i])
        for k in range(i):
            value = w.dense[i, k]
            for m in range(width):
                half[split + i, m] -= value * half[split + k, m]
        for m in range(width):
            half[split + i, m] /= w.dense[i, i]
    for a in range(width):
        for b in range(width):
            out[a, b] = s.base[a, b]
    for i in range(size):
        for a in range(width):
            value = half[i, a]
            for b in range(a + 1):
                out[a, b] -= value * half[i, b]
    for a in range(width):
        for b in range(a):
            out[b, a] = out[a, b]
    return 2.0 * logs


@njit
def draw_effects(s: Any, roots: Any, w: Any, gamma: Any, sigma: float, noise: Any, out: Any) -> None:
    """One draw of all effects u | θ, y into out (D,), right after `reduced_classes` at the same roots.

    u = T v,  v ~ N(M^-1 T'Z'(r - Qγ), σ² M^-1):  L'v = B(-γ, 1)' + σ ε.
    """
    size, split, p = len(s.pull), s.split, len(gamma)
    v = w.line
    for i in range(size):
        v[i] = w.half[i, p] + sigma * noise[i]
        for k in range(p):
            v[i] -= w.half[i, k] * gamma[k]
    for i in range(size - split - 1, -1, -1):
        v[split + i] /= w.dense[i, i]
        for k in range(i):
            v[split + k] -= w.dense[i, k] * v[split + i]
    for j in range(split - 1, -1, -1):
        total = v[j]
        for k in range(s.col_ptr[j], s.col_ptr[j + 1]):
            total -= w.entries[k] * v[s.col_row[k]]
        v[j] = total / w.diagonal[j]
    for unit in range(len(s.place)):
        q, root, begin = s.q[s.place[unit]], s.root[s.place[unit]], s.first[unit]
        for a in range(q):
            total = 0.0
            for b in range(a + 1):
                total += roots[root + a * q + b] * v[begin + b]
            out[begin + a] = total
    for i in range(size):
        v[i] = 0.0
