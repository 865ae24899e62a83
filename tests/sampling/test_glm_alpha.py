"""Protects: the step on the negative binomial's alpha. Its gradient against differences of the log posterior; with no
other parameter that could move, its draws against numerical integration; how well it mixes.

Seen to fail with: the prior's part left out, the sum over k < y one term short or left out for large counts, the
Jacobian of the logarithm twice, the density of the step back left out, its drift with the wrong sign.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from templates_engine.sampling import diagnostics
from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.glm.moves import slope_alpha
from templates_engine.sampling.normal.classified import Priors
from templates_engine.sampling.normal.classified_moves import Prior
from templates_engine.sampling.normal.priors import InverseGamma


def log_density(alpha: float, y: np.ndarray, eta: np.ndarray, shape: float, scale: float) -> float:
    """Of log α given the linear predictor; 1/α ~ Gamma(shape, scale)."""
    likelihood = stats.nbinom.logpmf(y, 1 / alpha, 1 / (1 + alpha * np.exp(eta))).sum()
    return float(likelihood - shape * math.log(alpha) - scale / alpha)


@pytest.mark.parametrize("alpha", [0.003, 0.2, 1.0, 7.0])
def test_gradient(alpha: float) -> None:
    """Counts from 0 to 3,000, also such as have their sum by gamma functions. To the error of the differences."""
    rng = np.random.default_rng(1)
    eta = rng.normal(2.0, 2.0, 60)
    y = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, 60)).astype(float)
    y[:2] = 800.0, 3000.0
    rows = glm_sampler.prepare("log", y, np.ones((60, 1)), [], negative_binomial=True)
    value, score = np.empty(60), np.empty(60)
    glm_sampler.evaluate(rows.data, alpha, eta, score, value)
    prior = Prior(np.zeros(1), np.zeros((1, 1)), 1.7, 0.6, np.zeros(1), np.zeros((1, 1, 1)))
    found = slope_alpha(rows.data, prior, alpha, eta, value, score)
    up, down = (log_density(alpha * math.exp(h), y, eta, 1.7, 0.6) for h in (1e-4, -1e-4))
    assert found == pytest.approx((up - down) / 2e-4, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("long_tail", [False, True])
def test_draws_against_integration(long_tail: bool) -> None:
    """The coefficient all but fixed by its prior: mean and sd of log α within 4.5 Monte Carlo errors of a sum over a
    grid (a false alarm in 1e-5 a number). long_tail: counts no more variable than Poisson, where the density of log α
    falls slowly to the left. At least 0.3 independent draws an iteration; a random walk alone has 0.2."""
    rng = np.random.default_rng(7)
    n, level, shape, scale = 80, 1.5, 0.5, 0.005
    spread = np.ones(n) if long_tail else rng.gamma(2.0, 0.5, n)
    y = rng.poisson(np.exp(level) * spread).astype(float)
    rows = glm_sampler.prepare("log", y, np.ones((n, 1)), [], negative_binomial=True)
    priors = Priors(InverseGamma(shape, scale), (), np.array([level]), np.full((1, 1), 1e9))
    iterations = 20_000
    chain = glm_sampler.run_chain(
        rows, priors, np.random.default_rng(3), np.zeros(2, dtype=np.int64), burnin=500, iterations=iterations,
        gamma=rows.coordinates.triangle @ np.array([level]),
    )  # fmt: skip
    grid = np.linspace(-14.0, 4.0, 2001)
    log = np.array([log_density(math.exp(v), y, np.full(n, level), shape, scale) for v in grid])
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = float(weight @ grid)
    variance = float(weight @ (grid - mean) ** 2)
    drawn = np.log(chain.dispersion)
    for values, exact in ((drawn, mean), ((drawn - mean) ** 2, variance)):
        size = float(diagnostics.measures(values[None, None])["ess_bulk"][0])
        assert abs(values.mean() - exact) < 4.5 * values.std() / math.sqrt(size)
    assert float(diagnostics.measures(drawn[None, None])["ess_bulk"][0]) > 0.3 * iterations
