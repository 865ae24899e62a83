"""Sufficient statistics of the Normal two-level model, in coordinates in which nothing cancels.

    y_ij = x_ij' β + z_ij' u_j + e_ij,    u_j ~ N(0, Ω),   e_ij ~ N(0, σ²)

The fixed part is turned to orthonormal coordinates γ with X = Q R, Q'Q = n I, β = β̂ + R^-1 γ, β̂ least squares:
the residual r = y - X β̂ takes the place of y. In each group Z_j = P_j T_j (orthonormal times upper triangular), and
what the likelihood needs of the group are T_j (q x q), C_j = P_j'Q_j (q x p) and t_j = P_j'r_j (q). What is left within
the groups, after projecting off P_j, enters as three sums over all groups. The residual sum of squares is then

    RSS(γ, u) = Σ_j |t_j - C_j γ - T_j u_j|² + S_rr - 2 γ'S_Qr + γ'S_QQ γ

a sum of squares (the last three terms are kept as a minimum plus a quadratic form), so that it is accurate however
large the mean of y, the spread of a predictor or the differences between the groups may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coordinates:
    """The fixed part in orthonormal coordinates: β = centre + inverse γ."""

    centre: Floats  # (p,) least squares
    triangle: Floats  # (p, p) upper, R
    inverse: Floats  # (p, p) upper, R^-1

    def beta(self, gamma: Floats) -> Floats:
        """β of γ, along the last axis."""
        return self.centre + gamma @ self.inverse.T

    def prior(self, mean: Floats, precision: Floats) -> tuple[Floats, Floats]:
        """A Normal prior on β (mean, precision matrix) as one on γ."""
        return self.triangle @ (mean - self.centre), self.inverse.T @ precision @ self.inverse


@dataclass(frozen=True)
class Statistics:
    """What the sampler and the likelihood need of the data; J groups, p fixed and q random coefficients."""

    n: int
    coordinates: Coordinates
    t: Floats  # (J, q)
    c: Floats  # (J, q, p)
    triangles: Floats  # (J, q, q) upper
    within_matrix: Floats  # (p, p), S_QQ
    within_centre: Floats  # (p,), where the within-group sum of squares is least
    within_rss: float  # its value there
    in_span: npt.NDArray[np.bool_]  # (p,) predictor lies in the random part's columns in every group

    @property
    def groups(self) -> int:
        return int(self.t.shape[0])

    @property
    def p(self) -> int:
        return int(self.within_matrix.shape[0])

    @property
    def q(self) -> int:
        return int(self.t.shape[1])


class CollinearError(ValueError):
    """The columns of the design matrix are linearly dependent; `.columns` are the positions that add nothing."""

    def __init__(self, columns: list[int]):
        super().__init__(f"collinear columns {columns}")
        self.columns = columns


def dependent_columns(x: Floats, tolerance: float = 1e-9) -> list[int]:
    """Positions of columns that are, to `tolerance` of their length, combinations of the columns before them.

    A column is compared after taking off its mean where a constant comes before it, so that a year such as
    2001.5 ± 0.5 counts by its spread and not by its size.
    """
    basis: list[Floats] = []
    dependent: list[int] = []
    for k in range(x.shape[1]):
        column = x[:, k].astype(float)
        length = float(np.linalg.norm(column))
        rest = column.copy()
        for _ in range(2):  # twice is enough (Kahan's rule, in Parlett 1980)
            for unit in basis:
                rest -= unit * float(unit @ rest)
        if length == 0.0 or float(np.linalg.norm(rest)) <= tolerance * length:
            dependent.append(k)
        else:
            basis.append(rest / np.linalg.norm(rest))
    return dependent


def orthonormal(x: Floats) -> tuple[Floats, Floats]:
    """X = Q R with Q'Q = n I and a positive diagonal of R. Raises CollinearError."""
    found = dependent_columns(x)
    if found:
        raise CollinearError(found)
    q, r = np.linalg.qr(x)
    sign = np.where(np.diag(r) < 0, -1.0, 1.0)
    root = np.sqrt(x.shape[0])
    return np.ascontiguousarray(q * sign * root), np.ascontiguousarray((r.T * sign).T / root)


