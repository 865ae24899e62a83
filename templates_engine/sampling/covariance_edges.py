"""Covariance matrices by their triangular factors: the nearest of lower rank, and standard errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def reduced(root: Floats) -> Floats | None:
    """The triangular factor of the nearest covariance matrix of lower rank, if the least standard deviation is small
    enough for that to be worth trying; in units in which 1 matters."""
    left, sizes, right = np.linalg.svd(root)
    small = sizes < np.maximum(0.3, 0.02 * sizes[0])
    if not small.any():
        return None
    if small.all():
        return np.zeros_like(root)
    turned = np.linalg.qr((left * np.where(small, 0.0, sizes) @ right).T)[1].T
    turned[np.abs(turned) < 1e-12 * sizes[0]] = 0.0
    turned[:, int((~small).sum()) :] = 0.0
    return np.asarray(turned)


def factor_errors(
    root: Floats, covariance: Floats, flat: bool, back: Floats | None = None, sigma: float = 0.0
) -> Floats:
    """Standard errors of the packed Ω = B T T'B' from the covariance of T packed, by the delta method; B = I if not
    given. With sigma, Ω = σ² B T T'B' and the covariance has log σ² behind T. NaN where `flat`, on the boundary."""
    q = len(root)
    high, low = np.tril_indices(q)
    if flat:
        return np.full(len(high), np.nan)
    turn = np.eye(q) if back is None else back
    scale = sigma * sigma if sigma > 0.0 else 1.0
    jacobian = np.empty((len(high), len(covariance)))
    for k, (a, b) in enumerate(zip(high, low, strict=True)):
        change = np.zeros((q, q))
        change[a, b] = 1.0
        change = scale * (turn @ change @ root.T @ turn.T)
        jacobian[:, k] = (change + change.T)[high, low]
    if sigma > 0.0:
        jacobian[:, -1] = (scale * (turn @ root @ root.T @ turn.T))[high, low]
    variance = np.einsum("ab,bc,ac->a", jacobian, covariance, jacobian)
    return np.asarray(np.sqrt(np.where(variance > 0, variance, np.nan)))
