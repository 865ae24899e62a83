"""Protects the samplers with several classifications by simulation-based calibration (Talts and others 2018).

Parameters come from proper priors, data from the parameters; each true value's rank among the draws must be uniform.
Ranked: coefficients, (co)variances, σ² and the deviance (which sees mistakes that leave the margins alone; Modrák and
others 2023). Histograms of 16 bins are tested by chi-square at 1e-4 each and mean ranks at |z| < 4 (6e-5): with about
100 of each a correct file fails for one seed in 60; the seeds are fixed.

Wrong samplers that these files were seen to catch. Here: the sign of what eliminating the effects takes from the core,
J - 1 for J in the draw of Ω, the scale move without its Jacobian, later classifications left out of u's conditional
mean, the centring shift with the wrong sign; for binomial and count responses the backward step left out of the
acceptance of γ. In test_nlevel_normal: half of a cross-product left out of the residual sum of squares, a wrong
determinant in REML, no centring shift at all.
"""

import numpy as np
import pytest
from nlevel_cases import CELLS, layout, mean, packed, priors, truth
from scipy import stats

from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal import classified as nlevel_normal, classified_stats as nlevel_stats
from templates_engine.sampling.rng import streams

DRAWS = 63


def assert_uniform(ranks: np.ndarray, bins: int = 16) -> None:
    for k in range(ranks.shape[1]):
        counts = np.bincount(ranks[:, k] * bins // (DRAWS + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > 1e-4, (k, counts.tolist())
        # the mean rank as well, for a small steady shift: one degree of freedom sees it with fewer repeats
        away = (ranks[:, k].mean() - DRAWS / 2) / np.sqrt((DRAWS + 2) * DRAWS / 12 / len(ranks))
        assert abs(away) < 4.0, (k, away)


def normal_ranks(kind: str, qs: list[int], core: list[int] | None, repeats: int, seed: int, thin: int) -> np.ndarray:
    prior, rng = priors(qs), np.random.default_rng(seed)
    ranks = []
    for stream in streams(seed, repeats):
        x, factors = layout(kind, qs, rng)
        beta, omegas, sigma2, effects = truth(prior, factors, rng)
        eta = mean(x, factors, beta, effects)
        y = eta + rng.normal(size=len(x)) * np.sqrt(sigma2)
        st = nlevel_stats.statistics(y, x, factors, core=core)
        chain = nlevel_normal.run_chain(st, prior, stream, CELLS.copy(), burnin=100, iterations=DRAWS * thin, thin=thin)
        deviance = len(y) * np.log(2 * np.pi * sigma2) + np.sum((y - eta) ** 2) / sigma2
        at = np.concatenate([beta, packed(omegas), [sigma2, deviance]])
        drawn = np.column_stack([chain.beta, chain.omega, chain.sigma2, chain.deviance])
        ranks.append((drawn < at).sum(axis=0))
    return np.array(ranks)


NORMAL = [
    ("crossed", [1, 1], None),  # one exact joint draw
    ("crossed", [1, 1], []),  # collapsed Gibbs between two large classifications
    ("crossed", [2, 1], []),
    ("nested", [1, 2], []),  # with the centring shift
    ("three", [2, 1, 1], [1]),
]


@pytest.mark.parametrize(("kind", "qs", "core"), NORMAL)
def test_normal(kind: str, qs: list[int], core: list[int] | None) -> None:
    assert_uniform(normal_ranks(kind, qs, core, 400, seed=5 + len(qs), thin=5))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "qs", "core"), [*NORMAL, ("three", [2, 2, 2], [])])
def test_normal_at_length(kind: str, qs: list[int], core: list[int] | None) -> None:
    assert_uniform(normal_ranks(kind, qs, core, 4000, seed=15 + len(qs), thin=8))


INVERSE = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}


def general_ranks(link: str, kind: str, qs: list[int], repeats: int, seed: int, thin: int) -> np.ndarray:
    """link: logit, probit, cloglog, log, or nb for the negative binomial."""
    prior, rng = priors(qs), np.random.default_rng(seed)
    ranks = []
    for stream in streams(seed, repeats):
        x, factors = layout(kind, qs, rng)
        beta, omegas, alpha, effects = truth(prior, factors, rng)
        offset = 0.3 * rng.normal(size=len(x))
        eta = offset + mean(x, factors, beta, effects)
        trials = rng.integers(0, 6, len(x)).astype(float)
        mu = np.exp(np.minimum(eta, 18.0))
        if link == "log":
            y = rng.poisson(mu).astype(float)
        elif link == "nb":
            y = rng.poisson(mu * rng.gamma(1 / alpha, alpha, len(x))).astype(float)
        else:
            y = rng.binomial(trials.astype(int), np.clip(INVERSE[link](eta), 0, 1)).astype(float)
        counts = link in ("log", "nb")
        rows = glm_sampler.prepare(
            "log" if counts else link, y, x, factors, trials=None if counts else trials, offset=offset,
            negative_binomial=link == "nb",
        )  # fmt: skip
        chain = glm_sampler.run_chain(rows, prior, stream, CELLS.copy(), burnin=200, iterations=DRAWS * thin, thin=thin)
        at = [*beta, *packed(omegas), glm_sampler.deviance_at(rows, beta, effects, alpha)]
        drawn = np.column_stack([chain.beta, chain.omega, chain.deviance])
        if link == "nb":
            at, drawn = [*at, alpha], np.column_stack([drawn, chain.dispersion])
        ranks.append((drawn < np.array(at)).sum(axis=0))
    return np.array(ranks)


GENERAL = [
    ("logit", "crossed", [2, 1]),
    ("probit", "nested", [1, 2]),
    ("cloglog", "crossed", [2, 1]),
    ("log", "crossed", [1, 2]),
    ("log", "nested", [1, 1]),
    ("nb", "crossed", [2, 1]),
]
MORE = [
    ("logit", "crossed", [1, 1]),
    ("logit", "three", [2, 1, 1]),
    ("probit", "crossed", [2, 1]),
    ("cloglog", "nested", [1, 1]),
    ("nb", "crossed", [1, 1]),
    ("nb", "three", [1, 1, 1]),
]


@pytest.mark.parametrize(("link", "kind", "qs"), GENERAL)
def test_binomial_and_counts(link: str, kind: str, qs: list[int]) -> None:
    assert_uniform(general_ranks(link, kind, qs, 240, seed=25, thin=10))


@pytest.mark.slow
@pytest.mark.parametrize(("link", "kind", "qs"), [*GENERAL, *MORE])
def test_binomial_and_counts_at_length(link: str, kind: str, qs: list[int]) -> None:
    assert_uniform(general_ranks(link, kind, qs, 1500, seed=35, thin=15))
