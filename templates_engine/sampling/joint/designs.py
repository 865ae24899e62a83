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
    constant: list[list[int]]  # by classification: how many leading columns are constant within its units
    back: list[Array]  # beta = back theta, one matrix a dimension


def stack(responses: tuple[Response, ...], classes: list[Whole] | None) -> Designs:
    """Designs of the responses of a level; classes: codes of the rows' units, None for a classification's responses."""
    distinct: list[Array] = []
    at: list[int] = []
    built: list[tuple[int, Array, list[int]]] = []  # first column, back, constant
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
            Q, back, constant = _orthogonal(design, classes or [])
            blocks.append(Q)
            built.append((width, back, constant))
            width += design.shape[1]
    n = responses[0].values.size if responses else 0
    return Designs(
        np.ascontiguousarray(np.hstack(blocks)) if blocks else np.zeros((n, 0)),
        [built[k][0] for k in at],
        [distinct[k].shape[1] for k in at],
        [[built[k][2][c] for k in at] for c in range(len(classes or []))],
        [built[k][1] for k in at],
    )


def _orthogonal(design: Array, classes: list[Whole]) -> tuple[Array, Array, list[int]]:
    """(Q, back, constant): design = Q back^-1, the first constant[c] columns of Q constant within units of c.

    Columns constant within units of more classifications come first, so that these spans are as large as can be.
    """
    n, k = design.shape
    if k == 0:
        return design.astype(float), np.zeros((0, 0)), [0] * len(classes)
    within = np.zeros((len(classes), k), bool)
    for c, codes in enumerate(classes):
        first = np.unique(codes, return_index=True)[1]
        within[c] = (design == design[first][codes]).all(axis=0)
    order = np.argsort(-within.sum(axis=0), kind="stable")
    constant = [int(np.logical_and.accumulate(row[order]).sum()) for row in within]
    Q0, R0 = np.linalg.qr(design[:, order])
    sign = np.where(np.diag(R0) < 0, -1.0, 1.0)
    Q, R = np.asarray(Q0 * sign * np.sqrt(n)), np.asarray(R0 * sign[:, None] / np.sqrt(n))
    if n < k or np.abs(np.diag(R)).min() <= 1e-10 * np.abs(np.diag(R)).max():
        # linearly dependent, which a proper prior makes legal: left as it is
        Q, R = design[:, order].astype(float), np.eye(k)
    back = np.zeros((k, k))
    back[order] = np.linalg.inv(R)
    return Q, back, constant


def distinct_rows(columns: Array) -> tuple[Array, Whole]:
    """(distinct rows, index of each row among them); all rows as they are where few would repeat."""
    n = columns.shape[0]
    sample = columns[:: max(1, n // 1000)]
    if np.unique(sample, axis=0).shape[0] > max(2, sample.shape[0] // 2):
        return np.ascontiguousarray(columns), np.arange(n, dtype=np.int64)
    design, xrow = np.unique(columns, axis=0, return_inverse=True)
    return np.ascontiguousarray(design), xrow.reshape(-1).astype(np.int64)
