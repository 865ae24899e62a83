"""Second derivatives by differences, for criteria that have no closed ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def hessian(value: Callable[[Floats], float], point: Floats, step: Floats) -> Floats:
    """Hessian (k, k) of value at point (k,) by central differences of step (k,). What value raises comes out."""
    size = len(point)
    result = np.empty((size, size))
    for a in range(size):
        for b in range(a + 1):
            da, db = np.eye(size)[a] * step, np.eye(size)[b] * step
            mixed = value(point + da + db) - value(point + da - db) - value(point - da + db) + value(point - da - db)
            result[a, b] = result[b, a] = mixed / (4.0 * step[a] * step[b])
    return result
