"""Where chains start: variances raised from zero, and scattered around an estimate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FLOOR = 0.05  # least variance on the linear predictor that a start, or the centre of a prior, has


def scattered(rng: np.random.Generator, sigma2: float, omega: Floats, width: float = 0.5) -> tuple[float, Floats]:
    """Starting variances of one chain: around the estimate by factors of e^±½ or so, so that R-hat can see a chain
    that does not forget its start; around a user's own value by less."""
    factors = np.exp(width * rng.standard_normal(len(omega)))
    return float(sigma2 * np.exp(width * rng.standard_normal())), omega * np.outer(factors, factors)


def raised(omega: Floats, z: Floats, least: float) -> Floats:
    """Ω with each variance at least so large, on the scale on which the coefficient moves its rows; positive definite
    for least > 0."""
    return at_least(omega, 1.0 / np.sqrt(np.maximum(np.mean(z**2, axis=0), 1e-300)), least)


def at_least(omega: Floats, unit: Floats, least: float) -> Floats:
    """Ω with its eigenvalues, in the units given (q,), raised to `least`; something to start from where it is NaN."""
    if not np.all(np.isfinite(omega)):
        return np.diag(np.maximum(least, 0.25) * unit**2)
    values, vectors = np.linalg.eigh(omega / np.outer(unit, unit))
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T * np.outer(unit, unit), dtype=float)
