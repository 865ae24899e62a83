"""Protects the row likelihoods of binomial and Poisson responses: value, derivative, information, both tails."""

import numpy as np
import pytest
from scipy import special, stats

from templates_engine.sampling.glm import families

GRID = np.array([-30.0, -9.0, -3.0, -0.4, 0.0, 0.7, 2.5, 5.5])


def log_p(link: str, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p and log(1 - p) by scipy."""
    if link == "logit":
        return special.log_expit(eta), special.log_expit(-eta)
    if link == "probit":
        return stats.norm.logcdf(eta), stats.norm.logsf(eta)
    return np.log(-np.expm1(-np.exp(eta))), -np.exp(eta)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize(("y", "n"), [(0.0, 1.0), (1.0, 1.0), (3.0, 7.0), (7.0, 7.0), (0.0, 0.0)])
def test_binomial_rows(link: str, y: float, n: float) -> None:
    """Value against scipy to 1e-9; score against a central difference of it; information is the score's variance."""
    code = families.CODES[link]
    for eta in GRID:
        high, low = log_p(link, np.array(eta))
        value, score = families.row(code, y, n, eta)
        exact = (y * high if y else 0.0) + ((n - y) * low if n > y else 0.0)
        assert value == pytest.approx(float(exact), rel=1e-9, abs=1e-12)
        step = 1e-5
        up, down = families.row(code, y, n, eta + step)[0], families.row(code, y, n, eta - step)[0]
        assert score == pytest.approx((up - down) / (2 * step), rel=2e-5, abs=1e-6)
        p = np.exp(high)
        one, none = families.row(code, 1.0, 1.0, eta)[1], families.row(code, 0.0, 1.0, eta)[1]
        wanted = n * (p * one**2 + np.exp(low) * none**2)
        assert families.information(code, n, eta) == pytest.approx(float(wanted), rel=1e-6, abs=1e-200)


def test_poisson_rows_and_constants() -> None:
    """With its constant, the sum of the rows is scipy's log likelihood; so for the binomial."""
    y, eta, score = np.array([0.0, 3.0, 11.0]), np.array([-2.0, 1.0, 2.2]), np.empty(3)
    n = np.array([5.0, 3.0, 20.0])
    total = families.rows(families.LOG, y, n, eta, score, 0, 3) + families.constant(families.LOG, y, n)
    assert total == pytest.approx(stats.poisson(np.exp(eta)).logpmf(y).sum())
    np.testing.assert_allclose(score, y - np.exp(eta))
    total = families.rows(families.LOGIT, y, n, eta, score, 0, 3) + families.constant(families.LOGIT, y, n)
    assert total == pytest.approx(stats.binom(n, special.expit(eta)).logpmf(y).sum())


def test_far_tails_stay_finite_or_impossible() -> None:
    """log Φ to 1e-9 down to -1e4; a mean too large for a float makes a row impossible, never NaN."""
    for x in (-1e4, -200.0, -40.0, -35.0, -34.9, -8.0, 0.0, 6.0, 40.0):
        assert families.log_cdf(x) == pytest.approx(float(special.log_ndtr(x)), rel=1e-9, abs=1e-300)
    for code in families.CODES.values():
        for eta in (-800.0, 800.0):
            score = np.empty(1)
            value = families.rows(code, np.array([1.0]), np.array([3.0]), np.array([eta]), score, 0, 1)
            assert value == -np.inf or np.isfinite(value)
            assert not np.isnan(families.information(code, 3.0, eta))
