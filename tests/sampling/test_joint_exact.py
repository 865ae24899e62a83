"""The joint sampler against posteriors known in closed form or by quadrature, under flat priors.

Posterior means agree within 5 Monte Carlo standard errors (from the chain's own effective sample size); with about 40
comparisons the false alarm is about 3e-5.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from arviz_stats.base import array_stats

from templates_engine.sampling.joint import Classification, JointChain, JointModel, Response, run_chain
from templates_engine.sampling.rng import streams

CONS = ("cons",)


def ones(n: int) -> np.ndarray:
    return np.ones((n, 1))


def response(name: str, kind: str, y: np.ndarray, X: np.ndarray | None = None, categories: int = 2) -> Response:
    X = ones(len(y)) if X is None else X
    names = tuple(f"x{k}" for k in range(X.shape[1]))
    latents = categories - 1 if kind == "Unordered" else 1
    return Response(name, kind, y, categories, (X,) * latents, (names,) * latents)


def draws(model: JointModel, iterations: int, seed: int = 1) -> JointChain:
    return run_chain(model, streams(seed, 1)[0], np.zeros(2, np.int64), iterations)


def agrees(x: np.ndarray, expected: float) -> bool:
    ess = float(array_stats.ess(x[None, :], chain_axis=0, draw_axis=1))
    return abs(x.mean() - expected) < 5.0 * x.std() / np.sqrt(ess)


def test_complete_normal_regression_has_its_closed_form() -> None:
    """Protects df, scale and units: means of coefficients, covariances and their squares, one level, flat priors."""
    rng = np.random.default_rng(2)
    n = 30
    X = np.column_stack([np.ones(n), rng.standard_normal(n) * 3 + 100])  # far from centred, as years are
    Y = X @ np.array([[2.0, -1e3], [0.1, 20.0]]) + rng.standard_normal((n, 2)) @ np.array([[1.0, 30.0], [0.0, 40.0]])
    chain = draws(JointModel((response("a", "Normal", Y[:, 0], X), response("b", "Normal", Y[:, 1], X))), 20_000)
    fit, *_ = np.linalg.lstsq(X, Y, rcond=None)
    S = (Y - X @ fit).T @ (Y - X @ fit)
    df = n - 2 - 2 - 1  # rows, coefficients, p + 1
    expected = {f"beta1imp_{k}": v for k, v in enumerate(fit.T.ravel())}
    expected |= {f"omega_e_{k}": S[a, b] / (df - 3) for k, (a, b) in enumerate([(0, 0), (1, 0), (1, 1)])}
    for name, value in expected.items():
        x = chain.values[:, chain.parameters.index(name)]
        assert agrees(x, value), name
    # the whole marginal of a variance: inverse Wishart's diagonal is inverse gamma((df - 1)/2, S/2); false alarm 1e-5
    x = chain.values[::4, chain.parameters.index("omega_e_2")]
    law = scipy.stats.invgamma((df - 1) / 2, scale=S[1, 1] / 2)
    assert scipy.stats.kstest(x, law.cdf).pvalue > 1e-5


@pytest.mark.parametrize("algorithm", ["conditional", "marginal"])
def test_balanced_one_way_layout_agrees_with_quadrature(algorithm: str) -> None:
    """Protects the group effects and the flat prior's df with few groups: 9 groups of 5, by a grid of variances."""
    rng = np.random.default_rng(4)
    J, m = 9, 5
    y = (rng.standard_normal((J, 1)) * 0.8 + rng.standard_normal((J, m)) + 3).ravel()
    group = np.repeat(np.arange(J), m)
    chain = draws(JointModel((response("y", "Normal", y),), (Classification(group),), algorithm=algorithm), 40_000)
    means = y.reshape(J, m).mean(1)
    ssw, ssb = ((y - means[group]) ** 2).sum(), m * ((means - means.mean()) ** 2).sum()
    e = np.linspace(0.2, 6.0, 400)[:, None]
    u = np.concatenate([np.linspace(0.0, 10.0, 4001)[:-1], np.geomspace(10, 1e5, 6000)])
    total = e + m * u
    logs = -0.5 * (J * (m - 1) * np.log(e) + ssw / e + (J - 1) * np.log(total) + ssb / total)
    weight = np.exp(logs - logs.max()) * np.gradient(u)
    weight /= weight.sum()
    assert agrees(chain.values[:, chain.parameters.index("omega_e_0")], float((weight * e).sum()))
    x = chain.values[:, chain.parameters.index("omega_u_0")]
    for q in (0.5, 1.0, 3.0):  # its mean hardly exists with so few groups: probabilities instead
        assert agrees((x < q).astype(float), float((weight * (u < q)).sum())), q
    assert agrees(chain.values[:, 0], float(y.mean()))