def starts_of(codes: Ints, groups: int) -> Ints:
    """Where each group starts among rows sorted by group; one more entry at the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=groups))]).astype(np.int64)


def statistics(y: Floats, x: Floats, codes: Ints | None = None, z: Floats | None = None) -> Statistics:
    """Reduce rows to statistics. y (n,), x (n, p), codes (n,) 0..J-1, z (n, q); without codes there are no groups.

    Raises CollinearError when the columns of x are dependent.
    """
    n, p = x.shape
    q_matrix, r = orthonormal(x)
    inverse: Floats = np.linalg.solve(r, np.eye(p)).astype(np.float64)
    gamma = q_matrix.T @ y / n
    centre = inverse @ gamma
    residual = y - x @ centre
    # A second step of least squares on the residual takes away the rounding of the first.
    correction = q_matrix.T @ residual / n
    centre = centre + inverse @ correction
    residual = residual - q_matrix @ correction
    coordinates = Coordinates(centre, r, inverse)
    if codes is None or z is None:
        return Statistics(
            n, coordinates, np.zeros((0, 1)), np.zeros((0, 1, p)), np.zeros((0, 1, 1)),
            n * np.eye(p), np.zeros(p), float(residual @ residual), np.zeros(p, dtype=bool),
        )  # fmt: skip
    groups = int(codes.max()) + 1
    order = np.argsort(codes, kind="stable")
    q = z.shape[1]
    scale = np.sqrt(np.mean(z * z, axis=0))
    t, c, triangles = np.zeros((groups, q)), np.zeros((groups, q, p)), np.zeros((groups, q, q))
    rows_q, rows_r, rows_z = q_matrix[order], residual[order], np.ascontiguousarray(z[order] / scale)
    rows_x = np.ascontiguousarray(x[order])
    reduce_groups(rows_z, rows_q, rows_r, rows_x, starts_of(codes, groups), t, c, triangles)
    triangles *= scale[None, None, :]
    # rows_q and rows_r now hold what is left within the groups.
    within = rows_q.T @ rows_q
    cross = rows_q.T @ rows_r
    values, vectors = np.linalg.eigh(within)
    keep = values > 1e-12 * n
    at = vectors[:, keep] @ ((vectors[:, keep].T @ cross) / values[keep])
    left = rows_r - rows_q @ at
    lengths = np.linalg.norm(x, axis=0)
    in_span = np.linalg.norm(rows_x, axis=0) <= 1e-8 * lengths
    return Statistics(n, coordinates, t, c, triangles, within, at, float(left @ left), in_span)


@njit
def reduce_groups(z: Any, design: Any, residual: Any, x: Any, starts: Any, t: Any, c: Any, triangles: Any) -> None:
    """Modified Gram-Schmidt group by group (run twice over for accuracy), rows sorted by group.

    Fills t, c, triangles; leaves in `design`, `residual` and `x` their parts orthogonal to the group's Z.
    A column of Z without anything new in a group has a zero diagonal in that group's triangle.
    """
    groups, q, p = c.shape
    for j in range(groups):
        a, b = starts[j], starts[j + 1]
        for k in range(q):
            before = 0.0
            for i in range(a, b):
                before += z[i, k] * z[i, k]
            for _ in range(2):
                for m in range(k):
                    if triangles[j, m, m] > 0.0:
                        dot = 0.0
                        for i in range(a, b):
                            dot += z[i, m] * z[i, k]
                        triangles[j, m, k] += dot
                        for i in range(a, b):
                            z[i, k] -= dot * z[i, m]
            length = 0.0
            for i in range(a, b):
                length += z[i, k] * z[i, k]
            if length <= 1e-20 * before or length == 0.0:
                for i in range(a, b):
                    z[i, k] = 0.0
                continue
            root = np.sqrt(length)
            triangles[j, k, k] = root
            for i in range(a, b):
                z[i, k] /= root
            for _ in range(2):
                dot = 0.0
                for i in range(a, b):
                    dot += z[i, k] * residual[i]
                t[j, k] += dot
                for i in range(a, b):
                    residual[i] -= dot * z[i, k]
                for m in range(p):
                    dot = 0.0
                    other = 0.0
                    for i in range(a, b):
                        dot += z[i, k] * design[i, m]
                        other += z[i, k] * x[i, m]
                    c[j, k, m] += dot
                    for i in range(a, b):
                        design[i, m] -= dot * z[i, k]
                        x[i, m] -= other * z[i, k]
