"""Protects the sampler of binomial and count responses with several classifications: exact answers and mixing.

Statistical checks use |z| < 4.5 with z from the draws' own Monte Carlo error (false alarms below 1 in 100,000 each,
and the seeds are fixed).
"""

import math

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from beside import data_file, figures
from nlevel_cases import CELLS
from scipy import special, stats

from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal.classified import Priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart

INVERSE = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}


def ess(x: np.ndarray) -> float:
    return float(array_stats.ess(x[None, :], method="mean"))


def intercepts(codes) -> Factor:
    codes = np.asarray(codes, dtype=np.int64)
    return Factor(codes, np.ones((len(codes), 1)))


def draw(rows: glm_sampler.Rows, prior: Priors, n: int, *, seed: int = 1, burnin: int = 500, **more):
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    return glm_sampler.run_chain(rows, prior, rng, CELLS.copy(), burnin=burnin, iterations=n, **more)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log", "nb"])
def test_crossed_posterior_equals_numerical_integration(link: str) -> None:
    """Two units by two units, intercept only; the four effects by quadrature on a grid of β and both log variances.

    The effects of one classification are integrated inside a product rule over those of the other. The dispersion of
    the negative binomial is held where the prior all but fixes it.
    """
    rng = np.random.default_rng(8)
    one, two = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 0, 1])
    counts = link in ("log", "nb")
    alpha = 0.7
    y = rng.poisson(2.5, 6).astype(float) if counts else rng.integers(0, 5, 6).astype(float)
    omega = (InverseWishart(6.0, np.array([[4.0]])), InverseWishart(7.0, np.array([[3.0]])))
    sharp = InverseGamma(1e9, alpha * 1e9) if link == "nb" else InverseGamma(1, 1)
    prior = Priors(sharp, omega, np.array([0.5]), np.array([[0.8]]))
    rows = glm_sampler.prepare(
        "log" if counts else link, y, np.ones((6, 1)), [intercepts(one), intercepts(two)],
        trials=None if counts else np.full(6, 4.0), negative_binomial=link == "nb",
    )  # fmt: skip
    draws = draw(rows, prior, 20000, alpha=alpha)

    # Trapezoids converge at once for such smooth densities: their spacing is below 0.9 sd.
    betas, logs = np.linspace(-4.0, 4.5, 24), np.linspace(-2.6, 4.2, 16)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    logw = np.log(weights / weights.sum())
    s = np.exp(logs / 2)
    effect = (
        betas[:, None, None, None, None] + s[None, :, None, None, None] * nodes[None, None, None, :, None]
        + s[None, None, :, None, None] * nodes
    )  # fmt: skip

    def log_row(eta: np.ndarray, k: float) -> np.ndarray:
        if link == "log":
            return k * eta - np.exp(eta)
        if link == "nb":
            return stats.nbinom.logpmf(k, 1 / alpha, 1 / (1 + alpha * np.exp(eta)))
        prob = np.clip(INVERSE[link](eta), 1e-300, 1 - 1e-16)
        return k * np.log(prob) + (4 - k) * np.log1p(-prob)

    table = {k: log_row(effect, k) for k in np.unique(y)}  # (β, variance 1, variance 2, node of u1, node of u2)
    total = 0.0
    for unit in range(2):
        # given the two effects of classification 2 the units of classification 1 are independent
        parts = [sum((table[k] for k in y[(one == unit) & (two == m)]), np.zeros_like(effect)) for m in range(2)]
        joint = parts[0][..., :, None] + parts[1][..., None, :] + logw[:, None, None]
        total = total + special.logsumexp(joint, axis=3)
    inside = special.logsumexp(total + logw[:, None] + logw, axis=(3, 4))
    log_density = inside - 0.4 * (betas - 0.5)[:, None, None] ** 2
    log_density += (-3.0 * logs - 2.0 * np.exp(-logs))[None, :, None] + (-3.5 * logs - 1.5 * np.exp(-logs))[
        None, None, :
    ]
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    for values, grid, axes in (
        (draws.beta[:, 0], betas, (1, 2)),
        (np.log(draws.omega[:, 0]), logs, (0, 2)),
        (np.log(draws.omega[:, 1]), logs, (0, 1)),
    ):
        margin = density.sum(axis=axes)
        exact_mean = float(margin @ grid)
        exact_sd = math.sqrt(float(margin @ grid**2) - exact_mean**2)
        assert abs(values.mean() - exact_mean) < 4.5 * exact_sd / math.sqrt(ess(values))
        squares = (values - exact_mean) ** 2
        assert abs(squares.mean() - exact_sd**2) < 4.5 * squares.std() / math.sqrt(ess(squares))


