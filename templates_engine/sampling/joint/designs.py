"""Designs of one level: distinct ones once, orthogonalised, and their distinct rows.

Each distinct design X (columns constant within groups first) is Q R with Q'Q / n = I, so theta = R beta is well scaled
and the leading elements of theta span exactly what is constant within groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint.model import Array, Response

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Designs:
    """Distinct designs of one level side by side, orthogonalised."""

    columns: Array  # (n, K)
    first: list[int]  # of each dimension
    count: list[int]
    constant: list[int]
    back: list[Array]  # beta = back theta, one matrix a dimension


def stack(responses: tuple[Response, ...], groups: Whole | None) -> Designs:
    distinct: list[Array] = []
    at: list[int] = []
    built: list[tuple[int, Array, int]] = []  # first column, back, constant
    blocks: list[Array] = []
    width = 0
    for design in (x for r in responses for x in r.designs):
        for k, known in enumerate(distinct):
            if known is design or np.array_equal(known, design):
                at.append(k)
                break
        else:
            at.append(len(distinct))
            distinct.append(design)
            Q, back, constant = _orthogonal(design, groups)
            blocks.append(Q)
            built.append((width, back, constant))
            width += design.shape[1]
    n = responses[0].values.size if responses else 0
    return Designs(
        np.ascontiguousarray(np.hstack(blocks)) if blocks else np.zeros((n, 0)),
        [built[k][0] for k in at],
        [distinct[k].shape[1] for k in at],
        [built[k][2] for k in at],
        [built[k][1] for k in at],
    )


def _orthogonal(design: Array, groups: Whole | None) -> tuple[Array, Array, int]:
    """(Q, back, constant): design = Q back^-1, the first `constant` columns of Q constant within groups."""
    n, k = design.shape
    if k == 0:
        return design.astype(float), np.zeros((0, 0)), 0
    within = np.zeros(k, bool)
    if groups is not None:
        first = np.unique(groups, return_index=True)[1]
        within = (design == design[first][groups]).all(axis=0)
    order = np.concatenate([np.flatnonzero(within), np.flatnonzero(~within)])
    Q0, R0 = np.linalg.qr(design[:, order])
    sign = np.where(np.diag(R0) < 0, -1.0, 1.0)
    Q, R = np.asarray(Q0 * sign * np.sqrt(n)), np.asarray(R0 * sign[:, None] / np.sqrt(n))
    if n < k or np.abs(np.diag(R)).min() <= 1e-10 * np.abs(np.diag(R)).max():
        # linearly dependent, which a proper prior makes legal: left as it is
        Q, R = design[:, order].astype(float), np.eye(k)
    back = np.zeros((k, k))
    back[order] = np.linalg.inv(R)
    return Q, back, int(within.sum())


def distinct_rows(columns: Array) -> tuple[Array, Whole]:
    """(distinct rows, index of each row among them); all rows as they are where few would repeat."""
    n = columns.shape[0]
    sample = columns[:: max(1, n // 1000)]
    if np.unique(sample, axis=0).shape[0] > max(2, sample.shape[0] // 2):
        return np.ascontiguousarray(columns), np.arange(n, dtype=np.int64)
    design, xrow = np.unique(columns, axis=0, return_inverse=True)
    return np.ascontiguousarray(design), xrow.reshape(-1).astype(np.int64)
