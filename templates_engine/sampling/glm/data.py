"""The arrays of a binomial or Poisson model with one or two levels: rows sorted by group, orthonormal fixed part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from templates_engine.sampling.glm.families import CODES
from templates_engine.sampling.normal import Coordinates, Floats, Ints, orthonormal, starts_of


@dataclass(frozen=True)
class Grouped:
    """Rows of one model. η = offset + q_matrix γ + z u; β = coordinates.beta(γ)."""

    link: int
    y: Floats  # (n,)
    trials: Floats  # (n,)
    offset: Floats  # (n,)
    q_matrix: Floats  # (n, p), Q'Q = n I
    z: Floats  # (n, q); (n, 0) without groups
    starts: Ints  # (J + 1,) where groups start; [0] without groups
    coordinates: Coordinates

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def p(self) -> int:
        return int(self.q_matrix.shape[1])

    @property
    def q(self) -> int:
        return int(self.z.shape[1])

    @property
    def groups(self) -> int:
        return len(self.starts) - 1

    @property
    def codes(self) -> Ints:
        """(n,) the group of each row, in this order of rows."""
        return np.repeat(np.arange(self.groups, dtype=np.int64), np.diff(self.starts))

    def eta(self, gamma: Floats, effects: Floats) -> Floats:
        """The linear predictor (n,)."""
        value: Floats = self.offset + self.q_matrix @ gamma
        return value + np.sum(self.z * effects[self.codes], axis=1) if self.groups else value


def grouped(
    link: str,
    y: Floats,
    x: Floats,
    *,
    trials: Floats | None = None,
    offset: Floats | None = None,
    codes: Ints | None = None,
    z: Floats | None = None,
) -> Grouped:
    """Sort rows by group and turn the fixed part. Raises CollinearError."""
    n, p = x.shape
    order = np.arange(n) if codes is None else np.argsort(codes, kind="stable")
    q_matrix, r = orthonormal(x[order])
    coordinates = Coordinates(np.zeros(p), r, np.linalg.solve(r, np.eye(p)).astype(np.float64))
    starts = np.zeros(1, dtype=np.int64) if codes is None else starts_of(codes, int(codes.max()) + 1)
    random = np.zeros((n, 0)) if codes is None or z is None else z[order]
    return Grouped(
        CODES[link], np.ascontiguousarray(y[order], dtype=float),
        np.ones(n) if trials is None else np.ascontiguousarray(trials[order], dtype=float),
        np.zeros(n) if offset is None else np.ascontiguousarray(offset[order], dtype=float),
        q_matrix, np.ascontiguousarray(random), starts, coordinates,
    )  # fmt: skip
