"""Sufficient statistics of the Normal model with N classifications, nested or crossed.

    y_i = x_i'β + Σ_c z_ci' u_c[j_c(i)] + e_i,    u_cj ~ N(0, Ω_c),   e_i ~ N(0, σ²)

The likelihood needs of the rows only the cross-products of the columns of W = [Q Z_1 … Z_N] with each other and with
the response. They are made once: for each unit Z_cj'Z_cj, for each pair of units that share rows Z_cj'Z_dk (with random
intercepts the number n_jk of shared rows), for each unit Z_cj'Q. Q holds the fixed part in orthonormal coordinates,
X = Q R, Q'Q = n I, β = centre + R^-1 γ.

Numbers are kept small: the response is replaced by r = y - Xβ° - Σ Z_c u_c°, the residual of a ridge fit, and the
sampler works on the deviations δ from (β°, u°). Then RSS(δ) = r'r - 2 δ'W'r + δ'W'Wδ loses no more digits than
(number of effects)/n can cost, whatever the mean of y and the differences between the units.

Layout. The larger classifications are held as long vectors ("large"); the smaller ones join γ in a short vector (the
"core") for which a dense matrix is affordable, so that they are drawn jointly with the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from templates_engine.sampling.normal.two_level_stats import Coordinates, Floats, Ints, orthonormal

MOST_CORE = 150  # coefficients and effects drawn jointly
MOST_WORK = 3e6  # multiplications an iteration that joining a classification to the core may cost


@dataclass(frozen=True)
class Factor:
    """One classification of the rows with its random coefficients."""

    codes: Ints  # (n,) 0..J-1, every unit present
    z: Floats  # (n, q)

    @property
    def groups(self) -> int:
        return int(self.codes.max()) + 1

    @property
    def q(self) -> int:
        return int(self.z.shape[1])

    @property
    def size(self) -> int:
        """Number of effects."""
        return self.groups * self.q

    def matrix(self) -> Any:
        """(n, J q) sparse: a row's z in the columns of its unit."""
        n = len(self.codes)
        columns = self.codes[:, None] * self.q + np.arange(self.q)
        starts = np.arange(n + 1) * self.q
        return sparse.csr_matrix((self.z.ravel(), columns.ravel(), starts), shape=(n, self.size))


class Layout(NamedTuple):
    """The statistics as the kernel reads them. Classifications in its order: large ones first."""

    large: int  # how many are large
    p: int
    q: Any  # (N,)
    groups: Any  # (N,)
    start: Any  # (N,) first effect: among the large effects, or in the core
    unit: Any  # (N,) first unit, large ones only
    block: Any  # (N,) where the Z_j'Z_j start, large ones only
    diagonal: Any  # Z_j'Z_j, one after the other
    pull: Any  # (D,) Z'r
    base: Any  # (D,) u°
    low_ptr: Any  # rows of W'W among the large: columns of earlier classifications,
    low_col: Any
    low_val: Any
    up_ptr: Any  # and of later ones
    up_col: Any
    up_val: Any
    core_ptr: Any  # (units + 1,) the columns of the core that a unit meets
    core_col: Any
    value_ptr: Any  # (units + 1,) and Z_j'core there, (q, columns) one after the other
    core_val: Any
    core: Any  # (P, P)
    core_pull: Any  # (P,)
    core_base: Any  # (P,)
    rss: float  # r'r
    pairs: Any  # (k, 2) large classifications (outer, inner): every unit of inner lies in one of outer
    parent_ptr: Any  # (k + 1,)
    parent: Any  # unit of outer for each unit of inner
    shared_ptr: Any  # (k + 1,)
    shared: Any  # (·, 2) random coefficients that both have, by position


@dataclass(frozen=True)
class Statistics:
    """What the sampler needs of the data."""

    n: int
    coordinates: Coordinates
    layout: Layout
    order: tuple[int, ...]  # the classification that stands at each place of the kernel's order
    sizes: tuple[tuple[int, int], ...]  # (J, q) by classification

    @property
    def p(self) -> int:
        return self.layout.p


def nested_in(inner: Ints, outer: Ints) -> Ints | None:
    """(J_inner,) the outer unit of each inner unit, None when an inner unit meets two."""
    parent = np.zeros(int(inner.max()) + 1, dtype=np.int64)
    parent[inner] = outer
    return parent if bool(np.all(parent[inner] == outer)) else None


