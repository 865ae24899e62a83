"""Single conditional draws of the one-pass sampler against numerical integration."""

from __future__ import annotations

import numpy as np
import pytest

from templates_engine.sampling.onepass.responses import GAUSSIAN, best_of
from templates_engine.sampling.onepass.single import draw_measurement

# (mean, variance of x; coefficients of the predictor, constant first; family, y, trials, spread)
DRAWS = {
    "two equal modes": (0.0, 1.0, (0.0, 0.0, 2.0), GAUSSIAN, 3.0, 1.0, 0.2),
    "two unequal modes": (0.15, 1.0, (0.0, 0.0, 2.0), GAUSSIAN, 4.0, 1.0, 0.05),
    "vertex away from zero": (0.3, 0.8, (1.0, -0.9, 1.5), GAUSSIAN, 3.5, 1.0, 0.3),
    "a cubic": (0.0, 1.5, (0.0, -2.0, 0.1, 1.0), GAUSSIAN, 0.2, 1.0, 0.1),
    "linear": (0.4, 0.7, (0.5, -1.3), GAUSSIAN, -1.0, 1.0, 0.4),
    "logit": (0.0, 1.0, (0.2, 1.5), 0, 2.0, 5.0, 1.0),
    "Poisson of a square": (0.0, 1.0, (0.1, 0.0, 0.5), 3, 6.0, 1.0, 1.0),
    "negative binomial": (0.5, 2.0, (0.1, 0.8), 4, 4.0, 1.0, 0.7),
}


def log_likelihood(family: int, y: float, trials: float, spread: float, eta: np.ndarray) -> np.ndarray:
    """Written apart from the kernels."""
    if family == GAUSSIAN:
        return -0.5 * (y - eta) ** 2 / spread
    if family == 0:
        return y * eta - trials * np.log1p(np.exp(eta))
    if family == 3:
        return y * eta - np.exp(eta)
    r = 1.0 / spread
    return y * eta - (y + r) * np.log(r + np.exp(eta))


@pytest.mark.parametrize("name", DRAWS)
def test_a_missing_measurement_has_its_exact_law(name: str) -> None:
    """Masses of eight intervals (both sides of zero among them) against quadrature: by batch means, 4.5 standard
    errors, false alarm about 5e-5 a case. A chain that stays in one mode, or a wrong sign of the slope, misses by 20.
    """
    mean, variance, coefficients, family, y, trials, spread = DRAWS[name]
    c = np.array(coefficients)
    best = float(best_of(family, np.array([y]), np.array([trials]))[0])
    rng = np.random.Generator(np.random.PCG64DXSM(11))
    x, draws = mean, np.empty(60000)
    for t in range(draws.size):
        x = draw_measurement(rng, x, mean, variance, c, c.size - 1, family, y, trials, best, spread)
        draws[t] = x
    grid = np.linspace(mean - 9 * np.sqrt(variance), mean + 9 * np.sqrt(variance), 400001)
    logs = -0.5 * (grid - mean) ** 2 / variance + log_likelihood(
        family, y, trials, spread, np.polynomial.polynomial.polyval(grid, c)
    )
    density = np.exp(logs - logs.max())
    total = np.cumsum(density) / density.sum()
    edges = np.unique([*np.interp([0.1, 0.25, 0.5, 0.75, 0.9], total, grid), 0.0])
    for edge in edges:
        inside = (draws <= edge).reshape(300, 200).mean(axis=1)
        error = inside.std(ddof=1) / np.sqrt(inside.size)
        assert abs(inside.mean() - np.interp(edge, grid, total)) <= 4.5 * error + 1e-5, edge
