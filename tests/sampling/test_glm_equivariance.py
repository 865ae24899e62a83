"""Maximum likelihood follows algebra: rescaled and shifted predictors, reordered rows, relabelled groups, an offset
that is moved into the intercept, successes and failures exchanged. By quadrature to 1e-6 of a standard error; where
Hessians are differences to 2e-5, where all derivatives are to 1e-3."""

from __future__ import annotations

import numpy as np
import pytest

from templates_engine.sampling.glm import data as glm_data, laplace, quadrature_fit
from templates_engine.sampling.normal import Factor
from templates_engine.sampling.sparse import Surface, classes, fit_reml

RNG = np.random.default_rng(12)
N = 240
GROUP, OTHER = np.repeat(np.arange(30), 8), np.tile(np.arange(8), 30)
T = RNG.normal(size=N)
X = np.column_stack([np.ones(N), T])
ETA = 0.4 + 0.3 * T + 0.6 * RNG.normal(size=30)[GROUP] + 0.3 * RNG.normal(size=8)[OTHER]
COUNTS = RNG.poisson(np.exp(ETA + 1.0)).astype(float)
TRIALS = np.full(N, 9.0)
SUCCESSES = RNG.binomial(9, 1 / (1 + np.exp(-ETA))).astype(float)
# what is done to (x, rows, labels), and what that does to β
MOVE = np.array([[1.0, 70.0], [0.0, 1000.0]])  # β of (1, t) from that of (1, 70 + 1000 t)


def fitted(kind: str, y, x, group, other, trials=None, offset=None):
    """(β, its standard errors, variances, -2 log likelihood)."""
    ones = np.ones((len(y), 1))
    if kind == "quadrature":
        link = "log" if trials is None else "logit"
        data = glm_data.grouped(link, y, x, trials=trials, offset=offset, codes=group, z=ones)
        fit = quadrature_fit.fit(data)
        return fit.beta, fit.beta_se, [fit.sigma2_u], fit.deviance
    factors = [Factor(group, ones), Factor(other, ones)]
    if kind == "reml":
        fit = fit_reml(Surface(classes(y, x, factors)), reml=False)
        return fit.beta, fit.beta_se, [*(w[0, 0] for w in fit.omega), fit.sigma2], fit.deviance
    link = "log" if trials is None else "logit"
    negative = kind == "negative binomial"
    fit = laplace.fit(link, y, x, factors, trials=trials, offset=offset, negative_binomial=negative)
    return fit.beta, fit.beta_se, [w[0, 0] for w in fit.omega], fit.deviance


def same(one, two, turn=None, tolerance: float = 1e-6) -> None:
    turn = np.eye(2) if turn is None else turn
    assert np.abs(turn @ two[0] - one[0]).max() < tolerance * one[1].min()
    np.testing.assert_allclose(two[2], one[2], rtol=10 * tolerance, atol=1e-12)
    assert two[3] == pytest.approx(one[3], abs=1e-6)


RESPONSES = [
    ("quadrature", COUNTS, None),
    ("quadrature", SUCCESSES, TRIALS),
    ("laplace", COUNTS, None),
    ("laplace", SUCCESSES, TRIALS),
    ("negative binomial", COUNTS, None),
    ("reml", ETA + RNG.normal(size=N), None),
]


@pytest.mark.parametrize(("kind", "y", "trials"), RESPONSES)
def test_fits_follow_algebra(kind: str, y: np.ndarray, trials: np.ndarray | None) -> None:
    tolerance = 1e-3 if kind == "reml" else 2e-5  # a search by values, and one by differenced Hessians
    tolerance = 1e-6 if kind == "quadrature" else tolerance
    plain = fitted(kind, y, X, GROUP, OTHER, trials)
    rescaled = fitted(kind, y, np.column_stack([np.ones(N), 70.0 + 1000.0 * T]), GROUP, OTHER, trials)
    same(plain, rescaled, MOVE, tolerance)
    order, labels = RNG.permutation(N), RNG.permutation(30)
    turned = fitted(kind, y[order], X[order], GROUP[order], OTHER[order], None if trials is None else trials[order])
    same(plain, turned, None, tolerance)
    same(plain, fitted(kind, y, X, labels[GROUP], 7 - OTHER, trials), None, tolerance)
    if kind != "reml":
        moved = fitted(kind, y, X, GROUP, OTHER, trials, np.full(N, 2.0))
        same(plain, (moved[0] + [2.0, 0.0], *moved[1:]), None, tolerance)
    if trials is not None:
        other = fitted(kind, trials - y, X, GROUP, OTHER, trials)
        same(plain, (-other[0], *other[1:]), None, tolerance)


def test_normal_fits_follow_the_unit_of_the_response() -> None:
    y = ETA + RNG.normal(size=N)
    one, two = fitted("reml", y, X, GROUP, OTHER), fitted("reml", 50.0 + 1000.0 * y, X, GROUP, OTHER)
    assert np.abs((two[0] - [50.0, 0.0]) / 1000.0 - one[0]).max() < 1e-3 * one[1].min()
    np.testing.assert_allclose(np.array(two[2]) / 1e6, one[2], rtol=1e-3)
    assert two[3] - 2 * N * np.log(1000.0) == pytest.approx(one[3], abs=1e-6)
