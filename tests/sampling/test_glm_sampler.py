"""Protects binomial and Poisson fits: likelihood against lme4, posteriors against integration, and mixing.

Statistical checks use |z| < 4.5 from the draws' own Monte Carlo error (false alarms below 1 in 100,000 each).
"""

import math

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from beside import data_file, figures
from scipy import stats

from templates_engine.sampling.glm import data as glm_data, quadrature_fit as glm_fit, sampler as glm_sampler
from templates_engine.sampling.normal.classified import Chain, Priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart

LME4 = figures("lme4")


def ess(x: np.ndarray) -> float:
    return float(array_stats.ess(x[None, :], method="mean"))


WEAK = InverseWishart(0.002, np.array([[0.002]]))  # Gamma(0.001, 0.001) on the precision of a single variance


def weak(count: int) -> Priors:
    return Priors(InverseGamma(0.001, 0.001), (WEAK,) * count)


def chain(rows: glm_sampler.Rows, priors: Priors, n: int, *, burnin: int = 500, seed: int = 1, **more) -> Chain:
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    cells = np.zeros(2, dtype=np.int64)
    return glm_sampler.run_chain(rows, priors, rng, cells, burnin=burnin, iterations=n, **more)


def intercepts(codes: np.ndarray) -> list[Factor]:
    return [Factor(np.asarray(codes, dtype=np.int64), np.ones((len(codes), 1)))]


def grouped(link: str, y: np.ndarray, x: np.ndarray, codes: np.ndarray, trials: np.ndarray | None = None):
    return glm_data.grouped(link, y, x, trials=trials, codes=codes, z=np.ones((len(y), 1)))


def cbpp() -> tuple:
    """(link, y, x, codes, trials)."""
    d = pd.read_csv(data_file("lmm/cbpp.csv"))
    x = np.column_stack([np.ones(len(d)), *[d["period"] == k for k in (2, 3, 4)]]).astype(float)
    codes = pd.factorize(d["herd"], sort=True)[0].astype(np.int64)
    return "logit", d["incidence"].to_numpy(float), x, codes, d["size"].to_numpy(float)


def grouse() -> tuple:
    d = pd.read_csv(data_file("lmm/grouseticks.csv"))
    x = np.column_stack([np.ones(len(d)), d["YEAR"] == 96, d["YEAR"] == 97, d["cHEIGHT"]]).astype(float)
    codes = pd.factorize(d["BROOD"], sort=True)[0].astype(np.int64)
    return "log", d["TICKS"].to_numpy(float), x, codes, None


@pytest.mark.parametrize(("key", "data"), [("cbpp_binomial_agq25", cbpp), ("grouse_poisson_brood_agq25", grouse)])
def test_likelihood_fit_equals_lme4(key: str, data) -> None:
    """Estimates and standard errors to 1e-4 of glmer's with 25 quadrature points."""
    reference, fit = LME4[key], glm_fit.fit(grouped(*data()))
    np.testing.assert_allclose(fit.beta, list(reference["fixef"].values()), rtol=1e-4)
    np.testing.assert_allclose(fit.beta_se, list(reference["se"].values()), rtol=1e-3)
    assert fit.sigma2_u == pytest.approx(reference["varcorr"][0]["vcov"], rel=1e-4)
    assert not fit.singular


def test_deviance_of_the_fit_is_on_the_scale_of_the_laplace_fit() -> None:
    """All constants are kept: glmer's Laplace log likelihood keeps them too, and is within 0.3 of the exact one."""
    for data, key in ((cbpp, "cbpp_binomial_agq1"), (grouse, "grouse_poisson_brood_agq1")):
        assert glm_fit.fit(grouped(*data())).deviance == pytest.approx(LME4[key]["deviance_or_reml"], abs=0.3)