def core_members(p: int, factors: Sequence[Factor], most: int = MOST_CORE, work: float = MOST_WORK) -> list[int]:
    """The classifications that join the core: small ones first; the largest never does."""
    by_size = sorted(range(len(factors)), key=lambda c: (factors[c].size, c))
    chosen: list[int] = []
    total = p
    meets = {c: np.full(factors[c].groups, float(p)) for c in by_size}
    for c in by_size[:-1]:
        rest = [d for d in by_size if d not in chosen and d != c]
        grown = {d: meets[d] + factors[c].q * _partners(factors[d].codes, factors[c].codes) for d in rest}
        cost = sum(factors[d].q * float(np.sum(grown[d] ** 2)) for d in rest)
        now = sum(factors[d].q * float(np.sum(meets[d] ** 2)) for d in rest)
        if total + factors[c].size > most or cost - now > work:
            break
        chosen.append(c)
        total += factors[c].size
        meets.update(grown)
    return chosen


def _partners(one: Ints, other: Ints) -> Floats:
    """(J_one,) how many units of the other classification each unit meets."""
    cells = np.unique(one * (int(other.max()) + 1) + other)
    return np.bincount(cells // (int(other.max()) + 1), minlength=int(one.max()) + 1).astype(float)


def statistics(
    y: Floats, x: Floats, factors: Sequence[Factor], *, core: Sequence[int] | None = None, centred: bool = True
) -> Statistics:
    """Reduce rows to statistics. y (n,), x (n, p). `core` names the classifications of the core; by default the small
    ones. Raises CollinearError when the columns of x are dependent."""
    n, p = x.shape
    q_matrix, triangle = orthonormal(x)
    inverse: Floats = np.linalg.solve(triangle, np.eye(p)).astype(np.float64)
    members = core_members(p, factors) if core is None else list(core)
    rest = sorted((c for c in range(len(factors)) if c not in members), key=lambda c: (-factors[c].size, c))
    order = [*rest, *members]
    z_large = _joined([factors[c].matrix() for c in rest], n)
    z_core = _joined([factors[c].matrix() for c in members], n)
    centre, effects, residual = _centre(y, x, q_matrix, inverse, sparse.hstack([z_large, z_core]).tocsr(), centred)
    split = z_large.shape[1]
    # cross-products among the large effects
    gram = (z_large.T @ z_large).tocoo()
    q = np.array([factors[c].q for c in order], dtype=np.int64)
    groups = np.array([factors[c].groups for c in order], dtype=np.int64)
    size = q * groups
    large = len(rest)
    start = np.concatenate(
        [np.cumsum([0, *size[:large]])[:-1], p + np.cumsum([0, *size[large:]])[:-1]]
    ).astype(np.int64)  # fmt: skip
    unit = np.zeros(len(order), dtype=np.int64)
    block = np.zeros(len(order), dtype=np.int64)
    unit[:large] = np.cumsum([0, *groups[:large]])[:large]
    block[:large] = np.cumsum([0, *(groups * q * q)[:large]])[:large]
    owner = np.repeat(np.arange(large), size[:large])
    row, col, val = gram.row.astype(np.int64), gram.col.astype(np.int64), gram.data
    same = owner[row] == owner[col]
    diagonal = np.zeros(int(np.sum((groups * q * q)[:large])))
    mine = owner[row[same]]
    local_row, local_col = row[same] - start[mine], col[same] - start[mine]
    diagonal[block[mine] + local_row * q[mine] + local_col % q[mine]] = val[same]
    low, up = owner[col] < owner[row], owner[col] > owner[row]
    low_ptr, low_col, low_val = _rows_of(row[low], col[low], val[low], split)
    up_ptr, up_col, up_val = _rows_of(row[up], col[up], val[up], split)
    core_ptr, core_col, value_ptr, core_val = _coupling(z_large, z_core, q_matrix, order[:large], factors)
    w = np.zeros((p + z_core.shape[1],) * 2)
    w[:p, :p] = q_matrix.T @ q_matrix
    w[p:, :p] = z_core.T @ q_matrix
    w[:p, p:] = w[p:, :p].T
    w[p:, p:] = (z_core.T @ z_core).toarray()
    pairs, parent_ptr, parent, shared_ptr, shared = nesting([factors[c] for c in rest])
    layout = Layout(
        large, p, q, groups, start, unit, block, diagonal, z_large.T @ residual, effects[:split],
        low_ptr, low_col, low_val, up_ptr, up_col, up_val, core_ptr, core_col, value_ptr, core_val,
        w, np.concatenate([q_matrix.T @ residual, z_core.T @ residual]),
        np.concatenate([np.zeros(p), effects[split:]]), float(residual @ residual),
        pairs, parent_ptr, parent, shared_ptr, shared,
    )  # fmt: skip
    sizes = tuple((f.groups, f.q) for f in factors)
    return Statistics(n, Coordinates(centre, triangle, inverse), layout, tuple(order), sizes)


def _joined(parts: list[Any], n: int) -> Any:
    return sparse.hstack(parts).tocsr() if parts else sparse.csr_matrix((n, 0))


def _centre(y: Floats, x: Floats, q_matrix: Floats, inverse: Floats, z: Any, centred: bool) -> Any:
    """(β°, u°, residual): least squares, ridge for the effects, least squares again. Any values would do for the law of
    the draws; near ones keep the sums small."""
    n = len(y)

    def project(values: Floats) -> tuple[Floats, Floats]:
        gamma = q_matrix.T @ values / n
        return inverse @ gamma, values - q_matrix @ gamma

    centre, _ = project(y)
    more, residual = project(y - x @ centre)
    centre = centre + more
    effects = np.zeros(z.shape[1])
    if centred:
        gram = (z.T @ z).tocsr()
        ridge = sparse.diags(0.2 * gram.diagonal() + 1e-300)
        scale = sparse.diags(1.0 / np.sqrt(gram.diagonal() + 1e-300))
        right = scale @ (z.T @ residual)
        found, _ = sparse_linalg.cg(scale @ (gram + ridge) @ scale, right, maxiter=30, rtol=1e-6)
        effects = np.asarray(scale @ found)
        more, residual = project(y - x @ centre - z @ effects)
        centre = centre + more
    return centre, effects, residual


def _rows_of(row: Ints, col: Ints, val: Floats, size: int) -> tuple[Ints, Any, Floats]:
    matrix = sparse.csr_matrix((val, (row, col)), shape=(size, size))
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.float64)


