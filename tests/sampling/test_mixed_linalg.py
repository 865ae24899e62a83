"""Protects the small linear algebra under every Gibbs step: factors, solves, and draws with the right moments."""

import numpy as np
import pytest
from scipy import stats

from templates_engine.sampling import linalg


def spd(p: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(p, p))
    return root @ root.T + 0.1 * np.eye(p)


@pytest.mark.parametrize("p", [1, 2, 5, 15])
def test_factor_solve_and_inverse_against_numpy(p: int) -> None:
    a = spd(p, p)
    factor = a.copy()
    assert linalg.cholesky(factor, p)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(a), rtol=1e-10)
    b = np.arange(1.0, p + 1)
    x = b.copy()
    linalg.solve(factor, x, p)
    np.testing.assert_allclose(a @ x, b, rtol=1e-8)
    out = np.empty((p, p))
    assert linalg.inverse_spd(a.copy(), out, p)
    np.testing.assert_allclose(out, np.linalg.inv(a), rtol=1e-7)
    assert linalg.log_determinant(factor, p) == pytest.approx(np.linalg.slogdet(a)[1])


def test_a_matrix_that_is_not_positive_definite_is_told() -> None:
    assert not linalg.cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]), 2)
    assert not linalg.cholesky(np.array([[np.nan]]), 1)


def test_semidefinite_factor_of_a_singular_matrix() -> None:
    v = np.array([[1.0], [2.0], [-1.0]])
    a = v @ v.T
    factor = a.copy()
    linalg.cholesky_semi(factor, 3)
    np.testing.assert_allclose(np.tril(factor) @ np.tril(factor).T, a, atol=1e-12)


def test_draws_with_a_given_precision_have_its_mean_and_covariance() -> None:
    """20,000 draws; (x - m)'Q(x - m) is chi-square(3): one Kolmogorov test, false alarms 1 in 1000."""
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    q, b = spd(3, 7), np.array([1.0, -2.0, 0.5])
    draws = np.empty((20000, 3))
    for row in draws:
        row[:] = b
        assert linalg.draw_precision(rng, q.copy(), row, 3)
    mean = np.linalg.solve(q, b)
    away = draws - mean
    assert stats.kstest(np.einsum("ia,ab,ib->i", away, q, away), stats.chi2(3).cdf).pvalue > 1e-3
    z = away.mean(axis=0) / np.sqrt(np.diag(np.linalg.inv(q)) / 20000)
    assert np.all(np.abs(z) < 4)


@pytest.mark.parametrize("p", [1, 3])
def test_inverse_wishart_has_the_marginals_of_scipy(p: int) -> None:
    """Diagonal element 0 and a quadratic form of W^-1 have known laws; two Kolmogorov tests, false alarms 1 in 500.

    W_kk ~ inverse gamma((ν - p + 1)/2, S_kk/2); v'S v / ... : v'W^-1 v / v'S^-1 v ~ chi-square(ν).
    """
    rng = np.random.Generator(np.random.PCG64DXSM(2))
    df, scale = 7.5, spd(p, 3)
    draws, work = np.empty((8000, p, p)), np.empty((p, p))
    for out in draws:
        assert linalg.draw_inverse_wishart(rng, df, scale.copy(), out, work, p)
    last = stats.invgamma((df - p + 1) / 2, scale=scale[-1, -1] / 2)
    assert stats.kstest(draws[:, -1, -1], last.cdf).pvalue > 1e-3
    v = np.linspace(1, -1, p) if p > 1 else np.ones(1)
    ratio = np.einsum("a,iab,b->i", v, np.linalg.inv(draws), v) / (v @ np.linalg.inv(scale) @ v)
    assert stats.kstest(ratio, stats.chi2(df).cdf).pvalue > 1e-3
    mean = scale / (df - p - 1)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * draws.std(axis=0).max() / np.sqrt(8000))
