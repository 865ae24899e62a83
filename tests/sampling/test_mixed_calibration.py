"""Protects every sampler of the regression templates by simulation-based calibration (Talts and others 2018).

Parameters are drawn from proper priors, data from the parameters, and the sampler is run on the data: the rank of each
true value among the draws must be uniform. The deviance at the truth is ranked too: it sees mistakes
that leave the margins alone (Modrák and others 2023). Histograms of 16 bins are tested by chi-square at 1e-4 each and
mean ranks at |z| < 4 (6e-5): with about 60 of each a correct file fails for one seed in 100; the seeds are fixed.

Wrong samplers that this file was seen to catch at its short length: the sign of γ in the draw of u; J - 1 for J in the
draw of Ω (Normal); n - p for n in the draw of σ²; the sign of the pull on γ; the -df b of the scale move left out
(both samplers) or with the wrong sign; the backward step left out of the acceptance of γ, or of u, or its noise with
the wrong sign; u moving the wrong way beside γ; the Jacobian of log alpha with the wrong sign. J + 1 for J in the draw
of Ω (binomial, Poisson) passes here and is caught by the integration test of test_glm_sampler. A wrong sign in the
score of the negative binomial leaves the posterior as it is and spoils the mixing, which test_nlevel_glm watches.
The long runs (6,000 and 2,000 repeats) have passed.
"""

import numpy as np
import pytest
from scipy import stats

from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal import (
    classified as nlevel_normal,
    two_level as mixed_normal,
    two_level_stats as mixed_stats,
)
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart, Priors
from templates_engine.sampling.rng import streams

GROUPS, SIZE, DRAWS = 7, 4, 63
INVERSE = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}
CASES = [
    ("logit", 1), ("logit", 0), ("logit", 2), ("probit", 1), ("cloglog", 1), ("log", 1), ("log", 2), ("nb", 0),
    ("nb", 1), ("nb", 2),
]  # fmt: skip
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


def values(chain: mixed_normal.Chain | nlevel_normal.Chain, q: int, sigma: bool) -> np.ndarray:
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
    """link: logit, probit, cloglog, log, or nb for the negative binomial, whose alpha has the prior of σ²."""
    prior, rng = priors(q) if q else ONE_LEVEL, np.random.default_rng(seed)
    ranks = []
    for stream in streams(seed, repeats):
        beta, omega, sigma2, u = truth(prior, q, rng)
        codes, x, z = layout(q, rng)
        offset = 0.3 * rng.normal(size=len(codes))
        eta = offset + x @ beta + (np.sum(z * u[codes], axis=1) if q else 0.0)
        trials = rng.integers(0, 6, len(codes)).astype(float)
        mu = np.exp(np.minimum(eta, 20.0))
        if link == "log":
            y = rng.poisson(mu).astype(float)
        elif link == "nb":
            y = rng.poisson(mu * rng.gamma(1 / sigma2, sigma2, len(codes))).astype(float)
        else:
            y = rng.binomial(trials.astype(int), np.clip(INVERSE[link](eta), 0, 1)).astype(float)
        data = glm_sampler.prepare(
            "log" if link == "nb" else link, y, x, [Factor(codes, z)] if q else [], trials=trials, offset=offset,
            negative_binomial=link == "nb",
        )  # fmt: skip
        omegas = (prior.omega,) if q else ()
        chain = glm_sampler.run_chain(
            data, nlevel_normal.Priors(prior.sigma2, omegas, prior.beta_mean, prior.beta_precision), stream,
            np.zeros(2, dtype=np.int64), burnin=200, iterations=DRAWS * thin, thin=thin,
        )  # fmt: skip
        at = true_values(beta, omega, sigma2, glm_sampler.deviance_at(data, beta, [u] if q else [], sigma2), q, False)
        drawn = values(chain, q, False)
        if link == "nb":
            at, drawn = np.append(at, sigma2), np.column_stack([drawn, chain.dispersion])
        ranks.append((drawn < at).sum(axis=0))
    return np.array(ranks)


def assert_uniform(ranks: np.ndarray, bins: int = 16) -> None:
    for k in range(ranks.shape[1]):
        counts = np.bincount(ranks[:, k] * bins // (DRAWS + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > 1e-4, (k, counts.tolist())
        # the mean rank as well, for a small steady shift: one degree of freedom sees it with fewer repeats
        away = (ranks[:, k].mean() - DRAWS / 2) / np.sqrt((DRAWS + 2) * DRAWS / 12 / len(ranks))
        assert abs(away) < 4.0, (k, away)


@pytest.mark.parametrize("q", [0, 1, 2])
def test_normal(q: int) -> None:
    assert_uniform(normal_ranks(q, 320, seed=11 + q))


@pytest.mark.parametrize(("link", "q"), CASES)
def test_binomial_and_counts(link: str, q: int) -> None:
    assert_uniform(general_ranks(link, q, 240, seed=21 + q))


@pytest.mark.slow
@pytest.mark.parametrize("q", [0, 1, 2])
def test_normal_at_length(q: int) -> None:
    assert_uniform(normal_ranks(q, 6000, seed=31 + q, thin=5))


@pytest.mark.slow
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log", "nb"])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_binomial_and_counts_at_length(link: str, q: int) -> None:
    assert_uniform(general_ranks(link, q, 2000, seed=41 + q))
