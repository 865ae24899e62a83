"""Models with several classifications for the sampler tests: layouts, priors, truths drawn from the priors."""

from __future__ import annotations

import numpy as np
from scipy import stats

from templates_engine.sampling.normal.classified import Priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart

CELLS = np.zeros(2, dtype=np.int64)


def priors(qs: list[int], p: int = 2) -> Priors:
    """Proper and not weak, so that calibration sees every part of the model."""
    scale = np.array([[1.2, 0.4], [0.4, 0.8]])
    omega = tuple(InverseWishart(q + 4.0 + c, scale[:q, :q] * (q + 2 + c)) for c, q in enumerate(qs))
    return Priors(InverseGamma(4.0, 3.0), omega, np.array([0.3, -0.2])[:p], np.eye(p) * 1.5)


def layout(kind: str, qs: list[int], rng: np.random.Generator, n: int = 30) -> tuple:
    """(x, factors). crossed: 6 by 4 at random; nested: 8 in 3; three: 7 by 4, and 3 above the 7."""
    if kind == "crossed":
        codes = [rng.permutation(np.arange(n) % 6), rng.permutation(np.arange(n) % 4)]
    elif kind == "nested":
        inner = rng.permutation(np.arange(n) % 8)
        codes = [inner // 3, inner]
    else:
        first = rng.permutation(np.arange(n) % 7)
        codes = [first, rng.permutation(np.arange(n) % 4), first // 3]
    x = np.column_stack([np.ones(n), rng.normal(size=n) + 0.5 * rng.normal(size=9)[codes[0]]])
    factors = [Factor(c.astype(np.int64), np.ascontiguousarray(x[:, :q])) for c, q in zip(codes, qs, strict=True)]
    return x, factors


def truth(prior: Priors, factors: list[Factor], rng: np.random.Generator) -> tuple:
    """β, Ω's, σ², u's from the prior."""
    beta = prior.beta_mean + rng.normal(size=len(prior.beta_mean)) / np.sqrt(1.5)
    omegas = [np.atleast_2d(stats.invwishart(w.df, w.scale).rvs(random_state=rng)) for w in prior.omega]
    sigma2 = float(stats.invgamma(prior.sigma2.shape, scale=prior.sigma2.scale).rvs(random_state=rng))
    effects = [rng.multivariate_normal(np.zeros(f.q), w, size=f.groups) for f, w in zip(factors, omegas, strict=True)]
    return beta, omegas, sigma2, effects


def mean(x: np.ndarray, factors: list[Factor], beta: np.ndarray, effects) -> np.ndarray:
    """The linear predictor."""
    total = x @ beta
    for factor, u in zip(factors, effects, strict=True):
        total = total + np.sum(factor.z * u[factor.codes], axis=1)
    return total


def packed(omegas) -> np.ndarray:
    return np.concatenate([w[np.tril_indices(len(w))] for w in omegas])