@pytest.mark.parametrize(
    ("key", "data", "groups"), [("cbpp_binomial_agq25", cbpp, 15), ("grouse_poisson_brood_agq25", grouse, 118)]
)
def test_posterior_beside_maximum_likelihood(key: str, data, groups: int) -> None:
    """Coefficients within 0.3 posterior sd of ML (the posterior is skewed), sds 0 to 12 % above; the variance's mean
    above ML by up to 2J/(J - 5): with few small groups its posterior has a long upper tail; ML itself is within the
    posterior's middle 80 %."""
    reference, (link, y, x, codes, trials) = LME4[key], data()
    rows = glm_sampler.prepare(link, y, x, intercepts(codes), trials=trials)
    draws = chain(rows, weak(1), 6000, omega=[np.eye(1) * 0.5])
    ml = np.array(list(reference["fixef"].values()))
    sd = draws.beta.std(axis=0)
    assert np.all(np.abs(draws.beta.mean(axis=0) - ml) < 0.3 * sd)
    ratio = sd / np.array(list(reference["se"].values()))
    assert np.all((ratio > 0.97) & (ratio < 1.12))
    variance, at = draws.omega[:, 0], reference["varcorr"][0]["vcov"]
    assert 1.0 < variance.mean() / at < 2.0 * groups / (groups - 5)
    low, high = np.quantile(variance, [0.1, 0.9])
    assert low < at < high


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log"])
def test_posterior_equals_numerical_integration(link: str) -> None:
    """One coefficient, three groups: (β, log σ²_u) on a grid, each u_j integrated by quadrature, in plain numpy."""
    rng = np.random.default_rng(8)
    codes = np.repeat(np.arange(3), 4)
    x = np.ones((12, 1))
    trials = np.full(12, 3.0)
    y = rng.poisson(2.0, 12).astype(float) if link == "log" else rng.integers(0, 4, 12).astype(float)
    prior = Priors(InverseGamma(1, 1), (InverseWishart(5.0, np.array([[3.0]])),), np.array([0.5]), np.array([[0.8]]))
    rows = glm_sampler.prepare(link, y, x, intercepts(codes), trials=trials)
    betas, logs = np.linspace(-4.5, 5.0, 160), np.linspace(-3.5, 5.0, 120)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)

    def row(eta):
        if link == "log":
            return stats.poisson(np.exp(eta)).logpmf
        inverse = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}
        p = np.clip(inverse[link](eta), 1e-300, 1 - 1e-16)
        return lambda k: stats.binom.logpmf(k, 3, p)

    eta = betas[:, None, None] + np.exp(logs / 2)[None, :, None] * nodes
    logp = {value: row(eta)(value) for value in np.unique(y)}
    log_density = -0.5 * 0.8 * (betas[:, None] - 0.5) ** 2 - 2.5 * logs - 1.5 * np.exp(-logs)
    for j in range(3):
        inner = sum(logp[value] for value in y[codes == j])
        top = inner.max(axis=2, keepdims=True)
        log_density = log_density + np.log(np.exp(inner - top) @ weights) + top[..., 0]
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    draws = chain(rows, prior, 30000)
    for values, grid, margin in (
        (draws.beta[:, 0], betas, density.sum(axis=1)),
        (np.log(draws.omega[:, 0]), logs, density.sum(axis=0)),
    ):
        exact_mean = float(margin @ grid)
        exact_sd = math.sqrt(float(margin @ grid**2) - exact_mean**2)
        assert abs(values.mean() - exact_mean) < 4.5 * exact_sd / math.sqrt(ess(values))
        squares = (values - exact_mean) ** 2
        assert abs(squares.mean() - exact_sd**2) < 4.5 * squares.std() / math.sqrt(ess(squares))


def test_predictors_of_groups_and_the_intercept_mix() -> None:
    """40 groups of 30 binary rows, a predictor of the groups: ESS at least 0.25 a draw for every coefficient (the
    unshifted update of β given u has under 0.05 here)."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(40), 30)
    x = np.column_stack([np.ones(1200), rng.normal(size=40)[codes], rng.normal(size=1200)])
    eta = x @ [-0.5, 0.4, 0.8] + rng.normal(size=40)[codes]
    y = (rng.random(1200) < 1 / (1 + np.exp(-eta))).astype(float)
    draws = chain(glm_sampler.prepare("logit", y, x, intercepts(codes)), weak(1), 3000, omega=[np.eye(1)])
    for k in range(3):
        assert ess(draws.beta[:, k]) > 0.25 * 3000
    assert np.all(draws.acceptance[:2] > 0.7)
    assert 0.2 < draws.acceptance[2] < 0.7


def test_separation_is_told() -> None:
    """A predictor that splits successes from failures has no finite estimate; one that nearly does has."""
    x = np.column_stack([np.ones(20), np.linspace(-1, 1, 20)])
    y = (x[:, 1] > 0).astype(float)
    for link in ("logit", "probit", "cloglog"):
        assert not glm_fit.fixed_only(glm_data.grouped(link, y, x)).finite
    near = y.copy()
    near[[4, 15]] = near[[15, 4]]
    for link in ("logit", "probit", "cloglog"):
        assert glm_fit.fixed_only(glm_data.grouped(link, near, x)).finite
    counts = np.where(x[:, 1] > 0.5, 0.0, 3.0)
    category = np.column_stack([np.ones(20), x[:, 1] > 0.5])
    assert not glm_fit.fixed_only(glm_data.grouped("log", counts, category)).finite


def test_offset_shifts_the_intercept_and_a_seed_repeats() -> None:
    rng = np.random.default_rng(2)
    x, y = np.ones((30, 1)), rng.poisson(4.0, 30).astype(float)
    plain, shifted = glm_data.grouped("log", y, x), glm_data.grouped("log", y, x, offset=np.full(30, 1.5))
    assert glm_fit.fit(plain).beta[0] == pytest.approx(math.log(y.mean()))
    assert glm_fit.fit(shifted).beta[0] == pytest.approx(math.log(y.mean()) - 1.5)
    rows = glm_sampler.prepare("log", y, x, [])
    one, two = chain(rows, weak(0), 200), chain(rows, weak(0), 200)
    np.testing.assert_array_equal(one.beta, two.beta)
    # With a flat prior exp(β) sum is Gamma(sum y, n): its mean is exact.
    long = chain(rows, weak(0), 20000)
    mu = np.exp(long.beta[:, 0])
    exact = stats.gamma(y.sum(), scale=1 / 30)
    assert abs(mu.mean() - exact.mean()) < 4.5 * exact.std() / math.sqrt(ess(mu))
    assert stats.kstest(mu[::5], exact.cdf).pvalue > 1e-4