def _coupling(z_large: Any, z_core: Any, q_matrix: Floats, order: Sequence[int], factors: Sequence[Factor]) -> Any:
    """For each unit of the large classifications the columns of the core that it meets, and the sums there."""
    p = q_matrix.shape[1]
    fixed = np.asarray(z_large.T @ q_matrix)
    cross = (z_large.T @ z_core).tocoo()
    q_of = np.concatenate([np.full(factors[c].groups, factors[c].q) for c in order]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(q_of)])  # first effect of each unit
    unit_of = np.repeat(np.arange(len(q_of)), q_of)
    width = max(z_core.shape[1], 1)
    cells = np.unique(unit_of[cross.row] * width + cross.col)
    extra = np.bincount(cells // width, minlength=len(q_of)) if len(cells) else np.zeros(len(q_of), dtype=np.int64)
    core_ptr = np.concatenate([[0], np.cumsum(p + extra)]).astype(np.int64)
    value_ptr = np.concatenate([[0], np.cumsum((p + extra) * q_of)]).astype(np.int64)
    core_col = np.zeros(core_ptr[-1], dtype=np.int32)
    core_val = np.zeros(value_ptr[-1])
    before = np.concatenate([[0], np.cumsum(extra)])
    for k in range(p):
        core_col[core_ptr[:-1] + k] = k
    if len(cells):
        owner = cells // width
        core_col[core_ptr[owner] + p + np.arange(len(cells)) - before[owner]] = p + cells % width
    columns = p + extra
    effect_unit = unit_of
    within = np.arange(len(unit_of)) - first[unit_of]  # which coefficient
    at = value_ptr[effect_unit] + within * columns[effect_unit]
    for k in range(p):
        core_val[at + k] = fixed[:, k]
    if len(cells):
        u = unit_of[cross.row]
        place = np.searchsorted(cells, u * width + cross.col) - before[u]
        core_val[at[cross.row] + p + place] = cross.data
    return core_ptr, core_col, value_ptr, core_val


def nesting(factors: Sequence[Factor]) -> Any:
    """Nested pairs of classifications with the random coefficients that both have."""
    pairs: list[tuple[int, int]] = []
    parents: list[Ints] = []
    shares: list[list[tuple[int, int]]] = []
    for d, outer in enumerate(factors):
        for c, inner in enumerate(factors):
            if c == d or outer.groups >= inner.groups:
                continue
            share = [
                (a, b) for a in range(outer.q) for b in range(inner.q) if np.array_equal(outer.z[:, a], inner.z[:, b])
            ]
            parent = nested_in(inner.codes, outer.codes) if share else None
            if parent is not None:
                pairs.append((d, c))
                parents.append(parent)
                shares.append(share)
    return (
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        np.concatenate([[0], np.cumsum([len(v) for v in parents])]).astype(np.int64),
        np.concatenate([np.zeros(0, dtype=np.int64), *parents]),
        np.concatenate([[0], np.cumsum([len(v) for v in shares])]).astype(np.int64),
        np.array([s for share in shares for s in share], dtype=np.int64).reshape(-1, 2),
    )
