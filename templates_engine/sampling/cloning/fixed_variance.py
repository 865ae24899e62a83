"""A covariance matrix with a variance or a correlation held, as a function of free elements: for profile likelihoods.

Ω = T T', and T is lower triangular once the coefficients in question stand first. A variance is then the square of its
first element, and a correlation the direction of its second row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from templates_engine.sampling.normal import Floats

VARIANCE, CORRELATION = "omega", "rho"


@dataclass(frozen=True)
class Pinned:
    """Of q coefficients: the variance of coefficient a, or the correlation of a and b, is held."""

    what: str
    a: int
    b: int
    unit: Floats  # (q,) in which the free elements are of moderate size

    @property
    def turn(self) -> list[int]:
        first = [self.a, self.b] if self.what == CORRELATION else [self.a]
        return [*first, *(k for k in range(len(self.unit)) if k not in first)]

    def free(self, omega: Floats) -> Floats:
        """The elements of a covariance matrix that are not held."""
        turn = self.turn
        packed = lower_root((omega / np.outer(self.unit, self.unit))[np.ix_(turn, turn)])[np.tril_indices(len(turn))]
        if self.what == CORRELATION:
            packed[1] = math.hypot(packed[1], packed[2])  # the second standard deviation
            return np.delete(packed, 2)
        return packed[1:]

    def factor(self, free: Floats, value: float) -> Floats:
        """T (q, q), T T' = Ω, its rows in the coefficients' own order."""
        turn, q = self.turn, len(self.unit)
        if self.what == CORRELATION:
            packed = np.insert(free, 2, free[1] * math.sqrt(max(1.0 - value * value, 0.0)))
            packed[1] = free[1] * value
        else:
            packed = np.insert(free, 0, math.sqrt(max(value, 0.0)) / self.unit[self.a])
        turned = np.zeros((q, q))
        turned[np.tril_indices(q)] = packed
        turned *= self.unit[turn][:, None]
        found = np.empty((q, q))
        found[turn] = turned
        return found


def lower_root(matrix: Floats) -> Floats:
    """A lower triangular root of a positive semidefinite matrix."""
    ridge = 1e-13 * max(float(np.trace(matrix)), 1e-300)
    return np.asarray(np.linalg.cholesky(matrix + ridge * np.eye(len(matrix))), dtype=float)
