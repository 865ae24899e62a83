"""Protects every sampler of the regression templates by simulation-based calibration (Talts and others 2018).

Parameters are drawn from proper priors, data from the parameters, and the sampler is run on the data: the rank of each
true value among the draws must be uniform. The deviance at the truth is ranked too: it sees mistakes
that leave the margins alone (Modrák and others 2023). A rank histogram of 16 bins is tested by chi-square at 1e-4: with
about 40 histograms the whole file gives a false alarm in 250 seeds; the seeds are fixed.

Wrong samplers that this file was seen to catch at its short length: the sign of γ in the draw of u; J - 1 for J in the
draw of Ω (Normal); n - p for n in the draw of σ²; the sign of the pull on γ; the -df b of the scale move left out (both
samplers); the backward step left out of the acceptance of γ, or of u; u moving the wrong way beside γ. J + 1 for J in
the draw of Ω (binomial, Poisson) passes here and is caught by the integration test of test_glm_sampler.
The long runs (6,000 and 2,000 repeats) have passed.
"""

import numpy as np
import pytest
from scipy import stats

from templates_engine.sampling import glm_data, glm_sampler, mixed_normal, mixed_stats
from templates_engine.sampling.mixed_priors import InverseGamma, InverseWishart, Priors
from templates_engine.sampling.rng import streams

GROUPS, SIZE, DRAWS = 7, 4, 63
INVERSE = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}
CASES = [("logit", 1), ("logit", 0), ("probit", 1), ("cloglog", 1), ("log", 1), ("log", 2)]
ONE_LEVEL = Priors(InverseGamma(4.0, 3.0), InverseWishart(5.0, np.eye(1)), np.array([0.3, -0.2]), np.eye(2) * 1.5)


def priors(q: int) -> Priors:
    scale = np.array([[1.2, 0.4], [0.4, 0.8]])[:q, :q] * (q + 2)
    return Priors(InverseGamma(4.0, 3.0), InverseWishart(q + 4.0, scale), np.array([0.3, -0.2]), np.eye(2) * 1.5)


def truth(prior: Priors, q: int, rng: np.random.Generator) -> tuple:
    beta = prior.beta_mean + rng.normal(size=2) / np.sqrt(1.5)
    omega = np.atleast_2d(stats.invwishart(prior.omega.df, prior.omega.scale).rvs(random_state=rng)) if q else None
    sigma2 = stats.invgamma(prior.sigma2.shape, scale=prior.sigma2.scale).rvs(random_state=rng)
    u = rng.multivariate_normal(np.zeros(q), omega, size=GROUPS) if q else np.zeros((0, 1))
    return beta, omega, sigma2, u


def layout(q: int, rng: np.random.Generator) -> tuple:
    codes = np.repeat(np.arange(GROUPS), SIZE)[:-2]
    n = len(codes)
    x = np.column_stack([np.ones(n), rng.normal(size=n) + 0.5 * rng.normal(size=GROUPS)[codes]])
    z = np.ascontiguousarray(x[:, :q])
    return codes, x, z


def values(chain: mixed_normal.Chain, q: int, sigma: bool) -> np.ndarray:
    parts = [chain.beta, chain.deviance[:, None]]
    if q:
        parts.append(chain.omega)
    if sigma:
        parts.append(chain.sigma2[:, None])
    return np.concatenate(parts, axis=1)


def true_values(beta, omega, sigma2, deviance, q: int, sigma: bool) -> np.ndarray:
    parts = [beta, [deviance]]
    if q:
        parts.append([omega[i, j] for i, j in mixed_normal.packed(q)])
    if sigma:
        parts.append([sigma2])
    return np.concatenate(parts)


def normal_ranks(q: int, repeats: int, seed: int, thin: int = 3) -> np.ndarray:
    prior, rng = priors(q) if q else ONE_LEVEL, np.random.default_rng(seed)
    ranks = []
    for stream in streams(seed, repeats):
        beta, omega, sigma2, u = truth(prior, q, rng)
        codes, x, z = layout(q, rng)
        mean = x @ beta + (np.sum(z * u[codes], axis=1) if q else 0.0)
        y = mean + rng.normal(size=len(codes)) * np.sqrt(sigma2)
        st = mixed_stats.statistics(y, x, codes, z) if q else mixed_stats.statistics(y, x)
        chain = mixed_normal.run_chain(
            st, prior, stream, np.zeros(2, dtype=np.int64), burnin=100, iterations=DRAWS * thin, thin=thin
        )
        at = true_values(beta, omega, sigma2, mixed_normal.deviance_at(st, beta, u, sigma2), q, True)
        ranks.append((values(chain, q, True) < at).sum(axis=0))
    return np.array(ranks)


def general_ranks(link: str, q: int, repeats: int, seed: int, thin: int = 10) -> np.ndarray:
    prior, rng = priors(q) if q else ONE_LEVEL, np.random.default_rng(seed)
    ranks = []
    for stream in streams(seed, repeats):
        beta, omega, sigma2, u = truth(prior, q, rng)
        codes, x, z = layout(q, rng)
        offset = 0.3 * rng.normal(size=len(codes))
        eta = offset + x @ beta + (np.sum(z * u[codes], axis=1) if q else 0.0)
        trials = rng.integers(0, 6, len(codes)).astype(float)
        if link == "log":
            y = rng.poisson(np.exp(np.minimum(eta, 20.0))).astype(float)
        else:
            inverse = {
                "logit": stats.logistic.cdf,
                "probit": stats.norm.cdf,
                "cloglog": lambda v: -np.expm1(-np.exp(v)),
            }
            y = rng.binomial(trials.astype(int), np.clip(inverse[link](eta), 0, 1)).astype(float)
        two = {"codes": codes, "z": z} if q else {}
        data = glm_data.grouped(link, y, x, trials=trials, offset=offset, **two)
        chain = glm_sampler.run_chain(
            data, prior, stream, np.zeros(2, dtype=np.int64), burnin=200, iterations=DRAWS * thin, thin=thin
        )
        at = true_values(beta, omega, sigma2, glm_sampler.deviance_at(data, beta, u), q, False)
        ranks.append((values(chain, q, False) < at).sum(axis=0))
    return np.array(ranks)


def assert_uniform(ranks: np.ndarray, bins: int = 16) -> None:
    for k in range(ranks.shape[1]):
        counts = np.bincount(ranks[:, k] * bins // (DRAWS + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > 1e-4, (k, counts.tolist())


@pytest.mark.parametrize("q", [0, 1, 2])
def test_normal(q: int) -> None:
    assert_uniform(normal_ranks(q, 320, seed=11 + q))


@pytest.mark.parametrize(
    ("link", "q"), [("logit", 1), ("logit", 0), ("probit", 1), ("cloglog", 1), ("log", 1), ("log", 2)]
)
def test_binomial_and_poisson(link: str, q: int) -> None:
    assert_uniform(general_ranks(link, q, 240, seed=21 + q))


@pytest.mark.slow
@pytest.mark.parametrize("q", [0, 1, 2])
def test_normal_at_length(q: int) -> None:
    assert_uniform(normal_ranks(q, 6000, seed=31 + q, thin=5))


@pytest.mark.slow
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log"])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_binomial_and_poisson_at_length(link: str, q: int) -> None:
    assert_uniform(general_ranks(link, q, 2000, seed=41 + q))