def test_probit_intercept_agrees_with_quadrature() -> None:
    """Protects the side of truncation and the unit variance: 7 ones among 40, 10 more missing."""
    y = np.concatenate([np.ones(7), np.zeros(33), np.full(10, np.nan)])
    model = JointModel((response("g", "Binary", y),))
    chain = draws(model, 20_000)
    b = np.linspace(-4, 2, 4001)
    logs = 7 * scipy.stats.norm.logcdf(b) + 33 * scipy.stats.norm.logcdf(-b)
    w = np.exp(logs - logs.max())
    w /= w.sum()
    assert chain.parameters == ("beta1imp_0",)
    assert agrees(chain.values[:, 0], float((w * b).sum()))
    assert agrees(chain.values[:, 0] ** 2, float((w * b * b).sum()))


def test_ordered_thresholds_agree_with_dirichlet() -> None:
    """Protects thresholds with a constant and without one: both are the same multinomial.

    Without predictors P(y = k) = Φ(τ_k+1) - Φ(τ_k); its posterior under flat thresholds by quadrature over (τ1, τ2).
    """
    counts = (12, 25, 9)
    y = np.repeat([0.0, 1.0, 2.0], counts)
    n = y.size
    free = JointModel((Response("o", "Ordered", y, 3, (np.zeros((n, 0)),), ((),)),))
    anchored = JointModel((response("o", "Ordered", y, categories=3),))
    t = np.linspace(-4, 4, 1201)
    P1, P2 = scipy.stats.norm.cdf(t)[:, None], scipy.stats.norm.cdf(t)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = counts[0] * np.log(P1) + counts[1] * np.log(np.where(P2 > P1, P2 - P1, 0)) + counts[2] * np.log(1 - P2)
    w = np.exp(logs - np.nanmax(logs))
    w = np.nan_to_num(w) / np.nansum(w)
    low, high = float((w * t[:, None]).sum()), float((w * t[None, :]).sum())
    chain = draws(free, 20_000)
    assert chain.parameters == ("tau_o_0", "tau_o_1")
    assert agrees(chain.values[:, 0], low)
    assert agrees(chain.values[:, 1], high)
    chain = draws(anchored, 20_000, seed=2)
    assert chain.parameters == ("beta1imp_0", "tau_o_1")
    assert agrees(-chain.values[:, 0], low)
    assert agrees(chain.values[:, 1] - chain.values[:, 0], high)


@pytest.mark.parametrize("covariance", ["differences", "identity"])
def test_unordered_probabilities_agree_with_quadrature(covariance: str) -> None:
    """Protects the region of each category (the LAST is the reference) and the covariance of the latents.

    Flat means of two latents, 30 observations: the posterior mean of each mean, on a grid of multinomial probabilities.
    """
    counts = np.array([14, 6, 10])
    y = np.repeat([0.0, 1.0, 2.0], counts)
    model = JointModel((response("s", "Unordered", y, categories=3),), latent_covariance=covariance)
    chain = draws(model, 40_000)
    share = 0.5 if covariance == "differences" else 0.0
    grid = np.linspace(-2.5, 2.5, 61)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    none = scipy.stats.multivariate_normal([0, 0], [[1, share], [share, 1]]).cdf(np.stack([-a, -b], -1))
    # latent 0 largest and positive: -z0 < 0 and z1 - z0 < 0
    cov = [[1, 1 - share], [1 - share, 2 - 2 * share]]
    first = scipy.stats.multivariate_normal([0, 0], cov).cdf(np.stack([a, a - b], -1))
    logs = counts[0] * np.log(first) + counts[1] * np.log(1 - first - none) + counts[2] * np.log(none)
    w = np.exp(logs - logs.max())
    w /= w.sum()
    assert agrees(chain.values[:, 0], float((w * a).sum()))
    assert agrees(chain.values[:, 1], float((w * b).sum()))


def test_missing_normals_are_drawn_from_their_regression() -> None:
    """Protects the patterns: with y complete and s missing at random given y, E(s) is as regression has it.

    Flat priors, monotone pattern: E(s) = mean over all rows of the fit of s on y among complete rows (Little and Rubin,
    2002, section 7.2.2), up to the prior's pull of order 1/n; 2,000 rows and a tolerance of 4 se(MC) + 0.004.
    """
    rng = np.random.default_rng(8)
    y = rng.standard_normal(2000)
    s = 0.8 * y + 0.6 * rng.standard_normal(2000) + 5
    gone = rng.random(2000) < scipy.stats.norm.cdf(y - 0.5)
    s[gone] = np.nan
    chain = draws(JointModel((response("y", "Normal", y), response("s", "Normal", s))), 6000)
    slope, cut = np.polyfit(y[~gone], s[~gone], 1)
    x = chain.values[200:, 1]
    ess = float(array_stats.ess(x[None, :], chain_axis=0, draw_axis=1))
    assert abs(x.mean() - (slope * y.mean() + cut)) < 4 * x.std() / np.sqrt(ess) + 0.004
