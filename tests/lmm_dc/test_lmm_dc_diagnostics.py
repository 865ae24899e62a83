"""Diagnostics by their formulas, written out a second time here, and the rule that judges estimability."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from templates_engine.sampling.cloning import diagnostics as dc


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    rng = np.random.default_rng(1)
    root = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.2, 0.1, 2.0]])
    return rng.normal(size=(3, 700, 3)) @ root.T + np.array([[[0.1]], [[-0.1]], [[0.0]]])


def test_lambda_ms_error_r_squared(draws: np.ndarray) -> None:
    """By eigenvalues, and by d² against chi-square quantiles at (i - ½)/N; r.squared is one MINUS the correlation's
    square."""
    found = dc.measures(draws, 5)
    pooled = draws.reshape(-1, 3)
    centred = pooled - pooled.mean(axis=0)
    covariance = centred.T @ centred / (len(pooled) - 1)
    distance = np.sort([row @ np.linalg.inv(covariance) @ row for row in centred])
    quantile = stats.chi2(3).ppf([(i - 0.5) / len(pooled) for i in range(1, len(pooled) + 1)])
    assert found.lambda_max == pytest.approx(max(np.linalg.eig(covariance)[0].real))
    assert found.ms_error == pytest.approx(np.mean((distance - quantile) ** 2))
    assert found.r_squared == pytest.approx(1 - stats.pearsonr(distance, quantile)[0] ** 2)
    assert found.ms_error < 0.2
    assert found.r_squared < 0.02


def test_univariate_r_hat(draws: np.ndarray) -> None:
    """Gelman and Rubin's factor with degrees of freedom, term by term as in the specification."""
    x = draws[:, :, 0]
    m, n = x.shape
    s2, means = x.var(axis=1, ddof=1), x.mean(axis=1)
    w, b = s2.mean(), n * means.var(ddof=1)
    v = (n - 1) / n * w + (1 + 1 / m) * b / n
    cov = lambda a, c: float(np.cov(a, c)[0, 1])  # noqa: E731
    var_v = (
        (n - 1) ** 2 * s2.var(ddof=1) / m
        + (1 + 1 / m) ** 2 * 2 * b**2 / (m - 1)
        + 2 * (n - 1) * (1 + 1 / m) * (n / m) * (cov(s2, means**2) - 2 * means.mean() * cov(s2, means))
    ) / n**2
    d = 2 * v**2 / var_v
    assert dc.gelman_one(x) == pytest.approx(math.sqrt((d + 3) / (d + 1) * v / w))
    assert dc.gelman_one(x) > 1.005


def test_multivariate_r_hat_has_the_number_of_variables(draws: np.ndarray) -> None:
    """(1 + 1/p) and not (1 + 1/M), as the published program has it."""
    n, p = draws.shape[1:]
    within = np.mean([np.cov(c, rowvar=False) for c in draws], axis=0)
    between = n * np.cov(draws.mean(axis=1), rowvar=False)
    top = max(np.linalg.eig(np.linalg.inv(within) @ between)[0].real)
    assert dc.gelman(draws) == pytest.approx(math.sqrt(1 - 1 / n + (1 + 1 / p) * top / n))


@pytest.mark.parametrize(
    ("slope", "word"), [(-1.0, dc.ESTIMABLE), (-0.8, dc.ESTIMABLE), (-0.65, dc.UNDECIDED), (-0.5, dc.NOT_ESTIMABLE)]
)
def test_the_rule(slope: float, word: str) -> None:
    clones = [1, 10, 50]
    found = dc.slope(clones, [k**slope for k in clones])
    assert found == pytest.approx(slope)
    assert dc.word(round(found, 9)) == word


def test_the_flat_direction_is_named() -> None:
    """Two parameters whose difference stays while their sum is learnt; with one clone number nothing is said."""
    rng = np.random.default_rng(2)

    def at(clones: int) -> np.ndarray:
        total, difference = rng.normal(size=(2, 2, 4000))
        total = total / math.sqrt(clones)
        return np.stack([(total + difference) / 2, (total - difference) / 2], axis=2)

    found = dc.decay({k: at(k) for k in (1, 10, 50)}, ("a", "b"))
    assert found.verdict == dc.NOT_ESTIMABLE
    assert dc.combination(list(found.direction), found.parameters) == "a − b"
    assert dc.decay({10: at(10)}, ("a", "b")).verdict == dc.UNDECIDED
    assert dc.combination([0.5, -1.0, 0.001], ["a", "b", "c"]) == "0.5 a − b"