def test_deviance_is_that_of_the_rows() -> None:
    """-2 log likelihood with all constants, against scipy, for each response; effects of the draw."""
    rng = np.random.default_rng(2)
    n = 40
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    factors = [Factor(np.arange(n) % 5, x), intercepts(np.arange(n) % 4)]
    offset = rng.normal(size=n) * 0.1
    beta, u = np.array([0.3, 0.4]), [rng.normal(size=(5, 2)), rng.normal(size=(4, 1))]
    eta = offset + x @ beta + np.sum(x * u[0][factors[0].codes], axis=1) + u[1][factors[1].codes, 0]
    y = rng.poisson(np.exp(eta)).astype(float)
    y[0] = 450.0  # beyond the direct sum
    rows = glm_sampler.prepare("log", y, x, factors, offset=offset)
    wanted = -2 * stats.poisson(np.exp(eta)).logpmf(y).sum()
    assert glm_sampler.deviance_at(rows, beta, u) == pytest.approx(wanted, rel=1e-12)
    rows = glm_sampler.prepare("log", y, x, factors, offset=offset, negative_binomial=True)
    for alpha in (1e-7, 1e-3, 0.6, 20.0):
        wanted = -2 * stats.nbinom(1 / alpha, 1 / (1 + alpha * np.exp(eta))).logpmf(y).sum()
        assert glm_sampler.deviance_at(rows, beta, u, alpha) == pytest.approx(wanted, rel=1e-6)
    trials = rng.integers(1, 6, n).astype(float)
    y = rng.binomial(trials.astype(int), 0.4).astype(float)
    u = [0.2 * part for part in u]  # scipy's own 1 - p must not round away
    eta = offset + x @ beta + np.sum(x * u[0][factors[0].codes], axis=1) + u[1][factors[1].codes, 0]
    for link, inverse in INVERSE.items():
        rows = glm_sampler.prepare(link, y, x, factors, trials=trials, offset=offset)
        wanted = -2 * stats.binom(trials, inverse(eta)).logpmf(y).sum()
        assert glm_sampler.deviance_at(rows, beta, u) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("link", ["logit", "log", "nb"])
def test_crossed_effects_mix_and_the_truth_is_found(link: str) -> None:
    """60 by 25 units, 3,000 rows: ESS of the coefficients above 0.3 a draw, of the variances above 0.08 (0.15 to 0.4
    measured), acceptance of the Newton steps above 0.7; truths within 4.5 sd."""
    rng = np.random.default_rng(7)
    n = 3000
    one, two = rng.integers(0, 60, n), rng.integers(0, 25, n)
    one[:60], two[:25] = np.arange(60), np.arange(25)
    x = np.column_stack([np.ones(n), rng.normal(size=n), rng.normal(size=60)[one]])
    eta = x @ [-0.3, 0.6, 0.3] + rng.normal(0, 0.7, 60)[one] + rng.normal(0, 0.5, 25)[two]
    if link == "logit":
        y = (rng.random(n) < stats.logistic.cdf(eta)).astype(float)
    else:
        y = rng.poisson(np.exp(eta) * (rng.gamma(2.0, 0.5, n) if link == "nb" else 1.0)).astype(float)
    rows = glm_sampler.prepare(
        "log" if link == "nb" else link, y, x, [intercepts(one), intercepts(two)], negative_binomial=link == "nb"
    )
    weak = InverseWishart(0.002, np.array([[0.002]]))
    draws = draw(rows, Priors(InverseGamma(0.001, 0.001), (weak, weak)), 2000)
    for values, truth in zip((*draws.beta.T, *draws.omega.T), (-0.3, 0.6, 0.3, 0.49, 0.25), strict=True):
        assert abs(values.mean() - truth) < 4.5 * values.std()
    for k in range(3):
        assert ess(draws.beta[:, k]) > 0.3 * 2000
    for k in range(2):
        assert ess(np.log(draws.omega[:, k])) > 0.08 * 2000
    assert np.all(draws.acceptance[:2] > 0.7)
    assert np.all((draws.acceptance[2:3] > 0.2) & (draws.acceptance[2:3] < 0.7))
    if link == "nb":
        assert abs(draws.dispersion.mean() - 0.5) < 4.5 * draws.dispersion.std()
        assert ess(draws.dispersion) > 0.05 * 2000


def test_nested_counts_on_grouseticks() -> None:
    """Broods in locations, and a unit a chick (INDEX) for extra variation, the model for which the data are known.

    Without the upper classifications glmer's coefficients (25 quadrature points, brood alone) are within 2.5 of its
    standard errors, and the three variances together are of the size of its brood variance.
    """
    d = pd.read_csv(data_file("lmm/grouseticks.csv"))
    reference = figures("lme4")["grouse_poisson_brood_agq25"]
    x = np.column_stack([np.ones(len(d)), d["YEAR"] == 96, d["YEAR"] == 97, d["cHEIGHT"]]).astype(float)
    factors = [intercepts(pd.factorize(d[c], sort=True)[0]) for c in ("INDEX", "BROOD", "LOCATION")]
    rows = glm_sampler.prepare("log", d["TICKS"].to_numpy(float), x, factors)
    assert rows.data.pairs.tolist() == [[1, 0], [2, 0], [2, 1]]
    weak = InverseWishart(0.002, np.array([[0.002]]))
    draws = draw(rows, Priors(InverseGamma(1, 1), (weak,) * 3), 4000)
    fixed, se = np.array(list(reference["fixef"].values())), np.array(list(reference["se"].values()))
    assert np.all(np.abs(draws.beta.mean(axis=0) - fixed) < 2.5 * se)
    variance = reference["varcorr"][0]["vcov"]
    assert 0.5 * variance < draws.omega.sum(axis=1).mean() < 1.5 * variance
    for k in range(4):
        assert ess(draws.beta[:, k]) > 0.15 * 4000


def test_a_seed_repeats_and_stopping_keeps_complete_draws() -> None:
    rng = np.random.default_rng(1)
    factors = [intercepts(np.arange(40) % 5), intercepts(np.arange(40) % 8)]
    rows = glm_sampler.prepare("log", rng.poisson(2.0, 40).astype(float), np.ones((40, 1)), factors)
    prior = Priors(InverseGamma(1, 1), (InverseWishart(3.0, np.eye(1)),) * 2)
    one, two = draw(rows, prior, 60, thin=3), draw(rows, prior, 60, thin=3)
    assert one.omega.shape == (20, 2)
    np.testing.assert_array_equal(one.omega, two.omega)
    cells = np.array([0, 1], dtype=np.int64)
    stopped = glm_sampler.run_chain(rows, prior, rng, cells, burnin=5, iterations=60)
    assert stopped.beta.shape == (0, 1)
